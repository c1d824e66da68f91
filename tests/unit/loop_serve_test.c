/* Who asks little is answered, whatever others do to the port. */
#include "held_port.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/serve.h"

struct scene {
    struct event_base *loop;
    struct serve *serve;
    int port, holder, asked;
};

static int answer(void *arg, const char *path, struct buffer *body, const char **ret_type)
{
    struct scene *scene = arg;
    scene->asked++;
    *ret_type = "text/plain; version=1";
    buffer_printf(body, "you asked for %s\n", path);
    return strcmp(path, "/none") == 0 ? 404 : 200;
}

static int open_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    struct error err = {0};
    char address[64];
    scene->port = held_port(&scene->holder);
    scene->loop = event_base_new();
    snprintf(address, sizeof address, ":%d", scene->port);
    assert_int_equal(serve_new(scene->loop, address, answer, scene, &scene->serve, &err), 0);
    *state = scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *scene = *state;
    serve_free(scene->serve);
    event_base_free(scene->loop);
    close(scene->holder);
    free(scene);
    return 0;
}

/* A connection from 127.0.0.`last`. */
static int reach(const struct scene *scene, int last)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f000000U | (unsigned)last)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)scene->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Everything up to the end of the connection, while the loop turns. */
static const char *hear(struct scene *scene, int fd, char *text, size_t size)
{
    size_t used = 0;
    int64_t end_ms = clock_boot_ms() + 20000;
    while (clock_boot_ms() < end_ms) {
        event_base_loop(scene->loop, EVLOOP_NONBLOCK);
        struct pollfd look = {.fd = fd, .events = POLLIN};
        if (poll(&look, 1, 10) <= 0)
            continue;
        ssize_t got = recv(fd, text + used, size - 1 - used, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    text[used] = '\0';
    close(fd);
    return text;
}

static void a_request_is_answered_and_the_connection_ends(void **state)
{
    struct scene *scene = *state;
    char text[4096];
    int fd = reach(scene, 1);
    say(fd, "GET /readyz?full HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(hear(scene, fd, text, sizeof text),
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=1\r\n"
                        "Content-Length: 22\r\nConnection: close\r\n\r\nyou asked for /readyz\n");
    fd = reach(scene, 1);
    say(fd, "HEAD /none HTTP/1.0\n\n");
    hear(scene, fd, text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 404 Not Found\r\n"));
    assert_null(strstr(text, "asked"));
}

static void what_comes_in_pieces_is_put_together(void **state)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    struct scene *scene = *state;
    char text[4096], byte[2] = "";
    int fd = reach(scene, 1);
    for (size_t i = 0; i + 1 < sizeof request; i++) {
        byte[0] = request[i];
        say(fd, byte);
        event_base_loop(scene->loop, EVLOOP_NONBLOCK);
    }
    assert_non_null(strstr(hear(scene, fd, text, sizeof text), "you asked for /livez"));
    assert_int_equal(scene->asked, 1);
}

static void what_is_no_request_is_refused_without_being_asked(void **state)
{
    static const struct {
        const char *request, *answer;
    } cases[] = {{"POST /livez HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405 "},
                 {"GET http://elsewhere/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
                 {"GET /\r\n\r\n", "HTTP/1.1 400 "},
                 {"\r\n\r\n", "HTTP/1.1 400 "},
                 {"GET / SSH-2.0\r\n\r\n", "HTTP/1.1 400 "}};
    struct scene *scene = *state;
    char text[4096];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = reach(scene, 1);
        say(fd, cases[i].request);
        hear(scene, fd, text, sizeof text);
        assert_int_equal(strncmp(text, cases[i].answer, strlen(cases[i].answer)), 0);
    }
    assert_int_equal(scene->asked, 0);
}

static void a_request_has_a_bound(void **state)
{
    struct scene *scene = *state;
    static char large[3 * SERVE_REQUEST_MAX_BYTES];
    char text[4096];
    memset(large, 'x', sizeof large - 1);
    memcpy(large, "GET /", 5);
    int fd = reach(scene, 1);
    say(fd, large);
    assert_int_equal(strncmp(hear(scene, fd, text, sizeof text), "HTTP/1.1 431 ", 13), 0);
}

static void a_connection_has_its_time_whatever_it_sends(void **state)
{
    struct scene *scene = *state;
    int64_t began_ms = clock_boot_ms(), end_ms = began_ms + 10 * SERVE_LIFE_MS;
    int fd = reach(scene, 1);
    say(fd, "GET / HTTP/1.1\r\nX: ");
    for (;;) {
        struct pollfd look = {.fd = fd, .events = POLLIN};
        event_base_loop(scene->loop, EVLOOP_NONBLOCK);
        if (poll(&look, 1, 100) > 0)
            break;
        (void)send(fd, "x", 1, MSG_NOSIGNAL);
        assert_true(clock_boot_ms() < end_ms);
    }
    assert_true(clock_boot_ms() - began_ms >= SERVE_LIFE_MS / 2);
    close(fd);
}

static void who_takes_many_connections_loses_his_own(void **state)
{
    enum { MANY = 4 * SERVE_CONNECTIONS_MAX };
    struct scene *scene = *state;
    int many[MANY], open = 0;
    char text[4096];
    int first = reach(scene, 2);
    say(first, "GET /first ");
    event_base_loop(scene->loop, EVLOOP_NONBLOCK);
    for (int i = 0; i < MANY; i++) {
        many[i] = reach(scene, 3);
        event_base_loop(scene->loop, EVLOOP_NONBLOCK);
    }
    int late = reach(scene, 2);
    say(late, "GET /late HTTP/1.1\r\n\r\n");
    assert_non_null(strstr(hear(scene, late, text, sizeof text), "you asked for /late"));
    say(first, "HTTP/1.1\r\n\r\n");
    assert_non_null(strstr(hear(scene, first, text, sizeof text), "you asked for /first"));
    for (int i = 0; i < MANY; i++) {
        struct pollfd look = {.fd = many[i], .events = POLLIN};
        open += poll(&look, 1, 0) == 0;
        close(many[i]);
    }
    assert_true(open <= SERVE_CONNECTIONS_MAX);
    assert_true(open > SERVE_CONNECTIONS_MAX / 2);
}

static void a_flood_lets_others_have_their_turn(void **state)
{
    enum { MANY = 60, TURN_MAX = 16 };
    struct scene *scene = *state;
    int many[MANY];
    char text[4096];
    for (int i = 0; i < MANY; i++) {
        many[i] = reach(scene, 3);
        say(many[i], "GET /many HTTP/1.1\r\n\r\n");
    }
    event_base_loop(scene->loop, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_true(scene->asked <= TURN_MAX);
    for (int i = 0; i < MANY; i++)
        assert_non_null(strstr(hear(scene, many[i], text, sizeof text), "you asked for /many"));
}

static struct serve_client client_of(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return serve_client_of((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return serve_client_of((struct sockaddr *)&v6);
}

static void the_victim_is_the_oldest_of_who_has_the_most(void **state)
{
    (void)state;
    const char *all[] = {"10.0.0.1",        "::ffff:10.0.0.2", "fd00::1:0:0:0:1",
                         "fd00::1:9:9:9:9", "10.0.0.2",        "fd00::1:0:0:0:2"};
    struct serve_client clients[6];
    for (size_t i = 0; i < 6; i++)
        clients[i] = client_of(all[i]);
    assert_int_equal(serve_victim(clients, 6), 2); /* three of one network */
    assert_int_equal(serve_victim(clients, 5), 1); /* the same address in two spellings */
    assert_int_equal(serve_victim(clients, 2), 0);
    assert_int_equal(serve_victim(clients, 1), 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        CASE(a_request_is_answered_and_the_connection_ends),
        CASE(what_comes_in_pieces_is_put_together),
        CASE(what_is_no_request_is_refused_without_being_asked),
        CASE(a_request_has_a_bound),
        CASE(a_connection_has_its_time_whatever_it_sends),
        CASE(who_takes_many_connections_loses_his_own),
        CASE(a_flood_lets_others_have_their_turn),
        cmocka_unit_test(the_victim_is_the_oldest_of_who_has_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
