/*
 * Time that passes only when a test says so: timers of the client wait in a list until the test
 * moves on to the next one. A test with it takes no longer on a busy machine, and fails no oftener.
 */
#pragma once

#include "kube_server.h"

enum { TIMERS = 64 };

/* One for each client, all of one present; a frozen one's timers do not fire. */
struct virtual_clock {
    struct kube_clock clock;
    int64_t *now_ms;
    bool frozen;
    int count;
    struct {
        struct event *timer;
        int64_t due_ms;
    } timers[TIMERS];
};

static int64_t virtual_now(void *arg)
{
    struct virtual_clock *c = arg;
    return *c->now_ms;
}

static void virtual_set(void *arg, struct event *timer, int64_t ms)
{
    struct virtual_clock *c = arg;
    event_del(timer); /* it may be active already */
    for (int i = 0; i < c->count; i++)
        if (c->timers[i].timer == timer)
            c->timers[i--] = c->timers[--c->count];
    if (ms < 0)
        return;
    assert_true(c->count < TIMERS);
    c->timers[c->count].timer = timer;
    c->timers[c->count++].due_ms = *c->now_ms + ms;
}

static void virtual_clock_init(struct virtual_clock *c, int64_t *now_ms)
{
    *c = (struct virtual_clock){.now_ms = now_ms};
    c->clock = (struct kube_clock){virtual_now, virtual_set, c};
}

/* When the next timer is due, or -1. */
UNUSED static int64_t next_due_ms(const struct virtual_clock *c)
{
    int64_t next = -1;
    for (int i = 0; i < c->count && !c->frozen; i++)
        if (next < 0 || c->timers[i].due_ms < next)
            next = c->timers[i].due_ms;
    return next;
}

/* Makes every timer of this clock active whose time has come. */
UNUSED static void fire_due(struct virtual_clock *c)
{
    for (int i = 0; i < c->count && !c->frozen; i++) {
        if (c->timers[i].due_ms > *c->now_ms)
            continue;
        struct event *timer = c->timers[i].timer;
        c->timers[i--] = c->timers[--c->count];
        event_active(timer, EV_TIMEOUT, 0);
    }
}
