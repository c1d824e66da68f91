/*
 * Leader election on a Lease. Safety rests on two things only: every write is a compare-and-swap by
 * resourceVersion, and durations are measured on each candidate's own CLOCK_BOOTTIME. The holder
 * counts from before it sent the renewal, others from after they saw it, so the holder always stops
 * first, with a third of the lease to spare.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kube/internal.h"

enum { TERMS_MAX = 8 }; /* how many of our own terms another's may last */

struct kube_elect {
    struct kube *kube;
    struct arena *arena;
    struct kube_elect_options options;
    char *path, *collection;
    struct event *timer;  /* the next look or renewal */
    struct event *expiry; /* when we must have stopped */
    struct kube_call *call;
    cJSON *lease;        /* as last seen, to be written back; NULL when unknown */
    int64_t observed_ms; /* since when `lease` is unchanged */
    int64_t sent_ms;     /* when the write under way was sent */
    int64_t deadline_ms; /* we lead until then */
    bool leads, releasing;
    bool unanswered; /* the last request was: the connection it took may be stalled */
    void (*released)(void *arg);
    void *released_arg;
    struct error trouble; /* why the last attempt failed, for the text of stopped() */
};

static int lease_ms(const struct kube_elect *e)
{
    return e->options.lease_seconds * e->kube->timing.second_ms;
}

static void set_lease(struct kube_elect *e, const cJSON *seen)
{
    const char *old = json_str(e->lease, "metadata.resourceVersion", "");
    const char *new = json_str(seen, "metadata.resourceVersion", "");
    if (strcmp(old, new) != 0)
        e->observed_ms = kube_now_ms(e->kube);
    cJSON_Delete(e->lease);
    e->lease = seen ? cJSON_Duplicate(seen, true) : NULL;
    /* Left out of a PUT they stay as they are, and need not travel. */
    cJSON_DeleteItemFromObjectCaseSensitive(json_get(e->lease, "metadata"), "managedFields");
}

static const char *holder(const struct kube_elect *e)
{
    return json_str(e->lease, "spec.holderIdentity", "");
}

static bool is_ours(const struct kube_elect *e)
{
    return strcmp(holder(e), e->options.identity) == 0;
}

/* Another version of this program may ask for a longer term. Somebody's slip must neither keep
 * everybody from leading for 68 years, nor have a lease taken that is renewed in time. */
static int64_t expires_ms(const struct kube_elect *e)
{
    const int64_t least = e->options.lease_seconds, most = TERMS_MAX * least;
    int64_t seconds = json_int(e->lease, "spec.leaseDurationSeconds", least);
    seconds = seconds < least ? least : seconds > most ? most : seconds;
    return e->observed_ms + seconds * e->kube->timing.second_ms;
}

bool kube_elect_leads(const struct kube_elect *elect)
{
    /* The clock is asked each time: after a freeze the timer comes too late. */
    return elect->leads && kube_now_ms(elect->kube) < elect->deadline_ms;
}

static void stop_leading(struct kube_elect *e, const char *why)
{
    if (!e->leads)
        return;
    e->leads = false;
    kube_timer_set(e->kube, e->expiry, -1);
    if (e->options.stopped != NULL)
        e->options.stopped(e->options.arg, why);
}

static void on_expiry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct kube_elect *e = arg;
    char why[sizeof e->trouble.text + 80];
    snprintf(why, sizeof why, "the lease could not be renewed in time%s%s",
             e->trouble.text[0] ? ": " : "", e->trouble.text);
    stop_leading(e, why);
}

static void start_leading(struct kube_elect *e)
{
    bool before = e->leads;
    e->leads = true;
    e->trouble = (struct error){0};
    kube_timer_set(e->kube, e->expiry, e->deadline_ms - kube_now_ms(e->kube));
    if (!before && e->options.started != NULL)
        e->options.started(e->options.arg);
}

static void look(struct kube_elect *e);
static void finish_release(struct kube_elect *e);

static void later(struct kube_elect *e, int64_t ms)
{
    kube_timer_set(e->kube, e->timer, ms < 1 ? 1 : ms);
}

