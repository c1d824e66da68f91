#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

static void a_written_file_reads_back_and_keeps_its_mode(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    char folder[] = "/tmp/pgkeel-file-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = arena_printf(arena, "%s/f", folder);
    struct error err;
    assert_int_equal(file_write_atomic(path, "one", 3, 0600, &err), 0);
    assert_int_equal(file_write_atomic(path, "two\0x", 5, 0600, &err), 0);
    char *text = NULL;
    size_t length = 0;
    assert_int_equal(file_read(arena, path, 100, &text, &length, &err), 0);
    assert_int_equal(length, 5);
    assert_memory_equal(text, "two\0x", 6);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(file_read(arena, path, 4, &text, &length, &err), ERR_INVALID);
    unlink(path);
    assert_int_equal(file_read(arena, path, 4, &text, &length, &err), ERR_NOT_FOUND);
    assert_int_equal(access(arena_printf(arena, "%s.tmp", path), F_OK), -1);
    rmdir(folder);
    assert_int_equal(file_write_atomic(path, "x", 1, 0600, &err), ERR_NOT_FOUND);
}

static void times_survive_the_round_trip(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    assert_string_equal(clock_rfc3339(arena, 1767225599123), "2025-12-31T23:59:59Z");
    assert_string_equal(clock_rfc3339_micro(arena, 1767225599123), "2025-12-31T23:59:59.123000Z");
    assert_int_equal(clock_parse_rfc3339("2025-12-31T23:59:59.123456Z"), 1767225599123);
    assert_int_equal(clock_parse_rfc3339("2026-01-01T01:59:59+02:00"), 1767225599000);
    assert_int_equal(clock_parse_rfc3339("2026-01-01"), -1);
    assert_int_equal(clock_parse_rfc3339("2026-01-01T01:59:59"), -1);
    assert_int_equal(clock_parse_rfc3339(NULL), -1);
}

static void base64_decodes_only_base64(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    const char *samples[] = {"", "a", "ab", "abc", "abcd"};
    for (int i = 0; i < 5; i++) {
        size_t length = 99;
        char *coded = hash_base64(arena, samples[i], strlen(samples[i]));
        assert_string_equal(hash_unbase64(arena, coded, &length), samples[i]);
        assert_int_equal(length, strlen(samples[i]));
    }
    size_t length;
    assert_null(hash_unbase64(arena, "abc", &length));
    assert_null(hash_unbase64(arena, "a*bc", &length));
    assert_string_equal(hash_hex16(arena, "abc", 3), "ba7816bf8f01cfea");
}

static void a_log_line_is_one_json_object(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    log_set_fd(ends[1]);
    log_set_name("test");
    log_info("said \"so\"", "text", "a\nb\t\x01", NULL);
    log_debug("not at this level", NULL);
    log_set_fd(2);
    char line[512] = "";
    ssize_t length = read(ends[0], line, sizeof line - 1);
    assert_true(length > 0);
    assert_non_null(strstr(line,
                           "\"level\":\"info\",\"logger\":\"test\",\"msg\":\"said \\\"so\\\"\","
                           "\"text\":\"a\\nb\\u0009\\u0001\"}\n"));
    assert_ptr_equal(strchr(line, '\n'), line + length - 1);
    close(ends[0]);
    close(ends[1]);
}

static void destructors_run_last_first(void **state);
static char order[8];
static void note(void *thing)
{
    size_t used = strlen(order);
    order[used] = *(char *)thing;
}

static void destructors_run_last_first(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    arena_defer(arena, note, arena_strdup(arena, "a"));
    arena_defer(arena, note, arena_strdup(arena, "b"));
    arena_free(arena);
    assert_string_equal(order, "ba");
}

static void growing_keeps_the_content_and_zeroes_the_rest(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    size_t size = 1;
    unsigned char *data = arena_grow(arena, NULL, 0, size);
    data[0] = 7;
    for (; size < 100000; size *= 3) {
        data = arena_grow(arena, data, size, size * 3);
        arena_alloc(arena, size % 5 == 0 ? 1 : 0);
    }
    assert_int_equal(data[0], 7);
    for (size_t i = 1; i < size; i++)
        assert_int_equal(data[i], 0);
    assert_true(arena_used_bytes(arena) >= size);
}

static void a_buffer_stays_terminated(void **state)
{
    (void)state;
    AUTO_BUFFER buffer = {0};
    assert_string_equal(buffer_text(&buffer), "");
    for (int i = 0; i < 100; i++)
        buffer_printf(&buffer, "%02d,", i);
    buffer_consume(&buffer, 3 * 99);
    assert_string_equal(buffer_text(&buffer), "99,");
    buffer_consume(&buffer, 3);
    assert_string_equal(buffer_text(&buffer), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_file_reads_back_and_keeps_its_mode),
        cmocka_unit_test(times_survive_the_round_trip),
        cmocka_unit_test(base64_decodes_only_base64),
        cmocka_unit_test(a_log_line_is_one_json_object),
        cmocka_unit_test(destructors_run_last_first),
        cmocka_unit_test(growing_keeps_the_content_and_zeroes_the_rest),
        cmocka_unit_test(a_buffer_stays_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
