/*
 * The operator: one event loop that watches, decides and writes, cluster by cluster, while it holds
 * the leader lease. docs/architecture.md shows the order of rooms that reconcile_once() follows.
 */
#pragma once

#include "api/cluster.h"
#include "kube/kube.h"

/* How the agent's file gets into PostgreSQL's pod. */
enum control_delivery {
    DELIVERY_AUTO, /* an image volume where the server offers it by default */
    DELIVERY_IMAGE_VOLUME,
    DELIVERY_INIT_CONTAINER,
};

struct control_options {
    const struct kubeconfig *config;
    const char *const *namespaces; /* watch these only */
    size_t namespace_count;        /* 0: all */
    bool leader_elect;
    const char *lease_namespace, *identity; /* of the leader's lease; identity is this process's */
    const char *agent_image; /* NULL: the image of our own Pod's container "controller" */
    const char *own_pod;     /* its name, in lease_namespace; NULL when agent_image is given */
    enum control_delivery delivery;
    struct api_defaults defaults;
    const char *http_address; /* "address:port" of /healthz, /readyz and /metrics; "": none */
    int resync_seconds;       /* every cluster gets a pass at least this often, with jitter */
};

/* Runs until SIGTERM or SIGINT, then finishes the passes under way and releases the lease. Returns
 * 0, or a negative class when it could not start. */
int control_run(const struct control_options *options, struct error *err) ERR_CHECKED;
