/* What is kept of each kind. */
#include "observe/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static void take(struct fields *fields, const char *text)
{
    fields->text[fields->count++] = text ? text : "";
}

static void take_int(struct fields *fields, int64_t number)
{
    take(fields, arena_printf(fields->scratch, "%lld", (long long)number));
}

/* Messages are for people: the beginning is enough, and records stay small. */
static void take_message(struct fields *fields, const char *text)
{
    take(fields,
         strlen(text) <= MESSAGE_MAX ? text : arena_strndup(fields->scratch, text, MESSAGE_MAX));
}

static const char *annotation(const cJSON *object, const char *name)
{
    const cJSON *all = json_get(object, "metadata.annotations");
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(all, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static void take_created(const cJSON *object, struct fields *fields)
{
    take_int(fields, clock_parse_rfc3339(json_str(object, "metadata.creationTimestamp", "")));
}

static const cJSON *condition(const cJSON *object, const char *type)
{
    return json_item(json_get(object, "status.conditions"), "type", type);
}

/* "a-1=token a-2=": only the members' restart tokens are wanted of cluster.json. */
static void take_config_map(const cJSON *object, const struct cluster *cluster,
                            struct fields *fields)
{
    (void)cluster;
    const cJSON *item =
        cJSON_GetObjectItemCaseSensitive(json_get(object, "data"), CONFIG_KEY_CLUSTER);
    struct cluster_config config = {0};
    struct error ignored; /* a config that somebody broke is drift, and is rewritten */
    char *tokens = arena_strdup(fields->scratch, "");
    if (cJSON_IsString(item) &&
        report_config_decode(fields->scratch, item->valuestring, &config, &ignored) == 0)
        for (size_t i = 0; i < config.member_count; i++)
            tokens = arena_printf(fields->scratch, "%s%s=%s ", tokens, config.members[i].name,
                                  config.members[i].restart_token);
    take(fields, tokens);
}

static void take_slice(const cJSON *object, const struct cluster *cluster, struct fields *fields)
{
    (void)cluster;
    take(fields, json_str(object, "endpoints[0].addresses[0]", ""));
}

/* The parts of the primary's report that a pass acts on; positions and small lags change all the
 * time. */
static const char *report_digest(struct arena *scratch, const char *json, int64_t max_lag_bytes)
{
    struct primary_report report = {0};
    struct error ignored; /* an unreadable report counts as none */
    if (*json == '\0' || report_primary_decode(scratch, json, &report, &ignored) < 0)
        return json;
    char *digest = arena_printf(scratch, "%d", report.timeline);
    for (size_t i = 0; i < report.replica_count; i++) {
        const struct replica_report *replica = &report.replicas[i];
        const char *lag = replica->lag_bytes < 0               ? "?"
                          : replica->lag_bytes > max_lag_bytes ? ">"
                                                               : "";
        digest = arena_printf(scratch, "%s %s:%s:%s:%s", digest, replica->name, replica->state,
                              replica->slot_wal_status, lag);
    }
    return digest;
}

static void take_lease(const cJSON *object, const struct cluster *cluster, struct fields *fields)
{
    const char *report = annotation(object, ANN_PRIMARY_STATUS);
    take(fields, json_str(object, "spec.holderIdentity", ""));
    take_int(fields, json_int(object, "spec.leaseTransitions", 0));
    take(fields, annotation(object, ANN_BOOTSTRAP));
    take_int(fields, json_int(object, "spec.leaseDurationSeconds", 0));
    take(fields, report_digest(fields->scratch, report, cluster->max_lag_bytes));
    take(fields, report);
    take(fields, json_str(object, "spec.renewTime", ""));
}

static void take_account(const cJSON *object, const struct cluster *cluster, struct fields *fields)
{
    (void)cluster;
    take_created(object, fields);
}

static void take_resize(const cJSON *object, struct fields *fields)
{
    static const char *const types[] = {"ControllerResizeError", "NodeResizeError",
                                        "FileSystemResizePending", "Resizing"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const cJSON *found = condition(object, types[i]);
        if (found == NULL || strcmp(json_str(found, "status", ""), "True") != 0)
            continue;
        const char *message = json_str(found, "message", "");
        take_message(fields, *message ? arena_printf(fields->scratch, "%s: %s", types[i], message)
                                      : types[i]);
        return;
    }
    take(fields, "");
}

static void take_bytes(struct fields *fields, const char *quantity)
{
    int64_t bytes = quantity_bytes(quantity);
    take_int(fields, bytes > 0 ? bytes : 0);
}

/* Anyone who may write the claim may write this annotation, and commands that people paste contain
 * it: a text that cannot be the name of a node is ignored. */
static const char *selected_node(const cJSON *object)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
    const char *node = annotation(object, "volume.kubernetes.io/selected-node");
    return node[strspn(node, letters)] == '\0' && *node != '-' ? node : "";
}

static void take_pvc(const cJSON *object, const struct cluster *cluster, struct fields *fields)
{
    (void)cluster;
    take(fields, json_str(object, "status.phase", ""));
    take(fields, json_str(object, "spec.storageClassName", ""));
    take_bytes(fields, json_str(object, "spec.resources.requests.storage", "0"));
    take_bytes(fields, json_str(object, "status.capacity.storage", "0"));
    take_resize(object, fields);
    take(fields, annotation(object, ANN_SYSTEM_ID));
    take(fields, annotation(object, ANN_LAST_ROLE));
    take(fields, annotation(object, ANN_EPOCH));
    take_created(object, fields);
    take(fields, selected_node(object));
    take(fields, json_str(object, "spec.volumeName", ""));
}

static bool ends_pods(const cJSON *object)
{
    return json_int(object, "spec.replicas", 1) != 1 ||
           strcmp(json_str(object, "spec.updateStrategy.type", "OnDelete"), "OnDelete") != 0;
}

static void take_set(const cJSON *object, const struct cluster *cluster, struct fields *fields)
{
    (void)cluster;
    take(fields, annotation(object, ANN_TEMPLATE));
    take(fields, annotation(object, ANN_AGENT_IMAGE));
    take(fields, annotation(object, ANN_POD_FORM));
    take(fields, json_str(object, "status.updateRevision", ""));
    take_int(fields, json_int(object, "metadata.generation", 0));
    take_int(fields, json_int(object, "status.observedGeneration", 0));
    take_created(object, fields);
    take_int(fields, ends_pods(object));
}

/* The first container that waits: init containers come first, as they run first. */
static const cJSON *waiting(const cJSON *object)
{
    static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const cJSON *status;
        cJSON_ArrayForEach (status, json_get(object, lists[i])) {
            const cJSON *state = json_get(status, "state.waiting");
            if (state != NULL)
                return state;
        }
    }
    return NULL;
}

