/* One event per decision: a change of phase, a fault, an action. */
#include "status/internal.h"

static void emit(struct making *making, const char *type, const char *reason, const char *message)
{
    struct status_result *result = &making->result;
    const size_t size = sizeof *result->events;
    result->events = arena_grow(making->arena, result->events, result->event_count * size,
                                (result->event_count + 1) * size);
    result->events[result->event_count++] =
        (struct status_event){.type = type, .reason = reason, .message = message};
}

static void phase_event(struct making *making)
{
    const char *before = json_str(making->old, "phase", "");
    const char *phase = making->model->phase;
    if (text_same(before, phase))
        return;
    bool bad = text_same(phase, "Degraded") || text_same(phase, "Failed");
    const char *cause = making->model->blocker_count
                            ? status_blocker_text(making->arena, &making->model->blockers[0])
                            : "everything the spec asks for exists and works";
    emit(making, bad ? "Warning" : "Normal", REASON_PHASE_CHANGED,
         arena_printf(making->arena, "%s%s%s: %s", before, text_given(before) ? " -> " : "", phase,
                      cause));
}

static bool was_reported(const cJSON *list, const struct model_blocker *blocker)
{
    const cJSON *node;
    cJSON_ArrayForEach (node, list) {
        /* One that only now needs a person is reported once more. */
        if (text_same(json_str(node, "what", ""), blocker->what) &&
            text_same(json_str(node, "reason", ""), blocker->reason) &&
            (text_given(json_str(node, "unblock", "")) || !text_given(blocker->unblock)))
            return true;
    }
    return false;
}

static void fault_events(struct making *making)
{
    for (size_t i = 0; i < making->model->blocker_count; i++) {
        const struct model_blocker *blocker = &making->model->blockers[i];
        if (blocker->fault && !was_reported(json_get(making->old, "waitingFor"), blocker))
            emit(making, "Warning", blocker->reason, status_blocker_text(making->arena, blocker));
    }
    for (size_t i = 0; i < making->model->warning_count; i++) {
        const struct model_blocker *warning = &making->model->warnings[i];
        if (!was_reported(json_get(making->old, "warnings"), warning))
            emit(making, "Warning", warning->reason, status_warning_text(making->arena, warning));
    }
}

static bool crash_was_reported(const cJSON *status, const char *instance,
                               const struct instance_report *report)
{
    const cJSON *node = json_item(json_get(status, "instances"), "name", instance);
    return node != NULL && json_int(node, "crashes", 0) == report->crashes &&
           text_same(json_str(node, "lastCrash.time", ""), report->last_crash_time);
}

/* A server that crashes and recovers within a second is down too briefly for a blocker, but
 * somebody should look into it. */
static void crash_events(struct making *making)
{
    for (size_t i = 0; i < making->model->instance_count; i++) {
        const struct model_instance *instance = &making->model->instances[i];
        const struct instance_report *report = &instance->seen->report;
        if (!instance->seen->reported || report->crashes <= 0 ||
            crash_was_reported(making->old, instance->name, report))
            continue;
        emit(making, "Warning", REASON_POSTGRES_CRASHED,
             arena_printf(making->arena, "%s (%s): %s (crash number %d since its agent started)",
                          instance->name, instance->primary ? "primary" : "replica",
                          text_or_empty(report->last_crash), report->crashes));
    }
}

/* The event for a finished action that is a decision worth reporting; NULL for the others. */
static const char *decision(const struct making *making, const struct plan_action *action)
{
    if (action->drift)
        return REASON_DRIFT_REPAIRED;
    const struct child_info *child = api_child_info_of(action->kind);
    if (action->verb == PLAN_DELETE)
        return child != NULL && child->deleted_event ? child->deleted_event : REASON_OBJECT_REMOVED;
    if (action->verb == PLAN_CREATE && child != NULL && child->created_event)
        return child->created_event;
    if (text_same(action->effect, "resize"))
        return REASON_VOLUME_GROWING;
    if (text_same(action->effect, "restart"))
        return REASON_RESTART_ORDERED;
    const struct snapshot *snapshot = making->model->snapshot;
    const struct bootstrap_grant *grant = &making->model->grant;
    bool grants =
        api_child_kind_of(action->kind) == CHILD_LEASE && text_given(grant->instance) &&
        (!snapshot->lease.granted || !text_same(snapshot->lease.grant.instance, grant->instance) ||
         snapshot->lease.grant.initdb != grant->initdb);
    return grants && !making->model->ever_held ? REASON_BOOTSTRAP_GRANTED : NULL;
}

/* `done`: the action has happened, so that the event is true even if status cannot be written. */
static void decision_events(struct making *making)
{
    for (size_t i = 0; i < making->outcome_count; i++) {
        const struct plan_action *action = making->outcomes[i].action;
        if (action == NULL || making->outcomes[i].err.class != 0)
            continue;
        const char *reason = decision(making, action);
        if (reason == NULL)
            continue;
        const struct bootstrap_grant *grant = &making->model->grant;
        if (text_same(reason, REASON_BOOTSTRAP_GRANTED))
            emit(making, "Normal", reason,
                 arena_printf(making->arena, "%s may take the lease and %s", grant->instance,
                              grant->initdb ? "initialise an empty volume"
                                            : "start the data on its volume"));
        else
            emit(making, "Normal", reason,
                 arena_printf(making->arena, "%s '%s': %s", action->kind, action->name,
                              action->reason));
        making->result.events[making->result.event_count - 1].done = true;
    }
}

/* Notices about certificates, and that clients must trust another CA. */
static void certificate_events(struct making *making)
{
    const struct seen_credentials *seen = &making->model->snapshot->credentials;
    const char *before = json_str(making->old, "credentials.caFingerprint", "");
    const char *told = json_str(status_condition(making->old, "CertificatesSettled"), "reason", "");
    if (text_given(before) && text_given(seen->ca_fingerprint) &&
        !text_same(before, seen->ca_fingerprint))
        emit(making, "Normal", REASON_CA_REPLACED,
             arena_printf(making->arena, "the CA's certificate changed: SHA-256 %s, before %s",
                          seen->ca_fingerprint, before));
    if (text_given(seen->notice_reason) && !text_same(told, seen->notice_reason))
        emit(making, "Warning", seen->notice_reason, seen->notice);
}

void status_events(struct making *making)
{
    phase_event(making);
    fault_events(making);
    crash_events(making);
    decision_events(making);
    certificate_events(making);
}
