/* crds/ and the decoder say the same, both ways: fields, types, bounds, sets, patterns. */
#include "test.h"

#include <regex.h>
#include <stdio.h>

#include "spec/shape.h"
#include "base/file.h"
#include "yaml/yaml.h"

static struct arena *arena;
static const cJSON *crd, *spec_schema;

static int load(void **state)
{
    (void)state;
    struct error err = {0};
    struct yaml_document *documents;
    size_t length, count;
    char *text;
    arena = arena_new();
    if (file_read(arena, "crds/postgresclusters.pgkeel.dev.yaml", 1 << 20, &text, &length, &err) <
            0 ||
        yaml_parse(arena, text, length, &documents, &count, &err) < 0)
        fail_msg("%s", err.text);
    crd = documents[0].tree;
    spec_schema = json_get(crd, "spec.versions[0].schema.openAPIV3Schema.properties.spec");
    assert_non_null(spec_schema);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* The schema of a path of the decoder's table: "postgres.hba[]", "postgres.parameters{}". */
static const cJSON *schema_of(const char *path)
{
    const cJSON *node = spec_schema;
    while (*path && node) {
        path += *path == '.';
        if (strncmp(path, "[]", 2) == 0 || strncmp(path, "{}", 2) == 0) {
            node = json_get(node, *path == '[' ? "items" : "additionalProperties");
            path += 2;
            continue;
        }
        size_t length = strcspn(path, ".[{");
        node = json_get(node, arena_printf(arena, "properties.%.*s", (int)length, path));
        path += length;
    }
    return node;
}

static const struct shape_field *row_of(const char *path)
{
    size_t count;
    const struct shape_field *fields = shape_fields(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].path, path) == 0)
            return &fields[i];
    return NULL;
}

static void every_field_of_the_decoder_is_in_the_schema(void **state)
{
    (void)state;
    size_t count;
    const char *const *paths = spec_fields(&count);
    assert_in_range(count, 40, 1000);
    for (size_t i = 0; i < count; i++)
        if (schema_of(paths[i]) == NULL)
            fail_msg("spec.%s is read, but crds/ does not offer it", paths[i]);
}

static size_t visit(const cJSON *schema, const char *path)
{
    size_t count = 1;
    const cJSON *child;
    if (*path && row_of(path) == NULL)
        fail_msg("crds/ offers spec.%s, but nobody reads it", path);
    if (json_get(schema, "x-kubernetes-preserve-unknown-fields"))
        fail_msg("spec.%s lets anything through", path);
    cJSON_ArrayForEach (child, json_get(schema, "properties")) {
        count += visit(child, arena_printf(arena, "%s%s%s", path, *path ? "." : "", child->string));
    }
    if (json_get(schema, "items"))
        count += visit(json_get(schema, "items"), arena_printf(arena, "%s[]", path));
    if (json_get(schema, "additionalProperties"))
        count += visit(json_get(schema, "additionalProperties"), arena_printf(arena, "%s{}", path));
    return count;
}

static void every_field_of_the_schema_is_read(void **state)
{
    (void)state;
    size_t count;
    (void)spec_fields(&count);
    assert_int_equal(visit(spec_schema, ""), count + 1);
}

static void types_bounds_and_sets_are_the_same(void **state)
{
    (void)state;
    static const char *const types[] = {
        [SHAPE_OBJECT] = "object", [SHAPE_LIST] = "array",      [SHAPE_MAP] = "object",
        [SHAPE_STRING] = "string", [SHAPE_INTEGER] = "integer", [SHAPE_BOOLEAN] = "boolean",
        [SHAPE_QUANTITY] = "",
    };
    size_t count;
    const struct shape_field *fields = shape_fields(&count);
    for (size_t i = 0; i < count; i++) {
        const struct shape_field *field = &fields[i];
        const cJSON *schema = schema_of(field->path);
        if (strcmp(json_str(schema, "type", ""), types[field->type]) != 0)
            fail_msg("spec.%s: type", field->path);
        if (field->type == SHAPE_QUANTITY)
            assert_true(json_bool(schema, "x-kubernetes-int-or-string", false));
        if (field->type == SHAPE_MAP)
            assert_non_null(json_get(schema, "additionalProperties"));
        const char *least = field->type == SHAPE_INTEGER ? "minimum" : "minLength";
        const char *most = field->type == SHAPE_INTEGER ? "maximum"
                           : field->type == SHAPE_LIST  ? "maxItems"
                           : field->type == SHAPE_MAP   ? "maxProperties"
                                                        : "maxLength";
        if (field->options) {
            const cJSON *set = json_get(schema, "enum");
            int n = 0;
            for (; field->options[n]; n++)
                assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(set, n)),
                                    field->options[n]);
            assert_int_equal(cJSON_GetArraySize(set), n);
            continue;
        }
        if (field->type != SHAPE_QUANTITY && json_int(schema, least, 0) != field->min)
            fail_msg("spec.%s: %s", field->path, least);
        if (json_int(schema, most, 0) != field->max)
            fail_msg("spec.%s: %s", field->path, most);
    }
}

