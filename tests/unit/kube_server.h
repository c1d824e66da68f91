/*
 * A scripted HTTP/1.1 server on 127.0.0.1 in the same loop as the client under test: a test's
 * `answer` decides what each request gets, byte by byte if it likes. Included by the kube tests.
 */
#pragma once

#include "loop_time.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "kube/internal.h"

struct server;

struct exchange {
    struct server *server;
    struct bufferevent *stream; /* NULL once the peer left or it was cut */
    struct exchange *next;
    struct buffer in;
    char *method, *target, *headers, *body; /* of the request at hand */
    int number;                             /* which request of the server, from 1 */
    bool chunked;
};

struct server {
    struct event_base *loop;
    struct evconnlistener *listener;
    SSL_CTX *tls; /* NULL: plain */
    void (*answer)(struct server *server, struct exchange *exchange);
    void *arg;
    struct exchange *exchanges;
    int port, connections, requests;
    int answered; /* with reply(), whole */
    char last_method[16], last_target[1024], last_headers[4096], last_body[8192];
};

UNUSED static void reply(struct exchange *x, int status, const char *headers, const char *body)
{
    x->server->answered++;
    evbuffer_add_printf(bufferevent_get_output(x->stream),
                        "HTTP/1.1 %d x\r\nContent-Type: application/json\r\n%s"
                        "Content-Length: %zu\r\n\r\n%s",
                        status, headers, strlen(body), body);
}

/* An answer without a known end, as a watch is. */
UNUSED static void reply_stream(struct exchange *x)
{
    x->chunked = true;
    evbuffer_add_printf(bufferevent_get_output(x->stream),
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n");
}

UNUSED static void send_bytes(struct exchange *x, const char *bytes, size_t length)
{
    if (x->stream == NULL || length == 0)
        return;
    struct evbuffer *out = bufferevent_get_output(x->stream);
    evbuffer_add_printf(out, "%zx\r\n", length);
    evbuffer_add(out, bytes, length);
    evbuffer_add(out, "\r\n", 2);
}

UNUSED static void send_line(struct exchange *x, const char *line)
{
    send_bytes(x, line, strlen(line));
    send_bytes(x, "\n", 1);
}

UNUSED static void end_stream(struct exchange *x)
{
    if (x->stream != NULL)
        evbuffer_add_printf(bufferevent_get_output(x->stream), "0\r\n\r\n");
}

/* Closes the connection once what was sent before is on its way. */
static void on_flushed(struct bufferevent *stream, void *arg)
{
    struct exchange *x = arg;
    if (x->stream == NULL)
        return;
    x->stream = NULL;
    bufferevent_free(stream);
}

UNUSED static void cut(struct exchange *x)
{
    if (x->stream == NULL)
        return;
    if (evbuffer_get_length(bufferevent_get_output(x->stream)) == 0) {
        bufferevent_free(x->stream);
        x->stream = NULL;
        return;
    }
    bufferevent_setcb(x->stream, NULL, on_flushed, NULL, x);
    bufferevent_disable(x->stream, EV_READ);
}

static bool take_request(struct exchange *x)
{
    char *end = x->in.data ? strstr(x->in.data, "\r\n\r\n") : NULL;
    if (end == NULL)
        return false;
    char *length_line = strcasestr(x->in.data, "\r\nContent-Length:");
    size_t body = length_line && length_line < end ? strtoul(length_line + 17, NULL, 10) : 0;
    size_t head = (size_t)(end - x->in.data) + 4;
    if (x->in.length < head + body)
        return false;
    free(x->method), free(x->target), free(x->headers), free(x->body);
    x->headers = strndup(x->in.data, head);
    x->body = strndup(x->in.data + head, body);
    x->method = strndup(x->headers, strcspn(x->headers, " "));
    char *target = x->headers + strlen(x->method) + 1;
    x->target = strndup(target, strcspn(target, " "));
    buffer_consume(&x->in, head + body);
    return true;
}

static void remember_request(struct server *server, const struct exchange *x)
{
    snprintf(server->last_method, sizeof server->last_method, "%s", x->method);
    snprintf(server->last_target, sizeof server->last_target, "%s", x->target);
    snprintf(server->last_headers, sizeof server->last_headers, "%s", x->headers);
    snprintf(server->last_body, sizeof server->last_body, "%s", x->body);
}

static void on_request_bytes(struct bufferevent *stream, void *arg)
{
    struct exchange *x = arg;
    char bytes[16384];
    size_t got;
    while ((got = bufferevent_read(stream, bytes, sizeof bytes)) > 0)
        buffer_append(&x->in, bytes, got);
    while (x->stream != NULL && take_request(x)) {
        x->number = ++x->server->requests;
        remember_request(x->server, x);
        x->server->answer(x->server, x);
    }
}

static void on_peer_event(struct bufferevent *stream, short what, void *arg)
{
    struct exchange *x = arg;
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    x->stream = NULL;
    bufferevent_free(stream);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int length, void *arg)
{
    (void)listener, (void)from, (void)length;
    struct server *server = arg;
    struct exchange *x = xcalloc(1, sizeof *x);
    x->server = server;
    x->stream = server->tls ? bufferevent_openssl_socket_new(server->loop, fd, SSL_new(server->tls),
                                                             BUFFEREVENT_SSL_ACCEPTING,
                                                             BEV_OPT_CLOSE_ON_FREE)
                            : bufferevent_socket_new(server->loop, fd, BEV_OPT_CLOSE_ON_FREE);
    x->next = server->exchanges;
    server->exchanges = x;
    server->connections++;
    bufferevent_setcb(x->stream, on_request_bytes, NULL, on_peer_event, x);
    bufferevent_enable(x->stream, EV_READ | EV_WRITE);
}

static struct server *server_new(struct event_base *loop,
                                 void (*answer)(struct server *, struct exchange *), void *arg)
{
    struct server *server = xcalloc(1, sizeof *server);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    server->loop = loop;
    server->answer = answer;
    server->arg = arg;
    server->listener =
        evconnlistener_new_bind(loop, on_accept, server, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE,
                                16, (struct sockaddr *)&here, sizeof here);
    assert_non_null(server->listener);
    getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&here, &length);
    server->port = ntohs(here.sin_port);
    return server;
}

