#include "kube_time.h"

/* What the server does with each request in turn; the last step serves all that follow. */
enum then { KEEP, END, CUT, SILENT };

struct step {
    const char *wants;   /* must be in the request's target */
    int status;          /* 0: a stream of `body` */
    const char *headers; /* of an answer with a status */
    const char *body;
    enum then then;
    size_t split; /* a stream's bytes from here on come later */
};

struct scene {
    struct world world;
    const struct step *steps;
    int step_count;
    char targets[40][512];
    struct buffer log; /* what the handlers saw */
    int synced, upserts, troubles, removed, begun;
    struct error trouble;
    struct kube_watch *watch;
    const char *free_at; /* the handler that frees the watch */
    struct exchange *held;
    const char *held_bytes;
    bool call_from_handler;
    int calls_done;
    int64_t now_ms; /* of `clock` */
    struct virtual_clock clock;
};

#define OBJECT(name, version)                                                                      \
    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" OBJECT(name, version) "}\n"
#define ADDED(name, version)       EVENT("ADDED", name, version)
#define MODIFIED(name, version)    EVENT("MODIFIED", name, version)
#define DELETED(name, version)     EVENT("DELETED", name, version)
#define BOOKMARK(version)                                                                          \
    "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":"       \
    "\"" version "\"}}}\n"
#define LIST_END(version)                                                                          \
    "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":"       \
    "\"" version "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define ERROR_EVENT(code, reason, message)                                                         \
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":" code ",\"reason\":\"" reason   \
    "\",\"message\":\"" message "\"}}\n"
#define STATUS(code, reason, message)                                                              \
    "{\"kind\":\"Status\",\"code\":" code ",\"reason\":\"" reason "\",\"message\":\"" message "\"" \
    "}"
#define LIST(version, next, items)                                                                 \
    "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" version "\",\"continue\":\"" next \
    "\"},\"items\":[" items "]}"
#define ITEM(name) "{\"metadata\":{\"name\":\"" name "\"}}"

static void finish_step(struct exchange *x, enum then then)
{
    if (then == END)
        end_stream(x);
    if (then == CUT)
        cut(x);
}

static void send_rest(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct scene *s = arg;
    if (s->held == NULL)
        return;
    send_bytes(s->held, s->held_bytes, strlen(s->held_bytes));
    s->held = NULL;
}

static void play(struct server *server, struct exchange *x)
{
    struct scene *s = server->arg;
    if (strncmp(x->target, "/version", 8) == 0) {
        reply(x, 200, "", "{}");
        server->requests--;
        return;
    }
    int index = x->number - 1 < s->step_count ? x->number - 1 : s->step_count - 1;
    const struct step *step = &s->steps[index];
    if (x->number <= 40)
        snprintf(s->targets[x->number - 1], sizeof s->targets[0], "%s", x->target);
    if (step->wants != NULL && strstr(x->target, step->wants) == NULL)
        fail_msg("request %d: '%s' is not in '%s'", x->number, step->wants, x->target);
    if (step->then == SILENT)
        return;
    if (step->status != 0) {
        reply(x, step->status, step->headers ? step->headers : "", step->body);
        finish_step(x, step->then);
        return;
    }
    reply_stream(x);
    if (step->split > 0) {
        send_bytes(x, step->body, step->split);
        s->held = x;
        s->held_bytes = step->body + step->split;
        event_base_once(s->world.loop, -1, EV_TIMEOUT, send_rest, s, &(struct timeval){0, 300});
        return;
    }
    send_bytes(x, step->body, strlen(step->body));
    finish_step(x, step->then);
}

static void note(struct scene *s, const char *handler, const char *text)
{
    buffer_printf(&s->log, "%s%s ", handler, text);
    if (s->free_at != NULL && strcmp(s->free_at, handler) == 0) {
        kube_watch_free(s->watch);
        s->watch = NULL;
    }
}

static void on_begin(void *arg)
{
    struct scene *s = arg;
    s->begun++;
    note(s, "begin", "");
}

static void on_called(void *arg, const cJSON *body, const struct error *err)
{
    (void)body;
    struct scene *s = arg;
    assert_int_equal(err->class, 0);
    s->calls_done++;
}

