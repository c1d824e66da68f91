/* Each phrase stands in a line that was recorded, and in the programs that are installed here. */
#include "test.h"

#include <glob.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/file.h"
#include "phrase/phrase.h"

static const struct {
    enum phrase phrase;
    const char *line;
} recorded[] = {
    {PHRASE_WAL_RECEIVE_FAILED,
     "could not receive data from WAL stream: ERROR:  requested WAL segment "
     "000000010000000000000003 has already been removed"},
    {PHRASE_WAL_RECEIVE_FAILED,
     "could not receive data from WAL stream: server closed the connection unexpectedly"},
    {PHRASE_WAL_REMOVED, "could not receive data from WAL stream: ERROR:  requested WAL segment "
                         "000000010000000000000003 has already been removed"},
    {PHRASE_SYSTEM_DIFFERS, "database system identifier differs between the primary and standby"},
    {PHRASE_PRIMARY_UNREACHABLE,
     "could not connect to the primary server: connection to server at \"a-rw\" (10.0.0.1), port "
     "5432 failed: Connection refused"},
    {PHRASE_PRIMARY_UNREACHABLE,
     "streaming replication receiver \"a-2\" could not connect to the primary server: connection "
     "to server at \"a-rw\" (10.0.0.1), port 5432 failed: timeout expired"},
    {PHRASE_STREAMING_REFUSED, "could not start WAL streaming: ERROR:  replication slot \"a_2\" "
                               "does not exist"},
    {PHRASE_PREPARED_FULL, "maximum number of prepared transactions reached"},
    {PHRASE_CONFIGURATION_ERRORS,
     "configuration file \"/pgkeel/data/pgdata/postgresql.conf\" contains errors"},
    {PHRASE_CONFIGURATION_ERRORS, "configuration file \"/pgkeel/data/pgdata/postgresql.conf\" "
                                  "contains errors; unaffected changes were applied"},
    {PHRASE_ALL_TERMINATING, "terminating any other active server processes"},
    {PHRASE_REINITIALIZING, "all server processes terminated; reinitializing"},
    {PHRASE_PROCESS_ENDED, "server process (PID 4711) was terminated by signal 9: Killed"},
    {PHRASE_PROCESS_ENDED, "startup process (PID 30) exited with exit code 1"},
    {PHRASE_COULD_NOT,
     "could not open file \"pg_wal/000000010000000000000001\": Permission denied"},
    {PHRASE_INVALID, "invalid value for parameter \"shared_buffers\": \"1XB\""},
    {PHRASE_SYSTEM_STATE, "FATAL:  the database system is starting up"},
    {PHRASE_SYSTEM_STATE, "FATAL:  the database system is not yet accepting connections"},
    {PHRASE_SYSTEM_STATE, "FATAL:  the database system is in recovery mode"},
    {PHRASE_AUTHENTICATION_FAILED, "FATAL:  password authentication failed for user \"app\""},
    {PHRASE_HBA, "FATAL:  no pg_hba.conf entry for host \"10.0.0.2\", user \"app\", database "
                 "\"app\", no encryption"},
    {PHRASE_HBA, "FATAL:  pg_hba.conf rejects connection for host \"10.0.0.2\", user \"app\", "
                 "database \"app\", SSL encryption"},
    {PHRASE_ATTEMPT, "connection to server at \"a-rw\" (10.0.0.1), port 5432 failed: timeout "
                     "expired"},
    {PHRASE_ATTEMPT, "connection to server on socket \"/pgkeel/run/.s.PGSQL.5432\" failed: No "
                     "such file or directory"},
    {PHRASE_ATTEMPT_FAILED, "connection to server at \"a-rw\" (10.0.0.1), port 5432 failed: "
                            "Connection refused"},
    {PHRASE_ASIDE, "Is the server running on that host and accepting TCP/IP connections?"},
    {PHRASE_ASIDE, "Is the server running locally and accepting connections on that socket?"},
    {PHRASE_ASIDE, "This probably means the server terminated abnormally"},
    {PHRASE_ASIDE, "before or while processing the request."},
    {PHRASE_REFUSED, "Connection refused"},
    {PHRASE_CONNECT_TIMEOUT, "timeout expired"},
    {PHRASE_FATAL, "FATAL:  the database system is starting up"},
    {PHRASE_VERSION, "postgres (PostgreSQL) 17.2 (Debian 17.2-1.pgdg120+1)"},
    {PHRASE_PROGRESS, "    22980/4194304 kB (0%), 0/1 tablespace"},
    {PHRASE_CONTROL_CRC, "WARNING: Calculated CRC checksum does not match value stored in file."},
    {PHRASE_CONTROL_CRC,
     "pg_controldata: warning: calculated CRC checksum does not match value stored in control "
     "file"},
    {PHRASE_NO_USER, "initdb: error: could not look up effective user ID 70000: user does not "
                     "exist"},
    {PHRASE_K8S_VERSION_TOO_LARGE, "Timeout: Too large resource version: 99, current: 7"},
    {PHRASE_K8S_VERSION_TOO_LARGE,
     "{\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}"},
    {PHRASE_K8S_UID_CHANGED, "Service \"a-rw\" is invalid: metadata.uid: Invalid value: \"u-1\": "
                             "field is immutable"},
    {PHRASE_K8S_QUOTA_EXCEEDED, "services \"a-rw\" is forbidden: exceeded quota: tight, requested: "
                                "services=1, used: services=3, limited: services=3"},
    {PHRASE_K8S_QUOTA, "pods \"a-2-0\" is forbidden: exceeded quota: tight"},
    {PHRASE_K8S_QUOTA_UNSPECIFIED, "pods \"a-2-0\" is forbidden: failed quota: tight: must specify "
                                   "limits.cpu for: postgres"},
    {PHRASE_K8S_NAMESPACE_TERMINATING, "services \"a-rw\" is forbidden: unable to create new "
                                       "content in namespace x because it is being terminated"},
    {PHRASE_K8S_VOLUME_SHRINKS,
     "PersistentVolumeClaim \"a-1-data\" is invalid: spec.resources.requests.storage: Forbidden: "
     "field can not be less than status.capacity"},
    {PHRASE_K8S_VOLUME_RESIZE, "persistentvolumeclaims \"a-1-data\" is forbidden: only dynamically "
                               "provisioned pvc can be resized and the storageclass that "
                               "provisions the pvc must support resize"},
    {PHRASE_K8S_VOLUME_EXPANSION, "admission webhook denied the request: volume expansion is not "
                                  "supported"},
    {PHRASE_K8S_STORAGE_CLASS, "storageclass.storage.k8s.io \"fast\" not found"},
    {PHRASE_K8S_NOT_FOUND, "storageclass.storage.k8s.io \"fast\" not found"},
    {PHRASE_K8S_NO_DEFAULT_CLASS,
     "no persistent volumes available for this claim and no storage class is set"},
    {PHRASE_K8S_RESIZE_ERROR, "ControllerResizeError: no room"},
    {PHRASE_K8S_NODE_AFFINITY,
     "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."},
    {PHRASE_K8S_VOLUME_NODE_AFFINITY,
     "0/2 nodes are available: 2 node(s) had volume node affinity conflict."},
    {PHRASE_K8S_VOLUME_NODE_AFFINITY,
     "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity."},
    {PHRASE_K8S_SECRET, "secret \"a-app\" not found"},
    {PHRASE_K8S_SECRET, "couldn't find key password in Secret x/a-app"},
};

