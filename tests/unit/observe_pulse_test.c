#include "observe_test.h"

/* Time as the tests want it. */
static int64_t now_ms;

static int64_t boot_ms(void)
{
    return now_ms;
}

static int make_timed_world(void **state)
{
    make_world(state);
    struct world *w = *state;
    now_ms = 1000 * 1000;
    w->observe->boot_ms = boot_ms;
    see(w, -1,
        parse(w, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"c\","
                 "\"resourceVersion\":\"1\"},\"spec\":{}}"));
    return 0;
}

static cJSON *lease(struct world *w, int version, const char *holder, int seconds, int renewed)
{
    return object(w, "a-primary", "u", version, "",
                  arena_printf(w->arena,
                               ",\"spec\":{\"holderIdentity\":\"%s\",\"leaseTransitions\":1,"
                               "\"leaseDurationSeconds\":%d,\"renewTime\":\"t%d\"}",
                               holder, seconds, renewed));
}

static struct seen_lease look(struct world *w)
{
    struct snapshot snapshot;
    assert_true(
        observe_snapshot(w->observe, w->arena, "n", "a", &(struct api_defaults){0}, &snapshot));
    return snapshot.lease;
}

static void listed(struct world *w, const cJSON *seen)
{
    cache_begin(feed_of(w, CHILD_LEASE));
    see(w, CHILD_LEASE, seen);
    cache_swept(feed_of(w, CHILD_LEASE));
}

static void a_renewal_that_is_seen_to_come_is_of_now(void **state)
{
    struct world *w = *state;
    see(w, CHILD_LEASE, lease(w, 2, "a-1/x", 8, 1));
    now_ms += 3000;
    assert_int_equal(look(w).pulse, PULSE_STEADY);
    assert_int_equal(look(w).silent_ms, 3000);
    see(w, CHILD_LEASE, lease(w, 3, "a-1/x", 8, 2));
    assert_int_equal(look(w).silent_ms, 0);
}

static void a_lease_in_a_list_may_be_of_any_age(void **state)
{
    struct world *w = *state;
    listed(w, lease(w, 2, "a-1/x", 8, 1));
    assert_int_equal(look(w).pulse, PULSE_UNSEEN);
    int changes = w->changes;
    see(w, CHILD_LEASE, lease(w, 3, "a-1/x", 8, 2));
    assert_int_equal(look(w).pulse, PULSE_STEADY);
    assert_int_equal(w->changes, changes + 1); /* what waited for it is looked at again */
    see(w, CHILD_LEASE, lease(w, 4, "a-1/x", 8, 3));
    assert_int_equal(w->changes, changes + 1);
}

static void a_list_after_a_cut_watch_proves_only_that_nothing_came(void **state)
{
    struct world *w = *state;
    see(w, CHILD_LEASE, lease(w, 2, "a-1/x", 8, 1));
    now_ms += 2000;
    listed(w, lease(w, 2, "a-1/x", 8, 1));
    assert_int_equal(look(w).pulse, PULSE_STEADY);
    assert_int_equal(look(w).silent_ms, 2000);
    now_ms += 2000;
    listed(w, lease(w, 9, "a-1/x", 8, 5));
    assert_int_equal(look(w).pulse, PULSE_UNSEEN);
}

static void a_lease_is_overdue_only_once_it_was_asked_for(void **state)
{
    struct world *w = *state;
    see(w, CHILD_LEASE, lease(w, 2, "a-1/x", 8, 1));
    now_ms += 8000;
    assert_false(observe_lease_doubtful(w->observe, "n", "a"));
    now_ms += 1;
    int changes = w->changes;
    pulse_look(w->observe);
    pulse_look(w->observe);
    assert_int_equal(w->changes, changes + 1);
    assert_true(observe_lease_doubtful(w->observe, "n", "a"));
    assert_int_equal(look(w).pulse, PULSE_UNSEEN);
    observe_lease_asked(w->observe, lease(w, 2, "a-1/x", 8, 1));
    assert_int_equal(look(w).pulse, PULSE_OVERDUE);
    assert_false(observe_lease_doubtful(w->observe, "n", "a"));
    now_ms += 8000;
    assert_true(observe_lease_doubtful(w->observe, "n", "a")); /* now and then, when looked at */
    see(w, CHILD_LEASE, lease(w, 3, "a-1/x", 8, 2));
    assert_int_equal(look(w).pulse, PULSE_STEADY);
    assert_int_equal(w->changes, changes + 2);
}

static void a_watch_that_is_late_is_not_believed(void **state)
{
    struct world *w = *state;
    see(w, CHILD_LEASE, lease(w, 2, "a-1/x", 8, 1));
    now_ms += 9000;
    observe_lease_asked(w->observe, lease(w, 3, "a-1/x", 8, 2));
    assert_int_equal(look(w).pulse, PULSE_STEADY);
    assert_int_equal(look(w).silent_ms, 0);
}

