/* libevent timers in milliseconds. */
#pragma once

#include <event2/event.h>
#include <stdint.h>

static inline void timer_arm(struct event *timer, int ms)
{
    struct timeval tv = {ms / 1000, (ms % 1000) * 1000};
    event_add(timer, &tv);
}

/* ms from now_ms until at_ms; -1 when at_ms had been reached already at looked_ms, the moment from
 * which all that depends on it was decided. One that passes between the two is due at once: it is
 * seen by nobody else. */
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
