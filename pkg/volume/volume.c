#include "volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/reasons.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "volume/tree.h"

enum { SMALL_FILE_BYTES = 4096, ACCEPTED_MAX_BYTES = 4 * 1024 * 1024, ID_LENGTH = 32 };

static const char remedy_foreign[] =
    "nothing was changed; move it away, or delete the claim to start with an empty volume";

int volume_init(struct volume *volume, const char *data_dir, const char *wal_dir, struct error *err)
{
    if (strlen(data_dir) >= VOLUME_PATH_MAX || strlen(wal_dir) >= VOLUME_PATH_MAX)
        return err_set(err, ERR_INVALID, "volume path longer than %d bytes", VOLUME_PATH_MAX - 1);
    memset(volume, 0, sizeof *volume);
    snprintf(volume->data_dir, sizeof volume->data_dir, "%s", data_dir);
    snprintf(volume->wal_dir, sizeof volume->wal_dir, "%s", wal_dir);
    snprintf(volume->pgdata, sizeof volume->pgdata, "%s/pgdata", data_dir);
    snprintf(volume->pgdata_new, sizeof volume->pgdata_new, "%s/pgdata.new", data_dir);
    snprintf(volume->pg_wal, sizeof volume->pg_wal, "%s/pg_wal", wal_dir);
    return 0;
}

static const char *in(char *place, size_t size, const char *folder, const char *name)
{
    snprintf(place, size, "%s/%s", folder, name);
    return place;
}
#define PATH_IN(folder, name)                                                                      \
    in((char[VOLUME_PATH_MAX + 64]){0}, VOLUME_PATH_MAX + 64, folder, name)

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

int volume_lock(const struct volume *volume, int *ret_fd, struct error *err)
{
    const char *path = PATH_IN(volume->data_dir, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno,
                         "open lock file '%s' (is the volume mounted and writable for "
                         "uid %d?)",
                         path, (int)geteuid());
    /* An open-file-description lock, unlike a process lock, is inherited: a backend that outlives
     * its agent still holds it. */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        *ret_fd = fd;
        return 0;
    }
    int saved = errno;
    close(fd);
    if (saved == EAGAIN || saved == EACCES)
        return err_set_reason(err, ERR_CONFLICT, REASON_VOLUME_IN_USE,
                              "another process holds '%s': an earlier pod of this instance has not "
                              "ended yet; this pod continues once it has",
                              path);
    return err_errno(err, saved, "lock '%s'", path);
}

/* The id in a mark, or "" when there is none. */
static void read_mark(const char *folder, char id[ID_LENGTH + 1])
{
    memset(id, 0, ID_LENGTH + 1);
    AUTO_FD fd = open(PATH_IN(folder, "unfinished"), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, id, ID_LENGTH) != ID_LENGTH)
        memset(id, 0, ID_LENGTH + 1);
}

/* What an attempt made is ours only when its id stands on both volumes; one that was killed before
 * it marked the WAL volume has made nothing there. */
static bool wal_is_unfinished(const struct volume *volume)
{
    char data_id[ID_LENGTH + 1], wal_id[ID_LENGTH + 1];
    read_mark(volume->data_dir, data_id);
    read_mark(volume->wal_dir, wal_id);
    return data_id[0] != '\0' && strcmp(data_id, wal_id) == 0;
}

static bool is_complete(const struct volume *volume)
{
    return exists(PATH_IN(volume->pgdata, "PG_VERSION")) &&
           exists(PATH_IN(volume->pgdata, "global/pg_control"));
}

/* Data that is not whole, or whose WAL is elsewhere, is a person's: it may be all that there is. */
static ERR_CHECKED enum volume_state inspect_data(const struct volume *volume, struct error *err)
{
    struct stat st;
    if (!is_complete(volume)) {
        err_set_reason(err, ERR_INVALID, REASON_VOLUME_FOREIGN,
                       "'%s' exists but is not a complete PostgreSQL data directory: %s",
                       volume->pgdata, remedy_foreign);
        return VOLUME_FOREIGN;
    }
    if (stat(PATH_IN(volume->pgdata, "pg_wal"), &st) < 0 || !S_ISDIR(st.st_mode)) {
        err_set_reason(err, ERR_INVALID, REASON_WAL_VOLUME_LOST,
                       "the data volume is complete, but its WAL folder '%s' is missing: for a "
                       "replica, delete both of its volume claims and its pod, and it is cloned "
                       "again; for the primary, restore a backup",
                       volume->pg_wal);
        return VOLUME_FOREIGN;
    }
    return VOLUME_DATA;
}

