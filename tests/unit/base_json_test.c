#include "test.h"

#include "base/json.h"

static int setup(void **state)
{
    *state = arena_new();
    return 0;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

static cJSON *parse(struct arena *arena, const char *text)
{
    cJSON *tree = NULL;
    struct error err;
    assert_int_equal(json_parse(arena, text, strlen(text), &tree, &err), 0);
    return tree;
}

static void paths_reach_lists_and_keys_with_dots(void **state)
{
    const cJSON *tree = parse(*state, "{\"a\":{\"b\":[{\"c\":1},{\"c\":\"x\"}],"
                                      "\"labels\":{\"app.io/name\":\"n\"}}}");
    assert_int_equal(json_int(tree, "a.b[0].c", -1), 1);
    assert_string_equal(json_str(tree, "a.b[1].c", ""), "x");
    assert_string_equal(json_str(tree, "a.labels[\"app.io/name\"]", ""), "n");
    assert_null(json_get(tree, "a.b[2].c"));
    assert_null(json_get(tree, "a.b.c"));
    assert_null(json_get(tree, "a.labels[\"app"));
    assert_null(json_get(tree, "a.b[1"));
    assert_null(json_get(NULL, "a"));
}

static void other_types_give_the_fallback(void **state)
{
    const cJSON *tree = parse(*state, "{\"s\":\"1\",\"n\":1.5,\"b\":true,\"big\":1e300}");
    assert_int_equal(json_int(tree, "s", 7), 7);
    assert_int_equal(json_int(tree, "n", 7), 7);
    assert_int_equal(json_int(tree, "big", 7), 7);
    assert_string_equal(json_str(tree, "b", "no"), "no");
    assert_true(json_bool(tree, "b", false));
    assert_true(json_bool(tree, "s", true));
}

static void broken_or_trailing_text_is_unreadable_with_its_place(void **state)
{
    struct error err;
    cJSON *tree = NULL;
    assert_int_equal(json_parse(*state, "{\"a\":", 5, &tree, &err), ERR_UNREADABLE);
    assert_int_equal(json_parse(*state, "{} x", 4, &tree, &err), ERR_UNREADABLE);
    assert_non_null(strstr(err.text, "byte 3 of 4"));
    assert_int_equal(json_parse(*state, "", 0, &tree, &err), ERR_UNREADABLE);
    assert_null(tree);
    assert_int_equal(json_parse(*state, "{} \n", 4, &tree, &err), 0);
}

static void equal_trees_hash_alike_whatever_the_order(void **state)
{
    const cJSON *a = parse(*state, "{\"x\":1,\"y\":{\"b\":[1,2],\"a\":null}}");
    const cJSON *b = parse(*state, "{\"y\":{\"a\":null,\"b\":[1,2]},\"x\":1}");
    const cJSON *c = parse(*state, "{\"y\":{\"a\":null,\"b\":[2,1]},\"x\":1}");
    assert_string_equal(json_canonical(*state, a), "{\"x\":1,\"y\":{\"a\":null,\"b\":[1,2]}}");
    assert_string_equal(json_hash(*state, a), json_hash(*state, b));
    assert_string_not_equal(json_hash(*state, a), json_hash(*state, c));
    assert_true(json_equal(a, b));
    assert_false(json_equal(a, c));
    assert_false(json_equal(a, NULL));
}

static void builders_replace_what_is_there(void **state)
{
    cJSON *object = json_object(*state);
    json_set_str(object, "a", "1");
    json_set_str(object, "a", "2");
    json_set_str(object, "none", NULL);
    json_push_str(json_add_array(json_add_object(object, "o"), "l"), "x");
    json_push_str(json_add_array(json_add_object(object, "o"), "l"), "y");
    assert_string_equal(json_canonical(*state, object),
                        "{\"a\":\"2\",\"o\":{\"l\":[\"x\",\"y\"]}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths_reach_lists_and_keys_with_dots, setup, teardown),
        cmocka_unit_test_setup_teardown(other_types_give_the_fallback, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_or_trailing_text_is_unreadable_with_its_place, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(equal_trees_hash_alike_whatever_the_order, setup, teardown),
        cmocka_unit_test_setup_teardown(builders_replace_what_is_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
