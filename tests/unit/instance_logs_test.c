#include "test.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/json.h"
#include "instance/logs.h"

#define R "\036"
#define F "\037"
#define PREFIX(pid)                                                                                \
    R "2026-01-31 23:59:59.123 UTC" F pid F "client backend" F "app" F "appdb" F "psql" F "42P0"   \
      "1" F

struct seen {
    struct buffer lines; /* each followed by a line break */
    struct buffer messages;
    struct buffer origins; /* process and sqlstate of each */
    int count;
};

static void on_line(void *arg, const char *json, size_t length)
{
    struct seen *seen = arg;
    buffer_append(&seen->lines, json, length);
    buffer_puts(&seen->lines, "\n");
    seen->count++;
}

static void on_message(void *arg, const struct logs_message *message)
{
    struct seen *seen = arg;
    buffer_printf(&seen->messages, "%s=%s;", message->severity, message->text);
    buffer_printf(&seen->origins, "%s/%s;", message->backend, message->sqlstate);
}

static void free_seen(struct seen *seen)
{
    buffer_free(&seen->lines);
    buffer_free(&seen->messages);
    buffer_free(&seen->origins);
}

/* Feeds the text in pieces of `step` bytes and flushes. */
static void run(struct seen *seen, const char *text, size_t length, size_t step)
{
    struct logs_handlers handlers = {on_line, on_message, seen};
    struct logs *logs = logs_new("postgres", &handlers);
    for (size_t at = 0; at < length; at += step)
        logs_feed(logs, text + at, length - at < step ? length - at : step);
    logs_free(logs);
}

static cJSON *line(struct arena *arena, const struct seen *seen, int index)
{
    const char *at = seen->lines.data;
    struct error err;
    cJSON *tree;
    while (index-- > 0)
        at = strchr(at, '\n') + 1;
    assert_int_equal(json_parse(arena, at, strcspn(at, "\n"), &tree, &err), 0);
    return tree;
}

static const char error_with_all[] =
    PREFIX("71") "ERROR:  relation \"x\" does not exist at character 15\n" PREFIX(
        "71") "DETAIL:  of "
              "it\n" PREFIX("71") "HINT:  try another\n\tline two\n" PREFIX(
                  "71") "STATEMENT:  select *\n\t  from x\n";

static void an_error_and_what_explains_it_are_one_line(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct seen seen = {0};
    run(&seen, error_with_all, sizeof error_with_all - 1, 10000);
    assert_int_equal(seen.count, 1);
    cJSON *tree = line(arena, &seen, 0);
    assert_string_equal(json_str(tree, "ts", ""), "2026-01-31T23:59:59.123000Z");
    assert_string_equal(json_str(tree, "level", ""), "error");
    assert_string_equal(json_str(tree, "severity", ""), "ERROR");
    assert_string_equal(json_str(tree, "msg", ""), "relation \"x\" does not exist at character 15");
    assert_string_equal(json_str(tree, "detail", ""), "of it");
    assert_string_equal(json_str(tree, "hint", ""), "try another\nline two");
    assert_string_equal(json_str(tree, "statement", ""), "select *\n  from x");
    assert_string_equal(json_str(tree, "pid", ""), "71");
    assert_string_equal(json_str(tree, "user", ""), "app");
    assert_string_equal(json_str(tree, "db", ""), "appdb");
    assert_string_equal(json_str(tree, "app", ""), "psql");
    assert_string_equal(json_str(tree, "sqlstate", ""), "42P01");
    assert_string_equal(buffer_text(&seen.messages),
                        "ERROR=relation \"x\" does not exist at character 15;");
    assert_string_equal(buffer_text(&seen.origins), "client backend/42P01;");
    free_seen(&seen);
}

static void where_the_bytes_are_cut_makes_no_difference(void **state)
{
    (void)state;
    struct seen whole = {0};
    run(&whole, error_with_all, sizeof error_with_all - 1, 10000);
    for (size_t step = 1; step < 60; step++) {
        struct seen pieces = {0};
        run(&pieces, error_with_all, sizeof error_with_all - 1, step);
        assert_string_equal(buffer_text(&pieces.lines), buffer_text(&whole.lines));
        free_seen(&pieces);
    }
    free_seen(&whole);
}

static void a_detail_of_another_process_does_not_join(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct seen seen = {0};
    static const char text[] = PREFIX("1") "ERROR:  one\n" PREFIX("2") "DETAIL:  two\n";
    run(&seen, text, sizeof text - 1, 10000);
    assert_int_equal(seen.count, 2);
    assert_null(json_get(line(arena, &seen, 0), "detail"));
    assert_string_equal(json_str(line(arena, &seen, 1), "detail", ""), "two");
    free_seen(&seen);
}

