#include "test.h"

#include <stdio.h>

#include "sql/split.h"

/* The pieces of a text as "kind:text|", so that a test is one comparison. */
static const char *pieces(const char *text)
{
    static char out[1024];
    static const char *const kinds[] = {"", "S", "C", "M", "D", "OPEN"};
    struct split split;
    size_t n = 0;
    split_start(&split, text, strlen(text));
    out[0] = '\0';
    for (;;) {
        struct split_item item = split_next(&split);
        if (item.kind == SPLIT_END)
            return out;
        n += (size_t)snprintf(out + n, sizeof out - n, "%s:%.*s|", kinds[item.kind],
                              (int)(item.end - item.start), text + item.start);
    }
}

static void semicolons_end_statements_outside_of_quotes_and_parentheses(void **state)
{
    (void)state;
    assert_string_equal(pieces("a;b ;\n;c"), "S:a|S:b|S:c|");
    assert_string_equal(pieces("a ';' b;c"), "S:a ';' b|S:c|");
    assert_string_equal(pieces("a ';''' b;c"), "S:a ';''' b|S:c|");
    assert_string_equal(pieces("\";\" ;c"), "S:\";\"|S:c|");
    assert_string_equal(pieces("(a;b);c"), "S:(a;b)|S:c|");
    assert_string_equal(pieces("a $$;$$;$x$;$$;$x$;b"), "S:a $$;$$|S:$x$;$$;$x$|S:b|");
    assert_string_equal(pieces("a$b$;c$b$"), "S:a$b$|S:c$b$|");
    assert_string_equal(pieces("$1;$2"), "S:$1|S:$2|");
}

static void backslashes_escape_in_e_strings_only(void **state)
{
    (void)state;
    assert_string_equal(pieces("E'\\';';b"), "S:E'\\';'|S:b|");
    assert_string_equal(pieces("'\\';b"), "S:'\\'|S:b|");
    assert_string_equal(pieces("the'\\';b"), "S:the'\\'|S:b|");
    assert_string_equal(pieces("e'a'\n'\\';';b"), "S:e'a'\n'\\';'|S:b|");
}

static void comments_nest_and_stand_between_statements(void **state)
{
    (void)state;
    assert_string_equal(pieces("/* /* ; */ ; */ a;-- b;\nc"), "C:/* /* ; */ ; */|S:a|C:-- b;|S:c|");
    assert_string_equal(pieces("a -- ;\n, b; c"), "S:a -- ;\n, b|S:c|");
    assert_string_equal(pieces("a /* ; */; c /* d */"), "S:a|S:c|");
}

static void bodies_of_sql_functions_are_one_statement(void **state)
{
    (void)state;
    assert_string_equal(
        pieces("CREATE OR REPLACE FUNCTION f() BEGIN ATOMIC a; CASE WHEN b THEN c END; END; d"),
        "S:CREATE OR REPLACE FUNCTION f() BEGIN ATOMIC a; CASE WHEN b THEN c END; END|S:d|");
    assert_string_equal(pieces("BEGIN; a; END;"), "S:BEGIN|S:a|S:END|");
    assert_string_equal(pieces("create table f (begin int); a"),
                        "S:create table f (begin int)|S:a|");
}

static void meta_commands_and_data_are_told_apart(void **state)
{
    (void)state;
    assert_string_equal(pieces("\\set a b\nc;"), "M:\\set a b|S:c|");
    assert_string_equal(pieces("a \\g\nb;"), "S:a|M:\\g|S:b|");
    assert_string_equal(pieces("a \\; b;"), "S:a|S:b|");
    assert_string_equal(pieces("COPY a FROM stdin;\n1;'\n\\.\nb"),
                        "S:COPY a FROM stdin|D:1;'\n|S:b|");
    assert_string_equal(pieces("copy a (b) from STDIN WITH (x);\n\\.\r\nb"),
                        "S:copy a (b) from STDIN WITH (x)|D:|S:b|");
    assert_string_equal(pieces("\\copy a from stdin\n1'\n\\.\nb"),
                        "M:\\copy a from stdin|D:1'\n|S:b|");
    assert_string_equal(pieces("COPY a FROM 'stdin'; b"), "S:COPY a FROM 'stdin'|S:b|");
}

static void what_never_ends_is_told(void **state)
{
    (void)state;
    assert_string_equal(pieces("a; 'b"), "S:a|OPEN:'b|");
    assert_string_equal(pieces("/* b"), "OPEN:/* b|");
    assert_string_equal(pieces("$x$ b $$"), "OPEN:$x$ b $$|");
    assert_string_equal(pieces("(a; b"), "S:(a; b|");
}

static void lines_are_counted_through_everything(void **state)
{
    (void)state;
    const char *text = "a\n;\n/*\n*/ '\n\n'; b";
    struct split split;
    struct split_item item;
    split_start(&split, text, strlen(text));
    int lines[4], n = 0;
    while ((item = split_next(&split)).kind != SPLIT_END)
        lines[n++] = item.line;
    assert_int_equal(n, 4);
    assert_int_equal(lines[0], 1);
    assert_int_equal(lines[1], 3);
    assert_int_equal(lines[2], 4);
    assert_int_equal(lines[3], 6);
}

static void psql_variables_are_seen_and_casts_are_not(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool has;
    } cases[] = {{"a = :b", true},  {"a = :'b'", true}, {"a::int", false},
                 {"a[1:2]", false}, {"':b'", false},    {"a := 1", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct split split;
        split_start(&split, cases[i].text, strlen(cases[i].text));
        assert_int_equal(split_next(&split).has_variables, cases[i].has);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(semicolons_end_statements_outside_of_quotes_and_parentheses),
        cmocka_unit_test(backslashes_escape_in_e_strings_only),
        cmocka_unit_test(comments_nest_and_stand_between_statements),
        cmocka_unit_test(bodies_of_sql_functions_are_one_statement),
        cmocka_unit_test(meta_commands_and_data_are_told_apart),
        cmocka_unit_test(what_never_ends_is_told),
        cmocka_unit_test(lines_are_counted_through_everything),
        cmocka_unit_test(psql_variables_are_seen_and_casts_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
