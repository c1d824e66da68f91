/* The agent's lease against a server that keeps one Lease with compare-and-swap; time passes only
 * when a test says so. */
#include "kube_time.h"

#include "api/names.h"
#include "base/json.h"
#include "member/lease.h"

enum { TERM_S = 9, TERM_MS = TERM_S * 1000, THIRD_MS = TERM_MS / 3 };

struct scene {
    struct world world;
    struct virtual_clock clock;
    int64_t now_ms;
    cJSON *object;
    int version, writes;
    int shown;              /* the last version that went to the watch */
    struct exchange *watch; /* the open one */
    bool deaf;              /* changes are not sent to the watch */
    bool lose_answers;      /* a write is stored, but not answered */
    struct lease *lease;
};

static void merge(cJSON *target, const cJSON *patch)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, patch) {
        cJSON *old = cJSON_GetObjectItemCaseSensitive(target, item->string);
        if (cJSON_IsObject(item) && cJSON_IsObject(old))
            merge(old, item);
        else if (cJSON_IsNull(item))
            cJSON_DeleteItemFromObjectCaseSensitive(target, item->string);
        else if (old != NULL)
            cJSON_ReplaceItemInObjectCaseSensitive(target, item->string, cJSON_Duplicate(item, 1));
        else
            cJSON_AddItemToObject(target, item->string, cJSON_Duplicate(item, 1));
    }
}

static void send_event(struct scene *s, const char *type)
{
    char *text = cJSON_PrintUnformatted(s->object);
    AUTO_ARENA arena = arena_new();
    if (s->watch != NULL) {
        send_line(s->watch, arena_printf(arena, "{\"type\":\"%s\",\"object\":%s}", type, text));
        s->shown = s->version;
    }
    free(text);
}

/* A write by somebody, or by the lease under test. */
static void store(struct scene *s, const char *patch)
{
    AUTO_ARENA arena = arena_new();
    cJSON *body = cJSON_Parse(patch);
    assert_non_null(body);
    merge(s->object, body);
    cJSON_Delete(body);
    body = cJSON_Parse(
        arena_printf(arena, "{\"metadata\":{\"resourceVersion\":\"%d\"}}", ++s->version));
    merge(s->object, body);
    cJSON_Delete(body);
    if (!s->deaf)
        send_event(s, "MODIFIED");
}

static void reply_object(struct scene *s, struct exchange *x)
{
    char *text = cJSON_PrintUnformatted(s->object);
    reply(x, 200, "", text);
    free(text);
}

static void write_object(struct scene *s, struct exchange *x)
{
    cJSON *body = cJSON_Parse(x->body);
    bool same = strcmp(json_str(body, "metadata.resourceVersion", ""),
                       json_str(s->object, "metadata.resourceVersion", "")) == 0;
    cJSON_Delete(body);
    if (!same) {
        reply(x, 409, "", "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"message\":\"changed\"}");
        return;
    }
    s->writes++;
    store(s, x->body);
    if (!s->lose_answers)
        reply_object(s, x);
}

static void keep_lease(struct server *server, struct exchange *x)
{
    struct scene *s = server->arg;
    if (strstr(x->target, "watch=true") != NULL || strstr(x->target, "watch=1") != NULL) {
        reply_stream(x);
        s->watch = x;
        send_event(s, "ADDED");
        AUTO_ARENA arena = arena_new();
        send_line(x, arena_printf(arena,
                                  "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Lease\","
                                  "\"metadata\":{\"resourceVersion\":\"%d\",\"annotations\":"
                                  "{\"k8s.io/initial-events-end\":\"true\"}}}}",
                                  s->version));
    } else if (strcmp(x->method, "GET") == 0) {
        reply_object(s, x);
    } else {
        write_object(s, x);
    }
}

static void on_changed(void *arg)
{
    (void)arg;
}

static cJSON *status_of(void *arg, struct arena *arena, bool first)
{
    (void)arg;
    cJSON *status = json_object(arena);
    json_set_int(status, "timeline", first ? 0 : 1);
    return status;
}

static const struct lease_view *view(const struct scene *s)
{
    return member_lease_view(s->lease);
}

static bool has_arrived(const struct scene *s)
{
    const struct kube *kube = s->world.kube;
    return kube->started == s->world.server->requests &&
           kube->answered == s->world.server->answered && atoi(view(s)->object.version) >= s->shown;
}

