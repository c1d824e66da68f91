#include "plan/internal.h"

#include "api/names.h"

/* The owner of an object that is not ours, for people; NULL when it is ours. Without a controller
 * the label decides: what outlived an earlier cluster of this name is adopted. */
static const char *foreign_owner(struct arena *arena, const struct snapshot *snapshot,
                                 const struct seen_object *seen)
{
    bool labelled = text_same(seen->cluster, snapshot->spec.name);
    bool owned = text_given(seen->owner_uid);
    if (labelled && (!owned || text_same(seen->owner_uid, snapshot->spec.uid)))
        return NULL;
    if (labelled)
        return arena_printf(arena,
                            "the owner with uid %s, perhaps an earlier PostgresCluster '%s' whose "
                            "objects are still being removed",
                            seen->owner_uid, snapshot->spec.name);
    if (text_given(seen->cluster))
        return arena_printf(arena, "PostgresCluster '%s'", seen->cluster);
    if (owned)
        return arena_printf(arena, "the owner with uid %s", seen->owner_uid);
    return "somebody else (it has no label " LABEL_CLUSTER ")";
}

static int wave_of(const char *kind)
{
    static const enum plan_wave waves[] = {
        [CHILD_WAVE_SUPPORT] = PLAN_WAVE_SUPPORT,
        [CHILD_WAVE_VOLUMES] = PLAN_WAVE_VOLUMES,
        [CHILD_WAVE_INSTANCES] = PLAN_WAVE_INSTANCES,
    };
    const struct child_info *child = api_child_info_of(kind);
    return child ? (int)waves[child->wave] : PLAN_WAVE_SUPPORT;
}

static const cJSON *marked(struct arena *arena, const cJSON *object, const char *hash)
{
    cJSON *copy = json_copy(arena, object);
    json_set_str(json_add_object(json_add_object(copy, "metadata"), "annotations"), ANN_APPLIED,
                 hash);
    return copy;
}

/* Server-side apply cannot remove fields that others own. They are removed before ours are written,
 * because both may not go together (a PodDisruptionBudget with two bounds). If ours must be written
 * first (a Service without externalName that still is one), the next pass removes them. */
static void mend_object(struct arena *arena, struct plan *plan, const cJSON *wanted,
                        const struct seen_object *seen, bool alone)
{
    plan->actions[plan->count++] = (struct plan_action){
        .verb = PLAN_MEND,
        .api_version = seen->api_version,
        .kind = seen->kind,
        .name = seen->name,
        .uid = seen->uid,
        .object = wanted,
        .effect = "",
        .reason = arena_printf(arena, "somebody added %s, which pgkeel does not set; it is removed",
                               seen->foreign),
        .drift = alone, /* else the write of the same object is reported */
        .wave = PLAN_WAVE_MEND,
    };
}

/* A StatefulSet that waits for its turn keeps its pod template, which is not known here; everything
 * else is set back. */
static void restore_set(struct arena *arena, struct plan *plan, const cJSON *wanted,
                        const struct seen_object *seen)
{
    cJSON *object = json_copy(arena, wanted);
    cJSON_DeleteItemFromObjectCaseSensitive(json_get(object, "spec"), "template");
    cJSON_DeleteItemFromObjectCaseSensitive(json_get(object, "metadata"), "annotations");
    json_set_str(json_get(object, "metadata"), "uid", seen->uid);
    plan->actions[plan->count++] = (struct plan_action){
        .verb = PLAN_RESTORE,
        .api_version = seen->api_version,
        .kind = seen->kind,
        .name = seen->name,
        .uid = seen->uid,
        .object = object,
        .effect = "",
        .reason = "somebody changed it",
        .drift = true,
        .wave = wave_of(seen->kind),
    };
}

static bool is_held(const struct model *model, const char *kind, const char *name)
{
    const struct model_instance *instance = plan_find_instance(model, name);
    return api_child_kind_of(kind) == CHILD_STATEFUL_SET && instance != NULL &&
           instance->template_held;
}

/* Writes if our intent changed, or somebody else changed our fields. A StatefulSet that waits for
 * its turn is only set back. */
