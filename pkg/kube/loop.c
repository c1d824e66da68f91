/* libcurl's multi handle driven by libevent: one event per socket, one timer for all. */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/event.h>

#include "kube/transfer.h"

static void act(struct kube *kube, curl_socket_t fd, int what)
{
    int running;
    curl_multi_socket_action(kube->multi, fd, what, &running);
    kube_transfer_pump(kube);
}

static struct kube_socket *find(struct kube *kube, curl_socket_t fd)
{
    struct kube_socket *socket;
    TAILQ_FOREACH(socket, &kube->sockets, link)
    if (socket->fd == fd)
        return socket;
    return NULL;
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct kube *kube = arg;
    struct kube_socket *socket = find(kube, fd);
    if (socket != NULL && (what & EV_READ))
        socket->heard_ms = kube_now_ms(kube);
    act(kube, fd,
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
    kube_transfer_pump(arg);
}

static void forget(struct kube *kube, struct kube_socket *socket)
{
    TAILQ_REMOVE(&kube->sockets, socket, link);
    event_free(socket->event);
    free(socket);
}

static struct kube_socket *remember(struct kube *kube, curl_socket_t fd)
{
    struct kube_socket *socket = xcalloc(1, sizeof *socket);
    socket->fd = fd;
    socket->heard_ms = kube_now_ms(kube);
    socket->event = event_new(kube->loop, fd, 0, on_socket, kube);
    TAILQ_INSERT_TAIL(&kube->sockets, socket, link);
    curl_multi_assign(kube->multi, fd, socket);
    return socket;
}

static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    (void)easy;
    struct kube *kube = arg;
    struct kube_socket *socket = known;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            forget(kube, socket);
        return 0;
    }
    if (socket == NULL)
        socket = remember(kube, fd);
    short events = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
                           (what & CURL_POLL_OUT ? EV_WRITE : 0));
    event_del(socket->event);
    event_assign(socket->event, kube->loop, fd, events, on_socket, kube);
    event_add(socket->event, NULL);
    return 0;
}

static int timer_changed(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct kube *kube = arg;
    struct timeval after = {ms / 1000, ms % 1000 * 1000};
    if (ms < 0)
        event_del(kube->timer);
    else
        event_add(kube->timer, &after);
    return 0;
}

int kube_loop_open(struct kube *kube, struct error *err)
{
    TAILQ_INIT(&kube->sockets);
    kube->multi = curl_multi_init();
    kube->timer = evtimer_new(kube->loop, on_timer, kube);
    kube->soon = event_new(kube->loop, -1, 0, on_soon, kube);
    if (kube->multi == NULL || kube->timer == NULL || kube->soon == NULL)
        return err_set(err, ERR_INTERNAL, "libcurl or libevent cannot start");
    curl_multi_setopt(kube->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
    curl_multi_setopt(kube->multi, CURLMOPT_SOCKETDATA, kube);
    curl_multi_setopt(kube->multi, CURLMOPT_TIMERFUNCTION, timer_changed);
    curl_multi_setopt(kube->multi, CURLMOPT_TIMERDATA, kube);
    curl_multi_setopt(kube->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(kube->multi, CURLMOPT_MAXCONNECTS, 4L);
    return 0;
}

void kube_loop_close(struct kube *kube)
{
    struct kube_socket *socket;
    if (kube->multi != NULL)
        curl_multi_cleanup(kube->multi);
    while ((socket = TAILQ_FIRST(&kube->sockets)) != NULL)
        forget(kube, socket);
    if (kube->timer != NULL)
        event_free(kube->timer);
    if (kube->soon != NULL)
        event_free(kube->soon);
}

/* libcurl tells a transfer's local port while it runs and after, its socket only sometimes. */
static struct kube_socket *find_by_port(struct kube *kube, long port)
{
    struct kube_socket *socket;
    TAILQ_FOREACH(socket, &kube->sockets, link)
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

void kube_loop_cut_silent(struct kube *kube, CURL *easy, int64_t since_ms)
{
    long port = 0;
    curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port);
    struct kube_socket *socket = port > 0 ? find_by_port(kube, port) : NULL;
    if (socket == NULL || socket->heard_ms >= since_ms)
        return;
    /* libcurl must see the end before anybody starts another request. */
    int running;
    shutdown(socket->fd, SHUT_RDWR);
    curl_multi_socket_action(kube->multi, socket->fd, CURL_CSELECT_IN, &running);
    event_active(kube->soon, 0, 0);
}
