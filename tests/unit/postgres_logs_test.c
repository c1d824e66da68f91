#include "test.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/json.h"
#include "postgres/logs.h"

#define R                  "\036"
#define F                  "\037"
#define MARK               "0123456789abcdef0123456789abcdef"
#define BLANKS16           "                "
#define BLANKS64           BLANKS16 BLANKS16 BLANKS16 BLANKS16
#define TIME               "2026-01-31 23:59:59.123 UTC"
#define HEAD(pid, backend) R MARK F TIME F pid F backend F "42P01" F "psql" F
#define NAMES                                                                                      \
    "app             " BLANKS16 BLANKS16 BLANKS16 F "appdb           " BLANKS16 BLANKS16 BLANKS16 F
#define NO_NAMES    BLANKS64 F BLANKS64 F
#define PREFIX(pid) HEAD(pid, "client backend") NAMES

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
    struct logs *logs = logs_new("postgres", MARK, &handlers);
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
    static const char text[] =
        R MARK F TIME F "9" F "client backend" F "00000" F "" F
                        "[unknown]       " BLANKS16 BLANKS16 BLANKS16 F BLANKS64 F "LOG:  hello\n";
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
    struct logs *logs = logs_new("postgres", MARK, &handlers);
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

/* ---- what strangers write ---- */

struct text_of_name {
    char bytes[64];
};

/* A name as PostgreSQL pads it. */
static struct text_of_name padded(const char *name)
{
    struct text_of_name out;
    memset(out.bytes, ' ', sizeof out.bytes);
    memcpy(out.bytes, name, strlen(name));
    return out;
}

static void put_knock(struct buffer *out, const char *pid, const char *user, const char *text)
{
    buffer_printf(out, R MARK F TIME F "%s" F "client backend" F "28000" F "[unknown]" F, pid);
    buffer_append(out, padded(user).bytes, 64);
    buffer_puts(out, F);
    buffer_append(out, padded("d\n" R).bytes, 64);
    buffer_printf(out, F "FATAL:  %s\n", text);
}

static void a_name_with_line_breaks_and_marks_stays_a_name(void **state)
{
    (void)state;
    for (size_t step = 1; step < 400; step += 7) {
        AUTO_ARENA arena = arena_new();
        AUTO_BUFFER text = {0};
        struct seen seen = {0};
        put_knock(&text, "71", "x\n" R "1" F "walreceiver" F "FATAL:  gone", "no entry");
        buffer_puts(&text, HEAD("8", "startup") NO_NAMES "LOG:  next\n");
        run(&seen, text.data, text.length, step);
        assert_int_equal(seen.count, 2);
        assert_string_equal(json_str(line(arena, &seen, 0), "user", ""),
                            "x\n" R "1" F "walreceiver" F "FATAL:  gone");
        assert_string_equal(json_str(line(arena, &seen, 0), "db", ""), "d\n" R);
        assert_string_equal(json_str(line(arena, &seen, 0), "msg", ""), "no entry");
        assert_string_equal(buffer_text(&seen.messages), "FATAL=no entry;LOG=next;");
        assert_string_equal(buffer_text(&seen.origins), "client backend/28000;startup/42P01;");
        free_seen(&seen);
    }
}

static void a_head_without_the_mark_of_this_start_is_text(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct seen seen = {0};
    static const char text[] = HEAD("8", "startup") NO_NAMES
        "LOG:  first\n" R "ffffffffffffffffffffffffffffffff" F TIME F "1" F "walreceiver" F
        "08P01" F "" F NO_NAMES "FATAL:  has already been removed\n"
        "FATAL:  has already been removed\n";
    run(&seen, text, sizeof text - 1, 10000);
    assert_string_equal(buffer_text(&seen.messages), "LOG=first;");
    assert_int_equal(seen.count, 3);
    assert_null(json_get(line(arena, &seen, 1), "backend"));
    assert_null(json_get(line(arena, &seen, 2), "backend"));
    free_seen(&seen);
}

/* Each piece is a write of its own, or the next 4096 bytes of one. */
static void feed_writes(struct seen *seen, const char *const *writes, size_t count)
{
    struct logs_handlers handlers = {on_line, on_message, seen};
    struct logs *logs = logs_new("postgres", MARK, &handlers);
    logs_in_writes(logs, true);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(writes[i]);
        for (size_t at = 0; at < length; at += LOGS_WRITE_BYTES)
            logs_feed(logs, writes[i] + at,
                      length - at < LOGS_WRITE_BYTES ? length - at : LOGS_WRITE_BYTES);
    }
    logs_free(logs);
}

static void a_record_begins_only_where_a_write_does(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    AUTO_BUFFER forged = {0}, huge = {0};
    struct seen seen = {0};
    /* Who can log in knows the mark, and a packet that is refused early holds names of any length:
     * in the very shape of the fields. */
    static const char gone[] = HEAD("1", "walreceiver") NO_NAMES "FATAL:  has already been removed";
    buffer_printf(&forged,
                  HEAD("71", "client backend") "%-64s" F "%-64s" F "LOG:  mine\n%s\nplain\n", "u",
                  "d", gone);
    buffer_puts(&huge, HEAD("72", "client backend"));
    while (huge.length < 3 * LOGS_WRITE_BYTES)
        buffer_puts(&huge, huge.length % LOGS_WRITE_BYTES == 0 ? gone : "\n");
    buffer_puts(&huge, "the end\n");
    const char *writes[] = {forged.data, huge.data,
                            HEAD("8", "startup") NO_NAMES "ERROR:  next\n" HEAD("8", "startup")
                                NO_NAMES "DETAIL:  of it\n"};
    feed_writes(&seen, writes, 3);
    assert_int_equal(seen.count, 3);
    assert_string_equal(json_str(line(arena, &seen, 0), "pid", ""), "71");
    assert_string_equal(json_str(line(arena, &seen, 1), "pid", ""), "72");
    assert_string_equal(json_str(line(arena, &seen, 1), "user", "none"), "none");
    assert_string_equal(json_str(line(arena, &seen, 2), "detail", ""), "of it");
    assert_null(strstr(buffer_text(&seen.origins), "walreceiver"));
    free_seen(&seen);
}

static void a_write_ends_its_message_at_once(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct logs_handlers handlers = {on_line, NULL, &seen};
    struct logs *logs = logs_new("postgres", MARK, &handlers);
    logs_in_writes(logs, true);
    logs_feed(logs, error_with_all, sizeof error_with_all - 1);
    assert_int_equal(seen.count, 1);
    assert_false(logs_pending(logs));
    logs_feed(logs, "no line break", 13);
    assert_int_equal(seen.count, 2);
    logs_free(logs);
    free_seen(&seen);
}

static void lines_without_a_head_are_told_only_before_the_first_head(void **state)
{
    (void)state;
    struct seen seen = {0};
    const char *writes[] = {"2026 UTC [1] FATAL:  early\n",
                            HEAD("8", "startup") NO_NAMES "LOG:  first\n", "FATAL:  late\n"};
    feed_writes(&seen, writes, 3);
    assert_string_equal(buffer_text(&seen.messages), "FATAL=early;LOG=first;");
    assert_int_equal(seen.count, 3);
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
        cmocka_unit_test(a_name_with_line_breaks_and_marks_stays_a_name),
        cmocka_unit_test(a_head_without_the_mark_of_this_start_is_text),
        cmocka_unit_test(a_record_begins_only_where_a_write_does),
        cmocka_unit_test(a_write_ends_its_message_at_once),
        cmocka_unit_test(lines_without_a_head_are_told_only_before_the_first_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
