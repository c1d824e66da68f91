/*
 * What pods and containers have whatever runs in them. All of it passes the Pod Security Standard
 * `restricted` (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
 */
#include "desired/internal.h"

void build_pod_security(cJSON *pod, int uid)
{
    cJSON *security = json_add_object(pod, "securityContext");
    json_set_bool(security, "runAsNonRoot", true);
    json_set_int(security, "runAsUser", uid);
    json_set_int(security, "runAsGroup", uid);
    json_set_int(security, "fsGroup", uid);
    json_set_str(security, "fsGroupChangePolicy", "OnRootMismatch");
    json_set_str(json_add_object(security, "seccompProfile"), "type", "RuntimeDefault");
}

void build_pod_pull_secrets(cJSON *pod, const char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_set_str(json_push_object(json_add_array(pod, "imagePullSecrets")), "name", names[i]);
}

static void add_anti_affinity(cJSON *pod, const struct scheduling_spec *scheduling,
                              struct key_value pods)
{
    cJSON *rules = json_add_object(json_add_object(pod, "affinity"), "podAntiAffinity");
    cJSON *term;
    if (scheduling->anti_affinity_required) {
        term = json_push_object(
            json_add_array(rules, "requiredDuringSchedulingIgnoredDuringExecution"));
    } else {
        cJSON *weighted = json_push_object(
            json_add_array(rules, "preferredDuringSchedulingIgnoredDuringExecution"));
        json_set_int(weighted, "weight", 100);
        term = json_add_object(weighted, "podAffinityTerm");
    }
    json_set_str(term, "topologyKey", scheduling->topology_key);
    (void)build_selector(json_add_object(term, "labelSelector"), "matchLabels", pods);
}

static void add_spread(cJSON *pod, const char *key, struct key_value pods)
{
    cJSON *spread = json_push_object(json_add_array(pod, "topologySpreadConstraints"));
    json_set_int(spread, "maxSkew", 1);
    json_set_str(spread, "topologyKey", key);
    json_set_str(spread, "whenUnsatisfiable", "ScheduleAnyway");
    (void)build_selector(json_add_object(spread, "labelSelector"), "matchLabels", pods);
}

void build_pod_scheduling(cJSON *pod, const struct scheduling_spec *scheduling,
                          struct key_value pods)
{
    static const char zone[] = "topology.kubernetes.io/zone";
    add_anti_affinity(pod, scheduling, pods);
    add_spread(pod, scheduling->topology_key, pods);
    if (strcmp(scheduling->topology_key, zone) != 0)
        add_spread(pod, zone, pods);
    json_set_copy(pod, "nodeSelector", scheduling->node_selector);
    json_set_copy(pod, "tolerations", scheduling->tolerations);
    json_set_str(pod, "priorityClassName", scheduling->priority_class);
}

cJSON *build_pod_volume(cJSON *volumes, const char *name, const char *source)
{
    cJSON *volume = json_push_object(volumes);
    json_set_str(volume, "name", name);
    return json_add_object(volume, source);
}

void build_pod_secret(cJSON *volumes, const char *name, const char *secret)
{
    cJSON *source = build_pod_volume(volumes, name, "secret");
    json_set_str(source, "secretName", secret);
    json_set_int(source, "defaultMode", 0440);
}

void build_container_mount(cJSON *mounts, const struct container_mount *mount)
{
    cJSON *node = json_push_object(mounts);
    json_set_str(node, "name", mount->volume);
    json_set_str(node, "mountPath", mount->path);
    if (mount->read_only)
        json_set_bool(node, "readOnly", true);
    json_set_str(node, "subPath", mount->sub_path);
}

void build_container_variables(cJSON *container, const struct key_value *fields, size_t count)
{
    cJSON *list = json_add_array(container, "env");
    for (size_t i = 0; i < count; i++) {
        cJSON *variable = json_push_object(list);
        json_set_str(variable, "name", fields[i].key);
        json_set_str(json_add_object(json_add_object(variable, "valueFrom"), "fieldRef"),
                     "fieldPath", fields[i].value);
    }
}

void build_container_port(cJSON *ports, const char *name, int number)
{
    cJSON *port = json_push_object(ports);
    json_set_str(port, "name", name);
    json_set_int(port, "containerPort", number);
    json_set_str(port, "protocol", "TCP");
}

void build_container_probe(cJSON *container, const char *kind, const struct container_probe *probe)
{
    cJSON *node = json_add_object(container, kind);
    cJSON *get = json_add_object(node, "httpGet");
    json_set_str(get, "path", probe->path);
    json_set_str(get, "port", probe->port);
    json_set_int(node, "periodSeconds", probe->period_seconds);
    json_set_int(node, "timeoutSeconds", probe->timeout_seconds);
    json_set_int(node, "failureThreshold", probe->failures);
    if (probe->grace_seconds > 0)
        json_set_int(node, "terminationGracePeriodSeconds", probe->grace_seconds);
}

void build_container_security(cJSON *container)
{
    cJSON *security = json_add_object(container, "securityContext");
    json_set_bool(security, "allowPrivilegeEscalation", false);
    json_set_bool(security, "readOnlyRootFilesystem", true);
    json_push_str(json_add_array(json_add_object(security, "capabilities"), "drop"), "ALL");
}
