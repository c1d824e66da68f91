#include "control/metrics.h"

#include "base/clock.h"
#include "control/internal.h"

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
