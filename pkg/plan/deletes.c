/* What is deleted: pods to be recreated, and objects of ours that are no longer needed. */
#include "plan/internal.h"

#include "api/names.h"

static bool is_desired(const struct desired *desired, const struct seen_object *object)
{
    for (size_t i = 0; i < desired->count; i++)
        if (text_same(json_str(desired->objects[i], "kind", ""), object->kind) &&
            text_same(json_str(desired->objects[i], "metadata.name", ""), object->name))
            return true;
    return false;
}

static bool is_deletable(const char *kind)
{
    const struct child_info *info = api_child_info_of(kind);
    return info != NULL && info->deletable;
}

static int highest_ordinal(const struct model *model)
{
    int highest = 0;
    for (size_t i = 0; i < model->instance_count; i++)
        if (model->instances[i].seen->ordinal > highest)
            highest = model->instances[i].seen->ordinal;
    return highest;
}

/* An instance goes only when the model says so; a set of ours that belongs to no instance is left
 * over from something else and may go. */
static bool set_may_go(const struct model *model, struct plan_action *action)
{
    const struct model_instance *instance = plan_find_instance(model, action->name);
    if (instance == NULL)
        return name_ordinal(model->snapshot->spec.name, action->name) == 0;
    action->wave += highest_ordinal(model) - instance->seen->ordinal;
    action->reason = "spec.instances went down";
    return !instance->wanted && !instance->primary;
}

/*
 * A volume is deleted only after its instance, and only if it was never to be kept: then it has an
 * owner.
 */
static bool volume_may_go(struct arena *arena, const struct model *model,
                          struct plan_action *action)
{
    const struct model_instance *instance;
    if (plan_find_pvc(arena, model, action->name, &instance) == NULL)
        return false;
    action->effect = "irreversible";
    action->reason = "its instance was removed and spec.storage.retain is false";
    return !model->snapshot->spec.retain && !instance->wanted && !instance->primary &&
           !instance->seen->set_there && !instance->seen->pod.there;
}

/* For StatefulSets and volumes, which hold servers and data, the model must agree, too. */
static void delete_object(struct arena *arena, const struct model *model,
                          const struct seen_object *object, struct plan *plan)
{
    struct plan_action action = {
        .verb = PLAN_DELETE,
        .api_version = object->api_version,
        .kind = object->kind,
        .name = object->name,
        .uid = object->uid,
        .effect = "",
        .reason = "the cluster no longer needs it",
        .wave = PLAN_WAVE_DELETE,
    };
    enum child_kind kind = api_child_kind_of(object->kind);
    if (kind == CHILD_STATEFUL_SET && !set_may_go(model, &action))
        return;
    if (kind == CHILD_CLAIM && !volume_may_go(arena, model, &action))
        return;
    plan->actions[plan->count++] = action;
}

/* A revision that came from another manager's fields is no reason to end a pod that works: the
 * fields are removed first, and a pod that is still old then differs from our intent. */
static bool waits_for_repair(const struct model *model, const struct model_instance *instance)
{
    const struct seen_object *set =
        snapshot_object(model->snapshot, api_child_infos[CHILD_STATEFUL_SET].kind, instance->name);
    return instance->delete_rolls && set != NULL && (text_given(set->foreign) || set->drifted);
}

/* Only with a uid: without it the delete could hit the pod's successor, which has the same name. */
static void delete_pods(const struct model *model, struct plan *plan)
{
    for (size_t i = 0; i < model->instance_count; i++) {
        const struct model_instance *instance = &model->instances[i];
        if (!instance->delete_pod || !text_given(instance->seen->pod.uid) ||
            waits_for_repair(model, instance))
            continue;
        plan->actions[plan->count++] = (struct plan_action){
            .verb = PLAN_DELETE,
            .api_version = api_child_infos[CHILD_POD].api_version,
            .kind = api_child_infos[CHILD_POD].kind,
            .name = instance->seen->pod.name,
            .uid = instance->seen->pod.uid,
            .effect = "recreate pod",
            .reason = instance->delete_reason,
            .wave = PLAN_WAVE_PODS,
        };
    }
}

/* After the write of the Service: what its selector caused would be created again. */
static void delete_strays(struct arena *arena, const struct snapshot *snapshot, struct plan *plan)
{
    for (size_t i = 0; i < snapshot->stray_count; i++) {
        const struct seen_stray *stray = &snapshot->strays[i];
        if (stray->deleting)
            continue;
        plan->actions[plan->count++] = (struct plan_action){
            .verb = PLAN_DELETE,
            .api_version = stray->api_version,
            .kind = stray->kind,
            .name = stray->name,
            .uid = stray->uid,
            .effect = "",
            .reason = arena_printf(arena, "it leads Service '%s' to something other than %s",
                                   name_child(arena, snapshot->spec.name, stray->service),
                                   text_same(stray->service, "rw") ? "the primary"
                                                                   : "the pods that it selects"),
            .drift = true,
            .wave = PLAN_WAVE_STRAYS,
        };
    }
}

void plan_deletes(struct arena *arena, const struct model *model, const struct desired *desired,
                  struct plan *plan)
{
    const struct snapshot *snapshot = model->snapshot;
    delete_strays(arena, snapshot, plan);
    delete_pods(model, plan);
    for (size_t i = 0; i < snapshot->object_count; i++) {
        const struct seen_object *object = &snapshot->objects[i];
        if (!object->deleting && text_given(object->uid) && text_given(object->owner_uid) &&
            text_same(object->owner_uid, snapshot->spec.uid) &&
            text_same(object->cluster, snapshot->spec.name) && is_deletable(object->kind) &&
            !is_desired(desired, object))
            delete_object(arena, model, object, plan);
    }
}
