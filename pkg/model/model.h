/*
 * From what is asked for and what was seen to what each instance is and what is due. Pure: no I/O,
 * no clock; `now` comes in.
 */
#pragma once

#include "api/snapshot.h"

struct model_wait {
    const char *what;    /* "replica a-2 streams" */
    const char *reason;  /* CamelCase */
    const char *unblock; /* what a person can do, "" when only time is needed */
    int64_t since_ms;    /* wall; 0 when unknown */
    int64_t next_ms;     /* when it is looked at again without an event; 0: at the next event */
};

struct model_instance {
    const struct seen_instance *seen;
    const char *name;
    bool wanted;            /* ordinal <= spec.instances */
    bool primary;           /* holds the lease */
    bool streaming;         /* replica that streams within the lag bound */
    bool healthy;           /* does what its role should */
    bool outdated;          /* its pod runs an older template than the StatefulSet */
    bool needs_restart;     /* parameters wait for a restart */
    bool delete_pod;        /* due now: let the StatefulSet make the pod anew */
    const char *restart_token; /* to write into cluster.json; keeps the last one when none is due */
    const char *agent_image;   /* the image its template names: kept unless the template changes */
};

struct model {
    const struct snapshot *snapshot;
    struct model_instance *instances; /* same order as snapshot->instances */
    size_t instance_count;
    const struct model_instance *primary; /* NULL while there is none */
    /* Who may take the never-held lease. Decided from the volumes: data beats emptiness, the highest
     * epoch beats a lower one, and an empty volume is initialised only when no volume holds data. */
    struct bootstrap_grant grant;
    bool grant_blocked; /* only replica volumes are left: nobody may decide that alone */
    const char *phase;  /* Creating Healthy Updating Degraded Failed Deleting */
    struct model_wait *waits;
    size_t wait_count;
    int64_t next_ms; /* wall time of the earliest due work that no event announces; 0 none */
};

/* `desired` compares templates; model asks it through this function pointer would be a circle, so
 * the hash of the wanted template of each instance is an argument: hashes[i] for
 * snapshot->instances[i], "" for those not wanted. */
struct model *model_build(struct arena *arena, const struct snapshot *snapshot,
                          const char *const *template_hashes, int64_t now_ms);
