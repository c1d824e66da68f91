#include "model/internal.h"

#include "api/names.h"
#include "base/clock.h"

/* The WAL since the last checkpoint bounds a recovery. One that takes longer than RECOVERY_MS
 * repeats itself, or its disk fails; then it no longer keeps its node from being drained. */
enum { RECOVERY_MS = 3600 * 1000, CLOCKS_DIFFER_MS = 300 * 1000 };
/* By then the watch has reported that a deleted pod is gone. */
enum { CLAIM_SETTLES_MS = 60 * 1000 };

bool model_instance_phase_is(const struct model_instance *instance, const char *phase)
{
    return instance->seen->reported && text_same(instance->seen->report.phase, phase);
}

bool model_instance_pod_broken(const struct model_instance *instance)
{
    const struct seen_pod *pod = &instance->seen->pod;
    if (!pod->there || pod->deleting)
        return false;
    if (text_same(pod->phase, "Failed") || text_same(pod->phase, "Succeeded") ||
        text_given(pod->unschedulable_message) || model_instance_phase_is(instance, "Failed"))
        return true;
    return text_given(pod->waiting_reason) &&
           !text_same(pod->waiting_reason, "ContainerCreating") &&
           !text_same(pod->waiting_reason, "PodInitializing");
}

/* Claims and pods come by different watches: a recreated claim may be seen before the pod that ran
 * on its predecessor is gone. The report of that pod is not about the new volume. But a StatefulSet
 * also creates pods that must wait for their claim. A pod that is older than its claim and still
 * there after CLAIM_SETTLES_MS is one of these: a claim is never removed before the pod that uses
 * it. */
static bool report_is_of_volume(struct work *work, const struct seen_instance *seen)
{
    int64_t settled_ms = seen->data.created_ms + CLAIM_SETTLES_MS;
    if (!seen->reported || !seen->data.there)
        return false;
    if (seen->pod.created_ms == 0 || seen->pod.created_ms >= seen->data.created_ms)
        return true;
    if (seen->pod.deleting)
        return false;
    if (work->model->now_ms >= settled_ms)
        return true;
    if (work->model->claims_settle_ms == 0 || settled_ms < work->model->claims_settle_ms)
        work->model->claims_settle_ms = settled_ms;
    return false;
}

/* The annotations of the PVC outlive pods and clusters; the report is newer but may not know
 * everything yet. Its role counts only once the lease was held: an agent that waits for its first
 * role must not erase who was primary. */
static void merge_volume(struct work *work, struct model_instance *instance)
{
    const struct seen_instance *seen = instance->seen;
    const struct instance_report *report = &seen->report;
    instance->system_identifier =
        seen->data.there ? text_or_empty(seen->data.system_identifier) : "";
    instance->last_role = seen->data.there ? text_or_empty(seen->data.last_role) : "";
    instance->epoch = seen->data.there ? seen->data.epoch : 0;
    if (!report_is_of_volume(work, seen))
        return;
    if (text_given(report->system_identifier)) {
        if (!text_same(report->system_identifier, instance->system_identifier))
            instance->epoch = 0;
        instance->system_identifier = report->system_identifier;
    }
    if (report->epoch > instance->epoch)
        instance->epoch = report->epoch;
    /* A replica of a later epoch proves that an older primary's data is not the newest. */
    if (report->seen_epoch > instance->epoch)
        instance->epoch = report->seen_epoch;
    bool role_is_known = work->model->ever_held || !text_given(instance->last_role);
    if (role_is_known && text_given(report->role) && text_given(instance->system_identifier))
        instance->last_role = report->role;
}

void instances_volumes(struct work *work)
{
    for (size_t i = 0; i < work->model->instance_count; i++)
        merge_volume(work, &work->model->instances[i]);
}

enum volume_content model_instance_volume(const struct model_instance *instance)
{
    const struct seen_instance *seen = instance->seen;
    if (seen->data.there && seen->data.deleting)
        return VOLUME_LEAVING;
    if (seen->data.there && text_same(seen->data.phase, "Lost"))
        return VOLUME_GONE;
    if (text_given(instance->system_identifier) || text_given(instance->last_role))
        return VOLUME_DATA;
    if (!seen->data.there || !text_same(seen->data.phase, "Bound"))
        return VOLUME_EMPTY;
    return model_instance_phase_is(instance, "Waiting") ? VOLUME_EMPTY : VOLUME_UNKNOWN;
}

/* "a-1/<pod uid>" belongs to instance "a-1". */
static bool holds(const char *holder, const char *instance)
{
    size_t length = strlen(instance);
    return strncmp(text_or_empty(holder), instance, length) == 0 &&
           (holder[length] == '/' || holder[length] == '\0');
}

bool model_instance_holds_with_present_pod(const struct work *work,
                                           const struct model_instance *instance)
{
    const char *slash = strchr(text_or_empty(work->lease->holder), '/');
    return instance->primary && instance->seen->pod.there && slash != NULL &&
           text_same(slash + 1, instance->seen->pod.uid);
}

void instances_roles(struct work *work)
{
    struct model *model = work->model;
    const struct seen_lease *lease = work->lease;
    model->ever_held =
        lease->there && (text_given(lease->holder) || lease->transitions > 0 || lease->reported);
    for (size_t i = 0; i < model->instance_count; i++) {
        struct model_instance *instance = &model->instances[i];
        instance->primary = lease->there && holds(lease->holder, instance->name);
        if (instance->primary)
            model->primary = instance;
    }
}

