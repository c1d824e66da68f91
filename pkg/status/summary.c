/* The state of the cluster, for people and for the scale subresource: instances, endpoints,
 * counts. */
#include "status/internal.h"

#include "api/names.h"
#include "base/clock.h"

static const char *phase_of(const struct model_instance *instance)
{
    const struct seen_instance *seen = instance->seen;
    if (instance->unknown) /* its agent's last report may be old */
        return "Unknown";
    if (!seen->pod.there)
        return "Absent";
    if (seen->pod.deleting)
        return "Terminating";
    return seen->reported && text_given(seen->report.phase) ? seen->report.phase
                                                            : text_or_empty(seen->pod.phase);
}

static const char *role_of(const struct model_instance *instance)
{
    if (instance->primary)
        return "primary";
    return instance->seen->reported && text_given(instance->seen->report.role)
               ? instance->seen->report.role
               : NULL;
}

/* Coarse on purpose: with a figure that changes all the time, status would be written all the
 * time. */
static const char *lag_of(struct making *making, const struct model_instance *instance)
{
    const struct seen_lease *lease = &making->model->snapshot->lease;
    int64_t bound = making->model->snapshot->spec.max_lag_bytes;
    for (size_t i = 0; lease->reported && i < lease->report.replica_count; i++) {
        const struct replica_report *replica = &lease->report.replicas[i];
        if (text_same(replica->name, instance->name) && replica->lag_bytes > bound)
            return arena_printf(making->arena, "over %s", quantity_text(making->arena, bound));
    }
    return NULL;
}

/* In whole MiB: finer figures are hard to read. */
static void write_volume(struct making *making, cJSON *node, const char *member,
                         const struct volume_report *report)
{
    if (report->capacity_bytes <= 0)
        return; /* not reported, or unknown */
    cJSON *volume = json_add_object(node, member);
    json_set_str(volume, "capacity", quantity_short(making->arena, report->capacity_bytes));
    json_set_str(volume, "used", quantity_short(making->arena, report->used_bytes));
    json_set_str(volume, "available", quantity_short(making->arena, report->available_bytes));
    json_set_int(volume, "usedPercent", model_used_percent(report));
}

static void write_seen_by_agent(struct making *making, cJSON *node,
                                const struct instance_report *report)
{
    write_volume(making, node, "storage", &report->data_volume);
    write_volume(making, node, "walStorage", &report->wal_volume);
    if (report->crashes <= 0)
        return;
    json_set_int(node, "crashes", report->crashes);
    cJSON *crash = json_add_object(node, "lastCrash");
    json_set_str(crash, "time", text_or_empty(report->last_crash_time));
    json_set_str(crash, "message", text_or_empty(report->last_crash));
}

/* What is not known is left out, so that an old value is not taken for a current one. */
static void write_instance(struct making *making, const struct model_instance *instance)
{
    const struct seen_instance *seen = instance->seen;
    cJSON *node = json_push_object(json_add_array(making->result.status, "instances"));
    json_set_str(node, "name", instance->name);
    json_set_str(node, "role", role_of(instance));
    json_set_str(node, "phase", phase_of(instance));
    json_set_bool(node, "ready", instance->healthy);
    if (text_given(seen->pod.node))
        json_set_str(node, "node", seen->pod.node);
    if (seen->reported && seen->report.timeline > 0)
        json_set_int(node, "timeline", seen->report.timeline);
    if (!instance->primary) {
        if (!instance->unknown)
            json_set_bool(node, "streaming", instance->streaming);
        json_set_str(node, "lag", lag_of(making, instance));
    }
    if (seen->reported && seen->report.pending_restart)
        json_set_bool(node, "pendingRestart", true);
    if (instance->outdated)
        json_set_bool(node, "outdated", true);
    if (text_given(instance->disruption))
        json_set_str(node, "disruption", instance->disruption);
    if (seen->reported && text_given(seen->report.message))
        json_set_str(node, "message", seen->report.message);
    if (seen->reported)
        write_seen_by_agent(making, node, &seen->report);
}

/* instanceCount is for the scale subresource: it counts StatefulSets, also those to be removed. */
static void write_instances(struct making *making)
{
    const struct model *model = making->model;
    int64_t ready = 0, wanted = 0, there = 0;
    for (size_t i = 0; i < model->instance_count; i++) {
        const struct model_instance *instance = &model->instances[i];
        bool shown = instance->wanted || instance->seen->set_there || instance->seen->pod.there;
        wanted += instance->wanted;
        there += instance->seen->set_there;
        ready += instance->wanted && instance->healthy;
        if (shown)
            write_instance(making, instance);
    }
    json_set_int(making->result.status, "instanceCount", there);
    json_set_int(making->result.status, "readyInstances", ready);
    json_set_str(making->result.status, "instancesReady",
                 arena_printf(making->arena, "%lld/%lld", (long long)ready, (long long)wanted));
}

