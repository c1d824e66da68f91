#include "test.h"

#include "spec/spec.h"

static void quantities_become_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        {"0", 0},
        {"1", 1},
        {"1Ki", 1024},
        {"20Gi", 21474836480},
        {"1.5Gi", 1610612736},
        {"1e3", 1000},
        {"1E3", 1000},
        {"1k", 1000},
        {"500M", 500000000},
        {"1E", 1000000000000000000},
        {"7Ei", 8070450532247928832},
        {"2000m", 2},
        {"+1", 1},
        {".5Ki", 512},
        {"5.", 5},
        {"10e-1", 1},
        {"0Ei", 0},
        {"9223372036854775807", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(quantity_bytes(cases[i].text), cases[i].bytes);
}

static void what_is_no_whole_number_of_bytes_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "Gi",
        "1GB",
        "1gi",
        "1K",
        "-1",
        "1 Gi",
        "1.2.3",
        "500m",
        "0.1",
        "1e",
        "1e+",
        "1e333",
        "8Ei",
        "9223372036854775808",
        "99999999999999999999999999",
        "1Gi ",
        "+",
        ".",
        "1eGi",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(quantity_bytes(texts[i]), -1);
}

static void quantities_compare_by_value(void **state)
{
    (void)state;
    assert_int_equal(quantity_compare("1", "1000m"), 0);
    assert_int_equal(quantity_compare("1Gi", "1G"), 1);
    assert_int_equal(quantity_compare("500m", "0.6"), -1);
    assert_int_equal(quantity_compare("none", "1n"), -1);
    assert_true(quantity_valid("500m"));
    assert_false(quantity_valid("half"));
}

static void figures_for_people_are_short_and_still_quantities(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    const int64_t mib = 1 << 20, gib = 1 << 30;
    assert_string_equal(quantity_short(arena, 0), "0Mi");
    assert_string_equal(quantity_short(arena, 974 * mib + 5), "974Mi");
    assert_string_equal(quantity_short(arena, 10 * gib), "10Gi");
    assert_string_equal(quantity_short(arena, 98 * gib + gib / 2), "98.5Gi");
    assert_true(quantity_valid("98.5Gi"));
}

static void bytes_become_the_shortest_exact_quantity(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    assert_string_equal(quantity_text(arena, 0), "0");
    assert_string_equal(quantity_text(arena, 1500), "1500");
    assert_string_equal(quantity_text(arena, 512 << 10), "512Ki");
    assert_string_equal(quantity_text(arena, 16 << 20), "16Mi");
    assert_string_equal(quantity_text(arena, INT64_C(1610612736)), "1536Mi");
    assert_string_equal(quantity_text(arena, INT64_C(7) << 60), "7Ei");
    arena_free(arena);
}

static void durations_are_whole_and_at_most_thirty_days(void **state)
{
    (void)state;
    assert_int_equal(syntax_duration_ms("0s"), 0);
    assert_int_equal(syntax_duration_ms("45s"), 45000);
    assert_int_equal(syntax_duration_ms("30m"), 1800000);
    assert_int_equal(syntax_duration_ms("720h"), 30 * INT64_C(86400000));
    assert_int_equal(syntax_duration_ms("30d"), 30 * INT64_C(86400000));
    static const char *const none[] = {"", "d", "7", "7D", "7dd", "-7d", "31d", "9999999d", "1.5h"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_int_equal(syntax_duration_ms(none[i]), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_whole_and_at_most_thirty_days),
        cmocka_unit_test(quantities_become_bytes),
        cmocka_unit_test(what_is_no_whole_number_of_bytes_is_refused),
        cmocka_unit_test(quantities_compare_by_value),
        cmocka_unit_test(bytes_become_the_shortest_exact_quantity),
        cmocka_unit_test(figures_for_people_are_short_and_still_quantities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