static void on_upsert(void *arg, const cJSON *object)
{
    struct scene *s = arg;
    s->upserts++;
    if (s->call_from_handler) {
        struct kube_request request = {.path = "/version"};
        kube_call_start(s->world.kube, &request, on_called, s);
        kube_call_cancel(kube_call_start(s->world.kube, &request, on_called, s));
    }
    note(s, "+", json_str(object, "metadata.name", "?"));
}

static void on_remove(void *arg, const cJSON *object)
{
    struct scene *s = arg;
    s->removed++;
    note(s, "-", json_str(object, "metadata.name", "?"));
}

static void on_synced(void *arg)
{
    struct scene *s = arg;
    s->synced++;
    note(s, "synced", "");
}

static void on_trouble(void *arg, const struct error *err)
{
    struct scene *s = arg;
    s->troubles++;
    s->trouble = *err;
    note(s, "trouble", "");
}

static const struct kube_watch_handlers handlers = {on_begin, on_upsert, on_remove, on_synced,
                                                    on_trouble};

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    world_open(&s->world, play, s);
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    kube_watch_free(s->watch);
    world_close(&s->world);
    buffer_free(&s->log);
    free(s);
    return 0;
}

static void start_with(struct scene *s, const struct kube_watch_options *options,
                       const struct step *steps, int count)
{
    s->steps = steps;
    s->step_count = count;
    s->watch = kube_watch_new(s->world.kube, options, &handlers, s);
}

static void use_virtual_time(struct scene *s)
{
    s->now_ms = 1000000;
    virtual_clock_init(&s->clock, &s->now_ms);
    kube_set_clock(s->world.kube, &s->clock.clock);
}

static struct kube_watch_options pods(void)
{
    return (struct kube_watch_options){.kind = kube_kind_find("v1", "Pod"), .namespace = "n"};
}

#define START(s, ...)                                                                              \
    const struct step steps[] = {__VA_ARGS__};                                                     \
    struct kube_watch_options options = pods();                                                    \
    start_with(s, &options, steps, (int)(sizeof steps / sizeof steps[0]))

static void expect_log(struct scene *s, const char *wanted)
{
    assert_string_equal(buffer_text(&s->log), wanted);
}

static void a_stream_gives_the_list_and_then_the_changes(void **state)
{
    struct scene *s = *state;
    START(s, {"sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 0, NULL,
              ADDED("a", "1") ADDED("b", "2") LIST_END("5") MODIFIED("a", "6") DELETED("b", "7")
                  ADDED("c", "8"),
              KEEP, 0});
    run_until(s->world.loop, &s->upserts, 4);
    expect_log(s, "begin +a +b synced +a -b +c ");
    assert_non_null(strstr(s->targets[0], "/api/v1/namespaces/n/pods?watch=true"));
    assert_non_null(strstr(s->targets[0], "allowWatchBookmarks=true"));
    assert_null(strstr(s->targets[0], "resourceVersion="));
    int seconds = atoi(strstr(s->targets[0], "timeoutSeconds=") + 15);
    assert_in_range(seconds, quick.watch_min_s, quick.watch_max_s);
}

static void an_empty_list_begins_and_is_synced(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 0, NULL, LIST_END("5"), KEEP, 0});
    run_until(s->world.loop, &s->synced, 1);
    expect_log(s, "begin synced ");
}

static void only_the_marked_bookmark_ends_the_list(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 0, NULL, ADDED("a", "1") BOOKMARK("3") ADDED("b", "2") LIST_END("5"), KEEP, 0});
    run_until(s->world.loop, &s->synced, 1);
    expect_log(s, "begin +a +b synced ");
}

static void bytes_may_be_cut_anywhere(void **state)
{
    static const char script[] =
        ADDED("a", "1") LIST_END("5") DELETED("a", "7") ADDED("\\u00e4", "8");
    struct scene *s = *state;
    struct kube_watch_options options = pods();
    for (size_t split = 1; split < sizeof script - 1; split++) {
        const struct step step = {NULL, 0, NULL, script, KEEP, split};
        s->upserts = 0;
        s->log.length = 0;
        start_with(s, &options, &step, 1);
        run_until(s->world.loop, &s->upserts, 2);
        expect_log(s, "begin +a synced -a +\xc3\xa4 ");
        kube_watch_free(s->watch);
        s->watch = NULL;
        s->held = NULL;
    }
}

