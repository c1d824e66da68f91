#include "kube_server.h"

/* A server that keeps one Lease, with compare-and-swap, and two candidates. */
enum { LEASE_SECONDS = 15 }; /* of quick.second_ms each: 300 ms */

struct candidate {
    struct scene *scene;
    struct kube *kube;
    struct kube_elect *elect;
    const char *name;
    int started, stopped, released;
    int64_t stopped_ms;
    char why[512];
};

struct scene {
    struct world world;
    cJSON *lease;
    int version, writes;
    bool refuse_writes;    /* 500 for every PUT */
    bool lose_answers;     /* writes are stored, but never answered */
    bool silent;           /* nothing is answered */
    int64_t last_write_ms; /* when a write was stored last */
    struct candidate a, b;
};

static void put_version(struct scene *s)
{
    char text[20];
    snprintf(text, sizeof text, "%d", ++s->version);
    json_set_str(json_add_object(s->lease, "metadata"), "resourceVersion", text);
    s->writes++;
    s->last_write_ms = clock_boot_ms();
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
    if (!s->lose_answers)
        reply_lease(s, x);
}

static void keep_lease(struct server *server, struct exchange *x)
{
    struct scene *s = server->arg;
    if (s->silent)
        return;
    if (strcmp(x->method, "POST") == 0 && s->lease != NULL)
        reply(x, 409, "",
              "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"there\"}");
    else if (strcmp(x->method, "GET") != 0)
        store(s, x);
    else if (s->lease == NULL)
        reply(x, 404, "", "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"none\"}");
    else
        reply_lease(s, x);
}

static bool both_lead(const struct scene *s)
{
    return s->a.elect != NULL && s->b.elect != NULL && kube_elect_leads(s->a.elect) &&
           kube_elect_leads(s->b.elect);
}

static void on_started(void *arg)
{
    struct candidate *c = arg;
    c->started++;
    assert_true(kube_elect_leads(c->elect));
    assert_false(both_lead(c->scene));
}

static void on_stopped(void *arg, const char *why)
{
    struct candidate *c = arg;
    c->stopped++;
    c->stopped_ms = clock_boot_ms();
    snprintf(c->why, sizeof c->why, "%s", why);
    assert_false(kube_elect_leads(c->elect));
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
    kube_set_timing(c->kube, &quick);
    const struct kube_elect_options options = {"n",        "lead",     name, LEASE_SECONDS,
                                               on_started, on_stopped, c};
    c->elect = kube_elect_new(c->kube, &options);
}

static void leave(struct candidate *c)
{
    kube_elect_free(c->elect);
    kube_free(c->kube);
    c->elect = NULL;
    c->kube = NULL;
}

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    world_open(&s->world, keep_lease, s);
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
    enter(s, &s->a, "a");
    assert_false(kube_elect_leads(s->a.elect));
    run_until(s->world.loop, &s->a.started, 1);
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
    run_until(s->world.loop, &s->writes, 4);
    assert_int_equal(s->a.started, 1);
    assert_int_equal(s->a.stopped, 0);
    /* The GET at the start; then writes alone. */
    assert_int_equal(s->world.server->requests, 5);
}

static void another_candidate_waits_while_the_lease_is_renewed(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->a.started, 1);
    enter(s, &s->b, "b");
    run_for_ms(s->world.loop, 3 * LEASE_SECONDS * quick.second_ms);
    assert_int_equal(s->b.started, 0);
    assert_true(kube_elect_leads(s->a.elect));
}

static void a_dead_leaders_lease_is_taken_when_it_was_still_for_its_duration(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->a.started, 1);
    leave(&s->a);
    int64_t written_ms = s->last_write_ms;
    enter(s, &s->b, "b");
    run_until(s->world.loop, &s->b.started, 1);
    assert_true(clock_boot_ms() - written_ms >= LEASE_SECONDS * quick.second_ms);
    assert_string_equal(json_str(s->lease, "spec.holderIdentity", ""), "b");
    assert_int_equal(json_int(s->lease, "spec.leaseTransitions", -1), 1);
}

