/*
 * One watch: list, follow, resume. The states and what leaves them:
 *
 *   PAUSED    a timer → begin()
 *   STREAMING WatchList: the list and the changes in one stream; the bookmark with
 *             k8s.io/initial-events-end ends the list
 *   LISTING   pages of a LIST, where the server refuses WatchList → FOLLOWING
 *   FOLLOWING a watch from the last resourceVersion
 *
 * A stream that ends after its list was complete resumes from `version`; one that ends before lists
 * again.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "kube/frame.h"
#include "kube/transfer.h"
#include "phrase/phrase.h"

enum state { PAUSED, STREAMING, LISTING, FOLLOWING };

/* WATCHLIST_TRIES: after so many streams that ended before their list was complete, LIST is used. A
 * server that does not know WatchList may ignore its parameters and send no list. */
enum { WATCHLIST_TRIES = 2, PAGE_ITEMS = 500, RELISTS_AT_ONCE = 3, QUICK_END_MS = 1000 };

struct kube_watch {
    struct kube *kube;
    struct arena *arena; /* owns the texts of options */
    struct kube_watch_options options;
    struct kube_watch_handlers handlers;
    void *arg;
    char *path;
    enum state state;
    char version[64]; /* resourceVersion to resume from; "" when a list is needed */
    char *next_page;  /* continue token */
    bool begun;       /* begin() was called for the list under way */
    bool progress;    /* something useful came since the transfer started */
    int attempts;     /* failures in a row */
    int watchlist_failures, relists;
    struct kube_transfer *transfer;
    struct kube_lines lines;
    struct kube_items items;
    struct event *pause;
    int64_t started_ms;
    int busy;  /* handlers that are running */
    bool dead; /* kube_watch_free() was called by one of them */
};

static void begin(struct kube_watch *w);

static void stop_transfer(struct kube_watch *w)
{
    kube_transfer_cancel(w->transfer);
    w->transfer = NULL;
}

static void discard(struct kube_watch *w)
{
    stop_transfer(w);
    kube_timer_free(w->kube, w->pause);
    buffer_free(&w->items.envelope);
    free(w->next_page);
    arena_free(w->arena);
    free(w);
}

static void enter(struct kube_watch *w)
{
    w->busy++;
}

/* False when a handler freed the watch: nothing of it may be touched any more. */
static bool leave(struct kube_watch *w)
{
    bool dead = w->dead;
    if (--w->busy == 0 && dead)
        discard(w);
    return !dead;
}

static void report(struct kube_watch *w, const struct error *err)
{
    struct error copy = *err;
    /* A path that no API serves is answered by the router, not with a Status. */
    if (err->class == ERR_NOT_FOUND && err->reason[0] == '\0')
        err_set_reason(&copy, ERR_NOT_FOUND, "KindNotServed",
                       "the API server does not serve %s of %s; is its CustomResourceDefinition "
                       "applied?",
                       w->options.kind->kind, w->options.kind->api_version);
    err_wrap(&copy, "watch %s", w->options.kind->plural);
    if (w->handlers.trouble != NULL && !w->dead)
        w->handlers.trouble(w->arg, &copy);
}

static void go_on_after(struct kube_watch *w, int64_t ms)
{
    stop_transfer(w);
    w->state = PAUSED;
    kube_timer_set(w->kube, w->pause, ms);
}

/* Reports a failure and tries again after a pause; Retry-After can lengthen it. */
static void fail(struct kube_watch *w, const struct error *err)
{
    int pause_ms = kube_backoff_ms(&w->kube->timing, w->attempts);
    if (err->retry_after_ms > pause_ms)
        pause_ms = err->retry_after_ms;
    w->attempts++;
    go_on_after(w, pause_ms);
    report(w, err);
}

static void forget_page(struct kube_watch *w)
{
    free(w->next_page);
    w->next_page = NULL;
}

static void forget_position(struct kube_watch *w)
{
    w->version[0] = '\0';
    forget_page(w);
}

/* The position is too old, or newer than a restored etcd: list again, at first without a pause. */
static void relist(struct kube_watch *w, const struct error *err)
{
    forget_position(w);
    if (++w->relists > RELISTS_AT_ONCE)
        fail(w, err);
    else
        go_on_after(w, 0);
}

static bool position_is_lost(const struct error *err, const char *body)
{
    if (err->class == ERR_GONE)
        return true;
    return err->http_status == 504 && body != NULL &&
           phrase_is_in(PHRASE_K8S_VERSION_TOO_LARGE, body);
}

