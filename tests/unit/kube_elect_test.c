#include "kube_time.h"

/* A server that keeps one Lease, with compare-and-swap, and two candidates in virtual time. */
enum { LEASE_SECONDS = 15, LEASE_MS = LEASE_SECONDS * 1000, LEADS_MS = LEASE_MS * 2 / 3 };

struct candidate {
    struct scene *scene;
    struct kube *kube;
    struct kube_elect *elect;
    struct virtual_clock clock;
    const char *name;
    int started, stopped, released;
    int64_t started_ms, stopped_ms;
    char why[512];
};

struct scene {
    struct world world;
    int64_t now_ms;
    cJSON *lease;
    int version, writes;
    bool refuse_writes; /* 500 for every write */
    bool lose_answers;  /* writes are stored, but never answered */
    int conflicts;      /* so many creations get 409 */
    bool silent;        /* nothing is answered */
    int overloads;      /* so many writes get 429, to come back in 6 s */
    bool hold_writes;   /* the answer to a write waits in `held` */
    struct exchange *held;
    int64_t last_write_ms; /* when a write was stored last */
    int started, answered; /* exchanges of candidates that left */
    struct candidate a, b;
};

static void put_version(struct scene *s)
{
    char text[20];
    snprintf(text, sizeof text, "%d", ++s->version);
    json_set_str(json_add_object(s->lease, "metadata"), "resourceVersion", text);
    s->writes++;
    s->last_write_ms = s->now_ms;
}

static void reply_lease(struct scene *s, struct exchange *x)
{
    char *text = cJSON_PrintUnformatted(s->lease);
    reply(x, 200, "", text);
    free(text);
}

static const char conflict[] =
    "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"message\":\"changed\"}";

static void store(struct scene *s, struct exchange *x)
{
    cJSON *body = cJSON_Parse(x->body);
    const char *have = json_str(s->lease, "metadata.resourceVersion", "");
    const char *sent = json_str(body, "metadata.resourceVersion", "");
    if (s->refuse_writes || strcmp(have, sent) != 0) {
        cJSON_Delete(body);
        reply(x, s->refuse_writes ? 500 : 409, "", conflict);
        return;
    }
    cJSON_Delete(s->lease);
    s->lease = body;
    put_version(s);
    if (s->hold_writes)
        s->held = x;
    else if (!s->lose_answers)
        reply_lease(s, x);
}

static void keep_lease(struct server *server, struct exchange *x)
{
    struct scene *s = server->arg;
    if (s->silent)
        return;
    if (strcmp(x->method, "PUT") == 0 && s->overloads > 0 && s->overloads--)
        reply(x, 429, "Retry-After: 6\r\n", "{\"kind\":\"Status\",\"message\":\"busy\"}");
    else if (strcmp(x->method, "POST") == 0 && (s->lease != NULL || s->conflicts-- > 0))
        reply(x, 409, "",
              "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"there\"}");
    else if (strcmp(x->method, "GET") != 0)
        store(s, x);
    else if (s->lease == NULL)
        reply(x, 404, "", "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"none\"}");
    else
        reply_lease(s, x);
}

static bool leads(const struct candidate *c)
{
    return c->elect != NULL && kube_elect_leads(c->elect);
}

static void on_started(void *arg)
{
    struct candidate *c = arg;
    c->started++;
    c->started_ms = c->scene->now_ms;
    assert_true(leads(c));
    assert_false(leads(&c->scene->a) && leads(&c->scene->b));
}

static void on_stopped(void *arg, const char *why)
{
    struct candidate *c = arg;
    c->stopped++;
    c->stopped_ms = c->scene->now_ms;
    snprintf(c->why, sizeof c->why, "%s", why);
    assert_false(leads(c));
}

static void on_released(void *arg)
{
    struct candidate *c = arg;
    c->released++;
}

static void enter(struct scene *s, struct candidate *c, const char *name)
{
    struct error err;
    *c = (struct candidate){.scene = s, .name = name};
    assert_int_equal(kube_new(s->world.loop, &s->world.config, "x", &c->kube, &err), 0);
    virtual_clock_init(&c->clock, &s->now_ms);
    kube_set_clock(c->kube, &c->clock.clock);
    const struct kube_elect_options options = {"n",        "lead",     name, LEASE_SECONDS,
                                               on_started, on_stopped, c};
    c->elect = kube_elect_new(c->kube, &options);
}