/* Until every request, answer and line of the watch is where it was sent. */
static void settle(struct scene *s)
{
    const int never = 0;
    for (int turn = 0; turn < 3; turn++) {
        event_base_loop(s->world.loop, EVLOOP_NONBLOCK);
        for (int waits = 0; !has_arrived(s); waits++) {
            (void)run_loop(s->world.loop, &never, 1, 1);
            assert_true(waits < DEADLINE_S * 1000);
        }
    }
}

static void pass_ms(struct scene *s, int64_t ms)
{
    int64_t end_ms = s->now_ms + ms;
    settle(s);
    for (int64_t next = next_due_ms(&s->clock); next >= 0 && next <= end_ms;
         next = next_due_ms(&s->clock)) {
        s->now_ms = next > s->now_ms ? next : s->now_ms;
        fire_due(&s->clock);
        settle(s);
    }
    s->now_ms = end_ms;
}

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    world_open(&s->world, keep_lease, s);
    s->now_ms = 1000000;
    s->version = 6;
    s->object = cJSON_Parse("{\"kind\":\"Lease\",\"metadata\":{\"name\":\"a-primary\","
                            "\"annotations\":{\"" ANN_BOOTSTRAP
                            "\":\"{\\\"instance\\\":\\\"a-1\\\",\\\"mode\\\":\\\"initdb\\\"}\"}},"
                            "\"spec\":{}}");
    virtual_clock_init(&s->clock, &s->now_ms);
    kube_set_clock(s->world.kube, &s->clock.clock);
    store(s, "{}");
    const struct lease_options options = {"n", "a-primary", "a-1", "uid-1", TERM_S};
    const struct lease_handlers handlers = {on_changed, status_of, s};
    s->lease = member_lease_new(s->world.loop, s->world.kube, &options, &handlers);
    pass_ms(s, 0);
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    member_lease_free(s->lease);
    world_close(&s->world);
    cJSON_Delete(s->object);
    free(s);
    return 0;
}

static void take(struct scene *s)
{
    member_lease_take(s->lease, 0);
    settle(s);
    assert_int_equal(view(s)->state, LEASE_HELD);
}

static const char *spec_of(const struct scene *s, const char *field)
{
    AUTO_ARENA arena = arena_new();
    return json_str(s->object, arena_printf(arena, "spec.%s", field), "");
}

static void the_one_that_it_is_granted_to_takes_it_and_renews_it_each_third(void **state)
{
    struct scene *s = *state;
    assert_int_equal(view(s)->state, LEASE_FREE);
    assert_true(view(s)->granted && view(s)->grant_initdb);
    pass_ms(s, TERM_MS);
    assert_int_equal(s->writes, 0);
    take(s);
    assert_string_equal(spec_of(s, "holderIdentity"), "a-1/uid-1");
    assert_int_equal(json_int(s->object, "spec.leaseTransitions", 0), 1);
    assert_int_equal(json_int(s->object, "spec.leaseDurationSeconds", 0), TERM_S);
    pass_ms(s, 10 * TERM_MS);
    assert_int_equal(s->writes, 1 + 30);
    assert_int_equal(view(s)->state, LEASE_HELD);
}

static void the_status_rides_on_each_write_and_a_take_replaces_the_earlier_one(void **state)
{
    struct scene *s = *state;
    const char *path = "metadata.annotations[\"" ANN_PRIMARY_STATUS "\"]";
    take(s);
    assert_string_equal(json_str(s->object, path, ""), "{\"timeline\":0}");
    pass_ms(s, THIRD_MS);
    assert_string_equal(json_str(s->object, path, ""), "{\"timeline\":1}");
}

/* Which epoch stands on the volume is told at once, and never with the take before it. */
static void what_it_leads_with_is_announced_once_it_is_on_the_volume(void **state)
{
    struct scene *s = *state;
    const char *path = "metadata.annotations[\"" ANN_LEAD "\"]";
    take(s);
    pass_ms(s, THIRD_MS);
    assert_int_equal(view(s)->led_epoch, 0);
    assert_string_equal(json_str(s->object, path, ""), "");
    int writes = s->writes;
    member_lease_set_recorded(s->lease, 1);
    settle(s);
    assert_int_equal(s->writes, writes + 1);
    assert_int_equal(view(s)->led_epoch, 1);
    pass_ms(s, TERM_MS);
    assert_int_equal(s->writes, writes + 1 + 3);
}

