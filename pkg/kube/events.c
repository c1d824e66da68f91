#include "kube/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"

enum {
    REMEMBERED = 128,
    SERIES_SECONDS = 600,
    NOTE_MAX_BYTES = 1024, /* of the API */
    NAME_MAX_BYTES = 230,  /* leaves room for ".<hash>" in 253 */
    WORD_MAX_BYTES = 128,  /* reason and action */
    GIVE_UP_SECONDS = 600, /* an Event that fails for so long is dropped */
    TRIES_MAX = 6,         /* the pause stops growing after so many failures */
};

/* One Event that exists, or is being created. */
struct entry {
    TAILQ_ENTRY(entry) link;
    struct kube_events *events;
    char key[17];
    char *namespace, *name;
    int count;
    int64_t last_boot_ms, last_wall_ms;
    char *body;       /* what to create it with; NULL once it exists */
    bool again;       /* it happened again since the last request was sent */
    int tries;        /* that failed, in a row */
    int64_t since_ms; /* boot: when the first of these failed */
    int64_t due_ms;   /* boot: when the next try is due; 0: none is */
    struct kube_call *call;
};

TAILQ_HEAD(entries, entry);

struct kube_events {
    struct kube *kube;
    struct entries entries; /* the newest first */
    int count;
    struct event *retry;
    char instance[WORD_MAX_BYTES];
};

static void on_retry(evutil_socket_t fd, short what, void *arg);

struct kube_events *kube_events_new(struct kube *kube)
{
    struct kube_events *events = xcalloc(1, sizeof *events);
    events->kube = kube;
    TAILQ_INIT(&events->entries);
    events->retry = evtimer_new(kube->loop, on_retry, events);
    if (gethostname(events->instance, sizeof events->instance - 1) != 0 || !events->instance[0])
        snprintf(events->instance, sizeof events->instance, "unknown");
    return events;
}

static bool is_settled(const struct entry *entry)
{
    return entry->call == NULL && entry->due_ms == 0;
}

static void forget(struct entry *entry)
{
    TAILQ_REMOVE(&entry->events->entries, entry, link);
    entry->events->count--;
    kube_call_cancel(entry->call);
    free(entry->namespace);
    free(entry->name);
    free(entry->body);
    free(entry);
}

void kube_events_free(struct kube_events *events)
{
    struct entry *entry;
    if (events == NULL)
        return;
    while ((entry = TAILQ_FIRST(&events->entries)) != NULL)
        forget(entry);
    kube_timer_free(events->kube, events->retry);
    free(events);
}

static void make_key(const struct kube_event *event, char key[17])
{
    AUTO_ARENA arena = arena_new();
    char *text = arena_printf(arena, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s",
                              text_or_empty(event->api_version), text_or_empty(event->kind),
                              text_or_empty(event->namespace), text_or_empty(event->name),
                              text_or_empty(event->uid), text_or_empty(event->type),
                              text_or_empty(event->reason), text_or_empty(event->note));
    memcpy(key, hash_hex16(arena, text, strlen(text)), 17);
}

static struct entry *find(struct kube_events *events, const char *key)
{
    struct entry *entry;
    int64_t oldest =
        kube_now_ms(events->kube) - (int64_t)SERIES_SECONDS * events->kube->timing.second_ms;
    TAILQ_FOREACH(entry, &events->entries, link)
    if (strcmp(entry->key, key) == 0)
        return entry->last_boot_ms >= oldest ? entry : (forget(entry), NULL);
    return NULL;
}

