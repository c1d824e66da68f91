/*
 * Where the API server is and how to prove who we are: kubeconfig files (KUBECONFIG lists are merged
 * as kubectl does) or the pod's own service account. Secrets in here are wiped on free.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

struct kube_exec { /* client.authentication.k8s.io exec credential plugin */
    const char *api_version, *command;
    const char **args;      /* NULL-ended */
    const char **env;       /* NULL-ended "NAME=value" */
    const char *install_hint;
    bool provide_cluster_info;
};

struct kube_config {
    const char *server;             /* https://host:port[/path] */
    const char *tls_server_name;    /* NULL: the host of server */
    const char *ca_pem;             /* NULL: the system's CAs */
    const char *client_cert_pem, *client_key_pem; /* NULL when none */
    const char *token;              /* NULL when none */
    const char *token_file;         /* reread: it rotates */
    const char *username, *password;/* basic auth; NULL when none */
    const char *proxy_url;
    const struct kube_exec *exec;   /* NULL when none */
    const char *namespace;          /* default namespace of the context, or of the pod */
    bool insecure;                  /* insecure-skip-tls-verify: only when options allow it */
};

struct kube_config_options {
    const char *kubeconfig; /* --kubeconfig: one path; NULL: KUBECONFIG, then in-cluster, then
                               ~/.kube/config */
    const char *context;    /* --context; NULL: current-context */
    bool allow_insecure;    /* --insecure-skip-tls-verify: without it such a cluster is refused */
};

/* Errors name the file and the field ("kubeconfig '/x': users[2].user.client-key-data: not base64"). */
int kube_config_load(struct arena *arena, const struct kube_config_options *options,
                     struct kube_config *ret_config, struct error *err);
