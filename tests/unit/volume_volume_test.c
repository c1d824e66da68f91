#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "volume/tree.h"
#include "volume/volume.h"

/* The calls that change what a restart finds, in place of libc's: with `calls_left` above 0 the
 * process is gone when it comes to that one, as with SIGKILL. */
static int calls_left;

static void perhaps_be_killed(void)
{
    if (calls_left > 0 && --calls_left == 0)
        _exit(9);
}

int rename(const char *from, const char *to)
{
    perhaps_be_killed();
    return (int)syscall(SYS_rename, from, to);
}

int fsync(int fd)
{
    perhaps_be_killed();
    return (int)syscall(SYS_fsync, fd);
}

int unlinkat(int folder, const char *name, int flags)
{
    perhaps_be_killed();
    return (int)syscall(SYS_unlinkat, folder, name, flags);
}

struct place {
    char root[64], data[96], wal[96];
    struct volume volume;
};

static int set_up_in(void **state, const char *wal)
{
    struct place *place = calloc(1, sizeof *place);
    struct error err;
    snprintf(place->root, sizeof place->root, "/tmp/pgkeel-volume-XXXXXX");
    assert_non_null(mkdtemp(place->root));
    snprintf(place->data, sizeof place->data, "%s/data", place->root);
    snprintf(place->wal, sizeof place->wal, "%s/%s", place->root, wal);
    assert_int_equal(mkdir(place->data, 0700), 0);
    if (strcmp(wal, "data") != 0)
        assert_int_equal(mkdir(place->wal, 0700), 0);
    assert_int_equal(volume_init(&place->volume, place->data, place->wal, &err), 0);
    *state = place;
    return 0;
}

static int set_up(void **state)
{
    return set_up_in(state, "wal");
}

/* As without spec.walStorage. */
static int set_up_one_volume(void **state)
{
    return set_up_in(state, "data");
}

