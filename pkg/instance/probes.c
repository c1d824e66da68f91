#include "instance/probes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "base/arena.h"

enum { TIMEOUT_SECONDS = 10, BODY_MAX_BYTES = 0, HEADERS_MAX_BYTES = 8192 };

struct probes {
    struct evhttp *http;
    probes_ready ready;
    void *arg;
};

bool probes_split(const char *address, char *ret_host, size_t size, int *ret_port)
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

static void answer(struct evhttp_request *request, int code, const char *text)
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "%s\n", text);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
    evhttp_send_reply(request, code, code == 200 ? "OK" : "Service Unavailable", body);
    evbuffer_free(body);
}

static void on_alive(struct evhttp_request *request, void *arg)
{
    (void)arg;
    answer(request, 200, "ok");
}

static void on_ready(struct evhttp_request *request, void *arg)
{
    struct probes *probes = arg;
    char text[1024] = "";
    bool ready = probes->ready(probes->arg, text, sizeof text);
    answer(request, ready ? 200 : 503, text);
}

static void on_other(struct evhttp_request *request, void *arg)
{
    (void)arg;
    evhttp_send_error(request, 404, NULL);
}

static int bind_address(struct evhttp *http, const char *host, int port)
{
    if (host[0] != '\0')
        return evhttp_bind_socket(http, host, (ev_uint16_t)port);
    /* A wildcard of IPv6 serves both families, unless the node has no IPv6. */
    if (evhttp_bind_socket(http, "::", (ev_uint16_t)port) == 0)
        return 0;
    return evhttp_bind_socket(http, "0.0.0.0", (ev_uint16_t)port);
}

int probes_new(struct event_base *loop, const char *address, probes_ready ready, void *arg,
               struct probes **ret_probes, struct error *err)
{
    char host[256];
    int port;
    if (!probes_split(address, host, sizeof host, &port))
        return err_set(err, ERR_INVALID, "'%s' is no address of the form HOST:PORT", address);
    struct evhttp *http = evhttp_new(loop);
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_timeout(http, TIMEOUT_SECONDS);
    evhttp_set_max_headers_size(http, HEADERS_MAX_BYTES);
    evhttp_set_max_body_size(http, BODY_MAX_BYTES);
    errno = 0;
    if (bind_address(http, host, port) != 0) {
        int saved = errno;
        evhttp_free(http);
        return err_errno(err, saved, "listen on '%s' for probes", address);
    }
    struct probes *probes = xcalloc(1, sizeof *probes);
    *probes = (struct probes){http, ready, arg};
    evhttp_set_cb(http, "/startupz", on_alive, probes);
    evhttp_set_cb(http, "/livez", on_alive, probes);
    evhttp_set_cb(http, "/readyz", on_ready, probes);
    evhttp_set_gencb(http, on_other, probes);
    *ret_probes = probes;
    return 0;
}

void probes_free(struct probes *probes)
{
    if (probes == NULL)
        return;
    evhttp_free(probes->http);
    free(probes);
}
