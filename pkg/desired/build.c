/* What every builder puts into an object of ours: its labels, its owner, its place in the list. */
#include "desired/internal.h"

cJSON *build_object(struct build *build, enum child_kind kind, const char *name, enum owner owner)
{
    const struct cluster_spec *spec = build->spec;
    cJSON *object = json_object(build->arena);
    json_set_str(object, "apiVersion", api_child_infos[kind].api_version);
    json_set_str(object, "kind", api_child_infos[kind].kind);
    cJSON *metadata = json_add_object(object, "metadata");
    json_set_str(metadata, "name", name);
    json_set_str(metadata, "namespace", spec->namespace);
    build_label(object, LABEL_APP_NAME, "postgresql");
    build_label(object, LABEL_CLUSTER, spec->name);
    build_label(object, LABEL_MANAGED_BY, LABEL_MANAGED_BY_VALUE);
    /* Offline there is no uid, so there is nothing to name as the owner. */
    if (*spec->uid && (owner == OWNED || !spec->retain)) {
        cJSON *reference = json_push_object(json_add_array(metadata, "ownerReferences"));
        json_set_str(reference, "apiVersion", API_VERSION);
        json_set_str(reference, "kind", API_KIND);
        json_set_str(reference, "name", spec->name);
        json_set_str(reference, "uid", spec->uid);
        json_set_bool(reference, "controller", true);
        json_set_bool(reference, "blockOwnerDeletion", true);
    }
    build->objects = arena_room(build->arena, build->objects, build->count, &build->capacity,
                                sizeof *build->objects);
    return build->objects[build->count++] = object;
}

void build_label(cJSON *object, const char *key, const char *value)
{
    json_set_str(json_add_object(json_add_object(object, "metadata"), "labels"), key, value);
}

void build_annotate(cJSON *object, const char *key, const char *value)
{
    json_set_str(json_add_object(json_add_object(object, "metadata"), "annotations"), key, value);
}

cJSON *build_selector(cJSON *node, const char *key, struct key_value pods)
{
    cJSON *selector = json_add_object(node, key);
    json_set_str(selector, pods.key, pods.value);
    return selector;
}

cJSON *build_instance_selector(const struct build *build, cJSON *node, const char *key)
{
    return build_selector(node, key, name_instance_selector(build->spec->name));
}

const char *build_child(const struct build *build, const char *suffix)
{
    return name_child(build->arena, build->spec->name, suffix);
}
