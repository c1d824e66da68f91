/* When the read-write endpoint is written, against a scripted server; time passes only when a test
 * says so. */
#include "kube_time.h"

#include "api/names.h"
#include "base/json.h"
#include "member/slice.h"

struct scene {
    struct world world;
    struct virtual_clock clock;
    int64_t now_ms;
    struct slice *slice;
    enum slice_want want;
    int64_t epoch;
    int writes, refusals; /* so many writes are refused */
};

static void keep_slice(struct server *server, struct exchange *x)
{
    static const char written[] =
        "{\"addressType\":\"IPv4\",\"metadata\":{\"name\":\"a-rw\",\"resourceVersion\":\"8\","
        "\"annotations\":{\"" ANN_EPOCH "\":\"3\"}},\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],"
        "\"conditions\":{\"ready\":true}}]}";
    struct scene *scene = server->arg;
    if (strcmp(x->method, "GET") == 0) {
        reply_stream(x);
        send_line(x, "{\"type\":\"ADDED\",\"object\":{\"addressType\":\"IPv4\",\"metadata\":{"
                     "\"name\":\"a-rw\",\"resourceVersion\":\"7\"},\"endpoints\":[]}}");
        send_line(x, "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"EndpointSlice\",\"metadata\":{"
                     "\"resourceVersion\":\"7\",\"annotations\":{\"k8s.io/initial-events-end\":"
                     "\"true\"}}}}");
        return;
    }
    scene->writes++;
    bool refuse = scene->refusals > 0 && scene->refusals--;
    reply(x, refuse ? 500 : 200, "", refuse ? "{}" : written);
}

/* As the agent does: the slice alone never writes. */
static void on_changed(void *arg)
{
    struct scene *scene = arg;
    slice_set(scene->slice, scene->want, scene->epoch);
}

static int open_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    struct slice_options options = {"n", "a-rw", "10.0.0.1", "a-1-0", "uid-1"};
    world_open(&scene->world, keep_slice, scene);
    scene->now_ms = 1000000;
    virtual_clock_init(&scene->clock, &scene->now_ms);
    kube_set_clock(scene->world.kube, &scene->clock.clock);
    scene->slice = slice_new(scene->world.loop, scene->world.kube, &options, on_changed, scene);
    *state = scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *scene = *state;
    slice_free(scene->slice);
    world_close(&scene->world);
    free(scene);
    return 0;
}

static bool is_settled_in(const struct scene *scene)
{
    const struct kube *kube = scene->world.kube;
    const struct server *server = scene->world.server;
    return kube->started == server->requests && kube->answered == server->answered;
}

static void arrive(struct scene *scene)
{
    const int never = 0;
    for (int turn = 0; turn < 3; turn++) {
        event_base_loop(scene->world.loop, EVLOOP_NONBLOCK);
        for (int waits = 0; !is_settled_in(scene); waits++) {
            (void)run_loop(scene->world.loop, &never, 1, 1);
            assert_true(waits < DEADLINE_S * 1000);
        }
    }
}

static void pass_ms(struct scene *scene, int64_t ms)
{
    int64_t end_ms = scene->now_ms + ms;
    arrive(scene);
    for (int64_t next = next_due_ms(&scene->clock); next >= 0 && next <= end_ms;
         next = next_due_ms(&scene->clock)) {
        scene->now_ms = next > scene->now_ms ? next : scene->now_ms;
        fire_due(&scene->clock);
        arrive(scene);
    }
    scene->now_ms = end_ms;
}

/* The watch's first event brings the first write. */
static void want(struct scene *scene, enum slice_want wanted, int64_t epoch)
{
    scene->want = wanted;
    scene->epoch = epoch;
    slice_set(scene->slice, wanted, epoch);
    run_until(scene->world.loop, &scene->writes, 1);
    arrive(scene);
}

static void a_write_that_is_refused_is_tried_again_after_a_pause_that_doubles(void **state)
{
    struct scene *scene = *state;
    scene->refusals = 2;
    want(scene, SLICE_SELF, 3);
    assert_int_equal(scene->writes, 1);
    slice_set(scene->slice, SLICE_SELF, 3); /* the agent looks often; the pause lasts */
    pass_ms(scene, 199);
    assert_int_equal(scene->writes, 1);
    pass_ms(scene, 1);
    assert_int_equal(scene->writes, 2);
    pass_ms(scene, 399);
    assert_int_equal(scene->writes, 2);
    assert_false(slice_settled(scene->slice));
    pass_ms(scene, 1);
    assert_int_equal(scene->writes, 3);
    assert_true(slice_settled(scene->slice));
    assert_int_equal(slice_seen_epoch(scene->slice), 3);
}

static void what_is_as_wanted_is_not_written_again(void **state)
{
    struct scene *scene = *state;
    want(scene, SLICE_SELF, 3);
    assert_true(slice_settled(scene->slice));
    pass_ms(scene, 10000);
    assert_int_equal(scene->writes, 1);
}

static void an_endpoint_of_a_later_epoch_is_left_alone(void **state)
{
    struct scene *scene = *state;
    want(scene, SLICE_SELF, 3);
    scene->epoch = 2;
    slice_set(scene->slice, SLICE_EMPTY, 2);
    pass_ms(scene, 10000);
    assert_int_equal(scene->writes, 1);
    assert_true(slice_settled(scene->slice));
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        SCENE(a_write_that_is_refused_is_tried_again_after_a_pause_that_doubles),
        SCENE(what_is_as_wanted_is_not_written_again),
        SCENE(an_endpoint_of_a_later_epoch_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
