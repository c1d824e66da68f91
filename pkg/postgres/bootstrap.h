/* How initdb and pg_basebackup are called, and what the latter says of its progress. Pure. */
#pragma once

#include "api/reports.h"
#include "postgres/binaries.h"
#include "volume/volume.h"

/* Both leave fsync to volume_commit(), which does it once for everything. */
const char *const *bootstrap_initdb(struct arena *arena, const struct binaries *binaries,
                                    const struct volume *volume,
                                    const struct cluster_config *config);
const char *const *bootstrap_clone(struct arena *arena, const struct binaries *binaries,
                                   const struct volume *volume, const char *conninfo,
                                   const char *slot);

struct bootstrap_progress {
    int64_t done_kb, total_kb;
    int percent; /* 0..100 */
};

/* The last progress line in a piece of pg_basebackup's output: " 1024/4096 kB (25%), 0/1
 * tablespace". false when there is none. */
bool bootstrap_read_progress(const char *output, struct bootstrap_progress *ret_progress);
/* "copied 25 % of 12.3 GiB", in steps of 5 %. */
char *bootstrap_progress_text(struct arena *arena, const struct bootstrap_progress *progress);
