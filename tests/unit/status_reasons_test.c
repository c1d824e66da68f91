/* docs/status.md, the CRD and the code name the same reasons, conditions and fields. */
#include "objects.h"
#include "reasons.h"

#include <glob.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/file.h"
#include "yaml/yaml.h"
#include "status/status.h"

/* Every word in backquotes in the first cell of the tables between two headings. */
static struct names documented(struct arena *arena, const char *from, const char *to)
{
    struct names names = {.count = 0};
    char *text = strstr(reasons_read_text(arena, "docs/status.md"), from), *save;
    assert_non_null(text);
    char *end = to ? strstr(text + 1, to) : NULL;
    if (end != NULL)
        *end = '\0';
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "| `", 3) != 0)
            continue;
        char *cell_end = strchr(line + 2, '|');
        assert_non_null(cell_end);
        *cell_end = '\0';
        char *inner;
        (void)strtok_r(line, "`", &inner);
        for (char *name; (name = strtok_r(NULL, "`", &inner)) != NULL;)
            if (reasons_is_name(name))
                reasons_put(&names, name);
    }
    return names;
}

static void every_reason_is_explained_and_every_explained_one_exists(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct names code = reasons_defined(arena), docs = documented(arena, "## Reasons", NULL);
    assert_true(code.count > 50);
    for (size_t i = 0; i < code.count; i++) {
        assert_true(reasons_is_name(code.items[i]));
        if (!reasons_has(&docs, code.items[i]))
            fail_msg("docs/status.md does not explain reason %s", code.items[i]);
    }
    for (size_t i = 0; i < docs.count; i++)
        if (!reasons_has(&code, docs.items[i]))
            fail_msg("docs/status.md explains %s, which is no reason", docs.items[i]);
}

static void reasons_that_rooms_spell_out_are_in_the_table(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct names code = reasons_defined(arena);
    glob_t files = {0};
    (void)glob("pkg/credentials/*.c", 0, NULL, &files);
    (void)glob("pkg/instance/*.c", GLOB_APPEND, NULL, &files);
    (void)glob("pkg/apply/*.c", GLOB_APPEND, NULL, &files);
    assert_true(files.gl_pathc > 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *text = reasons_read_text(arena, files.gl_pathv[i]);
        while ((text = strstr(text, "err_set_reason(")) != NULL) {
            char *open = strchr(text, '"');
            assert_non_null(open);
            char *name = arena_strndup(arena, open + 1, strcspn(open + 1, "\""));
            if (reasons_is_name(name) && !reasons_has(&code, name))
                fail_msg("%s: reason %s is not in pkg/api/reasons.h", files.gl_pathv[i], name);
            text = open;
        }
    }
    globfree(&files);
}

/* Reasons of others that tests, comments and pages speak of: Kubernetes', and made-up ones. */
static const char *const foreign_reasons[] = {
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "ContainerCreating",
    "CrashLoopBackOff",
    "ErrImagePull",
    "FieldManagerConflict",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "ImagePullBackOff",
    "InternalError",
    "Invalid",
    "NotFound",
    "PodInitializing",
    "ReadinessGatesNotReady",
    "ResourceVersionTooLarge",
    "ServerTimeout",
    "Because",  /* loop_child_test.c */
    "Promoted", /* kube_events_test.c */
};

/* In pages: what stands in backquotes and is no reason. */
static const char *const other_names[] = {"OnDelete", "PostgresCluster"};

static bool is_among(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}
#define IS_AMONG(names, name) is_among(names, sizeof(names) / sizeof(names)[0], name)

/* What err_set_reason() spells out in these files; those of the API client never reach a status. */
static void put_spelled(struct arena *arena, struct names *names, const char *pattern)
{
    glob_t files = {0};
    (void)glob(pattern, 0, NULL, &files);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *text = reasons_read_text(arena, files.gl_pathv[i]);
        while ((text = strstr(text, "err_set_reason(")) != NULL) {
            char *open = strchr(text, '"');
            char *name = arena_strndup(arena, open + 1, strcspn(open + 1, "\""));
            if (reasons_is_name(name) && !reasons_has(names, name))
                reasons_put(names, name);
            text = open;
        }
    }
    globfree(&files);
}

