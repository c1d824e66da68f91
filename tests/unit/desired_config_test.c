#include "test.h"

#include "desired/internal.h"

static struct cluster_spec small_spec(void)
{
    return (struct cluster_spec){
        .name = "a",
        .namespace = "n",
        .postgres_version = 17,
        .storage = {.size = "1Gi", .size_bytes = 1 << 30},
        .max_slot_wal_keep_size = "512MB",
        .locale = "C.UTF-8",
    };
}

static void assert_line(const char *text, const char *line)
{
    char *found = strstr(text, line);
    if (found == NULL || (found > text && found[-1] != '\n') || found[strlen(line)] != '\n')
        fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void assert_no_line(const char *text, const char *begin)
{
    const char *found = strstr(text, begin);
    if (found && (found == text || found[-1] == '\n'))
        fail_msg("a line \"%s\" in:\n%s", begin, text);
}

static void memory_follows_the_limit_else_the_request(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct cluster_spec spec = small_spec();
    assert_line(desired_config_postgresql(arena, &spec), "shared_buffers = '128MB'");
    cJSON *resources = json_object(arena);
    json_set_str(json_add_object(resources, "requests"), "memory", "1Gi");
    spec.resources = resources;
    assert_line(desired_config_postgresql(arena, &spec), "shared_buffers = '256MB'");
    json_set_str(json_add_object(resources, "limits"), "memory", "4Gi");
    assert_line(desired_config_postgresql(arena, &spec), "shared_buffers = '1024MB'");
    assert_line(desired_config_postgresql(arena, &spec), "effective_cache_size = '3072MB'");
    json_set_str(json_add_object(resources, "limits"), "memory", "32Mi");
    assert_line(desired_config_postgresql(arena, &spec), "shared_buffers = '16MB'");
    assert_line(desired_config_postgresql(arena, &spec), "huge_pages = 'off'");
    json_set_str(json_add_object(resources, "limits"), "hugepages-2Mi", "1Gi");
    assert_line(desired_config_postgresql(arena, &spec), "huge_pages = 'try'");
}

static void wal_stays_within_its_volume(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct cluster_spec spec = small_spec();
    assert_line(desired_config_postgresql(arena, &spec), "max_wal_size = '256MB'");
    spec.storage.size_bytes = INT64_C(1) << 40;
    assert_line(desired_config_postgresql(arena, &spec), "max_wal_size = '1024MB'");
    spec.wal_storage = (struct volume_spec){.size = "100Mi", .size_bytes = 100 << 20};
    assert_line(desired_config_postgresql(arena, &spec), "max_wal_size = '32MB'");
    assert_line(desired_config_postgresql(arena, &spec), "min_wal_size = '32MB'");
}

static void what_the_user_says_replaces_the_default_and_never_what_is_fixed(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct cluster_spec spec = small_spec();
    struct key_value parameters[] = {
        {"archive_note", "it's a \\ back'slash"},
        {"max_connections", "300"},
    };
    spec.parameters = parameters;
    spec.parameter_count = 2;
    char *text = desired_config_postgresql(arena, &spec);
    assert_line(text, "max_connections = '300'");
    assert_no_line(text, "max_connections = '100'");
    assert_line(text, "archive_note = 'it''s a \\\\ back''slash'");
    assert_true(strstr(text, "max_connections") < strstr(text, "hot_standby_feedback = 'on'"));
}

static void parameters_of_newer_versions_are_left_out_of_older_ones(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct cluster_spec spec = small_spec();
    assert_line(desired_config_postgresql(arena, &spec), "allow_alter_system = 'off'");
    spec.postgres_version = 16;
    assert_no_line(desired_config_postgresql(arena, &spec), "allow_alter_system");
}

static void a_locale_of_the_image_is_used_for_formats_too(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct cluster_spec spec = small_spec();
    assert_line(desired_config_postgresql(arena, &spec), "lc_time = 'C'");
    spec.locale = "de_DE.UTF-8";
    assert_line(desired_config_postgresql(arena, &spec), "lc_time = 'de_DE.UTF-8'");
}

static void the_lines_of_pgkeel_stand_around_those_of_the_user(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct cluster_spec spec = small_spec();
    const char *hba[] = {"host all all all reject"};
    spec.hba = hba;
    spec.hba_count = 1;
    char *text = desired_config_hba(arena, &spec);
    const char *socket = strstr(text, "local all all trust\n");
    const char *replicas =
        strstr(text, "hostssl replication pgkeel_replication all scram-sha-256\n");
    const char *user = strstr(text, "host all all all reject\n");
    const char *last = strstr(text, "hostssl all all all scram-sha-256\n");
    assert_true(socket && replicas && user && last);
    assert_true(socket < replicas && replicas < user && user < last);
    assert_string_equal(last, "hostssl all all all scram-sha-256\n");
}

static void the_hash_follows_both_files(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct snapshot snapshot = {.spec = small_spec()};
    char *before = desired_config_hash(arena, &snapshot);
    assert_string_equal(desired_config_hash(arena, &snapshot), before);
    const char *hba[] = {"host all all all reject"};
    snapshot.spec.hba = hba;
    snapshot.spec.hba_count = 1;
    char *with_hba = desired_config_hash(arena, &snapshot);
    assert_string_not_equal(with_hba, before);
    struct key_value parameter = {"work_mem", "8MB"};
    snapshot.spec.parameters = &parameter;
    snapshot.spec.parameter_count = 1;
    assert_string_not_equal(desired_config_hash(arena, &snapshot), with_hba);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_follows_the_limit_else_the_request),
        cmocka_unit_test(wal_stays_within_its_volume),
        cmocka_unit_test(what_the_user_says_replaces_the_default_and_never_what_is_fixed),
        cmocka_unit_test(parameters_of_newer_versions_are_left_out_of_older_ones),
        cmocka_unit_test(a_locale_of_the_image_is_used_for_formats_too),
        cmocka_unit_test(the_lines_of_pgkeel_stand_around_those_of_the_user),
        cmocka_unit_test(the_hash_follows_both_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