static void leave(struct candidate *c)
{
    if (c->kube == NULL)
        return;
    c->scene->started += c->kube->started;
    c->scene->answered += c->kube->answered;
    kube_elect_free(c->elect);
    kube_free(c->kube);
    c->elect = NULL;
    c->kube = NULL;
}

/* Nothing is on its way: every request arrived, and every answer that was given. */
static bool is_settled(const struct scene *s)
{
    int started = s->started, answered = s->answered;
    const struct kube *kubes[] = {s->a.kube, s->b.kube};
    for (int i = 0; i < 2; i++) {
        started += kubes[i] ? kubes[i]->started : 0;
        answered += kubes[i] ? kubes[i]->answered : 0;
    }
    return started == s->world.server->requests && answered == s->world.server->answered;
}

static void settle(struct scene *s)
{
    const int never = 0;
    for (int turn = 0; turn < 3; turn++) {
        event_base_loop(s->world.loop, EVLOOP_NONBLOCK);
        for (int waits = 0; !is_settled(s); waits++) {
            (void)run_loop(s->world.loop, &never, 1, 1);
            assert_true(waits < DEADLINE_S * 1000);
        }
        assert_false(leads(&s->a) && leads(&s->b));
    }
}

/* Lets time pass to the next timer, or to the end. False at the end. */
static bool step(struct scene *s, int64_t end_ms)
{
    settle(s);
    int64_t a_ms = s->a.kube ? next_due_ms(&s->a.clock) : -1;
    int64_t b_ms = s->b.kube ? next_due_ms(&s->b.clock) : -1;
    int64_t next = a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
    bool more = next >= 0 && next <= end_ms;
    if (more && next > s->now_ms)
        s->now_ms = next;
    else if (!more)
        s->now_ms = end_ms;
    if (s->a.kube != NULL)
        fire_due(&s->a.clock);
    if (s->b.kube != NULL)
        fire_due(&s->b.clock);
    settle(s);
    return more;
}

static void pass_ms(struct scene *s, int64_t ms)
{
    int64_t end_ms = s->now_ms + ms;
    while (step(s, end_ms))
        ;
}

static void pass_until(struct scene *s, const int *flag, int wanted)
{
    int64_t end_ms = s->now_ms + 20 * LEASE_MS;
    settle(s);
    while (*flag < wanted && step(s, end_ms))
        ;
    if (*flag < wanted)
        fail_msg("it did not happen in time: %d of %d", *flag, wanted);
}

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    world_open(&s->world, keep_lease, s);
    s->now_ms = 1000000;
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    leave(&s->a);
    leave(&s->b);
    world_close(&s->world);
    cJSON_Delete(s->lease);
    free(s);
    return 0;
}

static void set_lease(struct scene *s, const char *text)
{
    cJSON_Delete(s->lease);
    s->lease = cJSON_Parse(text);
    assert_non_null(s->lease);
    put_version(s);
    s->writes = 0;
}

static void the_first_candidate_makes_the_lease_and_leads(void **state)
{
    struct scene *s = *state;
    int64_t begun_ms = s->now_ms;
    enter(s, &s->a, "a");
    assert_false(leads(&s->a));
    pass_until(s, &s->a.started, 1);
    assert_int_equal(s->a.started_ms, begun_ms);
    assert_string_equal(json_str(s->lease, "spec.holderIdentity", ""), "a");
    assert_int_equal(json_int(s->lease, "spec.leaseDurationSeconds", 0), LEASE_SECONDS);
    assert_int_equal(json_int(s->lease, "spec.leaseTransitions", -1), 0);
    assert_true(clock_parse_rfc3339(json_str(s->lease, "spec.renewTime", NULL)) > 0);
    assert_string_equal(json_str(s->lease, "metadata.name", ""), "lead");
}

static void a_leader_renews_every_third_of_the_lease(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_ms(s, 10 * LEASE_MS);
    assert_int_equal(s->writes, 31);
    assert_int_equal(s->a.started, 1);
    assert_int_equal(s->a.stopped, 0);
    /* The GET at the start; then writes alone. */
    assert_int_equal(s->world.server->requests, 32);
}

static void another_candidate_waits_while_the_lease_is_renewed(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    enter(s, &s->b, "b");
    pass_ms(s, 20 * LEASE_MS);
    assert_int_equal(s->b.started, 0);
    assert_true(leads(&s->a));
}

