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

/* config.c */
char *desired_config_postgresql(struct arena *arena, const struct cluster_spec *spec);
char *desired_config_hba(struct arena *arena, const struct cluster_spec *spec);
void build_config(struct build *build);
/* pod.c: the pod template of an instance. */
struct pod_own {                     /* what is the operator's choice, not the spec's */
    const struct agent_image *agent; /* NULL: without its delivery, to hash */
    int form;                        /* see ANN_POD_FORM */
};
void build_pod(const struct build *build, cJSON *template, const char *instance,
               const struct pod_own *own);
/* One file per subject. */
void build_rbac(struct build *build);
void build_services(struct build *build);
void build_primary(struct build *build);
void build_disruption(struct build *build);
void build_volumes(struct build *build, const struct model_instance *instance);
void build_instance(struct build *build, const struct model_instance *instance);
