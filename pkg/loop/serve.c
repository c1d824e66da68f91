#include "loop/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/listener.h>
#include <event2/util.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/timer.h"

enum { BACKLOG = 128, LISTEN_AGAIN_MS = 200, LINGER_MS = 500 };

enum stage { STAGE_READ, STAGE_WRITE, STAGE_LINGER };

struct connection {
    TAILQ_ENTRY(connection) link;
    struct serve *serve;
    evutil_socket_t fd;
    struct event *io;
    enum stage stage;
    int64_t deadline_ms;
    struct serve_client client;
    struct buffer in, out;
};

struct serve {
    struct event_base *loop;
    struct evconnlistener *listener;
    struct event *again;
    serve_answer answer;
    void *arg;
    TAILQ_HEAD(connection_list, connection) connections; /* the oldest first */
    size_t count;
    int accepted; /* in a row, see give_way() */
};

bool serve_split(const char *address, char *ret_host, size_t size, int *ret_port)
{
    const char *colon = strrchr(address, ':');
    char *end;
    if (colon == NULL)
        return false;
    long port = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port < 0 || port > 65535)
        return false;
    size_t length = (size_t)(colon - address);
    if (length >= 2 && address[0] == '[' && colon[-1] == ']') {
        address++;
        length -= 2;
    }
    if (length >= size)
        return false;
    snprintf(ret_host, size, "%.*s", (int)length, address);
    *ret_port = (int)port;
    return true;
}

struct serve_client serve_client_of(const struct sockaddr *address)
{
    struct serve_client client = {0};
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        memset(client.key + 10, 0xff, 2);
        memcpy(client.key + 12, &in->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)address;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr);
        memcpy(client.key, &in->sin6_addr, mapped ? 16 : 8);
    }
    return client;
}

static size_t share(const struct serve_client *clients, size_t count, size_t of)
{
    size_t same = 0;
    for (size_t i = 0; i < count; i++)
        same += memcmp(clients[i].key, clients[of].key, sizeof clients[of].key) == 0;
    return same;
}

size_t serve_victim(const struct serve_client *clients, size_t count)
{
    size_t victim = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        size_t has = share(clients, count, i);
        if (has > most) {
            most = has;
            victim = i;
        }
    }
    return victim;
}

static void close_connection(struct connection *connection)
{
    struct serve *serve = connection->serve;
    TAILQ_REMOVE(&serve->connections, connection, link);
    serve->count--;
    if (connection->io != NULL)
        event_free(connection->io);
    evutil_closesocket(connection->fd);
    buffer_free(&connection->in);
    buffer_free(&connection->out);
    free(connection);
}

static void on_io(evutil_socket_t fd, short what, void *arg);

/* The time counts from the accept, whatever arrives: a client that sends one byte per second gains
 * nothing. */
static void wait_for(struct connection *connection, short what)
{
    int64_t left_ms = connection->deadline_ms - clock_boot_ms();
    if (connection->io != NULL)
        event_free(connection->io);
    connection->io = event_new(connection->serve->loop, connection->fd, what, on_io, connection);
    timer_set(NULL, connection->io, left_ms > 1 ? left_ms : 1);
}

/* ---- one request ---- */

static const char *words_of(int code)
{
    static const struct {
        int code;
        const char *words;
    } all[] = {{200, "OK"},
               {400, "Bad Request"},
               {404, "Not Found"},
               {405, "Method Not Allowed"},
               {431, "Request Header Fields Too Large"},
               {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].code == code)
            return all[i].words;
    return "";
}

