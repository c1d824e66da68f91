#include "loop_time.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "volume/survey.h"
#include "volume/tree.h"

struct world {
    struct event_base *loop;
    struct children *children;
    struct survey *survey;
    struct volume volume;
    char root[64], control[128];
    int rooms, controls;
};

static void on_children(void *arg)
{
    (void)arg;
}

static void on_room(void *arg)
{
    ((struct world *)arg)->rooms++;
}

static void on_control(void *arg)
{
    ((struct world *)arg)->controls++;
}

static void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct survey_handlers handlers = {on_room, on_control, world};
    struct error err;
    char path[128];
    snprintf(world->root, sizeof world->root, "/tmp/pgkeel-survey-XXXXXX");
    assert_non_null(mkdtemp(world->root));
    snprintf(path, sizeof path, "%s/pgdata", world->root);
    make_folder(path);
    snprintf(path, sizeof path, "%s/pgdata/global", world->root);
    make_folder(path);
    snprintf(world->control, sizeof world->control, "%s/pgdata/global/pg_control", world->root);
    assert_int_equal(volume_init(&world->volume, world->root, world->root, &err), 0);
    world->loop = event_base_new();
    world->children = children_new(world->loop, on_children, world);
    world->survey = survey_new(world->loop, world->children, &world->volume, &handlers);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    struct error err;
    children_free(world->children);
    survey_free(world->survey);
    event_base_free(world->loop);
    assert_int_equal(tree_remove(world->root, &err), 0);
    free(world);
    return 0;
}

static void write_control(const struct world *world, time_t second)
{
    int fd = open(world->control, O_WRONLY | O_CREAT, 0600);
    struct timespec times[2] = {{.tv_sec = second}, {.tv_sec = second, .tv_nsec = 5}};
    assert_true(fd >= 0);
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void the_room_of_the_volume_is_read_at_once(void **state)
{
    struct world *world = *state;
    run_until(world->loop, &world->rooms, 1);
    assert_true(survey_room(world->survey, SURVEY_DATA)->level >= ROOM_ENOUGH);
    assert_true(survey_room(world->survey, SURVEY_DATA)->reported.capacity_bytes > 0);
    assert_int_equal(survey_room(world->survey, SURVEY_WAL)->level, ROOM_UNREAD);
    assert_int_equal(survey_control_written_ns(world->survey), 0); /* there is none */
}

static void a_write_of_the_control_file_is_noticed_while_it_is_followed(void **state)
{
    struct world *world = *state;
    write_control(world, 1000000);
    survey_follow_control(world->survey, true);
    run_until(world->loop, &world->controls, 1);
    assert_true(survey_control_written_ns(world->survey) == 1000000LL * 1000000000 + 5);
    write_control(world, 2000000);
    survey_look_now(world->survey);
    run_until(world->loop, &world->controls, 2);
    assert_true(survey_control_written_ns(world->survey) == 2000000LL * 1000000000 + 5);
}

static void a_control_file_that_cannot_be_read_any_more_is_not_known(void **state)
{
    struct world *world = *state;
    write_control(world, 1000000);
    survey_follow_control(world->survey, true);
    run_until(world->loop, &world->controls, 1);
    assert_int_equal(unlink(world->control), 0);
    survey_look_now(world->survey);
    run_until(world->loop, &world->controls, 2);
    assert_int_equal(survey_control_written_ns(world->survey), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_room_of_the_volume_is_read_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_of_the_control_file_is_noticed_while_it_is_followed,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_control_file_that_cannot_be_read_any_more_is_not_known,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
