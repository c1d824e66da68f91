/*
 * Which cluster gets the next pass. Each cluster has one place, however many events it has, in the
 * order in which work became due, so that none starves. A cluster that changes during its pass gets
 * another one afterwards. Pure: `now` (CLOCK_BOOTTIME, ms) is an argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/bucket.h"

enum {
    QUEUE_BURST = 30,            /* events that may be answered at once, ... */
    QUEUE_REFILL_MS = 500,       /* ... and the time until another one may be */
    QUEUE_BACKOFF_MAX_MS = 30000 /* longest pause after failures that pass by themselves */
};

struct queue_key {
    char *namespace, *name;
    void *data; /* the caller's own, freed with drop() */
    /* private */
    int64_t due_ms;  /* INT64_MAX: nothing is due */
    int64_t hold_ms; /* not before this, whatever happens: the server asked for it or is away */
    struct bucket events; /* one token for each pass */
    int failures;
    size_t index; /* in the heap */
    bool active, again;
};

struct queue;
struct queue *queue_new(void);
/* drop(key->data) is called for every key. */
void queue_free(struct queue *queue, void (*drop)(void *data));
size_t queue_ready(const struct queue *queue, int64_t now_ms); /* keys that are due */

/* An event: due now, or when hold and burst allow. Creates the key. */
struct queue_key *queue_add(struct queue *queue, const char *namespace, const char *name,
                            int64_t now_ms);
/* The key that waits longest, if any is due: it is active until queue_done(). */
struct queue_key *queue_next(struct queue *queue, int64_t now_ms);
/* When the next one is due, INT64_MAX: never. */
int64_t queue_due(const struct queue *queue);

struct queue_verdict {
    int64_t next_ms; /* due again then, INT64_MAX: only on events */
    int class; /* 0, or the worst failure: retried as err_policy() says, with doubled pauses */
    int retry_after_ms; /* the server's Retry-After; 0: none */
};
void queue_done(struct queue *queue, struct queue_key *key, const struct queue_verdict *verdict,
                int64_t now_ms);
/* The pass was cancelled: the key is due at once. */
void queue_return(struct queue *queue, struct queue_key *key, int64_t now_ms);
/* The cluster no longer exists; key must not be active. */
void queue_remove(struct queue *queue, struct queue_key *key, void (*drop)(void *data));
/* The pause before attempt number `failures` (from 1) after a failure of that class. */
int64_t queue_backoff_ms(int class, int failures);