const struct replica_report *model_instance_replication(const struct work *work, const char *name)
{
    const struct seen_lease *lease = work->lease;
    for (size_t i = 0; lease->reported && i < lease->report.replica_count; i++)
        if (text_same(lease->report.replicas[i].name, name))
            return &lease->report.replicas[i];
    return NULL;
}

bool instances_pulse_is_steady(const struct work *work)
{
    return work->lease->pulse == PULSE_STEADY;
}

/* The node controller marks the pods of a silent node as not ready. Newer signs of life outweigh
 * that: a lease that is renewed, and a stream that the primary sees. (A stream ends 15 seconds
 * after its other end died, and the node controller waits longer than that.) */
static bool serves_as(const struct model_instance *instance, const char *role, bool signs_of_life)
{
    const struct seen_pod *pod = &instance->seen->pod;
    return pod->there && !pod->deleting && (pod->ready || (pod->node_silent && signs_of_life)) &&
           model_instance_phase_is(instance, "Running") &&
           text_same(instance->seen->report.role, role);
}

/* The primary's report on the lease counts only while its pod is there: what a vanished pod last
 * wrote says nothing about the present. A lag of -1 is not known yet, and does not count against
 * the replica. */
static bool streams(const struct work *work, const struct model_instance *instance)
{
    const struct model_instance *primary = work->model->primary;
    const struct replica_report *replica = model_instance_replication(work, instance->name);
    return primary != NULL && primary != instance && replica != NULL &&
           model_instance_holds_with_present_pod(work, primary) && !primary->seen->pod.deleting &&
           work->lease->pulse != PULSE_OVERDUE && instance->seen->pod.there &&
           !instance->seen->pod.deleting && text_same(replica->state, "streaming") &&
           replica->lag_bytes <= work->snapshot->spec.max_lag_bytes;
}

static bool pod_may_run(const struct seen_pod *pod)
{
    return pod->there && (pod->ready || pod->node_silent);
}

static void primary_health(const struct work *work, struct model_instance *primary)
{
    const struct seen_pod *pod = &primary->seen->pod;
    enum lease_pulse pulse = work->lease->pulse;
    if (!model_instance_holds_with_present_pod(work, primary))
        return;
    primary->healthy =
        pulse != PULSE_OVERDUE && serves_as(primary, "primary", pulse == PULSE_STEADY);
    primary->unknown =
        pod_may_run(pod) && (pulse == PULSE_OVERDUE || (pulse == PULSE_UNSEEN && pod->node_silent));
}

static void replica_health(const struct work *work, struct model_instance *replica)
{
    const struct model_instance *primary = work->model->primary;
    const struct instance_report *report = &replica->seen->report;
    const struct seen_pod *pod = &replica->seen->pod;
    bool complains = !text_same(report->phase, "Running") || text_given(report->reason);
    replica->streaming = streams(work, replica);
    replica->healthy = serves_as(replica, "replica", replica->streaming) && replica->streaming;
    replica->unknown = primary != NULL && primary->unknown && pod_may_run(pod) && !pod->deleting &&
                       (pod->node_silent || !complains);
}

static bool recovers(const struct model_instance *primary)
{
    static const char *const phases[] = {"Starting", "Recovering", "Restarting"};
    if (primary == NULL || primary->healthy || primary->seen->pod.deleting ||
        primary->seen->pod.node_silent || model_instance_pod_broken(primary))
        return false;
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++)
        if (model_instance_phase_is(primary, phases[i]))
            return true;
    return false;
}

int64_t instances_primary_away_since_ms(const struct work *work)
{
    const cJSON *condition =
        json_item(json_get(work->snapshot->status, "conditions"), "type", "PrimaryReady");
    int64_t since_ms = clock_parse_rfc3339(json_str(condition, "lastTransitionTime", ""));
    return since_ms > 0 && !text_same(json_str(condition, "status", ""), "True") ? since_ms : 0;
}

static void judge_recovery(const struct work *work)
{
    struct model *model = work->model;
    int64_t since_ms = instances_primary_away_since_ms(work);
    model->primary_recovers = recovers(model->primary);
    if (!model->primary_recovers || since_ms == 0)
        return;
    model->recovery_ends_ms = since_ms + RECOVERY_MS;
    model->recovery_overdue =
        model->now_ms >= model->recovery_ends_ms ||
        since_ms > model->now_ms + CLOCKS_DIFFER_MS; /* a clock was set back: nothing is known */
}

void instances_health(struct work *work)
{
    struct model *model = work->model;
    for (size_t i = 0; i < model->instance_count; i++)
        if (model->instances[i].primary)
            primary_health(work, &model->instances[i]);
    for (size_t i = 0; i < model->instance_count; i++)
        if (!model->instances[i].primary)
            replica_health(work, &model->instances[i]);
    judge_recovery(work);
}

/* A replica above spec.instances may go when nothing can be lost with it: its volume is kept or has
 * no data, or a healthy primary has everything. */
static bool may_be_removed(const struct work *work, const struct model_instance *instance)
{
    return work->snapshot->spec.retain || model_instance_volume(instance) != VOLUME_DATA ||
           (work->model->primary != NULL && work->model->primary->healthy &&
            instances_pulse_is_steady(work));
}

void instances_wanted(struct work *work)
{
    for (size_t i = 0; i < work->model->instance_count; i++) {
        struct model_instance *instance = &work->model->instances[i];
        if (work->snapshot->faults.count > 0) { /* the spec is invalid, and so is spec.instances */
            instance->wanted = instance->seen->set_there || instance->primary;
            continue;
        }
        instance->surplus = instance->seen->ordinal > work->snapshot->spec.instances;
        instance->wanted = !instance->surplus || instance->primary ||
                           (instance->seen->set_there && !may_be_removed(work, instance));
    }
}