UNUSED static void server_free(struct server *server)
{
    for (struct exchange *x = server->exchanges, *next; x != NULL; x = next) {
        next = x->next;
        if (x->stream != NULL)
            bufferevent_free(x->stream);
        buffer_free(&x->in);
        free(x->method), free(x->target), free(x->headers), free(x->body);
        free(x);
    }
    if (server->listener != NULL)
        evconnlistener_free(server->listener);
    SSL_CTX_free(server->tls);
    free(server);
}

/* Everything that takes seconds in production takes milliseconds here. */
UNUSED static const struct kube_timing quick = {
    .second_ms = 20,
    .connect_ms = 30000,
    .call_ms = 30000,
    .stall_ms = 30000,
    .backoff_first_ms = 2,
    .backoff_max_ms = 20,
    .watch_min_s = 300,
    .watch_max_s = 600,
    .retry_after_max_ms = 400,
    .exec_ms = 30000,
};

/* One loop, one server, one client. */
struct world {
    struct event_base *loop;
    struct server *server;
    struct kube *kube;
    struct arena *arena;
    struct kubeconfig config;
};

UNUSED static void world_client(struct world *world)
{
    struct error err;
    assert_int_equal(kube_new(world->loop, &world->config, "pgkeel-test", &world->kube, &err), 0);
    kube_set_timing(world->kube, &quick);
}

UNUSED static void world_open(struct world *world,
                              void (*answer)(struct server *, struct exchange *), void *arg)
{
    *world = (struct world){.loop = event_base_new(), .arena = arena_new()};
    signal(SIGPIPE, SIG_IGN); /* peers leave while they are written to */
    world->server = server_new(world->loop, answer, arg);
    world->config.server = arena_printf(world->arena, "http://127.0.0.1:%d", world->server->port);
    world_client(world);
}

UNUSED static void world_close(struct world *world)
{
    kube_free(world->kube);
    server_free(world->server);
    event_base_free(world->loop);
    arena_free(world->arena);
}
