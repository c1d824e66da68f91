/*
 * What a node drain may do. A pod that does not work anyway must never hold one up, or a broken
 * replica keeps a node from being drained for weeks: AlwaysAllow. But that would let a drain evict
 * a primary in crash recovery, too, which starts over elsewhere: while it is on its way back
 * nothing is evicted, for an hour at most. IfHealthyBudget alone would not do: a ready replica is
 * as much as the budget asks for.
 * https://kubernetes.io/docs/tasks/run-application/configure-pdb/#unhealthy-pod-eviction-policy
 */
#include "desired/internal.h"

void build_disruption(struct build *build)
{
    const struct cluster_spec *spec = build->spec;
    cJSON *budget =
        json_add_object(build_object(build, CHILD_DISRUPTION_BUDGET, spec->name, OWNED), "spec");
    bool outage_allowed = spec->instances == 1 && spec->allow_eviction;
    bool guarded =
        build->model->primary_recovers && !build->model->recovery_overdue && !outage_allowed;
    /* One instance: a drain would be an outage, so somebody must say that it may be one. */
    if (spec->instances > 1 || spec->allow_eviction)
        json_set_int(budget, "maxUnavailable", guarded ? 0 : 1);
    else
        json_set_int(budget, "minAvailable", 1);
    json_set_str(budget, "unhealthyPodEvictionPolicy", guarded ? "IfHealthyBudget" : "AlwaysAllow");
    (void)build_instance_selector(build, json_add_object(budget, "selector"), "matchLabels");
}
