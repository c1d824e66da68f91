/* libevent timers in milliseconds, and a clock that tests can replace. */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* Replaces the machine's clock. Wherever one is an argument, NULL is the machine's own. */
struct timer_clock {
    int64_t (*now_ms)(void *arg);
    /* Makes the timer active on its loop when the time has come; ms < 0 cancels it. */
    void (*set_timer)(void *arg, struct event *timer, int64_t ms);
    bool (*is_set)(void *arg, const struct event *timer); /* until its callback runs */
    void *arg;
};

/* Sets the timer in place of an earlier setting. Also sets the timeout of an event on a
 * descriptor. */
static inline void timer_arm(struct event *timer, int ms)
{
    struct timeval after = {ms / 1000, ms % 1000 * 1000};
    event_add(timer, &after);
}

/* Calls back once. It cannot be stopped: arg must live until then, or the loop end before. */
static inline void timer_once(struct event_base *loop, int ms, event_callback_fn callback,
                              void *arg)
{
    struct timeval after = {ms / 1000, ms % 1000 * 1000};
    event_base_once(loop, -1, EV_TIMEOUT, callback, arg, &after);
}

/* CLOCK_BOOTTIME. */
static inline int64_t timer_now_ms(const struct timer_clock *clock)
{
    return clock != NULL ? clock->now_ms(clock->arg) : clock_boot_ms();
}

/* Sets the timer in place of an earlier setting, or stops it when ms < 0. */
static inline void timer_set(const struct timer_clock *clock, struct event *timer, int64_t ms)
{
    struct timeval after = {ms / 1000, ms % 1000 * 1000};
    if (clock != NULL)
        clock->set_timer(clock->arg, timer, ms);
    else if (ms < 0)
        event_del(timer);
    else
        event_add(timer, &after);
}

/* True from timer_set() until its callback runs. */
static inline bool timer_is_set(const struct timer_clock *clock, const struct event *timer)
{
    return clock != NULL ? clock->is_set(clock->arg, timer)
                         : event_pending(timer, EV_TIMEOUT, NULL) != 0;
}

/* Stops and frees it. NULL is fine. */
static inline void timer_free(const struct timer_clock *clock, struct event *timer)
{
    if (timer == NULL)
        return;
    timer_set(clock, timer, -1);
    event_free(timer);
}

/* ms from now_ms until at_ms; -1 when at_ms had passed already at looked_ms, the time by which
 * everything was decided. If it passed after that, the timer is due at once, because nothing else
 * notices it. */
static inline int64_t timer_wait_ms(int64_t at_ms, int64_t looked_ms, int64_t now_ms)
{
    if (at_ms <= looked_ms)
        return -1;
    return at_ms > now_ms ? at_ms - now_ms : 0;
}

static inline void timer_freep(struct event **timer)
{
    if (*timer != NULL)
        event_free(*timer);
    *timer = NULL;
}
