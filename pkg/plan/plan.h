/* Desired objects against the snapshot -> ordered actions, each with a reason. Pure. */
#pragma once

#include "desired/desired.h"

enum plan_verb {
    PLAN_CREATE, /* the object is not known: apply must first look whether a foreign one is there */
    PLAN_APPLY,  /* server-side apply, forced: intent changed or somebody else wrote */
    PLAN_DELETE, /* ours and not wanted any more, with uid precondition */
};

struct plan_action {
    enum plan_verb verb;
    const char *api_version, *kind, *name, *uid; /* uid: "" for create */
    const cJSON *object; /* with ANN_APPLIED; NULL for delete */
    const char *effect;  /* "", "reload", "restart", "resize", "recreate pod", "irreversible" */
    const char *reason;  /* for people: "spec.storage.size grew from 1Gi to 2Gi" or
                            "somebody changed it" */
    int wave;            /* actions of one wave may go out together; waves go in order */
};

struct plan {
    struct plan_action *actions;
    size_t count;
    /* Objects whose names are taken by somebody else (another controller, or another cluster). */
    struct plan_collision {
        const char *kind, *name, *owner;
    } *collisions;
    size_t collision_count;
};

struct plan *plan_diff(struct arena *arena, const struct model *model,
                       const struct desired *desired);