/* What reads alike and means something else. */
static const struct {
    enum phrase phrase;
    const char *line;
} others[] = {
    {PHRASE_WAL_RECEIVE_FAILED, "ERROR:  could not receive data from WAL stream"},
    {PHRASE_WAL_REMOVED, "requested WAL segment 000000010000000000000003 is being removed"},
    {PHRASE_ALL_TERMINATING, "LOG:  terminating any other active server processes"},
    {PHRASE_COULD_NOT, "we could not open it"},
    {PHRASE_ASIDE, "The server is running on that host"},
    {PHRASE_K8S_VOLUME_NODE_AFFINITY,
     "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."},
    {PHRASE_K8S_VOLUME_SHRINKS, "spec is immutable after creation"},
};

static void every_phrase_stands_in_its_recorded_lines(void **state)
{
    (void)state;
    bool met[PHRASES] = {[PHRASE_NONE] = true};
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
        if (!phrase_is_in(recorded[i].phrase, recorded[i].line))
            fail_msg("phrase %d is not in '%s'", recorded[i].phrase, recorded[i].line);
        met[recorded[i].phrase] = true;
    }
    for (int i = 0; i < PHRASES; i++)
        if (!met[i])
            fail_msg("no line is recorded for phrase %d", i);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (phrase_is_in(others[i].phrase, others[i].line))
            fail_msg("phrase %d is in '%s'", others[i].phrase, others[i].line);
}

