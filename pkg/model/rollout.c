/*
 * Which pod may be replaced and which postgres restarted now: replicas first, one at a time, each
 * serving again before the next; the primary last, and never while any replica does not stream.
 */
#include "model/internal.h"

#include "api/names.h"
#include "base/hash.h"

static const char *wanted_hash(const struct work *work, const struct model_instance *instance)
{
    return text_or_empty(work->hashes[instance - work->model->instances]);
}

bool rollout_carries_template(const struct work *work, const struct model_instance *instance)
{
    return instance->seen->set_there && !instance->seen->set_deleting &&
           text_same(instance->seen->template_hash, wanted_hash(work, instance));
}

bool rollout_set_is_settled(const struct work *work, const struct model_instance *instance)
{
    const struct seen_instance *seen = instance->seen;
    return rollout_carries_template(work, instance) &&
           seen->set_observed_generation >= seen->set_generation;
}

bool rollout_pod_is_old(const struct model_instance *instance)
{
    const struct seen_instance *seen = instance->seen;
    return seen->pod.there && !seen->pod.deleting && text_given(seen->pod.revision) &&
           text_given(seen->update_revision) &&
           !text_same(seen->pod.revision, seen->update_revision);
}

/* A token is the hash of the configuration, or begins with it (wanted_token()). */
static bool is_token_of(const char *token, const char *config_hash)
{
    size_t length = strlen(text_or_empty(config_hash));
    return length > 0 && strncmp(text_or_empty(token), config_hash, length) == 0;
}

/* One restart for a configuration, and another when other parameters need a restart afterwards:
 * where a standby's value must not be below the primary's, the primary lowers it first. */
static const char *wanted_token(const struct work *work, const struct seen_instance *seen)
{
    const struct instance_report *report = &seen->report;
    const char *pending = text_or_empty(report->pending_parameters);
    const char *hash = text_or_empty(work->model->config_hash);
    if (!is_token_of(report->restart_token, hash))
        return hash;
    if (!text_given(report->restarted_for) || text_same(report->restarted_for, pending))
        return report->restart_token;
    return arena_printf(work->arena, "%s.%s", hash,
                        hash_hex16(work->arena, pending, strlen(pending)));
}

/* PostgreSQL has the current configuration and reports that parts of it need a restart. A token
 * that was carried out already would have no effect. */
static bool restart_is_needed(const struct work *work, const struct seen_instance *seen)
{
    return seen->reported && seen->report.pending_restart &&
           text_same(seen->report.config_hash, work->model->config_hash) &&
           !text_same(seen->report.restart_token, wanted_token(work, seen));
}

static bool restart_is_ordered(const struct work *work, const struct model_instance *instance)
{
    return instance->needs_restart &&
           text_same(instance->seen->restart_token, wanted_token(work, instance->seen));
}

static const char *kept_token(const struct seen_instance *seen)
{
    if (seen->restart_token != NULL && *seen->restart_token)
        return seen->restart_token;
    return seen->reported ? text_or_empty(seen->report.restart_token) : "";
}

/* What the operator itself added to a template stays until the template changes: otherwise an
 * upgrade of the operator would restart every pod. */
static void keep_agent(const struct work *work, struct model_instance *instance)
{
    if (!text_given(instance->seen->agent_image))
        return;
    instance->agent_image =
        api_agent_image_decode(instance->seen->agent_image, work->snapshot->image_volumes);
    instance->pod_form = instance->seen->pod_form;
}

static void find_outdated(struct work *work, struct model_instance *instance)
{
    const struct seen_instance *seen = instance->seen;
    bool same_template =
        seen->set_there && text_same(seen->template_hash, wanted_hash(work, instance));
    /* Until its controller has seen the set, the pod's revision proves nothing. */
    instance->outdated = instance->wanted && seen->pod.there &&
                         (!rollout_set_is_settled(work, instance) || rollout_pod_is_old(instance));
    instance->needs_restart = instance->wanted && restart_is_needed(work, seen);
    if (same_template)
        keep_agent(work, instance);
}

bool rollout_agent_is_silent(const struct work *work, const struct model_instance *instance)
{
    const struct seen_pod *pod = &instance->seen->pod;
    return pod->there && !pod->deleting && !instance->seen->reported && pod->created_ms > 0 &&
           work->model->now_ms - pod->created_ms >= AGENT_SILENCE_MS;
}

/* Something is in progress on this instance that ends by itself; no other one is touched
 * meanwhile. */
static bool in_motion(const struct work *work, const struct model_instance *instance)
{
    const struct seen_instance *seen = instance->seen;
    if (model_instance_pod_broken(instance) && !instance->delete_pod)
        return false;
    if (!instance->delete_pod && rollout_agent_is_silent(work, instance))
        return false;
    return instance->delete_pod || !seen->pod.there || seen->pod.deleting || !seen->reported ||
           seen->pod.node_silent || restart_is_ordered(work, instance) ||
           !(model_instance_phase_is(instance, "Running") ||
             model_instance_phase_is(instance, "Waiting"));
}

