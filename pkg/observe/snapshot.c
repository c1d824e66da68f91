/* From records to one snapshot of one cluster. Everything is copied, because the caches keep
 * changing. */
#include "observe/internal.h"

#include <stdlib.h>
#include <string.h>

struct build {
    struct observe *observe;
    struct cluster *cluster;
    struct arena *arena;
    struct snapshot *snapshot;
};

static const char *text(const struct build *b, const struct record *record, int field)
{
    return arena_strdup(b->arena, record_field(record, field));
}

static int64_t number(const struct record *record, int field)
{
    return strtoll(record_field(record, field), NULL, 10);
}

/* This cluster's object of that name, or NULL. */
static const struct record *find(const struct build *b, int kind, const char *name)
{
    const struct record *record = cache_find(b->observe, kind, b->cluster->namespace, name);
    return record && record->cluster == b->cluster ? record : NULL;
}

static int by_kind_and_name(const void *a, const void *b)
{
    const struct record *left = *(const struct record *const *)a;
    const struct record *right = *(const struct record *const *)b;
    if (left->kind != right->kind)
        return left->kind - right->kind;
    return strcmp(left->text, right->text);
}

static void put_objects(const struct build *b)
{
    struct snapshot *snapshot = b->snapshot;
    size_t count = 0;
    for (const struct record *r = b->cluster->records; r; r = r->next)
        count += !api_child_infos[r->kind].recreated;
    const struct record **records = arena_alloc(b->arena, (count + 1) * sizeof *records);
    for (const struct record *r = b->cluster->records; r; r = r->next)
        if (!api_child_infos[r->kind].recreated)
            records[snapshot->object_count++] = r;
    if (count > 1)
        qsort(records, count, sizeof *records, by_kind_and_name);
    snapshot->objects = arena_alloc(b->arena, (count + 1) * sizeof *snapshot->objects);
    for (size_t i = 0; i < count; i++)
        snapshot->objects[i] =
            (struct seen_object){.api_version = api_child_infos[records[i]->kind].api_version,
                                 .kind = api_child_infos[records[i]->kind].kind,
                                 .name = text(b, records[i], FIELD_NAME),
                                 .uid = text(b, records[i], FIELD_UID),
                                 .resource_version = arena_printf(
                                     b->arena, "%llu", (unsigned long long)records[i]->version),
                                 .owner_uid = text(b, records[i], FIELD_OWNER),
                                 .cluster = arena_strdup(b->arena, b->cluster->name),
                                 .applied = text(b, records[i], FIELD_APPLIED),
                                 .foreign_manager = text(b, records[i], FIELD_FOREIGN_MANAGER),
                                 .foreign = text(b, records[i], FIELD_FOREIGN),
                                 .drifted = record_drifted(records[i]),
                                 .deleting = records[i]->deleting};
}

static void put_pvc(const struct build *b, const char *name, struct seen_pvc *ret_pvc)
{
    static const struct seen_pvc nothing = {.uid = "",
                                            .phase = "",
                                            .storage_class = "",
                                            .resize_message = "",
                                            .pending_message = "",
                                            .system_identifier = "",
                                            .last_role = "",
                                            .owner_cluster = "",
                                            .volume = "",
                                            .node = ""};
    const struct record *record = find(b, CHILD_CLAIM, name);
    *ret_pvc = nothing;
    ret_pvc->name = name;
    if (record == NULL)
        return;
    *ret_pvc = (struct seen_pvc){.there = true,
                                 .deleting = record->deleting,
                                 .name = name,
                                 .uid = text(b, record, FIELD_UID),
                                 .phase = text(b, record, PVC_PHASE),
                                 .storage_class = text(b, record, PVC_CLASS),
                                 .requested_bytes = number(record, PVC_REQUESTED),
                                 .capacity_bytes = number(record, PVC_CAPACITY),
                                 .resize_message = text(b, record, PVC_RESIZE),
                                 .pending_message =
                                     arena_strdup(b->arena, diagnosis_text(b->cluster, record)),
                                 .system_identifier = text(b, record, PVC_SYSTEM_ID),
                                 .last_role = text(b, record, PVC_LAST_ROLE),
                                 .epoch = number(record, PVC_EPOCH),
                                 .created_ms = number(record, PVC_CREATED),
                                 .owner_cluster = arena_strdup(b->arena, b->cluster->name)};
    ret_pvc->volume = text(b, record, PVC_VOLUME);
    ret_pvc->node = text(b, record, PVC_NODE);
    if (strcmp(ret_pvc->phase, "Bound") == 0 && *ret_pvc->pending_message) {
        ret_pvc->node = ret_pvc->pending_message; /* the node that is gone, see diagnosis.c */
        ret_pvc->node_gone = true;
    }
    if (strcmp(ret_pvc->phase, "Pending") == 0)
        ret_pvc->pending_since_ms = number(record, PVC_CREATED);
    else
        ret_pvc->pending_message = "";
}

