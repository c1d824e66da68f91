#include "pgkeel/lint_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"

/* Larger files are mapped, and the pages already read are released; smaller ones are copied,
 * because the process dies if a mapped file shrinks meanwhile. */
enum { MAPPED_FROM_BYTES = 4 * 1024 * 1024, FOLDERS_MAX = 64 };
static const size_t stdin_max_bytes = (size_t)1 << 30;

struct folder { /* those that lead to the one being read */
    const struct folder *above;
    dev_t device;
    ino_t inode;
    int depth;
};

static void walk_path(struct lint_walk *walk, const char *path, const struct folder *above,
                      bool given);

static void trouble(struct lint_walk *walk, const char *path, int errno_value, const char *what)
{
    lint_unreadable(walk->lint, path,
                    arena_printf(walk->arena, "%s: %s", what, strerror(errno_value)));
}

/* "V2__b" before "V10__a": digits compare as numbers. */
static int natural(const char *a, const char *b)
{
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            while (*a == '0' && isdigit((unsigned char)a[1]))
                a++;
            while (*b == '0' && isdigit((unsigned char)b[1]))
                b++;
            size_t n = strspn(a, "0123456789"), m = strspn(b, "0123456789");
            int order = n != m ? (n < m ? -1 : 1) : strncmp(a, b, n);
            if (order)
                return order;
            a += n;
            b += m;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    return (*a != '\0') - (*b != '\0');
}

static int by_name(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    int order = natural(x, y);
    return order ? order : strcmp(x, y);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Flyway keeps settings of one migration in a file beside it. */
static enum lint_transaction said_beside(struct lint_walk *walk, const char *path)
{
    struct error ignored = {0}; /* mostly it is not there */
    char *text, *setting;
    const char *conf = arena_printf(walk->arena, "%s.conf", path);
    if (access(conf, R_OK) != 0 ||
        file_read(walk->arena, conf, 64 * 1024, &text, NULL, &ignored) < 0)
        return LINT_AUTO;
    setting = strstr(text, "executeInTransaction");
    if (setting == NULL)
        return LINT_AUTO;
    setting += strcspn(setting, "=\n");
    setting += strspn(setting, "= \t");
    return strncasecmp(setting, "false", 5) == 0 ? LINT_NEVER : LINT_ALWAYS;
}

static bool names_sqlx(struct lint_walk *walk, const char *manifest)
{
    struct error ignored = {0}; /* mostly it is not there */
    char *text;
    return access(manifest, R_OK) == 0 &&
           file_read(walk->arena, manifest, 1024 * 1024, &text, NULL, &ignored) == 0 &&
           strstr(text, "sqlx") != NULL;
}

/* sqlx names its files as golang-migrate does; the crate of the folder tells them apart. */
static void look_for_sqlx(struct lint_walk *walk, const char *path)
{
    size_t length = (size_t)(last_part(path) - path);
    const char *folder = length ? arena_printf(walk->arena, "%.*s", (int)length, path) : "./";
    if (walk->folder == NULL || strcmp(walk->folder, folder) != 0) {
        walk->folder = folder;
        walk->folder_of_sqlx =
            names_sqlx(walk, arena_printf(walk->arena, "%s../Cargo.toml", folder)) ||
            names_sqlx(walk, arena_printf(walk->arena, "%sCargo.toml", folder));
    }
}

/* sqlx runs a file and its own bookkeeping in one transaction, unless the first words refuse it. */
static void lint_text(struct lint_walk *walk, struct lint_input *input)
{
    static const char refusal[] = "-- no-transaction";
    size_t n = sizeof refusal - 1;
    if (walk->folder_of_sqlx && input->transaction == LINT_AUTO &&
        (input->length < n || memcmp(input->text, refusal, n) != 0))
        input->transaction = LINT_ALWAYS;
    lint_file(walk->lint, input);
}

struct mapping {
    char *data;
    size_t let_go;
};

static void let_go(void *arg, size_t offset)
{
    struct mapping *mapping = arg;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), to = offset / page * page;
    if (to > mapping->let_go)
        madvise(mapping->data + mapping->let_go, to - mapping->let_go, MADV_DONTNEED);
    mapping->let_go = to;
}

