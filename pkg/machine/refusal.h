/*
 * What the primary refuses this replica for good, and how far that is believed. It is reported by a
 * line in the replica's own log, into which many can write: a line alone decides nothing. It counts
 * once checks of the server find no WAL receiver at work; a copy is given up only when the
 * primary's own report, which comes another way, says that it keeps no WAL for it. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { REFUSAL_STEADY_MS = 1500, REFUSAL_GONE_MS = 3000 };

enum refused {
    REFUSED_NOTHING,
    REFUSED_WAL,    /* it has removed WAL that the replica needs */
    REFUSED_SYSTEM, /* it has another system identifier */
};

struct refusal {
    enum refused what;
    int count;        /* how often it was told */
    int64_t first_ms; /* CLOCK_BOOTTIME, as below */
    int64_t last_ms;
    int64_t missed_ms; /* the last look since first_ms that met no receiver at work */
};

/* The last message of the WAL receiver said so. */
void refusal_note(struct refusal *refusal, enum refused what, int64_t now_ms);
/* A look at the server at `look_ms` met the WAL receiver that streams since `receiver_since_ms` (0:
 * none); `heard`: the primary has sent it something. A receiver that was sent nothing does not
 * count: it calls itself streaming before the primary has answered, and a refusal may still come.
 * One that was sent something and has streamed for REFUSAL_STEADY_MS was not refused. */
void refusal_look(struct refusal *refusal, int64_t look_ms, int64_t receiver_since_ms, bool heard);
/* Told, and no receiver at work was met since. */
bool refusal_stands(const struct refusal *refusal);
/* WAL is gone: told again and again, for REFUSAL_GONE_MS, without a receiver in between. */
bool refusal_is_of_wal(const struct refusal *refusal);

/* What the primary's report says of this instance's slot. */
struct refusal_slot {
    const char *status;      /* wal_status, "" when it shows no slot */
    const char *restart_lsn; /* "" when it keeps no WAL */
    int64_t read_ms;         /* when the report came */
};
/* A report that came since it was told says that the slot is lost, or keeps only WAL from beyond
 * where this replica's own ends (`have_lsn`): then it was made again. */
bool refusal_is_confirmed(const struct refusal *refusal, const struct refusal_slot *slot,
                          const char *have_lsn);