static void a_server_without_watchlist_is_listed_in_pages(void **state)
{
    struct scene *s = *state;
    START(s,
          {"sendInitialEvents", 422, NULL, STATUS("422", "Invalid", "sendInitialEvents: Forbidden"),
           KEEP, 0},
          {"?limit=500", 200, NULL, LIST("9", "next/1", ITEM("a") "," ITEM("b")), KEEP, 0},
          {"?limit=500&continue=next%2F1", 200, NULL, LIST("9", "", ITEM("c")), KEEP, 0},
          {"&resourceVersion=9", 0, NULL, ADDED("d", "10"), KEEP, 0},
          {"?limit=500", 0, NULL, "", SILENT, 0});
    run_until(s->world.loop, &s->upserts, 4);
    expect_log(s, "begin +a +b +c synced +d ");
    assert_null(strstr(s->targets[3], "sendInitialEvents"));
    /* Another watch of the same client does not ask again. */
    struct kube_watch *other = kube_watch_new(s->world.kube, &options, &handlers, s);
    run_until(s->world.loop, &s->world.server->requests, 5);
    kube_watch_free(other);
}

static void on_item_kind(void *arg, const cJSON *object)
{
    struct scene *s = arg;
    assert_string_equal(json_str(object, "kind", ""), "Pod");
    assert_string_equal(json_str(object, "apiVersion", ""), "v1");
    s->upserts++;
}

static void listed_objects_say_what_they_are(void **state)
{
    struct scene *s = *state;
    const struct step steps[] = {{NULL, 200, NULL, LIST("9", "", ITEM("a")), KEEP, 0},
                                 {NULL, 0, NULL, "", KEEP, 0}};
    const struct kube_watch_handlers only = {.upsert = on_item_kind};
    struct kube_watch_options options = pods();
    s->world.kube->watchlist_refused = true;
    s->steps = steps;
    s->step_count = 2;
    s->watch = kube_watch_new(s->world.kube, &options, &only, s);
    run_until(s->world.loop, &s->upserts, 1);
}

static void a_cut_stream_resumes_behind_the_last_event(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 0, NULL, ADDED("a", "1") LIST_END("5") ADDED("b", "6"), CUT, 0},
          {"&resourceVersion=6", 0, NULL, ADDED("c", "7"), KEEP, 0});
    run_until(s->world.loop, &s->upserts, 3);
    assert_int_equal(s->begun, 1);
    assert_int_equal(s->synced, 1);
    assert_null(strstr(s->targets[1], "sendInitialEvents"));
}

static void a_bookmark_moves_the_place_to_resume_from(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 0, NULL, LIST_END("5") ADDED("b", "6") BOOKMARK("99"), END, 0},
          {"&resourceVersion=99", 0, NULL, ADDED("c", "100"), KEEP, 0});
    run_until(s->world.loop, &s->upserts, 2);
    expect_log(s, "begin synced +b +c ");
    assert_int_equal(s->troubles, 0);
}

static void an_event_cut_in_the_middle_comes_whole_after_resuming(void **state)
{
    static const char whole[] = LIST_END("5") ADDED("a", "6") ADDED("b", "7");
    struct scene *s = *state;
    char cut_off[sizeof whole];
    snprintf(cut_off, sizeof cut_off, "%.*s", (int)sizeof whole - 30, whole);
    START(s, {NULL, 0, NULL, cut_off, CUT, 0},
          {"&resourceVersion=6", 0, NULL, ADDED("b", "7"), KEEP, 0});
    run_until(s->world.loop, &s->upserts, 2);
    expect_log(s, "begin synced +a trouble +b ");
}

static void an_expired_position_lists_again(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 0, NULL, LIST_END("5"), END, 0},
          {"&resourceVersion=5", 410, NULL, STATUS("410", "Expired", "too old"), KEEP, 0},
          {"sendInitialEvents", 0, NULL, ADDED("a", "8") LIST_END("9"), END, 0},
          {"&resourceVersion=9", 0, NULL, "", KEEP, 0});
    run_until(s->world.loop, &s->synced, 2);
    run_until(s->world.loop, &s->world.server->requests, 4);
    expect_log(s, "begin synced begin +a synced ");
}