static bool is_recorded(const struct phrase_row *row)
{
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++)
        if (recorded[i].phrase == row->phrase && strcasestr(recorded[i].line, row->text) != NULL)
            return true;
    return false;
}

static void every_row_says_where_it_is_from_and_what_it_means(void **state)
{
    (void)state;
    const struct phrase_row *const tables[] = {phrase_postgres, phrase_kubernetes};
    for (size_t i = 0; i < 2; i++)
        for (const struct phrase_row *row = tables[i]; row->phrase != PHRASE_NONE; row++)
            if (!row->text[0] || !row->source[0] || !row->versions[0] || !row->means[0] ||
                !is_recorded(row))
                fail_msg("the row of '%s' lacks its source, its meaning or a line", row->text);
}

static void what_comes_behind_a_phrase_is_found(void **state)
{
    (void)state;
    assert_string_equal(phrase_after(PHRASE_VERSION, "postgres (PostgreSQL) 17.2"), "17.2");
    assert_null(phrase_after(PHRASE_VERSION, "postgres 17.2"));
    assert_null(phrase_find(PHRASE_VERSION, NULL));
    assert_false(phrase_is_in(PHRASE_NONE, "anything"));
}

/* The file of a PostgreSQL that holds the program's messages. */
static bool read_program(struct arena *arena, const char *home, const char *program,
                         char **ret_bytes, size_t *ret_length)
{
    enum { PROGRAM_MAX_BYTES = 64 * 1024 * 1024 };
    struct error err;
    const char *binary = arena_printf(arena, "%s/bin/%s", home, program);
    const char *library = arena_printf(arena, "%s/lib/%s.so", home, program);
    if (strcmp(program, "libpq") == 0)
        library = "/usr/lib/x86_64-linux-gnu/libpq.so.5";
    return file_read(arena, binary, PROGRAM_MAX_BYTES, ret_bytes, ret_length, &err) == 0 ||
           file_read(arena, library, PROGRAM_MAX_BYTES, ret_bytes, ret_length, &err) == 0;
}

static void the_programs_that_are_installed_say_it_so(void **state)
{
    (void)state;
    glob_t homes = {0};
    size_t looked_at = 0;
    (void)glob("/usr/lib/postgresql/*", 0, NULL, &homes);
    for (size_t i = 0; i < homes.gl_pathc; i++)
        for (const struct phrase_row *row = phrase_postgres; row->phrase != PHRASE_NONE; row++) {
            AUTO_ARENA arena = arena_new();
            char *bytes;
            size_t length;
            if (row->program[0] == '\0' ||
                !read_program(arena, homes.gl_pathv[i], row->program, &bytes, &length))
                continue;
            looked_at++;
            if (memmem(bytes, length, row->text, strlen(row->text)) == NULL)
                fail_msg("%s of %s does not say '%s'", row->program, homes.gl_pathv[i], row->text);
        }
    globfree(&homes);
    if (looked_at == 0)
        skip(); /* there is no PostgreSQL here: tests/instance meets it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_phrase_stands_in_its_recorded_lines),
        cmocka_unit_test(every_row_says_where_it_is_from_and_what_it_means),
        cmocka_unit_test(what_comes_behind_a_phrase_is_found),
        cmocka_unit_test(the_programs_that_are_installed_say_it_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
