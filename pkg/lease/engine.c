#include "lease/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/pause.h"

/* Parts of a term: until it is renewed, the margin of the holder, the longest wait for an answer,
 * and the shortest pause after a failure. */
enum { RENEW_PART = 3, MARGIN_PART = 3, TIMEOUT_PART = 6, PAUSE_PART = 15 };
/* A candidate's pauses between reads of a lease that another holds, and after a conflict. */
enum { LOOK_LEAST_PART = 15, LOOK_MOST_PART = 6, CONFLICT_PART = 50 };
enum { PAUSE_MS = 500, BURST = 6, REFILL_MS = 500, TAKE_BURST = 3, TAKE_REFILL_MS = 2000 };

void lease_engine_init(struct lease_engine *engine, const struct lease_engine_options *options,
                       int64_t now_ms)
{
    *engine = (struct lease_engine){
        .options = *options,
        .due_ms = -1,
        .read_due = options->candidate,
        .writes = {BURST, REFILL_MS, BURST, now_ms},
        .takes = {TAKE_BURST, TAKE_REFILL_MS, TAKE_BURST, now_ms},
    };
    snprintf(engine->identity, sizeof engine->identity, "%s", options->identity);
    engine->options.identity = NULL;
    engine->options.random |= 1; /* xorshift turns zero into zero */
}

void lease_engine_set_term(struct lease_engine *engine, int64_t term_ms)
{
    engine->options.term_ms = term_ms;
}

enum lease_state lease_state_of(const struct lease_object *object, const char *identity)
{
    size_t instance = strcspn(object->holder, "/");
    if (object->holder[0] == '\0')
        return object->epoch == 0 && !object->odd_epoch ? LEASE_FREE : LEASE_RELEASED;
    if (strcmp(object->holder, identity) == 0)
        return LEASE_HELD;
    return instance == strcspn(identity, "/") && strncmp(object->holder, identity, instance) == 0
               ? LEASE_MINE
               : LEASE_OTHER;
}

bool lease_is_given_back(const struct lease_object *object)
{
    return object->holder[0] != '\0' && strchr(object->holder, '/') == NULL;
}

static int64_t between_ms(struct lease_engine *engine, int64_t least_ms, int64_t most_ms)
{
    uint64_t *random = &engine->options.random;
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return pause_jittered_ms(least_ms, most_ms, (uint32_t)(*random >> 33));
}

int64_t lease_engine_rests_at_ms(const struct lease_engine *engine)
{
    const struct lease_engine_options *options = &engine->options;
    int64_t seconds = engine->object.seconds, most = options->term_max_ms / options->second_ms;
    int64_t term_ms = seconds < 0      ? 0
                      : seconds > most ? options->term_max_ms
                                       : seconds * options->second_ms;
    return engine->unchanged_since_ms + (term_ms > options->term_ms ? term_ms : options->term_ms);
}

static int64_t renewal_ms(const struct lease_engine *engine)
{
    return engine->sent_ms + engine->options.term_ms / RENEW_PART;
}

/* The version of an agent's lease also changes when the operator writes an annotation: only what
 * its holder writes shows that the holder lives. A lease of candidates is written by them alone, so
 * that any change counts: with a wall clock that stands still, renewTime does not change. */
static bool shows_life(const struct lease_engine *engine, const struct lease_object *object)
{
    const struct lease_object *before = &engine->object;
    if (engine->options.candidate && strcmp(object->version, before->version) != 0)
        return true;
    return engine->state == LEASE_UNKNOWN || object->epoch != before->epoch ||
           strcmp(object->holder, before->holder) != 0 ||
           strcmp(object->renewed, before->renewed) != 0;
}

/* When the object is deleted, its last holder may lead until its term ends: others_until_ms. */
static void note(struct lease_engine *engine, const struct lease_object *object, int64_t now_ms)
{
    static const struct lease_object nothing;
    bool held_before = engine->state == LEASE_HELD;
    if (object == NULL && engine->state == LEASE_OTHER)
        engine->others_until_ms = lease_engine_rests_at_ms(engine);
    if (shows_life(engine, object ? object : &nothing))
        engine->unchanged_since_ms = now_ms;
    engine->object = object ? *object : nothing;
    engine->state = object ? lease_state_of(object, engine->identity) : LEASE_ABSENT;
    if (engine->object.epoch > engine->seen_epoch)
        engine->seen_epoch = engine->object.epoch;
    if (engine->state != LEASE_HELD) {
        engine->due_ms = -1;
        return;
    }
    if (engine->object.epoch > engine->held_epoch)
        engine->held_epoch = engine->object.epoch;
    if (!held_before) {
        /* It may be from an earlier process with the same identity, and about to expire. */
        engine->heard_ms = now_ms;
        engine->due_ms = engine->doing == LEASE_DO_NOTHING ? now_ms : renewal_ms(engine);
    }
}

/* resourceVersions of one object grow: what the watch delivers late must not undo what the answer
 * to a write has shown already, nor the reverse. */
static bool is_stale(const struct lease_engine *engine, const struct lease_object *object)
{
    return strtoull(object->version, NULL, 10) < strtoull(engine->object.version, NULL, 10);
}

