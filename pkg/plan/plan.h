/*
 * Desired objects against the snapshot -> ordered actions, each with a reason. Pure.
 *
 * With an invalid spec, a cluster being deleted or a namespace that goes, there is nothing to do.
 * An action that is refused (invalid, forbidden, conflict) holds nothing back: the later ones are
 * to be tried all the same, else a volume that may not grow would keep everything else from being
 * done.
 */
#pragma once

#include "desired/desired.h"

enum plan_verb {
    PLAN_CREATE, /* the object is not known: apply must first look whether a foreign one is there */
    PLAN_APPLY,  /* server-side apply, forced: intent changed or somebody else wrote */
    PLAN_RESTORE, /* JSON merge patch with uid: set back but for the pod template, which is held */
    PLAN_MEND,    /* somebody added fields to it: they are removed, all else stays as it is */
    PLAN_DELETE,  /* ours and not wanted any more, with uid precondition */
};

/* Actions of one wave may go out together; waves go in order. Volumes grow before anything else
 * and whatever the pods' health, so that growth and health never wait for each other. The lease
 * with its grant is there before the first volume: a volume found without a lease is an old one. */
enum plan_wave {
    PLAN_WAVE_MEND, /* what others added to ours goes */
    PLAN_WAVE_GROW,
    PLAN_WAVE_SUPPORT, /* Lease, ConfigMap, rights, Services, PodDisruptionBudget */
    PLAN_WAVE_STRAYS,  /* what leads -rw to more than the primary */
    PLAN_WAVE_VOLUMES,
    PLAN_WAVE_INSTANCES, /* StatefulSets */
    PLAN_WAVE_PODS,      /* pods to be made anew */
    PLAN_WAVE_DELETE,    /* and the waves behind it: instances from the highest ordinal down */
};

struct plan_action {
    enum plan_verb verb;
    const char *api_version, *kind, *name, *uid; /* uid: "" for create */
    const cJSON *object;                         /* with ANN_APPLIED; NULL for delete */
    const char *effect; /* "", "reload", "restart", "resize", "recreate pod", "irreversible" */
    const char *reason; /* for people: "spec.storage.size grew from 1Gi to 2Gi" or
                           "somebody changed it" */
    int wave;           /* enum plan_wave */
    bool drift;         /* the intent is as before: somebody else's doing is undone */
};

struct plan {
    struct plan_action *actions; /* by wave */
    size_t count;
    /* Objects whose names are taken by somebody else (another controller, or another cluster). */
    struct plan_collision {
        const char *kind, *name, *owner; /* owner: "PostgresCluster 'b'", for people */
        bool passing; /* it is going away, as far as can be told: left by an earlier cluster */
    } * collisions;
    size_t collision_count;
    /* Desired objects that are being deleted: waited for, then recreated. */
    const struct seen_object **held;
    size_t held_count;
};

struct plan *plan_diff(struct arena *arena, const struct model *model,
                       const struct desired *desired);