static void ensure_begun(struct kube_watch *w)
{
    if (!w->begun && w->handlers.begin != NULL && !w->dead)
        w->handlers.begin(w->arg);
    w->begun = true;
}

static void list_is_complete(struct kube_watch *w)
{
    ensure_begun(w);
    w->watchlist_failures = 0;
    forget_page(w);
    w->begun = false;
    if (w->handlers.synced != NULL && !w->dead)
        w->handlers.synced(w->arg);
    malloc_trim(0); /* a list is the largest answer that a process gets: return its memory */
}

/* Only a change or bookmark after the list proves that its position was good. */
static void made_progress(struct kube_watch *w)
{
    if (w->state == FOLLOWING)
        w->relists = 0;
    w->progress = true;
    w->attempts = 0;
}

static void take_version(struct kube_watch *w, const cJSON *object)
{
    const char *version = json_str(object, "metadata.resourceVersion", "");
    if (version[0] != '\0' && strlen(version) < sizeof w->version)
        snprintf(w->version, sizeof w->version, "%s", version);
}

static void on_bookmark(struct kube_watch *w, const cJSON *object)
{
    const char *end = json_str(object, "metadata.annotations[\"k8s.io/initial-events-end\"]", "");
    made_progress(w);
    if (w->state == STREAMING) {
        if (strcmp(end, "true") != 0)
            return;
        w->state = FOLLOWING;
        take_version(w, object);
        list_is_complete(w);
        return;
    }
    take_version(w, object);
}

static void on_error_event(struct kube_watch *w, const cJSON *object)
{
    struct error err;
    char *text = cJSON_PrintUnformatted(object);
    int code = (int)json_int(object, "code", 500);
    err_set_reason(&err, code == 410 ? ERR_GONE : ERR_INTERNAL, json_str(object, "reason", ""),
                   "%s", json_str(object, "message", "an ERROR event without a message"));
    err.http_status = code;
    if (position_is_lost(&err, text))
        relist(w, &err);
    else
        fail(w, &err);
    cJSON_free(text);
}

static void on_change(struct kube_watch *w, const cJSON *object,
                      void (*handler)(void *arg, const cJSON *object))
{
    made_progress(w);
    if (w->state == STREAMING)
        ensure_begun(w);
    else
        take_version(w, object);
    if (handler != NULL && !w->dead)
        handler(w->arg, object);
}

static void on_event(struct kube_watch *w, const cJSON *event)
{
    const char *type = json_str(event, "type", "");
    const cJSON *object = json_get(event, "object");
    struct error err;
    if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0) {
        on_change(w, object, w->handlers.upsert);
    } else if (strcmp(type, "DELETED") == 0) {
        on_change(w, object, w->handlers.remove);
    } else if (strcmp(type, "BOOKMARK") == 0) {
        on_bookmark(w, object);
    } else if (strcmp(type, "ERROR") == 0) {
        on_error_event(w, object);
    } else {
        err_set(&err, ERR_INTERNAL, "the server sent an event of unknown type '%.20s'", type);
        fail(w, &err);
    }
}

static void on_line(struct kube_watch *w, const char *text, size_t length)
{
    cJSON *event = cJSON_ParseWithLength(text, length);
    if (event == NULL) {
        struct error err;
        err_set(&err, ERR_INTERNAL, "the server sent a line that is not JSON: %.60s", text);
        fail(w, &err);
    } else {
        on_event(w, event);
    }
    cJSON_Delete(event);
}

static void on_stream_bytes(void *arg, struct buffer *in)
{
    struct kube_watch *w = arg;
    struct kube_transfer *transfer = w->transfer;
    const char *text;
    size_t length;
    struct error err;
    int found = KUBE_FRAME_FOUND;
    enter(w);
    /* A handler or an ERROR event may end this transfer, and its buffer with it. */
    while (!w->dead && w->transfer == transfer && found != KUBE_FRAME_MORE) {
        found = kube_lines_next(&w->lines, in, &text, &length, &err);
        if (found == KUBE_FRAME_FOUND)
            on_line(w, text, length);
        else if (found < 0)
            report(w, &err);
    }
    (void)leave(w);
}

