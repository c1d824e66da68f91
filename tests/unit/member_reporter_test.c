/* When a pod's report is written, against a scripted server; time passes only when a test says so.
 */
#include "kube_time.h"

#include "member/reporter.h"

struct scene {
    struct world world;
    struct virtual_clock clock;
    int64_t now_ms;
    struct reporter *reporter;
    int settled, refusals;
    int silences; /* so many requests get no answer */
};

static void answer(struct server *server, struct exchange *x)
{
    struct scene *scene = server->arg;
    if (scene->silences > 0 && scene->silences--)
        return;
    bool refuse = scene->refusals-- > 0;
    reply(x, refuse ? 500 : 200, "", "{}");
}

static void on_settled(void *arg)
{
    ((struct scene *)arg)->settled++;
}

static int open_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    world_open(&scene->world, answer, scene);
    scene->now_ms = 1000000;
    virtual_clock_init(&scene->clock, &scene->now_ms);
    kube_set_clock(scene->world.kube, &scene->clock.clock);
    struct reporter_options options = {"n", "a-1-0", "uid-1"};
    scene->reporter =
        reporter_new(scene->world.loop, scene->world.kube, &options, on_settled, scene);
    *state = scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *scene = *state;
    reporter_free(scene->reporter);
    world_close(&scene->world);
    free(scene);
    return 0;
}

/* Until every request has arrived, and every answer. */
static void arrive(struct scene *scene)
{
    const int never = 0;
    const struct kube *kube = scene->world.kube;
    const struct server *server = scene->world.server;
    event_base_loop(scene->world.loop, EVLOOP_NONBLOCK);
    for (int waits = 0; kube->started != server->requests || kube->answered != server->answered;
         waits++) {
        (void)run_loop(scene->world.loop, &never, 1, 1);
        assert_true(waits < DEADLINE_S * 1000);
    }
    event_base_loop(scene->world.loop, EVLOOP_NONBLOCK);
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

static void settle(struct scene *scene, int times)
{
    arrive(scene);
    for (int64_t next = next_due_ms(&scene->clock); scene->settled < times && next >= 0;
         next = next_due_ms(&scene->clock))
        pass_ms(scene, next > scene->now_ms ? next - scene->now_ms : 0);
    assert_int_equal(scene->settled, times);
}

static void a_stage_that_is_passed_through_is_not_written(void **state)
{
    struct scene *scene = *state;
    reporter_set(scene->reporter, "starting", "", false);
    reporter_set(scene->reporter, "recovering", "", false);
    reporter_set(scene->reporter, "ready", "primary", true);
    settle(scene, 1);
    assert_int_equal(scene->world.server->requests, 1);
    assert_non_null(strstr(scene->world.server->last_body, "\"ready\""));
}

static void a_stage_that_lasts_is_written_once_it_did(void **state)
{
    struct scene *scene = *state;
    reporter_set(scene->reporter, "starting", "", false);
    reporter_set(scene->reporter, "initializing", "", false);
    pass_ms(scene, 299);
    assert_int_equal(scene->world.server->requests, 0);
    pass_ms(scene, 1);
    assert_int_equal(scene->settled, 1);
    assert_int_equal(scene->world.server->requests, 1);
    assert_non_null(strstr(scene->world.server->last_body, "initializing"));
    reporter_set(scene->reporter, "ready", "", true);
    settle(scene, 2);
    assert_int_equal(scene->world.server->requests, 2);
}

static void what_comes_while_one_is_written_goes_next_and_what_is_said_already_does_not(
    void **state)
{
    struct scene *scene = *state;
    reporter_set(scene->reporter, "ready", "", true);
    reporter_set(scene->reporter, "ready and bootstrapped", "", true);
    settle(scene, 1);
    assert_int_equal(scene->world.server->requests, 2);
    reporter_set(scene->reporter, "passing", "", false);
    reporter_set(scene->reporter, "ready and bootstrapped", "", true);
    assert_true(reporter_settled(scene->reporter));
    reporter_set(scene->reporter, "gone", "", true);
    settle(scene, 2);
    assert_int_equal(scene->world.server->requests, 3);
    assert_non_null(strstr(scene->world.server->last_body, "gone"));
}

static void a_refused_report_is_written_again_and_the_newest_only(void **state)
{
    struct scene *scene = *state;
    scene->refusals = 1;
    reporter_set(scene->reporter, "one", "", true);
    arrive(scene);
    reporter_set(scene->reporter, "two", "", true);
    settle(scene, 1);
    assert_int_equal(scene->world.server->requests, 2);
    assert_non_null(strstr(scene->world.server->last_body, "two"));
}

/* The first one may be stored long after it was given up, and over the second. */
static void what_followed_a_write_without_an_answer_is_written_twice_more(void **state)
{
    struct scene *scene = *state;
    scene->silences = 1;
    reporter_set(scene->reporter, "one", "", true);
    arrive(scene);
    reporter_set(scene->reporter, "two", "", true);
    settle(scene, 1);
    int before = scene->world.server->requests;
    pass_ms(scene, 5000 + 299); /* it holds a passing stage back */
    assert_int_equal(scene->world.server->requests, before);
    pass_ms(scene, 1);
    assert_int_equal(scene->world.server->requests, before + 1);
    pass_ms(scene, 65000 + 300);
    assert_int_equal(scene->world.server->requests, before + 2);
    assert_non_null(strstr(scene->world.server->last_body, "two"));
    pass_ms(scene, 3600000);
    assert_int_equal(scene->world.server->requests, before + 2);
}

static void many_changes_go_out_at_once_and_then_one_a_second(void **state)
{
    struct scene *scene = *state;
    for (int i = 0; i < 60; i++) {
        AUTO_ARENA arena = arena_new();
        reporter_set(scene->reporter, arena_printf(arena, "change %d", i), "", true);
        arrive(scene);
        pass_ms(scene, 100);
    }
    assert_in_range(scene->world.server->requests, 12 + 5, 12 + 6);
    pass_ms(scene, 2000);
    assert_non_null(strstr(scene->world.server->last_body, "change 59"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stage_that_is_passed_through_is_not_written, open_scene,
                                        close_scene),
        cmocka_unit_test_setup_teardown(a_stage_that_lasts_is_written_once_it_did, open_scene,
                                        close_scene),
        cmocka_unit_test_setup_teardown(
            what_comes_while_one_is_written_goes_next_and_what_is_said_already_does_not, open_scene,
            close_scene),
        cmocka_unit_test_setup_teardown(a_refused_report_is_written_again_and_the_newest_only,
                                        open_scene, close_scene),
        cmocka_unit_test_setup_teardown(
            what_followed_a_write_without_an_answer_is_written_twice_more, open_scene, close_scene),
        cmocka_unit_test_setup_teardown(many_changes_go_out_at_once_and_then_one_a_second,
                                        open_scene, close_scene),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
