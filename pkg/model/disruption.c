/*
 * Why a pod was removed, from its condition DisruptionTarget. That pod disappears, and the next one
 * may find no node for the same reason, so status keeps the reason until an agent reports.
 */
#include "model/internal.h"

static const struct cause {
    const char *condition, *text, *remedy;
} causes[] = {
    {"PreemptionByScheduler", "preempted: the scheduler made room for a pod of higher priority",
     "set spec.scheduling.priorityClassName to a PriorityClass that is not below that of the other "
     "pods"},
    {"TerminationByKubelet", "ended by the kubelet of its node",
     "request in spec.resources what the pod uses, and set spec.scheduling.priorityClassName"},
    {"EvictionByEvictionAPI", "evicted by request, such as from a node drain or an autoscaler", ""},
    {"DeletionByTaintManager", "removed because of a NoExecute taint of its node",
     "tolerate the taint in spec.scheduling.tolerations if the pod should stay there"},
    {"DeletionByPodGC", "removed because its node is gone", ""},
};

static const char *describe(const struct work *work, const struct seen_pod *pod)
{
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        if (!text_same(pod->disruption, causes[i].condition))
            continue;
        if (i == 0 && text_given(pod->priority))
            return arena_printf(work->arena, "%s (its own is %s)", causes[i].text, pod->priority);
        return i == 1 && text_given(pod->disruption_message)
                   ? arena_printf(work->arena, "%s: %s", causes[i].text, pod->disruption_message)
                   : causes[i].text;
    }
    return arena_printf(work->arena, "removed (%s): %s", pod->disruption,
                        text_or_empty(pod->disruption_message));
}

const char *disruption_remedy(const char *disruption)
{
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        if (strncmp(disruption, causes[i].text, strcspn(causes[i].text, ":")) == 0)
            return causes[i].remedy;
    return "";
}

/* The pod that told it is gone: status is where it is kept. */
static const char *remembered(const struct model *model, const char *name)
{
    const cJSON *instance = json_item(json_get(model->snapshot->status, "instances"), "name", name);
    return json_str(instance, "disruption", "");
}

void instances_disruption(struct work *work)
{
    for (size_t i = 0; i < work->model->instance_count; i++) {
        struct model_instance *instance = &work->model->instances[i];
        const struct seen_pod *pod = &instance->seen->pod;
        if (pod->there && text_given(pod->disruption))
            instance->disruption = describe(work, pod);
        else
            instance->disruption =
                instance->seen->reported ? "" : remembered(work->model, instance->name);
    }
}