static void an_answer_about_a_lease_that_is_gone_does_not_bring_it_back(void **state)
{
    struct world *w = *state;
    see(w, CHILD_LEASE, lease(w, 2, "a-1/x", 8, 1));
    cache_remove(w->observe, CHILD_LEASE, lease(w, 3, "a-1/x", 8, 1));
    observe_lease_asked(w->observe, lease(w, 2, "a-1/x", 8, 1));
    assert_null(kept(w, CHILD_LEASE, "a-primary"));
    assert_int_equal(look(w).silent_ms, 0);
}

static void what_others_write_on_a_lease_renews_nothing(void **state)
{
    struct world *w = *state;
    see(w, CHILD_LEASE, lease(w, 2, "a-1/x", 8, 1));
    now_ms += 5000;
    cJSON *labelled = lease(w, 3, "a-1/x", 8, 1);
    json_set_str(json_get(labelled, "metadata.labels"), "team", "shop");
    see(w, CHILD_LEASE, labelled);
    assert_int_equal(look(w).silent_ms, 5000);
}

static void a_lease_that_is_not_held_is_never_overdue(void **state)
{
    struct world *w = *state;
    see(w, CHILD_LEASE, lease(w, 2, "a-1/x", 8, 1));
    see(w, CHILD_LEASE, lease(w, 3, "", 8, 1));
    now_ms += 3600 * 1000;
    int changes = w->changes;
    pulse_look(w->observe);
    assert_int_equal(w->changes, changes);
    assert_int_equal(look(w).pulse, PULSE_STEADY);
    assert_false(observe_lease_doubtful(w->observe, "n", "a"));
}

static void a_lease_lasts_as_long_as_it_says_within_what_a_spec_may_say(void **state)
{
    static const struct {
        int seconds, lasts;
    } table[] = {{8, 8}, {60, 60}, {0, 5}, {-1, 5}, {1000000000, 120}};
    struct world *w = *state;
    for (int i = 0; i < (int)(sizeof table / sizeof table[0]); i++) {
        see(w, CHILD_LEASE, lease(w, 10 + i, "a-1/x", table[i].seconds, i));
        now_ms += table[i].lasts * 1000;
        assert_false(observe_lease_doubtful(w->observe, "n", "a"));
        now_ms++;
        assert_true(observe_lease_doubtful(w->observe, "n", "a"));
    }
}

static void a_term_that_somebody_writes_counts_from_the_holders_next_renewal_only(void **state)
{
    struct world *w = *state;
    see(w, CHILD_LEASE, lease(w, 2, "a-1/x", 8, 1));
    see(w, CHILD_LEASE, lease(w, 3, "a-1/x", 2147483647, 1));
    now_ms += 8001;
    assert_true(observe_lease_doubtful(w->observe, "n", "a"));
    see(w, CHILD_LEASE, lease(w, 4, "a-1/x", 60, 2));
    see(w, CHILD_LEASE, lease(w, 5, "a-1/x", 5, 2));
    now_ms += 59 * 1000;
    assert_false(observe_lease_doubtful(w->observe, "n", "a"));
}

static void a_pod_of_a_node_that_is_not_heard_of_is_known_by_its_conditions(void **state)
{
    static const struct {
        const char *ready, *containers, *reason;
        bool silent;
    } table[] = {
        {"True", "True", "", false},
        {"False", "False", "ContainersNotReady", false},
        {"False", "True", "", true},
        {"False", "True", "ReadinessGatesNotReady", false},
    };
    struct world *w = *state;
    for (int i = 0; i < (int)(sizeof table / sizeof table[0]); i++) {
        see(w, CHILD_POD,
            object(
                w, "a-1-0", "u", 10 + i, "",
                arena_printf(w->arena,
                             ",\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\","
                             "\"reason\":\"%s\"},{\"type\":\"ContainersReady\",\"status\":"
                             "\"%s\"}]}",
                             table[i].ready, table[i].reason, table[i].containers)));
        struct snapshot s;
        assert_true(
            observe_snapshot(w->observe, w->arena, "n", "a", &(struct api_defaults){0}, &s));
        assert_int_equal(s.instances[0].pod.node_silent, table[i].silent);
    }
}

#define timed(test) cmocka_unit_test_setup_teardown(test, make_timed_world, drop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        timed(a_renewal_that_is_seen_to_come_is_of_now),
        timed(a_lease_in_a_list_may_be_of_any_age),
        timed(a_list_after_a_cut_watch_proves_only_that_nothing_came),
        timed(a_lease_is_overdue_only_once_it_was_asked_for),
        timed(a_watch_that_is_late_is_not_believed),
        timed(an_answer_about_a_lease_that_is_gone_does_not_bring_it_back),
        timed(what_others_write_on_a_lease_renews_nothing),
        timed(a_lease_that_is_not_held_is_never_overdue),
        timed(a_lease_lasts_as_long_as_it_says_within_what_a_spec_may_say),
        timed(a_term_that_somebody_writes_counts_from_the_holders_next_renewal_only),
        timed(a_pod_of_a_node_that_is_not_heard_of_is_known_by_its_conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