static void put_report(const struct build *b, const struct record *record,
                       struct seen_instance *instance)
{
    struct error ignored; /* an annotation that somebody broke counts as no report */
    const char *json = record ? text(b, record, POD_REPORT) : "";
    instance->reported =
        *json && report_instance_decode(b->arena, json, &instance->report, &ignored) == 0;
    if (!instance->reported)
        err_ignore(
            report_instance_decode(b->arena, "{}", &instance->report, &ignored)); /* "" all over */
}

/* The pod's own message counts more than what the Events say of it. */
static void put_pod(const struct build *b, struct seen_instance *instance)
{
    const char *name = name_pod(b->arena, instance->name);
    const struct record *record = find(b, CHILD_POD, name);
    instance->pod = (struct seen_pod){.name = name,
                                      .uid = "",
                                      .node = "",
                                      .ips = "",
                                      .phase = "",
                                      .revision = "",
                                      .waiting_reason = "",
                                      .waiting_message = "",
                                      .unschedulable_message = "",
                                      .disruption = "",
                                      .disruption_message = "",
                                      .priority = ""};
    put_report(b, record, instance);
    if (record == NULL)
        return;
    instance->pod = (struct seen_pod){.there = true,
                                      .ready = *record_field(record, POD_READY) != '\0',
                                      .deleting = record->deleting,
                                      .name = name,
                                      .uid = text(b, record, FIELD_UID),
                                      .node = text(b, record, POD_NODE),
                                      .ips = text(b, record, POD_IPS),
                                      .phase = text(b, record, POD_PHASE),
                                      .revision = text(b, record, POD_REVISION),
                                      .waiting_reason = text(b, record, POD_WAITING),
                                      .waiting_message = text(b, record, POD_WAITING_MESSAGE),
                                      .unschedulable_message = text(b, record, POD_UNSCHEDULABLE),
                                      .node_silent = *record_field(record, POD_NODE_SILENT) != '\0',
                                      .disruption = text(b, record, POD_DISRUPTION),
                                      .disruption_message = text(b, record, POD_DISRUPTION_MESSAGE),
                                      .priority = text(b, record, POD_PRIORITY),
                                      .restarts = (int)number(record, POD_RESTARTS),
                                      .created_ms = number(record, POD_CREATED)};
    const char *answer = diagnosis_text(b->cluster, record);
    if (*instance->pod.waiting_message == '\0' && !instance->pod.ready)
        instance->pod.waiting_message = arena_strdup(b->arena, answer);
}

/* "a-1=token a-2= " -> the token of this member. */
static const char *restart_token(const struct build *b, const char *instance)
{
    const struct record *record =
        find(b, CHILD_CONFIG_MAP, name_child(b->arena, b->cluster->name, "config"));
    const char *tokens = record ? record_field(record, CONFIG_TOKENS) : "";
    const char *wanted = arena_printf(b->arena, "%s=", instance);
    for (const char *at = tokens; *at; at += strcspn(at, " "), at += *at == ' ')
        if (strncmp(at, wanted, strlen(wanted)) == 0)
            return arena_strndup(b->arena, at + strlen(wanted), strcspn(at + strlen(wanted), " "));
    return "";
}

/* A form that this operator does not know is from a later one: the newest known form is nearest to
 * it. */
static int pod_form(const char *text)
{
    long form = strtol(text, NULL, 10);
    return form < POD_FORM_FIRST    ? POD_FORM_FIRST
           : form > POD_FORM_NEWEST ? POD_FORM_NEWEST
                                    : (int)form;
}