static void reply(struct connection *connection, int code, const char *type,
                  const struct buffer *body, bool head)
{
    buffer_printf(&connection->out,
                  "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
                  "Connection: close\r\n\r\n",
                  code, words_of(code), type, body->length,
                  code == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (!head && body->length > 0)
        buffer_append(&connection->out, body->data, body->length);
    connection->stage = STAGE_WRITE;
}

static void refuse(struct connection *connection, int code)
{
    AUTO_BUFFER body = {0};
    buffer_printf(&body, "%s\n", words_of(code));
    reply(connection, code, "text/plain", &body, false);
}

/* "GET /path?query HTTP/1.1": cuts the line at its words. False when it is not a request line. */
static bool read_line(char *line, char **ret_method, char **ret_path)
{
    line[strcspn(line, "\r\n")] = '\0';
    char *path = strchr(line, ' ');
    if (path == NULL || path == line || path[1] != '/')
        return false;
    *path++ = '\0';
    char *version = strchr(path, ' ');
    if (version == NULL || strncmp(version, " HTTP/1.", 8) != 0)
        return false;
    *version = '\0';
    path[strcspn(path, "?#")] = '\0';
    *ret_method = line;
    *ret_path = path;
    return true;
}

/* A NUL would hide the rest of the request from the string functions: it is refused. */
static void answer(struct connection *connection)
{
    AUTO_ARENA arena = arena_new();
    AUTO_BUFFER body = {0};
    const char *type = "text/plain";
    char *method, *path;
    if (strlen(buffer_text(&connection->in)) != connection->in.length ||
        !read_line(arena_strdup(arena, connection->in.data), &method, &path)) {
        refuse(connection, 400);
        return;
    }
    bool head = strcmp(method, "HEAD") == 0;
    if (!head && strcmp(method, "GET") != 0) {
        refuse(connection, 405);
        return;
    }
    int code = connection->serve->answer(connection->serve->arg, path, &body, &type);
    reply(connection, code, type, &body, head);
}

static bool is_whole(const struct buffer *in)
{
    const char *text = buffer_text(in);
    return memmem(text, in->length, "\r\n\r\n", 4) != NULL ||
           memmem(text, in->length, "\n\n", 2) != NULL;
}

/* ---- bytes ---- */

static bool would_wait(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* False when the connection is gone. */
static bool read_request(struct connection *connection)
{
    char chunk[2048];
    for (;;) {
        ssize_t got = recv(connection->fd, chunk, sizeof chunk, 0);
        if (got < 0 && would_wait()) {
            wait_for(connection, EV_READ);
            return true;
        }
        if (got <= 0)
            return false;
        buffer_append(&connection->in, chunk, (size_t)got);
        if (is_whole(&connection->in))
            answer(connection);
        else if (connection->in.length > SERVE_REQUEST_MAX_BYTES)
            refuse(connection, 431);
        else
            continue;
        return true;
    }
}

static bool write_reply(struct connection *connection)
{
    struct buffer *out = &connection->out;
    while (out->length > 0) {
        ssize_t sent = send(connection->fd, out->data, out->length, MSG_NOSIGNAL);
        if (sent < 0 && would_wait()) {
            wait_for(connection, EV_WRITE);
            return true;
        }
        if (sent < 0)
            return false;
        buffer_consume(out, (size_t)sent);
    }
    /* If it were closed now, input that was not read would turn the answer into a reset. */
    shutdown(connection->fd, SHUT_WR);
    connection->stage = STAGE_LINGER;
    int64_t end_ms = clock_boot_ms() + LINGER_MS;
    if (end_ms < connection->deadline_ms)
        connection->deadline_ms = end_ms;
    return true;
}

static bool linger(struct connection *connection)
{
    char chunk[2048];
    ssize_t got = recv(connection->fd, chunk, sizeof chunk, 0);
    if (got == 0 || (got < 0 && !would_wait()))
        return false;
    wait_for(connection, EV_READ);
    return true;
}

static void go_on(struct connection *connection)
{
    bool there = true;
    if (connection->stage == STAGE_READ)
        there = read_request(connection);
    if (there && connection->stage == STAGE_WRITE)
        there = write_reply(connection);
    if (there && connection->stage == STAGE_LINGER)
        there = linger(connection);
    if (!there)
        close_connection(connection);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    struct connection *connection = arg;
    if ((what & EV_TIMEOUT) || clock_boot_ms() >= connection->deadline_ms)
        close_connection(connection);
    else
        go_on(connection);
}

/* ---- connections ---- */

static void make_room(struct serve *serve)
{
    struct serve_client clients[SERVE_CONNECTIONS_MAX];
    struct connection *connection;
    size_t count = 0;
    if (serve->count < SERVE_CONNECTIONS_MAX)
        return;
    TAILQ_FOREACH(connection, &serve->connections, link)
    clients[count++] = connection->client;
    size_t victim = serve_victim(clients, count);
    connection = TAILQ_FIRST(&serve->connections);
    while (victim-- > 0)
        connection = TAILQ_NEXT(connection, link);
    close_connection(connection);
}

/* libevent accepts until no connection waits. In a flood that may never be, and nothing else would
 * run. */
static void give_way(struct serve *serve)
{
    if (++serve->accepted < SERVE_TURN_MAX)
        return;
    evconnlistener_disable(serve->listener);
    timer_arm(serve->again, 0);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *arg)
{
    (void)listener, (void)length;
    struct serve *serve = arg;
    give_way(serve);
    struct connection *connection = xcalloc(1, sizeof *connection);
    make_room(serve);
    connection->serve = serve;
    connection->fd = fd;
    connection->client = serve_client_of(address);
    connection->deadline_ms = clock_boot_ms() + SERVE_LIFE_MS;
    TAILQ_INSERT_TAIL(&serve->connections, connection, link);
    serve->count++;
    /* A kubelet has usually sent its request by now: it gets its answer before other clients can
     * crowd it out. */
    go_on(connection);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct serve *serve = arg;
    serve->accepted = 0;
    evconnlistener_enable(serve->listener);
}

/* Out of descriptors or memory: without a pause the listener would be ready again and again. */
static void on_listen_error(struct evconnlistener *listener, void *arg)
{
    struct serve *serve = arg;
    log_warning("a connection cannot be accepted", "error",
                evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()), NULL);
    evconnlistener_disable(listener);
    timer_arm(serve->again, LISTEN_AGAIN_MS);
}

static struct evconnlistener *listen_on(struct serve *serve, const char *host, int port)
{
    struct evutil_addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_PASSIVE};
    struct evutil_addrinfo *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    if (evutil_getaddrinfo(host, service, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return NULL;
    }
    struct evconnlistener *listener =
        evconnlistener_new_bind(serve->loop, on_accept, serve,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                BACKLOG, found->ai_addr, (int)found->ai_addrlen);
    int saved = errno;
    evutil_freeaddrinfo(found);
    errno = saved;
    return listener;
}

int serve_new(struct event_base *loop, const char *address, serve_answer answer_function, void *arg,
              struct serve **ret_serve, struct error *err)
{
    char host[256];
    int port;
    if (!serve_split(address, host, sizeof host, &port))
        return err_set(err, ERR_INVALID, "'%s' is not an address of the form HOST:PORT", address);
    struct serve *serve = xcalloc(1, sizeof *serve);
    serve->loop = loop;
    serve->answer = answer_function;
    serve->arg = arg;
    TAILQ_INIT(&serve->connections);
    /* The wildcard of IPv6 serves both families, unless the node has no IPv6. */
    serve->listener = listen_on(serve, host[0] ? host : "::", port);
    if (serve->listener == NULL && host[0] == '\0')
        serve->listener = listen_on(serve, "0.0.0.0", port);
    if (serve->listener == NULL) {
        int saved = errno;
        free(serve);
        return err_errno(err, saved, "listen on '%s'", address);
    }
    evconnlistener_set_error_cb(serve->listener, on_listen_error);
    serve->again = evtimer_new(loop, on_again, serve);
    *ret_serve = serve;
    return 0;
}

void serve_free(struct serve *serve)
{
    if (serve == NULL)
        return;
    while (!TAILQ_EMPTY(&serve->connections))
        close_connection(TAILQ_FIRST(&serve->connections));
    evconnlistener_free(serve->listener);
    event_free(serve->again);
    free(serve);
}
