/*
 * The agent: PID 1 of every PostgreSQL pod. It fills the volume (initdb or pg_basebackup), writes
 * the configuration, runs postgres in the role that the lease gives, answers probes and
 * reports to the operator what it sees. docs/instance.md is its manual.
 *
 * Inside: machine.h says what comes next; agent.h ties the parts together; each part is a header of
 * its own that knows nothing of the others.
 */
#pragma once

#include "base/error.h"

struct instance_options {
    const char *name; /* "a-1" */
    const char *data_dir, *wal_dir, *run_dir;
    const char *config_dir, *tls_dir, *verifiers_dir, *replication_dir;
    const char *kubeconfig; /* NULL: the pod's service account */
    const char *pod_name, *pod_namespace, *pod_uid;
    const char *pod_ips; /* "10.0.0.1,fd00::1", as the downward API has them; NULL: no endpoint */
    const char *probe_address; /* "HOST:PORT" */
    const char *listen;        /* listen_addresses */
    int port;
    const char *primary_host; /* NULL: <cluster>-rw.<namespace>.svc */
    int primary_port;
    int stop_timeout_ms; /* fast stop, before it becomes immediate; 0: what the grace leaves */
    int api_wait_ms;     /* how long to wait for an API that does not answer */
};

/* Runs until SIGTERM or SIGINT; 0 after an orderly end. Fails only where it cannot even begin. */
int instance_run(const struct instance_options *options, struct error *err) ERR_CHECKED;
