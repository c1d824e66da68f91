#include "test.h"

#include "spec/shape.h"

/* Checks one parameter of a cluster with two instances; gives the faults as text. */
static const char *check(struct arena *arena, const char *name, const char *value)
{
    struct spec_faults faults = {0};
    struct shape_faults list = {.arena = arena, .faults = &faults};
    cJSON *spec = json_object(arena);
    json_set_int(spec, "instances", 2);
    json_set_str(json_add_object(spec, "storage"), "size", "1Gi");
    cJSON *resources = json_add_object(spec, "resources");
    json_set_str(json_add_object(resources, "limits"), "memory", "1Gi");
    cJSON *postgres = json_add_object(spec, "postgres");
    json_set_int(postgres, "version", 16);
    json_set_str(json_add_object(postgres, "parameters"), name, value);
    parameters_check(&list, spec);
    assert_in_range(faults.count, 0, 1);
    if (faults.count == 0)
        return "";
    return arena_printf(arena, "%s: %s", faults.items[0].path, faults.items[0].message);
}

/* Of parameters that only together are right or wrong. */
static const char *check_several(struct arena *arena, const char *const (*items)[2], size_t count)
{
    struct spec_faults faults = {0};
    struct shape_faults list = {.arena = arena, .faults = &faults};
    cJSON *spec = json_object(arena);
    cJSON *postgres = json_add_object(spec, "postgres");
    json_set_int(postgres, "version", 16);
    cJSON *parameters = json_add_object(postgres, "parameters");
    for (size_t i = 0; i < count; i++)
        json_set_str(parameters, items[i][0], items[i][1]);
    parameters_check(&list, spec);
    const char *text = "";
    for (size_t i = 0; i < faults.count; i++)
        text = arena_printf(arena, "%s%s%s: %s", text, i > 0 ? "\n" : "", faults.items[i].path,
                            faults.items[i].message);
    return text;
}

/* With all connections taken the agent could not log in: no role, no slot, no readiness. */
static void the_agents_connections_stay_reserved(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char reserved[] = "superuser_reserved_connections";
    static const char *const bad[] = {"0", "2", "-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_string_equal(
            check(arena, reserved, bad[i]),
            arena_printf(
                arena,
                "spec.postgres.parameters.superuser_reserved_connections: must be a number of at "
                "least 3, not \"%s\": the agent needs three connections even "
                "when clients use all others",
                bad[i]));
    assert_string_equal(check(arena, reserved, "3"), "");
    assert_string_equal(check(arena, "reserved_connections", "0"), "");
    assert_string_equal(check(arena, "reserved_connections", "96"), "");
}

static void some_connections_are_left_for_clients(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char *const both[][2] = {{"reserved_connections", "10"},
                                          {"superuser_reserved_connections", "10"},
                                          {"max_connections", "20"}};
    assert_string_equal(check_several(arena, both, 3),
                        "spec.postgres.parameters.reserved_connections: with "
                        "superuser_reserved_connections = 10 and max_connections = 20 it leaves "
                        "no connections for clients, and PostgreSQL does not start: lower it, or "
                        "raise max_connections");
    assert_string_equal(check_several(arena, both, 2), "");
    static const char *const few[][2] = {{"superuser_reserved_connections", "20"},
                                         {"max_connections", "20"}};
    assert_string_equal(check_several(arena, few, 2),
                        "spec.postgres.parameters.superuser_reserved_connections: with "
                        "reserved_connections = 0 and max_connections = 20 it leaves no "
                        "connections for clients, and PostgreSQL does not start: lower it, or "
                        "raise max_connections");
    assert_non_null(strstr(check(arena, "reserved_connections", "97"), "leaves no connection"));
}

