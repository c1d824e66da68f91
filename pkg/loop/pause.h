/* How long to wait before something that failed is tried again. Pure. */
#pragma once

#include <stdint.h>

/* first_ms, doubled `doublings` times, but never more than longest_ms. */
static inline int64_t pause_doubled_ms(int64_t first_ms, int64_t longest_ms, int doublings)
{
    int64_t pause_ms = first_ms;
    for (int i = 0; i < doublings && pause_ms < longest_ms; i++)
        pause_ms *= 2;
    return pause_ms < longest_ms ? pause_ms : longest_ms;
}
