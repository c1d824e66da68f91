#include "status/internal.h"

#include "base/clock.h"

/* One condition: `yes` is "True", "False" or "Unknown". */
struct condition {
    const char *type, *yes, *reason, *message;
};

const cJSON *status_condition(const cJSON *status, const char *type)
{
    return json_item(json_get(status, "conditions"), "type", type);
}

static void write_condition(struct making *making, const struct condition *condition)
{
    const cJSON *old = status_condition(making->old, condition->type);
    const char *since = json_str(old, "lastTransitionTime", "");
    if (!text_same(json_str(old, "status", ""), condition->yes) || !text_given(since))
        since = clock_rfc3339(making->arena, making->model->now_ms);
    cJSON *node = json_push_object(json_add_array(making->result.status, "conditions"));
    json_set_str(node, "type", condition->type);
    json_set_str(node, "status", condition->yes);
    json_set_int(node, "observedGeneration", making->model->snapshot->spec.generation);
    json_set_str(node, "reason", condition->reason);
    json_set_str(node, "message", condition->message);
    json_set_str(node, "lastTransitionTime", since);
}

char *status_blocker_text(struct arena *arena, const struct model_blocker *blocker)
{
    return arena_printf(arena, "waits until %s%s%s%s%s", blocker->what,
                        text_given(blocker->message) ? ": " : "", blocker->message,
                        text_given(blocker->unblock) ? "; to unblock: " : "", blocker->unblock);
}

char *status_warning_text(struct arena *arena, const struct model_blocker *warning)
{
    return arena_printf(arena, "%s: %s%s%s", warning->what, warning->message,
                        text_given(warning->unblock) ? "; to prevent it: " : "", warning->unblock);
}

struct summary {
    const struct model_blocker *first, *first_known; /* NULL: none */
    size_t count;
};

/* The blockers that affect any of these conditions (0: all blockers). */
static struct summary sum_up(const struct model *model, unsigned affects)
{
    struct summary sum = {0};
    for (size_t i = 0; i < model->blocker_count; i++) {
        const struct model_blocker *blocker = &model->blockers[i];
        if (affects && !(blocker->affects & affects))
            continue;
        sum.first = sum.first ? sum.first : blocker;
        if (!blocker->unknown && sum.first_known == NULL)
            sum.first_known = blocker;
        sum.count++;
    }
    return sum;
}

/* False when something is known to be wrong, with the reason of the first such blocker; Unknown
 * when nothing is known; else `otherwise`. Ready names the first blocker of all, which is the
 * cause. */
static void write_by_blockers(struct making *making, unsigned affects,
                              const struct condition *otherwise)
{
    struct summary sum = sum_up(making->model, affects);
    const struct model_blocker *blocker =
        affects != 0 && sum.first_known != NULL ? sum.first_known : sum.first;
    struct condition condition = *otherwise;
    if (blocker != NULL) {
        condition.yes = sum.first_known != NULL ? "False" : "Unknown";
        condition.reason = blocker->reason;
        condition.message = status_blocker_text(making->arena, blocker);
        if (sum.count > 1)
            condition.message =
                arena_printf(making->arena, "%s (and %zu more in status.waitingFor)",
                             condition.message, sum.count - 1);
    }
    write_condition(making, &condition);
}

static size_t count_wanted(const struct model *model)
{
    size_t count = 0;
    for (size_t i = 0; i < model->instance_count; i++)
        count += model->instances[i].wanted;
    return count;
}

static void primary_ready(struct making *making)
{
    const struct model_instance *primary = making->model->primary;
    struct condition condition = {"PrimaryReady", "False", REASON_LEASE_NOT_HELD,
                                  "no instance holds the lease"};
    if (primary != NULL && primary->healthy)
        condition = (struct condition){
            "PrimaryReady", "True", REASON_SERVING,
            arena_printf(making->arena, "%s holds the lease and accepts writes", primary->name)};
    write_by_blockers(making, AFFECTS_PRIMARY, &condition);
}