static int64_t restarts(const cJSON *object)
{
    const cJSON *status;
    cJSON_ArrayForEach (status, json_get(object, "status.containerStatuses")) {
        if (strcmp(json_str(status, "name", ""), CONTAINER_POSTGRES) == 0)
            return json_int(status, "restartCount", 0);
    }
    return 0;
}

static void take_addresses(const cJSON *object, struct fields *fields)
{
    char *text = arena_strdup(fields->scratch, "");
    const cJSON *item;
    cJSON_ArrayForEach (item, json_get(object, "status.podIPs")) {
        text = arena_printf(fields->scratch, "%s%s%s", text, *text ? "," : "",
                            json_str(item, "ip", ""));
    }
    take(fields, *text ? text : json_str(object, "status.podIP", ""));
}

/* The kubelet derives both conditions from the same containers. If only Ready is False, the node
 * controller has set it, as on every pod of a silent node. (A pod with readiness gates, which a
 * webhook may have added, has another reason.) */
static bool node_is_silent(const cJSON *object)
{
    const cJSON *ready = condition(object, "Ready");
    const cJSON *containers = condition(object, "ContainersReady");
    return strcmp(json_str(ready, "status", ""), "False") == 0 &&
           strcmp(json_str(containers, "status", ""), "True") == 0 &&
           strcmp(json_str(ready, "reason", ""), "ReadinessGatesNotReady") != 0;
}

static void take_pod(const cJSON *object, const struct cluster *cluster, struct fields *fields)
{
    (void)cluster;
    const cJSON *ready = condition(object, "Ready");
    const cJSON *scheduled = condition(object, "PodScheduled");
    const cJSON *wait = waiting(object);
    bool unschedulable = strcmp(json_str(scheduled, "status", ""), "False") == 0;
    take(fields, strcmp(json_str(ready, "status", ""), "True") == 0 ? "1" : "");
    take(fields, json_str(object, "spec.nodeName", ""));
    take_addresses(object, fields);
    take(fields, json_str(object, "status.phase", ""));
    take(fields, json_str(object, "metadata.labels.controller-revision-hash", ""));
    take(fields, json_str(wait, "reason", ""));
    take_message(fields, json_str(wait, "message", ""));
    take_message(fields, unschedulable ? json_str(scheduled, "message", "") : "");
    take(fields, node_is_silent(object) ? "1" : "");
    const cJSON *disruption = condition(object, "DisruptionTarget");
    bool disrupted = strcmp(json_str(disruption, "status", ""), "True") == 0;
    take(fields, disrupted ? json_str(disruption, "reason", "") : "");
    take_message(fields, disrupted ? json_str(disruption, "message", "") : "");
    if (json_get(object, "spec.priority") != NULL)
        take_int(fields, json_int(object, "spec.priority", 0));
    else
        take(fields, "");
    take_int(fields, restarts(object));
    take_created(object, fields);
    take(fields, annotation(object, ANN_REPORT));
}

/* The endpointslice controller copies our Services' labels to slices of its own. */
#define OUR_SLICES ",endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io"

const struct seen_info seen_infos[CHILD_WATCHED] = {
    [CHILD_CONFIG_MAP] = {.take = take_config_map},
    [CHILD_SERVICE_ACCOUNT] = {.metadata_only = true, .take = take_account},
    [CHILD_ROLE] = {.metadata_only = true},
    [CHILD_ROLE_BINDING] = {.metadata_only = true},
    [CHILD_SERVICE] = {.metadata_only = true},
    [CHILD_ENDPOINT_SLICE] = {.selector = OUR_SLICES, .take = take_slice},
    [CHILD_LEASE] = {.take = take_lease, .quiet = LEASE_REPORT},
    [CHILD_DISRUPTION_BUDGET] = {.metadata_only = true},
    [CHILD_CLAIM] = {.take = take_pvc},
    [CHILD_STATEFUL_SET] = {.take = take_set},
    [CHILD_POD] = {.take = take_pod},
};

enum child_kind seen_kind_find(const char *kind)
{
    enum child_kind found = api_child_kind_of(kind);
    return found < CHILD_WATCHED ? found : CHILD_NONE;
}
