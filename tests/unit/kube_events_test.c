#include "kube_time.h"

struct scene {
    struct world world;
    int created, patched;
    cJSON *event; /* the last one made */
    cJSON *patch;
    char made[300]; /* its path */
    char patched_at[300];
    int status;          /* of the answer; 0: 201 */
    const char *body;    /* of the answer; NULL: {} */
    const char *patient; /* only notes with this are answered with the status */
    int taken;           /* answered with 201 */
    struct exchange *held;
    bool hold;
};

static void store(struct server *server, struct exchange *x)
{
    struct scene *s = server->arg;
    bool post = strcmp(x->method, "POST") == 0;
    cJSON **place = post ? &s->event : &s->patch;
    cJSON_Delete(*place);
    *place = cJSON_Parse(x->body);
    snprintf(post ? s->made : s->patched_at, 300, "%s", x->target);
    *(post ? &s->created : &s->patched) += 1;
    s->held = x;
    if (s->hold)
        return;
    bool spared = s->patient && strstr(x->body, s->patient) == NULL;
    int status = s->status && !spared ? s->status : 201;
    s->taken += status == 201;
    reply(x, status, "", s->body ? s->body : "{}");
}

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    world_open(&s->world, store, s);
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    world_close(&s->world);
    cJSON_Delete(s->event);
    cJSON_Delete(s->patch);
    free(s);
    return 0;
}

static const struct kube_event example = {
    .api_version = "pgkeel.dev/v1alpha1",
    .kind = "PostgresCluster",
    .namespace = "n",
    .name = "a",
    .uid = "u-1",
    .type = "Normal",
    .reason = "Promoted",
    .note = "a-2 is primary now",
    .action = "Promoting",
    .controller = "pgkeel.dev/controller",
};

static void an_event_says_everything(void **state)
{
    struct scene *s = *state;
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->created, 1);
    assert_string_equal(s->made, "/apis/events.k8s.io/v1/namespaces/n/events");
    assert_memory_equal(json_str(s->event, "metadata.name", ""), "a.", 2);
    assert_string_equal(json_str(s->event, "metadata.namespace", ""), "n");
    assert_string_equal(json_str(s->event, "regarding.kind", ""), "PostgresCluster");
    assert_string_equal(json_str(s->event, "regarding.uid", ""), "u-1");
    assert_string_equal(json_str(s->event, "reason", ""), "Promoted");
    assert_string_equal(json_str(s->event, "action", ""), "Promoting");
    assert_string_equal(json_str(s->event, "note", ""), "a-2 is primary now");
    assert_string_equal(json_str(s->event, "type", ""), "Normal");
    assert_string_equal(json_str(s->event, "reportingController", ""), "pgkeel.dev/controller");
    assert_true(strlen(json_str(s->event, "reportingInstance", "")) > 0);
    assert_true(clock_parse_rfc3339(json_str(s->event, "eventTime", NULL)) > 0);
}

static void a_repeated_event_counts_up_in_a_series(void **state)
{
    struct scene *s = *state;
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->world.kube->answered, 1);
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->patched, 1);
    assert_string_equal(s->patched_at, arena_printf(s->world.arena, "%s/%s", s->made,
                                                    json_str(s->event, "metadata.name", "")));
    assert_int_equal(json_int(s->patch, "series.count", 0), 2);
    assert_true(clock_parse_rfc3339(json_str(s->patch, "series.lastObservedTime", NULL)) > 0);
    assert_int_equal(s->created, 1);
}

static void repetitions_while_a_request_is_under_way_become_one(void **state)
{
    struct scene *s = *state;
    s->hold = true;
    for (int i = 0; i < 50; i++)
        kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->created, 1);
    s->hold = false;
    reply(s->held, 201, "", "{}");
    run_until(s->world.loop, &s->patched, 1);
    run_for_ms(s->world.loop, 20);
    assert_int_equal(s->patched, 1);
    assert_int_equal(json_int(s->patch, "series.count", 0), 50);
}

static void another_note_is_another_event(void **state)
{
    struct scene *s = *state;
    struct kube_event other = example;
    other.note = "something else";
    kube_event_emit(s->world.kube, &example);
    kube_event_emit(s->world.kube, &other);
    other.uid = "u-2";
    kube_event_emit(s->world.kube, &other);
    run_until(s->world.loop, &s->created, 3);
    assert_int_equal(s->patched, 0);
}