static void put_set(const struct build *b, struct seen_instance *instance)
{
    const struct record *record = find(b, CHILD_STATEFUL_SET, instance->name);
    instance->set_uid = instance->template_hash = instance->agent_image = "";
    instance->update_revision = instance->set_message = "";
    if (record == NULL)
        return;
    instance->set_there = true;
    instance->set_deleting = record->deleting;
    instance->set_uid = text(b, record, FIELD_UID);
    instance->template_hash = text(b, record, SET_TEMPLATE);
    instance->agent_image = text(b, record, SET_AGENT_IMAGE);
    instance->pod_form = pod_form(record_field(record, SET_POD_FORM));
    instance->update_revision = text(b, record, SET_REVISION);
    instance->set_generation = number(record, SET_GENERATION);
    instance->set_observed_generation = number(record, SET_OBSERVED);
    instance->set_ends_pods = number(record, SET_ENDS_PODS) != 0;
    if (!instance->pod.there)
        instance->set_message = arena_strdup(b->arena, diagnosis_text(b->cluster, record));
}

static void put_instance(const struct build *b, int ordinal)
{
    struct seen_instance instance = {.name = name_instance(b->arena, b->cluster->name, ordinal),
                                     .ordinal = ordinal};
    put_pod(b, &instance);
    put_set(b, &instance);
    put_pvc(b, name_data_pvc(b->arena, instance.name), &instance.data);
    put_pvc(b, name_wal_pvc(b->arena, instance.name), &instance.wal);
    instance.restart_token = restart_token(b, instance.name);
    if (ordinal <= b->snapshot->spec.instances || instance.pod.there || instance.set_there ||
        instance.data.there || instance.wal.there)
        b->snapshot->instances[b->snapshot->instance_count++] = instance;
}

static void put_lease(const struct build *b)
{
    struct seen_lease *lease = &b->snapshot->lease;
    const struct record *record =
        find(b, CHILD_LEASE, name_child(b->arena, b->cluster->name, "primary"));
    lease->uid = lease->resource_version = lease->holder = lease->grant.instance = "";
    lease->report.lsn = "";
    if (record == NULL)
        return;
    struct error ignored; /* what cannot be read counts as absent */
    lease->there = true;
    lease->uid = text(b, record, FIELD_UID);
    lease->resource_version = arena_printf(b->arena, "%llu", (unsigned long long)record->version);
    lease->holder = text(b, record, LEASE_HOLDER);
    lease->transitions = number(record, LEASE_TRANSITIONS);
    pulse_fill(b->observe, b->cluster, lease);
    const char *grant = text(b, record, LEASE_GRANT), *report = text(b, record, LEASE_REPORT);
    lease->granted = *grant && report_grant_decode(b->arena, grant, &lease->grant, &ignored) == 0;
    lease->reported =
        *report && report_primary_decode(b->arena, report, &lease->report, &ignored) == 0;
}

static const cJSON *parsed(const struct build *b, const char *json)
{
    struct error ignored; /* our own text, written by json_compact() */
    cJSON *tree = NULL;
    return json && json_parse(b->arena, json, strlen(json), &tree, &ignored) == 0 ? tree : NULL;
}

bool observe_snapshot(struct observe *observe, struct arena *arena, const char *namespace,
                      const char *name, const struct api_defaults *defaults,
                      struct snapshot *ret_snapshot)
{
    struct cluster *cluster = cache_cluster(observe, namespace, name, false);
    if (cluster == NULL || cluster->uid == NULL)
        return false;
    struct snapshot snapshot = {.credentials = {.reason = "",
                                                .message = "",
                                                .unblock = "",
                                                .verifiers_json = "",
                                                .verifiers_hash = "",
                                                .ca_pem = "",
                                                .ca_fingerprint = "",
                                                .notice_reason = "",
                                                .notice = "",
                                                .observed = ""}};
    struct build b = {observe, cluster, arena, &snapshot};
    struct error ignored; /* the faults say more */
    err_ignore(api_decode(arena, parsed(&b, cluster->object), defaults, &snapshot.spec,
                          &snapshot.faults, &ignored));
    snapshot.status = parsed(&b, cluster->status);
    put_objects(&b);
    snapshot.instances = arena_alloc(arena, INSTANCES_MAX * sizeof *snapshot.instances);
    for (int ordinal = 1; ordinal <= INSTANCES_MAX; ordinal++)
        put_instance(&b, ordinal);
    put_lease(&b);
    const struct record *slice =
        find(&b, CHILD_ENDPOINT_SLICE, name_child(arena, cluster->name, "rw"));
    const struct record *account = find(&b, CHILD_SERVICE_ACCOUNT, cluster->name);
    snapshot.account_created_ms = account ? number(account, ACCOUNT_CREATED) : 0;
    snapshot.rw_address = slice ? text(&b, slice, SLICE_ADDRESS) : "";
    *ret_snapshot = snapshot;
    return true;
}
