/*
 * The kinds of objects that a cluster is made of, one row each. A room that treats one kind
 * differently from another reads a field here and does not compare kinds. A new kind of child is a
 * row of this table, a builder in `desired` and a test; api_children_test and observe_kinds_test
 * find what was forgotten.
 *
 * Kinds are compared only for what one kind alone has: the size of a claim and the data on it, the
 * template that a StatefulSet keeps until its turn, the grant and the renewals of the lease.
 * hack/check-layers names the files.
 */
#pragma once

#include <stdbool.h>

enum child_kind {
    CHILD_CONFIG_MAP,
    CHILD_SERVICE_ACCOUNT,
    CHILD_ROLE,
    CHILD_ROLE_BINDING,
    CHILD_SERVICE,
    CHILD_ENDPOINT_SLICE,
    CHILD_LEASE,
    CHILD_DISRUPTION_BUDGET,
    CHILD_CLAIM,
    CHILD_STATEFUL_SET,
    CHILD_POD,
    CHILD_WATCHED,                /* the number of watched kinds: all above */
    CHILD_SECRET = CHILD_WATCHED, /* only ever read by its name */
    CHILD_KINDS,
    CHILD_NONE = -1,
};

/* The conditions that a fault makes False, besides Ready. */
enum child_affects {
    AFFECTS_PRIMARY = 1 << 0,
    AFFECTS_REPLICAS = 1 << 1,
    AFFECTS_CREDENTIALS = 1 << 2,
    AFFECTS_BOOTSTRAP = 1 << 3,
    AFFECTS_STORAGE = 1 << 4,
};

/* When it is created or changed; plan.h has all waves. */
enum child_wave {
    CHILD_WAVE_SUPPORT,   /* what instances need: first */
    CHILD_WAVE_VOLUMES,   /* volumes, once the lease exists that says who may initialise them */
    CHILD_WAVE_INSTANCES, /* what runs pods: last */
};

struct child_info {
    const char *api_version, *kind;
    enum child_wave wave;
    const char *created_event; /* the Event's reason when one was created; NULL: there is none */
    const char *deleted_event; /* and when one was deleted; NULL: ObjectRemoved */
    unsigned affects;          /* enum child_affects: what a failed write of it holds back */
    bool deletable;       /* is deleted when the cluster no longer needs it; else others do it */
    bool created_by_post; /* a write that creates it never takes over an existing object */
    bool one_wave_later; /* is checked against another object of its wave, which must exist first */
    bool recreated;      /* its controller makes it again: it is deleted only for that, and not
                            while what it comes from (`pods_wait`) could not be written */
    bool pods_wait;      /* no pod is deleted while it cannot be written, so that a refused write
                            is tried again in every pass */
    bool repair_may_wait; /* a change by somebody else may stay for a while: it is undone less and
                             less often */
    bool model_explains;  /* the model itself has a blocker for one that is being deleted */
    bool exclusive;       /* its content is ours alone except `others_may_set`: what others add is
                             removed */
    const char *others_may_set[8];  /* paths without the keys of lists */
    const char *reserved_labels[2]; /* others may not set them; the rest of metadata is theirs */
};

extern const struct child_info api_child_infos[CHILD_KINDS];

/* CHILD_NONE for any other kind, and for NULL. */
enum child_kind api_child_kind_of(const char *kind);
/* NULL for CHILD_NONE. */
const struct child_info *api_child_info_of(const char *kind);
