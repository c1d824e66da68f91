/* Folders that the kubelet mounts (and swaps by renaming ..data), watched by inotify. */
#pragma once

#include "base/error.h"
#include "loop/timer.h"

struct mounts;

/* `changed` is called 50 ms after the last event in any of the folders. */
struct mounts *mounts_new(struct event_base *loop, const struct timer_clock *clock,
                          void (*changed)(void *arg), void *arg);
/* A folder that is not there is ignored; err says so for the log. */
int mounts_add(struct mounts *mounts, const char *folder, struct error *err) ERR_CHECKED;
void mounts_free(struct mounts *mounts);

/* Writes path + ".tmp" and renames: readers see the old content or the new. Not durable, and need
 * not be: for files in an emptyDir. Nothing is written when the content is the same already;
 * ret_written says. */
int mounts_write(const char *path, const void *data, size_t length, unsigned mode,
                 bool *ret_written, struct error *err) ERR_CHECKED;
