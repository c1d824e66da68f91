/* All objects of one cluster, in the order in which they are created. */
#include "desired/internal.h"

char *desired_template_hash(struct arena *arena, const struct snapshot *snapshot, const char *name)
{
    struct build build = {.arena = arena, .spec = &snapshot->spec, .snapshot = snapshot};
    cJSON *template = json_object(arena);
    build_instance_pod(&build, template, name, &(struct pod_own){NULL, POD_FORM_FIRST});
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
