/* What pg_controldata (run with LC_ALL=C) says of a data directory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* A standby refuses to start, or pauses, with less than its primary had:
 * https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-ADMIN */
enum standby_limit {
    LIMIT_MAX_CONNECTIONS,
    LIMIT_MAX_WORKER_PROCESSES,
    LIMIT_MAX_WAL_SENDERS,
    LIMIT_MAX_PREPARED_TRANSACTIONS,
    LIMIT_MAX_LOCKS_PER_TRANSACTION,
    STANDBY_LIMITS
};

struct controldata {
    char system_identifier[24];
    char state[40]; /* "in production", "shut down", "shut down in recovery" */
    int timeline;
    int checksum_version; /* 0: no data checksums */
    int64_t limits[STANDBY_LIMITS];
};

/* "max_connections" etc. */
const char *controldata_limit_name(enum standby_limit limit);
int controldata_parse(const char *output, struct controldata *ret_data,
                      struct error *err) ERR_CHECKED;
