#include "test.h"

#include <stdio.h>

#include "postgres/controldata.h"

static const char sample[] = "pg_control version number:            1300\n"
                             "Database system identifier:           7711127492938631415\n"
                             "Database cluster state:               shut down in recovery\n"
                             "Latest checkpoint's TimeLineID:       3\n"
                             "Latest checkpoint's PrevTimeLineID:   2\n"
                             "wal_level setting:                    replica\n"
                             "max_connections setting:              50\n"
                             "max_worker_processes setting:         8\n"
                             "max_wal_senders setting:              16\n"
                             "max_prepared_xacts setting:           0\n"
                             "max_locks_per_xact setting:           64\n"
                             "Data page checksum version:           1\n";

static void everything_is_read(void **state)
{
    (void)state;
    struct controldata data;
    struct error err;
    assert_int_equal(controldata_parse(sample, &data, &err), 0);
    assert_string_equal(data.system_identifier, "7711127492938631415");
    assert_string_equal(data.state, "shut down in recovery");
    assert_int_equal(data.timeline, 3);
    assert_int_equal(data.checksum_version, 1);
    assert_int_equal(data.limits[LIMIT_MAX_CONNECTIONS], 50);
    assert_int_equal(data.limits[LIMIT_MAX_WAL_SENDERS], 16);
    assert_int_equal(data.limits[LIMIT_MAX_LOCKS_PER_TRANSACTION], 64);
}

static void what_is_missing_is_named_and_nothing_is_returned(void **state)
{
    (void)state;
    struct controldata data = {.timeline = 99};
    struct error err;
    char cut[sizeof sample];
    snprintf(cut, sizeof cut, "%.*s", (int)(strstr(sample, "max_wal_senders") - sample), sample);
    assert_int_equal(controldata_parse(cut, &data, &err), ERR_INTERNAL);
    assert_non_null(strstr(err.text, "max_wal_senders setting"));
    assert_int_equal(controldata_parse("", &data, &err), ERR_INTERNAL);
    assert_int_equal(data.timeline, 99);
}

/* The file is written in place: whoever reads it beside a running server may meet half of it. */
static void a_file_that_was_read_while_it_was_written_is_not_believed(void **state)
{
    (void)state;
    struct controldata data = {.timeline = 99};
    struct error err;
    char torn[sizeof sample + 200];
    snprintf(torn, sizeof torn,
             "WARNING: Calculated CRC checksum does not match value stored in file.\n"
             "Either the file is corrupt, or it has a different layout than this program\n%s",
             sample);
    assert_int_equal(controldata_parse(torn, &data, &err), ERR_INTERNAL);
    assert_non_null(strstr(err.text, "CRC"));
    snprintf(torn, sizeof torn,
             "pg_controldata: warning: calculated CRC checksum does not match value stored in "
             "control file\n%s",
             sample);
    assert_int_equal(controldata_parse(torn, &data, &err), ERR_INTERNAL);
    assert_int_equal(data.timeline, 99);
}

static void every_beginning_of_the_output_is_survived(void **state)
{
    (void)state;
    struct controldata data;
    struct error err;
    char cut[sizeof sample];
    for (size_t length = 0; length < sizeof sample; length++) {
        snprintf(cut, sizeof cut, "%.*s", (int)length, sample);
        err_ignore(controldata_parse(cut, &data, &err)); /* must only not crash */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(what_is_missing_is_named_and_nothing_is_returned),
        cmocka_unit_test(a_file_that_was_read_while_it_was_written_is_not_believed),
        cmocka_unit_test(every_beginning_of_the_output_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
