/* The two places that a configuration comes from, for config.c and for tests. */
#pragma once

#include "base/json.h"
#include "kube/config.h"

enum { KUBE_CONFIG_MAX_BYTES = 4 * 1024 * 1024, KUBE_SECRET_MAX_BYTES = 1024 * 1024 };

#define KUBE_SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* One kubeconfig file that was read. Relative paths in it are meant from its own folder. */
struct kube_config_file {
    const char *path;
    const char *folder;
    const cJSON *tree;
};

/* Reads one file's text. Secrets in the tree are wiped with the arena. */
int kube_config_parse(struct arena *arena, const char *path, const char *text, size_t length,
                      struct kube_config_file *ret_file, struct error *err) ERR_CHECKED;
/* Merges the files as kubectl does (the first to name something wins) and picks the context. */
int kube_config_from_files(struct arena *arena, const struct kube_config_file *files, size_t count,
                           const struct kube_config_options *options,
                           struct kube_config *ret_config, struct error *err) ERR_CHECKED;
/* host and port as the kubelet sets them in KUBERNETES_SERVICE_HOST and _PORT. */
int kube_config_in_cluster(struct arena *arena, const char *host, const char *port,
                           const char *folder, struct kube_config *ret_config,
                           struct error *err) ERR_CHECKED;

/* One named entry of one of a file's lists: what error texts point at. */
struct kube_config_place {
    const struct kube_config_file *file;
    const char *list;  /* "users" */
    const char *inner; /* "user" */
    int index;
    const cJSON *node; /* the inner mapping; NULL when it is empty */
};

/* "kubeconfig '/x': users[2].user.token: <text>". field is a path below the inner mapping. */
int kube_config_fault(const struct kube_config_place *place, const char *field, struct error *err,
                      const char *format, ...) __attribute__((format(printf, 4, 5))) ERR_CHECKED;
/* The string there, or NULL when it is missing or null. */
int kube_config_text(const struct kube_config_place *place, const char *field,
                     const char **ret_text, struct error *err) ERR_CHECKED;
int kube_config_flag(const struct kube_config_place *place, const char *field, bool *ret_flag,
                     struct error *err) ERR_CHECKED;
/* A path resolved against the file's folder. */
int kube_config_path(struct arena *arena, const struct kube_config_place *place, const char *field,
                     const char **ret_path, struct error *err) ERR_CHECKED;
/* `<field>-data` (base64) or the file that `<field>` names; NULL when neither is there. */
int kube_config_pem(struct arena *arena, const struct kube_config_place *place, const char *field,
                    const char **ret_pem, struct error *err) ERR_CHECKED;
/* Fills in what users[i].user says; cluster may be NULL. */
int kube_config_user(struct arena *arena, const struct kube_config_place *user,
                     const struct kube_config_place *cluster, struct kube_config *config,
                     struct error *err) ERR_CHECKED;