static void an_expired_position_in_the_stream_lists_again(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 0, NULL, LIST_END("5") ERROR_EVENT("410", "Expired", "too old"), KEEP, 0},
          {"sendInitialEvents", 0, NULL, ADDED("a", "8") LIST_END("9"), KEEP, 0});
    run_until(s->world.loop, &s->synced, 2);
    expect_log(s, "begin synced begin +a synced ");
}

static void a_position_beyond_a_restored_server_lists_again(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 0, NULL, LIST_END("500"), END, 0},
          {"&resourceVersion=500", 504, NULL,
           STATUS("504", "Timeout", "Too large resource version: 500, current: 20"), KEEP, 0},
          {"sendInitialEvents", 0, NULL, LIST_END("21"), KEEP, 0});
    run_until(s->world.loop, &s->synced, 2);
    expect_log(s, "begin synced begin synced ");
}

static void a_server_that_always_says_410_is_not_stormed(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 410, NULL, STATUS("410", "Expired", "too old"), KEEP, 0});
    run_until(s->world.loop, &s->troubles, 2);
    assert_int_equal(s->trouble.class, ERR_GONE);
    int before = s->world.server->requests;
    run_for_ms(s->world.loop, 200);
    assert_in_range(s->world.server->requests - before, 1, 60);
}

static void another_error_event_is_told_and_resumed_from(void **state)
{
    struct scene *s = *state;
    START(s,
          {NULL, 0, NULL, LIST_END("5") ERROR_EVENT("500", "InternalError", "etcd broke"), KEEP, 0},
          {"&resourceVersion=5", 0, NULL, ADDED("a", "6"), KEEP, 0});
    run_until(s->world.loop, &s->upserts, 1);
    expect_log(s, "begin synced trouble +a ");
    assert_non_null(strstr(s->trouble.text, "watch pods: etcd broke"));
    assert_string_equal(s->trouble.reason, "InternalError");
}

static void a_list_cut_off_begins_again(void **state)
{
    struct scene *s = *state;
    START(s, {"sendInitialEvents", 0, NULL, ADDED("a", "1"), CUT, 0},
          {"sendInitialEvents", 0, NULL, ADDED("b", "2") LIST_END("5"), KEEP, 0});
    run_until(s->world.loop, &s->synced, 1);
    expect_log(s, "begin +a trouble begin +b synced ");
}

static void a_server_that_ignores_watchlist_is_listed(void **state)
{
    struct scene *s = *state;
    START(s, {"sendInitialEvents", 0, NULL, "", END, 0}, {"sendInitialEvents", 0, NULL, "", END, 0},
          {"limit=500", 200, NULL, LIST("9", "", ITEM("a")), KEEP, 0},
          {"&resourceVersion=9", 0, NULL, "", KEEP, 0});
    run_until(s->world.loop, &s->world.server->requests, 4);
    expect_log(s, "trouble trouble begin +a synced ");
}

static void a_server_that_answers_watchlist_with_silence_is_listed(void **state)
{
    struct scene *s = *state;
    use_virtual_time(s);
    START(s, {"sendInitialEvents", 0, NULL, "", KEEP, 0},
          {"sendInitialEvents", 0, NULL, "", SILENT, 0},
          {"limit=500", 200, NULL, LIST("9", "", ITEM("a")), KEEP, 0},
          {"&resourceVersion=9", 0, NULL, "", KEEP, 0});
    for (int request = 1; request <= 2; request++) {
        run_until(s->world.loop, &s->world.server->requests, request);
        s->now_ms += quick.stall_ms;
        fire_due(&s->clock);
        run_until(s->world.loop, &s->troubles, request);
        assert_int_equal(s->trouble.class, ERR_TIMEOUT);
        s->now_ms += quick.backoff_max_ms;
        fire_due(&s->clock);
    }
    while (s->world.server->requests < 4) {
        run_for_ms(s->world.loop, 1);
        s->now_ms++;
        fire_due(&s->clock);
    }
    expect_log(s, "trouble trouble begin +a synced ");
}

