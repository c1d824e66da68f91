#include "test.h"

#include <stdlib.h>

#include "yaml/yaml.h"

static struct yaml_document *documents;
static size_t document_count;

static int parse(struct arena *arena, const char *text, struct error *err)
{
    return yaml_parse(arena, text, strlen(text), &documents, &document_count, err);
}

static void assert_json(const char *yaml, const char *json)
{
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    if (parse(arena, yaml, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(document_count, 1);
    assert_string_equal(json_compact(arena, documents[0].tree), json);
}

static void assert_refused(const char *yaml, const char *text)
{
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    assert_int_equal(parse(arena, yaml, &err), ERR_UNREADABLE);
    assert_string_equal(err.text, text);
}

static void scalars_mean_what_kubectl_makes_of_them(void **state)
{
    (void)state;
    assert_json("[true, yes, On, false, no, OFF]", "[true,true,true,false,false,false]");
    assert_json("[null, ~, Null, x]", "[null,null,null,\"x\"]");
    assert_json("[1, -2, +3, 0x1f, 0o17, 017, 0b11, 1_000, 1.5, -.5, 1e3]",
                "[1,-2,3,31,15,15,3,1000,1.5,-0.5,1000]");
    assert_json("[\"true\", 'null', \"1\", 1.2.3, 2026-01-31, 1:30, 20Gi, 0x, +, ., e1]",
                "[\"true\",\"null\",\"1\",\"1.2.3\",\"2026-01-31\",\"1:30\",\"20Gi\",\"0x\",\"+\","
                "\".\",\"e1\"]");
    assert_json("{a: !!str 5, b: !!int '7'}", "{\"a\":\"5\",\"b\":7}");
    assert_json("{1: a, yes: b, null x: c}", "{\"1\":\"a\",\"true\":\"b\",\"null x\":\"c\"}");
}

static void json_is_yaml(void **state)
{
    (void)state;
    assert_json("{\"a\":{\"b\":[1,2,{\"c\":\"x\\u00e9\\n\"}]},\"d\":{}}",
                "{\"a\":{\"b\":[1,2,{\"c\":\"x\xc3\xa9\\n\"}]},\"d\":{}}");
}

static void documents_keep_their_lines_and_empty_ones_are_left_out(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    assert_int_equal(
        parse(arena, "# only a comment\n---\n---\na: 1\n---\n# none\n---\n\nb:\n  c: 2\n", &err),
        0);
    assert_int_equal(document_count, 2);
    assert_int_equal(documents[0].line, 4);
    assert_int_equal(documents[1].line, 9);
    assert_int_equal(json_int(documents[1].tree, "b.c", 0), 2);
    assert_int_equal(parse(arena, "", &err), 0);
    assert_int_equal(document_count, 0);
}

static void a_path_leads_to_the_line_of_its_key(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    assert_int_equal(parse(arena, "a: 1\nb:\n  c:\n  - x\n  - y: 1\n  d.e/f: {g: 1}\n", &err), 0);
    assert_int_equal(yaml_line_of(&documents[0], "a"), 1);
    assert_int_equal(yaml_line_of(&documents[0], "b"), 2);
    assert_int_equal(yaml_line_of(&documents[0], "b.c[0]"), 4);
    assert_int_equal(yaml_line_of(&documents[0], "b.c[1].y"), 5);
    assert_int_equal(yaml_line_of(&documents[0], "b[\"d.e/f\"].g"), 6);
    assert_int_equal(yaml_line_of(&documents[0], "b[\"d.e/f\"].missing"), 6);
    assert_int_equal(yaml_line_of(&documents[0], "b[\"no.ne\"].missing"), 2);
    assert_int_equal(yaml_line_of(&documents[0], "nowhere[3].at"), 1);
}

static void anchors_aliases_and_merges_are_expanded(void **state)
{
    (void)state;
    assert_json("a: &x {b: [1]}\nc: *x\n", "{\"a\":{\"b\":[1]},\"c\":{\"b\":[1]}}");
    assert_json("[&x 1, *x, &x 2, *x]", "[1,1,2,2]");
    assert_json("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n",
                "{\"a\":{\"p\":1,\"q\":2},\"b\":{\"q\":3,\"p\":1}}");
    assert_json("a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc:\n  <<: [*x, *y]\n",
                "{\"a\":{\"p\":1},\"b\":{\"p\":2,\"q\":2},\"c\":{\"p\":1,\"q\":2}}");
}

static void what_cannot_be_read_is_named_with_its_place(void **state)
{
    (void)state;
    assert_refused("a: 1\nb: 2\n  a: 3\n", "line 3, column 4: mapping values are not allowed in "
                                           "this context");
    assert_refused("a: 1\nb: {a: 2, c: 3, a: 4}\n",
                   "line 2, column 17: key 'a' was already given on line 2");
    assert_refused("a: *x\n", "line 1, column 4: an alias to an undefined anchor: x");
    assert_refused("a: &x [*x]\n", "line 1, column 8: an alias inside its own anchor: x");
    assert_refused("? [a]\n: b\n", "line 1, column 3: a key must be a plain value, not a mapping "
                                   "or a list");
    assert_refused("a: .inf\n", "line 1, column 4: a value that JSON cannot represent: .inf");
    assert_refused("a: !!int x\n", "line 1, column 4: a value that JSON cannot represent: x");
    assert_refused("a: \"x\\0y\"\n", "line 1, column 4: a NUL character cannot be part of a value");
    assert_refused("a:\n  <<: 1\n", "line 3, column 1: << takes a mapping or a list of mappings");
    assert_refused("a: \xff\n", "line 1, column 1: byte 3: invalid leading UTF-8 octet");
}

static void nesting_has_a_bound(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    char text[2 * YAML_MAX_DEPTH + 3] = "";
    memset(text, '[', YAML_MAX_DEPTH);
    memset(text + YAML_MAX_DEPTH, ']', YAML_MAX_DEPTH);
    assert_int_equal(parse(arena, text, &err), 0);
    memset(text, '[', YAML_MAX_DEPTH + 1);
    memset(text + YAML_MAX_DEPTH + 1, ']', YAML_MAX_DEPTH + 1);
    assert_refused(text, "line 1, column 101: nested more than 100 levels deep");
}

/* a: &a [x,x,...], b: &b [*a,*a,...]: each line ten times the one before. */
static void aliases_cannot_blow_a_small_file_up(void **state)
{
    (void)state;
    AUTO_BUFFER text = {0};
    buffer_puts(&text, "a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (char c = 'b'; c < 'j'; c++) {
        buffer_printf(&text, "%c: &%c [", c, c);
        for (int i = 0; i < 10; i++)
            buffer_printf(&text, "%s*%c", i ? "," : "", c - 1);
        buffer_puts(&text, "]\n");
    }
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    assert_int_equal(parse(arena, buffer_text(&text), &err), ERR_UNREADABLE);
    assert_non_null(strstr(err.text, "more than 1000000 values in one file"));
}

static void aliases_cannot_nest_deeper_than_the_bound(void **state)
{
    (void)state;
    AUTO_BUFFER text = {0};
    buffer_puts(&text, "- &a1 [[[[[[[[[[x]]]]]]]]]]\n");
    for (int i = 2; i <= 12; i++)
        buffer_printf(&text, "- &a%d [[[[[[[[[[*a%d]]]]]]]]]]\n", i, i - 1);
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    assert_int_equal(parse(arena, buffer_text(&text), &err), ERR_UNREADABLE);
    assert_non_null(strstr(err.text, "nested more than 100 levels deep"));
}

static void writing_is_block_style_in_the_order_of_the_tree(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    AUTO_BUFFER out = {0};
    cJSON *tree = json_object(arena);
    json_set_str(tree, "kind", "ConfigMap");
    cJSON *list = json_add_array(json_add_object(tree, "spec"), "items");
    cJSON *item = json_push_object(list);
    json_set_str(item, "name", "--name");
    json_set_int(item, "port", 5432);
    json_push_str(json_add_array(item, "args"), "yes");
    json_push_str(list, "5432");
    json_add_object(tree, "empty");
    json_set_str(tree, "text", "a = 'b'\n\n  c: d\n");
    json_set_str(tree, "strip", "a\nb");
    json_set_str(tree, "keep", "a\n\n");
    json_set_str(tree, "odd", " lead\nx");
    json_set_bool(tree, "on", true);
    yaml_write(&out, tree);
    assert_string_equal(buffer_text(&out), "kind: ConfigMap\n"
                                           "spec:\n"
                                           "  items:\n"
                                           "  - name: --name\n"
                                           "    port: 5432\n"
                                           "    args:\n"
                                           "    - \"yes\"\n"
                                           "  - \"5432\"\n"
                                           "empty: {}\n"
                                           "text: |\n"
                                           "  a = 'b'\n"
                                           "\n"
                                           "    c: d\n"
                                           "strip: |-\n"
                                           "  a\n"
                                           "  b\n"
                                           "keep: |+\n"
                                           "  a\n"
                                           "\n"
                                           "odd: \" lead\\nx\"\n"
                                           "\"on\": true\n");
}

static void assert_round_trip(const char *value)
{
    AUTO_ARENA arena = arena_new();
    AUTO_BUFFER out = {0};
    struct error err = {0};
    cJSON *tree = json_object(arena);
    cJSON *list = json_add_array(json_add_object(tree, value), "list");
    json_push_str(list, value);
    json_set_str(json_push_object(list), "k", value);
    json_set_str(tree, "z", value);
    yaml_write(&out, tree);
    if (yaml_parse(arena, out.data, out.length, &documents, &document_count, &err) < 0)
        fail_msg("%s\n%s", err.text, out.data);
    if (!json_equal(tree, documents[0].tree))
        fail_msg("other values came back:\n%s", out.data);
    buffer_consume(&out, out.length);
    yaml_write(&out, json_get(tree, "z"));
    if (yaml_parse(arena, out.data, out.length, &documents, &document_count, &err) < 0 ||
        document_count != 1 || strcmp(documents[0].tree->valuestring, value) != 0)
        fail_msg("another text came back:\n%s", out.data);
}

static void every_text_survives_writing_and_reading(void **state)
{
    (void)state;
    static const char *const values[] = {
        "a",
        "x y",
        "a: b",
        "a #b",
        "#",
        "- a",
        "-",
        "--",
        "---",
        "...",
        "--flag=1",
        "-1",
        "1",
        "0x1f",
        "1e3",
        "1_0",
        "2026-01-31",
        "12:30:45",
        "null",
        "~",
        "",
        " ",
        "a ",
        " a",
        "a:",
        ":a",
        "true",
        "y",
        "No",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "'",
        "\"",
        "a'b\"c\\d",
        "%a",
        "@a",
        "`a",
        "{a}",
        "[a]",
        "a,b",
        "<<",
        "=",
        "\t",
        "a\tb",
        "a\nb\n",
        "a\n",
        "\n",
        "\n\na",
        "a\n\n\nb\n\n",
        "a\n \nb",
        "a\n  ",
        "a\nb ",
        "a \n b\n",
        "a\r\nb",
        "\x01\x7f",
        "\xc2\x85",
        "\xe2\x80\xa8",
        "\xef\xbb\xbf",
        "\xc3\xa9",
        "\xf0\x9f\x98\x80",
        "a\n\ttab\n",
        "? a",
        "$(POD_NAME)",
        "(SELECT 1)",
        "/bin/sh",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_round_trip(values[i]);
    char lengthy[3000];
    memset(lengthy, 'k', sizeof lengthy);
    lengthy[sizeof lengthy - 1] = '\0';
    assert_round_trip(lengthy);
}

static void numbers_survive_writing_and_reading(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    AUTO_BUFFER out = {0};
    struct error err = {0};
    const char *text = "[0,-1,9007199254740991,1.5,1e300,-2.5e-7,[],{},[[]],[[1],{\"a\":[]}]]";
    cJSON *tree;
    assert_int_equal(json_parse(arena, text, strlen(text), &tree, &err), 0);
    yaml_write(&out, tree);
    assert_int_equal(yaml_parse(arena, out.data, out.length, &documents, &document_count, &err), 0);
    assert_true(json_equal(tree, documents[0].tree));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_mean_what_kubectl_makes_of_them),
        cmocka_unit_test(json_is_yaml),
        cmocka_unit_test(documents_keep_their_lines_and_empty_ones_are_left_out),
        cmocka_unit_test(a_path_leads_to_the_line_of_its_key),
        cmocka_unit_test(anchors_aliases_and_merges_are_expanded),
        cmocka_unit_test(what_cannot_be_read_is_named_with_its_place),
        cmocka_unit_test(nesting_has_a_bound),
        cmocka_unit_test(aliases_cannot_blow_a_small_file_up),
        cmocka_unit_test(aliases_cannot_nest_deeper_than_the_bound),
        cmocka_unit_test(writing_is_block_style_in_the_order_of_the_tree),
        cmocka_unit_test(every_text_survives_writing_and_reading),
        cmocka_unit_test(numbers_survive_writing_and_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
