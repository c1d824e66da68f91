/* SQL that the agent writes, and answers that it reads. */
#include "test.h"

#include "base/arena.h"
#include "postgres/monitor.h"
#include "postgres/roles.h"

enum { MAX_COLUMNS = 6 };

/* A result with text columns; rows end with a NULL first cell. */
static PGresult *result_of(const char *const *names, int columns, const char *const *cells)
{
    PGresAttDesc attributes[MAX_COLUMNS] = {0};
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    for (int i = 0; i < columns; i++)
        attributes[i].name = (char *)names[i];
    PQsetResultAttrs(result, columns, attributes);
    for (int row = 0; cells[row * columns] != NULL; row++)
        for (int i = 0; i < columns; i++)
            PQsetvalue(result, row, i, (char *)cells[row * columns + i],
                       (int)strlen(cells[row * columns + i]));
    return result;
}

static const char *const role_columns[] = {"rolname", "password", "rolsuper", "rolreplication",
                                           "rolcanlogin"};
#define VERIFIER "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy"

static void roles_that_are_as_wanted_are_not_written(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct role_want wanted[] = {{"postgres", VERIFIER, true, false, true},
                                 {"app", VERIFIER, false, false, true}};
    static const char *const cells[] = {"postgres", VERIFIER, "t", "t", "t", "app",
                                        VERIFIER,   "f",      "f", "t", NULL};
    PGresult *have = result_of(role_columns, 5, cells);
    assert_string_equal(roles_statements(arena, have, wanted, 2), "select pg_current_xact_id()");
    PQclear(have);
}

static void missing_roles_are_made_and_others_put_right(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct role_want wanted[] = {{"we\"ird", VERIFIER, false, false, true},
                                 {"copy", VERIFIER, false, true, true}};
    static const char *const cells[] = {"copy", VERIFIER, "f", "f", "t", NULL};
    PGresult *have = result_of(role_columns, 5, cells);
    assert_string_equal(
        roles_statements(arena, have, wanted, 2),
        "create role \"we\"\"ird\" with nosuperuser noreplication login password '" VERIFIER "'; "
        "alter role \"copy\" with replication; "
        "select pg_current_xact_id()");
    PQclear(have);
}

static void what_an_administrator_gave_or_took_is_not_ours_to_change(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct role_want wanted[] = {{"app", VERIFIER, false, false, true},
                                 {"copy", VERIFIER, false, true, true},
                                 {"postgres", VERIFIER, true, false, true}};
    static const char *const cells[] = {"app",    "old", "t", "t", "f",        "copy",
                                        VERIFIER, "t",   "t", "f", "postgres", VERIFIER,
                                        "f",      "f",   "t", NULL};
    PGresult *have = result_of(role_columns, 5, cells);
    assert_string_equal(roles_statements(arena, have, wanted, 3),
                        "alter role \"app\" with login password '" VERIFIER "'; "
                        "alter role \"copy\" with login; "
                        "alter role \"postgres\" with superuser; "
                        "select pg_current_xact_id()");
    PQclear(have);
}