/* Cuts between characters: the API server refuses half a UTF-8 sequence. */
static char *cut(struct arena *arena, const char *text, size_t limit)
{
    size_t length = strlen(text_or_empty(text));
    if (length > limit) {
        length = limit;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    return arena_strndup(arena, text_or_empty(text), length);
}

static void put_regarding(cJSON *body, const struct kube_event *event)
{
    cJSON *regarding = json_add_object(body, "regarding");
    json_set_str(regarding, "apiVersion", event->api_version);
    json_set_str(regarding, "kind", event->kind);
    json_set_str(regarding, "namespace", event->namespace);
    json_set_str(regarding, "name", event->name);
    json_set_str(regarding, "uid", event->uid);
}

static cJSON *event_body(struct arena *arena, const struct entry *entry,
                         const struct kube_event *event)
{
    cJSON *body = json_object(arena);
    json_set_str(body, "apiVersion", "events.k8s.io/v1");
    json_set_str(body, "kind", "Event");
    cJSON *metadata = json_add_object(body, "metadata");
    json_set_str(metadata, "name", entry->name);
    json_set_str(metadata, "namespace", entry->namespace);
    put_regarding(body, event);
    json_set_str(body, "eventTime", clock_rfc3339_micro(arena, entry->last_wall_ms));
    json_set_str(body, "type", event->type);
    json_set_str(body, "reason", cut(arena, event->reason, WORD_MAX_BYTES));
    json_set_str(body, "action", cut(arena, event->action, WORD_MAX_BYTES));
    json_set_str(body, "note", cut(arena, event->note, NOTE_MAX_BYTES));
    json_set_str(body, "reportingController", event->controller);
    json_set_str(body, "reportingInstance", entry->events->instance);
    return body;
}

static void on_sent(void *arg, const cJSON *body, const struct error *err);

static const struct kube_kind *event_kind(void)
{
    return kube_kind_find("events.k8s.io/v1", "Event");
}

static void send_series(struct entry *entry)
{
    AUTO_ARENA arena = arena_new();
    cJSON *body = json_object(arena), *series = json_add_object(body, "series");
    json_set_int(series, "count", entry->count);
    json_set_str(series, "lastObservedTime", clock_rfc3339_micro(arena, entry->last_wall_ms));
    struct kube_request request = {
        .method = KUBE_PATCH_MERGE,
        .path = kube_path(arena, event_kind(), entry->namespace, entry->name, NULL),
        .body = body,
        .metadata_only = true,
    };
    entry->again = false;
    entry->call = kube_call_start(entry->events->kube, &request, on_sent, entry);
}

static void send_new(struct entry *entry)
{
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    cJSON *body = NULL;
    err_ignore(json_parse(arena, entry->body, strlen(entry->body), &body, &err)); /* our own */
    struct kube_request request = {
        .method = KUBE_POST,
        .path = kube_path(arena, event_kind(), entry->namespace, NULL, NULL),
        .body = body,
        .metadata_only = true,
    };
    entry->call = kube_call_start(entry->events->kube, &request, on_sent, entry);
}

static void send_entry(struct entry *entry)
{
    entry->due_ms = 0;
    if (entry->body != NULL)
        send_new(entry);
    else
        send_series(entry);
}

/* Sends what is due, and sets the timer for the rest. */
static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct kube_events *events = arg;
    int64_t now_ms = kube_now_ms(events->kube), next_ms = 0;
    struct entry *entry;
    TAILQ_FOREACH(entry, &events->entries, link)
    {
        if (entry->due_ms != 0 && entry->due_ms <= now_ms)
            send_entry(entry);
        else if (entry->due_ms != 0 && (next_ms == 0 || entry->due_ms < next_ms))
            next_ms = entry->due_ms;
    }
    kube_timer_set(events->kube, events->retry, next_ms != 0 ? next_ms - now_ms : -1);
}

/* Failures that pass by themselves; a refusal does not. */
static bool heals(const struct error *err)
{
    switch (err->class) {
    case ERR_TIMEOUT:
    case ERR_TRANSPORT:
    case ERR_OVERLOADED:
    case ERR_INTERNAL:
        return true;
    default:
        return false;
    }
}

