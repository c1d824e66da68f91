#include "volume/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"

enum { MAX_DEPTH = 64 };

/* What is done with each thing met on a walk: write-back is begun for all files before the first is
 * waited for, so that the disk sees one long queue. */
enum pass { PASS_WRITE_BACK, PASS_FSYNC, PASS_SYNCFS };

static void close_dirp(DIR **dir)
{
    if (*dir != NULL)
        closedir(*dir);
}
#define AUTO_DIR __attribute__((cleanup(close_dirp))) DIR *

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

bool tree_can_syncfs(void)
{
    struct utsname name;
    int major = 0, minor = 0;
    return uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
           (major > 5 || (major == 5 && minor >= 8));
}

static ERR_CHECKED int sync_file(int parent, const char *name, enum pass pass, struct error *err)
{
    AUTO_FD fd = openat(parent, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, errno, "open '%s'", name);
    if (pass == PASS_WRITE_BACK) {
        /* A hint only: file systems without it are served by the second pass alone. */
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        return 0;
    }
    return fsync(fd) < 0 ? err_errno(err, errno, "fsync '%s'", name) : 0;
}

static ERR_CHECKED int sync_folder(int parent, const char *name, enum pass pass, int depth,
                                   bool follow, struct error *err);

static ERR_CHECKED int sync_entry(int folder, const char *name, enum pass pass, int depth,
                                  struct error *err)
{
    struct stat st, target;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, errno, "stat '%s'", name);
    if (S_ISREG(st.st_mode))
        return pass == PASS_SYNCFS ? 0 : sync_file(folder, name, pass, err);
    /* With syncfs() only what may lie on another file system is looked for: links, and the folder
     * that holds those to tablespaces. */
    bool worth_a_visit = pass != PASS_SYNCFS || strcmp(name, "pg_tblspc") == 0;
    if (S_ISDIR(st.st_mode))
        return worth_a_visit ? sync_folder(folder, name, pass, depth + 1, false, err) : 0;
    if (S_ISLNK(st.st_mode) && fstatat(folder, name, &target, 0) == 0 && S_ISDIR(target.st_mode))
        return sync_folder(folder, name, pass, depth + 1, true, err);
    return 0;
}

static ERR_CHECKED int sync_folder(int parent, const char *name, enum pass pass, int depth,
                                   bool follow, struct error *err)
{
    if (depth > MAX_DEPTH)
        return err_set(err, ERR_INVALID, "'%s' is nested deeper than %d folders", name, MAX_DEPTH);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    AUTO_DIR dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return err_errno(err, errno, "open folder '%s'", name);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (!is_dot(entry->d_name) && sync_entry(fd, entry->d_name, pass, depth, err) < 0)
            return err_wrap(err, "in '%s'", name);
    if (pass == PASS_SYNCFS && (depth == 0 || follow) && syncfs(fd) < 0)
        return err_errno(err, errno, "syncfs of '%s'", name);
    if (pass == PASS_FSYNC && fsync(fd) < 0)
        return err_errno(err, errno, "fsync folder '%s'", name);
    return 0;
}

int tree_sync(const char *path, struct error *err)
{
    if (tree_can_syncfs())
        return sync_folder(AT_FDCWD, path, PASS_SYNCFS, 0, false, err);
    if (sync_folder(AT_FDCWD, path, PASS_WRITE_BACK, 0, false, err) < 0)
        return err->class;
    return sync_folder(AT_FDCWD, path, PASS_FSYNC, 0, false, err);
}

/* Relative to open folders and without following links, so that nothing outside of the tree can be
 * removed; the depth is bounded, for each level is a frame and a descriptor. */
static ERR_CHECKED int remove_at(int parent, const char *name, int depth, struct error *err)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_errno(err, errno, "remove '%s'", name);
    if (depth > MAX_DEPTH)
        return err_set(err, ERR_INVALID, "'%s' is nested deeper than %d folders", name, MAX_DEPTH);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    AUTO_DIR dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return err_errno(err, errno, "open folder '%s'", name);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (!is_dot(entry->d_name) && remove_at(fd, entry->d_name, depth + 1, err) < 0)
            return err_wrap(err, "in '%s'", name);
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0)
        return err_errno(err, errno, "remove folder '%s'", name);
    return 0;
}

int tree_remove(const char *path, struct error *err)
{
    return remove_at(AT_FDCWD, path, 0, err);
}
