#include "test.h"

#include "postgres/cause.h"

static const struct logs_message missing_file = {"FATAL", "autovacuum launcher", "58P01",
                                                 "could not open file"};
static const struct logs_message recovering = {"FATAL", "client backend", "57P03",
                                               "the database system is in recovery mode"};

static bool tells(const char *severity, const char *backend, const char *sqlstate)
{
    struct logs_message message = {severity, backend, sqlstate, "words"};
    return cause_is_named_by(&message);
}

static void states_are_no_cause_whoever_tells_them(void **state)
{
    (void)state;
    assert_false(tells("FATAL", "client backend", "57P03"));
    assert_false(tells("FATAL", "dead-end client backend", "57P03"));
    assert_false(tells("FATAL", "autovacuum launcher", "57P01"));
    assert_false(tells("FATAL", "walsender", "57P01"));
}

static void what_ends_one_session_is_no_cause(void **state)
{
    (void)state;
    assert_false(tells("FATAL", "client backend", "28P01"));
    assert_false(tells("FATAL", "client backend", "3D000"));
    assert_false(tells("FATAL", "client backend", "53300"));
    assert_false(tells("FATAL", "walreceiver", "08006"));
    assert_false(tells("ERROR", "client backend", "XX001"));
    assert_false(tells("FATAL", "some extension's worker", "42883"));
}

static void what_concerns_the_server_is_a_cause(void **state)
{
    (void)state;
    assert_true(tells("FATAL", "client backend", "58P01"));
    assert_true(tells("FATAL", "client backend", "53100"));
    assert_true(tells("FATAL", "client backend", "XX001"));
    assert_true(tells("PANIC", "client backend", "40001"));
    assert_true(tells("FATAL", "startup", "22023"));
    assert_true(tells("FATAL", "", ""));
}

static void the_log_stands_above_refusals_and_states(void **state)
{
    (void)state;
    struct cause cause = {0};
    cause_note_refusal(&cause, "in recovery mode", 1000);
    assert_string_equal(cause.text, "in recovery mode");
    cause_note_message(&cause, &missing_file, 1200);
    assert_string_equal(cause.text, "FATAL:  could not open file");
    cause_note_message(&cause, &recovering, 1300);
    cause_note_refusal(&cause, "in recovery mode", 1400);
    cause_note_refusal(&cause, "in recovery mode", 90000);
    assert_string_equal(cause.text, "FATAL:  could not open file");
}

static void the_first_of_two_that_alternate_stays(void **state)
{
    (void)state;
    struct cause cause = {0};
    struct logs_message other = missing_file;
    other.text = "could not read block 0";
    for (int64_t now = 1000; now < 200000; now += 10000) {
        cause_note_message(&cause, &missing_file, now);
        cause_note_message(&cause, &other, now + 5000);
        assert_string_equal(cause.text, "FATAL:  could not open file");
    }
}

static void one_that_was_told_long_ago_gives_way_to_news(void **state)
{
    (void)state;
    struct cause cause = {0};
    struct logs_message other = missing_file;
    other.text = "could not read block 0";
    cause_note_message(&cause, &missing_file, 1000);
    cause_note_message(&cause, &other, 16000);
    assert_string_equal(cause.text, "FATAL:  could not read block 0");
    cause = (struct cause){0};
    cause_note_refusal(&cause, "in recovery mode", 1000);
    cause_note_refusal(&cause, "no answer", 9000);
    assert_string_equal(cause.text, "in recovery mode");
    cause_note_refusal(&cause, "no answer", 16000);
    assert_string_equal(cause.text, "no answer");
}

static void words_longer_than_their_place_are_the_same_words(void **state)
{
    (void)state;
    struct cause cause = {0};
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    struct logs_message message = missing_file;
    message.text = text;
    cause_note_message(&cause, &message, 1000);
    cause_note_message(&cause, &message, 9000);
    assert_int_equal(cause.seen_ms, 9000);
    assert_int_equal(strlen(cause.text), sizeof cause.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_are_no_cause_whoever_tells_them),
        cmocka_unit_test(what_ends_one_session_is_no_cause),
        cmocka_unit_test(what_concerns_the_server_is_a_cause),
        cmocka_unit_test(the_log_stands_above_refusals_and_states),
        cmocka_unit_test(the_first_of_two_that_alternate_stays),
        cmocka_unit_test(one_that_was_told_long_ago_gives_way_to_news),
        cmocka_unit_test(words_longer_than_their_place_are_the_same_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