static void a_dead_leaders_lease_is_taken_when_it_was_still_for_its_duration(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    leave(&s->a);
    enter(s, &s->b, "b");
    int64_t seen_ms = s->now_ms;
    pass_until(s, &s->b.started, 1);
    assert_in_range(s->b.started_ms - seen_ms, LEASE_MS, LEASE_MS + 10);
    assert_string_equal(json_str(s->lease, "spec.holderIdentity", ""), "b");
    assert_int_equal(json_int(s->lease, "spec.leaseTransitions", -1), 1);
}

/* Somebody wrote into it: without a bound no operator would lead for 68 years, or two at once. */
static void a_term_that_no_operator_would_write_is_bounded(void **state)
{
    static const struct {
        const char *seconds;
        int64_t least_ms, most_ms;
    } table[] = {
        {"2147483647", LEASE_MS, 8 * LEASE_MS + 10},
        {"9223372036854775807", LEASE_MS, 8 * LEASE_MS + 10},
        {"1", LEASE_MS, LEASE_MS + 10},
        {"-7", LEASE_MS, LEASE_MS + 10},
        {"-9000000000000000000", LEASE_MS, LEASE_MS + 10},
    };
    struct scene *s = *state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        AUTO_ARENA arena = arena_new();
        set_lease(s, arena_printf(arena,
                                  "{\"metadata\":{\"name\":\"lead\"},\"spec\":{"
                                  "\"holderIdentity\":\"old\",\"leaseDurationSeconds\":%s,"
                                  "\"renewTime\":\"1999-01-01T00:00:00.000000Z\"}}",
                                  table[i].seconds));
        int64_t begun_ms = s->now_ms;
        enter(s, &s->b, "b");
        pass_until(s, &s->b.started, 1);
        assert_in_range(s->b.started_ms - begun_ms, table[i].least_ms, table[i].most_ms);
        leave(&s->b);
    }
}

static void a_foreign_clock_does_not_count(void **state)
{
    struct scene *s = *state;
    set_lease(s, "{\"metadata\":{\"name\":\"lead\"},\"spec\":{\"holderIdentity\":\"old\","
                 "\"leaseDurationSeconds\":15,\"renewTime\":\"1999-01-01T00:00:00.000000Z\"}}");
    int64_t begun_ms = s->now_ms;
    enter(s, &s->b, "b");
    pass_until(s, &s->b.started, 1);
    assert_true(s->b.started_ms - begun_ms >= LEASE_MS);
}

static void a_storm_of_conflicts_costs_little_time(void **state)
{
    struct scene *s = *state;
    int64_t begun_ms = s->now_ms;
    s->conflicts = 5;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    assert_in_range(s->a.started_ms - begun_ms, 1, 5 * LEASE_MS / 50);
}

static void an_empty_lease_is_taken_at_once(void **state)
{
    struct scene *s = *state;
    set_lease(
        s, "{\"metadata\":{\"name\":\"lead\",\"labels\":{\"keep\":\"me\"},\"managedFields\":[{}]},"
           "\"spec\":{\"holderIdentity\":\"\",\"leaseTransitions\":4}}");
    enter(s, &s->b, "b");
    pass_ms(s, 0);
    assert_true(leads(&s->b));
    assert_int_equal(json_int(s->lease, "spec.leaseTransitions", -1), 5);
    assert_string_equal(json_str(s->lease, "metadata.labels.keep", ""), "me");
    assert_null(json_get(s->lease, "metadata.managedFields"));
}

static void a_lease_under_our_own_name_is_taken_at_once(void **state)
{
    struct scene *s = *state;
    set_lease(s, "{\"metadata\":{\"name\":\"lead\"},\"spec\":{\"holderIdentity\":\"b\","
                 "\"leaseDurationSeconds\":1000,\"leaseTransitions\":4}}");
    enter(s, &s->b, "b");
    pass_ms(s, 0);
    assert_true(leads(&s->b));
    assert_int_equal(json_int(s->lease, "spec.leaseTransitions", -1), 4);
}

static void a_leader_that_cannot_renew_stops_before_others_may_take_over(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    enter(s, &s->b, "b");
    pass_until(s, &s->writes, 3);
    s->refuse_writes = true;
    pass_until(s, &s->a.stopped, 1);
    assert_int_equal(s->a.stopped_ms - s->last_write_ms, LEADS_MS);
    assert_non_null(strstr(s->a.why, "could not be renewed in time: "));
    leave(&s->a);
    s->refuse_writes = false;
    int64_t last_ms = s->last_write_ms;
    pass_until(s, &s->b.started, 1);
    assert_true(s->b.started_ms - last_ms >= LEASE_MS);
}

