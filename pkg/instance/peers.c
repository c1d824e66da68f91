/*
 * The server's streaming peers: how often they are checked, and what the primary's lease says about
 * its replicas.
 */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "base/buffer.h"
#include "base/hash.h"
#include "instance/agent.h"

enum {
    QUICK_PERIOD_MS = 100,
    RELOAD_PERIOD_MS = 25,
    REPLICA_PERIOD_MS = 5000,
    WAITING_PERIOD_MS = 1000, /* at most, for a replica that does not stream */
    SHARE_OF_WAIT = 8,
};

/* In an array of structs that begin with their name; NULL: it is not there. */
static const void *find_by_name(const void *array, int count, size_t size, const char *name)
{
    const char *first = array;
    for (int i = 0; i < count; i++)
        if (strcmp(first + (size_t)i * size, name) == 0)
            return first + (size_t)i * size;
    return NULL;
}

const struct monitor_slot *peers_slot(const struct monitor_view *view, const char *name)
{
    static_assert(offsetof(struct monitor_slot, name) == 0, "the name comes first");
    return find_by_name(view->slots, view->slot_count, sizeof view->slots[0], name);
}

static const struct monitor_replica *find_replica(const struct monitor_view *view, const char *name)
{
    static_assert(offsetof(struct monitor_replica, name) == 0, "the name comes first");
    return find_by_name(view->replicas, view->replica_count, sizeof view->replicas[0], name);
}

static bool all_stream(const struct agent *agent)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    const struct cluster_config *config = &settings_view(agent->settings)->config;
    for (size_t i = 0; i < config->member_count; i++) {
        const char *name = config->members[i].name;
        const struct monitor_replica *replica = find_replica(view, name);
        if (strcmp(name, agent->options.name) != 0 &&
            (replica == NULL || strcmp(replica->state, "streaming") != 0))
            return false;
    }
    return true;
}

/* The checks become less frequent the longer nothing changes: a change is reported late by at
 * most a share of the wait, and a replica that is away for a day costs nothing. In steps, so
 * that the timer is not reset at each check. */
int peers_patience_ms(int64_t waited_ms, int longest_ms)
{
    int64_t period_ms = QUICK_PERIOD_MS;
    while (period_ms < longest_ms && period_ms * SHARE_OF_WAIT < waited_ms)
        period_ms *= 2;
    return period_ms < longest_ms ? (int)period_ms : longest_ms;
}

int peers_period(const struct agent *agent, int64_t now_ms)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (agent->job.kind == JOB_RELOAD)
        return RELOAD_PERIOD_MS;
    if (!view->answered || !view->pending_known)
        return QUICK_PERIOD_MS;
    int64_t waited_ms = now_ms - agent->peers.changed_ms;
    int rest_ms = settings_view(agent->settings)->config.lease_seconds * 1000 / 3;
    if (!view->in_recovery)
        return all_stream(agent) ? rest_ms : peers_patience_ms(waited_ms, rest_ms);
    bool settled = view->streaming && view->streamed && agent->troubles.stream.text[0] == '\0';
    return settled ? REPLICA_PERIOD_MS : peers_patience_ms(waited_ms, WAITING_PERIOD_MS);
}

/* What the operator and waiting replicas act on must not wait for the next renewal; positions
 * and lags, which always change, may. */
void peers_update(struct agent *agent, int64_t now_ms)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    AUTO_ARENA arena = arena_new();
    AUTO_BUFFER text = {0};
    buffer_printf(&text, "%d %d", view->timeline, view->streaming);
    for (int i = 0; i < view->replica_count; i++)
        buffer_printf(&text, "\n%s %s", view->replicas[i].name, view->replicas[i].state);
    for (int i = 0; i < view->slot_count; i++)
        buffer_printf(&text, "\n%s=%s", view->slots[i].name, view->slots[i].wal_status);
    const char *hash = hash_hex16(arena, text.data, text.length);
    if (strcmp(hash, agent->peers.hash) != 0) {
        snprintf(agent->peers.hash, sizeof agent->peers.hash, "%s", hash);
        agent->peers.changed_ms = now_ms;
    }
    if (!serving_is_primary(agent) || !serving_holds_lease(agent, now_ms) ||
        strcmp(hash, agent->reported.peers_hash) == 0)
        return;
    snprintf(agent->reported.peers_hash, sizeof agent->reported.peers_hash, "%s", hash);
    member_lease_renew_now(agent->lease);
}

/* Before postgres runs as primary nothing is known about slots and replicas, and that is
 * reported once: the report of the previous holder is no longer true, and a recovery may take
 * long. */
cJSON *peers_status(void *arg, struct arena *arena, bool first)
{
    static const struct monitor_view nothing;
    struct agent *agent = arg;
    bool primary = serving_is_primary(agent);
    const struct monitor_view *view = primary ? monitor_view(agent->monitor) : &nothing;
    const struct cluster_config *config = &settings_view(agent->settings)->config;
    if (!primary && !first)
        return NULL;
    const char *ips = agent->options.pod_ips ? agent->options.pod_ips : "";
    struct primary_report report = {.timeline = view->timeline,
                                    .address = arena_strndup(arena, ips, strcspn(ips, ",")),
                                    .lsn = view->lsn};
    report.replicas = arena_alloc(arena, (config->member_count + 1) * sizeof *report.replicas);
    for (size_t i = 0; i < config->member_count; i++) {
        const char *name = config->members[i].name;
        const struct monitor_replica *replica = find_replica(view, name);
        const struct monitor_slot *slot = peers_slot(view, name_slot(arena, name));
        if (strcmp(name, agent->options.name) == 0)
            continue;
        report.replicas[report.replica_count++] =
            (struct replica_report){.name = name,
                                    .state = replica ? replica->state : "",
                                    .lag_bytes = replica ? replica->lag_bytes : -1,
                                    .slot_wal_status = slot ? slot->wal_status : "",
                                    .slot_restart_lsn = slot ? slot->restart_lsn : ""};
    }
    return report_primary_encode(arena, &report);
}