static void write_endpoint(struct making *making, const char *key, const char *suffix)
{
    const struct cluster_spec *spec = &making->model->snapshot->spec;
    json_set_str(json_add_object(making->result.status, "endpoints"), key,
                 arena_printf(making->arena, "%s.%s.svc:%d",
                              name_child(making->arena, text_or_empty(spec->name), suffix),
                              text_or_empty(spec->namespace), PORT_POSTGRES));
}

static void write_time(struct making *making, cJSON *object, const char *key, int64_t wall_ms)
{
    if (wall_ms > 0)
        json_set_str(object, key, clock_rfc3339(making->arena, wall_ms));
}

static void write_credentials(struct making *making)
{
    const struct seen_credentials *seen = &making->model->snapshot->credentials;
    if (!text_given(seen->observed) && seen->certificate_expires_ms == 0)
        return;
    cJSON *node = json_add_object(making->result.status, "credentials");
    if (text_given(seen->observed))
        json_set_str(node, "observed", seen->observed);
    if (text_given(seen->ca_fingerprint))
        json_set_str(node, "caFingerprint", seen->ca_fingerprint);
    write_time(making, node, "caExpires", seen->ca_expires_ms);
    write_time(making, node, "certificateExpires", seen->certificate_expires_ms);
}

static bool was_refused(const struct making *making, const char *claim)
{
    for (size_t i = 0; i < making->outcome_count; i++) {
        const struct plan_action *action = making->outcomes[i].action;
        if (action != NULL && making->outcomes[i].err.class < 0 &&
            api_child_kind_of(action->kind) == CHILD_CLAIM && text_same(action->name, claim))
            return true;
    }
    return false;
}

/* The request of an unbound claim cannot be changed. A claim that the API server refused to create
 * sets no limit; of one that is being created nothing is known yet. */
static bool least_of(const struct making *making, const struct seen_pvc *pvc, int64_t *least)
{
    bool bound = text_same(pvc->phase, "Bound") && pvc->capacity_bytes > 0;
    int64_t bytes = bound ? pvc->capacity_bytes : pvc->requested_bytes;
    if (!pvc->there)
        return was_refused(making, pvc->name);
    *least = bytes > *least ? bytes : *least;
    return true;
}

/* The size to which a growth that did not happen can be taken back: that of the largest volume. */
static void write_volumes(struct making *making)
{
    const struct model *model = making->model;
    bool wal_asked = text_given(model->snapshot->spec.wal_storage.size);
    int64_t data = 0, wal = 0;
    bool data_known = model->snapshot->faults.count == 0, wal_known = data_known && wal_asked;
    for (size_t i = 0; i < model->instance_count; i++) {
        const struct model_instance *instance = &model->instances[i];
        if (!instance->wanted)
            continue;
        data_known = data_known && least_of(making, &instance->seen->data, &data);
        wal_known = wal_known && least_of(making, &instance->seen->wal, &wal);
    }
    if (data_known)
        json_set_str(json_add_object(making->result.status, "volumes"), "storage",
                     quantity_text(making->arena, data));
    if (wal_known)
        json_set_str(json_add_object(making->result.status, "volumes"), "walStorage",
                     quantity_text(making->arena, wal));
}

void status_summary(struct making *making)
{
    const struct model *model = making->model;
    const struct model_instance *primary = model->primary;
    cJSON *status = making->result.status;
    json_set_int(status, "observedGeneration", model->snapshot->spec.generation);
    json_set_str(status, "phase", model->phase);
    if (primary != NULL) {
        json_set_str(status, "primary", primary->name);
        if (primary->seen->reported && text_given(primary->seen->report.postgres_version))
            json_set_str(status, "version", primary->seen->report.postgres_version);
    }
    if (json_get(status, "version") == NULL) /* the last one known */
        json_set_str(status, "version", json_str(making->old, "version", NULL));
    const struct key_value pods = name_instance_selector(text_or_empty(model->snapshot->spec.name));
    json_set_str(status, "selector", arena_printf(making->arena, "%s=%s", pods.key, pods.value));
    write_endpoint(making, "readWrite", "rw");
    write_endpoint(making, "readOnly", "ro");
    write_endpoint(making, "any", "r");
    write_credentials(making);
    write_instances(making);
    write_volumes(making);
}