static void a_refusal_that_asks_for_a_pause_is_tried_again_in_time(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    s->overloads = 1;
    pass_ms(s, 3 * LEASE_MS);
    assert_int_equal(s->overloads, 0);
    assert_int_equal(s->a.stopped, 0);
    assert_true(leads(&s->a));
}

static void a_silent_server_stops_the_leader_in_time(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    s->silent = true;
    pass_until(s, &s->a.stopped, 1);
    assert_int_equal(s->a.stopped_ms - s->last_write_ms, LEADS_MS);
    assert_non_null(strstr(s->a.why, "no answer to PUT"));
}

static void a_frozen_leader_knows_that_it_leads_no_more(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    s->a.clock.frozen = true;
    pass_ms(s, LEADS_MS);
    assert_int_equal(s->a.stopped, 0); /* nothing ran that could have told it */
    assert_false(leads(&s->a));
    s->a.clock.frozen = false;
    pass_until(s, &s->a.stopped, 1);
    pass_until(s, &s->a.started, 2);
}

static void a_renewal_that_is_answered_too_late_proves_nothing(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    s->hold_writes = true;
    pass_until(s, &s->writes, 2);
    s->a.clock.frozen = true;
    pass_ms(s, LEADS_MS);
    enter(s, &s->b, "b");
    s->hold_writes = false;
    reply_lease(s, s->held);
    pass_ms(s, LEASE_MS / 5);
    assert_false(leads(&s->a));
}

static void a_lease_that_was_won_too_late_is_not_led_by(void **state)
{
    struct scene *s = *state;
    s->hold_writes = true;
    enter(s, &s->a, "a");
    pass_until(s, &s->writes, 1);
    s->a.clock.frozen = true;
    pass_ms(s, LEADS_MS);
    s->hold_writes = false;
    reply_lease(s, s->held);
    pass_ms(s, 0);
    assert_int_equal(s->a.started, 0);
    s->a.clock.frozen = false;
    pass_until(s, &s->a.started, 1);
    assert_true(leads(&s->a));
}

static void a_lease_taken_by_another_is_given_up(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    set_lease(s, "{\"metadata\":{\"name\":\"lead\"},\"spec\":{\"holderIdentity\":\"thief\","
                 "\"leaseDurationSeconds\":15}}");
    pass_until(s, &s->a.stopped, 1);
    assert_string_equal(s->a.why, "the lease is held by 'thief'");
    pass_until(s, &s->a.started, 2);
    assert_true(s->a.started_ms - s->a.stopped_ms >= LEASE_MS);
}

static void a_deleted_lease_is_made_again(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    cJSON_Delete(s->lease);
    s->lease = NULL;
    pass_ms(s, LEASE_MS);
    assert_int_equal(s->a.stopped, 0);
    assert_true(leads(&s->a));
    assert_string_equal(json_str(s->lease, "spec.holderIdentity", ""), "a");
}

static void a_write_whose_answer_is_lost_is_found_again(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    s->lose_answers = true;
    pass_until(s, &s->writes, 2);
    s->lose_answers = false;
    pass_ms(s, 3 * LEASE_MS);
    assert_true(leads(&s->a));
    assert_int_equal(s->a.stopped, 0);
}

static void a_release_hands_over_at_once(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    enter(s, &s->b, "b");
    pass_ms(s, LEASE_MS);
    int64_t begun_ms = s->now_ms;
    kube_elect_release(s->a.elect, on_released, &s->a);
    assert_false(leads(&s->a));
    pass_until(s, &s->a.released, 1);
    pass_until(s, &s->b.started, 1);
    assert_in_range(s->b.started_ms - begun_ms, 0, 2500);
    pass_ms(s, 3 * LEASE_MS);
    assert_int_equal(s->a.started, 1);
    assert_int_equal(s->a.stopped, 0);
}

static void a_release_waits_for_a_write_under_way(void **state)
{
    struct scene *s = *state;
    s->hold_writes = true;
    enter(s, &s->a, "a");
    pass_until(s, &s->writes, 1);
    kube_elect_release(s->a.elect, on_released, &s->a);
    pass_ms(s, 10);
    assert_int_equal(s->a.released, 0);
    s->hold_writes = false;
    reply_lease(s, s->held);
    pass_until(s, &s->a.released, 1);
    assert_int_equal(s->a.started, 0);
    assert_string_equal(json_str(s->lease, "spec.holderIdentity", "?"), "");
}