/* The schema that holds a field, and the field's name in it. */
static void required_fields_are_the_same(void **state)
{
    (void)state;
    size_t count, required = 0;
    const struct shape_field *fields = shape_fields(&count);
    for (size_t i = 0; i < count; i++) {
        const char *dot = strrchr(fields[i].path, '.'), *name = dot ? dot + 1 : fields[i].path;
        char *parent =
            arena_strndup(arena, fields[i].path, dot ? (size_t)(dot - fields[i].path) : 0);
        const cJSON *item, *list = json_get(schema_of(parent), "required");
        bool listed = false;
        cJSON_ArrayForEach (item, list) {
            listed = listed || strcmp(item->valuestring, name) == 0;
        }
        if (listed != fields[i].required)
            fail_msg("spec.%s: required", fields[i].path);
        required += listed;
    }
    assert_in_range(required, 5, count);
}

static bool regex_matches(const char *pattern, const char *text)
{
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        fail_msg("no POSIX regex: %s", pattern);
    bool matches = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return matches;
}

/* Texts on which pattern and function must agree wherever a field has both. */
static void patterns_accept_what_the_decoder_accepts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a",
        "A",
        "a-b",
        "a.b",
        "a..b",
        "-a",
        "a-",
        "a_b",
        "_a",
        "1a",
        "a/b",
        "a/",
        "/a",
        "a b",
        "UTF8",
        "C.UTF-8",
        "de_DE@euro",
        "localhost/postgres:17",
        "r.example:5000/a/b@sha256:0f",
        "kubernetes.io/hostname",
        "Zone",
        "20Gi",
        "500m",
        "1.5",
        ".5Gi",
        "5.Gi",
        "1e3",
        "+1Gi",
        "-1",
        "1GB",
        "512MB",
        "4GB",
        "04GB",
        "64Mi",
        "1Ti",
        "64i",
        "1kB",
        "12345678MB",
        "Gi",
        "1e",
        "1E2",
        "a:b",
        "1Ki",
        "a@",
        "name$",
        "\xc3\xa9",
        "100Mi",
        "2",
        "1n",
        "3u",
        "9Ei",
        "7d",
        "0s",
        "12h",
        "30m",
        "d",
        "1w",
        "7 d",
    };
    size_t count, checked = 0;
    const struct shape_field *fields = shape_fields(&count);
    for (size_t i = 0; i < count; i++) {
        const char *pattern = json_str(schema_of(fields[i].path), "pattern", NULL);
        if ((pattern == NULL) != (fields[i].valid == NULL))
            fail_msg("spec.%s: only one of pattern and check", fields[i].path);
        for (size_t j = 0; pattern && j < sizeof texts / sizeof texts[0]; j++, checked++)
            if (regex_matches(pattern, texts[j]) != fields[i].valid(texts[j])) {
                /* Whole and representable bytes are beyond a pattern; the API server's CEL rule
                 * for 100Mi refuses the small ones. */
                if (fields[i].valid == syntax_volume_size && !fields[i].valid(texts[j]))
                    continue;
                fail_msg("spec.%s: pattern and check disagree about \"%s\"", fields[i].path,
                         texts[j]);
            }
    }
    assert_in_range(checked, 500, 100000);
}

/* Whether a rule of the schema refuses the name: "'name' in self" or k.matches('regex'). */
static bool schema_refuses(const char *name)
{
    const cJSON *rule;
    char *literal = arena_printf(arena, "!('%s' in self)", name);
    cJSON_ArrayForEach (rule,
                        json_get(schema_of("postgres.parameters"), "x-kubernetes-validations")) {
        const char *text = json_str(rule, "rule", "");
        if (strcmp(text, literal) == 0)
            return true;
        bool wanted = strncmp(text, "self.all(", 9) == 0;
        bool any = false;
        for (const char *p = text; (p = strstr(p, "k.matches('")) != NULL;) {
            p += strlen("k.matches('");
            any = any || regex_matches(arena_strndup(arena, p, strcspn(p, "'")), name);
        }
        if (strstr(text, "k.matches") && any != wanted)
            return true;
    }
    return false;
}