static void a_foreign_clock_does_not_count(void **state)
{
    struct scene *s = *state;
    set_lease(s, "{\"metadata\":{\"name\":\"lead\"},\"spec\":{\"holderIdentity\":\"old\","
                 "\"leaseDurationSeconds\":15,\"renewTime\":\"1999-01-01T00:00:00.000000Z\"}}");
    int64_t begun_ms = clock_boot_ms();
    enter(s, &s->b, "b");
    run_until(s->world.loop, &s->b.started, 1);
    assert_true(clock_boot_ms() - begun_ms >= LEASE_SECONDS * quick.second_ms);
}

static void an_empty_lease_is_taken_at_once(void **state)
{
    struct scene *s = *state;
    set_lease(
        s, "{\"metadata\":{\"name\":\"lead\",\"labels\":{\"keep\":\"me\"},\"managedFields\":[{}]},"
           "\"spec\":{\"holderIdentity\":\"\",\"leaseTransitions\":4}}");
    enter(s, &s->b, "b");
    run_until(s->world.loop, &s->b.started, 1);
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
    run_until(s->world.loop, &s->b.started, 1);
    assert_int_equal(json_int(s->lease, "spec.leaseTransitions", -1), 4);
}

static void a_leader_that_cannot_renew_stops_before_others_may_take_over(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->a.started, 1);
    enter(s, &s->b, "b");
    run_until(s->world.loop, &s->writes, 3);
    s->refuse_writes = true;
    int64_t last_ms = s->last_write_ms;
    run_until(s->world.loop, &s->a.stopped, 1);
    assert_true(s->a.stopped_ms - last_ms < LEASE_SECONDS * quick.second_ms * 3 / 4);
    assert_non_null(strstr(s->a.why, "could not be renewed in time: "));
    s->refuse_writes = false;
    while (s->a.started + s->b.started < 2)
        run_for_ms(s->world.loop, 5);
    assert_false(both_lead(s));
}

static void a_silent_server_stops_the_leader_in_time(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->a.started, 1);
    s->silent = true;
    int64_t last_ms = s->last_write_ms;
    run_until(s->world.loop, &s->a.stopped, 1);
    assert_true(s->a.stopped_ms - last_ms < LEASE_SECONDS * quick.second_ms * 3 / 4);
}

static void a_frozen_leader_knows_that_it_leads_no_more(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->a.started, 1);
    int64_t until_ms = clock_boot_ms() + LEASE_SECONDS * quick.second_ms * 2 / 3 + 1;
    while (clock_boot_ms() < until_ms)
        ; /* the loop does not run: no timer can tell us */
    assert_false(kube_elect_leads(s->a.elect));
    run_until(s->world.loop, &s->a.stopped, 1);
    run_until(s->world.loop, &s->a.started, 2);
}

static void a_lease_taken_by_another_is_given_up(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->a.started, 1);
    set_lease(s, "{\"metadata\":{\"name\":\"lead\"},\"spec\":{\"holderIdentity\":\"thief\","
                 "\"leaseDurationSeconds\":15}}");
    run_until(s->world.loop, &s->a.stopped, 1);
    assert_string_equal(s->a.why, "the lease is held by 'thief'");
    run_until(s->world.loop, &s->a.started, 2);
}

static void a_deleted_lease_is_made_again(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->a.started, 1);
    cJSON_Delete(s->lease);
    s->lease = NULL;
    int before = s->writes;
    run_until(s->world.loop, &s->writes, before + 2);
    assert_int_equal(s->a.stopped, 0);
    assert_string_equal(json_str(s->lease, "spec.holderIdentity", ""), "a");
}

