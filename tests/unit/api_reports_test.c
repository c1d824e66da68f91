#include "test.h"

#include "api/reports.h"

static void an_instance_report_survives_the_way(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    struct instance_report sent =
                               {
                                   .instance = "a-1",
                                   .role = "primary",
                                   .phase = "Running",
                                   .reason = "",
                                   .message = "says \"hello\"",
                                   .system_identifier = "7123456789012345678",
                                   .postgres_version = "17.11",
                                   .timeline = 3,
                                   .epoch = 999999999999999,
                                   .config_hash = "00ff",
                                   .verifiers_hash = "11ee",
                                   .restart_token = "00fe",
                                   .pending_restart = true,
                                   .pending_parameters = "max_connections",
                                   .crashes = 2,
                                   .last_crash_time = "2026-01-31T23:59:59Z",
                                   .last_crash = "signal 9",
                                   .data_volume = {"enough", 1LL << 40, 1 << 20, 1 << 21, ""},
                                   .wal_volume = {"full", 1 << 30, 1 << 29, 0, "no space"},
                                   .bootstrapped = true,
                                   .ready = true,
                               },
                           got;
    char *json = json_compact(arena, report_instance_encode(arena, &sent));
    assert_int_equal(report_instance_decode(arena, json, &got, &err), 0);
    assert_string_equal(got.instance, "a-1");
    assert_string_equal(got.role, "primary");
    assert_string_equal(got.phase, "Running");
    assert_string_equal(got.reason, "");
    assert_string_equal(got.message, "says \"hello\"");
    assert_string_equal(got.system_identifier, "7123456789012345678");
    assert_string_equal(got.postgres_version, "17.11");
    assert_int_equal(got.timeline, 3);
    assert_int_equal(got.epoch, 999999999999999);
    assert_string_equal(got.config_hash, "00ff");
    assert_string_equal(got.verifiers_hash, "11ee");
    assert_string_equal(got.restart_token, "00fe");
    assert_true(got.pending_restart);
    assert_string_equal(got.pending_parameters, "max_connections");
    assert_int_equal(got.crashes, 2);
    assert_string_equal(got.last_crash_time, "2026-01-31T23:59:59Z");
    assert_string_equal(got.last_crash, "signal 9");
    assert_string_equal(got.data_volume.room, "enough");
    assert_int_equal(got.data_volume.capacity_bytes, 1LL << 40);
    assert_int_equal(got.data_volume.used_bytes, 1 << 20);
    assert_int_equal(got.data_volume.available_bytes, 1 << 21);
    assert_string_equal(got.wal_volume.room, "full");
    assert_string_equal(got.wal_volume.words, "no space");
    assert_true(got.bootstrapped);
    assert_true(got.ready);
}

static void unknown_members_are_ignored_and_missing_ones_are_zero(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    struct instance_report got;
    memset(&got, 0xff, sizeof got);
    const char *json =
        "{\"instance\":\"a-1\",\"later\":{\"x\":1},\"timeline\":\"odd\",\"epoch\":1.5}";
    assert_int_equal(report_instance_decode(arena, json, &got, &err), 0);
    assert_string_equal(got.instance, "a-1");
    assert_string_equal(got.role, "");
    assert_int_equal(got.timeline, 0);
    assert_int_equal(got.epoch, 0);
    assert_false(got.pending_restart);
}

static void what_is_no_object_is_refused(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    struct instance_report got;
    assert_int_equal(report_instance_decode(arena, "[]", &got, &err), ERR_UNREADABLE);
    assert_string_equal(err.text, "read the report of an instance: not a JSON object");
    assert_int_equal(report_instance_decode(arena, "", &got, &err), ERR_UNREADABLE);
}

static void the_primary_report_carries_its_replicas(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    struct replica_report replicas[] = {
        {"a-2", "streaming", 0, "reserved", "1/2A"},
        {"a-3", "", -1, "lost", ""},
    };
    struct primary_report sent = {4, "10.0.0.7", "0/3000060", replicas, 2}, got;
    char *json = json_compact(arena, report_primary_encode(arena, &sent));
    assert_int_equal(report_primary_decode(arena, json, &got, &err), 0);
    assert_int_equal(got.timeline, 4);
    assert_string_equal(got.address, "10.0.0.7");
    assert_string_equal(got.lsn, "0/3000060");
    assert_int_equal(got.replica_count, 2);
    assert_string_equal(got.replicas[0].name, "a-2");
    assert_int_equal(got.replicas[0].lag_bytes, 0);
    assert_int_equal(got.replicas[1].lag_bytes, -1);
    assert_string_equal(got.replicas[1].slot_wal_status, "lost");
    assert_string_equal(got.replicas[0].slot_restart_lsn, "1/2A");
}

static void the_cluster_config_carries_its_members(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    struct member_config members[] = {{"a-1", ""}, {"a-2", "00ff"}};
    struct cluster_config sent =
                              {
                                  .cluster = "a",
                                  .namespace = "n",
                                  .postgres_version = 17,
                                  .lease_seconds = 8,
                                  .database = "app",
                                  .owner = "app",
                                  .encoding = "UTF8",
                                  .locale = "C.UTF-8",
                                  .max_slot_wal_keep_size = "4GB",
                                  .config_hash = "00ff",
                                  .verifiers_hash = "11ee",
                                  .members = members,
                                  .member_count = 2,
                              },
                          got;
    char *json = json_compact(arena, report_config_encode(arena, &sent));
    assert_int_equal(report_config_decode(arena, json, &got, &err), 0);
    assert_string_equal(got.namespace, "n");
    assert_int_equal(got.postgres_version, 17);
    assert_int_equal(got.lease_seconds, 8);
    assert_string_equal(got.max_slot_wal_keep_size, "4GB");
    assert_string_equal(got.verifiers_hash, "11ee");
    assert_int_equal(got.member_count, 2);
    assert_string_equal(got.members[0].restart_token, "");
    assert_string_equal(got.members[1].restart_token, "00ff");
}

static void a_grant_is_never_guessed(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    struct bootstrap_grant sent = {"a-1", true}, got = {0};
    char *json = json_compact(arena, report_grant_encode(arena, &sent));
    assert_string_equal(json, "{\"instance\":\"a-1\",\"mode\":\"initdb\"}");
    assert_int_equal(report_grant_decode(arena, json, &got, &err), 0);
    assert_string_equal(got.instance, "a-1");
    assert_true(got.initdb);
    sent.initdb = false;
    json = json_compact(arena, report_grant_encode(arena, &sent));
    assert_int_equal(report_grant_decode(arena, json, &got, &err), 0);
    assert_false(got.initdb);
    assert_int_equal(report_grant_decode(arena, "{\"mode\":\"initdb\"}", &got, &err), ERR_INVALID);
    assert_int_equal(report_grant_decode(arena, "{\"instance\":\"a-1\"}", &got, &err), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_report_survives_the_way),
        cmocka_unit_test(unknown_members_are_ignored_and_missing_ones_are_zero),
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(the_primary_report_carries_its_replicas),
        cmocka_unit_test(the_cluster_config_carries_its_members),
        cmocka_unit_test(a_grant_is_never_guessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
