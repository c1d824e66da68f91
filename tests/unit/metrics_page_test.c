/* The page that a Prometheus scrapes, and its manual. */
#include "test.h"

#include "metrics/metrics.h"

static void read_count(struct metrics_page *page, const void *arg)
{
    metrics_add(page, *(const int *)arg, NULL);
}

static void read_ages(struct metrics_page *page, const void *arg)
{
    (void)arg;
    metrics_add(page, 1, (const char *const[]){"orders", "a \"b\" \\ c\nd"});
    metrics_add(page, -2, (const char *const[]){"", "é"});
    metrics_add(page, INT64_MAX, (const char *const[]){"x", "y"});
}

static void read_nothing(struct metrics_page *page, const void *arg)
{
    (void)page, (void)arg;
}

static const struct metric rows[] = {
    {"pgkeel_things_total", METRIC_COUNTER, "Things.", {0}, read_count},
    {"pgkeel_age_seconds", METRIC_GAUGE, "Ages.", {"table", "query"}, read_ages},
    {"pgkeel_unknown", METRIC_GAUGE, "Not known now.", {0}, read_nothing},
    {0},
};

static void a_page_has_each_row_with_its_series_and_escaped_labels(void **state)
{
    (void)state;
    AUTO_BUFFER out = {0};
    int count = 7;
    metrics_print(rows, &count, &out);
    assert_string_equal(buffer_text(&out),
                        "# HELP pgkeel_things_total Things.\n"
                        "# TYPE pgkeel_things_total counter\n"
                        "pgkeel_things_total 7\n"
                        "# HELP pgkeel_age_seconds Ages.\n"
                        "# TYPE pgkeel_age_seconds gauge\n"
                        "pgkeel_age_seconds{table=\"orders\",query=\"a \\\"b\\\" \\\\ c\\nd\"} "
                        "1\n"
                        "pgkeel_age_seconds{table=\"\",query=\"é\"} -2\n"
                        "pgkeel_age_seconds{table=\"x\",query=\"y\"} 9223372036854775807\n"
                        "# HELP pgkeel_unknown Not known now.\n"
                        "# TYPE pgkeel_unknown gauge\n");
}

static void the_manual_has_a_line_for_each_row(void **state)
{
    (void)state;
    AUTO_BUFFER out = {0};
    metrics_document(rows, false, &out);
    metrics_document(rows + 2, true, &out);
    assert_string_equal(buffer_text(&out),
                        "| metric | type | labels | meaning |\n|---|---|---|---|\n"
                        "| `pgkeel_things_total` | counter |  | Things. |\n"
                        "| `pgkeel_age_seconds` | gauge | table, query | Ages. |\n"
                        "| `pgkeel_unknown` | gauge |  | Not known now. |\n"
                        "| `pgkeel_unknown` | gauge |  | Not known now. |\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_has_each_row_with_its_series_and_escaped_labels),
        cmocka_unit_test(the_manual_has_a_line_for_each_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
