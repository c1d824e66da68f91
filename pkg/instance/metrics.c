#include "instance/metrics.h"

#include "instance/agent.h"

static void read_up(struct metrics_page *page, const void *arg)
{
    const struct agent *agent = arg;
    metrics_add(page, server_state(agent->server) == SERVER_UP, NULL);
}

static void read_primary(struct metrics_page *page, const void *arg)
{
    const struct agent *agent = arg;
    metrics_add(page, serving_is_primary(agent) && serving_holds_lease(agent, clock_boot_ms()),
                NULL);
}

static void read_epoch(struct metrics_page *page, const void *arg)
{
    const struct agent *agent = arg;
    if (agent->lease != NULL && member_lease_view(agent->lease)->state != LEASE_UNKNOWN)
        metrics_add(page, member_lease_view(agent->lease)->epoch, NULL);
}

static void read_crashes(struct metrics_page *page, const void *arg)
{
    const struct agent *agent = arg;
    metrics_add(page, agent->crashes.count, NULL);
}

const struct metric instance_metrics[] = {
    {"pgkeel_postgres_up", METRIC_GAUGE, "1 while postgres runs and answers.", {0}, read_up},
    {"pgkeel_postgres_primary",
     METRIC_GAUGE,
     "1 while postgres accepts writes and this pod holds the lease.",
     {0},
     read_primary},
    {"pgkeel_lease_epoch",
     METRIC_GAUGE,
     "How often the primary's lease was taken, as last seen by this instance.",
     {0},
     read_epoch},
    {"pgkeel_postgres_crashes_total",
     METRIC_COUNTER,
     "Crashes of postgres since the agent started.",
     {0},
     read_crashes},
    {0},
};