/* The CamelCase word that begins at `at`, when a quote or backquote encloses it; else NULL. */
static const char *quoted_name(struct arena *arena, const char *start, const char *at)
{
    size_t length = 0;
    while (isalnum((unsigned char)at[length]))
        length++;
    char open = at > start ? at[-1] : '\0', close = at[length];
    bool quoted = (open == '"' || open == '`' || open == '\'') &&
                  (close == open || (open == '"' && close == '\\'));
    const char *name = arena_strndup(arena, at, length);
    bool camel = length > 2 && reasons_is_name(name) && islower((unsigned char)name[1]);
    return quoted && camel ? name : NULL;
}

static void assert_known(const struct names *known, const char *file, const char *name)
{
    if (!reasons_has(known, name) && !IS_AMONG(foreign_reasons, name))
        fail_msg("%s speaks of reason %s, which does not exist", file, name);
}

/* The first word behind "reason" on its line, within a few characters that are no letters. */
static void look_behind_reason(struct arena *arena, const struct names *known, const char *file,
                               size_t *found)
{
    enum { BETWEEN_MAX = 12 };
    const char *text = reasons_read_text(arena, file), *at = text;
    while ((at = strcasestr(at, "reason")) != NULL) {
        at += strlen("reason");
        const char *word = at + (*at == 's');
        while (word - at <= BETWEEN_MAX && *word != '\0' && *word != '\n' &&
               !isalpha((unsigned char)*word))
            word++;
        const char *name = isupper((unsigned char)*word) ? quoted_name(arena, text, word) : NULL;
        if (name != NULL) {
            assert_known(known, file, name);
            ++*found;
        }
    }
}

static void every_reason_that_is_named_exists(void **state)
{
    (void)state;
    static const char *const patterns[] = {"*.md",         "docs/*.md",      "runbooks/*.md",
                                           "tests/*/*.py", "tests/*/*/*.py", "tests/unit/*",
                                           "pkg/*/*.[ch]", "pkg/*/*/*.[ch]", "cmd/*/*.[ch]"};
    AUTO_ARENA arena = arena_new();
    struct names known = reasons_defined(arena);
    size_t found = 0;
    struct names conditions = documented(arena, "## Conditions", "## Reasons");
    for (size_t i = 0; i < conditions.count; i++)
        reasons_put(&known, conditions.items[i]); /* a test may compare both at once */
    put_spelled(arena, &known, "pkg/kube/*.c");
    put_spelled(arena, &known, "pkg/kubeconfig/*.c");
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        glob_t files = {0};
        (void)glob(patterns[i], 0, NULL, &files);
        assert_true(files.gl_pathc > 0);
        for (size_t j = 0; j < files.gl_pathc; j++)
            look_behind_reason(arena, &known, files.gl_pathv[j], &found);
        globfree(&files);
    }
    assert_true(found > 100);
}

static void pages_name_only_reasons_and_conditions_that_exist(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct names known = reasons_defined(arena);
    struct names conditions = documented(arena, "## Conditions", "## Reasons");
    glob_t files = {0};
    (void)glob("docs/*.md", 0, NULL, &files);
    (void)glob("runbooks/*.md", GLOB_APPEND, NULL, &files);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *text = reasons_read_text(arena, files.gl_pathv[i]), *at = text;
        for (; (at = strchr(at, '`')) != NULL; at++) {
            const char *name =
                isupper((unsigned char)at[1]) ? quoted_name(arena, text, at + 1) : NULL;
            bool humps = name != NULL && name[1 + strcspn(name + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")];
            if (humps && !reasons_has(&conditions, name) && !IS_AMONG(other_names, name))
                assert_known(&known, files.gl_pathv[i], name);
        }
    }
    globfree(&files);
}

static void every_reason_is_used(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    AUTO_BUFFER code = {0};
    glob_t files = {0};
    char *save, *table = reasons_read_text(arena, "pkg/api/reasons.h");
    (void)glob("pkg/*/*.c", 0, NULL, &files);
    (void)glob("pkg/*/*/*.c", GLOB_APPEND, NULL, &files);
    (void)glob("pkg/*/*.h", GLOB_APPEND, NULL, &files);
    for (size_t i = 0; i < files.gl_pathc; i++)
        if (strcmp(files.gl_pathv[i], "pkg/api/reasons.h") != 0)
            buffer_puts(&code, reasons_read_text(arena, files.gl_pathv[i]));
    globfree(&files);
    for (char *line = strtok_r(table, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "#define REASON_", 15) != 0)
            continue;
        char *macro = arena_strndup(arena, line + 8, strcspn(line + 8, " "));
        const char *at = buffer_text(&code);
        while ((at = strstr(at, macro)) != NULL &&
               (isalnum((unsigned char)at[strlen(macro)]) || at[strlen(macro)] == '_'))
            at++;
        if (at == NULL)
            fail_msg("%s is not used by anything", macro);
    }
}

