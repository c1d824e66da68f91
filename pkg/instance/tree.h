/* Whole folder trees, made durable or removed. These block: call them from a task (child.h). */
#pragma once

#include "base/error.h"

/* fsync of every file and folder below `path`, symbolic links to folders followed one level (pg_wal,
 * tablespaces). Write-back is started for all files first, so that the disk sees one long queue. */
int tree_sync(const char *path, struct error *err);
/* Removes the tree; symbolic links are removed, never followed. Nothing there is fine. */
int tree_remove(const char *path, struct error *err);
