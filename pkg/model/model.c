#include "model/internal.h"

static bool any_blocker(const struct model *model, bool stalled)
{
    for (size_t i = 0; i < model->blocker_count; i++)
        if (stalled ? model->blockers[i].stalled : model->blockers[i].fault)
            return true;
    return false;
}

static bool affects_any(const struct model *model, unsigned affects)
{
    for (size_t i = 0; i < model->blocker_count; i++)
        if (!model->blockers[i].provisional && model->blockers[i].affects & affects)
            return true;
    return false;
}

/* The cluster waits only for the first sign of the primary: no change is known. */
static bool only_provisional(const struct model *model)
{
    for (size_t i = 0; i < model->blocker_count; i++)
        if (!model->blockers[i].provisional)
            return false;
    return true;
}

/* Status keeps what an earlier primary reported: once complete, always complete. */
bool model_was_bootstrapped(const struct model *model)
{
    if (model->primary != NULL && model->primary->seen->report.bootstrapped)
        return true;
    const cJSON *condition =
        json_item(json_get(model->snapshot->status, "conditions"), "type", "BootstrapComplete");
    return text_same(json_str(condition, "status", ""), "True");
}

/* Something that worked at this generation stopped working, without a change of the spec. */
static bool fell_back(const struct model *model)
{
    const cJSON *status = model->snapshot->status;
    const char *phase = json_str(status, "phase", "");
    return (text_same(phase, "Healthy") || text_same(phase, "Degraded")) &&
           json_int(status, "observedGeneration", 0) == model->snapshot->spec.generation &&
           affects_any(model, AFFECTS_PRIMARY | AFFECTS_REPLICAS | AFFECTS_STORAGE);
}

static bool change_is_under_way(const struct model *model)
{
    for (size_t i = 0; i < model->instance_count; i++) {
        const struct model_instance *instance = &model->instances[i];
        if (instance->outdated || instance->needs_restart || instance->delete_pod)
            return true;
    }
    return false;
}

/* The cluster has never been what the spec asks for. */
static bool is_new(const struct model *model)
{
    const char *phase = json_str(model->snapshot->status, "phase", "");
    return text_same(phase, "") || text_same(phase, "Creating") || !model_was_bootstrapped(model);
}

/* The first that applies. A cluster that serves is never Failed, and one that was never complete is
 * Creating, not Degraded, unless a person is needed. */
const char *model_phase(const struct model *model)
{
    const char *before = json_str(model->snapshot->status, "phase", "");
    bool serving = model->primary != NULL && (model->primary->healthy || model->primary->unknown);
    if (model->snapshot->spec.deleting || model->snapshot->namespace_terminating)
        return "Deleting";
    if (model->blocker_count == 0)
        return "Healthy";
    if (only_provisional(model) && text_given(before) && !text_same(before, "Deleting"))
        return before;
    if (any_blocker(model, true) && !serving)
        return "Failed";
    if (is_new(model) && !any_blocker(model, true))
        return "Creating";
    if (any_blocker(model, false) || (fell_back(model) && !change_is_under_way(model)))
        return "Degraded";
    return "Updating";
}

static int64_t earliest_due(const struct model *model)
{
    int64_t next = model->recovery_overdue ? 0 : model->recovery_ends_ms;
    if (model->claims_settle_ms > 0 && (next == 0 || model->claims_settle_ms < next))
        next = model->claims_settle_ms;
    for (size_t i = 0; i < model->blocker_count; i++)
        if (model->blockers[i].next_ms > 0 && (next == 0 || model->blockers[i].next_ms < next))
            next = model->blockers[i].next_ms;
    return next;
}

static void build(struct work *work)
{
    instances_roles(work);
    instances_volumes(work);
    instances_health(work);
    instances_wanted(work);
    instances_disruption(work);
    model_bootstrap_decide(work);
    rollout_decide(work);
    blockers_of_cluster(work);
    blockers_of_bootstrap(work);
    blockers_of_routes(work);
    blockers_of_volumes(work);
    blockers_of_room(work);
    blockers_of_instances(work);
    blockers_of_rollout(work);
    model_remedies(work->arena, work->model);
    model_blockers_sort(work->model);
}

struct model *model_build(struct arena *arena, const struct snapshot *snapshot,
                          const char *const *template_hashes, const char *config_hash,
                          int64_t now_ms)
{
    struct model *model = arena_alloc(arena, sizeof *model);
    model->snapshot = snapshot;
    model->now_ms = now_ms;
    model->config_hash = text_or_empty(config_hash);
    model->instance_count = snapshot->instance_count;
    model->instances = arena_alloc(arena, snapshot->instance_count * sizeof *model->instances);
    for (size_t i = 0; i < snapshot->instance_count; i++) {
        model->instances[i].seen = &snapshot->instances[i];
        model->instances[i].name = snapshot->instances[i].name;
    }
    struct work work = {arena,
                        model,
                        snapshot,
                        model_bootstrap_lease(arena, snapshot),
                        template_hashes,
                        snapshot->faults.count > 0 || snapshot->spec.deleting ||
                            snapshot->namespace_terminating || template_hashes == NULL};
    build(&work);
    model->phase = model_phase(model);
    model->next_ms = earliest_due(model);
    return model;
}
