/*
 * The EndpointSlice <cluster>-rw: where read-write traffic goes. The Service has no selector; only
 * the lease holder writes the slice. The operator sets its ports. It has the epoch of its writer: a
 * slice with a higher epoch than ours is never written, because news of the lease and of the slice
 * come separately, and a deposed holder may not have heard of it yet.
 */
#pragma once

#include "kube/kube.h"

enum slice_want {
    SLICE_LEAVE, /* not ours */
    SLICE_EMPTY, /* we hold the lease, but accept no writes */
    SLICE_SELF,  /* all traffic to us */
};

struct slice_options {
    const char *namespace, *name; /* "a-rw" */
    const char *ips; /* "10.0.0.1,fd00::1": the slice says of which family it wants one */
    const char *pod, *pod_uid;
};

struct slice;

/* Strings are copied. `changed` is called when something is to be done: it answers by
 * slice_set(), which alone writes. So an agent that was frozen never writes an outdated state. */
struct slice *slice_new(struct event_base *loop, struct kube *kube,
                        const struct slice_options *options, void (*changed)(void *arg), void *arg);
void slice_free(struct slice *slice);
/* From now on the slice is kept like that, also when others edit it, in the name of that epoch. The
 * first want other than LEAVE begins to watch it. */
void slice_set(struct slice *slice, enum slice_want want, int64_t epoch);
/* The epoch that it bears as seen last; 0: none, not known, or higher than any that is believed. */
int64_t slice_seen_epoch(const struct slice *slice);
/* It was seen as wanted, or is not ours to write. */
bool slice_settled(const struct slice *slice);

/* Pure, for tests. */
/* The address for that slice's addressType; "" when there is none of that family. */
const char *slice_address(struct arena *arena, const cJSON *object, const char *ips);
bool slice_matches(const cJSON *object, enum slice_want want, const char *ip);
int64_t slice_epoch(const cJSON *object); /* 0 for what cannot be a lease's epoch */
cJSON *slice_body(struct arena *arena, const cJSON *object, enum slice_want want, int64_t epoch,
                  const struct slice_options *options);
