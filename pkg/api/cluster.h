/*
 * PostgresCluster: the decoded spec, with defaults filled in. crds/ is the manual of the fields;
 * spec_fields() lists them once more so that a test keeps schema and decoder in step, both ways.
 * Everything lives in the arena given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/names.h"
#include "base/json.h"
#include "spec/spec.h"

struct volume_spec {
    int64_t size_bytes;
    const char *size;          /* as written, e.g. "20Gi" */
    const char *storage_class; /* NULL: the server's default */
};

/* Where pods run; trees and texts are NULL when absent. */
struct scheduling_spec {
    bool anti_affinity_required; /* antiAffinity: preferred | required */
    const char *topology_key;    /* "kubernetes.io/hostname"; never NULL */
    const cJSON *node_selector, *tolerations;
    const char *priority_class;
};

struct cluster_spec {
    /* metadata */
    const char *name, *namespace, *uid;
    int64_t generation;
    bool deleting;
    const char *replace_ca, *reread_credentials; /* annotations of these names; "" when absent */
    /* spec.instances */
    int instances;
    /* spec.postgres */
    int postgres_version;          /* major, 14..18 */
    const char *image;             /* never NULL: default from the operator's options */
    const char *image_pull_policy; /* "IfNotPresent" by default */
    const char **image_pull_secrets;
    size_t image_pull_secret_count;
    struct key_value *parameters; /* sorted by name; user's own only */
    size_t parameter_count;
    const char **hba; /* user's lines, before the closing default ones */
    size_t hba_count;
    /* spec.storage, spec.walStorage */
    struct volume_spec storage, wal_storage;
    bool retain; /* keep volumes and credentials when the cluster object is deleted; default true */
    /* spec.replication */
    const char *max_slot_wal_keep_size; /* "4GB" */
    int64_t max_lag_bytes;              /* ReplicasStreaming bound; default 64 MiB */
    /* spec.failover.leaseSeconds */
    int lease_seconds;
    /* spec.bootstrap.initdb */
    const char *database, *owner; /* "app", "app" */
    const char *encoding;         /* "UTF8" */
    const char *locale;           /* "C.UTF-8" */
    /* spec.secrets: names of Secrets; defaults <name>-superuser, -app, -replication */
    const char *superuser_secret, *app_secret, *replication_secret;
    /* spec.tls.caOverlap: how long the old CA's certificate is shown after a new CA came */
    const char *ca_overlap; /* "7d" */
    int64_t ca_overlap_ms;
    const cJSON *resources; /* spec.resources, for the pod template; NULL when absent */
    struct scheduling_spec scheduling;
    int termination_grace_seconds; /* >= 90 */
    /* spec.maintenance.allowEviction: with one instance, let a drain evict it */
    bool allow_eviction;
};

struct api_defaults {
    /* Image for a PostgreSQL major when spec.postgres.image is absent; "%d" is the major.
     * NULL: "postgres:%d". */
    const char *image_pattern;
};

/* Decodes and validates one PostgresCluster object. All faults are collected, each with its path,
 * unknown fields included. Returns ERR_INVALID when there is any (err says the first and how many);
 * ret_spec is filled as far as possible and usable only on 0. */
int api_decode(struct arena *arena, const cJSON *object, const struct api_defaults *defaults,
               struct cluster_spec *ret_spec, struct spec_faults *ret_faults,
               struct error *err) ERR_CHECKED;
