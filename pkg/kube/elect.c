/*
 * Leader election: lease/engine.h decides; this file sends the requests, sets the timers and
 * reports whether we lead.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kube/internal.h"
#include "lease/object.h"

enum { TERMS_MAX = 8 }; /* the longest term of another holder that counts, in terms of ours */

struct kube_elect {
    struct kube *kube;
    struct arena *arena;
    struct kube_elect_options options;
    char *path, *collection;
    struct event *timer;  /* the next read or renewal */
    struct event *expiry; /* when we must have stopped */
    struct kube_call *call;
    struct lease_engine engine;
    cJSON *lease; /* as last read, to be written back; NULL when unknown */
    bool leads;   /* as told by started() and stopped() */
    bool releasing, gave_up;
    void (*released)(void *arg);
    void *released_arg;
    struct error trouble; /* why the last attempt failed, for the text of stopped() */
};

bool kube_elect_leads(const struct kube_elect *elect)
{
    /* Reads the clock each time: after a freeze the timer fires too late. */
    return elect->leads && lease_engine_leads(&elect->engine, kube_now_ms(elect->kube));
}

static void stop_leading(struct kube_elect *e)
{
    char why[sizeof e->trouble.text + 80];
    if (e->engine.state != LEASE_OTHER)
        snprintf(why, sizeof why, "the lease could not be renewed in time%s%s",
                 e->trouble.text[0] ? ": " : "", e->trouble.text);
    else
        snprintf(why, sizeof why, "the lease is held by '%.300s'", e->engine.object.holder);
    e->leads = false;
    kube_timer_set(e->kube, e->expiry, -1);
    if (e->options.stopped != NULL)
        e->options.stopped(e->options.arg, why);
}

static void start_leading(struct kube_elect *e, int64_t now_ms)
{
    bool before = e->leads;
    e->leads = true;
    kube_timer_set(e->kube, e->expiry, e->engine.until_ms - now_ms);
    if (!before && e->options.started != NULL)
        e->options.started(e->options.arg);
}

static void finish_release(struct kube_elect *e)
{
    void (*released)(void *) = e->released;
    e->released = NULL;
    kube_timer_set(e->kube, e->timer, -1);
    if (released != NULL)
        released(e->released_arg);
}

static void on_answer(void *arg, const cJSON *body, const struct error *err);

static void request(struct kube_elect *e, enum kube_method method, const char *path,
                    const cJSON *body)
{
    struct kube_request call = {.method = method,
                                .path = path,
                                .body = body,
                                .timeout_ms = (int)lease_engine_timeout_ms(&e->engine),
                                .urgent = true,
                                .apart = e->engine.unanswered};
    e->call = kube_call_start(e->kube, &call, on_answer, e);
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
    request(e, KUBE_POST, e->collection, body);
}

static void write_lease(struct kube_elect *e, enum lease_action action)
{
    AUTO_ARENA arena = arena_new();
    cJSON *body = json_copy(arena, e->lease), *spec = json_add_object(body, "spec");
    char *now = clock_rfc3339_micro(arena, clock_wall_ms());
    bool give_back = action == LEASE_DO_GIVE_BACK;
    json_set_str(spec, "renewTime", now);
    json_set_str(spec, "holderIdentity", give_back ? "" : e->options.identity);
    json_set_int(spec, "leaseDurationSeconds", give_back ? 1 : e->options.lease_seconds);
    if (action == LEASE_DO_TAKE) {
        json_set_str(spec, "acquireTime", now);
        json_set_int(spec, "leaseTransitions", lease_engine_next_epoch(&e->engine));
    }
    request(e, KUBE_PUT, e->path, body);
}

/* Does what is due, then reports if we began or ceased to lead. */
static void go_on(struct kube_elect *e)
{
    int64_t now_ms = kube_now_ms(e->kube);
    enum lease_action action = lease_engine_next(&e->engine, now_ms);
    if (action == LEASE_DO_READ)
        request(e, KUBE_GET, e->path, NULL);
    else if (action == LEASE_DO_CREATE)
        create(e);
    else if (action != LEASE_DO_NOTHING)
        write_lease(e, action);
    int64_t due_ms = lease_engine_due_ms(&e->engine);
    if (due_ms >= 0)
        kube_timer_set(e->kube, e->timer, due_ms > now_ms ? due_ms - now_ms : 1);
    if (e->releasing) {
        if (e->released != NULL && (e->gave_up || lease_engine_has_left(&e->engine)))
            finish_release(e);
    } else if (lease_engine_leads(&e->engine, now_ms)) {
        start_leading(e, now_ms);
    } else if (e->leads) {
        stop_leading(e);
    }
}

static void keep_lease(struct kube_elect *e, const cJSON *seen)
{
    cJSON_Delete(e->lease);
    e->lease = seen ? cJSON_Duplicate(seen, true) : NULL;
    /* A PUT without managedFields leaves them as they are, and is smaller. */
    cJSON_DeleteItemFromObjectCaseSensitive(json_get(e->lease, "metadata"), "managedFields");
}

static void on_answer(void *arg, const cJSON *body, const struct error *err)
{
    struct kube_elect *e = arg;
    struct lease_object object = {.epoch = 0};
    enum lease_outcome outcome = lease_outcome_of(err);
    enum lease_action done = e->engine.doing;
    e->call = NULL;
    if (outcome == LEASE_DONE) {
        keep_lease(e, body);
        if (done != LEASE_DO_READ)
            e->trouble = (struct error){0};
        lease_object_read(body, &object, NULL);
    } else if (outcome != LEASE_MISSING) {
        e->trouble = *err;
    }
    lease_engine_answer(&e->engine, outcome, &object, err->retry_after_ms, kube_now_ms(e->kube));
    /* If giving the lease back fails, it expires by itself. */
    e->gave_up = e->releasing && outcome != LEASE_DONE &&
                 (done == LEASE_DO_GIVE_BACK || !e->engine.read_due);
    go_on(e);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    go_on(arg);
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
    e->expiry = evtimer_new(kube->loop, on_timer, e);
    int64_t term_ms = (int64_t)options->lease_seconds * kube->timing.second_ms;
    struct lease_engine_options engine = {.identity = options->identity,
                                          .term_ms = term_ms,
                                          .term_max_ms = TERMS_MAX * term_ms,
                                          .second_ms = kube->timing.second_ms,
                                          .candidate = true,
                                          .random = arc4random()};
    lease_engine_init(&e->engine, &engine, kube_now_ms(kube));
    go_on(e);
    return e;
}

void kube_elect_release(struct kube_elect *elect, void (*done)(void *arg), void *arg)
{
    elect->leads = false;
    elect->releasing = true;
    elect->released = done;
    elect->released_arg = arg;
    kube_timer_set(elect->kube, elect->expiry, -1);
    lease_engine_leave(&elect->engine, INT64_MAX, kube_now_ms(elect->kube));
    kube_timer_set(elect->kube, elect->timer, 1);
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
