#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "postgres/binaries.h"
#include "loop/child.h"
#include "volume/tree.h"

struct world {
    struct event_base *loop;
    struct children *children;
    int reaped, ended, closed;
    struct child_result result;
    char output[CHILD_OUTPUT_MAX_BYTES + 1];
    size_t streamed;
    bool stop_at_closed;
};

static void on_changed(void *arg)
{
    ((struct world *)arg)->reaped++;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->loop = event_base_new();
    world->children = children_new(world->loop, on_changed, world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    children_free(world->children);
    event_base_free(world->loop);
    free(world);
    return 0;
}

static void on_ended(void *arg, const struct child_result *result)
{
    struct world *world = arg;
    world->ended++;
    world->result = *result;
    snprintf(world->output, sizeof world->output, "%s", result->output);
    if (!world->stop_at_closed)
        event_base_loopbreak(world->loop);
}

static void on_closed(void *arg)
{
    struct world *world = arg;
    assert_int_equal(world->ended, 1); /* always the last call */
    world->closed++;
    if (world->stop_at_closed)
        event_base_loopbreak(world->loop);
}

static void on_output(void *arg, const char *data, size_t length)
{
    (void)data;
    ((struct world *)arg)->streamed += length;
}

static void run(struct world *world)
{
    struct timeval limit = {20, 0};
    event_base_loopexit(world->loop, &limit);
    event_base_dispatch(world->loop);
}

static struct child *start(struct world *world, const char *script, bool stream)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    const char *env[] = {"PATH=/usr/bin:/bin", "GIVEN=yes", NULL};
    struct child_spec spec = {.name = "tool",
                              .argv = argv,
                              .env = env,
                              .ended = on_ended,
                              .closed = on_closed,
                              .arg = world,
                              .stream = stream,
                              .output = stream ? on_output : NULL};
    struct child *child;
    struct error err;
    assert_int_equal(child_start(world->children, &spec, &child, &err), 0);
    return child;
}

static void output_and_success_are_told_once(void **state)
{
    struct world *world = *state;
    start(world, "echo out; echo err >&2; echo $GIVEN", false);
    run(world);
    assert_int_equal(world->ended, 1);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->result.err.class, 0);
    assert_string_equal(world->output, "out\nerr\nyes\n");
    assert_true(world->reaped > 0);
}

static void a_failure_says_how_and_its_last_error(void **state)
{
    struct world *world = *state;
    start(world, "echo 'tool: error: no such thing'; echo 'tool: removing it'; exit 3", false);
    run(world);
    assert_int_equal(world->result.err.class, ERR_IO);
    assert_string_equal(world->result.err.text,
                        "tool exited with code 3: tool: error: no such thing");
    world->ended = world->closed = 0;
    start(world, "kill -9 $$", false);
    run(world);
    assert_string_equal(world->result.err.text, "tool was killed by signal 9");
}

static void a_program_that_is_not_there_is_a_failure_that_names_it(void **state)
{
    struct world *world = *state;
    const char *argv[] = {"/nonexistent/tool", NULL};
    struct child_spec spec = {.name = "tool", .argv = argv, .ended = on_ended, .arg = world};
    struct child *child;
    struct error err;
    assert_int_equal(child_start(world->children, &spec, &child, &err), 0);
    run(world);
    assert_non_null(strstr(world->result.err.text, "/nonexistent/tool"));
}

static void only_the_end_of_long_output_is_kept(void **state)
{
    struct world *world = *state;
    start(world, "head -c 300000 /dev/zero | tr '\\0' x; echo end", false);
    run(world);
    assert_int_equal(strlen(world->output), CHILD_OUTPUT_MAX_BYTES);
    assert_string_equal(world->output + CHILD_OUTPUT_MAX_BYTES - 5, "xend\n");
}

static void a_stream_is_heard_to_its_end_even_behind_the_child(void **state)
{
    struct world *world = *state;
    world->stop_at_closed = true;
    start(world, "(sleep 0.3; head -c 200000 /dev/zero) & exit 0", true);
    run(world);
    assert_int_equal(world->ended, 1);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->streamed, 200000);
}

static int failing_task(void *arg, struct error *err)
{
    return err_set_reason(err, ERR_FORBIDDEN, "Because", "task says %s", (const char *)arg);
}

static int good_task(void *arg, struct error *err)
{
    (void)arg, (void)err;
    return 0;
}

static void a_task_brings_its_own_error_back(void **state)
{
    struct world *world = *state;
    struct child_spec spec = {
        .name = "task", .task = failing_task, .task_arg = "no", .ended = on_ended, .arg = world};
    struct child *child;
    struct error err;
    assert_int_equal(child_start(world->children, &spec, &child, &err), 0);
    run(world);
    assert_int_equal(world->result.err.class, ERR_FORBIDDEN);
    assert_string_equal(world->result.err.text, "task says no");
    assert_string_equal(world->result.err.reason, "Because");
    spec.task = good_task;
    assert_int_equal(child_start(world->children, &spec, &child, &err), 0);
    run(world);
    assert_int_equal(world->result.err.class, 0);
}

static void a_signal_to_all_reaches_what_the_child_started(void **state)
{
    struct world *world = *state;
    world->stop_at_closed = true;
    struct child *child = start(world, "sleep 600 & sleep 600; true", true);
    usleep(100000); /* so that there is something to reach; nothing tells of it */
    child_signal_all(child, SIGKILL);
    run(world);
    assert_int_equal(world->closed, 1); /* the pipe is closed: nobody holds it any more */
}