static bool others_are(const struct work *work, const struct model_instance *me,
                       bool (*holds)(const struct work *, const struct model_instance *))
{
    for (size_t i = 0; i < work->model->instance_count; i++) {
        const struct model_instance *other = &work->model->instances[i];
        if (other != me && other->wanted && !holds(work, other))
            return false;
    }
    return true;
}

static bool is_still(const struct work *work, const struct model_instance *instance)
{
    return !in_motion(work, instance);
}

static bool serves(const struct work *work, const struct model_instance *instance)
{
    return instance->healthy && !in_motion(work, instance);
}

static bool is_done(const struct work *work, const struct model_instance *instance)
{
    return serves(work, instance) && !instance->outdated && !instance->needs_restart &&
           rollout_set_is_settled(work, instance) &&
           text_same(instance->seen->report.config_hash, work->model->config_hash);
}

/* May this replica be taken down? A healthy one only while all others serve; one that does not
 * serve, as soon as nothing is in motion and the primary is healthy. */
static bool replica_may_go(const struct work *work, const struct model_instance *instance)
{
    if (instance->healthy)
        return others_are(work, instance, serves);
    return !in_motion(work, instance) && work->model->primary != NULL &&
           work->model->primary->healthy && others_are(work, instance, is_still);
}

/* Before there is a primary nothing serves, so that an idle agent may be replaced at once. The
 * primary waits until all others are done. */
bool rollout_may_go(const struct work *work, const struct model_instance *instance)
{
    if (!work->model->ever_held)
        return model_instance_phase_is(instance, "Waiting");
    if (restart_is_ordered(work, instance))
        return false;
    return instance->primary ? instance->healthy && others_are(work, instance, is_done)
                             : replica_may_go(work, instance);
}

static void take_down(struct work *work, struct model_instance *instance)
{
    if (rollout_pod_is_old(instance)) {
        instance->delete_pod = instance->delete_rolls = true;
        instance->delete_reason =
            instance->primary
                ? "the pod template changed; every replica has it and streams, so the primary is "
                  "replaced now"
                : "the pod template changed; replicas are replaced first, one at a time";
    } else {
        instance->restart_token = wanted_token(work, instance->seen);
    }
}

static bool is_due(const struct work *work, const struct model_instance *instance)
{
    return instance->wanted && !instance->delete_pod && rollout_set_is_settled(work, instance) &&
           !instance->seen->pod.node_silent &&
           (rollout_pod_is_old(instance) || instance->needs_restart) &&
           !model_instance_pod_broken(instance);
}

/* Nothing runs in this pod, so that nothing is lost by replacing it: it cannot start, has not
 * started, or its agent has been silent for so long that it will no longer report. */
static bool pod_is_idle(const struct work *work, const struct model_instance *instance)
{
    return model_instance_pod_broken(instance) || text_same(instance->seen->pod.phase, "Pending") ||
           (!instance->primary && !instance->seen->pod.ready &&
            rollout_agent_is_silent(work, instance));
}

/* An idle pod is replaced out of turn: a corrected image name must not wait for a pod that cannot
 * become ready with the wrong one. */
static void replace_idle(struct work *work)
{
    for (size_t i = 0; i < work->model->instance_count; i++) {
        struct model_instance *instance = &work->model->instances[i];
        if (!instance->wanted || !rollout_pod_is_old(instance) ||
            !rollout_set_is_settled(work, instance) || !pod_is_idle(work, instance))
            continue;
        const struct seen_pod *pod = &instance->seen->pod;
        instance->delete_pod = true;
        instance->delete_reason =
            arena_printf(work->arena, "the pod template changed, and nothing runs in this pod (%s)",
                         text_given(pod->waiting_reason)          ? pod->waiting_reason
                         : text_given(pod->unschedulable_message) ? REASON_UNSCHEDULABLE
                                                                  : text_or_empty(pod->phase));
    }
}

/* Replicas from the highest ordinal down, then the primary. Only the first that may go, except
 * before there is a primary: then all that may. */
static void choose_one(struct work *work)
{
    struct model *model = work->model;
    for (int turn = 0; turn < 2; turn++)
        for (size_t i = model->instance_count; i-- > 0;) {
            struct model_instance *instance = &model->instances[i];
            if (instance->primary == (turn == 1) && is_due(work, instance) &&
                rollout_may_go(work, instance)) {
                take_down(work, instance);
                if (model->ever_held)
                    return;
            }
        }
}

/* What works is taken down only while the primary is known to be alive, or while there never was
 * one; in an idle pod there is nothing to lose. */
