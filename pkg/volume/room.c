#include "volume/room.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "api/reports.h"

#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)

/* A server cannot go on without another segment of WAL, 16 MiB, and a crash recovery writes, too.
 */
#define FULL_BELOW       (32 * MIB)
#define FULL_UNTIL       (48 * MIB)
#define FILLING_AT_MOST  (50 * GIB)
#define FILLING_AT_LEAST (64 * MIB)

enum { FILLING_PERCENT = 15, STEPS = 20, FIGURES_BURST = 4, FIGURES_EVERY_MS = 60 * 1000 };

static const char *const names[] = {
    [ROOM_UNREAD] = "",
    [ROOM_UNKNOWN] = REPORT_ROOM_UNKNOWN,
    [ROOM_ENOUGH] = REPORT_ROOM_ENOUGH,
    [ROOM_FILLING] = REPORT_ROOM_FILLING,
    [ROOM_FULL] = REPORT_ROOM_FULL,
};

const char *room_level_name(enum room_level level)
{
    return names[level];
}

static int64_t filling_below(int64_t capacity_bytes)
{
    int64_t below = capacity_bytes / 100 * FILLING_PERCENT;
    return below < FILLING_AT_LEAST  ? FILLING_AT_LEAST
           : below > FILLING_AT_MOST ? FILLING_AT_MOST
                                     : below;
}

static enum room_level level_of(enum room_level before, const struct room_reading *reading)
{
    int64_t available = reading->available_bytes, below = filling_below(reading->capacity_bytes);
    if (reading->error != 0)
        return ROOM_UNKNOWN;
    if (reading->no_inodes || available < (before == ROOM_FULL ? FULL_UNTIL : FULL_BELOW))
        return ROOM_FULL;
    if (before == ROOM_FILLING || before == ROOM_FULL)
        below += below / 4;
    return available < below ? ROOM_FILLING : ROOM_ENOUGH;
}

static bool differs(int64_t a, int64_t b, int64_t step)
{
    return a - b >= step || b - a >= step;
}

/* A level is told at once; figures only when they moved by a step, and not too often: each is a
 * write of the pod's report. */
bool room_judge(struct room *room, const struct room_reading *reading, int64_t now_ms)
{
    enum room_level level = level_of(room->level, reading);
    const struct room_reading *reported = &room->reported;
    int64_t step = reported->capacity_bytes / STEPS > 0 ? reported->capacity_bytes / STEPS : 1;
    bool other_size = differs(reading->capacity_bytes, reported->capacity_bytes, step);
    bool other_use = differs(reading->used_bytes, reported->used_bytes, step) ||
                     differs(reading->available_bytes, reported->available_bytes, step);
    if (room->level == ROOM_UNREAD)
        room->figures = (struct bucket){FIGURES_BURST, FIGURES_EVERY_MS, FIGURES_BURST, now_ms};
    if (level == room->level) {
        bool moved = level != ROOM_UNKNOWN && (other_size || other_use);
        if (!moved || bucket_wait_ms(&room->figures, now_ms) > 0)
            return false;
        bucket_spend(&room->figures);
    }
    room->level = level;
    room->reported = *reading;
    return true;
}

struct room_reading room_read(const char *path)
{
    struct statvfs found;
    if (statvfs(path, &found) < 0)
        return (struct room_reading){.error = errno};
    int64_t block = (int64_t)(found.f_frsize ? found.f_frsize : found.f_bsize);
    return (struct room_reading){
        .error = found.f_blocks == 0 ? ENODATA : 0,
        .capacity_bytes = (int64_t)found.f_blocks * block,
        .used_bytes = (int64_t)(found.f_blocks - found.f_bfree) * block,
        .available_bytes = (int64_t)found.f_bavail * block,
        .no_inodes = found.f_files > 0 && found.f_favail == 0,
    };
}
