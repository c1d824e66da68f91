/* libevent timers in milliseconds. */
#pragma once

#include <event2/event.h>

static inline void timer_arm(struct event *timer, int ms)
{
    struct timeval tv = {ms / 1000, (ms % 1000) * 1000};
    event_add(timer, &tv);
}

static inline void timer_freep(struct event **timer)
{
    if (*timer != NULL)
        event_free(*timer);
    *timer = NULL;
}
