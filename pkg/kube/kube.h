/*
 * The Kubernetes client: one libevent loop, one libcurl multi handle, HTTP/2, as few connections as
 * possible. Callbacks run on the loop, and nothing blocks.
 *
 * Errors are the API's own Status message; err->reason is its reason ("NotFound", "Conflict"), and
 * err->http_status its code. err->retry_after_ms has the Retry-After of 429 and 503. The client
 * repeats a request only where the server refused it without processing it: after 429 with a short
 * Retry-After at most 3 times, unless the request is urgent; and once after 401, if a rotated token
 * or the credential plugin can give other credentials.
 */
#pragma once

#include <event2/event.h>

#include "base/json.h"
#include "kubeconfig/kubeconfig.h"
#include "kube/kinds.h"

struct kube;
struct kube_call;
struct kube_watch;

/* user_agent e.g. "pgkeel-controller". The config is copied. */
int kube_new(struct event_base *loop, const struct kubeconfig *config, const char *user_agent,
             struct kube **ret_kube, struct error *err) ERR_CHECKED;
/* Cancels the requests under way (callbacks are not called); free watches and elections first. Not
 * from a callback. NULL is fine. */
void kube_free(struct kube *kube);

/* The clock of this client (CLOCK_BOOTTIME) and timers on it, for what measures time by it, too. */
int64_t kube_now_ms(const struct kube *kube);
/* Sets it, in place of what it was set to, or stops it when ms < 0. */
void kube_timer_set(struct kube *kube, struct event *timer, int64_t ms);
bool kube_timer_is_set(const struct kube *kube, const struct event *timer);
/* Stops and frees it. NULL is fine. */
void kube_timer_free(struct kube *kube, struct event *timer);

enum kube_method { KUBE_GET, KUBE_POST, KUBE_PUT, KUBE_PATCH_APPLY, KUBE_PATCH_MERGE, KUBE_DELETE };

struct kube_request {
    enum kube_method method;
    const char *path;   /* from kube_path() */
    const char *query;  /* without '?', already encoded; may be NULL */
    const cJSON *body;  /* may be NULL; serialised before the call returns */
    bool metadata_only; /* GET/LIST: ask for PartialObjectMetadata */
    int timeout_ms;     /* 0: 30000 */
    /* For a lease, whose owner must know at once how much time is left: a refusal is returned
     * immediately, whatever Retry-After says, and timeout_ms includes the wait for credentials. */
    bool urgent;
    bool apart; /* over a separate connection: the shared one may be stalled */
};

/* body is NULL on failure (err->class < 0) and valid during the callback only, unless copied with
 * json_copy(). err is never NULL. */
typedef void (*kube_done)(void *arg, const cJSON *body, const struct error *err);

/* Starts a request. Unless it is cancelled, done is called exactly once, never before this
 * returns. */
struct kube_call *kube_call_start(struct kube *kube, const struct kube_request *request,
                                  kube_done done, void *arg);
void kube_call_cancel(struct kube_call *call);

/* Query for server-side apply: "fieldManager=...&force=true". */
char *kube_apply_query(struct arena *arena, const char *manager, bool force);
/* DeleteOptions with a uid precondition (uid may be NULL) and background propagation. */
cJSON *kube_delete_options(struct arena *arena, const char *uid, int grace_seconds_or_minus_1);

struct kube_watch_options {
    const struct kube_kind *kind;
    const char *namespace;      /* NULL: all */
    const char *label_selector; /* NULL: none */
    const char *field_selector; /* NULL: none; "metadata.name=x" watches one object */
    bool metadata_only;
};

/*
 * A watch never ends by itself: it lists (WatchList with sendInitialEvents where offered, else
 * paged LIST), watches with bookmarks, resumes after a cut from the last resourceVersion, lists
 * again after 410, backs off with jitter, and gives up a silent connection after a stall deadline.
 *   begin(): a full list starts: what is not upserted until synced() no longer exists.
 *   upsert(): ADDED or MODIFIED (or listed).  remove(): DELETED, with its last state.
 *   synced(): the list is complete.           trouble(): it failed and will try again by itself.
 * Objects are valid during the callback only. Any callback may be NULL.
 */
struct kube_watch_handlers {
    void (*begin)(void *arg);
    void (*upsert)(void *arg, const cJSON *object);
    void (*remove)(void *arg, const cJSON *object);
    void (*synced)(void *arg);
    void (*trouble)(void *arg, const struct error *err);
};
struct kube_watch *kube_watch_new(struct kube *kube, const struct kube_watch_options *options,
                                  const struct kube_watch_handlers *handlers, void *arg);
void kube_watch_free(struct kube_watch *watch);

/* Leader election on a Lease by compare-and-swap, as client-go does it: the lease lasts
 * lease_seconds, is renewed every third of that, and is given up after two thirds without a
 * renewal. Another holder's lease expires by our own clock (CLOCK_BOOTTIME) only. After stopped()
 * we are a candidate again. Each process needs its own identity: a lease under our own name is
 * taken at once. Do not free the election in its callbacks. */
struct kube_elect;
struct kube_elect_options {
    const char *namespace, *name, *identity;
    int lease_seconds;
    void (*started)(void *arg);                  /* we lead */
    void (*stopped)(void *arg, const char *why); /* we no longer lead: stop writing at once */
    void *arg;
};
struct kube_elect *kube_elect_new(struct kube *kube, const struct kube_elect_options *options);
bool kube_elect_leads(const struct kube_elect *elect);
/* Releases the lease (holder emptied) and calls done. */
void kube_elect_release(struct kube_elect *elect, void (*done)(void *arg), void *arg);
void kube_elect_free(struct kube_elect *elect);

/* events.k8s.io/v1 Event about an object; a repeated one (same regarding, reason, note) within ten
 * minutes counts up in a series instead of creating a new object. While the API server is away or
 * overloaded, sending is retried for ten minutes. An Event that it refuses is logged and
 * dropped. */
struct kube_event {
    const char *api_version, *kind, *namespace, *name, *uid; /* regarding */
    const char *type, *reason, *note, *action, *controller;
};
void kube_event_emit(struct kube *kube, const struct kube_event *event);
/* The number of Events that the API server has not accepted yet. From KUBE_EVENTS_UNSENT_MAX on, a
 * caller should keep further ones for later: with too many, the oldest is lost. */
enum { KUBE_EVENTS_UNSENT_MAX = 64 };
int kube_events_unsent(const struct kube *kube);