static void a_release_leaves_the_lease_of_another_alone(void **state)
{
    struct scene *s = *state;
    set_lease(s, "{\"metadata\":{\"name\":\"lead\"},\"spec\":{\"holderIdentity\":\"other\","
                 "\"leaseDurationSeconds\":15}}");
    enter(s, &s->a, "a");
    pass_ms(s, 1000);
    kube_elect_release(s->a.elect, on_released, &s->a);
    pass_until(s, &s->a.released, 1);
    assert_int_equal(s->writes, 0);
}

static void a_release_ends_when_the_server_is_away(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    pass_until(s, &s->a.started, 1);
    s->silent = true;
    int64_t begun_ms = s->now_ms;
    kube_elect_release(s->a.elect, on_released, &s->a);
    pass_until(s, &s->a.released, 1);
    assert_true(s->now_ms - begun_ms <= LEASE_MS / 3);
}

/* Faults for some seconds, then a while without, so that somebody gets to lead. */
static void trouble(struct scene *s, unsigned *seed)
{
    struct candidate *c = rand_r(seed) % 2 ? &s->a : &s->b;
    s->refuse_writes = rand_r(seed) % 4 == 0;
    s->lose_answers = rand_r(seed) % 5 == 0;
    s->silent = rand_r(seed) % 6 == 0;
    c->clock.frozen = rand_r(seed) % 3 == 0;
    pass_ms(s, rand_r(seed) % (2 * LEASE_MS));
    s->refuse_writes = s->lose_answers = s->silent = false;
    pass_ms(s, rand_r(seed) % LEASE_MS);
    c->clock.frozen = false;
    if (rand_r(seed) % 5 == 0) {
        const char *name = c->name;
        leave(c);
        enter(s, c, name);
    }
}

/* How often the lead changed within so many turns. settle() looks at every step whether both lead.
 */
static int reigns_of(struct scene *s, unsigned seed, int turns)
{
    int reigns = 0;
    for (int turn = 0; turn < turns; turn++) {
        int before = s->a.started + s->b.started;
        trouble(s, &seed);
        reigns += s->a.started + s->b.started > before;
    }
    return reigns;
}

/* More of it: PGKEEL_ELECTIONS=500 seeds. */
static void two_candidates_never_both_lead(void **state)
{
    struct scene *s = *state;
    const char *more = getenv("PGKEEL_ELECTIONS");
    int seeds = more ? atoi(more) : 1;
    enter(s, &s->a, "a");
    enter(s, &s->b, "b");
    for (int i = 0; i < seeds; i++)
        assert_true(reigns_of(s, 7 + (unsigned)i, 150) > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_candidate_makes_the_lease_and_leads),
        TEST(a_leader_renews_every_third_of_the_lease),
        TEST(another_candidate_waits_while_the_lease_is_renewed),
        TEST(a_dead_leaders_lease_is_taken_when_it_was_still_for_its_duration),
        TEST(a_term_that_no_operator_would_write_is_bounded),
        TEST(a_foreign_clock_does_not_count),
        TEST(a_storm_of_conflicts_costs_little_time),
        TEST(an_empty_lease_is_taken_at_once),
        TEST(a_lease_under_our_own_name_is_taken_at_once),
        TEST(a_leader_that_cannot_renew_stops_before_others_may_take_over),
        TEST(a_refusal_that_asks_for_a_pause_is_tried_again_in_time),
        TEST(a_silent_server_stops_the_leader_in_time),
        TEST(a_frozen_leader_knows_that_it_leads_no_more),
        TEST(a_renewal_that_is_answered_too_late_proves_nothing),
        TEST(a_lease_that_was_won_too_late_is_not_led_by),
        TEST(a_lease_taken_by_another_is_given_up),
        TEST(a_deleted_lease_is_made_again),
        TEST(a_write_whose_answer_is_lost_is_found_again),
        TEST(a_release_hands_over_at_once),
        TEST(a_release_waits_for_a_write_under_way),
        TEST(a_release_leaves_the_lease_of_another_alone),
        TEST(a_release_ends_when_the_server_is_away),
        TEST(two_candidates_never_both_lead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
