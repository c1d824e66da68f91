/* /healthz, /readyz and /metrics: plain HTTP, nothing secret. */
#include "control/pages.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/internal.h"
#include "loop/serve.h"
#include "metrics/process.h"

static void read_leader(struct metrics_page *page, const void *arg)
{
    const struct control *control = arg;
    metrics_add(page, control->leads, NULL);
}

static void read_clusters(struct metrics_page *page, const void *arg)
{
    const struct control *control = arg;
    metrics_add(page, control->observe ? (int64_t)observe_clusters(control->observe) : 0, NULL);
}

static void read_records(struct metrics_page *page, const void *arg)
{
    const struct control *control = arg;
    metrics_add(page, control->observe ? (int64_t)observe_records(control->observe) : 0, NULL);
}

static void read_ready(struct metrics_page *page, const void *arg)
{
    const struct control *control = arg;
    metrics_add(page, (int64_t)queue_ready(control->queue, clock_boot_ms()), NULL);
}

static void read_in_flight(struct metrics_page *page, const void *arg)
{
    const struct control *control = arg;
    metrics_add(page, apply_in_flight(control->apply), NULL);
}

static void read_writes(struct metrics_page *page, const void *arg)
{
    const struct control *control = arg;
    metrics_add(page, apply_writes(control->apply), NULL);
}

static void read_passes(struct metrics_page *page, const void *arg)
{
    const struct control *control = arg;
    metrics_add(page, control->passes_done, NULL);
}

static void read_failed(struct metrics_page *page, const void *arg)
{
    const struct control *control = arg;
    metrics_add(page, control->passes_failed, NULL);
}

const struct metric control_metrics[] = {
    {"pgkeel_leader", METRIC_GAUGE, "1 while this operator leads.", {0}, read_leader},
    {"pgkeel_clusters", METRIC_GAUGE, "PostgresClusters seen.", {0}, read_clusters},
    {"pgkeel_records", METRIC_GAUGE, "Objects kept in the caches.", {0}, read_records},
    {"pgkeel_queue_ready", METRIC_GAUGE, "Clusters waiting for a pass.", {0}, read_ready},
    {"pgkeel_requests_in_flight", METRIC_GAUGE, "Writes in flight.", {0}, read_in_flight},
    {"pgkeel_writes_total",
     METRIC_COUNTER,
     "Writes that the API server accepted.",
     {0},
     read_writes},
    {"pgkeel_passes_total", METRIC_COUNTER, "Passes over a cluster.", {0}, read_passes},
    {"pgkeel_passes_failed_total", METRIC_COUNTER, "Passes that failed.", {0}, read_failed},
    {0},
};

static int readiness(const struct control *control, struct buffer *body)
{
    /* A second operator that waits for the lease is ready, too. */
    bool filling = control->leads && !(control->observe && observe_synced(control->observe));
    bool ready = control->platform_known && !filling;
    buffer_printf(body, "%s\n",
                  !control->platform_known ? "the API server has not answered yet"
                  : filling                ? "the caches are being filled"
                  : control->leads         ? "leading"
                                           : "waiting");
    return ready ? 200 : 503;
}

static int answer(void *arg, const char *path, struct buffer *body, const char **ret_type)
{
    const struct control *control = arg;
    if (strcmp(path, "/readyz") == 0)
        return readiness(control, body);
    if (strcmp(path, "/metrics") == 0) {
        *ret_type = METRICS_TYPE;
        metrics_print(control_metrics, control, body);
        metrics_print(process_metrics, NULL, body);
        return 200;
    }
    /* The operator is healthy if its event loop answers. */
    bool healthz = strcmp(path, "/healthz") == 0;
    buffer_puts(body, healthz ? "ok\n" : "not found\n");
    return healthz ? 200 : 404;
}

void pages_start(struct control *control)
{
    const char *address = control->options->http_address;
    struct error err = {0};
    if (*address == '\0')
        return;
    /* Without this page the operator still works; the kubelet's probes will fail. */
    if (serve_new(control->loop, address, answer, control, &control->pages, &err) < 0)
        log_warning("cannot listen for probes and metrics; set --metrics-address", "address",
                    address, "error", err.text, NULL);
}

void pages_stop(struct control *control)
{
    serve_free(control->pages);
    control->pages = NULL;
}
