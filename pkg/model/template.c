/*
 * Which instance's StatefulSet gets the current pod template. A template takes effect whenever the
 * pod of its StatefulSet ends, for whatever reason. So an instance gets it only when it is its turn
 * to be replaced, and a template that does not work on one instance reaches no other. Everything is
 * read from the objects, so that an operator that starts in the middle continues the same way.
 */
#include "model/internal.h"

enum trial {
    TRIAL_NONE,    /* the set has another template, or its pod proves nothing */
    TRIAL_GIVEN,   /* the set has the current one, but no pod from it yet */
    TRIAL_UNTRIED, /* no node can take its pod; the template may be the cause or not */
    TRIAL_OPEN,    /* its pod is starting; after AGENT_SILENCE_MS it has failed or passed */
    TRIAL_FAILED,  /* its pod cannot be created, or does not run */
    TRIAL_PASSED,  /* its agent has reported: the template runs */
};

static enum trial trial_of(const struct work *work, const struct model_instance *instance)
{
    const struct seen_instance *seen = instance->seen;
    if (!instance->wanted || !rollout_carries_template(work, instance))
        return TRIAL_NONE;
    if (!seen->pod.there && text_given(seen->set_message))
        return TRIAL_FAILED;
    if (!seen->pod.there || seen->pod.deleting || !rollout_set_is_settled(work, instance) ||
        rollout_pod_is_old(instance))
        return TRIAL_GIVEN;
    /* If the node that has its disk is gone, the template is certainly not the cause. */
    if (seen->data.node_gone || seen->wal.node_gone)
        return TRIAL_NONE;
    if (text_given(seen->pod.unschedulable_message))
        return TRIAL_UNTRIED;
    if (model_instance_pod_broken(instance) || rollout_agent_is_silent(work, instance))
        return TRIAL_FAILED;
    return seen->reported ? TRIAL_PASSED : TRIAL_OPEN;
}

static const struct model_instance *other_in(const struct work *work,
                                             const struct model_instance *me, enum trial trial)
{
    for (size_t i = 0; i < work->model->instance_count; i++) {
        const struct model_instance *other = &work->model->instances[i];
        if (other != me && trial_of(work, other) == trial)
            return other;
    }
    return NULL;
}

const struct model_instance *template_failed_on(const struct work *work,
                                                const struct model_instance *instance)
{
    return other_in(work, instance, TRIAL_FAILED);
}

const struct model_instance *template_untried_on(const struct work *work,
                                                 const struct model_instance *instance)
{
    return other_in(work, instance, TRIAL_UNTRIED);
}

/* It cannot work as it is, so another template can only help. A pod that is merely starting is not
 * stuck: a primary that restarts must not get a template that is being tried elsewhere. */
static bool is_stuck(const struct work *work, const struct model_instance *instance)
{
    const struct seen_instance *seen = instance->seen;
    if (!seen->pod.there)
        return text_given(seen->set_message);
    return model_instance_pod_broken(instance) ||
           (rollout_agent_is_silent(work, instance) &&
            (!instance->primary || text_same(seen->pod.phase, "Pending")));
}

static bool is_alone(const struct work *work, const struct model_instance *instance)
{
    for (size_t i = 0; i < work->model->instance_count; i++)
        if (&work->model->instances[i] != instance && work->model->instances[i].wanted)
            return false;
    return true;
}

/* When a primary that does not serve counts as one that will not come back by itself. Then no
 * replica can try the template first, and the template may be what the primary needs. 0: it serves,
 * or it is unknown since when it does not. */
int64_t template_patience_ends_ms(const struct work *work)
{
    int64_t since_ms = instances_primary_away_since_ms(work);
    if (work->model->primary != NULL && work->model->primary->healthy)
        return 0;
    return since_ms > 0 ? since_ms + AGENT_SILENCE_MS : 0;
}

static bool is_its_turn(const struct work *work, const struct model_instance *instance)
{
    if (is_alone(work, instance))
        return true;
    if (other_in(work, instance, TRIAL_OPEN) || other_in(work, instance, TRIAL_GIVEN) ||
        template_untried_on(work, instance))
        return false;
    if (instance->healthy)
        return rollout_may_go(work, instance);
    int64_t patience_ends = template_patience_ends_ms(work);
    return !instance->primary ||
           (!instance->unknown && patience_ends > 0 && work->model->now_ms >= patience_ends);
}

/* Its own node may come back; a template with which no node takes another instance is no help. */
static bool only_waits_for_a_node(const struct work *work, const struct model_instance *instance)
{
    return text_given(instance->seen->pod.unschedulable_message) &&
           template_untried_on(work, instance) != NULL;
}

/* Stuck instances get the template first. True when any of them gets it. */
static bool give_what_is_stuck(struct work *work)
{
    bool any = false;
    for (size_t i = 0; i < work->model->instance_count; i++) {
        struct model_instance *instance = &work->model->instances[i];
        if (!instance->template_held)
            continue;
        instance->template_held =
            work->model->ever_held &&
            (template_failed_on(work, instance) != NULL || !is_stuck(work, instance) ||
             only_waits_for_a_node(work, instance) || other_in(work, instance, TRIAL_OPEN) != NULL);
        any = any || !instance->template_held;
    }
    return any;
}

/* In the order of the rollout: replicas from the highest ordinal down, then the primary. */
static void give_next(struct work *work)
{
    struct model *model = work->model;
    for (int turn = 0; turn < 2; turn++)
        for (size_t i = model->instance_count; i-- > 0;) {
            struct model_instance *instance = &model->instances[i];
            if (!instance->template_held || instance->primary != (turn == 1) ||
                template_failed_on(work, instance) != NULL || !is_its_turn(work, instance))
                continue;
            instance->template_held = false;
            return;
        }
}

/* While it is unknown whether the primary works, nothing is tried on the others. A primary that is
 * known not to work, or is the only instance, may need just this template. */
static bool may_give(const struct work *work)
{
    const struct model_instance *primary = work->model->primary;
    return !work->model->ever_held || instances_pulse_is_steady(work) ||
           (primary != NULL &&
            (is_alone(work, primary) || (!primary->healthy && !primary->unknown)));
}

void template_decide(struct work *work)
{
    for (size_t i = 0; i < work->model->instance_count; i++) {
        struct model_instance *instance = &work->model->instances[i];
        instance->template_held = instance->wanted && instance->seen->set_there &&
                                  !instance->seen->set_deleting &&
                                  !rollout_carries_template(work, instance);
    }
    if (!give_what_is_stuck(work) && may_give(work))
        give_next(work);
}
