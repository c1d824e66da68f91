/*
 * The only place that reads clocks. Pure rooms take `now` as an argument. Deadlines use
 * CLOCK_BOOTTIME, which also counts the time while a machine sleeps. Wall clocks are for people and
 * are never compared between machines.
 */
#pragma once

#include <stdint.h>

#include "base/arena.h"

int64_t clock_boot_ms(void);
int64_t clock_wall_ms(void); /* since 1970, UTC */

/* RFC 3339 in UTC: 2026-01-31T23:59:59Z (metav1.Time), and with microseconds (metav1.MicroTime). */
char *clock_rfc3339(struct arena *arena, int64_t wall_ms);
char *clock_rfc3339_micro(struct arena *arena, int64_t wall_ms);
/* Milliseconds since 1970, or -1 when the text is not an RFC 3339 time. */
int64_t clock_parse_rfc3339(const char *text);
