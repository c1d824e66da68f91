/* Model, plan and outcomes -> the status subresource and the events to emit. Pure. */
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
};

struct status_result {
    cJSON *status; /* complete; transition times kept from the old status where nothing changed */
    bool changed;  /* differs from snapshot->status */
    struct status_event *events; /* one per decision: phase changes, faults, rollout steps */
    size_t event_count;
};

struct status_result status_build(struct arena *arena, const struct model *model,
                                  const struct plan *plan, const struct status_outcome *outcomes,
                                  size_t outcome_count, int64_t now_ms);
