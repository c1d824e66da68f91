#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "pg/pg.h"

/* A server that accepts and then says nothing, or what it is told to, on a Unix socket. */
struct world {
    struct event_base *loop;
    char folder[48], path[80];
    int listener, opened, done;
    struct error opened_err, done_err;
    struct pg *pg;
    bool close_in_callback;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->loop = event_base_new();
    snprintf(world->folder, sizeof world->folder, "/tmp/pgkeel-pg-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/.s.PGSQL.5432", world->folder);
    world->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", world->path);
    assert_int_equal(bind(world->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(world->listener, 5), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    pg_close(world->pg);
    close(world->listener);
    unlink(world->path);
    rmdir(world->folder);
    event_base_free(world->loop);
    free(world);
    return 0;
}

static void on_opened(void *arg, const struct error *err)
{
    struct world *world = arg;
    world->opened++;
    world->opened_err = *err;
}

static void on_done(void *arg, const PGresult *result, const struct error *err)
{
    struct world *world = arg;
    (void)result;
    world->done++;
    world->done_err = *err;
    if (world->close_in_callback) {
        pg_close(world->pg);
        world->pg = NULL;
    }
    event_base_loopbreak(world->loop);
}

static void open_to(struct world *world, const char *folder)
{
    static const char *const keywords[] = {"host", "user", "dbname", "sslmode", "passfile", NULL};
    const char *values[] = {folder, "postgres", "postgres", "disable", "/dev/null/none", NULL};
    struct pg_options options = {keywords, values, 200};
    world->pg = pg_open(world->loop, &options, on_opened, world);
}

static void run(struct world *world)
{
    struct timeval limit = {10, 0};
    event_base_loopexit(world->loop, &limit);
    event_base_dispatch(world->loop);
}

static void a_socket_that_is_not_there_fails_connection_and_query(void **state)
{
    struct world *world = *state;
    open_to(world, "/nonexistent");
    pg_query(world->pg, "select 1", 1000, on_done, world);
    assert_int_equal(world->opened, 0); /* never before the call returns */
    run(world);
    assert_int_equal(world->opened, 1);
    assert_int_equal(world->done, 1);
    assert_int_equal(world->opened_err.class, ERR_TRANSPORT);
    assert_non_null(strstr(world->done_err.text, "/nonexistent/.s.PGSQL.5432"));
    assert_null(strchr(world->done_err.text, '\n'));
    assert_false(pg_usable(world->pg));
    pg_query(world->pg, "select 1", 1000, on_done, world);
    run(world);
    assert_int_equal(world->done, 2);
    assert_int_equal(world->done_err.class, ERR_TRANSPORT);
}

static void a_server_that_says_nothing_runs_into_the_deadline(void **state)
{
    struct world *world = *state;
    open_to(world, world->folder);
    assert_true(pg_usable(world->pg));
    pg_query(world->pg, "select 1", 1000, on_done, world);
    assert_int_equal(pg_pending(world->pg), 1);
    run(world);
    assert_int_equal(world->opened_err.class, ERR_TIMEOUT);
    assert_int_equal(world->done_err.class, ERR_TIMEOUT);
    assert_int_equal(pg_pending(world->pg), 0);
}

/* Authentication done, ready for query; whatever is asked is never answered. */
static void serve_start(evutil_socket_t fd, short what, void *arg)
{
    (void)what, (void)arg;
    static const char answer[] = "R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    int wire = accept(fd, NULL, NULL);
    assert_int_equal(write(wire, answer, sizeof answer - 1), (ssize_t)sizeof answer - 1);
}

static void a_query_without_an_answer_ends_with_its_connection(void **state)
{
    struct world *world = *state;
    struct event *serving =
        event_new(world->loop, world->listener, EV_READ | EV_PERSIST, serve_start, NULL);
    event_add(serving, NULL);
    open_to(world, world->folder);
    pg_query(world->pg, "select 1", 300, on_done, world);
    run(world);
    assert_int_equal(world->opened_err.class, 0);
    assert_int_equal(world->done_err.class, ERR_TIMEOUT);
    assert_non_null(strstr(world->done_err.text, "300 ms"));
    assert_false(pg_usable(world->pg));
    event_free(serving);
}

/* Authentication done, ready for query, a notice, and an end without having been asked. */
static void serve_last_words(evutil_socket_t fd, short what, void *arg)
{
    (void)what, (void)arg;
    static const char words[] = "R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"
                                "N\0\0\0\x25SNOTICE\0VNOTICE\0C"
                                "00000\0Mone\nand\0\0"
                                "E\0\0\0\x27SFATAL\0VFATAL\0C"
                                "57P01\0Mmust go now\0\0";
    int wire = accept(fd, NULL, NULL);
    assert_int_equal(write(wire, words, sizeof words - 1), (ssize_t)sizeof words - 1);
    close(wire);
}

static void what_the_server_says_unasked_is_a_line_of_the_log(void **state)
{
    struct world *world = *state;
    char told[2048] = "";
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    log_set_fd(ends[1]);
    struct event *serving =
        event_new(world->loop, world->listener, EV_READ | EV_PERSIST, serve_last_words, NULL);
    event_add(serving, NULL);
    open_to(world, world->folder);
    while (pg_usable(world->pg))
        event_base_loop(world->loop, EVLOOP_ONCE);
    log_set_fd(2);
    close(ends[1]);
    assert_true(read(ends[0], told, sizeof told - 1) > 0);
    assert_non_null(
        strstr(told, "\"severity\":\"NOTICE\",\"sqlstate\":\"00000\",\"text\":\"one and\""));
    assert_non_null(
        strstr(told, "\"severity\":\"FATAL\",\"sqlstate\":\"57P01\",\"text\":\"must go now\""));
    close(ends[0]);
    event_free(serving);
}

static void a_connection_may_be_closed_in_its_own_callback(void **state)
{
    struct world *world = *state;
    world->close_in_callback = true;
    open_to(world, "/nonexistent");
    pg_query(world->pg, "select 1", 1000, on_done, world);
    pg_query(world->pg, "select 2", 1000, on_done, world);
    run(world);
    assert_int_equal(world->done, 1); /* the second one's is not called any more */
}

static void closing_calls_nobody(void **state)
{
    struct world *world = *state;
    open_to(world, world->folder);
    pg_query(world->pg, "select 1", 1000, on_done, world);
    pg_close(world->pg);
    world->pg = NULL;
    event_base_loop(world->loop, EVLOOP_NONBLOCK);
    assert_int_equal(world->opened + world->done, 0);
}

static void sqlstates_have_classes(void **state)
{
    (void)state;
    assert_int_equal(pg_class_of("57014"), ERR_TIMEOUT);
    assert_int_equal(pg_class_of("57P03"), ERR_OVERLOADED);
    assert_int_equal(pg_class_of("57P01"), ERR_TRANSPORT);
    assert_int_equal(pg_class_of("53300"), ERR_OVERLOADED);
    assert_int_equal(pg_class_of("28P01"), ERR_FORBIDDEN);
    assert_int_equal(pg_class_of("42501"), ERR_FORBIDDEN);
    assert_int_equal(pg_class_of("42P04"), ERR_CONFLICT);
    assert_int_equal(pg_class_of("25006"), ERR_CONFLICT);
    assert_int_equal(pg_class_of("42601"), ERR_DATABASE);
    assert_int_equal(pg_class_of("XX001"), ERR_INTERNAL);
}

static void quoting_leaves_no_way_out(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    assert_string_equal(pg_literal(arena, "it's"), "'it''s'");
    assert_string_equal(pg_literal(arena, "back\\slash'"), "E'back\\\\slash'''");
    assert_string_equal(pg_identifier(arena, "a\"b\\"), "\"a\"\"b\\\"");
    assert_string_equal(pg_literal(arena, ""), "''");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_socket_that_is_not_there_fails_connection_and_query),
        TEST(a_server_that_says_nothing_runs_into_the_deadline),
        TEST(a_query_without_an_answer_ends_with_its_connection),
        TEST(what_the_server_says_unasked_is_a_line_of_the_log),
        TEST(a_connection_may_be_closed_in_its_own_callback),
        TEST(closing_calls_nobody),
        cmocka_unit_test(sqlstates_have_classes),
        cmocka_unit_test(quoting_leaves_no_way_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
