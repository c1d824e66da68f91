#include "api/foreign.h"

#include <string.h>

#include "api/children.h"
#include "api/names.h"
#include "base/buffer.h"

enum { MANAGERS_MAX = 16, DEPTH_MAX = 32 };

bool api_manager_is_foreign(const char *manager)
{
    static const char *const familiar[] = {FIELD_MANAGER, AGENT_MANAGER, "kube-controller-manager",
                                           "kube-scheduler", "kubelet"};
    for (size_t i = 0; i < sizeof familiar / sizeof familiar[0]; i++)
        if (strcmp(manager, familiar[i]) == 0)
            return false;
    return true;
}

/* NULL when the kind's content is not ours alone. */
static const struct child_info *find_kind(const char *name)
{
    const struct child_info *info = api_child_info_of(name);
    return info != NULL && info->exclusive ? info : NULL;
}

struct owners { /* one node of each familiar manager's tree: the same place in all of them */
    const cJSON *nodes[MANAGERS_MAX];
    size_t count;
};

struct search {
    struct arena *arena;
    const struct child_info *kind;
    struct buffer *names; /* of what is found */
};

/* The current place of the search in the fields of one foreign manager. */
struct place {
    const char *path; /* of fields only: "spec.ports.nodePort" */
    const char *name; /* for people, with the keys of lists */
    struct owners owners;
    /* The same place in the object, NULL when nothing is to be removed; and in what is wanted. */
    cJSON *live, *intent;
};

static const cJSON *member(const cJSON *node, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(node, name);
}

static struct owners below(const struct owners *owners, const char *element)
{
    struct owners children = {0};
    for (size_t i = 0; i < owners->count; i++) {
        const cJSON *child = member(owners->nodes[i], element);
        if (child != NULL)
            children.nodes[children.count++] = child;
    }
    return children;
}

/* The path leads to labels that others may not set; it is never removed itself. */
static bool leads_to_labels(const struct child_info *kind, const char *path)
{
    return kind->reserved_labels[0] != NULL &&
           (strcmp(path, "metadata") == 0 || strcmp(path, "metadata.labels") == 0);
}

static bool is_listed(const char *const *paths, size_t room, const char *path)
{
    for (size_t i = 0; i < room && paths[i] != NULL; i++)
        if (strcmp(paths[i], path) == 0)
            return true;
    return false;
}
#define IS_LISTED(paths, path) is_listed(paths, sizeof(paths) / sizeof(paths)[0], path)

static bool is_metadata_left(const struct child_info *kind, const char *path)
{
    return !IS_LISTED(kind->reserved_labels, path) && !leads_to_labels(kind, path);
}

static bool is_left_to_others(const struct child_info *kind, const char *path)
{
    if (strcmp(path, "metadata") == 0 || strncmp(path, "metadata.", 9) == 0)
        return is_metadata_left(kind, path);
    if (strcmp(path, "status") == 0)
        return true;
    return IS_LISTED(kind->others_may_set, path);
}

static bool has_members(const cJSON *item, const cJSON *wanted)
{
    const cJSON *one;
    cJSON_ArrayForEach (one, wanted) {
        const cJSON *given = member(item, one->string);
        if (given == NULL || !json_equal(given, one))
            return false;
    }
    return true;
}

/* The place in the live object that an element of a path leads to; NULL when there is none. */
static cJSON *live_child(struct arena *arena, cJSON *live, const char *element)
{
    if (live == NULL)
        return NULL;
    if (strncmp(element, "f:", 2) == 0)
        return cJSON_GetObjectItemCaseSensitive(live, element + 2);
    struct error ignored; /* a key that cannot be read leads nowhere */
    cJSON *key = NULL, *item;
    if (element[0] == '\0' || element[1] != ':' || !cJSON_IsArray(live) ||
        json_parse(arena, element + 2, strlen(element + 2), &key, &ignored) < 0)
        return NULL;
    cJSON_ArrayForEach (item, live) {
        if (element[0] == 'k' ? has_members(item, key) : element[0] == 'v' && json_equal(item, key))
            return item;
    }
    return NULL;
}

/* For people: spec.template.spec.containers[{"name":"sidecar"}]. */
static const char *name_of(struct arena *arena, const char *name, const char *element)
{
    if (strncmp(element, "f:", 2) == 0)
        return arena_printf(arena, "%s%s%s", name, *name ? "." : "", element + 2);
    return arena_printf(arena, "%s[%s]", name, element[0] && element[1] ? element + 2 : element);
}

static void found(const struct search *search, const struct place *place, cJSON *live_parent)
{
    buffer_printf(search->names, "%s%s", search->names->length > 0 ? ", " : "", place->name);
    if (place->live != NULL)
        cJSON_Delete(cJSON_DetachItemViaPointer(live_parent, place->live));
}

