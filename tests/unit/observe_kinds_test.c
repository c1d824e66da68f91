/* What the table of kinds needs outside of it: the watch's row, the API client's, and the
 * operator's rights. */
#include "observe_test.h"

#include "base/file.h"
#include "kube/kinds.h"
#include "yaml/yaml.h"

/* Without a row a kind would be watched whole, and nothing of its own be kept. */
static void every_watched_kind_says_what_is_kept_of_it(void **state)
{
    (void)state;
    for (int i = 0; i < CHILD_WATCHED; i++)
        if (!seen_infos[i].metadata_only && seen_infos[i].take == NULL)
            fail_msg("pkg/observe/kinds.c has no row for %s", api_child_infos[i].kind);
}

static bool holds(const cJSON *list, const char *text)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        if (strcmp(item->valuestring, text) == 0)
            return true;
    }
    return false;
}

static const char *const verbs[] = {"get", "list", "watch", "create", "patch", "update", "delete"};

/* Every row of the table decides which of them the operator uses. */
static bool is_used(int kind, const char *verb)
{
    const struct child_info *child = &api_child_infos[kind];
    if (strcmp(verb, "get") == 0)
        return true;
    if (strcmp(verb, "list") == 0 || strcmp(verb, "watch") == 0)
        return kind < CHILD_WATCHED;
    if (strcmp(verb, "delete") == 0)
        return child->deletable || child->recreated;
    return strcmp(verb, "update") != 0 && !child->recreated;
}

static bool is_granted(const cJSON *rules, const char *group, const char *resource,
                       const char *verb)
{
    const cJSON *rule;
    cJSON_ArrayForEach (rule, rules) {
        if (holds(json_get(rule, "apiGroups"), group) &&
            holds(json_get(rule, "resources"), resource) && holds(json_get(rule, "verbs"), verb))
            return true;
    }
    return false;
}

static void assert_rights(struct arena *arena, const char *path)
{
    char *text;
    struct yaml_document *documents;
    size_t count;
    struct error err;
    if (file_read(arena, path, 65536, &text, NULL, &err) < 0 ||
        yaml_parse(arena, text, strlen(text), &documents, &count, &err) < 0)
        fail_msg("%s", err.text);
    const cJSON *rules = json_get(documents[0].tree, "rules");
    for (int i = 0; i < CHILD_KINDS; i++) {
        const char *version = api_child_infos[i].api_version, *slash = strchr(version, '/');
        const char *group = slash ? arena_strndup(arena, version, (size_t)(slash - version)) : "";
        const struct kube_kind *kind = kube_kind_find(version, api_child_infos[i].kind);
        if (kind == NULL)
            fail_msg("pkg/kube/kinds.c does not have %s", api_child_infos[i].kind);
        for (size_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
            bool granted = is_granted(rules, group, kind->plural, verbs[v]);
            if (granted != is_used(i, verbs[v]))
                fail_msg("%s %s '%s' on %s in group '%s'", path, granted ? "grants" : "lacks",
                         verbs[v], kind->plural, group);
        }
    }
}

static void the_operator_has_the_rights_that_each_kind_needs_and_no_more(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    assert_rights(arena, "manifests/install/clusterrole.yaml");
    assert_rights(arena, "overlays/namespaced/role.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_watched_kind_says_what_is_kept_of_it),
        cmocka_unit_test(the_operator_has_the_rights_that_each_kind_needs_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