/* The rename to pgdata comes last when a volume is filled, and our mark comes first: what lies
 * there without either was put there by somebody else and is not touched. */
int volume_inspect(const struct volume *volume, enum volume_state *ret_state, struct error *err)
{
    struct stat st;
    if (stat(volume->data_dir, &st) < 0)
        return err_errno(err, errno, "data volume '%s'", volume->data_dir);
    if (stat(volume->wal_dir, &st) < 0)
        return err_errno(err, errno, "WAL volume '%s'", volume->wal_dir);
    if (exists(volume->pgdata)) {
        *ret_state = inspect_data(volume, err);
        return 0;
    }
    char id[ID_LENGTH + 1];
    read_mark(volume->data_dir, id);
    bool wal_there = exists(volume->pg_wal), new_there = exists(volume->pgdata_new);
    if ((wal_there && !wal_is_unfinished(volume)) || (new_there && id[0] == '\0')) {
        err_set_reason(err, ERR_INVALID, REASON_VOLUME_FOREIGN,
                       "'%s' exists although the data volume has no data directory: %s",
                       new_there ? volume->pgdata_new : volume->pg_wal, remedy_foreign);
        *ret_state = VOLUME_FOREIGN;
    } else {
        *ret_state = wal_there || new_there || id[0] != '\0' ? VOLUME_UNFINISHED : VOLUME_EMPTY;
    }
    return 0;
}

static ERR_CHECKED int new_id(char id[ID_LENGTH + 1], struct error *err)
{
    unsigned char random[ID_LENGTH / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_errno(err, errno, "getrandom");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    return 0;
}

int volume_begin(const struct volume *volume, struct error *err)
{
    char id[ID_LENGTH + 1];
    if (new_id(id, err) < 0)
        return err->class;
    /* The data volume first: a mark on the WAL volume alone proves nothing. */
    if (file_write_atomic(PATH_IN(volume->data_dir, "unfinished"), id, ID_LENGTH, 0600, err) < 0)
        return err->class;
    return file_write_atomic(PATH_IN(volume->wal_dir, "unfinished"), id, ID_LENGTH, 0600, err);
}

static ERR_CHECKED int remove_marks(const struct volume *volume, struct error *err)
{
    if (tree_remove(PATH_IN(volume->wal_dir, "unfinished"), err) < 0)
        return err->class;
    return tree_remove(PATH_IN(volume->data_dir, "unfinished"), err);
}

static ERR_CHECKED int touch(const char *path, struct error *err)
{
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "create '%s'", path);
    return fsync(fd) < 0 ? err_errno(err, errno, "fsync '%s'", path) : 0;
}

int volume_discard(const struct volume *volume, struct error *err)
{
    enum volume_state state;
    if (volume_inspect(volume, &state, err) < 0)
        return err->class;
    if (state == VOLUME_EMPTY)
        return 0;
    if (state != VOLUME_UNFINISHED)
        return err_set(err, ERR_INTERNAL, "refusing to discard volumes that are not unfinished");
    if (tree_remove(volume->pgdata_new, err) < 0 || tree_remove(volume->pg_wal, err) < 0)
        return err_wrap(err, "remove an unfinished data directory");
    if (file_sync_dir(volume->wal_dir, err) < 0 || file_sync_dir(volume->data_dir, err) < 0)
        return err->class;
    return remove_marks(volume, err);
}

int64_t volume_control_written_ns(const struct volume *volume)
{
    enum { SAME_MOMENT_MS = 1000 };
    AUTO_ARENA arena = arena_new();
    struct stat file;
    if (stat(arena_printf(arena, "%s/global/pg_control", volume->pgdata), &file) < 0)
        return 0;
    int64_t written_ms = file.st_mtim.tv_sec * 1000LL + file.st_mtim.tv_nsec / 1000000;
    if (clock_wall_ms() - written_ms < SAME_MOMENT_MS)
        return 0;
    return file.st_mtim.tv_sec * 1000000000LL + file.st_mtim.tv_nsec;
}

