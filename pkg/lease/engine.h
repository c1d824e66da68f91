/*
 * One Lease (coordination.k8s.io/v1) as one program sees and writes it. Pure: time is an argument,
 * and what to send is a result. It serves the operators, who elect a leader among themselves, and
 * the agents, whose lease says which instance is the primary.
 *
 * Safety rests on three rules: - Every write is a compare-and-swap on resourceVersion. - Each
 * program measures durations by its own CLOCK_BOOTTIME; renewTime is never compared with it. The
 * holder counts its term from before it sent the renewal, others count from after they saw it, so
 * that the holder always stops first, with a third of the term to spare. - A missing answer proves
 * nothing: the write may have been stored, may be stored later, or never. It extends no term; the
 * next compare-and-swap or a read shows what the Lease contains.
 *
 * The owner calls lease_engine_next() after each of the events below and at lease_engine_due_ms(),
 * sends what it says, and reports the answer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "loop/bucket.h"

/* No lease is taken a billion times: a larger epoch is a mistake, and a lease that followed it to
 * the largest number could never be taken again. */
enum { LEASE_EPOCH_MAX = 1 << 30 };

enum lease_state {
    LEASE_UNKNOWN,  /* the API has not answered yet */
    LEASE_ABSENT,   /* the object is not there */
    LEASE_FREE,     /* never held */
    LEASE_RELEASED, /* held before, but not now */
    LEASE_MINE,     /* by the same instance: another pod of it, or none */
    LEASE_HELD,     /* by this identity */
    LEASE_OTHER,    /* by another one */
};

/* One version of the object. */
struct lease_object {
    char holder[192]; /* holderIdentity */
    char renewed[40]; /* renewTime, as text: only that it changes counts */
    char version[32]; /* resourceVersion */
    int64_t epoch;    /* leaseTransitions, 0 to LEASE_EPOCH_MAX */
    bool odd_epoch;   /* leaseTransitions is out of that range, and `epoch` 0 */
    int64_t seconds;  /* leaseDurationSeconds */
};

struct lease_engine_options {
    const char *identity; /* "<instance>/<pod uid>", or any name; copied */
    int64_t term_ms;      /* how long each write of ours lasts */
    int64_t term_max_ms;  /* a longer term of another holder counts as this */
    int second_ms;        /* the length of a second in leaseDurationSeconds: 1000 */
    /* A candidate watches nothing: it reads the Lease now and then, creates it where it is absent,
     * and takes it when its holder let it expire. Any other takes it by lease_engine_take() only.
     */
    bool candidate;
    uint64_t random; /* seed of the jitter of a candidate's pauses */
};

enum lease_action {
    LEASE_DO_NOTHING,
    LEASE_DO_READ,
    LEASE_DO_CREATE,
    LEASE_DO_TAKE, /* a new holder, with lease_engine_next_epoch() */
    LEASE_DO_RENEW,
    LEASE_DO_GIVE_BACK,
};

enum lease_outcome {
    LEASE_DONE,       /* and here is the object */
    LEASE_CONFLICT,   /* somebody else wrote since */
    LEASE_MISSING,    /* there is no such object */
    LEASE_REFUSED,    /* we may not write it */
    LEASE_FAILED,     /* the server answered, but could not do it */
    LEASE_UNANSWERED, /* no answer: it is unknown whether it was done */
};