static void write_object(struct arena *arena, const struct model *model, struct plan *plan,
                         const cJSON *object, const struct seen_object *seen)
{
    const char *kind = json_str(object, "kind", "");
    bool is_volume = api_child_kind_of(kind) == CHILD_CLAIM;
    const char *hash = json_hash(arena, object);
    bool intent_changed = seen == NULL || !text_same(seen->applied, hash);
    if (seen != NULL && text_given(seen->foreign))
        mend_object(arena, plan, object, seen, !intent_changed && !seen->drifted);
    if (!intent_changed && !seen->drifted)
        return;
    if (seen != NULL && is_held(model, kind, seen->name)) {
        if (seen->drifted)
            restore_set(arena, plan, object, seen);
        return;
    }
    const cJSON *stamped = seen != NULL && is_volume ? plan_stamp_pvc(arena, model, object) : NULL;
    if (stamped != NULL)
        plan->actions[plan->count++] = (struct plan_action){
            .verb = PLAN_APPLY,
            .api_version = json_str(object, "apiVersion", ""),
            .kind = kind,
            .name = seen->name,
            .uid = seen->uid,
            .object = marked(arena, stamped, json_hash(arena, stamped)),
            .effect = "",
            .reason = "the contents of the volume are recorded on it",
            .wave = PLAN_WAVE_MEND,
        };
    struct plan_action *action = &plan->actions[plan->count++];
    *action = (struct plan_action){
        .verb = seen ? PLAN_APPLY : PLAN_CREATE,
        .api_version = json_str(object, "apiVersion", ""),
        .kind = kind,
        .name = json_str(object, "metadata.name", ""),
        .uid = seen ? seen->uid : "",
        .object = marked(arena, object, hash),
        .effect = "",
        .reason = "it was missing",
        .drift = !intent_changed,
        .wave = wave_of(kind),
    };
    if (seen != NULL)
        plan_explain(arena, model, seen, intent_changed, action);
}

static void one_object(struct arena *arena, const struct model *model, struct plan *plan,
                       const cJSON *wanted)
{
    const struct snapshot *snapshot = model->snapshot;
    const char *kind = json_str(wanted, "kind", ""), *name = json_str(wanted, "metadata.name", "");
    const struct seen_object *seen = snapshot_object(snapshot, kind, name);
    const char *owner = seen ? foreign_owner(arena, snapshot, seen) : NULL;
    if (owner != NULL)
        plan->collisions[plan->collision_count++] = (struct plan_collision){
            kind, name, owner, text_same(seen->cluster, snapshot->spec.name) || seen->deleting};
    else if (seen != NULL && seen->deleting)
        plan->held[plan->held_count++] = seen;
    else
        write_object(arena, model, plan, wanted, seen);
}

/* Stable, because the order of `desired` counts within a wave. */
static void sort_by_wave(struct plan *plan)
{
    for (size_t i = 1; i < plan->count; i++)
        for (size_t j = i; j > 0 && plan->actions[j].wave < plan->actions[j - 1].wave; j--) {
            struct plan_action moved = plan->actions[j];
            plan->actions[j] = plan->actions[j - 1];
            plan->actions[j - 1] = moved;
        }
}

struct plan *plan_diff(struct arena *arena, const struct model *model,
                       const struct desired *desired)
{
    const struct snapshot *snapshot = model->snapshot;
    struct plan *plan = arena_alloc(arena, sizeof *plan);
    if (snapshot->faults.count > 0 || snapshot->spec.deleting || snapshot->namespace_terminating)
        return plan;
    size_t most =
        desired->count + snapshot->object_count + model->instance_count + snapshot->stray_count;
    plan->actions = arena_alloc(arena, most * sizeof *plan->actions);
    plan->collisions = arena_alloc(arena, desired->count * sizeof *plan->collisions);
    plan->held = arena_alloc(arena, desired->count * sizeof *plan->held);
    for (size_t i = 0; i < desired->count; i++)
        one_object(arena, model, plan, desired->objects[i]);
    plan_deletes(arena, model, desired, plan);
    sort_by_wave(plan);
    return plan;
}
