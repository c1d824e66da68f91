/*
 * Where the API server is and how to prove who we are: kubeconfig files (KUBECONFIG lists are
 * merged as kubectl does) or the pod's own service account. Secrets in here are wiped on free.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

enum kube_interactive {
    KUBECONFIG_INTERACTIVE_NEVER,
    KUBECONFIG_INTERACTIVE_IF_AVAILABLE,
    KUBECONFIG_INTERACTIVE_ALWAYS,
};

struct kubeconfig_exec {     /* client.authentication.k8s.io exec credential plugin */
    const char *api_version; /* "client.authentication.k8s.io/v1" or ".../v1beta1" */
    const char *command;     /* absolute, or a plain name that is looked up in PATH */
    const char **args;       /* NULL-ended */
    const char **env;        /* NULL-ended "NAME=value" */
    const char *install_hint;
    bool provide_cluster_info;
    enum kube_interactive interactive; /* interactiveMode */
    const char *cluster_info;          /* JSON for spec.cluster; NULL unless provide_cluster_info */
};

struct kubeconfig {
    const char *server;                           /* https://host:port[/path] */
    const char *tls_server_name;                  /* NULL: the host of server */
    const char *ca_pem;                           /* NULL: the system's CAs */
    const char *client_cert_pem, *client_key_pem; /* NULL when none */
    const char *token;                            /* NULL when none */
    const char *token_file;                       /* reread, as it rotates; goes before token */
    const char *username, *password;              /* basic auth; NULL when none */
    const char *proxy_url;
    const struct kubeconfig_exec *exec; /* NULL when none */
    const char **impersonate;           /* NULL-ended "Impersonate-User: x" lines; NULL when none */
    const char *namespace;              /* default namespace of the context, or of the pod */
    bool insecure;                      /* insecure-skip-tls-verify: only when options allow it */
};

struct kubeconfig_options {
    const char *kubeconfig; /* --kubeconfig: one path; NULL: KUBECONFIG, then in-cluster, then
                               ~/.kube/config */
    const char *context;    /* --context; NULL: current-context */
    bool allow_insecure;    /* --insecure-skip-tls-verify: without it such a cluster is refused */
};

/* Copies the config with everything it points to; secrets in the copy are wiped with the arena. */
void kubeconfig_copy(struct arena *arena, const struct kubeconfig *config,
                     struct kubeconfig *ret_copy);
/* Keeps text until the arena is freed and overwrites it then. Returns text; NULL is fine. */
char *kubeconfig_secret(struct arena *arena, char *text);
/* Errors name the file and the field ("kubeconfig '/x': users[2].user.client-key-data: not
 * base64"). */
int kubeconfig_load(struct arena *arena, const struct kubeconfig_options *options,
                    struct kubeconfig *ret_config, struct error *err) ERR_CHECKED;