static void a_write_whose_answer_is_lost_is_found_again(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->a.started, 1);
    s->lose_answers = true;
    run_until(s->world.loop, &s->writes, 2);
    s->lose_answers = false;
    run_until(s->world.loop, &s->writes, 5);
    assert_true(kube_elect_leads(s->a.elect));
    assert_int_equal(s->a.stopped, 0);
}

static void a_release_hands_over_at_once(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->a.started, 1);
    enter(s, &s->b, "b");
    run_for_ms(s->world.loop, 50);
    int64_t begun_ms = clock_boot_ms();
    kube_elect_release(s->a.elect, on_released, &s->a);
    assert_false(kube_elect_leads(s->a.elect));
    run_until(s->world.loop, &s->a.released, 1);
    run_until(s->world.loop, &s->b.started, 1);
    assert_true(clock_boot_ms() - begun_ms < LEASE_SECONDS * quick.second_ms / 2);
    run_for_ms(s->world.loop, LEASE_SECONDS * quick.second_ms);
    assert_int_equal(s->a.started, 1);
    assert_int_equal(s->a.stopped, 0);
}

static void a_release_waits_for_a_write_under_way(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->world.server->requests, 2);
    /* The POST is stored, its answer not read yet. */
    kube_elect_release(s->a.elect, on_released, &s->a);
    run_until(s->world.loop, &s->a.released, 1);
    assert_int_equal(s->a.started, 0);
    assert_string_equal(json_str(s->lease, "spec.holderIdentity", "?"), "");
}

static void a_release_leaves_the_lease_of_another_alone(void **state)
{
    struct scene *s = *state;
    set_lease(s, "{\"metadata\":{\"name\":\"lead\"},\"spec\":{\"holderIdentity\":\"other\","
                 "\"leaseDurationSeconds\":15}}");
    enter(s, &s->a, "a");
    run_for_ms(s->world.loop, 30);
    kube_elect_release(s->a.elect, on_released, &s->a);
    run_until(s->world.loop, &s->a.released, 1);
    assert_int_equal(s->writes, 0);
}

static void a_release_ends_when_the_server_is_away(void **state)
{
    struct scene *s = *state;
    enter(s, &s->a, "a");
    run_until(s->world.loop, &s->a.started, 1);
    s->silent = true;
    kube_elect_release(s->a.elect, on_released, &s->a);
    run_until(s->world.loop, &s->a.released, 1);
}

static void two_candidates_never_both_lead(void **state)
{
    struct scene *s = *state;
    unsigned seed = 7;
    enter(s, &s->a, "a");
    enter(s, &s->b, "b");
    for (int turn = 0; turn < 60; turn++) {
        s->refuse_writes = rand_r(&seed) % 4 == 0;
        s->lose_answers = rand_r(&seed) % 5 == 0;
        int64_t end_ms = clock_boot_ms() + rand_r(&seed) % 120;
        while (clock_boot_ms() < end_ms) {
            event_base_loop(s->world.loop, EVLOOP_NONBLOCK);
            assert_false(both_lead(s));
        }
        if (rand_r(&seed) % 12 == 0) {
            struct candidate *c = rand_r(&seed) % 2 ? &s->a : &s->b;
            const char *name = c->name;
            leave(c);
            enter(s, c, name);
        }
    }
    assert_true(s->a.started + s->b.started > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_candidate_makes_the_lease_and_leads),
        TEST(a_leader_renews_every_third_of_the_lease),
        TEST(another_candidate_waits_while_the_lease_is_renewed),
        TEST(a_dead_leaders_lease_is_taken_when_it_was_still_for_its_duration),
        TEST(a_foreign_clock_does_not_count),
        TEST(an_empty_lease_is_taken_at_once),
        TEST(a_lease_under_our_own_name_is_taken_at_once),
        TEST(a_leader_that_cannot_renew_stops_before_others_may_take_over),
        TEST(a_silent_server_stops_the_leader_in_time),
        TEST(a_frozen_leader_knows_that_it_leads_no_more),
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
