/* The volumes of an instance. They are never shrunk or moved: the API refuses both. Only a
 * request to grow that was not fulfilled can be taken back. */
#include "desired/internal.h"

/* A request stays at what it was when the spec is smaller: the API refuses to shrink it, unless the
 * growth was never carried out. */
static cJSON *add_claim(struct build *build, const char *name, const char *instance,
                        const char *volume, const struct volume_spec *spec,
                        const struct seen_pvc *seen)
{
    cJSON *claim = build_object(build, CHILD_CLAIM, name, RETAINED);
    build_label(claim, LABEL_INSTANCE, instance);
    build_label(claim, LABEL_VOLUME, volume);
    cJSON *node = json_add_object(claim, "spec");
    json_push_str(json_add_array(node, "accessModes"), "ReadWriteOnce");
    cJSON *requests = json_add_object(json_add_object(node, "resources"), "requests");
    if (seen->there && seen->requested_bytes > spec->size_bytes &&
        !model_may_take_back(seen, spec->size_bytes))
        json_set_str(requests, "storage",
                     arena_printf(build->arena, "%lld", (long long)seen->requested_bytes));
    else
        json_set_str(requests, "storage", spec->size);
    /* Without a class of its own the claim keeps what the server filled in. */
    if (spec->storage_class && seen->there && seen->storage_class && *seen->storage_class)
        json_set_str(node, "storageClassName", seen->storage_class);
    else
        json_set_str(node, "storageClassName", spec->storage_class);
    return claim;
}

/* What is on the volume, so that it is known when no pod is there to ask. */
static void stamp(struct build *build, cJSON *claim, const struct model_instance *instance)
{
    if (*instance->system_identifier)
        build_annotate(claim, ANN_SYSTEM_ID, instance->system_identifier);
    if (*instance->last_role)
        build_annotate(claim, ANN_LAST_ROLE, instance->last_role);
    if (instance->epoch > 0)
        build_annotate(claim, ANN_EPOCH,
                       arena_printf(build->arena, "%lld", (long long)instance->epoch));
}

void build_volumes(struct build *build, const struct model_instance *instance)
{
    const struct cluster_spec *spec = build->spec;
    const char *name = instance->name;
    cJSON *data = add_claim(build, name_data_pvc(build->arena, name), name, "data", &spec->storage,
                            &instance->seen->data);
    stamp(build, data, instance);
    if (spec->wal_storage.size)
        (void)add_claim(build, name_wal_pvc(build->arena, name), name, "wal", &spec->wal_storage,
                        &instance->seen->wal);
}
