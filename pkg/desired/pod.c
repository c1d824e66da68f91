/*
 * The pod of an instance. It passes the Pod Security Standard `restricted`
 * (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
 */
#include "desired/internal.h"

/* Where the operator's image keeps the program; under POD_BIN_DIR when mounted as a volume. */
#define AGENT_IN_IMAGE "/usr/bin/pgkeel"
#define AGENT_COPIED   "/pgkeel"

enum { PROBE_TIMEOUT_SECONDS = 5, HUNG_GRACE_SECONDS = 5 };

struct mount {
    const char *volume, *path;
    bool read_only;
    const char *sub_path; /* one file of the volume; NULL: all of it */
};

static const struct mount mounts[] = {
    {"data", POD_DATA_DIR, false, NULL},
    {"wal", POD_WAL_DIR, false, NULL},
    {"bin", POD_BIN_DIR, true, NULL},
    {"config", POD_CONFIG_DIR, true, NULL},
    {"config", "/etc/passwd", true, CONFIG_KEY_PASSWD},
    {"replication", POD_REPLICATION_DIR, true, NULL},
    {"run", POD_RUN_DIR, false, NULL},
    {"shm", "/dev/shm", false, NULL},
    {"tls", POD_TLS_DIR, true, NULL},
    {"tmp", "/tmp", false, NULL},
    {"verifiers", POD_VERIFIERS_DIR, true, NULL},
};

static cJSON *add_volume(cJSON *volumes, const char *name, const char *source)
{
    cJSON *volume = json_push_object(volumes);
    json_set_str(volume, "name", name);
    return json_add_object(volume, source);
}

static void add_claim(cJSON *volumes, const char *name, const char *claim)
{
    json_set_str(add_volume(volumes, name, "persistentVolumeClaim"), "claimName", claim);
}

/* 0440: root's, read through fsGroup; PostgreSQL accepts such a key. */
static void add_secret(cJSON *volumes, const char *name, const char *secret)
{
    cJSON *source = add_volume(volumes, name, "secret");
    json_set_str(source, "secretName", secret);
    json_set_int(source, "defaultMode", 0440);
}

static void add_agent_volume(cJSON *volumes, const struct agent_image *agent)
{
    if (agent && agent->mode == AGENT_VOLUME) {
        cJSON *image = add_volume(volumes, "bin", "image");
        json_set_str(image, "reference", agent->reference);
        json_set_str(image, "pullPolicy", "IfNotPresent");
    } else if (agent) {
        json_set_str(add_volume(volumes, "bin", "emptyDir"), "sizeLimit", "64Mi");
    }
}

static void add_volumes(const struct build *build, cJSON *pod, const char *instance,
                        const struct agent_image *agent)
{
    cJSON *volumes = json_add_array(pod, "volumes");
    add_claim(volumes, "data", name_data_pvc(build->arena, instance));
    if (build->spec->wal_storage.size)
        add_claim(volumes, "wal", name_wal_pvc(build->arena, instance));
    add_agent_volume(volumes, agent);
    json_set_str(add_volume(volumes, "config", "configMap"), "name", build_child(build, "config"));
    add_secret(volumes, "replication", build->spec->replication_secret);
    /* In memory: copies of keys and passwords pass through it. */
    json_set_str(add_volume(volumes, "run", "emptyDir"), "medium", "Memory");
    /* The runtime's own /dev/shm of 64 MiB is too small for parallel queries. */
    json_set_str(add_volume(volumes, "shm", "emptyDir"), "medium", "Memory");
    add_secret(volumes, "tls", build_child(build, "server"));
    (void)add_volume(volumes, "tmp", "emptyDir");
    add_secret(volumes, "verifiers", build_child(build, "verifiers"));
}

static void add_mounts(const struct build *build, cJSON *container)
{
    cJSON *list = json_add_array(container, "volumeMounts");
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        if (strcmp(mounts[i].volume, "wal") == 0 && build->spec->wal_storage.size == NULL)
            continue;
        cJSON *mount = json_push_object(list);
        json_set_str(mount, "name", mounts[i].volume);
        json_set_str(mount, "mountPath", mounts[i].path);
        if (mounts[i].read_only)
            json_set_bool(mount, "readOnly", true);
        json_set_str(mount, "subPath", mounts[i].sub_path);
    }
}

