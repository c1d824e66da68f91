/*
 * Desired objects against the snapshot -> ordered actions, each with a reason. Pure.
 *
 * With an invalid spec, or a cluster or namespace that is being deleted, there is nothing to do. An
 * action that is refused (invalid, forbidden, conflict) does not stop the later ones: otherwise a
 * volume that may not grow would stop everything else.
 */
#pragma once

#include "desired/desired.h"

enum plan_verb {
    PLAN_CREATE, /* the object is not known: apply must first look whether a foreign one is there */
    PLAN_APPLY,  /* server-side apply, forced: intent changed or somebody else wrote */
    PLAN_RESTORE, /* JSON merge patch with uid: sets back all but the pod template, which is held */
    PLAN_MEND,    /* somebody added fields to it: they are removed, all else stays as it is */
    PLAN_DELETE,  /* ours and no longer wanted, with uid precondition */
};

/* Actions of one wave may be sent together; waves are sent in order. Volumes grow first, whatever
 * the health of the pods, so that growth and health never wait for each other. The lease with its
 * grant is written before the first volume, so that a volume without a lease is an old one. */
enum plan_wave {
    PLAN_WAVE_MEND, /* what others added to our objects is removed */
    PLAN_WAVE_GROW,
    PLAN_WAVE_SUPPORT, /* Lease, ConfigMap, RBAC, Services, PodDisruptionBudget */
    PLAN_WAVE_STRAYS,  /* what leads a Service elsewhere is deleted */
    PLAN_WAVE_VOLUMES,
    PLAN_WAVE_INSTANCES, /* StatefulSets */
    PLAN_WAVE_PODS,      /* pods to be recreated */
    PLAN_WAVE_DELETE,    /* and the waves after it: instances from the highest ordinal down */
};

struct plan_action {
    enum plan_verb verb;
    const char *api_version, *kind, *name, *uid; /* uid: "" for create */
    const cJSON *object;                         /* with ANN_APPLIED; NULL for delete */
    const char *effect; /* "", "reload", "restart", "resize", "recreate pod", "irreversible" */
    const char *reason; /* for people: "spec.storage.size grew from 1Gi to 2Gi" or
                           "somebody changed it" */
    int wave;           /* enum plan_wave */
    bool drift;         /* the intent did not change: another's change is undone */
};

struct plan {
    struct plan_action *actions; /* by wave */
    size_t count;
    /* Objects whose names are taken by somebody else (another controller, or another cluster). */
    struct plan_collision {
        const char *kind, *name, *owner; /* owner: "PostgresCluster 'b'", for people */
        bool passing; /* it seems to be on its way out: an earlier cluster left it */
    } * collisions;
    size_t collision_count;
    /* Desired objects that are being deleted: waited for, then recreated. */
    const struct seen_object **held;
    size_t held_count;
};

struct plan *plan_diff(struct arena *arena, const struct model *model,
                       const struct desired *desired);
