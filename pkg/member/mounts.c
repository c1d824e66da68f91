#include "member/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

enum { QUIET_MS = 50, COMPARE_MAX_BYTES = 4 * 1024 * 1024 };

struct mounts {
    int fd;
    const struct timer_clock *clock;
    struct event *readable, *quiet;
    void (*changed)(void *arg);
    void *arg;
};

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct mounts *mounts = arg;
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    while (read(fd, events, sizeof events) > 0)
        ; /* which file it was does not matter: all are compared */
    timer_set(mounts->clock, mounts->quiet, QUIET_MS);
}

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct mounts *mounts = arg;
    mounts->changed(mounts->arg);
}

struct mounts *mounts_new(struct event_base *loop, const struct timer_clock *clock,
                          void (*changed)(void *arg), void *arg)
{
    struct mounts *mounts = xcalloc(1, sizeof *mounts);
    mounts->clock = clock;
    mounts->changed = changed;
    mounts->arg = arg;
    mounts->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    mounts->quiet = evtimer_new(loop, on_quiet, mounts);
    if (mounts->fd >= 0) {
        mounts->readable = event_new(loop, mounts->fd, EV_READ | EV_PERSIST, on_readable, mounts);
        event_add(mounts->readable, NULL);
    }
    return mounts;
}

int mounts_add(struct mounts *mounts, const char *folder, struct error *err)
{
    uint32_t mask = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE;
    if (inotify_add_watch(mounts->fd, folder, mask) < 0)
        return err_errno(err, errno, "watch folder '%s'", folder);
    return 0;
}

void mounts_free(struct mounts *mounts)
{
    if (mounts == NULL)
        return;
    timer_freep(&mounts->readable);
    timer_free(mounts->clock, mounts->quiet);
    file_closep(&mounts->fd);
    free(mounts);
}

static bool is_same(const char *path, const void *data, size_t length, unsigned mode)
{
    AUTO_ARENA arena = arena_new();
    struct error ignored; /* what cannot be read is written again */
    struct stat st;
    char *text;
    size_t have;
    return stat(path, &st) == 0 && (st.st_mode & 07777) == mode &&
           file_read(arena, path, COMPARE_MAX_BYTES, &text, &have, &ignored) == 0 &&
           have == length && memcmp(text, data, length) == 0;
}

static int write_whole(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written < 0 && errno != EINTR)
            return -1;
        if (written > 0) {
            data += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

int mounts_write(const char *path, const void *data, size_t length, unsigned mode,
                 bool *ret_written, struct error *err)
{
    char temporary[4096];
    *ret_written = false;
    if (is_same(path, data, length, mode))
        return 0;
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        return err_set(err, ERR_INVALID, "path too long: '%s'", path);
    unlink(temporary); /* so that the mode is right before the content is in */
    AUTO_FD fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return err_errno(err, errno, "create '%s'", temporary);
    if (fchmod(fd, mode) < 0 || write_whole(fd, data, length) < 0 || rename(temporary, path) < 0) {
        int saved = errno;
        unlink(temporary);
        return err_errno(err, saved, "write '%s'", path);
    }
    *ret_written = true;
    return 0;
}