void rollout_decide(struct work *work)
{
    struct model *model = work->model;
    for (size_t i = 0; i < model->instance_count; i++) {
        struct model_instance *instance = &model->instances[i];
        instance->delete_reason = "";
        instance->restart_token = kept_token(instance->seen);
        instance->agent_image =
            api_agent_image_new(work->snapshot->agent_image, work->snapshot->image_volumes);
        instance->pod_form = POD_FORM_NEWEST;
        if (work->frozen)
            keep_agent(work, instance);
        else
            find_outdated(work, instance);
    }
    if (work->frozen)
        return;
    replace_idle(work);
    if (!model->ever_held || instances_pulse_is_steady(work))
        choose_one(work);
    template_decide(work);
}

/* Why an instance that works keeps its old pod for now. */
static const char *replacement_order(const struct model_instance *instance)
{
    return instance->primary
               ? "the primary is replaced last, once every replica streams"
               : "replicas are replaced one at a time, each only while all others serve";
}

/* What stops the rollout is named before whose turn it is. A primary that does not serve gets its
 * turn when template_patience_ends_ms() is over, which no event announces. */
static void held_blocker(struct work *work, const struct model_instance *instance,
                         struct model_blocker *blocker)
{
    const struct model_instance *failed = template_failed_on(work, instance);
    const struct model_instance *untried = template_untried_on(work, instance);
    if (failed != NULL)
        blocker_say(
            work, blocker,
            "%s does not start with the new template, so no other instance gets it; %s keeps "
            "its current template",
            failed->name, instance->name);
    else if (untried != NULL)
        blocker_say(work, blocker,
                    "no node can take %s, so the new template is not tried there yet; %s keeps its "
                    "current template",
                    untried->name, instance->name);
    else
        blocker_say(work, blocker, "%s", replacement_order(instance));
    if (failed == NULL && untried == NULL && instance->primary && !instance->healthy &&
        template_patience_ends_ms(work) > work->model->now_ms)
        blocker->next_ms = template_patience_ends_ms(work);
}

static void outdated_blocker(struct work *work, const struct model_instance *instance)
{
    struct model_blocker *blocker = blocker_add(work, 0, REASON_ROLLOUT_PENDING,
                                                "%s runs the current pod template", instance->name);
    if (instance->delete_pod || instance->seen->pod.deleting)
        blocker_say(work, blocker, "its pod is being replaced");
    else if (instance->template_held)
        held_blocker(work, instance, blocker);
    else if (!rollout_set_is_settled(work, instance))
        blocker_say(work, blocker, "StatefulSet '%s' is being updated", instance->name);
    else
        blocker_say(work, blocker, "%s", replacement_order(instance));
}

static void restart_blocker(struct work *work, const struct model_instance *instance)
{
    struct model_blocker *blocker = blocker_add(
        work, 0, REASON_RESTART_PENDING, "%s is restarted for its parameters", instance->name);
    blocker_say(work, blocker, "%s: %s", text_or_empty(instance->seen->report.pending_parameters),
                text_same(instance->restart_token, wanted_token(work, instance->seen))
                    ? "the restart has been requested"
                : instance->primary
                    ? "the primary is restarted last, once every replica streams"
                    : "replicas are restarted one at a time, each only while all others serve");
}

/* PostgreSQL was restarted for this configuration and still reports parameters that need a
 * restart. */
static void ineffective_blocker(struct work *work, const struct model_instance *instance)
{
    const char *pod = name_pod(work->arena, instance->name);
    struct model_blocker *blocker = blocker_add(
        work, 0, REASON_RESTART_INEFFECTIVE, "%s runs with the current parameters", instance->name);
    blocker_say(work, blocker, "%s still need a restart: the last restart had no effect",
                text_or_empty(instance->seen->report.pending_parameters));
    blocker_unblock(work, blocker, "kubectl -n %s delete pod %s",
                    text_or_empty(work->snapshot->spec.namespace), pod);
    blocker_fault(blocker, true);
}

/* A pod that is to be replaced starts with the current parameters anyway: its restart is not named
 * as well. */
void blockers_of_rollout(struct work *work)
{
    for (size_t i = 0; !work->frozen && i < work->model->instance_count; i++) {
        const struct model_instance *instance = &work->model->instances[i];
        const struct instance_report *report = &instance->seen->report;
        size_t first = work->model->blocker_count;
        if (instance->outdated)
            outdated_blocker(work, instance);
        else if (instance->needs_restart)
            restart_blocker(work, instance);
        else if (instance->wanted && model_instance_phase_is(instance, "Running") &&
                 report->pending_restart &&
                 text_same(report->config_hash, work->model->config_hash))
            ineffective_blocker(work, instance);
        blockers_are_about(work, first, instance);
    }
}
