/*
 * The Lease <cluster>-primary, as one instance sees and writes it. Every write is a
 * compare-and-swap on resourceVersion. holderIdentity is "<instance>/<pod uid>", leaseTransitions
 * the epoch. When to renew, whose it is and what an answer is worth is decided in lease/engine.h.
 *
 * In this version only three may take it: the one the operator grants a never held lease to, the
 * instance that holds it already (in a new pod, once it was not renewed for a whole term), and the
 * last holder of one that was given back. A holder that stops gives it back: "<instance>" without a
 * uid says that it is kept for the instance and that no pod holds it.
 */
#pragma once

#include "api/reports.h"
#include "kube/kube.h"
#include "lease/engine.h"

struct lease_view {
    enum lease_state state;
    int64_t epoch;     /* leaseTransitions; 0 when the number is impossible */
    int64_t odd_epoch; /* ..., which is here then */
    int64_t led_epoch; /* the last one that this instance announced; 0: another instance did so
                          later, or none has */
    bool granted, grant_initdb;
    bool slot_ready;          /* the primary's status shows a slot of this instance */
    char slot_status[16];     /* its wal_status; "" when the status shows no slot */
    char slot_restart[24];    /* its restart_lsn; "" when it keeps no WAL */
    int64_t read_ms;          /* CLOCK_BOOTTIME at which this version of the object came */
    char primary_address[64]; /* from the same status; "" when it says none */
    char holder[128];         /* the instance's name; "" when none */
    bool given_back;          /* the holder is an instance, no pod of it */
    struct lease_object object;
};

struct lease_handlers {
    void (*changed)(void *arg); /* the view changed, or a write ended */
    /* The status that rides on a renewal; NULL leaves the one that is there. `first`: that goes
     * with a take and replaces what the holder before us told; never NULL. */
    cJSON *(*status)(void *arg, struct arena *arena, bool first);
    void *arg;
};

struct lease_options {
    const char *namespace, *name, *instance, *pod_uid;
    int seconds;
};

struct lease;

/* Strings are copied. Watches from now on. */
struct lease *member_lease_new(struct event_base *loop, struct kube *kube,
                               const struct lease_options *options,
                               const struct lease_handlers *handlers);
void member_lease_free(struct lease *lease);

const struct lease_view *member_lease_view(const struct lease *lease);
void member_lease_set_seconds(struct lease *lease, int seconds);
/* Compare-and-swap to this pod, with an epoch above the lease's and `at_least`: an epoch file newer
 * than the lease wins (etcd restored from a snapshot). After a burst once in two seconds. */
void member_lease_take(struct lease *lease, int64_t at_least);
/* Which epoch stands on the volume as this pod's; 0: none. Once that is the lease's, renewals
 * announce it, the first of them at once: no older copy of the volume is to be led with (see
 * led_epoch). */
void member_lease_set_recorded(struct lease *lease, int64_t epoch);
/* For one that stops: makes it the instance's without a pod, unless its epoch is later than
 * last_epoch, the one on the volume. To be called until it is true: nothing is left to do, or the
 * API server refuses. */
bool member_lease_give_back(struct lease *lease, int64_t last_epoch);
/* Renews at once, after a burst not more often than twice a second, instead of at the next third of
 * lease_seconds; held leases renew by themselves. */
void member_lease_renew_now(struct lease *lease);
/* For what follows from time: lease_engine_rests_at_ms() and the like. */
const struct lease_engine *member_lease_engine(const struct lease *lease);

/* Pure, for tests: what an object says to that identity; the bodies of the patches. */
void member_lease_read(const cJSON *object, const char *identity, struct lease_view *ret_view);
cJSON *member_lease_take_body(struct arena *arena, const struct lease_view *view,
                              const char *identity, const cJSON *status, int seconds, int64_t epoch,
                              int64_t wall_ms);
cJSON *member_lease_give_back_body(struct arena *arena, const struct lease_view *view,
                                   const char *instance, int64_t wall_ms);
void member_lease_add_lead(struct arena *arena, cJSON *body, const struct lead_report *lead);
cJSON *member_lease_renew_body(struct arena *arena, const struct lease_view *view,
                               const cJSON *status, int seconds, int64_t wall_ms);