bool volume_is_standby(const struct volume *volume)
{
    return exists(PATH_IN(volume->pgdata, "standby.signal"));
}

int volume_make_standby(const struct volume *volume, struct error *err)
{
    if (touch(PATH_IN(volume->pgdata, "standby.signal"), err) < 0)
        return err->class;
    return file_sync_dir(volume->pgdata, err);
}

int volume_prepare_start(const struct volume *volume, struct error *err)
{
    if (chmod(volume->pgdata, 0700) < 0)
        return err_errno(err, errno, "chmod 0700 '%s' (it must belong to uid %d)", volume->pgdata,
                         (int)geteuid());
    const char *pid_file = PATH_IN(volume->pgdata, "postmaster.pid");
    if (unlink(pid_file) < 0 && errno != ENOENT)
        return err_errno(err, errno, "remove stale '%s'", pid_file);
    /* Left when an attempt was killed after its commit. */
    return remove_marks(volume, err);
}

static const char *role_names[] = {"", "primary", "replica"};

const char *volume_role_name(enum volume_role role)
{
    return role_names[role];
}

static ERR_CHECKED int read_json(struct arena *arena, const char *path, size_t limit,
                                 cJSON **ret_tree, struct error *err)
{
    char *text;
    size_t length;
    *ret_tree = NULL;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return 0;
    if (file_read(arena, path, limit, &text, &length, err) < 0)
        return err->class;
    if (json_parse(arena, text, length, ret_tree, err) < 0)
        return err_wrap(err, "read '%s'", path);
    return 0;
}

static ERR_CHECKED int write_json(const char *path, const cJSON *tree, struct error *err)
{
    AUTO_ARENA arena = arena_new();
    const char *text = json_canonical(arena, tree);
    return file_write_atomic(path, text, strlen(text), 0600, err);
}

int volume_record_read(const struct volume *volume, struct volume_record *ret_record,
                       struct error *err)
{
    AUTO_ARENA arena = arena_new();
    cJSON *tree;
    if (read_json(arena, PATH_IN(volume->data_dir, "instance.json"), SMALL_FILE_BYTES, &tree, err) <
        0)
        return err->class;
    const char *role = json_str(tree, "role", "");
    *ret_record = (struct volume_record){.epoch = json_int(tree, "epoch", 0),
                                         .announced = json_int(tree, "announced", 0),
                                         .seen = json_int(tree, "seen", 0),
                                         .superseded = json_int(tree, "superseded", 0)};
    snprintf(ret_record->pod, sizeof ret_record->pod, "%s", json_str(tree, "pod", ""));
    for (enum volume_role known = ROLE_NONE; known <= ROLE_REPLICA; known++)
        if (strcmp(role, role_names[known]) == 0)
            ret_record->role = known;
    return 0;
}

int volume_record_write(const struct volume *volume, const struct volume_record *record,
                        struct error *err)
{
    AUTO_ARENA arena = arena_new();
    cJSON *tree = json_object(arena);
    json_set_str(tree, "role", volume_role_name(record->role));
    json_set_int(tree, "epoch", record->epoch);
    if (record->pod[0] != '\0')
        json_set_str(tree, "pod", record->pod);
    if (record->announced != 0)
        json_set_int(tree, "announced", record->announced);
    if (record->seen != 0)
        json_set_int(tree, "seen", record->seen);
    if (record->superseded != 0)
        json_set_int(tree, "superseded", record->superseded);
    return write_json(PATH_IN(volume->data_dir, "instance.json"), tree, err);
}

static bool same_record(const struct volume_record *a, const struct volume_record *b)
{
    return a->role == b->role && a->epoch == b->epoch && a->announced == b->announced &&
           a->seen == b->seen && a->superseded == b->superseded && strcmp(a->pod, b->pod) == 0;
}

int volume_record_replace(const struct volume *volume, const struct volume_record *known,
                          const struct volume_record *record, struct error *err)
{
    struct volume_record there;
    if (volume_record_read(volume, &there, err) < 0)
        return err->class;
    if (!same_record(&there, known))
        return err_set(err, ERR_CONFLICT,
                       "'%s' was written by pod '%s', with epoch %lld, since this pod read it: "
                       "another pod of this instance uses the volume",
                       PATH_IN(volume->data_dir, "instance.json"), there.pod,
                       (long long)there.epoch);
    return volume_record_write(volume, record, err);
}

