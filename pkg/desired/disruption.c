/* What a node drain may do. */
#include "desired/internal.h"

void build_disruption(struct build *build)
{
    const struct cluster_spec *spec = build->spec;
    cJSON *budget = json_add_object(
        build_object(build, "policy/v1", "PodDisruptionBudget", spec->name, OWNED), "spec");
    /* One instance: a drain would be an outage, so somebody must say that it may be one. */
    if (spec->instances > 1 || spec->allow_eviction)
        json_set_int(budget, "maxUnavailable", 1);
    else
        json_set_int(budget, "minAvailable", 1);
    /* A pod that does not work anyway must never hold a drain up. */
    json_set_str(budget, "unhealthyPodEvictionPolicy", "AlwaysAllow");
    (void)build_selector(build, json_add_object(budget, "selector"), "matchLabels");
}
