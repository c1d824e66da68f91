#include "loop/queue.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "loop/pause.h"

/* What only other input can mend is retried, too, but rarely. */
enum { REFUSED_MAX_MS = 300000 };

struct queue {
    struct queue_key **heap; /* the earliest due first; every key is in it, active ones too */
    size_t count, room;
    void *names; /* tsearch tree over (namespace, name) */
};

static int by_name(const void *a, const void *b)
{
    const struct queue_key *left = a, *right = b;
    int order = strcmp(left->namespace, right->namespace);
    return order ? order : strcmp(left->name, right->name);
}

struct queue *queue_new(void)
{
    return xcalloc(1, sizeof(struct queue));
}

static void free_key(struct queue_key *key, void (*drop)(void *data))
{
    if (drop)
        drop(key->data);
    free(key->namespace);
    free(key->name);
    free(key);
}

void queue_free(struct queue *queue, void (*drop)(void *data))
{
    if (queue == NULL)
        return;
    for (size_t i = 0; i < queue->count; i++) {
        tdelete(queue->heap[i], &queue->names, by_name);
        free_key(queue->heap[i], drop);
    }
    free(queue->heap);
    free(queue);
}

size_t queue_ready(const struct queue *queue, int64_t now_ms)
{
    size_t ready = 0;
    for (size_t i = 0; i < queue->count; i++)
        ready += !queue->heap[i]->active && queue->heap[i]->due_ms <= now_ms;
    return ready;
}

static void place(struct queue *queue, size_t index, struct queue_key *key)
{
    queue->heap[index] = key;
    key->index = index;
}

/* Moves the key to where its due time belongs. */
static void settle(struct queue *queue, struct queue_key *key)
{
    size_t at = key->index;
    while (at > 0 && queue->heap[(at - 1) / 2]->due_ms > key->due_ms) {
        place(queue, at, queue->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= queue->count)
            break;
        if (child + 1 < queue->count && queue->heap[child + 1]->due_ms < queue->heap[child]->due_ms)
            child++;
        if (queue->heap[child]->due_ms >= key->due_ms)
            break;
        place(queue, at, queue->heap[child]);
        at = child;
    }
    place(queue, at, key);
}

static void make_due(struct queue *queue, struct queue_key *key, int64_t at_ms)
{
    key->due_ms = at_ms < key->hold_ms ? key->hold_ms : at_ms;
    settle(queue, key);
}

static struct queue_key *make_key(struct queue *queue, const struct queue_key *name, int64_t now_ms)
{
    struct queue_key *key = xcalloc(1, sizeof *key);
    key->namespace = xstrdup(name->namespace);
    key->name = xstrdup(name->name);
    key->due_ms = INT64_MAX;
    key->events = (struct bucket){QUEUE_BURST, QUEUE_REFILL_MS, QUEUE_BURST, now_ms};
    if (queue->count == queue->room) {
        queue->room = queue->room ? queue->room * 2 : 16;
        queue->heap = xrealloc(queue->heap, queue->room * sizeof *queue->heap);
    }
    place(queue, queue->count++, key);
    tsearch(key, &queue->names, by_name);
    return key;
}

/* When an event that comes now may lead to a pass: at once, unless too many came. */
static int64_t earliest(struct queue_key *key, int64_t now_ms)
{
    return now_ms + bucket_wait_ms(&key->events, now_ms);
}

struct queue_key *queue_add(struct queue *queue, const char *namespace, const char *name,
                            int64_t now_ms)
{
    const struct queue_key wanted = {.namespace = (char *)namespace, .name = (char *)name};
    struct queue_key **found = tfind(&wanted, &queue->names, by_name);
    struct queue_key *key = found ? *found : make_key(queue, &wanted, now_ms);
    if (key->active) {
        key->again = true;
        return key;
    }
    int64_t at_ms = earliest(key, now_ms);
    if (at_ms < key->due_ms)
        make_due(queue, key, at_ms);
    return key;
}

struct queue_key *queue_next(struct queue *queue, int64_t now_ms)
{
    struct queue_key *key = queue->count > 0 ? queue->heap[0] : NULL;
    if (key == NULL || key->due_ms > now_ms)
        return NULL;
    key->active = true;
    key->again = false;
    bucket_spend(&key->events);
    key->due_ms = INT64_MAX;
    settle(queue, key);
    return key;
}

int64_t queue_due(const struct queue *queue)
{
    return queue->count > 0 ? queue->heap[0]->due_ms : INT64_MAX;
}

int64_t queue_backoff_ms(int class, int failures)
{
    const struct err_policy *policy = err_policy(class);
    int64_t longest = policy->retry ? QUEUE_BACKOFF_MAX_MS : REFUSED_MAX_MS;
    return pause_doubled_ms(policy->backoff_ms > 0 ? policy->backoff_ms : 100, longest,
                            failures - 1);
}

/* The server is away or overloaded: events must not start the next attempt earlier. */
static bool holds(int class)
{
    return class == ERR_TRANSPORT || class == ERR_TIMEOUT || class == ERR_OVERLOADED;
}

/* An event during the pass shortens the pause after a failure, unless hold_ms forbids it. */
void queue_done(struct queue *queue, struct queue_key *key, const struct queue_verdict *verdict,
                int64_t now_ms)
{
    int64_t next_ms = verdict->next_ms;
    key->active = false;
    key->failures = verdict->class < 0 ? key->failures + 1 : 0;
    key->hold_ms = 0;
    if (verdict->class < 0) {
        int64_t pause = queue_backoff_ms(verdict->class, key->failures);
        pause = pause > verdict->retry_after_ms ? pause : verdict->retry_after_ms;
        next_ms = now_ms + pause < next_ms ? now_ms + pause : next_ms;
        key->hold_ms = holds(verdict->class) ? now_ms + pause : 0;
    }
    if (key->again) {
        int64_t at_ms = earliest(key, now_ms);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    make_due(queue, key, next_ms);
}

void queue_return(struct queue *queue, struct queue_key *key, int64_t now_ms)
{
    key->active = false;
    make_due(queue, key, now_ms);
}

void queue_remove(struct queue *queue, struct queue_key *key, void (*drop)(void *data))
{
    size_t index = key->index;
    struct queue_key *last = queue->heap[--queue->count];
    if (last != key) {
        place(queue, index, last);
        settle(queue, last);
    }
    tdelete(key, &queue->names, by_name);
    free_key(key, drop);
}
