/*
 * pgkeel install DIR: copies the running file to DIR/pgkeel, for pods whose server cannot mount the
 * operator's image as a volume: an init container runs it over an emptyDir that the PostgreSQL
 * container then executes from. It must work in any image, as any uid, with nothing else around.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "pgkeel/verb.h"

static const char target_name[] = "pgkeel";
/* One name for all runs, under a lock on the folder: the next run replaces what a killed one
 * left. */
static const char temporary_name[] = ".pgkeel.new";
enum { CHUNK_BYTES = 128 * 1024, TARGET_MODE = 0755 };

static ERR_CHECKED int open_self(struct error *err)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    /* A bare chroot has no /proc; the kernel also gives every process the path of its program. */
    if (fd < 0 && errno == ENOENT)
        fd = open((const char *)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open the running program to copy it");
    return fd;
}

static ERR_CHECKED int open_folder(const char *folder, struct error *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    const char *remedy = errno == ENOENT    ? "mount a volume there, or create the folder"
                         : errno == ENOTDIR ? "give the folder, not the file"
                                            : "check its owner and mode";
    return err_errno(err, errno, "open folder '%s' (%s)", folder, remedy);
}

/* Why a write failed, in terms of what the reader can change. */
static ERR_CHECKED int refuse_write(const char *folder, const char *step, int errno_value,
                                    struct error *err)
{
    switch (errno_value) {
    case EROFS:
        return err_errno(err, EROFS, "%s '%s/%s' (mount the volume without readOnly)", step, folder,
                         target_name);
    case EACCES:
    case EPERM:
        return err_errno(err, errno_value,
                         "%s '%s/%s' (uid %ld, gid %ld may not write there: set fsGroup for the "
                         "pod, or change the mode of the folder)",
                         step, folder, target_name, (long)geteuid(), (long)getegid());
    case ENOSPC:
    case EDQUOT:
        return err_errno(err, errno_value,
                         "%s '%s/%s' (enlarge the volume or its sizeLimit; 16Mi is enough)", step,
                         folder, target_name);
    case EISDIR:
        return err_errno(err, EISDIR, "%s '%s/%s' (there is a folder of that name: remove it)",
                         step, folder, target_name);
    default:
        return err_errno(err, errno_value, "%s '%s/%s'", step, folder, target_name);
    }
}

/* Fills `buffer` unless the file ends; the number of bytes, or -1 with errno. */
static ssize_t read_full(int fd, char *buffer, size_t size)
{
    size_t have = 0;
    while (have < size) {
        ssize_t n = read(fd, buffer + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static int write_full(int fd, const char *buffer, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, buffer, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        buffer += n;
        size -= (size_t)n;
    }
    return 0;
}

/* True when DIR/pgkeel is this very file already: a second run writes nothing, so that it also
 * passes where the volume has become read-only or full. */
static bool is_installed(int self, int folder_fd)
{
    static char ours[CHUNK_BYTES], theirs[CHUNK_BYTES];
    struct stat a, b;
    AUTO_FD fd = openat(folder_fd, target_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &b) < 0 || fstat(self, &a) < 0)
        return false;
    if (!S_ISREG(b.st_mode) || (b.st_mode & 07777) != TARGET_MODE || a.st_size != b.st_size)
        return false;
    for (;;) {
        ssize_t n = read_full(self, ours, sizeof ours);
        if (n < 0 || read_full(fd, theirs, sizeof theirs) != n)
            return false;
        if (n == 0)
            return true;
        if (memcmp(ours, theirs, (size_t)n) != 0)
            return false;
    }
}

static ERR_CHECKED int copy_to_temporary(int self, int fd, const char *folder, struct error *err)
{
    static char buffer[CHUNK_BYTES];
    if (lseek(self, 0, SEEK_SET) < 0)
        return err_errno(err, errno, "read the running program from its start");
    for (;;) {
        ssize_t n = read_full(self, buffer, sizeof buffer);
        if (n < 0)
            return err_errno(err, errno, "read the running program");
        if (n == 0)
            break;
        if (write_full(fd, buffer, (size_t)n) < 0)
            return refuse_write(folder, "write", errno, err);
    }
    /* On the disk before the rename: what is found under the final name is whole, also after a
     * power loss. */
    if (fchmod(fd, TARGET_MODE) < 0)
        return refuse_write(folder, "set mode 0755 of", errno, err);
    if (fsync(fd) < 0)
        return refuse_write(folder, "fsync", errno, err);
    return 0;
}

static ERR_CHECKED int replace_target(int self, int folder_fd, const char *folder,
                                      struct error *err)
{
    if (unlinkat(folder_fd, temporary_name, 0) < 0 && errno != ENOENT)
        return refuse_write(folder, "remove what an earlier run left beside", errno, err);
    AUTO_FD fd = openat(folder_fd, temporary_name,
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0700);
    if (fd < 0)
        return refuse_write(folder, "create", errno, err);
    int result = copy_to_temporary(self, fd, folder, err);
    if (result == 0 && renameat(folder_fd, temporary_name, folder_fd, target_name) < 0)
        result = refuse_write(folder, "put the new file in place of", errno, err);
    if (result == 0 && fsync(folder_fd) < 0)
        return refuse_write(folder, "fsync the folder of", errno, err);
    if (result < 0) /* the first failure is what counts; a leftover is replaced by the next run */
        (void)unlinkat(folder_fd, temporary_name, 0);
    return result;
}

static ERR_CHECKED int install(const char *folder, struct error *err)
{
    AUTO_FD self = open_self(err);
    if (self < 0)
        return err->class;
    AUTO_FD folder_fd = open_folder(folder, err);
    if (folder_fd < 0)
        return err->class;
    if (flock(folder_fd, LOCK_EX) < 0)
        return err_errno(err, errno, "lock folder '%s'", folder);
    if (is_installed(self, folder_fd))
        return 0;
    return replace_target(self, folder_fd, folder, err);
}

static int run_install(const struct verb *verb, int argc, char **argv)
{
    int first, code;
    if (!verb_parse(verb, argc, argv, NULL, &first, &code))
        return code;
    if (argc - first != 1) {
        fprintf(stderr, "pgkeel install: name exactly one folder; see 'pgkeel install --help'\n");
        return EXIT_USAGE;
    }
    struct error err = {0};
    if (install(argv[first], &err) < 0) {
        fprintf(stderr, "pgkeel install: %s\n", err.text);
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

const struct verb verb_install = {
    .name = "install",
    .arguments = "DIR",
    .summary = "Copy this program to DIR/pgkeel, atomically.",
    .run = run_install,
};
