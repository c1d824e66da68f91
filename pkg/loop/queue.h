/*
 * Which cluster is looked at next: one place per cluster whatever happens to it, in the order in
 * which work became due, so that nobody starves. A cluster that is being worked on comes again
 * afterwards if something changed meanwhile. Pure: `now` (CLOCK_BOOTTIME, ms) comes in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QUEUE_BURST = 30,            /* events that may be answered at once, ... */
    QUEUE_REFILL_MS = 500,       /* ... and how long it takes to earn another: nobody is fought */
    QUEUE_BACKOFF_MAX_MS = 30000 /* longest pause after failures that pass by themselves */
};

struct queue_key {
    char *namespace, *name;
    void *data; /* the caller's own, freed with drop() */
    /* private */
    int64_t due_ms;    /* INT64_MAX: nothing is due */
    int64_t hold_ms;   /* not before, whatever happens: the server asked for it or is away */
    int64_t tokens_ms; /* when the bucket was last filled */
    int tokens, failures;
    size_t index; /* in the heap */
    bool active, again;
};

struct queue;
struct queue *queue_new(void);
/* drop(key->data) is called for every key. */
void queue_free(struct queue *queue, void (*drop)(void *data));
size_t queue_length(const struct queue *queue); /* keys known */
size_t queue_ready(const struct queue *queue, int64_t now_ms);

/* Something happened: due now (or when its hold and its burst allow). Makes the key. */
struct queue_key *queue_add(struct queue *queue, const char *namespace, const char *name,
                            int64_t now_ms);
/* The key that waits longest, if any is due: it is active until queue_done(). */
struct queue_key *queue_next(struct queue *queue, int64_t now_ms);
/* When the next one is due, INT64_MAX: never. */
int64_t queue_due(const struct queue *queue);

struct queue_verdict {
    int64_t next_ms;    /* due again then, INT64_MAX: only on events */
    int class;          /* 0, or the worst failure: it comes again by err_policy(), doubling */
    int retry_after_ms; /* the server's wish */
};
void queue_done(struct queue *queue, struct queue_key *key, const struct queue_verdict *verdict,
                int64_t now_ms);
/* The pass was broken off: it is due at once when somebody may work again. */
void queue_return(struct queue *queue, struct queue_key *key, int64_t now_ms);
/* There is no such cluster any more; key must not be active. */
void queue_remove(struct queue *queue, struct queue_key *key, void (*drop)(void *data));
/* The pause before attempt number `failures` (from 1) after a failure of that class. */
int64_t queue_backoff_ms(int class, int failures);