static void an_expired_page_starts_the_list_over(void **state)
{
    struct scene *s = *state;
    s->world.kube->watchlist_refused = true;
    START(s, {"?limit=500", 200, NULL, LIST("9", "p2", ITEM("a")), KEEP, 0},
          {"continue=p2", 410, NULL, STATUS("410", "Expired", "continue too old"), KEEP, 0},
          {"?limit=500", 200, NULL, LIST("10", "", ITEM("b")), KEEP, 0},
          {"&resourceVersion=10", 0, NULL, "", KEEP, 0});
    run_until(s->world.loop, &s->world.server->requests, 4);
    expect_log(s, "begin +a begin +b synced ");
    assert_null(strstr(s->targets[2], "continue"));
}

static void a_list_that_is_no_json_is_told(void **state)
{
    struct scene *s = *state;
    s->world.kube->watchlist_refused = true;
    START(s, {NULL, 200, NULL, "hello", KEEP, 0}, {NULL, 200, NULL, "{\"items\":[{]}", KEEP, 0},
          {NULL, 200, NULL, "{\"items\":[{\"a\":1}]", KEEP, 0},
          {NULL, 200, NULL, "{\"items\":[]}", KEEP, 0},
          {NULL, 200, NULL, LIST("10", "", ITEM("b")), KEEP, 0});
    run_until(s->world.loop, &s->synced, 1);
    assert_int_equal(s->troubles, 4);
    assert_non_null(strstr(buffer_text(&s->log), "begin +b synced "));
}

static void a_line_that_is_no_json_is_told_and_resumed_from(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 0, NULL, LIST_END("5") "{\"type\":\"ADD\n", KEEP, 0},
          {"&resourceVersion=5", 0, NULL, ADDED("a", "6"), KEEP, 0});
    run_until(s->world.loop, &s->upserts, 1);
    expect_log(s, "begin synced trouble +a ");
}

static void an_object_over_the_limit_is_told_and_passed_over(void **state)
{
    struct scene *s = *state;
    size_t size = 9 * 1024 * 1024;
    char *body = malloc(size + 1000);
    int head = sprintf(body, "%s", LIST_END("5") "{\"type\":\"ADDED\",\"object\":\"");
    memset(body + head, 'x', size);
    sprintf(body + (size_t)head + size, "\"}\n%s", ADDED("a", "7"));
    START(s, {NULL, 0, NULL, body, KEEP, 0});
    run_until(s->world.loop, &s->upserts, 1);
    expect_log(s, "begin synced trouble +a ");
    assert_non_null(strstr(s->trouble.text, "more than 8388608 bytes"));
    free(body);
}

static void silence_is_given_up_and_resumed_from(void **state)
{
    struct scene *s = *state;
    struct kube_timing timing = quick;
    timing.stall_ms = 60;
    kube_set_timing(s->world.kube, &timing);
    START(s, {NULL, 0, NULL, LIST_END("5") ADDED("a", "6"), KEEP, 0},
          {"&resourceVersion=6", 0, NULL, "", SILENT, 0},
          {"&resourceVersion=6", 0, NULL, ADDED("b", "7"), KEEP, 0});
    run_until(s->world.loop, &s->upserts, 2);
    expect_log(s, "begin synced +a trouble +b ");
    assert_int_equal(s->trouble.class, ERR_TIMEOUT);
    assert_int_equal(s->world.server->connections, 3);
}

static void bookmarks_keep_a_quiet_watch_alive(void **state)
{
    struct scene *s = *state;
    use_virtual_time(s);
    START(s, {NULL, 0, NULL, LIST_END("5"), KEEP, 0});
    run_until(s->world.loop, &s->synced, 1);
    for (int version = 6; version < 20; version++) {
        const char *text = arena_printf(s->world.arena, "%d", version);
        s->now_ms += quick.stall_ms - 1;
        send_line(s->world.server->exchanges,
                  arena_printf(s->world.arena,
                               "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{"
                               "\"resourceVersion\":\"%s\"}}}",
                               text));
        while (strcmp(kube_watch_version(s->watch), text) != 0)
            run_for_ms(s->world.loop, 1);
        fire_due(&s->clock);
        run_for_ms(s->world.loop, 1);
    }
    assert_int_equal(s->troubles, 0);
    assert_int_equal(s->world.server->requests, 1);
    s->now_ms += quick.stall_ms;
    fire_due(&s->clock);
    while (s->world.server->requests < 2) {
        run_for_ms(s->world.loop, 1);
        s->now_ms++;
        fire_due(&s->clock);
    }
    assert_int_equal(s->troubles, 0); /* quiet is no trouble */
}

