/* When a pod's report is written, against a scripted server. */
#include "kube_server.h"

#include "member/reporter.h"

struct scene {
    struct world world;
    struct reporter *reporter;
    int settled, refusals;
};

static void answer(struct server *server, struct exchange *x)
{
    struct scene *scene = server->arg;
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

static void settle(struct scene *scene, int times)
{
    run_until(scene->world.loop, &scene->settled, times);
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
    int64_t before_ms = clock_boot_ms();
    reporter_set(scene->reporter, "starting", "", false);
    reporter_set(scene->reporter, "initializing", "", false);
    settle(scene, 1);
    assert_true(clock_boot_ms() - before_ms >= 300 - TIMER_SLACK_MS);
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
    run_until(scene->world.loop, &scene->world.server->answered, 1);
    reporter_set(scene->reporter, "two", "", true);
    settle(scene, 1);
    assert_int_equal(scene->world.server->requests, 2);
    assert_non_null(strstr(scene->world.server->last_body, "two"));
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
