/* What the files of this room share while a status is being built. */
#pragma once

#include <string.h>

#include "base/text.h"
#include "status/status.h"

struct making {
    struct arena *arena;
    struct model *model; /* a copy, to which blockers are added */
    const struct plan *plan;
    const struct status_outcome *outcomes;
    size_t outcome_count;
    const cJSON *old; /* may be NULL */
    struct status_result result;
};

/* outcomes.c: blockers for collisions, objects being deleted, refusals, and what is not done yet.
 */
void status_outcome_blockers(struct making *making);
/* conditions.c */
void status_conditions(struct making *making);
/* A condition of this status; NULL when there is none. */
const cJSON *status_condition(const cJSON *status, const char *type);
/* "waits until primary a-1 serves: ...; to unblock: ..." */
char *status_blocker_text(struct arena *arena, const struct model_blocker *blocker);
/* "volume a-1-data is filling: ...; to prevent it: ..." */
char *status_warning_text(struct arena *arena, const struct model_blocker *warning);
/* summary.c: everything in status except conditions and blockers. */
void status_summary(struct making *making);
/* effective.c: the spec with its defaults filled in. */
void status_effective(struct making *making);
/* events.c */
void status_events(struct making *making);
