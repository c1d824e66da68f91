/*
 * A loop that runs until something happened, and time that passes only when a test says so: timers
 * wait in a list until the test moves on to the next one. A test with it takes no longer on a busy
 * machine, and fails no oftener.
 */
#pragma once

#include "test.h"

#include <stdbool.h>

#include <event2/event.h>

#include "base/clock.h"
#include "loop/timer.h"

#define UNUSED __attribute__((unused))

/* libevent reads a coarse clock: its timers may come early by so much. */
enum { DEADLINE_S = 60, TIMER_SLACK_MS = 10 };

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

/* Runs the loop until *flag is at least `wanted` or so many milliseconds passed. */
UNUSED static bool run_loop(struct event_base *loop, const int *flag, int wanted, int64_t limit_ms)
{
    int64_t end_ms = clock_boot_ms() + limit_ms;
    struct event *tick = event_new(loop, -1, EV_PERSIST, on_tick, NULL);
    event_add(tick, &(struct timeval){0, 5000});
    while (*flag < wanted && clock_boot_ms() < end_ms)
        event_base_loop(loop, EVLOOP_ONCE);
    event_free(tick);
    return *flag >= wanted;
}

/* A test that gets stuck fails here. */
UNUSED static void run_until(struct event_base *loop, const int *flag, int wanted)
{
    if (!run_loop(loop, flag, wanted, DEADLINE_S * 1000))
        fail_msg("the deadline passed: %d of %d", *flag, wanted);
}

/* Lets the loop run for a while, to see that something does not happen. */
UNUSED static void run_for_ms(struct event_base *loop, int ms)
{
    const int never = 0;
    (void)run_loop(loop, &never, 1, ms);
}

enum { TIMERS = 64 };

/* One for each client, all of one present; a frozen one's timers do not fire. */
struct virtual_clock {
    struct timer_clock clock;
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

static bool virtual_is_set(void *arg, const struct event *timer)
{
    const struct virtual_clock *c = arg;
    for (int i = 0; i < c->count; i++)
        if (c->timers[i].timer == timer)
            return true;
    return event_pending(timer, EV_TIMEOUT, NULL) != 0; /* fired, but its callback has not run */
}

UNUSED static void virtual_clock_init(struct virtual_clock *c, int64_t *now_ms)
{
    *c = (struct virtual_clock){.now_ms = now_ms};
    c->clock = (struct timer_clock){virtual_now, virtual_set, virtual_is_set, c};
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