static void retry_later(struct kube_elect *e)
{
    int pause_ms = lease_ms(e) * 2 / 15;
    if (e->leads)
        pause_ms /= 2;
    later(e, kube_random(pause_ms, pause_ms + pause_ms / 5));
}

static void request(struct kube_elect *e, enum kube_method method, const char *path,
                    const cJSON *body, kube_done done)
{
    struct kube_request call = {.method = method,
                                .path = path,
                                .body = body,
                                .timeout_ms = lease_ms(e) / 6,
                                .urgent = true,
                                .apart = e->unanswered};
    e->call = kube_call_start(e->kube, &call, done, e);
}

static void ended(struct kube_elect *e, const struct error *err)
{
    e->call = NULL;
    e->unanswered = err->class == ERR_TIMEOUT || err->class == ERR_TRANSPORT;
}

/* What is written must still be true when the answer comes: a write that took longer than we may
 * lead proves nothing, and is simply tried again. */
static void on_written(void *arg, const cJSON *body, const struct error *err)
{
    struct kube_elect *e = arg;
    int64_t deadline_ms = e->sent_ms + (int64_t)lease_ms(e) * 2 / 3;
    ended(e, err);
    if (err->class < 0) {
        e->trouble = *err;
        /* A conflict says that somebody else wrote; an unknown outcome that we may have: look. */
        cJSON_Delete(e->lease);
        e->lease = NULL;
        if (e->releasing || (err->class == ERR_CONFLICT && e->leads))
            look(e);
        else if (err->class == ERR_CONFLICT)
            later(e,
                  kube_random(lease_ms(e) / 100, lease_ms(e) / 50)); /* it may be free, or ours */
        else
            retry_later(e);
        return;
    }
    set_lease(e, body);
    if (e->releasing) {
        look(e);
    } else if (kube_now_ms(e->kube) < deadline_ms) {
        e->deadline_ms = deadline_ms;
        later(e, e->sent_ms + lease_ms(e) / 3 - kube_now_ms(e->kube));
        start_leading(e);
    } else {
        later(e, 1);
    }
}

static void put_times(struct arena *arena, struct kube_elect *e, cJSON *spec)
{
    char *now = clock_rfc3339_micro(arena, clock_wall_ms());
    json_set_str(spec, "renewTime", now);
    if (is_ours(e))
        return;
    json_set_str(spec, "acquireTime", now);
    json_set_int(spec, "leaseTransitions", json_int(spec, "leaseTransitions", 0) + 1);
}

static void take(struct kube_elect *e)
{
    AUTO_ARENA arena = arena_new();
    cJSON *body = json_copy(arena, e->lease), *spec = json_add_object(body, "spec");
    put_times(arena, e, spec);
    json_set_str(spec, "holderIdentity", e->options.identity);
    json_set_int(spec, "leaseDurationSeconds", e->options.lease_seconds);
    e->sent_ms = kube_now_ms(e->kube);
    request(e, KUBE_PUT, e->path, body, on_written);
}

static void create(struct kube_elect *e)
{
    AUTO_ARENA arena = arena_new();
    char *now = clock_rfc3339_micro(arena, clock_wall_ms());
    cJSON *body = json_object(arena);
    json_set_str(body, "apiVersion", "coordination.k8s.io/v1");
    json_set_str(body, "kind", "Lease");
    json_set_str(json_add_object(body, "metadata"), "name", e->options.name);
    cJSON *spec = json_add_object(body, "spec");
    json_set_str(spec, "holderIdentity", e->options.identity);
    json_set_int(spec, "leaseDurationSeconds", e->options.lease_seconds);
    json_set_str(spec, "acquireTime", now);
    json_set_str(spec, "renewTime", now);
    json_set_int(spec, "leaseTransitions", 0);
    e->sent_ms = kube_now_ms(e->kube);
    request(e, KUBE_POST, e->collection, body, on_written);
}