/* The write was stored each time; but no answer said so. */
static void an_answer_that_never_came_extends_no_term_and_is_made_up_for(void **state)
{
    struct scene *s = *state;
    take(s);
    int64_t until_ms = member_lease_engine(s->lease)->until_ms;
    s->deaf = s->lose_answers = true;
    pass_ms(s, 2 * TERM_MS);
    assert_true(s->writes > 2);
    assert_int_equal(member_lease_engine(s->lease)->until_ms, until_ms);
    s->deaf = s->lose_answers = false;
    pass_ms(s, TERM_MS);
    assert_int_equal(view(s)->state, LEASE_HELD);
    assert_true(member_lease_engine(s->lease)->until_ms > s->now_ms);
}

/* Somebody's annotation came between; the watch has not shown it. */
static void a_conflict_is_read_and_the_renewal_goes_on(void **state)
{
    struct scene *s = *state;
    take(s);
    s->deaf = true;
    store(s, "{\"metadata\":{\"annotations\":{\"by\":\"a person\"}}}");
    pass_ms(s, THIRD_MS);
    assert_int_equal(atoi(view(s)->object.version), s->version);
    assert_int_equal(view(s)->state, LEASE_HELD);
    assert_true(member_lease_engine(s->lease)->until_ms > s->now_ms);
    assert_string_equal(json_str(s->object, "metadata.annotations.by", ""), "a person");
}

static void another_holder_is_left_alone(void **state)
{
    struct scene *s = *state;
    take(s);
    store(s, "{\"spec\":{\"holderIdentity\":\"a-2/uid-9\",\"leaseTransitions\":2}}");
    settle(s);
    assert_int_equal(view(s)->state, LEASE_OTHER);
    int writes = s->writes;
    pass_ms(s, 4 * TERM_MS);
    assert_int_equal(s->writes, writes);
    assert_string_equal(spec_of(s, "holderIdentity"), "a-2/uid-9");
}

static void one_that_stops_gives_it_back_to_its_instance_once(void **state)
{
    struct scene *s = *state;
    take(s);
    int writes = s->writes;
    assert_false(member_lease_give_back(s->lease, 1));
    settle(s);
    assert_true(member_lease_give_back(s->lease, 1));
    assert_string_equal(spec_of(s, "holderIdentity"), "a-1");
    assert_true(view(s)->given_back);
    pass_ms(s, 4 * TERM_MS);
    assert_int_equal(s->writes, writes + 1);
}

/* It was taken, but the epoch never got to the volume: the next pod must not trust this one. */
static void an_epoch_that_is_not_on_the_volume_is_not_given_back(void **state)
{
    struct scene *s = *state;
    take(s);
    int writes = s->writes;
    assert_true(member_lease_give_back(s->lease, 0));
    pass_ms(s, 4 * TERM_MS);
    assert_int_equal(s->writes, writes);
    assert_string_equal(spec_of(s, "holderIdentity"), "a-1/uid-1");
}

static void the_term_follows_the_spec(void **state)
{
    struct scene *s = *state;
    take(s);
    member_lease_set_seconds(s->lease, 2 * TERM_S);
    pass_ms(s, TERM_MS); /* what was planned for the shorter term comes first */
    assert_int_equal(json_int(s->object, "spec.leaseDurationSeconds", 0), 2 * TERM_S);
    int writes = s->writes;
    pass_ms(s, 10 * 2 * TERM_MS);
    assert_int_equal(s->writes, writes + 30);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        SCENE(the_one_that_it_is_granted_to_takes_it_and_renews_it_each_third),
        SCENE(the_status_rides_on_each_write_and_a_take_replaces_the_earlier_one),
        SCENE(what_it_leads_with_is_announced_once_it_is_on_the_volume),
        SCENE(an_answer_that_never_came_extends_no_term_and_is_made_up_for),
        SCENE(a_conflict_is_read_and_the_renewal_goes_on),
        SCENE(another_holder_is_left_alone),
        SCENE(one_that_stops_gives_it_back_to_its_instance_once),
        SCENE(an_epoch_that_is_not_on_the_volume_is_not_given_back),
        SCENE(the_term_follows_the_spec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