/* What only the foreign manager owns is removed as a whole; of what we own as well, only what is
 * below it. */
static void walk(const struct search *search, const cJSON *node, const struct place *at, int depth)
{
    const cJSON *child;
    cJSON_ArrayForEach (child, node) {
        const char *element = child->string ? child->string : "";
        bool field = strncmp(element, "f:", 2) == 0;
        if (strcmp(element, ".") == 0 || depth >= DEPTH_MAX)
            continue;
        struct place next = {
            .path = field ? name_of(search->arena, at->path, element) : at->path,
            .name = name_of(search->arena, at->name, element),
            .owners = below(&at->owners, element),
            .live = live_child(search->arena, at->live, element),
            .intent = live_child(search->arena, at->intent, element),
        };
        if (is_left_to_others(search->kind, next.path))
            continue;
        /* "." stands for the field itself, besides what is below it. */
        bool whole = child->child == NULL || member(child, ".") != NULL;
        if (next.owners.count == 0 && next.intent == NULL && whole &&
            !leads_to_labels(search->kind, next.path))
            found(search, &next, at->live);
        else
            walk(search, child, &next, depth + 1);
    }
}

static bool is_counted(const cJSON *entry)
{
    return *json_str(entry, "subresource", "") == '\0';
}

static void search_all(const struct search *search, const cJSON *object, cJSON *live, cJSON *intent)
{
    struct place root = {.path = "", .name = "", .live = live, .intent = intent};
    const cJSON *entry, *entries = json_get(object, "metadata.managedFields");
    cJSON_ArrayForEach (entry, entries) {
        const cJSON *fields = json_get(entry, "fieldsV1");
        if (fields != NULL && root.owners.count < MANAGERS_MAX && is_counted(entry) &&
            !api_manager_is_foreign(json_str(entry, "manager", "")))
            root.owners.nodes[root.owners.count++] = fields;
    }
    cJSON_ArrayForEach (entry, entries) {
        if (is_counted(entry) && api_manager_is_foreign(json_str(entry, "manager", "")))
            walk(search, json_get(entry, "fieldsV1"), &root, 0);
    }
}

char *api_foreign_fields(struct arena *arena, const char *kind, const cJSON *object)
{
    AUTO_BUFFER names = {0};
    const struct search search = {arena, find_kind(kind), &names};
    if (search.kind != NULL)
        search_all(&search, object, NULL, NULL);
    return arena_strndup(arena, buffer_text(&names), names.length);
}

const char *api_foreign_manager(const char *kind, const cJSON *object)
{
    const cJSON *entry;
    const char *found = "", *at = "";
    if (find_kind(kind) == NULL)
        return "";
    cJSON_ArrayForEach (entry, json_get(object, "metadata.managedFields")) {
        const char *manager = json_str(entry, "manager", ""), *time = json_str(entry, "time", "");
        if (api_manager_is_foreign(manager) && strcmp(time, at) >= 0 &&
            strcmp(json_str(entry, "subresource", ""), "status") != 0) {
            found = manager;
            at = time;
        }
    }
    return found;
}

bool api_foreign_remove(struct arena *arena, const char *kind, const cJSON *intent, cJSON *object)
{
    AUTO_BUFFER names = {0};
    const struct search search = {arena, find_kind(kind), &names};
    if (search.kind != NULL)
        search_all(&search, object, object, json_copy(arena, intent));
    return names.length > 0;
}

/* The patch that turns `before` into `after`, which is `before` with parts removed. */
static void put_difference(cJSON *patch, const cJSON *before, const cJSON *after)
{
    const cJSON *was;
    cJSON_ArrayForEach (was, before) {
        const cJSON *is = cJSON_GetObjectItemCaseSensitive(after, was->string);
        if (is == NULL)
            cJSON_AddNullToObject(patch, was->string);
        else if (cJSON_IsObject(was) && !json_equal(was, is))
            put_difference(json_add_object(patch, was->string), was, is);
        else if (!json_equal(was, is))
            json_set_copy(patch, was->string, is);
    }
}

cJSON *api_foreign_patch(struct arena *arena, const char *kind, const cJSON *intent,
                         const cJSON *object)
{
    cJSON *after = json_copy(arena, object), *patch = json_object(arena);
    if (!api_foreign_remove(arena, kind, intent, after))
        return NULL;
    put_difference(patch, object, after);
    cJSON *metadata = json_add_object(patch, "metadata");
    json_set_str(metadata, "uid", json_str(object, "metadata.uid", ""));
    json_set_str(metadata, "resourceVersion", json_str(object, "metadata.resourceVersion", ""));
    return patch;
}
