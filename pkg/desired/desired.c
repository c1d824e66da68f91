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
    if (build->count == build->capacity) {
        size_t wanted = build->capacity ? build->capacity * 2 : 32;
        build->objects =
            arena_grow(build->arena, build->objects, build->count * sizeof *build->objects,
                       wanted * sizeof *build->objects);
        build->capacity = wanted;
    }
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

cJSON *build_selector(const struct build *build, cJSON *node, const char *key)
{
    cJSON *selector = json_add_object(node, key);
    json_set_str(selector, LABEL_CLUSTER, build->spec->name);
    return selector;
}

const char *build_child(const struct build *build, const char *suffix)
{
    return name_child(build->arena, build->spec->name, suffix);
}

char *desired_template_hash(struct arena *arena, const struct snapshot *snapshot, const char *name)
{
    struct build build = {.arena = arena, .spec = &snapshot->spec, .snapshot = snapshot};
    cJSON *template = json_object(arena);
    build_pod(&build, template, name, &(struct pod_own){NULL, POD_FORM_FIRST});
    return json_hash(arena, template);
}

struct desired desired_build(struct arena *arena, const struct model *model)
{
    struct build build = {
        .arena = arena,
        .spec = &model->snapshot->spec,
        .snapshot = model->snapshot,
        .model = model,
    };
    build_rbac(&build);
    build_config(&build);
    build_services(&build);
    build_primary(&build);
    build_disruption(&build);
    for (size_t i = 0; i < model->instance_count; i++)
        if (model->instances[i].wanted)
            build_volumes(&build, &model->instances[i]);
    for (size_t i = 0; i < model->instance_count; i++)
        if (model->instances[i].wanted)
            build_instance(&build, &model->instances[i]);
    return (struct desired){build.objects, build.count};
}