static void orphans_are_reaped_and_counted_by_program(void **state)
{
    struct world *world = *state;
    /* Forked is not yet sleep: until it has replaced itself, it goes by the shell's name. */
    start(
        world,
        "sleep 600 & until read name </proc/$!/comm && [ \"$name\" = sleep ]; do :; done; echo $!",
        false);
    run(world);
    pid_t orphan = (pid_t)strtol(world->output, NULL, 10);
    assert_true(orphan > 1);
    assert_int_equal(children_strays(world->children, "no-such-program", 0), 0);
    assert_int_equal(children_strays(world->children, "sleep", SIGKILL), 1);
    while (kill(orphan, 0) == 0) /* until it is reaped */
        event_base_loop(world->loop, EVLOOP_ONCE);
    assert_int_equal(children_strays(world->children, "sleep", 0), 0);
}

static void the_last_error_line_is_found(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    assert_string_equal(child_last_error(arena, ""), "");
    assert_string_equal(child_last_error(arena, "one\ntwo\n\n"), "two");
    assert_string_equal(child_last_error(arena, "FATAL:  a\nx: error: b\nremoved\n"),
                        "x: error: b");
}

/* ---- finding PostgreSQL ---- */

struct found {
    struct world *world;
    bool is_there;
    struct binaries binaries;
    struct error err;
};

static void on_found(void *arg, const struct binaries *binaries, const struct error *err)
{
    struct found *found = arg;
    found->is_there = binaries != NULL;
    if (binaries != NULL)
        found->binaries = *binaries;
    found->err = *err;
    event_base_loopbreak(found->world->loop);
}

static void make_server(const char *root, const char *dir, const char *version)
{
    char command[1024];
    snprintf(command, sizeof command,
             "mkdir -p %s%s && cd %s%s && printf '#!/bin/sh\\necho postgres \"(PostgreSQL)\" %s\\n'"
             " > postgres && cp postgres initdb && cp postgres pg_basebackup &&"
             " cp postgres pg_controldata && chmod +x *",
             root, dir, root, dir, version);
    assert_int_equal(system(command), 0);
}

static struct found find(struct world *world, const char *root, int major)
{
    struct found found = {.world = world};
    struct error err;
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "/nonexistent", 1); /* this machine's own pg_config is not asked */
    assert_int_equal(binaries_find(world->children, root, major, on_found, &found, &err), 0);
    run(world);
    setenv("PATH", path, 1);
    free(path);
    return found;
}

static void the_server_of_the_wanted_major_is_found_wherever_it_is(void **state)
{
    struct world *world = *state;
    char root[] = "/tmp/pgkeel-binaries-XXXXXX", expected[256];
    struct error err;
    assert_non_null(mkdtemp(root));
    struct found found = find(world, root, 17);
    assert_false(found.is_there);
    assert_string_equal(found.err.reason, "NoPostgres");
    make_server(root, "/usr/lib/postgresql/15/bin", "15.20");
    found = find(world, root, 17);
    assert_false(found.is_there);
    assert_string_equal(found.err.reason, "VersionMismatch");
    assert_non_null(strstr(found.err.text, "asks for PostgreSQL 17, but the image holds 15.20 in"));
    make_server(root, "/usr/local/bin", "17.2");
    found = find(world, root, 17);
    assert_true(found.is_there);
    snprintf(expected, sizeof expected, "%s/usr/local/bin", root);
    assert_string_equal(found.binaries.dir, expected);
    assert_string_equal(found.binaries.version, "17.2");
    make_server(root, "/usr/pgsql-17/bin", "17.3");
    found = find(world, root, 17);
    assert_string_equal(found.binaries.version, "17.3"); /* a folder of its own goes first */
    assert_int_equal(tree_remove(root, &err), 0);
}

static void versions_are_read_from_what_postgres_says(void **state)
{
    (void)state;
    int major = 0;
    char version[32];
    assert_true(binaries_parse_version("postgres (PostgreSQL) 17.11 (Debian 17.11-1)\n", &major,
                                       version, sizeof version));
    assert_int_equal(major, 17);
    assert_string_equal(version, "17.11");
    assert_true(
        binaries_parse_version("postgres (PostgreSQL) 18beta1\n", &major, version, sizeof version));
    assert_int_equal(major, 18);
    assert_false(binaries_parse_version("bash 5.2", &major, version, sizeof version));
    assert_false(binaries_parse_version("(PostgreSQL) x", &major, version, sizeof version));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(output_and_success_are_told_once),
        TEST(a_failure_says_how_and_its_last_error),
        TEST(a_program_that_is_not_there_is_a_failure_that_names_it),
        TEST(only_the_end_of_long_output_is_kept),
        TEST(a_stream_is_heard_to_its_end_even_behind_the_child),
        TEST(a_task_brings_its_own_error_back),
        TEST(a_signal_to_all_reaches_what_the_child_started),
        TEST(orphans_are_reaped_and_counted_by_program),
        cmocka_unit_test(the_last_error_line_is_found),
        TEST(the_server_of_the_wanted_major_is_found_wherever_it_is),
        cmocka_unit_test(versions_are_read_from_what_postgres_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