bool lease_engine_see(struct lease_engine *engine, const struct lease_object *object, bool listing,
                      int64_t now_ms)
{
    if (object != NULL && !listing && is_stale(engine, object))
        return false;
    note(engine, object, now_ms);
    return true;
}

/* We decide when to try again, because the server's Retry-After may be longer than the term. */
static int64_t pause_ms(struct lease_engine *engine, int64_t retry_after_ms)
{
    int64_t term_ms = engine->options.term_ms;
    int64_t least_ms = term_ms / PAUSE_PART, most_ms = term_ms / TIMEOUT_PART;
    if (engine->options.candidate && engine->state != LEASE_HELD)
        return between_ms(engine, 2 * least_ms, 2 * least_ms + 2 * least_ms / 5);
    least_ms = least_ms < PAUSE_MS ? least_ms : PAUSE_MS;
    int64_t asked_ms = retry_after_ms < most_ms ? retry_after_ms : most_ms;
    return asked_ms > least_ms ? asked_ms : least_ms;
}

static void after_read(struct lease_engine *engine, enum lease_outcome outcome,
                       const struct lease_object *object, int64_t retry_after_ms, int64_t now_ms)
{
    bool known = outcome == LEASE_DONE || outcome == LEASE_MISSING;
    if (known) {
        note(engine, outcome == LEASE_DONE ? object : NULL, now_ms);
        engine->take_unclear = false;
        engine->fresh = true;
    }
    if (!known)
        engine->due_ms = now_ms + pause_ms(engine, retry_after_ms);
    else if (engine->state == LEASE_HELD)
        engine->due_ms = now_ms;
}

/* The term counts from when the write was sent, less the margin: others count from when they see
 * it. */
static bool after_write(struct lease_engine *engine, enum lease_action done,
                        const struct lease_object *object, int64_t now_ms)
{
    bool stale = is_stale(engine, object);
    engine->taking = engine->take_unclear = false;
    if (!stale)
        note(engine, object, now_ms);
    if (engine->state != LEASE_HELD)
        return !stale;
    if (done != LEASE_DO_GIVE_BACK)
        engine->until_ms =
            engine->sent_ms + engine->options.term_ms - engine->options.term_ms / MARGIN_PART;
    engine->due_ms = engine->leaving ? now_ms
                     : engine->again ? now_ms + bucket_wait_ms(&engine->writes, now_ms)
                                     : renewal_ms(engine);
    /* If answers take that long, there is still a pause. */
    if (!engine->leaving && engine->due_ms <= now_ms && !engine->again)
        engine->due_ms = now_ms + 1;
    engine->again = false;
    return !stale;
}

bool lease_engine_answer(struct lease_engine *engine, enum lease_outcome outcome,
                         const struct lease_object *object, int64_t retry_after_ms, int64_t now_ms)
{
    enum lease_action done = engine->doing;
    engine->doing = LEASE_DO_NOTHING;
    engine->heard_ms = engine->sent_ms;
    engine->unanswered = outcome == LEASE_UNANSWERED;
    if (done == LEASE_DO_READ) {
        after_read(engine, outcome, object, retry_after_ms, now_ms);
        return true;
    }
    engine->refused = outcome == LEASE_REFUSED;
    switch (outcome) {
    case LEASE_DONE:
        return after_write(engine, done, object, now_ms);
    case LEASE_CONFLICT:
    case LEASE_MISSING:
        /* When several candidates tried at once, one of them has it by now; the others wait. */
        engine->read_due = !engine->options.candidate || engine->state == LEASE_HELD;
        if (!engine->read_due)
            engine->due_ms =
                now_ms + between_ms(engine, engine->options.term_ms / CONFLICT_PART / 2,
                                    engine->options.term_ms / CONFLICT_PART);
        return true;
    case LEASE_UNANSWERED:
        if (done == LEASE_DO_TAKE || done == LEASE_DO_CREATE)
            engine->take_unclear = true;
        engine->read_due = engine->take_unclear && engine->leaving;
        break;
    case LEASE_REFUSED:
    case LEASE_FAILED:
        break;
    }
    engine->due_ms = now_ms + pause_ms(engine, retry_after_ms);
    return true;
}

void lease_engine_take(struct lease_engine *engine, int64_t at_least)
{
    if (engine->doing != LEASE_DO_NOTHING || engine->read_due)
        return;
    engine->take_asked = engine->taking = true;
    engine->at_least = at_least;
}

void lease_engine_renew_soon(struct lease_engine *engine, int64_t now_ms)
{
    if (engine->doing != LEASE_DO_NOTHING) /* its end sets due_ms */
        engine->again = true;
    else if (engine->state == LEASE_HELD)
        engine->due_ms = now_ms + bucket_wait_ms(&engine->writes, now_ms);
}

void lease_engine_leave(struct lease_engine *engine, int64_t last_epoch, int64_t now_ms)
{
    engine->last_epoch = last_epoch;
    if (!engine->leaving && engine->doing == LEASE_DO_NOTHING && engine->state == LEASE_HELD)
        engine->due_ms = now_ms;
    /* A take without an answer may have succeeded. */
    engine->read_due |= !engine->leaving && engine->take_unclear;
    engine->leaving = true; /* waits for a write under way, which could be stored after ours */
}