static void replicas_streaming(struct making *making)
{
    size_t wanted = count_wanted(making->model);
    struct condition condition = {"ReplicasStreaming", "True", REASON_NO_REPLICAS,
                                  "there is one instance: no replica is requested"};
    if (wanted > 1) {
        condition.reason = REASON_STREAMING;
        condition.message = arena_printf(
            making->arena, "%zu of %zu replicas stream within %s of the primary", wanted - 1,
            wanted - 1, quantity_text(making->arena, making->model->snapshot->spec.max_lag_bytes));
    }
    write_by_blockers(making, AFFECTS_REPLICAS, &condition);
}

static void credentials_in_sync(struct making *making)
{
    const struct model_instance *primary = making->model->primary;
    struct condition condition = {"CredentialsInSync", "Unknown", REASON_PRIMARY_NOT_READY,
                                  "the Secrets are complete; whether the server knows them is "
                                  "checked once the primary serves"};
    if (primary != NULL && primary->healthy)
        condition = (struct condition){"CredentialsInSync", "True", REASON_IN_SYNC,
                                       "the server knows the passwords that the Secrets hold"};
    write_by_blockers(making, AFFECTS_CREDENTIALS, &condition);
}

/* Roles and database still exist while the primary is away: True stays True. */
static void bootstrap_complete(struct making *making)
{
    const struct model_instance *primary = making->model->primary;
    bool complete =
        (primary != NULL && primary->seen->reported && primary->seen->report.bootstrapped) ||
        text_same(json_str(status_condition(making->old, "BootstrapComplete"), "status", ""),
                  "True");
    struct condition condition = {"BootstrapComplete", "False", REASON_BOOTSTRAPPING,
                                  "the primary creates roles and database once it serves"};
    if (complete)
        condition = (struct condition){"BootstrapComplete", "True", REASON_COMPLETE,
                                       "every requested role and database exists"};
    write_by_blockers(making, AFFECTS_BOOTSTRAP, &condition);
}

/* The claim of a volume that its agent cannot check; NULL when there is none. */
static const char *unknown_volume(const struct making *making)
{
    for (size_t i = 0; i < making->model->instance_count; i++) {
        const struct model_instance *instance = &making->model->instances[i];
        const struct instance_report *report = &instance->seen->report;
        if (!instance->wanted || !instance->seen->reported)
            continue;
        if (text_same(report->data_volume.room, REPORT_ROOM_UNKNOWN))
            return instance->seen->data.name;
        if (text_same(report->wal_volume.room, REPORT_ROOM_UNKNOWN))
            return instance->seen->wal.name;
    }
    return NULL;
}

/* A blocker goes before a warning, and a warning before a volume whose use is unknown. */
static void storage_healthy(struct making *making)
{
    const struct model *model = making->model;
    struct condition condition = {
        "StorageHealthy", "True", REASON_PROVISIONED,
        "every volume is bound, has the requested size, and has free space"};
    const char *unknown = unknown_volume(making);
    if (model->warning_count > 0) {
        condition.yes = "False";
        condition.reason = model->warnings[0].reason;
        condition.message = status_warning_text(making->arena, &model->warnings[0]);
        if (model->warning_count > 1)
            condition.message = arena_printf(making->arena, "%s (and %zu more in status.warnings)",
                                             condition.message, model->warning_count - 1);
    } else if (unknown != NULL) {
        condition.yes = "Unknown";
        condition.reason = REASON_VOLUME_USE_UNKNOWN;
        condition.message =
            arena_printf(making->arena,
                         "the agent cannot read how full volume %s is: its file system does not "
                         "answer, or answers with an error (see the log of the pod)",
                         unknown);
    }
    write_by_blockers(making, AFFECTS_STORAGE, &condition);
}

/* Does the PodDisruptionBudget let a pod be evicted now? Never part of Ready: a single instance
 * that holds up a drain is what the spec asks for. */
