/* Whole folder trees, made durable or removed. These block: call them from a task (child.h). */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* Makes everything below `path` durable, symbolic links to folders (pg_wal, tablespaces) followed
 * one level: by syncfs() of each file system met, or file by file where syncfs() cannot be trusted.
 * The difference is seconds on a disk that needs milliseconds for each fsync. */
int tree_sync(const char *path, struct error *err) ERR_CHECKED;
/* Only since Linux 5.8 does syncfs() report that writing back failed. */
bool tree_can_syncfs(void);
/* Removes the tree; symbolic links are removed, never followed. Nothing there is fine. */
int tree_remove(const char *path, struct error *err) ERR_CHECKED;