static void a_series_ends_after_ten_minutes_of_quiet(void **state)
{
    struct scene *s = *state;
    int64_t now_ms = 1000000;
    struct virtual_clock clock;
    virtual_clock_init(&clock, &now_ms);
    kube_set_clock(s->world.kube, &clock.clock);
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->world.kube->answered, 1);
    now_ms += 600 * quick.second_ms;
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->world.kube->answered, 2);
    assert_int_equal(s->patched, 1);
    now_ms += 600 * quick.second_ms + 1;
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->created, 2);
    assert_int_equal(s->patched, 1);
    kube_free(s->world.kube); /* before its clock */
    s->world.kube = NULL;
}

static void an_event_that_is_gone_is_made_anew(void **state)
{
    struct scene *s = *state;
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->world.kube->answered, 1);
    s->status = 404;
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->world.kube->answered, 2);
    s->status = 0;
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->created, 2);
}

static void answer_with(struct scene *s, int status, const char *body)
{
    s->status = status;
    s->body = body;
}

static void an_event_that_an_api_server_did_not_take_is_tried_again(void **state)
{
    struct scene *s = *state;
    static const int statuses[] = {500, 503, 504};
    for (int i = 0; i < 3; i++) {
        int before = s->created;
        struct kube_event event = example;
        event.uid = (const char *[]){"u-1", "u-2", "u-3"}[i];
        answer_with(s, statuses[i], NULL);
        kube_event_emit(s->world.kube, &event);
        run_until(s->world.loop, &s->created, before + 3);
        assert_int_equal(kube_events_unsent(s->world.kube), 1);
        AUTO_ARENA arena = arena_new();
        const char *name = arena_strdup(arena, json_str(s->event, "metadata.name", ""));
        answer_with(s, 0, NULL);
        while (kube_events_unsent(s->world.kube) > 0)
            event_base_loop(s->world.loop, EVLOOP_ONCE);
        assert_string_equal(json_str(s->event, "metadata.name", ""), name);
        assert_string_equal(json_str(s->event, "note", ""), "a-2 is primary now");
        assert_string_equal(json_str(s->event, "regarding.uid", ""), event.uid);
    }
}

static void repetitions_of_what_was_not_taken_yet_are_counted(void **state)
{
    struct scene *s = *state;
    answer_with(s, 503, NULL);
    for (int i = 0; i < 5; i++) {
        kube_event_emit(s->world.kube, &example);
        run_until(s->world.loop, &s->created, i + 1);
    }
    answer_with(s, 0, NULL);
    run_until(s->world.loop, &s->patched, 1);
    assert_int_equal(json_int(s->patch, "series.count", 0), 5);
    answer_with(s, 503, NULL);
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->patched, 3); /* a series is tried again too */
    answer_with(s, 0, NULL);
    while (kube_events_unsent(s->world.kube) > 0)
        event_base_loop(s->world.loop, EVLOOP_ONCE);
    assert_int_equal(json_int(s->patch, "series.count", 0), 6);
}

static void an_event_whose_answer_was_lost_exists(void **state)
{
    struct scene *s = *state;
    answer_with(s, 409, "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\"}");
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->world.kube->answered, 1);
    assert_int_equal(kube_events_unsent(s->world.kube), 0);
    answer_with(s, 0, NULL);
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->patched, 1);
    assert_int_equal(s->created, 1);
}

static void a_refused_event_is_not_sent_again(void **state)
{
    struct scene *s = *state;
    answer_with(s, 403, NULL);
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->world.kube->answered, 1);
    assert_int_equal(kube_events_unsent(s->world.kube), 0);
}

static void an_api_server_that_is_away_for_long_is_given_up(void **state)
{
    struct scene *s = *state;
    int64_t now_ms = 1000000;
    struct virtual_clock clock;
    virtual_clock_init(&clock, &now_ms);
    kube_set_clock(s->world.kube, &clock.clock);
    answer_with(s, 503, NULL);
    kube_event_emit(s->world.kube, &example);
    run_until(s->world.loop, &s->world.kube->answered, 1);
    for (int64_t end_ms = now_ms + 600 * quick.second_ms; now_ms < end_ms;) {
        int answered = s->world.kube->answered;
        assert_int_equal(kube_events_unsent(s->world.kube), 1);
        now_ms = next_due_ms(&clock);
        fire_due(&clock);
        run_until(s->world.loop, &s->world.kube->answered, answered + 1);
    }
    assert_int_equal(kube_events_unsent(s->world.kube), 0);
    kube_free(s->world.kube); /* before its clock */
    s->world.kube = NULL;
}

