#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void file_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int file_read(struct arena *arena, const char *path, size_t limit, char **ret_text,
              size_t *ret_length, struct error *err)
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open '%s'", path);
    size_t have = 0, room = 4096;
    char *data = arena_alloc(arena, room);
    for (;;) {
        if (have + 1 >= room) {
            data = arena_grow(arena, data, room, room * 2);
            room *= 2;
        }
        ssize_t got = read(fd, data + have, room - have - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "read '%s'", path);
        if (got == 0)
            break;
        have += (size_t)got;
        if (have > limit)
            return err_set(err, ERR_INVALID, "'%s' is larger than %zu bytes", path, limit);
    }
    data[have] = '\0';
    *ret_text = data;
    if (ret_length != NULL)
        *ret_length = have;
    return 0;
}

static int write_and_sync(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        data += written;
        length -= (size_t)written;
    }
    return fsync(fd);
}

int file_sync_dir(const char *path, struct error *err)
{
    AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open '%s'", path);
    if (fsync(fd) < 0)
        return err_errno(err, errno, "fsync '%s'", path);
    return 0;
}

int file_write_atomic(const char *path, const void *data, size_t length, mode_t mode,
                      struct error *err)
{
    char temporary[4096], parent[4096];
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        return err_set(err, ERR_INVALID, "path too long: '%s'", path);
    AUTO_FD fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return err_errno(err, errno, "create '%s'", temporary);
    if (fchmod(fd, mode) < 0 || write_and_sync(fd, data, length) < 0) {
        int saved = errno;
        unlink(temporary);
        return err_errno(err, saved, "write '%s'", temporary);
    }
    if (rename(temporary, path) < 0)
        return err_errno(err, errno, "rename '%s' to '%s'", temporary, path);
    snprintf(parent, sizeof parent, "%s", path);
    return file_sync_dir(dirname(parent), err);
}
