/* What an action changes, for people: the field that differs where it is known. */
#include "plan/internal.h"

#include "api/cluster.h"
#include "api/names.h"

struct change {
    struct arena *arena;
    const struct model *model;
    const struct seen_object *seen;
    struct plan_action *action;
};

/* A growth goes to the first wave: it must not wait for the health of the pods (plan.h). */
static void explain_pvc(const struct change *change)
{
    const struct model_instance *instance;
    struct plan_action *action = change->action;
    const struct seen_pvc *pvc =
        plan_find_pvc(change->arena, change->model, action->name, &instance);
    const char *asked = json_str(action->object, "spec.resources.requests.storage", "");
    if (pvc == NULL || quantity_bytes(asked) == pvc->requested_bytes) {
        action->reason = "the contents of the volume are recorded on it, or its labels changed";
        return;
    }
    const char *field = pvc == &instance->seen->data ? "spec.storage" : "spec.walStorage";
    const char *before = quantity_text(change->arena, pvc->requested_bytes);
    if (quantity_bytes(asked) < pvc->requested_bytes) {
        action->reason = arena_printf(
            change->arena, "%s.size went back from %s to %s, because the volume did not grow",
            field, before, asked);
        return;
    }
    action->wave = PLAN_WAVE_GROW;
    action->effect = "resize";
    action->reason =
        arena_printf(change->arena, "%s.size grew from %s to %s", field, before, asked);
}

static void explain_set(const struct change *change)
{
    const struct model_instance *instance = plan_find_instance(change->model, change->action->name);
    const char *wanted =
        json_str(change->action->object, "metadata.annotations[\"" ANN_TEMPLATE "\"]", "");
    if (instance == NULL || text_same(instance->seen->template_hash, wanted)) {
        change->action->reason = "its metadata changed; its pod template did not";
        return;
    }
    change->action->effect = "recreate pod";
    change->action->reason =
        "the pod template changed (image, resources, scheduling or names of Secrets)";
}

/* A restart counts more than a reload: one new token decides the effect. */
static void explain_config(const struct change *change)
{
    bool reload = false;
    change->action->reason =
        "the list of members in cluster.json, or what it says about them, changed";
    for (size_t i = 0; i < change->model->instance_count; i++) {
        const struct model_instance *instance = &change->model->instances[i];
        const struct seen_instance *seen = instance->seen;
        if (instance->needs_restart && !text_same(instance->restart_token, seen->restart_token) &&
            !text_same(instance->restart_token, seen->report.restart_token)) {
            change->action->effect = "restart";
            change->action->reason =
                arena_printf(change->arena, "%s is to restart postgres for: %s", instance->name,
                             text_or_empty(seen->report.pending_parameters));
            return;
        }
        reload = reload || (seen->reported && text_given(seen->report.config_hash) &&
                            !text_same(seen->report.config_hash, change->model->config_hash));
    }
    if (reload) {
        change->action->effect = "reload";
        change->action->reason = "postgresql.conf or pg_hba.conf changed";
    }
}

static void explain_lease(const struct change *change)
{
    const struct bootstrap_grant *grant = &change->model->grant;
    if (!text_given(grant->instance))
        change->action->reason = "no instance may take the lease for now";
    else if (change->model->ever_held)
        change->action->reason =
            "data exists: no instance may initialise an empty volume from now on";
    else
        change->action->reason =
            arena_printf(change->arena, "%s may take the lease and %s", grant->instance,
                         grant->initdb ? "initialise an empty volume" : "start existing data");
}

void plan_explain(struct arena *arena, const struct model *model, const struct seen_object *seen,
                  bool intent_changed, struct plan_action *action)
{
    static void (*const explain[CHILD_KINDS])(const struct change *change) = {
        [CHILD_CLAIM] = explain_pvc,
        [CHILD_STATEFUL_SET] = explain_set,
        [CHILD_CONFIG_MAP] = explain_config,
        [CHILD_LEASE] = explain_lease,
    };
    enum child_kind kind = api_child_kind_of(action->kind);
    const struct change change = {arena, model, seen, action};
    if (!intent_changed) {
        action->reason = "somebody changed it";
        return;
    }
    action->reason = arena_printf(arena, "the desired state changed (generation %lld)",
                                  (long long)model->snapshot->spec.generation);
    if (kind != CHILD_NONE && explain[kind] != NULL)
        explain[kind](&change);
    if (!text_given(seen->applied) && !text_given(action->effect))
        action->reason = "it exists already and is adopted";
}