static int tear_down(void **state)
{
    struct place *place = *state;
    struct error err;
    assert_int_equal(tree_remove(place->root, &err), 0);
    free(place);
    return 0;
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static bool there(const char *folder, const char *name)
{
    char path[1024];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return lstat(path, &st) == 0;
}

/* What initdb leaves behind, as far as it matters here. */
static void make_pgdata(const struct place *place, const char *folder)
{
    char path[1024];
    assert_int_equal(mkdir(folder, 0700), 0);
    put(folder, "PG_VERSION", "15\n");
    snprintf(path, sizeof path, "%s/global", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    put(path, "pg_control", "x");
    assert_int_equal(mkdir(place->volume.pg_wal, 0700), 0);
    put(place->volume.pg_wal, "000000010000000000000001", "wal");
    snprintf(path, sizeof path, "%s/pg_wal", folder);
    assert_int_equal(symlink(place->volume.pg_wal, path), 0);
}

static enum volume_state inspect(const struct place *place, struct error *err)
{
    enum volume_state found;
    memset(err, 0, sizeof *err);
    assert_int_equal(volume_inspect(&place->volume, &found, err), 0);
    return found;
}

static void a_bootstrap_goes_from_empty_to_data_through_one_rename(void **state)
{
    struct place *place = *state;
    struct error err;
    struct volume_record record;
    assert_int_equal(inspect(place, &err), VOLUME_EMPTY);
    assert_int_equal(volume_begin(&place->volume, &err), 0);
    assert_int_equal(inspect(place, &err), VOLUME_UNFINISHED);
    make_pgdata(place, place->volume.pgdata_new);
    assert_int_equal(inspect(place, &err), VOLUME_UNFINISHED);
    assert_int_equal(volume_commit(&place->volume, ROLE_PRIMARY, &err), 0);
    assert_int_equal(inspect(place, &err), VOLUME_DATA);
    assert_int_equal(err.class, 0);
    assert_false(volume_is_standby(&place->volume));
    assert_false(there(place->data, "unfinished"));
    assert_false(there(place->wal, "unfinished"));
    assert_int_equal(volume_record_read(&place->volume, &record, &err), 0);
    assert_int_equal(record.role, ROLE_PRIMARY);
    assert_int_equal(record.epoch, 0);
}

static void a_clone_is_committed_as_a_standby(void **state)
{
    struct place *place = *state;
    struct error err;
    assert_int_equal(volume_begin(&place->volume, &err), 0);
    make_pgdata(place, place->volume.pgdata_new);
    assert_int_equal(volume_commit(&place->volume, ROLE_REPLICA, &err), 0);
    assert_true(volume_is_standby(&place->volume));
}

static void what_an_attempt_left_is_removed_from_both_volumes(void **state)
{
    struct place *place = *state;
    struct error err;
    assert_int_equal(volume_begin(&place->volume, &err), 0);
    make_pgdata(place, place->volume.pgdata_new);
    assert_int_equal(volume_discard(&place->volume, &err), 0);
    assert_int_equal(inspect(place, &err), VOLUME_EMPTY);
    assert_false(there(place->wal, "pg_wal"));
    assert_int_equal(volume_discard(&place->volume, &err), 0);
}

static void wal_without_the_same_mark_on_both_volumes_is_never_removed(void **state)
{
    struct place *place = *state;
    struct error err;
    assert_int_equal(mkdir(place->volume.pg_wal, 0700), 0);
    put(place->volume.pg_wal, "precious", "x");
    assert_int_equal(inspect(place, &err), VOLUME_FOREIGN);
    assert_string_equal(err.reason, "VolumeForeign");
    put(place->data, "unfinished", "00000000000000000000000000000000");
    assert_int_equal(inspect(place, &err), VOLUME_FOREIGN);
    put(place->wal, "unfinished", "11111111111111111111111111111111");
    assert_int_equal(inspect(place, &err), VOLUME_FOREIGN);
    assert_int_equal(volume_discard(&place->volume, &err), ERR_INTERNAL);
    assert_true(there(place->volume.pg_wal, "precious"));
    put(place->wal, "unfinished", "00000000000000000000000000000000");
    assert_int_equal(inspect(place, &err), VOLUME_UNFINISHED);
}

static void a_new_data_directory_without_a_mark_is_not_ours(void **state)
{
    struct place *place = *state;
    struct error err;
    assert_int_equal(mkdir(place->volume.pgdata_new, 0700), 0);
    assert_int_equal(inspect(place, &err), VOLUME_FOREIGN);
    assert_non_null(strstr(err.text, place->volume.pgdata_new));
    assert_int_equal(volume_discard(&place->volume, &err), ERR_INTERNAL);
}

static void finished_data_is_never_discarded_whatever_marks_lie_around(void **state)
{
    struct place *place = *state;
    struct error err;
    make_pgdata(place, place->volume.pgdata);
    assert_int_equal(volume_begin(&place->volume, &err), 0);
    assert_int_equal(inspect(place, &err), VOLUME_DATA);
    assert_int_equal(volume_discard(&place->volume, &err), ERR_INTERNAL);
    assert_true(there(place->volume.pgdata, "PG_VERSION"));
    assert_int_equal(volume_prepare_start(&place->volume, &err), 0);
    assert_false(there(place->data, "unfinished"));
    assert_false(there(place->wal, "unfinished"));
}

static void make_mark_impossible(const struct place *place, bool impossible)
{
    char path[160];
    snprintf(path, sizeof path, "%s/unfinished.tmp", place->wal);
    assert_int_equal(impossible ? mkdir(path, 0700) : rmdir(path), 0);
}

static void a_standbys_data_is_given_up_and_a_primarys_never(void **state)
{
    struct place *place = *state;
    struct error err;
    assert_int_equal(volume_begin(&place->volume, &err), 0);
    make_pgdata(place, place->volume.pgdata_new);
    assert_int_equal(volume_commit(&place->volume, ROLE_REPLICA, &err), 0);
    assert_int_equal(volume_prepare_start(&place->volume, &err), 0);
    int64_t at = -1;
    struct volume_record once_primary = {.role = ROLE_REPLICA, .epoch = 2},
                         replica = {.role = ROLE_REPLICA};
    assert_int_equal(volume_record_write(&place->volume, &once_primary, &err), 0);
    assert_int_equal(volume_retire(&place->volume, 42, &err), ERR_INTERNAL);
    assert_int_equal(inspect(place, &err), VOLUME_DATA);
    assert_int_equal(volume_record_write(&place->volume, &replica, &err), 0);
    assert_int_equal(volume_retired_at(&place->volume, &at, &err), 0);
    assert_int_equal(at, 0);
    make_mark_impossible(place, true); /* as a full volume does */
    assert_true(volume_retire(&place->volume, 41, &err) < 0);
    make_mark_impossible(place, false);
    assert_int_equal(volume_retired_at(&place->volume, &at, &err), 0);
    assert_int_equal(at, 0);
    assert_int_equal(volume_prepare_start(&place->volume, &err), 0);
    assert_int_equal(inspect(place, &err), VOLUME_DATA);
    assert_int_equal(volume_retire(&place->volume, 42, &err), 0);
    assert_int_equal(volume_retired_at(&place->volume, &at, &err), 0);
    assert_int_equal(at, 42);
    assert_int_equal(inspect(place, &err), VOLUME_UNFINISHED);
    assert_int_equal(volume_discard(&place->volume, &err), 0);
    assert_int_equal(inspect(place, &err), VOLUME_EMPTY);
    assert_false(there(place->wal, "pg_wal"));
}

static void primary_data_is_not_given_up(void **state)
{
    struct place *place = *state;
    struct error err;
    assert_int_equal(volume_begin(&place->volume, &err), 0);
    make_pgdata(place, place->volume.pgdata_new);
    assert_int_equal(volume_commit(&place->volume, ROLE_PRIMARY, &err), 0);
    assert_int_equal(volume_retire(&place->volume, 42, &err), ERR_INTERNAL);
    assert_int_equal(volume_make_standby(&place->volume, &err), 0);
    assert_int_equal(volume_retire(&place->volume, 42, &err), ERR_INTERNAL);
    assert_int_equal(inspect(place, &err), VOLUME_DATA);
}

static void half_a_data_directory_and_lost_wal_are_told_apart(void **state)
{
    struct place *place = *state;
    struct error err;
    make_pgdata(place, place->volume.pgdata);
    assert_int_equal(tree_remove(place->volume.pg_wal, &err), 0);
    assert_int_equal(inspect(place, &err), VOLUME_FOREIGN);
    assert_string_equal(err.reason, "WalVolumeLost");
    char path[1024];
    snprintf(path, sizeof path, "%s/PG_VERSION", place->volume.pgdata);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(inspect(place, &err), VOLUME_FOREIGN);
    assert_string_equal(err.reason, "VolumeForeign");
}

static void a_start_gets_a_closed_folder_and_no_stale_pid(void **state)
{
    struct place *place = *state;
    struct error err;
    struct stat st;
    make_pgdata(place, place->volume.pgdata);
    put(place->volume.pgdata, "postmaster.pid", "1\n");
    assert_int_equal(chmod(place->volume.pgdata, 02770), 0);
    assert_int_equal(volume_prepare_start(&place->volume, &err), 0);
    assert_int_equal(stat(place->volume.pgdata, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_false(there(place->volume.pgdata, "postmaster.pid"));
}

static void the_lock_is_one_and_goes_to_children(void **state)
{
    struct place *place = *state;
    struct error err;
    int fd, second;
    assert_int_equal(volume_lock(&place->volume, &fd, &err), 0);
    assert_int_equal(volume_lock(&place->volume, &second, &err), ERR_CONFLICT);
    assert_string_equal(err.reason, "VolumeInUse");
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1); /* holds its copy until we hang up */
    }
    close(ends[0]);
    close(fd);
    assert_int_equal(volume_lock(&place->volume, &second, &err), ERR_CONFLICT);
    close(ends[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(volume_lock(&place->volume, &second, &err), 0);
    close(second);
}

static void records_and_accepted_configuration_survive(void **state)
{
    struct place *place = *state;
    struct error err;
    AUTO_ARENA arena = arena_new();
    struct volume_record record = {.role = ROLE_REPLICA,
                                   .epoch = 7,
                                   .pod = "u",
                                   .announced = 6,
                                   .seen = 8,
                                   .superseded = 9},
                         read;
    const char *conf, *hba;
    assert_int_equal(volume_record_read(&place->volume, &read, &err), 0);
    assert_int_equal(read.role, ROLE_NONE);
    assert_int_equal(volume_record_write(&place->volume, &record, &err), 0);
    assert_int_equal(volume_record_read(&place->volume, &read, &err), 0);
    assert_int_equal(read.role, ROLE_REPLICA);
    assert_int_equal(read.epoch, 7);
    assert_string_equal(read.pod, "u");
    assert_int_equal(read.superseded, 9);
    assert_int_equal(read.announced, 6);
    assert_int_equal(read.seen, 8);
    assert_int_equal(volume_accepted_read(arena, &place->volume, &conf, &hba, &err), 0);
    assert_null(conf);
    assert_int_equal(volume_accepted_write(&place->volume, "a = 'b'\n", "local all\n", &err), 0);
    assert_int_equal(volume_accepted_read(arena, &place->volume, &conf, &hba, &err), 0);
    assert_string_equal(conf, "a = 'b'\n");
    assert_string_equal(hba, "local all\n");
    put(place->data, "instance.json", "{");
    assert_int_equal(volume_record_read(&place->volume, &read, &err), ERR_UNREADABLE);
    assert_non_null(strstr(err.text, "instance.json"));
}

static void what_another_pod_wrote_is_never_written_over(void **state)
{
    struct place *place = *state;
    struct error err;
    struct volume_record none = {0}, read,
                         ours = {.role = ROLE_PRIMARY, .epoch = 3, .pod = "uid-1"},
                         theirs = {.role = ROLE_PRIMARY, .epoch = 4, .pod = "uid-2"};
    assert_int_equal(volume_begin(&place->volume, &err), 0);
    make_pgdata(place, place->volume.pgdata_new);
    assert_int_equal(volume_record_replace(&place->volume, &none, &ours, &err), 0);
    assert_int_equal(volume_record_replace(&place->volume, &ours, &theirs, &err), 0);
    assert_int_equal(volume_record_replace(&place->volume, &ours, &ours, &err), ERR_CONFLICT);
    assert_non_null(strstr(err.text, "'uid-2'"));
    assert_int_equal(mkdir(place->volume.pgdata, 0700), 0); /* and even bootstrapped */
    assert_int_equal(volume_commit(&place->volume, ROLE_PRIMARY, &err), ERR_CONFLICT);
    assert_int_equal(volume_record_read(&place->volume, &read, &err), 0);
    assert_int_equal(read.epoch, 4);
    assert_string_equal(read.pod, "uid-2");
}

static void bootstrap(const struct place *place, enum volume_role role)
{
    struct error err;
    assert_int_equal(volume_begin(&place->volume, &err), 0);
    make_pgdata(place, place->volume.pgdata_new);
    assert_int_equal(volume_commit(&place->volume, role, &err), 0);
}

/* False once it is not killed any more. */
static bool bootstrap_killed_at(const struct place *place, enum volume_role role, int call)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        calls_left = call;
        bootstrap(place, role);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
    return WEXITSTATUS(status) == 9;
}

/* Data without the role it was made for could come up as a second primary. */
static enum volume_state check_what_was_left(const struct place *place, enum volume_role role)
{
    struct error err;
    struct volume_record record;
    enum volume_state found = inspect(place, &err);
    assert_int_equal(err.class, 0);
    if (found == VOLUME_DATA) {
        assert_int_equal(volume_record_read(&place->volume, &record, &err), 0);
        assert_int_equal(record.role, role);
        assert_int_equal(volume_is_standby(&place->volume), role == ROLE_REPLICA);
        assert_int_equal(volume_prepare_start(&place->volume, &err), 0);
    } else if (found == VOLUME_UNFINISHED) {
        assert_int_equal(volume_discard(&place->volume, &err), 0);
        assert_int_equal(inspect(place, &err), VOLUME_EMPTY);
    }
    assert_false(there(place->data, "unfinished"));
    assert_false(there(place->wal, "unfinished"));
    return found;
}

static void a_bootstrap_killed_anywhere_leaves_no_data_without_its_role(void **state)
{
    struct place *place = *state;
    struct error err;
    for (enum volume_role role = ROLE_PRIMARY; role <= ROLE_REPLICA; role++) {
        int found[VOLUME_FOREIGN + 1] = {0};
        bool killed = true;
        for (int call = 1; killed; call++) {
            /* What an earlier life of the volume left must not be taken for this one's. */
            struct volume_record other = {
                .role = role == ROLE_PRIMARY ? ROLE_REPLICA : ROLE_PRIMARY, .epoch = 5};
            assert_int_equal(volume_record_write(&place->volume, &other, &err), 0);
            killed = bootstrap_killed_at(place, role, call);
            found[check_what_was_left(place, role)]++;
            assert_int_equal(tree_remove(place->volume.pgdata, &err), 0);
            assert_int_equal(tree_remove(place->volume.pg_wal, &err), 0);
        }
        assert_true(found[VOLUME_EMPTY] > 0 && found[VOLUME_UNFINISHED] > 3);
        assert_true(found[VOLUME_DATA] > 2);
    }
}

static void a_missing_volume_is_named(void **state)
{
    struct place *place = *state;
    struct error err;
    enum volume_state found;
    struct volume volume;
    assert_int_equal(volume_init(&volume, place->data, "/nonexistent/wal", &err), 0);
    assert_int_equal(volume_inspect(&volume, &found, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "WAL volume '/nonexistent/wal'"));
}

static void removing_a_tree_does_not_follow_links(void **state)
{
    struct place *place = *state;
    struct error err;
    char inside[512];
    put(place->wal, "kept", "x");
    snprintf(inside, sizeof inside, "%s/link", place->data);
    assert_int_equal(symlink(place->wal, inside), 0);
    assert_int_equal(tree_remove(place->data, &err), 0);
    assert_true(there(place->wal, "kept"));
    assert_int_equal(tree_remove(place->data, &err), 0);
    assert_int_equal(mkdir(place->data, 0700), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_bootstrap_goes_from_empty_to_data_through_one_rename),
        TEST(a_clone_is_committed_as_a_standby),
        TEST(what_an_attempt_left_is_removed_from_both_volumes),
        TEST(wal_without_the_same_mark_on_both_volumes_is_never_removed),
        TEST(a_new_data_directory_without_a_mark_is_not_ours),
        TEST(finished_data_is_never_discarded_whatever_marks_lie_around),
        TEST(a_standbys_data_is_given_up_and_a_primarys_never),
        TEST(primary_data_is_not_given_up),
        TEST(half_a_data_directory_and_lost_wal_are_told_apart),
        TEST(a_start_gets_a_closed_folder_and_no_stale_pid),
        TEST(the_lock_is_one_and_goes_to_children),
        TEST(records_and_accepted_configuration_survive),
        TEST(what_another_pod_wrote_is_never_written_over),
        TEST(a_bootstrap_killed_anywhere_leaves_no_data_without_its_role),
        TEST(a_missing_volume_is_named),
        TEST(removing_a_tree_does_not_follow_links),
#define ONE_VOLUME(test) {"on one volume, " #test, test, set_up_one_volume, tear_down, NULL}
        ONE_VOLUME(a_bootstrap_goes_from_empty_to_data_through_one_rename),
        ONE_VOLUME(a_clone_is_committed_as_a_standby),
        ONE_VOLUME(what_an_attempt_left_is_removed_from_both_volumes),
        ONE_VOLUME(a_new_data_directory_without_a_mark_is_not_ours),
        ONE_VOLUME(finished_data_is_never_discarded_whatever_marks_lie_around),
        ONE_VOLUME(a_standbys_data_is_given_up_and_a_primarys_never),
        ONE_VOLUME(half_a_data_directory_and_lost_wal_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