static void drain_allowed(struct making *making)
{
    const struct model *model = making->model;
    struct condition condition = {"DrainAllowed", "True", REASON_EVICTION_ALLOWED,
                                  "one instance at a time may be evicted"};
    const char *away = NULL;
    for (size_t i = 0; i < model->instance_count; i++)
        if (model->instances[i].wanted && !model->instances[i].seen->pod.ready)
            away = away ? away : model->instances[i].name;
    bool outage_allowed =
        model->snapshot->spec.instances <= 1 && model->snapshot->spec.allow_eviction;
    if (model->primary_recovers && !outage_allowed && model->recovery_overdue) {
        condition.message = arena_printf(making->arena,
                                         "%s has not served for more than an hour, so it may be "
                                         "evicted; its recovery then starts over",
                                         model->primary->name);
    } else if (model->primary_recovers && !outage_allowed) {
        condition.yes = "False";
        condition.reason = REASON_INSTANCE_UNAVAILABLE;
        condition.message = arena_printf(
            making->arena,
            "%s is recovering: no instance may be evicted until it serves, for an hour at most",
            model->primary->name);
    } else if (count_wanted(model) <= 1 && model->snapshot->spec.allow_eviction) {
        condition.message =
            "spec.maintenance.allowEviction is true: an eviction is an outage until "
            "the pod runs elsewhere";
    } else if (count_wanted(model) <= 1) {
        condition.yes = "False";
        condition.reason = REASON_SINGLE_INSTANCE;
        condition.message =
            "with one instance an eviction is an outage, so a node drain waits for it; to allow "
            "the eviction, set spec.maintenance.allowEviction to true, or spec.instances to 2";
    } else if (away != NULL) {
        condition.yes = "False";
        condition.reason = REASON_INSTANCE_UNAVAILABLE;
        condition.message = arena_printf(
            making->arena, "%s is not ready: no other instance may be evicted meanwhile", away);
    }
    write_condition(making, &condition);
}

/* What people must know of certificates in time. Never part of Ready: all of them work. */
static void certificates_settled(struct making *making)
{
    const struct seen_credentials *seen = &making->model->snapshot->credentials;
    struct condition condition = {
        "CertificatesSettled", "True", REASON_CERTIFICATES_VALID,
        "no CA is being replaced, and no certificate that pgkeel does not renew expires soon"};
    if (text_given(seen->notice_reason))
        condition = (struct condition){condition.type, "False", seen->notice_reason, seen->notice};
    else if (seen->certificate_expires_ms == 0)
        condition = (struct condition){condition.type, "Unknown", REASON_CREDENTIALS_INCOMPLETE,
                                       "there is no usable server certificate; see condition "
                                       "CredentialsInSync"};
    else if (seen->certificate_expires_ms <= making->model->now_ms)
        condition = (struct condition){
            condition.type, "False", REASON_CERTIFICATE_EXPIRED,
            "the server certificate has expired; see condition CredentialsInSync"};
    write_condition(making, &condition);
}

/* kstatus: Reconciling means in progress, Stalled means failed. At most one of them is there, and
 * only while it is true. */
static void progress(struct making *making)
{
    const struct model_blocker *blocker = sum_up(making->model, 0).first;
    if (blocker == NULL)
        return;
    struct condition condition = {blocker->stalled ? "Stalled" : "Reconciling", "True",
                                  blocker->reason, status_blocker_text(making->arena, blocker)};
    write_condition(making, &condition);
}

void status_conditions(struct making *making)
{
    const struct condition ready = {"Ready", "True", REASON_HEALTHY,
                                    "everything the spec asks for exists and works"};
    write_by_blockers(making, 0, &ready);
    making->result.ready = making->model->blocker_count == 0;
    primary_ready(making);
    replicas_streaming(making);
    credentials_in_sync(making);
    bootstrap_complete(making);
    storage_healthy(making);
    drain_allowed(making);
    certificates_settled(making);
    progress(making);
}