static void unknown_fields_and_success_are_left_out(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct seen seen = {0};
    static const char text[] = R "2026-01-31 23:59:59.123 UTC" F "9" F "client backend" F
                                 "[unknown]" F "[unknown]" F "" F "00000" F "LOG:  hello\n";
    run(&seen, text, sizeof text - 1, 10000);
    cJSON *tree = line(arena, &seen, 0);
    assert_string_equal(json_str(tree, "level", ""), "info");
    assert_null(json_get(tree, "user"));
    assert_null(json_get(tree, "db"));
    assert_null(json_get(tree, "app"));
    assert_null(json_get(tree, "sqlstate"));
    free_seen(&seen);
}

static void lines_without_the_prefix_are_kept_and_their_severity_is_found(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct seen seen = {0};
    static const char text[] = "2026-01-31 23:59:59.123 UTC [71] FATAL:  bad things\n"
                               "2026-01-31 23:59:59.123 UTC [71] HINT:  do good\n"
                               "some library says: hello\n\n";
    run(&seen, text, sizeof text - 1, 10000);
    assert_int_equal(seen.count, 2);
    assert_string_equal(json_str(line(arena, &seen, 0), "level", ""), "error");
    assert_string_equal(json_str(line(arena, &seen, 0), "msg", ""), "bad things");
    assert_string_equal(json_str(line(arena, &seen, 0), "hint", ""), "do good");
    assert_string_equal(json_str(line(arena, &seen, 1), "msg", ""), "some library says: hello");
    free_seen(&seen);
}

static void bytes_that_are_not_utf8_become_a_replacement_character(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct seen seen = {0};
    static const char text[] = PREFIX("1") "ERROR:  a\xff"
                                           "b \xc3\xa4 \xed\xa0\x80 \xf0\x9f\x98\x80 \xe2\x82\n";
    run(&seen, text, sizeof text - 1, 3);
    assert_string_equal(json_str(line(arena, &seen, 0), "msg", ""),
                        "a\xef\xbf\xbd"
                        "b \xc3\xa4 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x98\x80 "
                        "\xef\xbf\xbd\xef\xbf\xbd");
    free_seen(&seen);
}

static void a_huge_message_comes_in_parts_that_lose_nothing(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    enum { SIZE = 5 * LOGS_PART_BYTES + 123 };
    AUTO_BUFFER text = {0};
    AUTO_BUFFER joined = {0};
    AUTO_BUFFER body = {0};
    for (int i = 0; body.length < SIZE; i++)
        buffer_printf(&body, "%d\xc3\xa4,", i);
    buffer_puts(&text, PREFIX("1") "LOG:  ");
    buffer_append(&text, body.data, body.length);
    buffer_puts(&text, "\n" PREFIX("1") "LOG:  next\n");
    struct seen seen = {0};
    run(&seen, text.data, text.length, 4096);
    assert_true(seen.count > 5);
    for (int i = 0; i + 1 < seen.count; i++) {
        cJSON *tree = line(arena, &seen, i);
        char number[16];
        snprintf(number, sizeof number, "%d", i + 1);
        assert_string_equal(json_str(tree, "part", ""), number);
        assert_true(strlen(json_str(tree, "msg", "")) <= LOGS_PART_BYTES);
        buffer_puts(&joined, json_str(tree, "msg", ""));
    }
    assert_string_equal(buffer_text(&joined), buffer_text(&body));
    assert_null(json_get(line(arena, &seen, seen.count - 1), "part"));
    free_seen(&seen);
}

static void a_message_waits_for_more_of_it_until_it_is_settled(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct logs_handlers handlers = {on_line, NULL, &seen};
    struct logs *logs = logs_new("postgres", &handlers);
    static const char one[] = PREFIX("1") "LOG:  one\n";
    logs_feed(logs, one, sizeof one - 1);
    assert_int_equal(seen.count, 0);
    assert_true(logs_pending(logs));
    logs_settle(logs);
    assert_int_equal(seen.count, 1);
    assert_false(logs_pending(logs));
    logs_feed(logs, "half a li", 9);
    logs_settle(logs);
    assert_int_equal(seen.count, 1);
    assert_true(logs_pending(logs));
    logs_free(logs);
    assert_int_equal(seen.count, 2);
    free_seen(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_and_what_explains_it_are_one_line),
        cmocka_unit_test(where_the_bytes_are_cut_makes_no_difference),
        cmocka_unit_test(a_detail_of_another_process_does_not_join),
        cmocka_unit_test(unknown_fields_and_success_are_left_out),
        cmocka_unit_test(lines_without_the_prefix_are_kept_and_their_severity_is_found),
        cmocka_unit_test(bytes_that_are_not_utf8_become_a_replacement_character),
        cmocka_unit_test(a_huge_message_comes_in_parts_that_lose_nothing),
        cmocka_unit_test(a_message_waits_for_more_of_it_until_it_is_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
