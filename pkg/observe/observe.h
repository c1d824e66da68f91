/*
 * The objects in the API: one watch per kind (by label, all namespaces or those given), compact
 * records instead of JSON, and from these one snapshot of one cluster. Secrets are never watched.
 *
 * Our own writes are stored at once (observe_written), so that the next pass sees them; older
 * events of the watch are ignored.
 */
#pragma once

#include "api/snapshot.h"
#include "kube/kube.h"

struct observe;

struct observe_options {
    struct kube *kube;
    struct event_base *loop;
    const char *const *namespaces; /* watch only these; they must stay valid */
    size_t namespace_count;        /* 0: all */
    /* Something of this cluster changed that a pass should look at. */
    void (*changed)(void *arg, const char *namespace, const char *name);
    /* Every cache is complete, for the first time. */
    void (*synced)(void *arg);
    /* A watch does not work (yet); it is retried by itself. */
    void (*trouble)(void *arg, const struct error *err);
    void *arg;
};

/* kube == NULL: no watches and no questions; tests feed the caches themselves. */
struct observe *observe_new(const struct observe_options *options);
void observe_free(struct observe *observe);
bool observe_synced(const struct observe *observe);
/* For metrics: clusters that exist, and records. */
size_t observe_clusters(const struct observe *observe);
size_t observe_records(const struct observe *observe);
/* Calls each() for every cluster that exists; it must not change the caches. */
void observe_each(const struct observe *observe,
                  void (*each)(void *arg, const char *namespace, const char *name), void *arg);

/* The cluster as it is now; everything lives in the arena. False when the object does not exist
 * (any more). Left for the caller: credentials, namespace_terminating, ipv6, image_volumes and
 * agent_image. */
bool observe_snapshot(struct observe *observe, struct arena *arena, const char *namespace,
                      const char *name, const struct api_defaults *defaults,
                      struct snapshot *ret_snapshot);

/* uid of the cluster object, NULL when it does not exist; valid until the caches change. */
const char *observe_uid(struct observe *observe, const char *namespace, const char *name);
/* Changes whenever spec, labels or annotations of the cluster object do; 0: it does not exist. */
uint64_t observe_digest(struct observe *observe, const char *namespace, const char *name);

/* True when the watch has shown no renewal of this cluster's lease for longer than the lease lasts.
 * A watch can be late, and so can we: the lease counts as overdue only once the API server was
 * asked for it (observe_lease_asked) and had no newer one. changed() is called when it is time to
 * ask. */
bool observe_lease_doubtful(struct observe *observe, const char *namespace, const char *name);
/* The answer of the API server. */
void observe_lease_asked(struct observe *observe, const cJSON *lease);

/* The API server answered a write of ours with this object. */
void observe_written(struct observe *observe, const char *kind, const cJSON *object);
/* The same for a write that only removed what others had set: it does not show whether all our
 * fields are still as we set them. */
void observe_mended(struct observe *observe, const char *kind, const cJSON *object);
/* A delete of ours was accepted: the object is gone, or (object != NULL) being deleted. */
void observe_deleted(struct observe *observe, const char *kind, const char *namespace,
                     const char *name, const char *uid, const cJSON *object);
/* The status that we wrote, with the object that came back. */
void observe_status_written(struct observe *observe, const cJSON *object);

/* Notes what in this cluster waits for a reason that the caches do not show (a pending volume, a
 * StatefulSet without pod, a pod that does not start). After some seconds the API server is asked
 * about it (does the StorageClass exist, what do the Events say): one request at a time for the
 * whole operator, and with growing pauses for one object. Answers arrive as changes. */
void observe_diagnose(struct observe *observe, const char *namespace, const char *name);