/* 200 things happen while nothing is answered: those that wait longest for nothing but their own
 * repetition go first, and what was not sent yet stays. */
static void what_was_not_taken_yet_outlives_what_was(void **state)
{
    struct scene *s = *state;
    struct kube_event event = example;
    char note[20];
    event.note = note;
    s->status = 503;
    for (int i = 0; i < 5; i++) {
        snprintf(note, sizeof note, "early %d", i);
        kube_event_emit(s->world.kube, &event);
    }
    run_until(s->world.loop, &s->created, 5);
    s->patient = "early";
    for (int i = 0; i < 200; i++) {
        snprintf(note, sizeof note, "late %d", i);
        kube_event_emit(s->world.kube, &event);
        while (kube_events_unsent(s->world.kube) > 5)
            event_base_loop(s->world.loop, EVLOOP_ONCE);
    }
    assert_int_equal(s->taken, 200);
    answer_with(s, 0, NULL);
    s->patient = NULL;
    while (kube_events_unsent(s->world.kube) > 0)
        event_base_loop(s->world.loop, EVLOOP_ONCE);
    assert_int_equal(s->taken, 205);
}

static void long_texts_are_cut_at_a_characters_border(void **state)
{
    struct scene *s = *state;
    struct kube_event event = example;
    char note[2001] = "";
    for (int i = 0; i < 1000; i++)
        strcpy(note + 2 * i, "\xc3\xa4");
    memmove(note + 1, note, 1999);
    note[0] = 'x';
    char name[254];
    memset(name, 'n', 253);
    name[253] = '\0';
    event.note = note;
    event.name = name;
    kube_event_emit(s->world.kube, &event);
    run_until(s->world.loop, &s->created, 1);
    assert_int_equal(strlen(json_str(s->event, "note", "")), 1023);
    assert_in_range(strlen(json_str(s->event, "metadata.name", "")), 240, 253);
}

static void an_event_about_something_without_a_namespace_goes_to_default(void **state)
{
    struct scene *s = *state;
    struct kube_event event = example;
    event.namespace = NULL;
    kube_event_emit(s->world.kube, &event);
    run_until(s->world.loop, &s->created, 1);
    assert_string_equal(s->made, "/apis/events.k8s.io/v1/namespaces/default/events");
    assert_null(json_get(s->event, "regarding.namespace"));
}

static void many_different_events_are_forgotten_in_time(void **state)
{
    struct scene *s = *state;
    for (int i = 0; i < 300; i++) {
        struct kube_event event = example;
        char note[20];
        snprintf(note, sizeof note, "%d", i);
        event.note = note;
        kube_event_emit(s->world.kube, &event);
        run_until(s->world.loop, &s->world.kube->answered, i + 1);
    }
    /* The first is forgotten, the last is not. */
    struct kube_event event = example;
    event.note = "0";
    kube_event_emit(s->world.kube, &event);
    run_until(s->world.loop, &s->created, 301);
    event.note = "299";
    kube_event_emit(s->world.kube, &event);
    run_until(s->world.loop, &s->patched, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_event_says_everything),
        TEST(a_repeated_event_counts_up_in_a_series),
        TEST(repetitions_while_a_request_is_under_way_become_one),
        TEST(another_note_is_another_event),
        TEST(a_series_ends_after_ten_minutes_of_quiet),
        TEST(an_event_that_is_gone_is_made_anew),
        TEST(an_event_that_an_api_server_did_not_take_is_tried_again),
        TEST(repetitions_of_what_was_not_taken_yet_are_counted),
        TEST(an_event_whose_answer_was_lost_exists),
        TEST(a_refused_event_is_not_sent_again),
        TEST(an_api_server_that_is_away_for_long_is_given_up),
        TEST(what_was_not_taken_yet_outlives_what_was),
        TEST(long_texts_are_cut_at_a_characters_border),
        TEST(an_event_about_something_without_a_namespace_goes_to_default),
        TEST(many_different_events_are_forgotten_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
