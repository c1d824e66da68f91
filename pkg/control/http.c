/* /healthz, /readyz and /metrics: plain HTTP, nothing secret. */
#include "control/internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/log_writer.h"
#include "loop/serve.h"

static int readiness(const struct control *control, struct buffer *body)
{
    /* A second operator that waits for the lease is as ready as it can be. */
    bool filling = control->leads && !(control->observe && observe_synced(control->observe));
    bool ready = control->facts_known && !filling;
    buffer_printf(body, "%s\n",
                  !control->facts_known ? "the API server has not answered yet"
                  : filling             ? "the caches are being filled"
                  : control->leads      ? "leading"
                                        : "waiting");
    return ready ? 200 : 503;
}

static int64_t resident_bytes(void)
{
    AUTO_ARENA arena = arena_new();
    struct error ignored; /* then the figure is zero, which no process has */
    char *text = "";
    long long size, resident = 0;
    err_ignore(file_read(arena, "/proc/self/statm", 4096, &text, NULL, &ignored));
    return sscanf(text, "%lld %lld", &size, &resident) == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

static void metric(struct buffer *body, const char *type, const char *name, const char *help,
                   int64_t value)
{
    buffer_printf(body, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", name, help, name, type, name,
                  (long long)value);
}

static void metrics(const struct control *control, struct buffer *body)
{
    size_t clusters = 0, records = 0;
    int in_flight;
    int64_t writes;
    if (control->observe)
        observe_count(control->observe, &clusters, &records);
    apply_count(control->apply, &in_flight, &writes);
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
    metric(body, "counter", "pgkeel_log_lines_dropped_total",
           "Log lines that nothing read in time.", (int64_t)log_writer_dropped());
    metric(body, "gauge", "process_resident_memory_bytes", "Resident memory.", resident_bytes());
}

static int answer(void *arg, const char *path, struct buffer *body, const char **ret_type)
{
    const struct control *control = arg;
    if (strcmp(path, "/readyz") == 0)
        return readiness(control, body);
    if (strcmp(path, "/metrics") == 0) {
        *ret_type = "text/plain; version=0.0.4";
        metrics(control, body);
        return 200;
    }
    /* That the loop answers is all there is to say. */
    bool healthz = strcmp(path, "/healthz") == 0;
    buffer_puts(body, healthz ? "ok\n" : "not found\n");
    return healthz ? 200 : 404;
}

void http_start(struct control *control)
{
    const char *address = control->options->http_address;
    struct error err = {0};
    if (*address == '\0')
        return;
    /* Without it the operator still does its work; the kubelet's probes tell the rest. */
    if (serve_new(control->loop, address, answer, control, &control->http, &err) < 0)
        log_warning("cannot listen for probes and metrics; set --metrics-address", "address",
                    address, "error", err.text, NULL);
}

void http_stop(struct control *control)
{
    serve_free(control->http);
    control->http = NULL;
}
