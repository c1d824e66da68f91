/*
 * What stands in the API: one watch per kind (by label, all namespaces or those given), compact
 * records instead of JSON, and from them one snapshot of one cluster. Secrets are never watched.
 *
 * Our own writes are put in at once (observe_written), so that a pass right after one sees them;
 * events of the watch that are older than what is known already are passed over.
 */
#pragma once

#include "api/snapshot.h"
#include "kube/kube.h"

struct observe;

struct observe_options {
    struct kube *kube;
    struct event_base *loop;
    const char *const *namespaces; /* watch these only; they live on */
    size_t namespace_count;        /* 0: all */
    /* Something of this cluster changed that a pass should look at. */
    void (*changed)(void *arg, const char *namespace, const char *name);
    /* Every cache is complete, for the first time. */
    void (*synced)(void *arg);
    /* A watch does not work (yet); it tries again by itself. */
    void (*trouble)(void *arg, const struct error *err);
    void *arg;
};

/* kube == NULL: no watches and no questions; tests feed the caches themselves. */
struct observe *observe_new(const struct observe_options *options);
void observe_free(struct observe *observe);
bool observe_synced(const struct observe *observe);
/* Clusters that are there, and records kept: for metrics. */
size_t observe_clusters(const struct observe *observe); /* how many there are */
size_t observe_records(const struct observe *observe);
/* Calls each() for every cluster that is there; it must not change the caches. */
void observe_each(const struct observe *observe,
                  void (*each)(void *arg, const char *namespace, const char *name), void *arg);

/* The cluster as it stands; everything lives in the arena. False when there is no such object (any
 * more). Left for the caller: credentials, namespace_terminating, ipv6, image_volumes and
 * agent_image. */
bool observe_snapshot(struct observe *observe, struct arena *arena, const char *namespace,
                      const char *name, const struct api_defaults *defaults,
                      struct snapshot *ret_snapshot);

/* uid of the cluster object, NULL when it is not there; good until the caches change. */
const char *observe_uid(struct observe *observe, const char *namespace, const char *name);
/* Another value whenever spec, labels or annotations of the cluster object changed; 0: not there.
 */
uint64_t observe_digest(struct observe *observe, const char *namespace, const char *name);

/* Has the lease of this cluster gone without a renewal for longer than it lasts, as far as the
 * watch tells? A watch can be late, and so can we: it is called overdue only once the API server
 * was asked for the lease itself (observe_lease_asked) and had no newer one. When it comes to that,
 * changed() is called by itself. */
bool observe_lease_doubtful(struct observe *observe, const char *namespace, const char *name);
/* The answer of the API server. */
void observe_lease_asked(struct observe *observe, const cJSON *lease);

/* The API server answered a write of ours with this object. */
void observe_written(struct observe *observe, const char *kind, const cJSON *object);
/* The same for a write that set nothing, and only took away what others had set: whether all that
 * is ours still stands there is as open as before. */
void observe_mended(struct observe *observe, const char *kind, const cJSON *object);
/* A delete of ours was accepted: gone, or (object != NULL) on its way. */
void observe_deleted(struct observe *observe, const char *kind, const char *namespace,
                     const char *name, const char *uid, const cJSON *object);
/* The status that we wrote, with the object that came back. */
void observe_status_written(struct observe *observe, const cJSON *object);

/* Notes what in this cluster is in trouble that the caches cannot explain (a pending volume, a
 * StatefulSet without pod, a pod that does not start). After some seconds the API is asked about it
 * (does the StorageClass exist, what do the Events say), one request at a time for the whole
 * operator and for one object ever more rarely. Answers arrive as changes. */
void observe_wonder(struct observe *observe, const char *namespace, const char *name);