static void add_environment(cJSON *container)
{
    static const struct key_value fields[] = {
        {"POD_NAME", "metadata.name"},
        {"POD_NAMESPACE", "metadata.namespace"},
        {"POD_UID", "metadata.uid"},
        {"POD_IPS", "status.podIPs"},
    };
    cJSON *list = json_add_array(container, "env");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        cJSON *variable = json_push_object(list);
        json_set_str(variable, "name", fields[i].key);
        json_set_str(json_add_object(json_add_object(variable, "valueFrom"), "fieldRef"),
                     "fieldPath", fields[i].value);
    }
}

static cJSON *add_probe(cJSON *container, const char *kind, const char *path, int period,
                        int failures)
{
    cJSON *probe = json_add_object(container, kind);
    cJSON *get = json_add_object(probe, "httpGet");
    json_set_str(get, "path", path);
    json_set_str(get, "port", "agent");
    json_set_int(probe, "periodSeconds", period);
    json_set_int(probe, "timeoutSeconds", PROBE_TIMEOUT_SECONDS);
    json_set_int(probe, "failureThreshold", failures);
    return probe;
}

/* Answered by the agent whatever PostgreSQL does: a crash recovery may take hours and is never
 * killed. Readiness follows within a second. An agent that has not answered for half a minute, six
 * times running, hangs, and does not hear SIGTERM either: the grace of the pod, in which a server
 * writes its checkpoint, would only prolong it. The few seconds are for one that hears after all:
 * https://kep.k8s.io/2238
 */
static void add_probes(cJSON *container, int form)
{
    bool own_grace = form >= POD_FORM_PROBE_GRACE;
    cJSON *startup = add_probe(container, "startupProbe", "/startupz", 1, 120);
    cJSON *liveness = add_probe(container, "livenessProbe", "/livez", own_grace ? 5 : 10, 6);
    (void)add_probe(container, "readinessProbe", "/readyz", 1, 2);
    if (!own_grace)
        return;
    json_set_int(startup, "terminationGracePeriodSeconds", HUNG_GRACE_SECONDS);
    json_set_int(liveness, "terminationGracePeriodSeconds", HUNG_GRACE_SECONDS);
}

static void add_port(cJSON *ports, const char *name, int number)
{
    cJSON *port = json_push_object(ports);
    json_set_str(port, "name", name);
    json_set_int(port, "containerPort", number);
    json_set_str(port, "protocol", "TCP");
}

static void confine(cJSON *container)
{
    cJSON *security = json_add_object(container, "securityContext");
    json_set_bool(security, "allowPrivilegeEscalation", false);
    json_set_bool(security, "readOnlyRootFilesystem", true);
    json_push_str(json_add_array(json_add_object(security, "capabilities"), "drop"), "ALL");
}

static void add_command(const struct build *build, cJSON *container, const char *instance,
                        const struct agent_image *agent)
{
    if (agent)
        json_push_str(json_add_array(container, "command"), agent->mode == AGENT_VOLUME
                                                                ? POD_BIN_DIR AGENT_IN_IMAGE
                                                                : POD_BIN_DIR AGENT_COPIED);
    cJSON *arguments = json_add_array(container, "args");
    json_push_str(arguments, "instance");
    json_push_str(arguments, "--name");
    json_push_str(arguments, instance);
    if (build->spec->wal_storage.size == NULL) {
        /* pg_wal lies beside the data then, and nothing is mounted at POD_WAL_DIR. */
        json_push_str(arguments, "--wal-dir");
        json_push_str(arguments, POD_DATA_DIR);
    }
}

static void add_postgres(const struct build *build, cJSON *containers, const char *instance,
                         const struct pod_own *own)
{
    cJSON *container = json_push_object(containers);
    json_set_str(container, "name", CONTAINER_POSTGRES);
    json_set_str(container, "image", build->spec->image);
    json_set_str(container, "imagePullPolicy", build->spec->image_pull_policy);
    add_command(build, container, instance, own->agent);
    add_environment(container);
    cJSON *ports = json_add_array(container, "ports");
    add_port(ports, "postgres", PORT_POSTGRES);
    add_port(ports, "agent", PORT_AGENT);
    json_set_copy(container, "resources", build->spec->resources);
    confine(container);
    add_probes(container, own->form);
    json_set_str(container, "terminationMessagePolicy", "FallbackToLogsOnError");
    add_mounts(build, container);
}