static bool on_item(struct kube_watch *w, const char *text, size_t length)
{
    cJSON *object = cJSON_ParseWithLength(text, length);
    struct error err;
    if (object == NULL) {
        err_set(&err, ERR_INTERNAL, "the server sent a list with an item that is not JSON");
        fail(w, &err);
        return false;
    }
    /* Items of built-in kinds come without what their list already says. */
    if (json_str(object, "kind", NULL) == NULL) {
        json_set_str(object, "apiVersion", w->options.kind->api_version);
        json_set_str(object, "kind", w->options.kind->kind);
    }
    ensure_begun(w);
    if (w->handlers.upsert != NULL && !w->dead)
        w->handlers.upsert(w->arg, object);
    cJSON_Delete(object);
    return true;
}

/* Unlike in a stream, an item that cannot be read fails the whole list: without it, synced() would
 * say that its object no longer exists. */
static void on_list_bytes(void *arg, struct buffer *in)
{
    struct kube_watch *w = arg;
    struct kube_transfer *transfer = w->transfer;
    const char *text;
    size_t length;
    struct error err;
    int found = KUBE_FRAME_FOUND;
    enter(w);
    while (!w->dead && w->transfer == transfer && found == KUBE_FRAME_FOUND) {
        found = kube_items_next(&w->items, in, &text, &length, &err);
        if (found == KUBE_FRAME_FOUND)
            on_item(w, text, length);
        else if (found < 0)
            fail(w, &err);
    }
    (void)leave(w);
}

/* A list that is truncated or has no position is a failure: synced() would say that all objects
 * that it lacks no longer exist. */
static void on_page_end(struct kube_watch *w)
{
    const struct buffer *text = &w->items.envelope;
    cJSON *list = cJSON_ParseWithLength(buffer_text(text), text->length);
    const char *next = json_str(list, "metadata.continue", "");
    struct error err;
    if (list == NULL || !w->items.complete) {
        err_set(&err, ERR_INTERNAL, "the server's list is truncated or not JSON");
        fail(w, &err);
    } else if (next[0] != '\0') {
        free(w->next_page);
        w->next_page = xstrdup(next);
        go_on_after(w, 0);
    } else {
        take_version(w, list);
        if (w->version[0] == '\0') {
            err_set(&err, ERR_INTERNAL, "the server's list has no metadata.resourceVersion");
            fail(w, &err);
        } else {
            w->attempts = 0;
            go_on_after(w, 0);
            list_is_complete(w);
        }
    }
    cJSON_Delete(list);
}

/* The server ended a stream. It does so after timeoutSeconds and when it shuts down; a stream that
 * ends at once without anything useful is a failure, so that the pauses grow. */
static void on_stream_end(struct kube_watch *w)
{
    struct error err;
    bool quick = !w->progress && kube_now_ms(w->kube) - w->started_ms < QUICK_END_MS;
    if (w->state == STREAMING) {
        w->watchlist_failures++;
        err_set(&err, ERR_TRANSPORT, "the stream ended before the list was complete");
        fail(w, &err);
    } else if (quick) {
        err_set(&err, ERR_TRANSPORT, "the server ended the stream immediately");
        fail(w, &err);
    } else {
        w->attempts = 0;
        go_on_after(w, 0);
    }
}

/* Servers before 1.32 do not offer WatchList, or only behind a feature gate. */
static bool refuses_watchlist(const struct kube_watch *w, int status)
{
    return w->state == STREAMING && (status == 400 || status == 422 || status == 501);
}

static void on_refusal(struct kube_watch *w, int status, const struct buffer *body,
                       const struct error *err)
{
    if (refuses_watchlist(w, status)) {
        w->kube->watchlist_refused = true;
        go_on_after(w, 0);
    } else if (position_is_lost(err, buffer_text(body))) {
        relist(w, err);
    } else {
        fail(w, err);
    }
}

static void on_end(void *arg, int status, const struct buffer *body, const struct error *err)
{
    struct kube_watch *w = arg;
    w->transfer = NULL;
    enter(w);
    if (status >= 300)
        on_refusal(w, status, body, err);
    else if (err->class < 0) {
        if (w->state == STREAMING && w->progress)
            w->watchlist_failures++;
        fail(w, err);
    } else if (w->state == LISTING)
        on_page_end(w);
    else
        on_stream_end(w);
    (void)leave(w);
}

/* Some servers send no bookmarks while nothing changes, so that silence alone is not a failure. */
static void on_stalled(void *arg, int status, const struct error *err)
{
    struct kube_watch *w = arg;
    w->transfer = NULL;
    if (w->state == FOLLOWING && status == 200) {
        log_debug("restarting a watch that received nothing", "watch", w->options.kind->plural,
                  NULL);
        go_on_after(w, kube_backoff_ms(&w->kube->timing, 0));
        return;
    }
    if (w->state == STREAMING)
        w->watchlist_failures++;
    enter(w);
    fail(w, err);
    (void)leave(w);
}

