/*
 * How often something may be written: a burst at once, then one per refill_ms. A start causes a
 * handful of changes within a second, and something waits for each of them; what flaps for hours is
 * slowed down. Pure: `now_ms` (CLOCK_BOOTTIME) is an argument.
 */
#pragma once

#include <stdint.h>

struct bucket {
    int burst, refill_ms; /* set by the owner, with `tokens` = burst */
    int tokens;
    int64_t refilled_ms;
};

/* Milliseconds until one may be written; 0: now. */
static inline int bucket_wait_ms(struct bucket *bucket, int64_t now_ms)
{
    int64_t earned = (now_ms - bucket->refilled_ms) / bucket->refill_ms;
    if (earned > 0) {
        int64_t room = bucket->burst - bucket->tokens;
        bucket->tokens += (int)(earned < room ? earned : room);
        bucket->refilled_ms += earned * bucket->refill_ms;
    }
    return bucket->tokens > 0 ? 0 : (int)(bucket->refilled_ms + bucket->refill_ms - now_ms);
}

static inline void bucket_spend(struct bucket *bucket)
{
    bucket->tokens -= bucket->tokens > 0;
}
