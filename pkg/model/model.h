/*
 * What each instance is and what is due, derived from the spec and the snapshot. Pure: no I/O and
 * no clock; `now` is an argument. Strings live in the arena or in the snapshot and are never NULL.
 *
 * Every cause that keeps the cluster from being what the spec asks for becomes one `model_blocker`:
 * status is built from these alone, so that conditions cannot contradict each other.
 */
#pragma once

#include "api/agent_image.h"
#include "api/children.h"
#include "api/reasons.h"
#include "api/snapshot.h"

struct model_blocker {
    const char *what;     /* what is to become true: "replica a-2 streams"; stable while it waits */
    const char *reason;   /* CamelCase, see api/reasons.h; an agent's own is passed on */
    const char *message;  /* why it is not so yet, in the words of the program that reports it */
    const char *unblock;  /* what a person can do, "" when only time is needed */
    int64_t since_ms;     /* wall; kept from status while what and reason stay the same */
    int64_t next_ms;      /* when it is checked again without an event; 0: at the next event */
    unsigned affects;     /* enum child_affects */
    const char *instance; /* the one that it is about; NULL for none */
    const char *object;   /* "pvc/a-1-data", where it is about one; NULL for none */
    bool stalled;         /* no progress without a person */
    bool fault;           /* something is wrong, not merely under way */
    bool unknown;         /* it may be as it should be: nothing recent is known */
    bool provisional;     /* nothing is known yet: status keeps what it said before */
};

struct model_instance {
    const struct seen_instance *seen;
    const char *name;
    bool wanted;  /* asked for, or still needed: a primary above spec.instances, and a replica to be
                     removed that may not go yet. `desired` leaves the others out. */
    bool surplus; /* ordinal > spec.instances */
    bool primary; /* holds the lease, by instance name */
    bool streaming;            /* replica that streams within the lag bound */
    bool healthy;              /* does what its role should, with the current pod */
    bool unknown;              /* nothing recent is known of it: it may do what its role should */
    bool outdated;             /* its pod does not have the wanted template */
    bool template_held;        /* its StatefulSet keeps its template for now: it is not its turn */
    bool needs_restart;        /* parameters of the current configuration need a restart */
    bool delete_pod;           /* due now: the StatefulSet then creates a new pod */
    bool delete_rolls;         /* it works, and is replaced only because of a newer revision */
    const char *delete_reason; /* for people; "" when not due */
    const char *disruption; /* why its pod, or the one before, was removed: "preempted: ..."; "" */
    const char *restart_token; /* to write into cluster.json; keeps the last one when none is due */
    struct agent_image agent_image; /* of its template: kept unless the template changes */
    int pod_form;                   /* likewise; see ANN_POD_FORM */
    /* What is on its data volume, from report and PVC together; `desired` writes it to the PVC's
     * annotations. */
    const char *system_identifier, *last_role; /* "" while unknown or empty */
    int64_t epoch;
};

struct model {
    const struct snapshot *snapshot;
    int64_t now_ms;
    const char *config_hash;
    struct model_instance *instances; /* same order as snapshot->instances */
    size_t instance_count;
    const struct model_instance *primary; /* NULL while there is none */
    /* The primary does not serve but comes back by itself, mostly from crash recovery. `overdue`:
     * it takes so long that it is no longer protected from evictions. */
    bool primary_recovers, recovery_overdue;
    int64_t recovery_ends_ms; /* when it becomes overdue; 0: not known */
    int64_t claims_settle_ms; /* when the report of a pod older than its claim counts; 0: there is
                                 none */
    bool ever_held; /* the lease has had a holder: from then on the agents decide who is primary */
    /* Who may take a lease that was never held; instance "" when no one may (yet). Decided from the
     * volumes: data beats emptiness, the highest epoch beats a lower one, and an empty volume is
     * initialised only when no volume has data. Once any volume is known to have data, a grant
     * never allows initdb again, even after the lease was held: a holder whose volume vanished must
     * not start an empty cluster. */
    struct bootstrap_grant grant;
    bool grant_blocked; /* the volumes do not show whose data is newest: a person decides */
    const char *phase;  /* Creating Healthy Updating Degraded Failed Deleting */
    struct model_blocker *blockers; /* the one to show first comes first */
    size_t blocker_count;
    /* What will go wrong unless a person acts, although everything works now. Makes the conditions
     * that it concerns False, never Ready. */
    struct model_blocker *warnings;
    size_t warning_count;
    int64_t next_ms; /* wall time of the next work that no event announces; 0: none */
};

/* The hashes are arguments, because this room must not use `desired`, which uses it:
 * template_hashes[i] is desired_template_hash() for snapshot->instances[i], config_hash is
 * desired_config_hash(). With an invalid spec both may be NULL: then nothing is due, and the
 * instances are only described. */
struct model *model_build(struct arena *arena, const struct snapshot *snapshot,
                          const char *const *template_hashes, const char *config_hash,
                          int64_t now_ms);

/* Whether the claim's request may be lowered to `bytes`, to take back a growth that was accepted
 * and did not happen. Kubernetes allows it only to more than the volume has, not to exactly that
 * size (see its page on PersistentVolumes, "Recovering from failure when expanding volumes"). */
bool model_may_take_back(const struct seen_pvc *seen, int64_t bytes);

/* The phase that the model's blockers amount to; model->phase holds it already, `status` asks again
 * after it has added blockers of its own. */
const char *model_phase(const struct model *model);

/* Adds a blocker and returns it for the caller to fill; since_ms comes from snapshot->status where
 * the same (what, reason) waited before, else `now`. The pointer is valid until the next call.
 * `status` also uses it, for failures of plan and apply. */
struct model_blocker *model_blocker_add(struct arena *arena, struct model *model, const char *what,
                                        const char *reason);
/* The same for a warning; since_ms from the status' warnings. */
struct model_blocker *model_warning_add(struct arena *arena, struct model *model, const char *what,
                                        const char *reason);
/* How full a volume is, as df says it: 0 to 100. */
int model_used_percent(const struct volume_report *report);
/* Adds what a person can do to each blocker that does not say so and has lasted long enough, and
 * marks those that need a person by then. The model's own blockers have been through it already. */
void model_remedies(struct arena *arena, struct model *model);
/* Replaces {ns}, {cluster}, {instance}, {pod} and {object} in `text` by the names that the blocker
 * is about. */
char *model_fill_in(struct arena *arena, const struct model *model,
                    const struct model_blocker *blocker, const char *text);
/* Puts the blockers to show first at the front: those that need a person, then faults, then the
 * rest, each in the order they were added. */
void model_blockers_sort(struct model *model);
