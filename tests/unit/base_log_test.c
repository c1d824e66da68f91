#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/log_writer.h"

enum { LINE_BYTES = 1000, FLOOD = 3 * LOG_WRITER_BYTES / LINE_BYTES };

static char payload[LINE_BYTES];

static void flood(int count)
{
    for (int i = 0; i < count; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        log_info("flood", "number", number, "payload", payload, NULL);
    }
}

/* Until `needle` came, or nothing for 10 s. */
static void read_until(int fd, struct buffer *out, const char *needle)
{
    char data[65536];
    struct pollfd waits = {fd, POLLIN, 0};
    while (strstr(buffer_text(out), needle) == NULL && poll(&waits, 1, 10000) == 1) {
        ssize_t got = read(fd, data, sizeof data);
        if (got <= 0)
            break;
        buffer_append(out, data, (size_t)got);
    }
}

struct count {
    int lines, told; /* lines of the flood; what the log says was dropped */
};

static struct count count_lines(const char *text)
{
    struct count count = {0};
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        AUTO_ARENA arena = arena_new();
        struct error err;
        cJSON *tree;
        assert_int_equal(json_parse(arena, line, strcspn(line, "\n"), &tree, &err), 0);
        count.lines += strcmp(json_str(tree, "msg", ""), "flood") == 0;
        count.told += atoi(json_str(tree, "dropped", "0"));
    }
    return count;
}

static void open_ends(bool is_socket, int ends[2])
{
    if (is_socket)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    else
        assert_int_equal(pipe(ends), 0);
}

static void nothing_waits_for_a_reader_and_what_is_dropped_is_told(void **state)
{
    (void)state;
    for (int is_socket = 0; is_socket < 2; is_socket++) {
        int ends[2];
        AUTO_BUFFER text = {0};
        open_ends(is_socket, ends);
        log_set_fd(ends[1]);
        assert_true(log_writer_start(ends[1]));
        flood(FLOOD); /* would never return */
        int dropped = (int)log_writer_dropped();
        assert_true(dropped > 0 && dropped < FLOOD);
        assert_false(log_writer_drain(10));
        assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0); /* it is not ours alone */
        read_until(ends[0], &text, "were dropped");
        log_info("the end", NULL);
        read_until(ends[0], &text, "the end");
        struct count count = count_lines(buffer_text(&text));
        assert_int_equal(count.told, dropped);
        assert_int_equal(count.lines + count.told, FLOOD);
        log_writer_stop(10000);
        close(ends[0]);
        close(ends[1]);
        log_set_fd(2);
    }
}

static void a_log_that_others_made_non_blocking_loses_no_line(void **state)
{
    /* More than a pipe holds, less than the ring. */
    enum { SOME = LOG_WRITER_BYTES / LINE_BYTES / 2 };
    (void)state;
    int ends[2];
    AUTO_BUFFER text = {0};
    open_ends(false, ends);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    log_set_fd(ends[1]);
    assert_true(log_writer_start(ends[1]));
    flood(SOME);
    assert_false(log_writer_drain(10));
    read_until(ends[0], &text, "\"number\":\"0\"");
    log_info("the end", NULL);
    read_until(ends[0], &text, "the end");
    assert_int_equal(count_lines(buffer_text(&text)).lines, SOME);
    assert_int_equal(log_writer_dropped(), 0);
    log_writer_stop(10000);
    close(ends[0]);
    close(ends[1]);
    log_set_fd(2);
}

static void anothers_flood_leaves_room_for_our_own_lines(void **state)
{
    (void)state;
    int ends[2];
    AUTO_BUFFER text = {0};
    open_ends(false, ends);
    log_set_fd(ends[1]);
    assert_true(log_writer_start(ends[1]));
    char json[LINE_BYTES + 32];
    int length = snprintf(json, sizeof json, "{\"msg\":\"raw\",\"text\":\"%s\"}", payload);
    for (int i = 0; i < FLOOD; i++)
        log_raw_line(json, (size_t)length);
    uint64_t dropped = log_writer_dropped();
    log_info("our own", NULL);
    assert_int_equal(log_writer_dropped(), dropped);
    read_until(ends[0], &text, "our own");
    assert_non_null(strstr(buffer_text(&text), "were dropped"));
    log_writer_stop(10000);
    close(ends[0]);
    close(ends[1]);
    log_set_fd(2);
}

static void a_forked_copy_writes_for_itself_and_waits_for_nobody(void **state)
{
    (void)state;
    int ends[2], status;
    open_ends(false, ends);
    log_set_fd(ends[1]);
    assert_true(log_writer_start(ends[1]));
    AUTO_BUFFER text = {0};
    for (int round = 0; round < 2; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            log_info("of the copy", NULL);
            flood(round == 0 ? 0 : 100); /* more than the pipe holds */
            _exit(log_writer_drain(0) ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        read_until(ends[0], &text, "of the copy");
    }
    char data[65536];
    while (poll(&(struct pollfd){ends[0], POLLIN, 0}, 1, 0) == 1 &&
           read(ends[0], data, sizeof data) > 0)
        ;
    log_writer_stop(10000);
    close(ends[0]);
    close(ends[1]);
    log_set_fd(2);
}

/* In a process of its own: what a program says last is read behind its end. */
static void the_end_writes_what_is_left_and_waits_for_no_reader_for_long(void **state)
{
    (void)state;
    for (int stalled = 0; stalled < 2; stalled++) {
        int ends[2], status;
        AUTO_BUFFER text = {0};
        open_ends(false, ends);
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            log_set_fd(ends[1]);
            (void)log_writer_start(ends[1]);
            flood(stalled ? FLOOD : 40);
            log_info("the last word", NULL);
            exit(3);
        }
        close(ends[1]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (!stalled)
            read_until(ends[0], &text, "the last word");
        assert_true(stalled || strstr(buffer_text(&text), "the last word") != NULL);
        close(ends[0]);
    }
}

int main(void)
{
    memset(payload, 'x', sizeof payload - 1);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_waits_for_a_reader_and_what_is_dropped_is_told),
        cmocka_unit_test(a_log_that_others_made_non_blocking_loses_no_line),
        cmocka_unit_test(anothers_flood_leaves_room_for_our_own_lines),
        cmocka_unit_test(a_forked_copy_writes_for_itself_and_waits_for_nobody),
        cmocka_unit_test(the_end_writes_what_is_left_and_waits_for_no_reader_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