static bool decoder_refuses(const char *name)
{
    struct spec_faults faults = {0};
    struct shape_faults list = {.arena = arena, .faults = &faults};
    cJSON *spec = json_object(arena);
    json_set_str(json_add_object(json_add_object(spec, "postgres"), "parameters"), name, "on");
    parameters_check(&list, spec);
    return faults.count > 0 && (strstr(faults.items[0].message, "is set by pgkeel") ||
                                strstr(faults.items[0].message, "is not a parameter name"));
}

static void the_schema_refuses_the_parameters_that_the_decoder_refuses(void **state)
{
    (void)state;
    static const char *const names[] = {
        "allow_alter_system",
        "archive_mode",
        "archive_command",
        "bonjour_name",
        "cluster_name",
        "config_file",
        "data_directory",
        "data_sync_retry",
        "default_transaction_read_only",
        "event_source",
        "external_pid_file",
        "hba_file",
        "hot_standby",
        "hot_standby_feedback",
        "ident_file",
        "include",
        "include_if_exists",
        "listen_addresses",
        "log_destination",
        "log_directory",
        "log_filename",
        "log_file_mode",
        "log_line_prefix",
        "log_rotation_age",
        "log_timezone",
        "log_truncate_on_rotation",
        "logging_collector",
        "max_slot_wal_keep_size",
        "password_encryption",
        "port",
        "primary_conninfo",
        "primary_slot_name",
        "promote_trigger_file",
        "recovery_end_command",
        "recovery_min_apply_delay",
        "recovery_target",
        "recovery_target_lsn",
        "restart_after_crash",
        "restore_command",
        "ssl",
        "ssl_ca_file",
        "ssl_cert_file",
        "ssl_crl_file",
        "ssl_key_file",
        "ssl_passphrase_command",
        "sync_replication_slots",
        "synchronous_standby_names",
        "synchronized_standby_slots",
        "syslog_facility",
        "unix_socket_group",
        "wal_log_hints",
        "work_mem",
        "ssl_ciphers",
        "log_statement",
        "recovery_prefetch",
        "wal_level",
        "my.port",
        "Port",
        "a-b",
        "a.b.c",
        "archive",
        "ports",
        "hot",
        "pg_stat_statements.max",
    };
    size_t refused = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        refused += decoder_refuses(names[i]);
        if (schema_refuses(names[i]) != decoder_refuses(names[i]))
            fail_msg("schema and decoder disagree about parameter %s", names[i]);
    }
    assert_in_range(refused, 50, 60);
}

static size_t undocumented(const cJSON *schema, const char *path)
{
    size_t count = 0;
    const cJSON *child;
    cJSON_ArrayForEach (child, json_get(schema, "properties")) {
        char *below = arena_printf(arena, "%s.%s", path, child->string);
        if (strlen(json_str(child, "description", "")) < 15 && strcmp(below, ".metadata") != 0 &&
            strcmp(below, ".apiVersion") != 0 && strcmp(below, ".kind") != 0) {
            print_message("%s has no description\n", below);
            count++;
        }
        count += undocumented(child, below);
    }
    if (json_get(schema, "items"))
        count += undocumented(json_get(schema, "items"), arena_printf(arena, "%s[]", path));
    return count;
}

static void every_field_is_documented(void **state)
{
    (void)state;
    const cJSON *root = json_get(crd, "spec.versions[0].schema.openAPIV3Schema");
    assert_int_equal(undocumented(root, ""), 0);
}

static size_t defaults_in(const cJSON *node)
{
    size_t count = 0;
    const cJSON *child;
    cJSON_ArrayForEach (child, node) {
        count += (child->string && strcmp(child->string, "default") == 0) + defaults_in(child);
    }
    return count;
}

/* Else a GitOps tool sees a difference for ever. */
static void nothing_is_ever_written_into_spec(void **state)
{
    (void)state;
    assert_int_equal(defaults_in(json_get(crd, "spec.versions[0].schema")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_the_decoder_is_in_the_schema),
        cmocka_unit_test(every_field_of_the_schema_is_read),
        cmocka_unit_test(types_bounds_and_sets_are_the_same),
        cmocka_unit_test(required_fields_are_the_same),
        cmocka_unit_test(patterns_accept_what_the_decoder_accepts),
        cmocka_unit_test(the_schema_refuses_the_parameters_that_the_decoder_refuses),
        cmocka_unit_test(every_field_is_documented),
        cmocka_unit_test(nothing_is_ever_written_into_spec),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