static void a_429_pauses_as_long_as_it_asks(void **state)
{
    struct scene *s = *state;
    use_virtual_time(s);
    START(s,
          {NULL, 429, "Retry-After: 3\r\n", STATUS("429", "TooManyRequests", "slow down"), KEEP, 0},
          {"sendInitialEvents", 0, NULL, LIST_END("5"), KEEP, 0});
    run_until(s->world.loop, &s->troubles, 1);
    assert_int_equal(s->trouble.class, ERR_OVERLOADED);
    assert_int_equal(next_due_ms(&s->clock) - s->now_ms, 3 * quick.second_ms);
    s->now_ms += 3 * quick.second_ms;
    fire_due(&s->clock);
    run_until(s->world.loop, &s->synced, 1);
    expect_log(s, "trouble begin synced ");
}

static void a_refusal_is_told_and_tried_again(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 403, NULL, STATUS("403", "Forbidden", "pods is forbidden"), KEEP, 0},
          {NULL, 500, NULL, "boom", KEEP, 0}, {NULL, 0, NULL, LIST_END("5"), KEEP, 0});
    run_until(s->world.loop, &s->troubles, 1);
    assert_int_equal(s->trouble.class, ERR_FORBIDDEN);
    assert_string_equal(s->trouble.text, "watch pods: pods is forbidden");
    run_until(s->world.loop, &s->synced, 1);
    expect_log(s, "trouble trouble begin synced ");
}

static void a_kind_that_is_not_served_is_explained(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 404, NULL, "404 page not found", KEEP, 0},
          {NULL, 0, NULL, LIST_END("5"), KEEP, 0});
    run_until(s->world.loop, &s->synced, 1);
    assert_string_equal(s->trouble.reason, "KindNotServed");
    assert_non_null(strstr(s->trouble.text, "CustomResourceDefinition"));
}

static void a_stream_that_ends_at_once_is_not_stormed(void **state)
{
    struct scene *s = *state;
    START(s, {NULL, 0, NULL, LIST_END("5"), END, 0}, {"resourceVersion=5", 0, NULL, "", END, 0});
    run_until(s->world.loop, &s->troubles, 3);
    run_for_ms(s->world.loop, 200);
    assert_in_range(s->world.server->requests, 4, 80);
}

static void selectors_and_metadata_are_asked_for(void **state)
{
    struct scene *s = *state;
    const struct step step = {"&labelSelector=a%3Db%2Cc&fieldSelector=metadata.name%3Dx",
                              0,
                              NULL,
                              LIST_END("5"),
                              KEEP,
                              0};
    struct kube_watch_options options = {.kind = kube_kind_find("v1", "Pod"),
                                         .label_selector = "a=b,c",
                                         .field_selector = "metadata.name=x",
                                         .metadata_only = true};
    start_with(s, &options, &step, 1);
    run_until(s->world.loop, &s->synced, 1);
    assert_memory_equal(s->targets[0], "/api/v1/pods?", 13);
    assert_non_null(strstr(s->world.server->last_headers, "as=PartialObjectMetadata;"));
}

static void any_handler_may_free_the_watch(void **state)
{
    struct scene *s = *state;
    const char *const places[] = {"begin", "+", "-", "synced", "trouble"};
    const struct step steps[] = {
        {NULL, 500, NULL, "x", KEEP, 0},
        {NULL, 0, NULL, ADDED("a", "1") LIST_END("5") DELETED("a", "6") ADDED("b", "7"), KEEP, 0}};
    struct kube_watch_options options = pods();
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        s->free_at = places[i];
        s->world.server->requests = 0;
        start_with(s, &options, steps, 2);
        for (int turn = 0; turn < 1000 && s->watch != NULL; turn++)
            run_for_ms(s->world.loop, 1);
        assert_null(s->watch);
    }
    run_for_ms(s->world.loop, 20);
}

