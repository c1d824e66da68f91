/*
 * Model, plan and outcomes -> the status subresource and the events to emit. Pure.
 *
 * Conditions are computed from waits alone: the model's, and what plan and outcomes add. Ready is
 * True when there is none. An action of the plan without an outcome counts as not done, so that a
 * call before the first write says Ready=False for a generation that is not running yet.
 *
 * Called twice in a pass (before and after the writes), give the second call a snapshot whose
 * status is what the first one returned, or its events are told twice. Events are told once the
 * status that they compare with has been written, or when it did not change: what is put right at
 * once changes nothing in it. Those of something done are told even when it cannot be written.
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
    bool done; /* of something that was done: true whatever becomes of the status */
};

struct status_result {
    cJSON *status; /* complete; transition times kept from the old status where nothing changed */
    bool changed;  /* differs from snapshot->status in more than times: is to be written */
    bool ready;    /* what condition Ready says */
    struct status_event *events; /* one per decision: phase changes, faults, rollout steps */
    size_t event_count;
};

struct status_result status_build(struct arena *arena, const struct model *model,
                                  const struct plan *plan, const struct status_outcome *outcomes,
                                  size_t outcome_count, int64_t now_ms);