static void finish_release(struct kube_elect *e)
{
    void (*released)(void *) = e->released;
    e->released = NULL;
    kube_timer_set(e->kube, e->timer, -1);
    if (released != NULL)
        released(e->released_arg);
}

static void on_emptied(void *arg, const cJSON *body, const struct error *err)
{
    (void)body, (void)err; /* where it failed the lease runs out by itself */
    struct kube_elect *e = arg;
    e->call = NULL;
    finish_release(e);
}

static void empty(struct kube_elect *e)
{
    AUTO_ARENA arena = arena_new();
    cJSON *body = json_copy(arena, e->lease), *spec = json_add_object(body, "spec");
    json_set_str(spec, "holderIdentity", "");
    json_set_int(spec, "leaseDurationSeconds", 1);
    json_set_str(spec, "renewTime", clock_rfc3339_micro(arena, clock_wall_ms()));
    request(e, KUBE_PUT, e->path, body, on_emptied);
}

/* Somebody else holds it: look again, at the latest when it would run out. */
static void wait_for_holder(struct kube_elect *e)
{
    int64_t left_ms = expires_ms(e) - kube_now_ms(e->kube);
    int64_t pause_ms = kube_random(lease_ms(e) * 2 / 15, lease_ms(e) / 6);
    if (e->leads) {
        char why[400];
        snprintf(why, sizeof why, "the lease is held by '%.300s'", holder(e));
        stop_leading(e, why);
    }
    later(e, left_ms < pause_ms ? left_ms : pause_ms);
}

static void on_seen(void *arg, const cJSON *body, const struct error *err)
{
    struct kube_elect *e = arg;
    ended(e, err);
    if (err->class == 0)
        set_lease(e, body);
    if (e->releasing) {
        if (err->class == 0 && is_ours(e))
            empty(e);
        else
            finish_release(e);
    } else if (err->class == ERR_NOT_FOUND) {
        create(e);
    } else if (err->class < 0) {
        e->trouble = *err;
        retry_later(e);
    } else if (is_ours(e) || holder(e)[0] == '\0' || kube_now_ms(e->kube) >= expires_ms(e)) {
        take(e);
    } else {
        wait_for_holder(e);
    }
}

static void look(struct kube_elect *e)
{
    request(e, KUBE_GET, e->path, NULL, on_seen);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct kube_elect *e = arg;
    if (e->call != NULL)
        return;
    if (!e->releasing && e->leads && e->lease != NULL)
        take(e);
    else
        look(e);
}

struct kube_elect *kube_elect_new(struct kube *kube, const struct kube_elect_options *options)
{
    const struct kube_kind *kind = kube_kind_find("coordination.k8s.io/v1", "Lease");
    struct kube_elect *e = xcalloc(1, sizeof *e);
    e->kube = kube;
    e->arena = arena_new();
    e->options = *options;
    e->options.namespace = arena_strdup(e->arena, options->namespace);
    e->options.name = arena_strdup(e->arena, options->name);
    e->options.identity = arena_strdup(e->arena, options->identity);
    e->path = kube_path(e->arena, kind, options->namespace, options->name, NULL);
    e->collection = kube_path(e->arena, kind, options->namespace, NULL, NULL);
    e->timer = evtimer_new(kube->loop, on_timer, e);
    e->expiry = evtimer_new(kube->loop, on_expiry, e);
    look(e);
    return e;
}

void kube_elect_release(struct kube_elect *elect, void (*done)(void *arg), void *arg)
{
    elect->leads = false;
    elect->releasing = true;
    elect->released = done;
    elect->released_arg = arg;
    kube_timer_set(elect->kube, elect->expiry, -1);
    /* A write under way is waited for, since it could land after the release: on_timer() does
     * nothing meanwhile, and on_written() looks. */
    later(elect, 0);
}

void kube_elect_free(struct kube_elect *elect)
{
    if (elect == NULL)
        return;
    kube_call_cancel(elect->call);
    kube_timer_free(elect->kube, elect->timer);
    kube_timer_free(elect->kube, elect->expiry);
    cJSON_Delete(elect->lease);
    arena_free(elect->arena);
    free(elect);
}
