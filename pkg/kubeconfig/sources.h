/* The two places that a configuration comes from, for kubeconfig.c and for tests. */
#pragma once

#include "base/json.h"
#include "kubeconfig/kubeconfig.h"

enum { KUBECONFIG_MAX_BYTES = 4 * 1024 * 1024, KUBECONFIG_SECRET_MAX_BYTES = 1024 * 1024 };

#define KUBECONFIG_SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* One kubeconfig file that was read. Relative paths in it start at its own folder. */
struct kubeconfig_file {
    const char *path;
    const char *folder;
    const cJSON *tree;
};

/* Reads one file's text. Secrets in the tree are wiped with the arena. */
int kubeconfig_parse(struct arena *arena, const char *path, const char *text, size_t length,
                     struct kubeconfig_file *ret_file, struct error *err) ERR_CHECKED;
/* Merges the files as kubectl does (the first to name something wins) and picks the context. */
int kubeconfig_from_files(struct arena *arena, const struct kubeconfig_file *files, size_t count,
                          const struct kubeconfig_options *options, struct kubeconfig *ret_config,
                          struct error *err) ERR_CHECKED;
/* host and port as the kubelet sets them in KUBERNETES_SERVICE_HOST and _PORT. */
int kubeconfig_in_cluster(struct arena *arena, const char *host, const char *port,
                          const char *folder, struct kubeconfig *ret_config,
                          struct error *err) ERR_CHECKED;

/* One named entry of one of a file's lists: error texts name it. */
struct kubeconfig_place {
    const struct kubeconfig_file *file;
    const char *list;  /* "users" */
    const char *inner; /* "user" */
    int index;
    const cJSON *node; /* the inner mapping; NULL when it is empty */
};

/* "kubeconfig '/x': users[2].user.token: <text>". field is a path below the inner mapping. */
int kubeconfig_fault(const struct kubeconfig_place *place, const char *field, struct error *err,
                     const char *format, ...) __attribute__((format(printf, 4, 5))) ERR_CHECKED;
/* The string there, or NULL when it is missing or null. */
int kubeconfig_text(const struct kubeconfig_place *place, const char *field, const char **ret_text,
                    struct error *err) ERR_CHECKED;
int kubeconfig_flag(const struct kubeconfig_place *place, const char *field, bool *ret_flag,
                    struct error *err) ERR_CHECKED;
/* A path resolved against the file's folder. */
int kubeconfig_path(struct arena *arena, const struct kubeconfig_place *place, const char *field,
                    const char **ret_path, struct error *err) ERR_CHECKED;
/* `<field>-data` (base64) or the file that `<field>` names; NULL when neither is there. */
int kubeconfig_pem(struct arena *arena, const struct kubeconfig_place *place, const char *field,
                   const char **ret_pem, struct error *err) ERR_CHECKED;
/* Fills in what users[i].user says; cluster may be NULL. */
int kubeconfig_user(struct arena *arena, const struct kubeconfig_place *user,
                    const struct kubeconfig_place *cluster, struct kubeconfig *config,
                    struct error *err) ERR_CHECKED;