static void try_later(struct entry *entry, const struct error *err)
{
    struct kube *kube = entry->events->kube;
    int64_t now_ms = kube_now_ms(kube);
    int pause_ms = kube_backoff_ms(&kube->timing, entry->tries);
    if (entry->tries == 0)
        entry->since_ms = now_ms;
    if (entry->tries < TRIES_MAX)
        entry->tries++;
    entry->due_ms = now_ms + (pause_ms > err->retry_after_ms ? pause_ms : err->retry_after_ms);
    on_retry(-1, 0, entry->events);
}

static bool has_patience(const struct entry *entry)
{
    const struct kube *kube = entry->events->kube;
    return entry->tries == 0 ||
           kube_now_ms(kube) - entry->since_ms < (int64_t)GIVE_UP_SECONDS * kube->timing.second_ms;
}

static void on_sent(void *arg, const cJSON *body, const struct error *err)
{
    (void)body;
    struct entry *entry = arg;
    bool was_new = entry->body != NULL;
    entry->call = NULL;
    /* The name is random. A conflict therefore means that an earlier try of ours created the Event,
     * and that only its answer was lost. */
    if (err->class < 0 && !(was_new && err->class == ERR_CONFLICT)) {
        if (heals(err) && has_patience(entry)) {
            entry->again = entry->again || !was_new;
            try_later(entry, err);
            return;
        }
        log_info("an Event was not recorded", "event", entry->name, "namespace", entry->namespace,
                 "error", err->text, NULL);
        forget(entry);
        return;
    }
    entry->tries = 0;
    text_replace(&entry->body, NULL);
    if (entry->again)
        send_series(entry);
}

/* The oldest Event that is recorded, so that forgetting it loses nothing; else the oldest of
 * all. */
static struct entry *least_needed(const struct kube_events *events)
{
    struct entry *entry;
    TAILQ_FOREACH_REVERSE(entry, &events->entries, entries, link)
    if (is_settled(entry))
        return entry;
    entry = TAILQ_LAST(&events->entries, entries);
    log_warning("too many Events wait for the API server: one is dropped", "event", entry->name,
                "namespace", entry->namespace, NULL);
    return entry;
}

static struct entry *add(struct kube_events *events, const struct kube_event *event,
                         const char *key)
{
    struct entry *entry = xcalloc(1, sizeof *entry);
    char name[NAME_MAX_BYTES + 20];
    snprintf(name, sizeof name, "%.*s.%08x%08x", NAME_MAX_BYTES, event->name, arc4random(),
             arc4random());
    entry->events = events;
    memcpy(entry->key, key, sizeof entry->key);
    entry->namespace = xstrdup(event->namespace ? event->namespace : "default");
    entry->name = xstrdup(name);
    if (++events->count > REMEMBERED)
        forget(least_needed(events));
    TAILQ_INSERT_HEAD(&events->entries, entry, link);
    return entry;
}

/* A repetition counts up in the series of the recorded Event. While a request of that Event is
 * under way, the repetition waits for its end: a series can only be written to an Event that
 * exists. */
void kube_event_emit(struct kube *kube, const struct kube_event *event)
{
    char key[17];
    make_key(event, key);
    struct entry *entry = find(kube->events, key);
    bool known = entry != NULL;
    if (!known)
        entry = add(kube->events, event, key);
    entry->count++;
    entry->last_boot_ms = kube_now_ms(kube);
    entry->last_wall_ms = clock_wall_ms();
    if (!known) {
        AUTO_ARENA arena = arena_new();
        entry->body = xstrdup(json_compact(arena, event_body(arena, entry, event)));
        send_new(entry);
    } else if (is_settled(entry)) {
        send_series(entry);
    } else {
        entry->again = true;
    }
}

int kube_events_unsent(const struct kube *kube)
{
    const struct entry *entry;
    int count = 0;
    TAILQ_FOREACH(entry, &kube->events->entries, link)
    count += !is_settled(entry);
    return count;
}
