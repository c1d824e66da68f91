/* libcurl's multi handle driven by libevent: one event per socket, one timer for all. */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/event.h>

#include "http/internal.h"

static void act(struct http *http, curl_socket_t fd, int what)
{
    int running;
    curl_multi_socket_action(http->multi, fd, what, &running);
    http_pump(http);
}

static struct http_socket *find(struct http *http, curl_socket_t fd)
{
    struct http_socket *socket;
    TAILQ_FOREACH(socket, &http->sockets, link)
    if (socket->fd == fd)
        return socket;
    return NULL;
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct http *http = arg;
    struct http_socket *socket = find(http, fd);
    if (socket != NULL && (what & EV_READ))
        socket->heard_ms = timer_now_ms(http->clock);
    act(http, fd,
        (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    http_pump(arg);
}

static void forget(struct http *http, struct http_socket *socket)
{
    TAILQ_REMOVE(&http->sockets, socket, link);
    event_free(socket->event);
    free(socket);
}

static struct http_socket *remember(struct http *http, curl_socket_t fd)
{
    struct http_socket *socket = xcalloc(1, sizeof *socket);
    socket->fd = fd;
    socket->heard_ms = timer_now_ms(http->clock);
    socket->event = event_new(http->loop, fd, 0, on_socket, http);
    TAILQ_INSERT_TAIL(&http->sockets, socket, link);
    curl_multi_assign(http->multi, fd, socket);
    return socket;
}

static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    (void)easy;
    struct http *http = arg;
    struct http_socket *socket = known;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            forget(http, socket);
        return 0;
    }
    if (socket == NULL)
        socket = remember(http, fd);
    short events = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
                           (what & CURL_POLL_OUT ? EV_WRITE : 0));
    event_del(socket->event); /* libevent: a pending event must not be assigned */
    event_assign(socket->event, http->loop, fd, events, on_socket, http);
    event_add(socket->event, NULL);
    return 0;
}

static int timer_changed(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct http *http = arg;
    timer_set(NULL, http->timer, ms); /* libcurl reads the machine's own clock */
    return 0;
}

void http_pump_soon(struct http *http)
{
    event_active(http->soon, 0, 0);
}

int http_multi_open(struct http *http, struct error *err)
{
    TAILQ_INIT(&http->sockets);
    http->multi = curl_multi_init();
    http->timer = evtimer_new(http->loop, on_timer, http);
    http->soon = event_new(http->loop, -1, 0, on_soon, http);
    if (http->multi == NULL || http->timer == NULL || http->soon == NULL)
        return err_set(err, ERR_INTERNAL, "libcurl or libevent cannot start");
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, timer_changed);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 4L);
    return 0;
}

void http_multi_close(struct http *http)
{
    struct http_socket *socket;
    if (http->multi != NULL)
        curl_multi_cleanup(http->multi);
    while ((socket = TAILQ_FIRST(&http->sockets)) != NULL)
        forget(http, socket);
    if (http->timer != NULL)
        event_free(http->timer);
    if (http->soon != NULL)
        event_free(http->soon);
}

/* libcurl reports a transfer's local port while it runs and afterwards, but its socket only
 * sometimes. */
static struct http_socket *find_by_port(struct http *http, long port)
{
    struct http_socket *socket;
    TAILQ_FOREACH(socket, &http->sockets, link)
    {
        struct sockaddr_storage here = {0};
        socklen_t length = sizeof here;
        if (getsockname(socket->fd, (struct sockaddr *)&here, &length) < 0)
            continue;
        in_port_t found = here.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&here)->sin6_port
                                                     : ((struct sockaddr_in *)&here)->sin_port;
        if (ntohs(found) == port)
            return socket;
    }
    return NULL;
}

void http_multi_cut_silent(struct http *http, CURL *easy, int64_t since_ms)
{
    long port = 0;
    curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port);
    struct http_socket *socket = port > 0 ? find_by_port(http, port) : NULL;
    if (socket == NULL || socket->heard_ms >= since_ms)
        return;
    /* libcurl must see the end before another request starts. */
    int running;
    shutdown(socket->fd, SHUT_RDWR);
    curl_multi_socket_action(http->multi, socket->fd, CURL_CSELECT_IN, &running);
    http_pump_soon(http);
}
