#include "kube/kube.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kube/auth.h"
#include "kube/call.h"
#include "kube/events.h"
#include "kube/transfer.h"
#include "loop/pause.h"

const struct kube_timing kube_timing_default = {
    .second_ms = 1000,
    .connect_ms = 10000,
    .call_ms = 30000,
    .stall_ms = 90000,
    .backoff_first_ms = 800,
    .backoff_max_ms = 30000,
    .watch_min_s = 300,
    .watch_max_s = 600,
    .retry_after_max_ms = 10000,
    .exec_ms = 60000,
};

void kube_set_timing(struct kube *kube, const struct kube_timing *timing)
{
    kube->timing = *timing;
}

int kube_backoff_ms(const struct kube_timing *timing, int attempt)
{
    int64_t pause_ms = pause_doubled_ms(timing->backoff_first_ms, timing->backoff_max_ms, attempt);
    return (int)pause_jittered_ms(pause_ms / 2, pause_ms, arc4random());
}

void kube_set_clock(struct kube *kube, const struct timer_clock *clock)
{
    kube->clock = clock;
    http_set_clock(kube->http, clock);
}

int64_t kube_now_ms(const struct kube *kube)
{
    return timer_now_ms(kube->clock);
}

void kube_timer_set(struct kube *kube, struct event *timer, int64_t ms)
{
    timer_set(kube->clock, timer, ms);
}

bool kube_timer_is_set(const struct kube *kube, const struct event *timer)
{
    return timer_is_set(kube->clock, timer);
}

void kube_timer_free(struct kube *kube, struct event *timer)
{
    timer_free(kube->clock, timer);
}

/* scheme://host[:port][/path] */
struct place {
    bool tls;
    char *host; /* IPv6 in brackets */
    int port;
    const char *rest; /* "/path" without a slash at its end, or "" */
};

/* The parts are needed one by one: place_origin() may put another host before the same port. */
static ERR_CHECKED int split_server(struct arena *arena, const char *server,
                                    struct place *ret_place, struct error *err)
{
    struct place place = {.tls = strncasecmp(server, "https://", 8) == 0};
    if (!place.tls && strncasecmp(server, "http://", 7) != 0)
        return err_set(err, ERR_INVALID, "server '%s' is not https://host:port", server);
    char *host = arena_strdup(arena, server + (place.tls ? 8 : 7));
    size_t length = strcspn(host, "/");
    char *rest = arena_strdup(arena, host + length);
    host[length] = '\0';
    while (rest[0] != '\0' && rest[strlen(rest) - 1] == '/')
        rest[strlen(rest) - 1] = '\0';
    char *bracket = strrchr(host, ']'), *colon = strrchr(host, ':');
    place.port = place.tls ? 443 : 80;
    if (colon != NULL && (bracket == NULL || colon > bracket)) {
        place.port = (int)strtol(colon + 1, NULL, 10);
        *colon = '\0';
    }
    if (host[0] == '\0' || place.port < 1 || place.port > 65535)
        return err_set(err, ERR_INVALID, "server '%s' is not https://host:port", server);
    place.host = host;
    place.rest = rest;
    *ret_place = place;
    return 0;
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0 ||
           strcasecmp(host, "localhost") == 0;
}

/* libcurl verifies the name in the URL. With tls-server-name the URL has that name, and connect_to
 * leads to the real server. */
static void place_origin(struct kube *kube, const struct place *place)
{
    const char *name = kube->config.tls_server_name;
    const char *scheme = place->tls ? "https" : "http";
    kube->tls = place->tls;
    kube->origin = arena_printf(kube->arena, "%s://%s:%d%s", scheme,
                                name && place->tls ? name : place->host, place->port, place->rest);
    if (name == NULL || !place->tls)
        return;
    kube->connect_to =
        arena_printf(kube->arena, "%s:%d:%s:%d", name, place->port, place->host, place->port);
    kube->host_header = arena_printf(kube->arena, "Host: %s:%d", place->host, place->port);
}

static ERR_CHECKED int set_place(struct kube *kube, struct error *err)
{
    const struct kubeconfig *config = &kube->config;
    struct place place = {0};
    if (config->server == NULL)
        return err_set(err, ERR_INVALID, "no API server is configured");
    if (split_server(kube->arena, config->server, &place, err) < 0)
        return err->class;
    bool secret = config->token || config->token_file || config->username || config->exec;
    if (!place.tls && secret && !is_loopback(place.host))
        return err_set(err, ERR_INVALID,
                       "server '%s' is not https://, and credentials are never sent in clear text",
                       config->server);
    place_origin(kube, &place);
    return 0;
}

static const char *machine(void)
{
#if defined __x86_64__
    return "amd64";
#elif defined __aarch64__
    return "arm64";
#else
    return "unknown";
#endif
}

int kube_new(struct event_base *loop, const struct kubeconfig *config, const char *user_agent,
             struct kube **ret_kube, struct error *err)
{
    struct kube *kube = xcalloc(1, sizeof *kube);
    kube->loop = loop;
    kube->arena = arena_new();
    kube->timing = kube_timing_default;
    TAILQ_INIT(&kube->transfers);
    TAILQ_INIT(&kube->calls);
    kubeconfig_copy(kube->arena, config, &kube->config);
    kube->auth = kube_auth_new(kube);
    kube->events = kube_events_new(kube);
    const char *agent =
        arena_printf(kube->arena, "%s/%s (linux/%s)", user_agent, PGKEEL_VERSION, machine());
    if (set_place(kube, err) < 0 || http_new(loop, agent, &kube->http, err) < 0) {
        kube_free(kube);
        return err->class;
    }
    *ret_kube = kube;
    return 0;
}

void kube_free(struct kube *kube)
{
    struct kube_transfer *transfer;
    if (kube == NULL)
        return;
    kube_events_free(kube->events);
    kube_calls_free(kube);
    while ((transfer = TAILQ_FIRST(&kube->transfers)) != NULL)
        kube_transfer_cancel(transfer);
    kube_auth_free(kube->auth);
    http_free(kube->http);
    arena_free(kube->arena);
    free(kube);
}