static void ordinary_parameters_pass(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char *const good[][2] = {
        {"work_mem", "8MB"},
        {"max_connections", "200"},
        {"pg_stat_statements.track", "all"},
        {"shared_preload_libraries", "pg_stat_statements, auto_explain"},
        {"log_min_duration_statement", "250ms"},
        {"search_path", "\"$user\", public"},
        {"wal_level", "logical"},
        {"fsync", "on"},
        {"shared_buffers", "256MB"},
        {"shared_buffers", "16384"},
        {"max_wal_senders", "6"},
        {"ssl_min_protocol_version", "TLSv1.3"},
        {"recovery_prefetch", "off"},
        {"wal_retrieve_retry_interval", "1s"},
        {"unix", ""},
        {"statement_timeout", "-1"},
        {"work_mem", "65536"},
        {"work_mem", "64 MB"},
        {"deadlock_timeout", "1.5s"},
        {"random_page_cost", "1.1"},
        {"jit", "OFF"},
        {"jit", "tr"},
        {"autovacuum_vacuum_scale_factor", "0.05"},
        {"track_activity_query_size", "4kB"},
        {"log_connections", "receipt,authentication"},
        {"ssl_ecdh_curve", "prime256v1"},
        {"a_parameter_of_tomorrow", "x"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_string_equal(check(arena, good[i][0], good[i][1]), "");
}

static void what_pgkeel_manages_is_refused_with_the_reason(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char *const managed[] = {
        "data_directory",
        "config_file",
        "hba_file",
        "ident_file",
        "include_dir",
        "unix_socket_directories",
        "unix_socket_permissions",
        "listen_addresses",
        "port",
        "ssl",
        "ssl_cert_file",
        "ssl_crl_dir",
        "primary_conninfo",
        "primary_slot_name",
        "archive_mode",
        "archive_command",
        "log_destination",
        "logging_collector",
        "log_line_prefix",
        "hot_standby",
        "hot_standby_feedback",
        "password_encryption",
        "synchronous_standby_names",
        "recovery_target_time",
        "restore_command",
        "cluster_name",
        "max_slot_wal_keep_size",
        "allow_alter_system",
        "default_transaction_read_only",
        "log_filename",
    };
    for (size_t i = 0; i < sizeof managed / sizeof managed[0]; i++) {
        const char *text = check(arena, managed[i], "x");
        char *begin =
            arena_printf(arena, "spec.postgres.parameters.%s: is set by pgkeel: ", managed[i]);
        assert_true(strncmp(text, begin, strlen(begin)) == 0 && text[strlen(begin)] != '\0');
    }
    assert_string_equal(check(arena, "port", "1"),
                        "spec.postgres.parameters.port: is set by pgkeel: Services, probes and "
                        "replicas rely on the address and port that pgkeel sets");
}

static void names_that_the_server_could_not_read_are_refused(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char *const bad[] = {"Work_Mem", "work-mem", "1x",  "a.b.c",
                                      "a.",       "a b",      "x=1", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_non_null(strstr(check(arena, bad[i], "1"), ": is not a parameter name ("));
    assert_string_equal(check(arena, "a.b.c", "1"),
                        "spec.postgres.parameters[\"a.b.c\"]: is not a parameter name (lower-case "
                        "letters, digits and '_'; for extensions also one '.')");
}

static void slips_of_the_pen_are_found_before_the_server_finds_them(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char *const bad[][3] = {
        {"wrok_mem", "8MB", "is not a PostgreSQL parameter (did you mean 'work_mem'?)"},
        {"max_conections", "8", "is not a PostgreSQL parameter (did you mean 'max_connections'?)"},
        {"transaction_timeout", "8s", "needs PostgreSQL 17 or later; spec.postgres.version is 16"},
        {"vacuum_defer_cleanup_age", "8",
         "was removed in PostgreSQL 16; spec.postgres.version is "
         "16"},
        {"data_checksums", "on",
         "cannot be set: it only shows how the server was built or its data initialised"},
        {"jit", "maybe", "must be on or off, not \"maybe\""},
        {"jit", "o", "must be on or off, not \"o\""},
        {"work_mem", "8Mi", "must be a size such as 64MB (units: B, kB, MB, GB, TB), not \"8Mi\""},
        {"work_mem", "8mb", "must be a size such as 64MB (units: B, kB, MB, GB, TB), not \"8mb\""},
        {"statement_timeout", "1m",
         "must be a time such as 30s (units: us, ms, s, min, h, d), not "
         "\"1m\""},
        {"max_worker_processes", "8kB", "must be a number without a unit, not \"8kB\""},
        {"max_worker_processes", "", "must be a number without a unit, not \"\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_string_equal(
            check(arena, bad[i][0], bad[i][1]),
            arena_printf(arena, "spec.postgres.parameters.%s: %s", bad[i][0], bad[i][2]));
}

static void values_that_would_break_the_cluster_are_refused(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char *const bad[][3] = {
        {"fsync", "off",
         "must stay on: switching it off loses or corrupts data when a server "
         "crashes"},
        {"full_page_writes", "FALSE",
         "must stay on: switching it off loses or corrupts data when "
         "a server crashes"},
        {"wal_level", "minimal",
         "must be replica or logical, not \"minimal\": replicas need the "
         "WAL"},
        {"max_wal_senders", "5",
         "must be a number of at least 6, not \"5\": each instance needs one, clones and backups "
         "need 4"},
        {"max_replication_slots", "x", "must be a number without a unit, not \"x\""},
        {"random_page_cost", "nan", "must be a number without a unit, not \"nan\""},
        {"max_connections", "3",
         "must be a number of at least 10, not \"3\": PostgreSQL reserves 3, and pgkeel uses "
         "some"},
        {"shared_buffers", "1GB",
         "1GB uses up spec.resources.limits.memory (1Gi): set a quarter of that"},
        {"shared_buffers", "64kB", "must be a size of at least 128kB, such as 512MB, not \"64kB\""},
        {"shared_buffers", "1Gi",
         "must be a size such as 64MB (units: B, kB, MB, GB, TB), not \"1Gi\""},
        {"max_wal_size", "1024", "1024 would fill the volume: spec.storage.size is 1Gi"},
        {"max_wal_size", "big",
         "must be a size such as 64MB (units: B, kB, MB, GB, TB), not \"big\""},
        {"work_mem", "8MB\nport = 1", "must be one line without control characters"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_string_equal(
            check(arena, bad[i][0], bad[i][1]),
            arena_printf(arena, "spec.postgres.parameters.%s: %s", bad[i][0], bad[i][2]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_agents_connections_stay_reserved),
        cmocka_unit_test(some_connections_are_left_for_clients),
        cmocka_unit_test(ordinary_parameters_pass),
        cmocka_unit_test(what_pgkeel_manages_is_refused_with_the_reason),
        cmocka_unit_test(names_that_the_server_could_not_read_are_refused),
        cmocka_unit_test(slips_of_the_pen_are_found_before_the_server_finds_them),
        cmocka_unit_test(values_that_would_break_the_cluster_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
