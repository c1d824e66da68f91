#include "test.h"

#include <stdio.h>

#include "base/error.h"
#include "loop/queue.h"

static const struct queue_verdict fine = {.next_ms = INT64_MAX};

static int make(void **state)
{
    *state = queue_new();
    return 0;
}

static int drop(void **state)
{
    queue_free(*state, NULL);
    return 0;
}

static void many_events_are_one_place(void **state)
{
    struct queue *q = *state;
    queue_add(q, "n", "a", 5);
    queue_add(q, "n", "a", 6);
    assert_int_equal(queue_ready(q, 6), 1);
    struct queue_key *key = queue_next(q, 6);
    assert_string_equal(key->name, "a");
    assert_null(queue_next(q, 6));
    queue_done(q, key, &fine, 7);
    assert_null(queue_next(q, 1000));
    assert_true(queue_due(q) == INT64_MAX);
}

static void they_come_in_the_order_in_which_they_became_due(void **state)
{
    struct queue *q = *state;
    static const char *const names[] = {"e", "b", "d", "a", "c"};
    for (int i = 0; i < 5; i++)
        queue_add(q, "n", names[i], 10 + i);
    assert_int_equal(queue_ready(q, 12), 3);
    for (int i = 0; i < 5; i++)
        assert_string_equal(queue_next(q, 100)->name, names[i]);
}

static void what_changes_during_a_pass_comes_again_after_the_others(void **state)
{
    struct queue *q = *state;
    queue_add(q, "n", "a", 1);
    struct queue_key *a = queue_next(q, 1);
    queue_add(q, "n", "b", 2);
    queue_add(q, "n", "a", 3);
    queue_done(q, a, &fine, 4);
    assert_string_equal(queue_next(q, 5)->name, "b");
    assert_ptr_equal(queue_next(q, 5), a);
}

static void a_due_time_is_kept_and_an_event_comes_before_it(void **state)
{
    struct queue *q = *state;
    queue_add(q, "n", "a", 1);
    queue_done(q, queue_next(q, 1), &(struct queue_verdict){.next_ms = 500}, 2);
    assert_true(queue_due(q) == 500);
    assert_null(queue_next(q, 499));
    queue_add(q, "n", "a", 100);
    assert_true(queue_due(q) == 100);
}

static void failures_double_the_pause_and_success_forgets_them(void **state)
{
    struct queue *q = *state;
    const struct queue_verdict conflict = {.next_ms = INT64_MAX, .class = ERR_CONFLICT};
    queue_add(q, "n", "a", 0);
    int64_t now = 0, pause[3];
    for (int i = 0; i < 3; i++) {
        queue_done(q, queue_next(q, now), &conflict, now);
        pause[i] = queue_due(q) - now;
        now = queue_due(q);
    }
    assert_true(pause[1] == 2 * pause[0] && pause[2] == 4 * pause[0]);
    queue_done(q, queue_next(q, now), &fine, now);
    queue_add(q, "n", "a", now);
    queue_done(q, queue_next(q, now), &conflict, now);
    assert_true(queue_due(q) - now == pause[0]);
}

static void pauses_have_a_bound_and_refusals_a_longer_one(void **state)
{
    (void)state;
    assert_true(queue_backoff_ms(ERR_CONFLICT, 60) == QUEUE_BACKOFF_MAX_MS);
    assert_true(queue_backoff_ms(ERR_INVALID, 1) == 30000);
    assert_true(queue_backoff_ms(ERR_INVALID, 60) == 300000);
}

static void an_event_overtakes_a_refusal_but_not_a_server_that_is_away(void **state)
{
    struct queue *q = *state;
    queue_add(q, "n", "a", 0);
    queue_done(q, queue_next(q, 0),
               &(struct queue_verdict){.next_ms = INT64_MAX, .class = ERR_INVALID}, 0);
    queue_add(q, "n", "a", 10);
    assert_true(queue_due(q) == 10);
    queue_done(q, queue_next(q, 10),
               &(struct queue_verdict){
                   .next_ms = INT64_MAX, .class = ERR_OVERLOADED, .retry_after_ms = 7000},
               10);
    queue_add(q, "n", "a", 20);
    assert_true(queue_due(q) == 7010);
}

static void an_endless_stream_of_events_is_answered_slowly_after_a_burst(void **state)
{
    struct queue *q = *state;
    int passes = 0;
    for (int64_t now = 0; now < 60000; now++) {
        queue_add(q, "n", "a", now);
        struct queue_key *key = queue_next(q, now);
        if (key == NULL)
            continue;
        passes++;
        queue_done(q, key, &fine, now);
    }
    assert_in_range(passes, QUEUE_BURST, QUEUE_BURST + 60000 / QUEUE_REFILL_MS + 1);
    /* Rest fills the bucket again. */
    queue_add(q, "n", "a", 600000);
    assert_true(queue_due(q) <= 600000);
}

static void a_pass_that_was_broken_off_is_due_at_once(void **state)
{
    struct queue *q = *state;
    queue_add(q, "n", "a", 0);
    struct queue_key *key = queue_next(q, 0);
    queue_return(q, key, 5);
    assert_ptr_equal(queue_next(q, 5), key);
}

static int dropped;

static void count_drop(void *data)
{
    dropped += data != NULL;
}

static void a_removed_cluster_leaves_the_others_in_order(void **state)
{
    struct queue *q = *state;
    char name[16];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "c-%d", i);
        queue_add(q, "n", name, (i * 7) % 20)->data = q;
    }
    dropped = 0;
    for (int i = 0; i < 20; i += 3) {
        snprintf(name, sizeof name, "c-%d", i);
        queue_remove(q, queue_add(q, "n", name, 100), count_drop);
    }
    assert_int_equal(dropped, 7);
    assert_int_equal(queue_ready(q, 100), 13);
    int64_t last = 0;
    for (int i = 0; i < 13; i++) {
        int64_t due = queue_due(q);
        assert_true(due >= last);
        last = due;
        assert_non_null(queue_next(q, 100));
    }
    assert_null(queue_next(q, 100));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make, drop)
    const struct CMUnitTest tests[] = {
        CASE(many_events_are_one_place),
        CASE(they_come_in_the_order_in_which_they_became_due),
        CASE(what_changes_during_a_pass_comes_again_after_the_others),
        CASE(a_due_time_is_kept_and_an_event_comes_before_it),
        CASE(failures_double_the_pause_and_success_forgets_them),
        CASE(pauses_have_a_bound_and_refusals_a_longer_one),
        CASE(an_event_overtakes_a_refusal_but_not_a_server_that_is_away),
        CASE(an_endless_stream_of_events_is_answered_slowly_after_a_burst),
        CASE(a_pass_that_was_broken_off_is_due_at_once),
        CASE(a_removed_cluster_leaves_the_others_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