/* Copies the agent into the volume, on servers without image volumes. */
static void add_install(cJSON *pod, const struct agent_image *agent)
{
    if (agent == NULL || agent->mode != AGENT_INSTALL)
        return;
    cJSON *container = json_push_object(json_add_array(pod, "initContainers"));
    json_set_str(container, "name", "install");
    json_set_str(container, "image", agent->reference);
    json_set_str(container, "imagePullPolicy", "IfNotPresent");
    json_push_str(json_add_array(container, "command"), AGENT_IN_IMAGE);
    cJSON *arguments = json_add_array(container, "args");
    json_push_str(arguments, "install");
    json_push_str(arguments, POD_BIN_DIR);
    cJSON *resources = json_add_object(container, "resources");
    cJSON *requests = json_add_object(resources, "requests");
    json_set_str(requests, "cpu", "10m");
    json_set_str(requests, "memory", "16Mi");
    json_set_str(json_add_object(resources, "limits"), "memory", "64Mi");
    confine(container);
    cJSON *mount = json_push_object(json_add_array(container, "volumeMounts"));
    json_set_str(mount, "name", "bin");
    json_set_str(mount, "mountPath", POD_BIN_DIR);
}

static void add_anti_affinity(const struct build *build, cJSON *pod)
{
    cJSON *rules = json_add_object(json_add_object(pod, "affinity"), "podAntiAffinity");
    cJSON *term;
    if (build->spec->anti_affinity_required) {
        term = json_push_object(
            json_add_array(rules, "requiredDuringSchedulingIgnoredDuringExecution"));
    } else {
        cJSON *weighted = json_push_object(
            json_add_array(rules, "preferredDuringSchedulingIgnoredDuringExecution"));
        json_set_int(weighted, "weight", 100);
        term = json_add_object(weighted, "podAffinityTerm");
    }
    json_set_str(term, "topologyKey", build->spec->topology_key);
    (void)build_instance_selector(build, json_add_object(term, "labelSelector"), "matchLabels");
}

static void add_spread(const struct build *build, cJSON *pod, const char *key)
{
    cJSON *spread = json_push_object(json_add_array(pod, "topologySpreadConstraints"));
    json_set_int(spread, "maxSkew", 1);
    json_set_str(spread, "topologyKey", key);
    json_set_str(spread, "whenUnsatisfiable", "ScheduleAnyway");
    (void)build_instance_selector(build, json_add_object(spread, "labelSelector"), "matchLabels");
}

static void add_scheduling(const struct build *build, cJSON *pod)
{
    static const char zone[] = "topology.kubernetes.io/zone";
    const struct cluster_spec *spec = build->spec;
    add_anti_affinity(build, pod);
    add_spread(build, pod, spec->topology_key);
    if (strcmp(spec->topology_key, zone) != 0)
        add_spread(build, pod, zone);
    json_set_copy(pod, "nodeSelector", spec->node_selector);
    json_set_copy(pod, "tolerations", spec->tolerations);
    json_set_str(pod, "priorityClassName", spec->priority_class);
}

static void add_security(cJSON *pod)
{
    cJSON *security = json_add_object(pod, "securityContext");
    json_set_bool(security, "runAsNonRoot", true);
    json_set_int(security, "runAsUser", POD_UID_NUMBER);
    json_set_int(security, "runAsGroup", POD_UID_NUMBER);
    json_set_int(security, "fsGroup", POD_UID_NUMBER);
    json_set_str(security, "fsGroupChangePolicy", "OnRootMismatch");
    json_set_str(json_add_object(security, "seccompProfile"), "type", "RuntimeDefault");
}

static void add_pull_secrets(const struct build *build, cJSON *pod)
{
    for (size_t i = 0; i < build->spec->image_pull_secret_count; i++)
        json_set_str(json_push_object(json_add_array(pod, "imagePullSecrets")), "name",
                     build->spec->image_pull_secrets[i]);
}

void build_pod(const struct build *build, cJSON *template, const char *instance,
               const struct pod_own *own)
{
    build_label(template, LABEL_APP_NAME, "postgresql");
    const struct key_value pods = name_instance_selector(build->spec->name);
    build_label(template, pods.key, pods.value);
    build_label(template, LABEL_INSTANCE, instance);
    build_label(template, LABEL_MANAGED_BY, LABEL_MANAGED_BY_VALUE);
    build_annotate(template, "kubectl.kubernetes.io/default-container", CONTAINER_POSTGRES);
    cJSON *pod = json_add_object(template, "spec");
    json_set_str(pod, "serviceAccountName", build->spec->name);
    json_set_bool(pod, "automountServiceAccountToken", true);
    json_set_bool(pod, "enableServiceLinks", false);
    json_set_int(pod, "terminationGracePeriodSeconds", build->spec->termination_grace_seconds);
    add_pull_secrets(build, pod);
    add_security(pod);
    add_scheduling(build, pod);
    add_install(pod, own->agent);
    add_postgres(build, json_add_array(pod, "containers"), instance, own);
    add_volumes(build, pod, instance, own->agent);
}
