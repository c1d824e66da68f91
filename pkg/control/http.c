/* /healthz, /readyz and /metrics: plain HTTP, nothing secret. */
#include "control/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

static void answer(struct evhttp_request *request, int code, const char *type, const char *text)
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add(body, text, strlen(text));
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
    evhttp_send_reply(request, code, code == HTTP_OK ? "OK" : "Service Unavailable", body);
    evbuffer_free(body);
}

/* That the loop answers is all there is to say. */
static void on_healthz(struct evhttp_request *request, void *arg)
{
    (void)arg;
    answer(request, HTTP_OK, "text/plain", "ok\n");
}

/* A second operator that waits for the lease is as ready as it can be. */
static void on_readyz(struct evhttp_request *request, void *arg)
{
    const struct control *control = arg;
    if (!control->facts_known)
        answer(request, HTTP_SERVUNAVAIL, "text/plain", "the API server has not answered yet\n");
    else if (control->leads && !(control->observe && observe_synced(control->observe)))
        answer(request, HTTP_SERVUNAVAIL, "text/plain", "the caches are being filled\n");
    else
        answer(request, HTTP_OK, "text/plain", control->leads ? "leading\n" : "waiting\n");
}

static int64_t resident_bytes(void)
{
    AUTO_ARENA arena = arena_new();
    struct error ignored; /* then the figure is zero, which no process has */
    char *text = "";
    long long size, resident = 0;
    (void)file_read(arena, "/proc/self/statm", 4096, &text, NULL, &ignored);
    return sscanf(text, "%lld %lld", &size, &resident) == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

static void metric(struct evbuffer *body, const char *type, const char *name, const char *help,
                   int64_t value)
{
    evbuffer_add_printf(body, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", name, help, name, type, name,
                        (long long)value);
}

static void on_metrics(struct evhttp_request *request, void *arg)
{
    const struct control *control = arg;
    size_t clusters = 0, records = 0;
    int in_flight;
    int64_t writes;
    if (control->observe)
        observe_count(control->observe, &clusters, &records);
    apply_count(control->apply, &in_flight, &writes);
    struct evbuffer *body = evbuffer_new();
    metric(body, "gauge", "pgkeel_leader", "1 while this operator leads.", control->leads);
    metric(body, "gauge", "pgkeel_clusters", "PostgresClusters seen.", (int64_t)clusters);
    metric(body, "gauge", "pgkeel_records", "Objects kept in the caches.", (int64_t)records);
    metric(body, "gauge", "pgkeel_queue_ready", "Clusters that wait for a pass.",
           (int64_t)queue_ready(control->queue, clock_boot_ms()));
    metric(body, "gauge", "pgkeel_requests_in_flight", "Writes on their way.", in_flight);
    metric(body, "counter", "pgkeel_writes_total", "Writes that the API server accepted.", writes);
    metric(body, "counter", "pgkeel_passes_total", "Passes over a cluster.", control->passes_done);
    metric(body, "counter", "pgkeel_passes_failed_total", "Passes that met a failure.",
           control->passes_failed);
    metric(body, "gauge", "process_resident_memory_bytes", "Resident memory.", resident_bytes());
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                      "text/plain; version=0.0.4");
    evhttp_send_reply(request, HTTP_OK, "OK", body);
    evbuffer_free(body);
}

/* "address:port", "[address]:port" or ":port". */
static bool take_apart(char *text, const char **ret_host, int *ret_port)
{
    char *colon = strrchr(text, ':'), *end;
    if (colon == NULL)
        return false;
    long port = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port < 1 || port > 65535)
        return false;
    *colon = '\0';
    if (*text == '[' && colon > text && colon[-1] == ']') {
        colon[-1] = '\0';
        text++;
    }
    *ret_host = text;
    *ret_port = (int)port;
    return true;
}

static bool bind_to(struct evhttp *http, const char *host, int port)
{
    if (*host != '\0')
        return evhttp_bind_socket(http, host, (ev_uint16_t)port) == 0;
    return evhttp_bind_socket(http, "::", (ev_uint16_t)port) == 0 ||
           evhttp_bind_socket(http, "0.0.0.0", (ev_uint16_t)port) == 0;
}

void http_start(struct control *control)
{
    const char *address = control->options->http_address, *host;
    int port;
    if (*address == '\0')
        return;
    AUTO_ARENA scratch = arena_new();
    control->http = evhttp_new(control->loop);
    evhttp_set_allowed_methods(control->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_cb(control->http, "/healthz", on_healthz, control);
    evhttp_set_cb(control->http, "/readyz", on_readyz, control);
    evhttp_set_cb(control->http, "/metrics", on_metrics, control);
    /* Without it the operator still does its work; the kubelet's probes tell the rest. */
    if (!take_apart(arena_strdup(scratch, address), &host, &port) ||
        !bind_to(control->http, host, port))
        log_warning("cannot listen for probes and metrics; set --metrics-address", "address",
                    address, NULL);
}

void http_stop(struct control *control)
{
    if (control->http)
        evhttp_free(control->http);
    control->http = NULL;
}