int volume_retired_at(const struct volume *volume, int64_t *ret_wall_ms, struct error *err)
{
    AUTO_ARENA arena = arena_new();
    cJSON *tree;
    if (read_json(arena, PATH_IN(volume->data_dir, "retired.json"), SMALL_FILE_BYTES, &tree, err) <
        0)
        return err->class;
    *ret_wall_ms = json_int(tree, "at", 0);
    return 0;
}

static ERR_CHECKED int write_retired_at(const struct volume *volume, int64_t wall_ms,
                                        struct error *err)
{
    AUTO_ARENA arena = arena_new();
    cJSON *tree = json_object(arena);
    json_set_int(tree, "at", wall_ms);
    return write_json(PATH_IN(volume->data_dir, "retired.json"), tree, err);
}

int volume_retire(const struct volume *volume, int64_t wall_ms, struct error *err)
{
    enum volume_state state;
    struct volume_record record;
    if (volume_inspect(volume, &state, err) < 0 || volume_record_read(volume, &record, err) < 0)
        return err->class;
    if (state != VOLUME_DATA || record.role != ROLE_REPLICA || record.epoch != 0 ||
        !volume_is_standby(volume))
        return err_set(err, ERR_INTERNAL,
                       "'%s' is kept: it is not, or was not always, a replica's data",
                       volume->pgdata);
    /* The stamp comes last: what fails, for want of room above all, must not claim that it was
     * done. Marks that stay behind are removed before the next start. */
    struct error ignored;
    int64_t before_ms = 0;
    /* One that cannot be read is none. */
    err_ignore(volume_retired_at(volume, &before_ms, &ignored));
    if (volume_begin(volume, err) < 0 || write_retired_at(volume, wall_ms, err) < 0)
        return err->class;
    if (rename(volume->pgdata, volume->pgdata_new) < 0) {
        err_errno(err, errno, "rename '%s'", volume->pgdata);
        err_ignore(
            write_retired_at(volume, before_ms, &ignored)); /* else the next try is in an hour */
        return err->class;
    }
    return file_sync_dir(volume->data_dir, err);
}

int volume_commit(const struct volume *volume, enum volume_role role, struct error *err)
{
    struct volume_record record = {.role = role};
    if (exists(volume->pgdata))
        return err_set(err, ERR_CONFLICT, "something else created '%s' in the meantime",
                       volume->pgdata);
    if (role == ROLE_REPLICA && touch(PATH_IN(volume->pgdata_new, "standby.signal"), err) < 0)
        return err->class;
    if (tree_sync(volume->pgdata_new, err) < 0 || file_sync_dir(volume->wal_dir, err) < 0)
        return err_wrap(err, "flush the new data directory to disk");
    if (volume_record_write(volume, &record, err) < 0)
        return err->class;
    if (rename(volume->pgdata_new, volume->pgdata) < 0)
        return err_errno(err, errno, "rename '%s' to '%s'", volume->pgdata_new, volume->pgdata);
    if (file_sync_dir(volume->data_dir, err) < 0)
        return err->class;
    return remove_marks(volume, err);
}

int volume_accepted_read(struct arena *arena, const struct volume *volume, const char **ret_conf,
                         const char **ret_hba, struct error *err)
{
    cJSON *tree;
    if (read_json(arena, PATH_IN(volume->data_dir, "accepted.json"), ACCEPTED_MAX_BYTES, &tree,
                  err) < 0)
        return err->class;
    *ret_conf = json_str(tree, "[\"postgresql.conf\"]", NULL);
    *ret_hba = json_str(tree, "[\"pg_hba.conf\"]", NULL);
    return 0;
}

int volume_accepted_write(const struct volume *volume, const char *conf, const char *hba,
                          struct error *err)
{
    AUTO_ARENA arena = arena_new();
    cJSON *tree = json_object(arena);
    json_set_str(tree, "postgresql.conf", conf);
    json_set_str(tree, "pg_hba.conf", hba);
    return write_json(PATH_IN(volume->data_dir, "accepted.json"), tree, err);
}
