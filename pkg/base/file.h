/* Reads and writes whole small files. A crash leaves the old content or the new, never a part. */
#pragma once

#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"

/* Reads at most limit bytes; more is ERR_INVALID. The text has a NUL after its ret_length bytes
 * (ret_length may be NULL). */
int file_read(struct arena *arena, const char *path, size_t limit, char **ret_text,
              size_t *ret_length, struct error *err) ERR_CHECKED;
/* Writes path + ".tmp", fsyncs, renames, fsyncs the folder. */
int file_write_atomic(const char *path, const void *data, size_t length, mode_t mode,
                      struct error *err) ERR_CHECKED;
/* fsyncs a folder, so that a rename in it survives a power failure. */
int file_sync_dir(const char *path, struct error *err) ERR_CHECKED;

void file_closep(int *fd);
#define AUTO_FD __attribute__((cleanup(file_closep))) int
