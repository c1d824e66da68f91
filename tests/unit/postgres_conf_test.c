#include "test.h"

#include "base/arena.h"
#include "postgres/conf.h"

static struct conf_input input(void)
{
    return (struct conf_input){.shared = "max_connections = 50\nport = 1\n",
                               .instance = "a-2",
                               .run_dir = "/pgkeel/run",
                               .listen = "*",
                               .port = 5432,
                               .tls = true,
                               .named = true,
                               .primary_host = "a-rw.shop.svc",
                               .primary_port = 5432,
                               .slot = "a_2"};
}

static void the_instance_part_wins_over_the_shared_part(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct conf_input in = input();
    const char *text = conf_render(arena, &in);
    assert_string_equal(conf_setting(arena, text, "port"), "5432");
    assert_string_equal(conf_setting(arena, text, "max_connections"), "50");
    assert_string_equal(conf_setting(arena, text, "unix_socket_permissions"), "0700");
    assert_string_equal(conf_setting(arena, text, "ssl"), "on");
    assert_string_equal(conf_setting(arena, text, "ssl_key_file"), "/pgkeel/run/tls/tls.key");
    assert_string_equal(conf_setting(arena, text, "hba_file"), "/pgkeel/run/pg_hba.conf");
    assert_string_equal(conf_setting(arena, text, "primary_slot_name"), "a_2");
    assert_string_equal(conf_setting(arena, text, "cluster_name"), "a-2");
    assert_null(strstr(text, "recovery_init_sync_method"));
    in.syncfs = true;
    in.shared = "recovery_init_sync_method = fsync\n";
    assert_string_equal(conf_setting(arena, conf_render(arena, &in), "recovery_init_sync_method"),
                        "fsync");
}

static void conninfo_verifies_the_server_and_names_the_replica(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct conf_input in = input();
    const char *text = conf_primary_conninfo(arena, &in);
    assert_non_null(strstr(text, "host='a-rw.shop.svc' port=5432"));
    assert_non_null(strstr(text, "user=pgkeel_replication application_name='a-2'"));
    assert_non_null(strstr(text, "sslmode=verify-full channel_binding=require "
                                 "sslrootcert='/pgkeel/run/tls/ca.crt'"));
    assert_non_null(strstr(text, "passfile='/pgkeel/run/pgpass'"));
    assert_null(strstr(text, "password="));
    /* Its quotes are doubled where it becomes a setting. */
    assert_string_equal(conf_setting(arena, conf_render(arena, &in), "primary_conninfo"), text);
}

static void the_last_value_of_a_setting_counts_however_it_is_written(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char text[] = "# work_mem = 1MB\n"
                               "  Work_Mem='2MB' # here\n"
                               "work_mem 3MB\n"
                               "other.work_mem = 9\n"
                               "quoted = 'it''s \\'so\\''\n"
                               "bare = on#off\n"
                               "empty = ''\n";
    assert_string_equal(conf_setting(arena, text, "work_mem"), "3MB");
    assert_string_equal(conf_setting(arena, text, "quoted"), "it's 'so'");
    assert_string_equal(conf_setting(arena, text, "bare"), "on");
    assert_string_equal(conf_setting(arena, text, "empty"), "");
    assert_string_equal(conf_setting(arena, text, "other.work_mem"), "9");
    assert_null(conf_setting(arena, text, "work"));
}

static void a_clone_tries_the_primarys_pod_before_the_service(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct conf_input in = input();
    const char *text = conf_clone_conninfo(arena, &in, "10.0.0.7");
    assert_non_null(
        strstr(text, "host='a-rw.shop.svc,a-rw.shop.svc' hostaddr='10.0.0.7,' port=5432"));
    assert_non_null(strstr(text, " application_name='a-2 clone' "));
    assert_non_null(strstr(text, " sslmode=verify-full channel_binding=require "));
    in.named = false;
    text = conf_clone_conninfo(arena, &in, "10.0.0.7");
    assert_non_null(strstr(text, " sslmode=verify-ca channel_binding=require "));
    text = conf_clone_conninfo(arena, &in, "");
    assert_non_null(strstr(text, "host='a-rw.shop.svc' port=5432"));
    assert_null(strstr(text, "hostaddr"));
}

static void a_standby_gets_at_least_what_its_data_needs(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct conf_input in = input();
    struct controldata data = {.limits = {[LIMIT_MAX_CONNECTIONS] = 70,
                                          [LIMIT_MAX_WORKER_PROCESSES] = 8,
                                          [LIMIT_MAX_WAL_SENDERS] = 4,
                                          [LIMIT_MAX_PREPARED_TRANSACTIONS] = 5,
                                          [LIMIT_MAX_LOCKS_PER_TRANSACTION] = 64}};
    in.standby_floor = &data;
    const char *text = conf_render(arena, &in);
    assert_string_equal(conf_setting(arena, text, "max_connections"), "70");
    assert_string_equal(conf_setting(arena, text, "max_prepared_transactions"), "5");
    assert_null(conf_setting(arena, text, "max_worker_processes")); /* the default suffices */
    assert_null(conf_setting(arena, text, "max_wal_senders"));
    assert_true(conf_is_lifted(&in));
    in.shared = "max_connections = 1e3\nmax_prepared_transactions = 0x10\n";
    assert_false(conf_is_lifted(&in));
    in.shared = "max_connections = '80'\n";
    assert_string_equal(conf_setting(arena, conf_render(arena, &in), "max_connections"), "80");
}

static void passfile_escapes_what_separates_and_refuses_line_breaks(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err;
    char *text;
    assert_int_equal(conf_passfile(arena, "u", "a:b\\c", &text, &err), 0);
    assert_string_equal(text, "*:*:*:u:a\\:b\\\\c\n");
    assert_int_equal(conf_passfile(arena, "u", "a\nb", &text, &err), ERR_INVALID);
    assert_string_equal(err.reason, "PasswordInvalid");
    assert_null(strstr(err.text, "a\nb"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_instance_part_wins_over_the_shared_part),
        cmocka_unit_test(conninfo_verifies_the_server_and_names_the_replica),
        cmocka_unit_test(the_last_value_of_a_setting_counts_however_it_is_written),
        cmocka_unit_test(a_clone_tries_the_primarys_pod_before_the_service),
        cmocka_unit_test(a_standby_gets_at_least_what_its_data_needs),
        cmocka_unit_test(passfile_escapes_what_separates_and_refuses_line_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
