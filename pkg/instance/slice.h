/*
 * The EndpointSlice <cluster>-rw: where read-write traffic goes. The Service has no selector; the
 * slice is the lease holder's to write, and nobody else's. Its ports are the operator's.
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

/* Strings are copied. `changed` is called when it has become as wanted, or is not any more. */
struct slice *slice_new(struct event_base *loop, struct kube *kube,
                        const struct slice_options *options, void (*changed)(void *arg), void *arg);
void slice_free(struct slice *slice);
/* From now on the slice is kept like that, whoever edits it. The first want other than LEAVE begins
 * to watch it. */
void slice_set(struct slice *slice, enum slice_want want);
/* It was seen as wanted. */
bool slice_settled(const struct slice *slice);

/* Pure, for tests. */
/* The address for that slice's addressType; "" when there is none of that family. */
const char *slice_address(struct arena *arena, const cJSON *object, const char *ips);
bool slice_matches(const cJSON *object, enum slice_want want, const char *ip);
cJSON *slice_body(struct arena *arena, const cJSON *object, enum slice_want want,
                  const struct slice_options *options);
