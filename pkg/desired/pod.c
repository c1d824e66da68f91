/* The pod of an instance: the agent, which runs PostgreSQL, and what it mounts. */
#include "desired/internal.h"

/* Where the operator's image keeps the program; under POD_BIN_DIR when mounted as a volume. */
#define AGENT_IN_IMAGE "/usr/bin/pgkeel"
#define AGENT_COPIED   "/pgkeel"

#define PORT_NAME_AGENT "agent"

enum { PROBE_TIMEOUT_SECONDS = 5, HUNG_GRACE_SECONDS = 5 };

static const struct container_mount mounts[] = {
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

static void add_claim(cJSON *volumes, const char *name, const char *claim)
{
    json_set_str(build_pod_volume(volumes, name, "persistentVolumeClaim"), "claimName", claim);
}

static void add_agent_volume(cJSON *volumes, const struct agent_image *agent)
{
    if (agent && agent->mode == AGENT_VOLUME) {
        cJSON *image = build_pod_volume(volumes, "bin", "image");
        json_set_str(image, "reference", agent->reference);
        json_set_str(image, "pullPolicy", "IfNotPresent");
    } else if (agent) {
        json_set_str(build_pod_volume(volumes, "bin", "emptyDir"), "sizeLimit", "64Mi");
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
    json_set_str(build_pod_volume(volumes, "config", "configMap"), "name",
                 build_child(build, "config"));
    build_pod_secret(volumes, "replication", build->spec->replication_secret);
    /* In memory: copies of keys and passwords pass through it. */
    json_set_str(build_pod_volume(volumes, "run", "emptyDir"), "medium", "Memory");
    /* The runtime's own /dev/shm of 64 MiB is too small for parallel queries. */
    json_set_str(build_pod_volume(volumes, "shm", "emptyDir"), "medium", "Memory");
    build_pod_secret(volumes, "tls", build_child(build, "server"));
    (void)build_pod_volume(volumes, "tmp", "emptyDir");
    build_pod_secret(volumes, "verifiers", build_child(build, "verifiers"));
}

static void add_mounts(const struct build *build, cJSON *container)
{
    cJSON *list = json_add_array(container, "volumeMounts");
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        if (strcmp(mounts[i].volume, "wal") == 0 && build->spec->wal_storage.size == NULL)
            continue;
        build_container_mount(list, &mounts[i]);
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
    build_container_variables(container, fields, sizeof fields / sizeof fields[0]);
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
    const struct container_probe startup = {.path = "/startupz",
                                            .port = PORT_NAME_AGENT,
                                            .period_seconds = 1,
                                            .timeout_seconds = PROBE_TIMEOUT_SECONDS,
                                            .failures = 120,
                                            .grace_seconds = own_grace ? HUNG_GRACE_SECONDS : 0};
    struct container_probe liveness = startup, readiness = startup;
    liveness.path = "/livez";
    liveness.period_seconds = own_grace ? 5 : 10;
    liveness.failures = 6;
    readiness.path = "/readyz";
    readiness.failures = 2;
    readiness.grace_seconds = 0;
    build_container_probe(container, "startupProbe", &startup);
    build_container_probe(container, "livenessProbe", &liveness);
    build_container_probe(container, "readinessProbe", &readiness);
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
    build_container_port(ports, "postgres", PORT_POSTGRES);
    build_container_port(ports, PORT_NAME_AGENT, PORT_AGENT);
    json_set_copy(container, "resources", build->spec->resources);
    build_container_security(container);
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
    build_container_security(container);
    build_container_mount(json_add_array(container, "volumeMounts"),
                          &(struct container_mount){"bin", POD_BIN_DIR, false, NULL});
}

void build_instance_pod(const struct build *build, cJSON *template, const char *instance,
                        const struct pod_own *own)
{
    const struct cluster_spec *spec = build->spec;
    const struct key_value pods = name_instance_selector(spec->name);
    build_label(template, LABEL_APP_NAME, "postgresql");
    build_label(template, pods.key, pods.value);
    build_label(template, LABEL_INSTANCE, instance);
    build_label(template, LABEL_MANAGED_BY, LABEL_MANAGED_BY_VALUE);
    build_annotate(template, "kubectl.kubernetes.io/default-container", CONTAINER_POSTGRES);
    cJSON *pod = json_add_object(template, "spec");
    json_set_str(pod, "serviceAccountName", spec->name);
    json_set_bool(pod, "automountServiceAccountToken", true);
    json_set_bool(pod, "enableServiceLinks", false);
    json_set_int(pod, "terminationGracePeriodSeconds", spec->termination_grace_seconds);
    build_pod_pull_secrets(pod, spec->image_pull_secrets, spec->image_pull_secret_count);
    build_pod_security(pod, POD_UID_NUMBER);
    build_pod_scheduling(pod, &spec->scheduling, pods);
    add_install(pod, own->agent);
    add_postgres(build, json_add_array(pod, "containers"), instance, own);
    add_volumes(build, pod, instance, own->agent);
}
