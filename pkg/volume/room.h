/*
 * How full a volume is, as it is told: coarse, and with hysteresis, so that a cluster at rest
 * writes nothing and a busy one seldom. Pure: readings and `now` come in.
 *
 *   filling  less than 15 % is available, but never told above 50 GiB and always below 64 MiB
 *   full     less than two segments of WAL (32 MiB) are available, or no inode is
 *
 * Each is left with a quarter (full: a half) more than it is entered with. Figures alone are told
 * when they differ by a twentieth of the capacity: a few times at once, then once a minute.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "loop/bucket.h"

enum room_level {
    ROOM_UNREAD,  /* not looked at yet */
    ROOM_UNKNOWN, /* the file system does not answer, or with an error */
    ROOM_ENOUGH,
    ROOM_FILLING,
    ROOM_FULL,
};

struct room_reading { /* of statvfs(), for the agent's own uid */
    int error;        /* errno, or 0 */
    int64_t capacity_bytes, used_bytes, available_bytes;
    bool no_inodes; /* room for bytes, but not for another file */
};

struct room {
    enum room_level level;
    struct room_reading reported;
    struct bucket figures;
};

/* Takes a reading in; true when what is told has changed. */
bool room_judge(struct room *room, const struct room_reading *reading, int64_t now_ms);

const char *room_level_name(enum room_level level); /* as reports have it; "" for ROOM_UNREAD */

/* Reads it; blocks for as long as the file system does not answer. */
struct room_reading room_read(const char *path);
