/* How long to wait before something is done again, such as what failed. Pure. */
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

/* Between least_ms and most_ms, so that many that began at the same time do not go on at the same
 * time. `random` is any number. */
static inline int64_t pause_jittered_ms(int64_t least_ms, int64_t most_ms, uint32_t random)
{
    return least_ms + random % (most_ms - least_ms + 1);
}
