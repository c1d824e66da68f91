#include "test.h"

#include "postgres/bootstrap.h"

static const char *joined(struct arena *arena, const char *const *argv)
{
    const char *text = "";
    for (; *argv != NULL; argv++)
        text = arena_printf(arena, "%s%s%s", text, text[0] ? " " : "", *argv);
    return text;
}

static struct volume volume(void)
{
    struct volume made;
    struct error err;
    assert_int_equal(volume_init(&made, "/d", "/w", &err), 0);
    return made;
}

static void initdb_uses_the_builtin_collation_where_there_is_one(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct volume v = volume();
    struct binaries binaries = {.dir = "/b", .major = 17};
    struct cluster_config config = {.encoding = "UTF8", .locale = "C.UTF-8"};
    assert_string_equal(
        joined(arena, bootstrap_initdb(arena, &binaries, &v, &config)),
        "/b/initdb --pgdata=/d/pgdata.new --waldir=/w/pg_wal --username=postgres --encoding=UTF8 "
        "--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C.UTF-8 --data-checksums "
        "--auth-local=trust --auth-host=reject --no-instructions --no-sync");
    binaries.major = 16;
    assert_null(strstr(joined(arena, bootstrap_initdb(arena, &binaries, &v, &config)), "builtin"));
    binaries.major = 18;
    config.locale = "de_DE.UTF-8";
    const char *german = joined(arena, bootstrap_initdb(arena, &binaries, &v, &config));
    assert_null(strstr(german, "builtin"));
    assert_non_null(strstr(german, "--locale=de_DE.UTF-8"));
}

static void a_clone_streams_through_its_slot_and_never_asks_for_a_password(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct volume v = volume();
    struct binaries binaries = {.dir = "/b", .major = 15};
    assert_string_equal(
        joined(arena, bootstrap_clone(arena, &binaries, &v, "host=x", "a_2")),
        "/b/pg_basebackup --dbname=host=x --no-password --pgdata=/d/pgdata.new --waldir=/w/pg_wal "
        "--wal-method=stream --slot=a_2 --checkpoint=fast --no-manifest --progress --no-sync");
}

static void the_last_progress_line_counts(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct bootstrap_progress progress;
    assert_false(bootstrap_read_progress("waiting for checkpoint\n", &progress));
    assert_false(bootstrap_read_progress("x kB (", &progress));
    assert_true(
        bootstrap_read_progress("waiting for checkpoint\n    0/13107200 kB (0%), 0/1 tablespace\n"
                                " 6029312/13107200 kB (46%), 0/1 tablespace\n",
                                &progress));
    assert_int_equal(progress.percent, 46);
    assert_string_equal(bootstrap_progress_text(arena, &progress), "copied 45 % of 12 GiB");
    assert_true(bootstrap_read_progress("38000/37000 kB (102%), 1/1 tablespace\n", &progress));
    assert_string_equal(bootstrap_progress_text(arena, &progress), "copied 100 % of 36 MiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initdb_uses_the_builtin_collation_where_there_is_one),
        cmocka_unit_test(a_clone_streams_through_its_slot_and_never_asks_for_a_password),
        cmocka_unit_test(the_last_progress_line_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
