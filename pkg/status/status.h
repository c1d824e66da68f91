/*
 * Model, plan and outcomes -> the status subresource and the events to emit. Pure.
 *
 * Conditions are computed from blockers alone: the model's, and what plan and outcomes add. Ready
 * is True when there is none. An action of the plan without an outcome counts as not done, so that
 * a call before the first write says Ready=False for a generation that is not running yet.
 *
 * If it is called twice in a pass (before and after the writes), the second call needs a snapshot
 * with the status that the first one returned; otherwise its events are reported twice. Report the
 * events once the status has been written, or when it did not change: drift that is repaired at
 * once changes nothing in it. Events with `done` are reported even when the status cannot be
 * written.
 */
#pragma once

#include "plan/plan.h"

struct status_outcome { /* of one plan action, or of a step before (then action is NULL) */
    const struct plan_action *action;
    struct error err; /* class 0: done */
};

struct status_event {
    const char *type;   /* Normal | Warning */
    const char *reason; /* CamelCase */
    const char *message;
    bool done; /* about something that was done: true even if the status is not written */
};

struct status_result {
    cJSON *status; /* complete; transition times kept from the old status where nothing changed */
    bool changed;  /* differs from snapshot->status in more than times: must be written */
    bool ready;    /* what condition Ready says */
    struct status_event *events; /* one per decision: phase changes, faults, rollout steps */
    size_t event_count;
};

struct status_result status_build(struct arena *arena, const struct model *model,
                                  const struct plan *plan, const struct status_outcome *outcomes,
                                  size_t outcome_count, int64_t now_ms);