static void lint_mapped(struct lint_walk *walk, const char *path, int fd, size_t size,
                        const struct lint_input *input)
{
    char *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        trouble(walk, path, errno, "cannot be mapped");
        return;
    }
    struct mapping mapping = {data, 0};
    struct lint_input mapped = *input;
    mapped.text = data;
    mapped.length = size;
    mapped.passed = let_go;
    mapped.arg = &mapping;
    lint_text(walk, &mapped);
    munmap(data, size);
}

/* Only stdin is bounded, because it may never end. */
static void lint_stream(struct lint_walk *walk, const char *name, int fd, size_t expected,
                        struct lint_input *input)
{
    AUTO_BUFFER all = {0};
    for (;;) {
        char chunk[65536];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            trouble(walk, name, errno, "cannot be read");
            return;
        }
        if (n == 0)
            break;
        buffer_append(&all, chunk, (size_t)n);
        if (expected == 0 && all.length > stdin_max_bytes) {
            lint_unreadable(walk->lint, name,
                            "more than 1 GiB on stdin; name large files as arguments");
            return;
        }
    }
    input->text = buffer_text(&all);
    input->length = all.length;
    lint_text(walk, input);
}

static void lint_path(struct lint_walk *walk, const char *path)
{
    struct stat info;
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        trouble(walk, path, errno, "cannot be opened");
        return;
    }
    struct lint_input input = {.name = path, .transaction = said_beside(walk, path)};
    look_for_sqlx(walk, path);
    if (S_ISREG(info.st_mode) && info.st_size >= MAPPED_FROM_BYTES)
        lint_mapped(walk, path, fd, (size_t)info.st_size, &input);
    else
        lint_stream(walk, path, fd, (size_t)info.st_size, &input);
}

static bool is_wanted(const struct lint_walk *walk, const char *path, bool given)
{
    const char *name = last_part(path);
    size_t length = strlen(name);
    if (!given && (length < 5 || strcasecmp(name + length - 4, ".sql") != 0 || name[0] == '.'))
        return false;
    if (!walk->include_down && lint_is_down(path))
        return false;
    return walk->since == NULL || natural(name, last_part(walk->since)) > 0;
}

/* Sorted as migration tools sort: rules judge a statement by what earlier files did. */
static void walk_folder(struct lint_walk *walk, const char *path, const struct folder *folder)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        trouble(walk, path, errno, "cannot be opened");
        return;
    }
    char **names = NULL;
    size_t count = 0, capacity = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        names = arena_room(walk->arena, names, count, &capacity, sizeof *names);
        names[count++] = arena_strdup(walk->arena, entry->d_name);
    }
    closedir(dir);
    if (count > 1)
        qsort(names, count, sizeof *names, by_name);
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    for (size_t i = 0; i < count; i++)
        walk_path(walk, arena_printf(walk->arena, "%.*s/%s", (int)length, path, names[i]), folder,
                  false);
}

static bool is_above(const struct folder *folder, const struct stat *info)
{
    for (; folder; folder = folder->above)
        if (folder->device == info->st_dev && folder->inode == info->st_ino)
            return true;
    return false;
}

/* What was named on the command line is linted whatever its name; in folders, only *.sql files. */
static void walk_path(struct lint_walk *walk, const char *path, const struct folder *above,
                      bool given)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        if (given || errno == ELOOP || is_wanted(walk, path, false))
            trouble(walk, path, errno, "cannot be read");
        return;
    }
    if (!S_ISDIR(info.st_mode)) {
        if (is_wanted(walk, path, given) && (given || S_ISREG(info.st_mode)))
            lint_path(walk, path);
        return;
    }
    struct folder folder = {above, info.st_dev, info.st_ino, above ? above->depth + 1 : 0};
    if (is_above(above, &info))
        lint_unreadable(walk->lint, path, "not followed: the link leads back to a folder above it");
    else if (folder.depth > FOLDERS_MAX)
        lint_unreadable(walk->lint, path, "folders are nested too deeply");
    else
        walk_folder(walk, path, &folder);
}

void lint_files(struct lint_walk *walk, char **names, int count)
{
    for (int i = 0; i < count; i++) {
        struct lint_input input = {.name = walk->stdin_name};
        if (strcmp(names[i], "-") == 0) {
            walk->folder = NULL;
            walk->folder_of_sqlx = false;
            lint_stream(walk, walk->stdin_name, STDIN_FILENO, 0, &input);
        } else {
            walk_path(walk, names[i], NULL, true);
        }
    }
}