static cJSON *built_status(struct world *world, bool trouble)
{
    static const struct plan nothing;
    world->snapshot.spec.max_lag_bytes = 1;
    if (trouble) {
        world->replicas[0].lag_bytes = 2;
        world->instances[0].report.message = "message";
        world->instances[0].report.pending_restart = true;
        world->instances[1].pod.deleting = true;
        world->instances[2].pod.ready = world->instances[2].reported = false;
        world->instances[2].pod.unschedulable_message = "no room";
        world->instances[2].pod.revision = "rev-0";
        world->snapshot.credentials.observed = "token";
        world->snapshot.credentials.ca_fingerprint = "00ff";
        world->snapshot.credentials.ca_expires_ms = world->now_ms + 1000;
    }
    return status_build(world->arena, world_model(world), &nothing, NULL, 0, world->now_ms).status;
}

static void the_conditions_are_those_explained(void **state)
{
    WORLD(3);
    struct names docs = documented(arena, "## Conditions", "## Reasons");
    const cJSON *status = built_status(&world, true), *node;
    cJSON_ArrayForEach (node, json_get(status, "conditions")) {
        if (!reasons_has(&docs, json_str(node, "type", "")))
            fail_msg("docs/status.md does not explain %s", json_str(node, "type", ""));
    }
    assert_int_equal(docs.count, 10);
    assert_int_equal(cJSON_GetArraySize(json_get(status, "conditions")), 9);
}

/* The API server drops what the schema does not name: status would differ for ever. */
static void assert_in_schema(const cJSON *value, const cJSON *schema, const char *path)
{
    const cJSON *child;
    char inner[256];
    cJSON_ArrayForEach (child, value) {
        const cJSON *next = json_get(schema, "items");
        if (cJSON_IsObject(value))
            next = cJSON_GetObjectItemCaseSensitive(json_get(schema, "properties"), child->string);
        snprintf(inner, sizeof inner, "%s.%s", path, child->string ? child->string : "[]");
        if (next == NULL)
            fail_msg("the CRD's schema does not know %s", inner);
        const char *type = json_str(next, "type", "");
        bool fits = cJSON_IsString(child)   ? strcmp(type, "string") == 0
                    : cJSON_IsNumber(child) ? strcmp(type, "integer") == 0
                    : cJSON_IsBool(child)   ? strcmp(type, "boolean") == 0
                    : cJSON_IsArray(child)  ? strcmp(type, "array") == 0
                                            : strcmp(type, "object") == 0;
        if (!fits)
            fail_msg("%s is %s in the CRD's schema", inner, type);
        assert_in_schema(child, next, inner);
    }
}

static void the_schema_knows_every_field_of_status(void **state)
{
    struct yaml_document *documents;
    size_t count;
    struct error err;
    WORLD(3);
    char *text = reasons_read_text(arena, "crds/postgresclusters.pgkeel.dev.yaml");
    assert_int_equal(yaml_parse(arena, text, strlen(text), &documents, &count, &err), 0);
    const cJSON *schema =
        json_get(documents[0].tree, "spec.versions[0].schema.openAPIV3Schema.properties.status");
    assert_non_null(schema);
    assert_in_schema(built_status(&world, false), schema, "status");
    cJSON *status = built_status(&world, true);
    assert_non_null(json_get(status, "waitingFor[0].unblock"));
    assert_non_null(json_get(status, "instances[1].lag"));
    assert_non_null(json_get(status, "credentials.caExpires"));
    assert_in_schema(status, schema, "status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_is_explained_and_every_explained_one_exists),
        cmocka_unit_test(reasons_that_rooms_spell_out_are_in_the_table),
        cmocka_unit_test(every_reason_that_is_named_exists),
        cmocka_unit_test(pages_name_only_reasons_and_conditions_that_exist),
        cmocka_unit_test(every_reason_is_used),
        cmocka_unit_test(the_conditions_are_those_explained),
        cmocka_unit_test(the_schema_knows_every_field_of_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
