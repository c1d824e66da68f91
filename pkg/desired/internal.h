/* What the files of this room share while the objects of one cluster are being built. */
#pragma once

#include <string.h>

#include "api/children.h"
#include "api/names.h"
#include "desired/desired.h"

struct build {
    struct arena *arena;
    const struct cluster_spec *spec;
    const struct snapshot *snapshot;
    const struct model *model; /* NULL while a template is only hashed */
    cJSON **objects;
    size_t count, capacity;
};

enum owner {
    OWNED,    /* goes with the cluster object */
    RETAINED, /* outlives it while spec.storage.retain is true */
};

/* build.c */
/* A new object in the list, with labels and owner; `name` is the whole name. */
cJSON *build_object(struct build *build, enum child_kind kind, const char *name, enum owner owner);
/* metadata.labels / metadata.annotations of an object of ours. */
void build_label(cJSON *object, const char *key, const char *value);
void build_annotate(cJSON *object, const char *key, const char *value);
/* {label: value}, added as `key` to `node`: the pods that bear it. Returns it for more. */
cJSON *build_selector(cJSON *node, const char *key, struct key_value pods);
/* The pods of the cluster's instances. */
cJSON *build_instance_selector(const struct build *build, cJSON *node, const char *key);
/* "<cluster>-<suffix>" */
const char *build_child(const struct build *build, const char *suffix);

/* container.c: what pods and containers have, whatever runs in them */
/* The pod's securityContext. The volumes belong to the group `uid`, too. */
void build_pod_security(cJSON *pod, int uid);
void build_pod_pull_secrets(cJSON *pod, const char **names, size_t count);
/* `pods`: those that keep away from each other. */
void build_pod_scheduling(cJSON *pod, const struct scheduling_spec *scheduling,
                          struct key_value pods);
/* Returns the volume's `source` ("emptyDir"), to be filled in. */
cJSON *build_pod_volume(cJSON *volumes, const char *name, const char *source);
/* 0440: root's, read through fsGroup; PostgreSQL accepts such a key. */
void build_pod_secret(cJSON *volumes, const char *name, const char *secret);

struct container_mount {
    const char *volume, *path;
    bool read_only;
    const char *sub_path; /* one file of the volume; NULL: all of it */
};
void build_container_mount(cJSON *mounts, const struct container_mount *mount);
/* Environment variables from fields of the pod: {"POD_NAME", "metadata.name"}. */
void build_container_variables(cJSON *container, const struct key_value *fields, size_t count);
void build_container_port(cJSON *ports, const char *name, int number);
struct container_probe {     /* by HTTP */
    const char *path, *port; /* port: its name in the container */
    int period_seconds, timeout_seconds, failures;
    int grace_seconds; /* between SIGTERM and SIGKILL once it has failed; 0: the pod's own */
};
/* `kind`: "startupProbe", "livenessProbe", "readinessProbe" */
void build_container_probe(cJSON *container, const char *kind, const struct container_probe *probe);
/* The container's securityContext. */
void build_container_security(cJSON *container);

/* service.c */
struct service_port {
    const char *name;
    int number; /* of the Service and of the pods */
};
/* Service "<cluster>-<suffix>" without a selector; returns its spec. */
cJSON *build_service(struct build *build, const char *suffix, const struct service_port *ports,
                     size_t count);

/* config.c */
char *desired_config_postgresql(struct arena *arena, const struct cluster_spec *spec);
char *desired_config_hba(struct arena *arena, const struct cluster_spec *spec);
void build_config(struct build *build);
/* pod.c: the pod template of an instance. */
struct pod_own {                     /* what is the operator's choice, not the spec's */
    const struct agent_image *agent; /* NULL: without its delivery, to hash */
    int form;                        /* see ANN_POD_FORM */
};
void build_instance_pod(const struct build *build, cJSON *template, const char *instance,
                        const struct pod_own *own);
/* One file per subject. */
void build_rbac(struct build *build);
void build_services(struct build *build);
void build_primary(struct build *build);
void build_disruption(struct build *build);
void build_volumes(struct build *build, const struct model_instance *instance);
void build_instance(struct build *build, const struct model_instance *instance);