static void what_is_no_verifier_never_becomes_sql(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err;
    struct role_want *roles;
    size_t count;
    static const char *const bad[] = {
        "[{\"name\":\"a\",\"verifier\":\"SCRAM-SHA-256$x'; drop table t; --\"}]",
        "[{\"name\":\"a\",\"verifier\":\"md5abc\"}]",
        "[{\"name\":\"\",\"verifier\":\"" VERIFIER "\"}]", "[{\"verifier\":\"" VERIFIER "\"}]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(roles_parse(arena, bad[i], &roles, &count, &err), ERR_INVALID);
    assert_int_equal(roles_parse(arena, "{", &roles, &count, &err), ERR_UNREADABLE);
    assert_int_equal(roles_parse(arena,
                                 "[{\"name\":\"a\",\"verifier\":\"" VERIFIER "\","
                                 "\"replication\":true}]",
                                 &roles, &count, &err),
                     0);
    assert_int_equal(count, 1);
    assert_true(roles[0].replication && roles[0].login && !roles[0].superuser);
}

static void slots_are_made_for_the_others_and_dropped_for_those_who_left(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct member_config members[] = {{"a-1", ""}, {"a-2", ""}};
    struct cluster_config config = {.cluster = "a", .members = members, .member_count = 2};
    const char *sql = roles_slots_sql(arena, &config, "a-1");
    assert_non_null(strstr(sql, "(slot_name = 'a_1') or (slot_name = 'a_2' and wal_status = "
                                "'lost') or (slot_name = 'a_3')"));
    assert_non_null(strstr(sql, "pg_create_physical_replication_slot('a_2', true)"));
    assert_null(strstr(sql, "create_physical_replication_slot('a_1'"));
    assert_null(strstr(sql, "create_physical_replication_slot('a_3'"));
}

static const char *const poll_columns[] = {"kind", "a", "b", "c", "d"};

static void a_primarys_answer_is_read(void **state)
{
    (void)state;
    static const char *const cells[] = {
        "self", "false",    "0/3000060", "2", "1769903999.25", "replica", "a-2",  "streaming",
        "4096", "",         "replica",   "x", "catchup",       "-1",      "",     "slot",
        "a_2",  "reserved", "true",      "",  "slot",          "a_3",     "lost", "false",
        "",     NULL};
    struct monitor_view view = {.streaming = true};
    PGresult *result = result_of(poll_columns, 5, cells);
    monitor_read(result, &view);
    PQclear(result);
    assert_false(view.in_recovery || view.streaming || view.streamed);
    assert_string_equal(view.lsn, "0/3000060");
    assert_int_equal(view.timeline, 2);
    assert_true(view.loaded_at > 1769903999.2 && view.loaded_at < 1769903999.3);
    assert_int_equal(view.replica_count, 2);
    assert_string_equal(view.replicas[0].state, "streaming");
    assert_int_equal(view.replicas[0].lag_bytes, 4096);
    assert_int_equal(view.replicas[1].lag_bytes, -1);
    assert_int_equal(view.slot_count, 2);
    assert_true(view.slots[0].active);
    assert_string_equal(view.slots[1].wal_status, "lost");
}

static void look(struct monitor_view *view, const char *const *cells)
{
    PGresult *result = result_of(poll_columns, 5, cells);
    monitor_read(result, view);
    PQclear(result);
}

static void a_replica_has_streamed_when_one_receiver_was_met_twice(void **state)
{
    (void)state;
    static const char *const self[] = {"self", "true", "0/3000060", "1", "1", NULL};
    static const char *const first[] = {"self",      "true", "0/3000060", "1", "1", "receiver",
                                        "streaming", "3",    "71",        "",  NULL};
    static const char *const second[] = {"self",      "true", "0/3000060", "1", "1", "receiver",
                                         "streaming", "3",    "72",        "",  NULL};
    struct monitor_view view = {0};
    look(&view, first);
    assert_true(view.in_recovery && view.streaming && !view.streamed);
    assert_int_equal(view.timeline, 3); /* newer than the last checkpoint's */
    look(&view, second);
    assert_false(view.streamed); /* the first one was refused */
    look(&view, self);
    look(&view, second);
    assert_false(view.streamed);
    look(&view, second);
    assert_true(view.streamed);
    look(&view, self);
    assert_true(!view.streaming && view.streamed); /* it is kept in mind */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_that_are_as_wanted_are_not_written),
        cmocka_unit_test(missing_roles_are_made_and_others_put_right),
        cmocka_unit_test(what_an_administrator_gave_or_took_is_not_ours_to_change),
        cmocka_unit_test(what_is_no_verifier_never_becomes_sql),
        cmocka_unit_test(slots_are_made_for_the_others_and_dropped_for_those_who_left),
        cmocka_unit_test(a_primarys_answer_is_read),
        cmocka_unit_test(a_replica_has_streamed_when_one_receiver_was_met_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