static void put_selectors(struct kube_watch *w, struct buffer *query)
{
    AUTO_ARENA arena = arena_new();
    if (w->options.label_selector != NULL)
        buffer_printf(query, "&labelSelector=%s", kube_escape(arena, w->options.label_selector));
    if (w->options.field_selector != NULL)
        buffer_printf(query, "&fieldSelector=%s", kube_escape(arena, w->options.field_selector));
}

/* timeoutSeconds are drawn at random, so that not all watches end at the same time. */
static void put_query(struct kube_watch *w, struct buffer *query)
{
    AUTO_ARENA arena = arena_new();
    const struct kube_timing *timing = &w->kube->timing;
    if (w->state == LISTING) {
        buffer_printf(query, "limit=%d", PAGE_ITEMS);
        if (w->next_page != NULL)
            buffer_printf(query, "&continue=%s", kube_escape(arena, w->next_page));
    } else {
        buffer_printf(
            query, "watch=true&allowWatchBookmarks=true&timeoutSeconds=%d",
            timing->watch_min_s +
                (int)arc4random_uniform((uint32_t)(timing->watch_max_s - timing->watch_min_s) + 1));
    }
    if (w->state == STREAMING)
        buffer_puts(query, "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
    if (w->state == FOLLOWING)
        buffer_printf(query, "&resourceVersion=%s", kube_escape(arena, w->version));
    put_selectors(w, query);
}

static const char *accept_of(const struct kube_watch *w)
{
    if (!w->options.metadata_only)
        return "Accept: application/json";
    return w->state == LISTING ? "Accept: application/json;as=PartialObjectMetadataList;"
                                 "g=meta.k8s.io;v=v1,application/json"
                               : "Accept: application/json;as=PartialObjectMetadata;"
                                 "g=meta.k8s.io;v=v1,application/json";
}

static enum state next_state(const struct kube_watch *w)
{
    if (w->version[0] != '\0')
        return FOLLOWING;
    return w->kube->watchlist_refused || w->watchlist_failures >= WATCHLIST_TRIES ? LISTING
                                                                                  : STREAMING;
}

static void begin(struct kube_watch *w)
{
    struct buffer query = {0};
    w->state = next_state(w);
    w->lines = (struct kube_lines){0};
    buffer_free(&w->items.envelope);
    w->items = (struct kube_items){0};
    w->progress = false;
    /* A list that starts over is announced by begin() again; the next page of a list is not. */
    if (w->state != FOLLOWING && w->next_page == NULL)
        w->begun = false;
    put_query(w, &query);
    w->started_ms = kube_now_ms(w->kube);
    w->transfer = kube_transfer_start(
        w->kube, &(struct kube_transfer_request){
                     .method = KUBE_GET,
                     .path = w->path,
                     .query = query.data,
                     .accept = accept_of(w),
                     .stall_ms = w->kube->timing.stall_ms,
                     .data = w->state == LISTING ? on_list_bytes : on_stream_bytes,
                     .done = on_end,
                     .stalled = on_stalled,
                     .arg = w,
                 });
    buffer_free(&query);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    begin(arg);
}

static const char *keep(struct kube_watch *w, const char *text)
{
    return text ? arena_strdup(w->arena, text) : NULL;
}

struct kube_watch *kube_watch_new(struct kube *kube, const struct kube_watch_options *options,
                                  const struct kube_watch_handlers *handlers, void *arg)
{
    struct kube_watch *w = xcalloc(1, sizeof *w);
    w->kube = kube;
    w->arena = arena_new();
    w->options = *options;
    w->options.namespace = keep(w, options->namespace);
    w->options.label_selector = keep(w, options->label_selector);
    w->options.field_selector = keep(w, options->field_selector);
    w->handlers = *handlers;
    w->arg = arg;
    w->path = kube_path(w->arena, options->kind, options->namespace, NULL, NULL);
    w->pause = evtimer_new(kube->loop, on_pause_over, w);
    begin(w);
    return w;
}

const char *kube_watch_version(const struct kube_watch *watch)
{
    return watch->version;
}

void kube_watch_free(struct kube_watch *watch)
{
    if (watch == NULL)
        return;
    watch->dead = true;
    stop_transfer(watch);
    kube_timer_set(watch->kube, watch->pause, -1);
    if (watch->busy == 0)
        discard(watch);
}