static void any_handler_may_free_the_watch_during_a_list(void **state)
{
    struct scene *s = *state;
    const char *const places[] = {"begin", "+", "synced", "trouble"};
    const struct step steps[] = {{NULL, 200, NULL, LIST("9", "", "{]"), KEEP, 0},
                                 {NULL, 200, NULL, LIST("9", "", ITEM("a") "," ITEM("b")), KEEP, 0},
                                 {NULL, 0, NULL, "", KEEP, 0}};
    struct kube_watch_options options = pods();
    s->world.kube->watchlist_refused = true;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        s->free_at = places[i];
        s->world.server->requests = 0;
        start_with(s, &options, steps, 3);
        for (int turn = 0; turn < 1000 && s->watch != NULL; turn++)
            run_for_ms(s->world.loop, 1);
        assert_null(s->watch);
    }
    run_for_ms(s->world.loop, 20);
}

static void handlers_may_start_and_cancel_calls(void **state)
{
    struct scene *s = *state;
    s->call_from_handler = true;
    START(s, {NULL, 0, NULL, ADDED("a", "1") ADDED("b", "2") LIST_END("5"), KEEP, 0});
    run_until(s->world.loop, &s->calls_done, 2);
    run_for_ms(s->world.loop, 20);
    assert_int_equal(s->calls_done, 2);
}

static void pauses_grow_to_a_bound_and_differ(void **state)
{
    (void)state;
    struct kube_timing timing = {.backoff_first_ms = 800, .backoff_max_ms = 30000};
    int differing = 0;
    for (int i = 0; i < 50; i++) {
        assert_in_range(kube_backoff_ms(&timing, 0), 400, 800);
        assert_in_range(kube_backoff_ms(&timing, 2), 1600, 3200);
        assert_in_range(kube_backoff_ms(&timing, 1000), 15000, 30000);
        differing += kube_backoff_ms(&timing, 9) != kube_backoff_ms(&timing, 9);
    }
    assert_true(differing > 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_gives_the_list_and_then_the_changes),
        TEST(an_empty_list_begins_and_is_synced),
        TEST(only_the_marked_bookmark_ends_the_list),
        TEST(bytes_may_be_cut_anywhere),
        TEST(a_server_without_watchlist_is_listed_in_pages),
        TEST(listed_objects_say_what_they_are),
        TEST(a_cut_stream_resumes_behind_the_last_event),
        TEST(a_bookmark_moves_the_place_to_resume_from),
        TEST(an_event_cut_in_the_middle_comes_whole_after_resuming),
        TEST(an_expired_position_lists_again),
        TEST(an_expired_position_in_the_stream_lists_again),
        TEST(a_position_beyond_a_restored_server_lists_again),
        TEST(a_server_that_always_says_410_is_not_stormed),
        TEST(another_error_event_is_told_and_resumed_from),
        TEST(a_list_cut_off_begins_again),
        TEST(a_server_that_ignores_watchlist_is_listed),
        TEST(a_server_that_answers_watchlist_with_silence_is_listed),
        TEST(an_expired_page_starts_the_list_over),
        TEST(a_list_that_is_no_json_is_told),
        TEST(a_line_that_is_no_json_is_told_and_resumed_from),
        TEST(an_object_over_the_limit_is_told_and_passed_over),
        TEST(silence_is_given_up_and_resumed_from),
        TEST(bookmarks_keep_a_quiet_watch_alive),
        TEST(a_429_pauses_as_long_as_it_asks),
        TEST(a_refusal_is_told_and_tried_again),
        TEST(a_kind_that_is_not_served_is_explained),
        TEST(a_stream_that_ends_at_once_is_not_stormed),
        TEST(selectors_and_metadata_are_asked_for),
        TEST(any_handler_may_free_the_watch),
        TEST(any_handler_may_free_the_watch_during_a_list),
        TEST(handlers_may_start_and_cancel_calls),
        cmocka_unit_test(pauses_grow_to_a_bound_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