struct lease_engine {
    struct lease_engine_options options;
    char identity[192];
    enum lease_state state;
    struct lease_object object;
    int64_t unchanged_since_ms; /* since when it was neither taken nor renewed */
    int64_t others_until_ms;    /* the object is gone, but its last holder may lead until then */
    int64_t held_epoch, seen_epoch; /* the highest: held by us, seen at all */
    /* the request under way, or the last one */
    enum lease_action doing;
    int64_t sent_ms;
    int64_t heard_ms; /* when the last request with an outcome was sent, or the lease became ours */
    int64_t until_ms; /* the end of the term that is certainly ours, less the margin */
    int64_t due_ms;   /* when there is something to do; -1: only after an event */
    struct bucket writes, takes;
    int64_t at_least;   /* of a take: its epoch comes after that one */
    bool take_asked;    /* see lease_engine_take() */
    bool read_due;      /* before anything else */
    bool fresh;         /* a candidate decides only on what it has just read */
    bool again;         /* renew once more when the write under way has ended */
    bool taking;        /* a take was asked for, and waits for a pause until due_ms */
    bool leaving;       /* it is to be given back, not renewed... */
    int64_t last_epoch; /* ...with this epoch or an earlier one */
    bool refused;       /* we may not write it (any more) */
    bool unanswered;    /* the last request: the connection it took may be stalled */
    bool take_unclear;  /* a take was not answered: the lease may be ours unseen */
};

void lease_engine_init(struct lease_engine *engine, const struct lease_engine_options *options,
                       int64_t now_ms);
void lease_engine_set_term(struct lease_engine *engine, int64_t term_ms);
/* What that version of the object says to that identity. */
enum lease_state lease_state_of(const struct lease_object *object, const char *identity);
/* It is kept for an instance, and no pod of it holds it. */
bool lease_is_given_back(const struct lease_object *object);

/* ---- events ---- */

/* A watch or a list delivered the object (NULL: it does not exist). False: it is older than what is
 * known, and ignored. `listing`: a list always counts, because the server's history may be another
 * one. */
bool lease_engine_see(struct lease_engine *engine, const struct lease_object *object, bool listing,
                      int64_t now_ms);
/* How the request under way ended; `object` with LEASE_DONE only. retry_after_ms: a pause that the
 * server asks for; 0: none. False: the object was older than what is known. */
bool lease_engine_answer(struct lease_engine *engine, enum lease_outcome outcome,
                         const struct lease_object *object, int64_t retry_after_ms, int64_t now_ms);
/* Asks once to take it, with an epoch above the lease's and above at_least. Ignored while
 * another request is under way: the caller asks again after that. After a burst, one take every
 * two seconds. */
void lease_engine_take(struct lease_engine *engine, int64_t at_least);
/* Renews soon, after a burst not more often than twice a second, instead of at the next third of
 * the term. */
void lease_engine_renew_soon(struct lease_engine *engine, int64_t now_ms);
/* From now on the lease is to be given back, but not with an epoch later than last_epoch: one that
 * was only taken, and not led with, expires by itself. */
void lease_engine_leave(struct lease_engine *engine, int64_t last_epoch, int64_t now_ms);

/* ---- what follows ---- */

/* What is to be sent now: it counts as sent at now_ms. LEASE_DO_NOTHING while a request is under
 * way. */
enum lease_action lease_engine_next(struct lease_engine *engine, int64_t now_ms);
/* The epoch of a take. */
int64_t lease_engine_next_epoch(const struct lease_engine *engine);
/* When to call next() again; -1: only after an event. */
int64_t lease_engine_due_ms(const struct lease_engine *engine);
/* How long to wait for an answer: a term has time for several attempts. */
int64_t lease_engine_timeout_ms(const struct lease_engine *engine);

/* Held, and the term that is certainly ours has not ended: no program that follows the rules above
 * has taken it. A deletion of the object does not end the term. */
bool lease_engine_leads(const struct lease_engine *engine, int64_t now_ms);
/* When the lease as it was seen last will have been unchanged for a whole term: a holder that lives
 * and reaches the API server has renewed it by then. */
int64_t lease_engine_rests_at_ms(const struct lease_engine *engine);
/* Held as far as is known, but for a whole term no attempt to renew it has had an outcome, not even
 * a failure: this process did not run (frozen, or a machine that was paused), and another may hold
 * the lease by now. */
bool lease_engine_is_doubtful(const struct lease_engine *engine, int64_t now_ms);
/* A request is under way, or a take waits for a pause. */
bool lease_engine_is_busy(const struct lease_engine *engine);
/* Nothing is left to give back, as far as is known, or the server refuses. */
bool lease_engine_has_left(const struct lease_engine *engine);
