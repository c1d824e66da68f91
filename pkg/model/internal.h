/* What the files of this room share while a model is being built. */
#pragma once

#include <string.h>

#include "base/text.h"
#include "model/model.h"

struct work {
    struct arena *arena;
    struct model *model;
    const struct snapshot *snapshot;
    const struct seen_lease *lease; /* see model_bootstrap_lease() */
    const char *const *hashes;      /* NULL when the spec is invalid */
    bool frozen; /* invalid spec, or cluster or namespace being deleted: nothing is due */
};

/* An agent that has not reported for so long after its pod was created is not merely starting. */
enum { AGENT_SILENCE_MS = 120 * 1000 };

/* What is on an instance's data volume, as far as is known. */
enum volume_content {
    VOLUME_EMPTY,   /* not created yet, never bound, or its agent looked and found nothing */
    VOLUME_DATA,    /* a system identifier or a last role is known */
    VOLUME_UNKNOWN, /* bound, without our annotations, and no agent has looked yet */
    VOLUME_LEAVING, /* being deleted */
    VOLUME_GONE,    /* its PersistentVolume is lost */
};

/* instances.c: the state of each instance, and who is primary. */
void instances_volumes(struct work *work);
void instances_roles(struct work *work);
void instances_health(struct work *work);
void instances_wanted(struct work *work);
/* disruption.c: why a pod was removed. */
void instances_disruption(struct work *work);
/* The field that prevents such a disruption; "" when there is none. */
const char *disruption_remedy(const char *disruption);
bool model_instance_phase_is(const struct model_instance *instance, const char *phase);
/* The pod cannot run as it is: an image that cannot be pulled, no node, a container that fails. */
bool model_instance_pod_broken(const struct model_instance *instance);
/* The pod that holds the lease is the current pod of this instance. */
bool model_instance_holds_with_present_pod(const struct work *work,
                                           const struct model_instance *instance);
/* The primary's report on this replica; NULL when there is none. */
const struct replica_report *model_instance_replication(const struct work *work, const char *name);
/* Since when PrimaryReady is not True, according to status; 0: it is True, or missing. */
int64_t instances_primary_away_since_ms(const struct work *work);
/* The lease was seen to be renewed before it expired, so that its holder's report is current.
 * Nothing is taken down or destroyed because of an older report. */
bool instances_pulse_is_steady(const struct work *work);
enum volume_content model_instance_volume(const struct model_instance *instance);

/* bootstrap.c */
/* The lease, if it is this cluster's: one that an earlier cluster of the same name left, not yet
 * garbage-collected, counts as absent. */
const struct seen_lease *model_bootstrap_lease(struct arena *arena,
                                               const struct snapshot *snapshot);
void model_bootstrap_decide(struct work *work);
void blockers_of_bootstrap(struct work *work);
/* What a person can do when only replica volumes hold data. */
const char *model_bootstrap_manual_way(const struct work *work);

/* model.c */
/* Once true, always true, even after the lease was deleted. */
bool model_was_bootstrapped(const struct model *model);

/* rollout.c */
void rollout_decide(struct work *work);
void blockers_of_rollout(struct work *work);

bool rollout_carries_template(const struct work *work, const struct model_instance *instance);
/* The StatefulSet carries the wanted template and its controller has seen it, so that the pod's
 * revision can be compared. */
bool rollout_set_is_settled(const struct work *work, const struct model_instance *instance);
bool rollout_pod_is_old(const struct model_instance *instance);
bool rollout_agent_is_silent(const struct work *work, const struct model_instance *instance);
bool rollout_may_go(const struct work *work, const struct model_instance *instance);

/* template.c */
void template_decide(struct work *work);
/* Another instance on which the current template does not work; NULL when there is none. */
const struct model_instance *template_failed_on(const struct work *work,
                                                const struct model_instance *instance);
/* Another instance whose pod with the current template no node can take; NULL when there is
 * none. */
const struct model_instance *template_untried_on(const struct work *work,
                                                 const struct model_instance *instance);
int64_t template_patience_ends_ms(const struct work *work);

/* blockers/: what keeps the cluster from what the spec asks for, one file for each subject. */
struct model_blocker *blocker_add(struct work *work, unsigned affects, const char *reason,
                                  const char *what_format, ...)
    __attribute__((format(printf, 4, 5)));
void blocker_say(struct work *work, struct model_blocker *blocker, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void blocker_unblock(struct work *work, struct model_blocker *blocker, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "set spec.instances to at least 3", "correct spec.postgres.image", each with its command. */
void blocker_unblock_by_instances(struct work *work, struct model_blocker *blocker, int least);
void blocker_unblock_by_spec(struct work *work, struct model_blocker *blocker, const char *what);
/* Marks the blockers from number `first` on as being about this instance. */
void blockers_are_about(struct work *work, size_t first, const struct model_instance *instance);
/* Marks a blocker as a fault; with `stalled` as one that needs a person. */
void blocker_fault(struct model_blocker *blocker, bool stalled);
void blockers_of_cluster(struct work *work);
void blockers_of_routes(struct work *work);
void blockers_of_volumes(struct work *work);
void blockers_of_room(struct work *work);
void blockers_of_instances(struct work *work);
/* Adds the blocker of a pod that does not run as it should; false when it does, and its agent's
 * report counts. */
bool blocker_of_pod(struct work *work, const struct model_instance *instance, unsigned affects,
                    const char *what);
/* Adds the blocker of an instance that is not heard of; false when it is. */
bool blocker_of_silence(struct work *work, const struct model_instance *instance, unsigned affects,
                        const char *what);
/* The same for an instance that works, or worked when it was last heard of. */
void blocker_note_silence(struct work *work, const struct model_instance *instance);
/* Adds the blocker of a pod that finds no node because its volumes are on one node only; false when
 * there is another cause. */
bool blocker_of_disk(struct work *work, const struct model_instance *instance, unsigned affects,
                     const char *what);
/* How a replica gets new, empty volumes and a copy of the primary on them; `condition` goes before
 * the commands: "" or "if nothing on it is needed: ". */
void blocker_unblock_by_cloning(struct work *work, struct model_blocker *blocker,
                                const struct model_instance *instance, const char *condition);
/* successor.c: how to continue with a replica's data in place of the primary's; `before` goes in
 * front: "bring it back; or ". */
void blocker_unblock_by_successor(struct work *work, struct model_blocker *blocker,
                                  const struct model_instance *primary, const char *before);
unsigned blocker_affects(const struct work *work, const struct model_instance *instance);
