/*
 * Whether the holders of the clusters' leases still renew them, by our own clock. A renewal needs
 * no pass, but a missing one does. One timer serves all clusters: it is set to the first expiry of
 * a lease. By then all live holders have renewed theirs, so that a thousand clusters cost one walk
 * over them every few seconds.
 */
#include "observe/internal.h"

#include <stdlib.h>
#include <string.h>

#include "loop/timer.h"

/* The bounds of spec.failover.leaseSeconds; another value in a lease was written by somebody
 * else. */
enum { LASTS_LEAST_S = 5, LASTS_MOST_S = 120 };

static bool is_primary_lease(const struct record *record)
{
    const char *cluster = record->cluster->name;
    size_t length = strlen(cluster);
    return record->kind == CHILD_LEASE && strncmp(record->text, cluster, length) == 0 &&
           strcmp(record->text + length, "-primary") == 0;
}

static int64_t runs_out_ms(const struct pulse *pulse)
{
    return pulse->since_ms + pulse->lasts_ms + 1;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    pulse_look(arg);
}

static void set_timer(struct observe *observe, int64_t due_ms)
{
    observe->pulse_due_ms = due_ms;
    if (observe->options.loop == NULL)
        return;
    if (observe->pulse_timer == NULL)
        observe->pulse_timer = evtimer_new(observe->options.loop, on_timer, observe);
    int64_t wait_ms = due_ms - observe->boot_ms();
    timer_set(NULL, observe->pulse_timer, wait_ms > 0 ? wait_ms : 0);
}

static int32_t lasts_ms(const char *seconds)
{
    long long asked = strtoll(seconds, NULL, 10);
    long long kept = asked < LASTS_LEAST_S  ? LASTS_LEAST_S
                     : asked > LASTS_MOST_S ? LASTS_MOST_S
                                            : asked;
    return (int32_t)kept * 1000;
}

/* Only what the holder writes, not a label or the operator's grant. */
static bool is_renewed(const struct record *record, const struct fields *fields)
{
    static const int renewed[] = {FIELD_UID, LEASE_HOLDER, LEASE_TRANSITIONS, LEASE_RENEWED};
    for (size_t i = 0; i < sizeof renewed / sizeof renewed[0]; i++)
        if (strcmp(record_field(record, renewed[i]), fields->text[renewed[i]]) != 0)
            return true;
    return false;
}

void pulse_note(struct observe *observe, const struct feed *feed, const struct record *record,
                const struct fields *fields)
{
    if (!is_primary_lease(record))
        return;
    struct cluster *cluster = record->cluster;
    struct pulse *pulse = &cluster->pulse;
    if (fields == NULL || *fields->text[LEASE_HOLDER] == '\0') {
        *pulse = (struct pulse){0};
        return;
    }
    if (pulse->since_ms != 0 && record->version != 0 && !is_renewed(record, fields))
        return;
    bool was_reported = pulse->reported || !pulse->proven;
    bool first = pulse->since_ms == 0;
    pulse->since_ms = observe->boot_ms();
    pulse->lasts_ms = lasts_ms(fields->text[LEASE_SECONDS]); /* as the holder wrote it */
    pulse->proven = feed == NULL || !feed->listing;
    pulse->reported = false;
    if (observe->pulse_due_ms == 0 || runs_out_ms(pulse) < observe->pulse_due_ms)
        set_timer(observe, runs_out_ms(pulse));
    if (was_reported && pulse->proven && !first && observe->options.changed)
        observe->options.changed(observe->options.arg, cluster->namespace, cluster->name);
}

static bool is_doubtful(const struct observe *observe, const struct pulse *pulse)
{
    int64_t now_ms = observe->boot_ms();
    return pulse->since_ms != 0 && now_ms >= runs_out_ms(pulse) &&
           (pulse->checked_ms < runs_out_ms(pulse) ||
            now_ms - pulse->checked_ms >= pulse->lasts_ms);
}

void pulse_fill(const struct observe *observe, const struct cluster *cluster,
                struct seen_lease *lease)
{
    const struct pulse *pulse = &cluster->pulse;
    lease->pulse = PULSE_STEADY;
    if (pulse->since_ms == 0)
        return;
    lease->silent_ms = observe->boot_ms() - pulse->since_ms;
    if (pulse->checked_ms >= runs_out_ms(pulse))
        lease->pulse = PULSE_OVERDUE;
    else if (!pulse->proven || observe->boot_ms() >= runs_out_ms(pulse))
        lease->pulse = PULSE_UNSEEN;
}

void pulse_look(struct observe *observe)
{
    int64_t next_ms = 0;
    for (size_t i = 0; i < observe->cluster_buckets; i++)
        for (struct cluster *c = observe->clusters[i]; c; c = c->next) {
            struct pulse *pulse = &c->pulse;
            if (pulse->since_ms == 0 || pulse->reported)
                continue;
            int64_t due_ms = runs_out_ms(pulse);
            if (due_ms > observe->boot_ms()) {
                next_ms = next_ms == 0 || due_ms < next_ms ? due_ms : next_ms;
                continue;
            }
            pulse->reported = true;
            if (c->uid != NULL && observe->options.changed)
                observe->options.changed(observe->options.arg, c->namespace, c->name);
        }
    observe->pulse_due_ms = 0;
    if (next_ms != 0)
        set_timer(observe, next_ms);
}

void pulse_free(struct observe *observe)
{
    if (observe->pulse_timer)
        event_free(observe->pulse_timer);
}

bool observe_lease_doubtful(struct observe *observe, const char *namespace, const char *name)
{
    const struct cluster *cluster = cache_cluster(observe, namespace, name, false);
    return cluster && is_doubtful(observe, &cluster->pulse);
}

void observe_lease_asked(struct observe *observe, const cJSON *lease)
{
    const char *namespace = json_str(lease, "metadata.namespace", "");
    const char *name = json_str(lease, "metadata.name", "");
    const char *uid = json_str(lease, "metadata.uid", "");
    const struct record *record = cache_find(observe, CHILD_LEASE, namespace, name);
    if (record == NULL || strcmp(record_field(record, FIELD_UID), uid) != 0)
        return; /* its deletion was seen first */
    cache_upsert(observe, NULL, CHILD_LEASE, lease, false);
    record = cache_find(observe, CHILD_LEASE, namespace, name);
    if (record != NULL && is_primary_lease(record) && record->cluster->pulse.since_ms != 0)
        record->cluster->pulse.checked_ms = observe->boot_ms();
}
