/* How often is written and looked: bursts, and patience. */
#include "test.h"

#include "instance/agent.h"
#include "loop/bucket.h"
#include "loop/pause.h"
#include "loop/timer.h"

static void a_burst_goes_at_once_and_then_one_each_so_often(void **state)
{
    (void)state;
    struct bucket bucket = {.burst = 3, .refill_ms = 500, .tokens = 3, .refilled_ms = 1000};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bucket_wait_ms(&bucket, 1000 + i), 0);
        bucket_spend(&bucket);
    }
    assert_int_equal(bucket_wait_ms(&bucket, 1003), 497);
    assert_int_equal(bucket_wait_ms(&bucket, 1499), 1); /* asking costs nothing */
    assert_int_equal(bucket_wait_ms(&bucket, 1500), 0);
    bucket_spend(&bucket);
    assert_int_equal(bucket_wait_ms(&bucket, 1600), 400);
}

static void a_long_rest_earns_no_more_than_the_burst(void **state)
{
    (void)state;
    struct bucket bucket = {.burst = 2, .refill_ms = 500, .tokens = 2, .refilled_ms = 0};
    assert_int_equal(bucket_wait_ms(&bucket, 3600000), 0);
    bucket_spend(&bucket);
    bucket_spend(&bucket);
    assert_int_equal(bucket_wait_ms(&bucket, 3600000), 500);
    bucket_spend(&bucket); /* a write that may not wait leaves no debt */
    assert_int_equal(bucket_wait_ms(&bucket, 3600500), 0);
}

static void a_pause_with_jitter_stays_within_its_bounds_and_reaches_both(void **state)
{
    (void)state;
    bool seen[5] = {false};
    for (uint32_t random = UINT32_MAX - 99; random != 0; random++) {
        int64_t pause_ms = pause_jittered_ms(400, 404, random);
        assert_in_range(pause_ms, 400, 404);
        seen[pause_ms - 400] = true;
    }
    for (size_t i = 0; i < 5; i++)
        assert_true(seen[i]);
    assert_int_equal(pause_jittered_ms(7, 7, UINT32_MAX), 7);
    assert_int_equal(pause_jittered_ms(0, INT64_C(4) << 40, UINT32_MAX), UINT32_MAX);
}

/* A lease that ran out between the look at the facts and the setting of the timer was waited for
 * until something else happened, maybe for ever. */
static void a_deadline_that_passes_after_the_look_is_due_at_once(void **state)
{
    (void)state;
    assert_int_equal(timer_wait_ms(1500, 1000, 1010), 490);
    assert_int_equal(timer_wait_ms(1001, 1000, 1001), 0);
    assert_int_equal(timer_wait_ms(1001, 1000, 1400), 0);
    assert_int_equal(timer_wait_ms(1000, 1000, 1400), -1);
    assert_int_equal(timer_wait_ms(0, 1000, 1400), -1);
}

static void one_looks_the_more_rarely_the_longer_nothing_changed(void **state)
{
    (void)state;
    assert_int_equal(peers_patience_ms(0, 5000), 100);
    assert_int_equal(peers_patience_ms(800, 5000), 100);
    assert_int_equal(peers_patience_ms(801, 5000), 200);
    assert_int_equal(peers_patience_ms(10000, 5000), 1600);
    assert_int_equal(peers_patience_ms(INT64_C(86400000), 5000), 5000);
    assert_int_equal(peers_patience_ms(0, 50), 50);
    int before = 0;
    for (int64_t waited = 0; waited < 100000; waited += 37) {
        int period = peers_patience_ms(waited, 5000);
        assert_true(period >= before && period <= 5000);
        before = period;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_goes_at_once_and_then_one_each_so_often),
        cmocka_unit_test(a_long_rest_earns_no_more_than_the_burst),
        cmocka_unit_test(a_pause_with_jitter_stays_within_its_bounds_and_reaches_both),
        cmocka_unit_test(a_deadline_that_passes_after_the_look_is_due_at_once),
        cmocka_unit_test(one_looks_the_more_rarely_the_longer_nothing_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
