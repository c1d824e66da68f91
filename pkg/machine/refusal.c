#include "machine/refusal.h"

#include <stdio.h>
#include <string.h>

void refusal_note(struct refusal *refusal, enum refused what, int64_t now_ms)
{
    if (refusal->what != what)
        *refusal = (struct refusal){.what = what, .first_ms = now_ms};
    refusal->count++;
    refusal->last_ms = now_ms;
}

void refusal_look(struct refusal *refusal, int64_t look_ms, int64_t receiver_since_ms, bool heard)
{
    if (refusal->what == REFUSED_NOTHING || look_ms <= refusal->last_ms)
        return;
    if (receiver_since_ms == 0 || !heard)
        refusal->missed_ms = look_ms;
    else if (look_ms - receiver_since_ms >= REFUSAL_STEADY_MS)
        *refusal = (struct refusal){0};
}

bool refusal_stands(const struct refusal *refusal)
{
    return refusal->what != REFUSED_NOTHING && refusal->missed_ms > refusal->first_ms;
}

bool refusal_is_of_wal(const struct refusal *refusal)
{
    return refusal->what == REFUSED_WAL && refusal->count > 1 &&
           refusal->missed_ms - refusal->first_ms >= REFUSAL_GONE_MS;
}

/* 0 when it is none. */
static uint64_t read_lsn(const char *text)
{
    unsigned int high, low;
    int end = 0;
    if (sscanf(text, "%8X/%8X%n", &high, &low, &end) != 2 || text[end] != '\0')
        return 0;
    return (uint64_t)high << 32 | low;
}

bool refusal_is_confirmed(const struct refusal *refusal, const struct refusal_slot *slot,
                          const char *have_lsn)
{
    if (refusal->what != REFUSED_WAL || slot->read_ms <= refusal->first_ms)
        return false;
    uint64_t have = read_lsn(have_lsn), kept = read_lsn(slot->restart_lsn);
    return strcmp(slot->status, "lost") == 0 || (have != 0 && kept > have);
}