static enum lease_action begin(struct lease_engine *engine, enum lease_action action,
                               int64_t now_ms)
{
    engine->doing = action;
    engine->sent_ms = now_ms;
    engine->read_due = engine->fresh = engine->take_asked = false;
    if (action != LEASE_DO_READ)
        bucket_spend(&engine->writes);
    return action;
}

static enum lease_action asked_take(struct lease_engine *engine, int64_t now_ms)
{
    int wait_ms = bucket_wait_ms(&engine->takes, now_ms);
    engine->take_asked = false;
    if (wait_ms > 0) {
        engine->due_ms = now_ms + wait_ms; /* the owner asks again then */
        return LEASE_DO_NOTHING;
    }
    bucket_spend(&engine->takes);
    return begin(engine, LEASE_DO_TAKE, now_ms);
}

/* After a read: a lease that is not held, or was not renewed for a whole term, is taken. */
static enum lease_action candidate_next(struct lease_engine *engine, int64_t now_ms)
{
    if (!engine->fresh)
        return now_ms >= engine->due_ms ? begin(engine, LEASE_DO_READ, now_ms) : LEASE_DO_NOTHING;
    engine->fresh = false;
    bool absent = engine->state == LEASE_ABSENT;
    int64_t left_ms =
        (absent ? engine->others_until_ms : lease_engine_rests_at_ms(engine)) - now_ms;
    if (engine->state == LEASE_FREE || engine->state == LEASE_RELEASED || left_ms <= 0)
        return begin(engine, absent ? LEASE_DO_CREATE : LEASE_DO_TAKE, now_ms);
    int64_t term_ms = engine->options.term_ms;
    int64_t look_ms = between_ms(engine, 2 * term_ms / LOOK_LEAST_PART, term_ms / LOOK_MOST_PART);
    engine->due_ms = now_ms + (left_ms < look_ms ? left_ms : look_ms);
    return LEASE_DO_NOTHING;
}

static bool has_nothing_to_leave(const struct lease_engine *engine)
{
    return engine->state != LEASE_HELD || engine->object.epoch > engine->last_epoch;
}

enum lease_action lease_engine_next(struct lease_engine *engine, int64_t now_ms)
{
    if (engine->doing != LEASE_DO_NOTHING)
        return LEASE_DO_NOTHING;
    if (engine->read_due)
        return begin(engine, LEASE_DO_READ, now_ms);
    if (engine->take_asked)
        return asked_take(engine, now_ms);
    bool due = engine->due_ms >= 0 && now_ms >= engine->due_ms;
    if (due)
        engine->taking = false;
    if (engine->state == LEASE_HELD && engine->leaving)
        return due && !has_nothing_to_leave(engine) ? begin(engine, LEASE_DO_GIVE_BACK, now_ms)
                                                    : LEASE_DO_NOTHING;
    if (engine->state == LEASE_HELD)
        return due ? begin(engine, LEASE_DO_RENEW, now_ms) : LEASE_DO_NOTHING;
    if (due && engine->leaving && engine->take_unclear)
        return begin(engine, LEASE_DO_READ, now_ms);
    if (engine->options.candidate && !engine->leaving)
        return candidate_next(engine, now_ms);
    if (due)
        engine->due_ms = -1; /* the pause after a failed attempt to take it is over */
    return LEASE_DO_NOTHING;
}

int64_t lease_engine_next_epoch(const struct lease_engine *engine)
{
    int64_t epoch = engine->object.epoch;
    return (engine->at_least > epoch ? engine->at_least : epoch) + 1;
}

int64_t lease_engine_due_ms(const struct lease_engine *engine)
{
    bool rests = engine->leaving && has_nothing_to_leave(engine) && !engine->take_unclear;
    return engine->doing == LEASE_DO_NOTHING && !rests ? engine->due_ms : -1;
}

int64_t lease_engine_timeout_ms(const struct lease_engine *engine)
{
    return engine->options.term_ms / TIMEOUT_PART;
}

bool lease_engine_leads(const struct lease_engine *engine, int64_t now_ms)
{
    bool ours = engine->state == LEASE_HELD || engine->state == LEASE_ABSENT;
    return ours && !engine->leaving && now_ms < engine->until_ms;
}

bool lease_engine_is_doubtful(const struct lease_engine *engine, int64_t now_ms)
{
    return engine->state == LEASE_HELD && now_ms - engine->heard_ms > engine->options.term_ms;
}

bool lease_engine_is_busy(const struct lease_engine *engine)
{
    bool pauses = engine->state != LEASE_HELD || engine->taking;
    return engine->doing != LEASE_DO_NOTHING || engine->read_due || (pauses && engine->due_ms >= 0);
}

bool lease_engine_has_left(const struct lease_engine *engine)
{
    if (engine->refused)
        return true;
    return has_nothing_to_leave(engine) && engine->doing == LEASE_DO_NOTHING && !engine->read_due &&
           !engine->take_unclear;
}
