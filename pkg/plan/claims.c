#include "plan/internal.h"

#include "api/cluster.h"
#include "api/names.h"

const struct model_instance *plan_find_instance(const struct model *model, const char *name)
{
    for (size_t i = 0; i < model->instance_count; i++)
        if (text_same(model->instances[i].name, name))
            return &model->instances[i];
    return NULL;
}

const struct seen_pvc *plan_find_pvc(struct arena *arena, const struct model *model,
                                     const char *name, const struct model_instance **ret_instance)
{
    for (size_t i = 0; i < model->instance_count; i++) {
        const struct model_instance *instance = &model->instances[i];
        bool data = text_same(name, name_data_pvc(arena, instance->name));
        if (!data && !text_same(name, name_wal_pvc(arena, instance->name)))
            continue;
        *ret_instance = instance;
        return data ? &instance->seen->data : &instance->seen->wal;
    }
    return NULL;
}

static bool is_noted(const cJSON *object, const char *path, const char *seen)
{
    const char *wanted = json_str(object, path, "");
    return !text_given(wanted) || text_same(wanted, seen);
}

/* Records what is on the volume before its size changes, because that change may be refused. NULL
 * when all of it is recorded, or the size stays. */
const cJSON *plan_stamp_pvc(struct arena *arena, const struct model *model, const cJSON *object)
{
    const struct model_instance *instance;
    const struct seen_pvc *seen =
        plan_find_pvc(arena, model, json_str(object, "metadata.name", ""), &instance);
    const char *asked = json_str(object, "spec.resources.requests.storage", "");
    if (seen == NULL || !seen->there || !text_given(asked) ||
        quantity_bytes(asked) == seen->requested_bytes)
        return NULL;
    const char *epoch = arena_printf(arena, "%lld", (long long)seen->epoch);
    if (is_noted(object, "metadata.annotations[\"" ANN_SYSTEM_ID "\"]", seen->system_identifier) &&
        is_noted(object, "metadata.annotations[\"" ANN_LAST_ROLE "\"]", seen->last_role) &&
        is_noted(object, "metadata.annotations[\"" ANN_EPOCH "\"]", epoch))
        return NULL;
    cJSON *copy = json_copy(arena, object);
    json_set_str(json_get(copy, "spec.resources.requests"), "storage",
                 arena_printf(arena, "%lld", (long long)seen->requested_bytes));
    return copy;
}
