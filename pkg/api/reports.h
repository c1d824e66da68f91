/*
 * What agents and operator tell each other as JSON in annotations and ConfigMap keys: one codec for
 * both ends. Unknown members are ignored, missing ones take the zero value, so that two versions of
 * pgkeel understand each other.
 */
#pragma once

#include "base/json.h"

/* How full a volume is: coarse, see volume/room.h. */
#define REPORT_ROOM_ENOUGH  "enough"
#define REPORT_ROOM_FILLING "filling"
#define REPORT_ROOM_FULL    "full"
#define REPORT_ROOM_UNKNOWN "unknown" /* its file system does not answer */

struct volume_report {
    const char *room; /* REPORT_ROOM_...; "" when it is not reported */
    int64_t capacity_bytes, used_bytes, available_bytes; /* of the file system; 0 while unknown */
    const char *words; /* PostgreSQL's message about missing space; "" unless full */
};

/* Pod annotation ANN_REPORT; written by the agent only when it changes. */
struct instance_report {
    const char *instance;          /* "a-1" */
    const char *role;              /* "primary" | "replica" | "" while unknown */
    const char *phase;             /* "Starting" "Initializing" "Cloning" "Recovering" "Running"
                                      "Restarting" "Stopping" "Waiting" "Failed" */
    const char *reason;            /* CamelCase when Waiting or Failed, else "" */
    const char *message;           /* what it waits for or what failed, and the remedy */
    const char *system_identifier; /* "" until known */
    const char *postgres_version;  /* "17.11" */
    int timeline;
    int64_t epoch;                  /* the last one that its volume was led with; 0: never */
    int64_t seen_epoch;             /* the highest that the lease had under others */
    const char *config_hash;        /* cluster_config.config_hash that postgres runs with */
    const char *verifiers_hash;     /* hash of roles.json that was applied (primary) */
    const char *restart_token;      /* the last token that was carried out */
    const char *restarted_for;      /* the parameters that needed a restart then; "none": there were
                                       none; "": of agents that do not report it */
    bool pending_restart;           /* parameters need a restart of postgres */
    const char *pending_parameters; /* "max_connections, shared_buffers" */
    int crashes;                    /* of postgres since this agent started */
    const char *last_crash_time;    /* RFC 3339, by the clock of its node; "" without one */
    const char *last_crash;         /* signal or exit code, and the last words */
    struct volume_report data_volume, wal_volume;
    bool bootstrapped; /* primary: roles and database are there */
    bool ready; /* the answer of the readiness probe: a change of this annotation makes the kubelet
                   probe at once */
};

struct replica_report {
    const char *name;            /* application_name = instance */
    const char *state;           /* pg_stat_replication.state, "streaming"; "" when not connected */
    int64_t lag_bytes;           /* pg_current_wal_lsn - replay_lsn; -1 unknown */
    const char *slot_wal_status; /* pg_replication_slots.wal_status */
    const char *slot_restart_lsn; /* the oldest WAL that the slot keeps; "" when it keeps none */
};

/* Lease annotation ANN_PRIMARY_STATUS; written with renewals. */
struct primary_report {
    int timeline;
    const char *address; /* the pod's first: clones need not wait for the Service */
    const char *lsn;
    struct replica_report *replicas;
    size_t replica_count;
};

/* Lease annotation ANN_LEAD: written only once the epoch is on that instance's volume, so that a
 * volume of this instance with a lower epoch is an older copy. */
struct lead_report {
    const char *instance;
    int64_t epoch;
};

struct member_config {
    const char *name;          /* "a-1" */
    const char *restart_token; /* restart postgres once unless it was carried out already; "" */
};

/* ConfigMap key CONFIG_KEY_CLUSTER; written by the operator. */
struct cluster_config {
    const char *cluster, *namespace;
    int postgres_version, lease_seconds;
    int termination_grace_seconds; /* of pods that are created now; 0: of an operator that does not
                                      report it */
    const char *database, *owner, *encoding, *locale;
    const char *max_slot_wal_keep_size;
    const char *config_hash; /* hash over postgresql.conf and pg_hba.conf of the same ConfigMap */
    const char *verifiers_hash; /* hash_hex16 of roles.json: when it differs from what was applied,
                                   the agent GETs Secret <cluster>-verifiers (it does not watch
                                   Secrets, so that the operator needs no such right to grant) */
    struct member_config *members;
    size_t member_count;
};

struct bootstrap_grant {
    const char *instance; /* who may take the lease that was never held */
    bool initdb;          /* may initialise an empty volume; false: only start existing data */
};

cJSON *report_instance_encode(struct arena *arena, const struct instance_report *report);
int report_instance_decode(struct arena *arena, const char *json,
                           struct instance_report *ret_report, struct error *err) ERR_CHECKED;
cJSON *report_primary_encode(struct arena *arena, const struct primary_report *report);
int report_primary_decode(struct arena *arena, const char *json, struct primary_report *ret_report,
                          struct error *err) ERR_CHECKED;
cJSON *report_lead_encode(struct arena *arena, const struct lead_report *lead);
int report_lead_decode(struct arena *arena, const char *json, struct lead_report *ret_lead,
                       struct error *err) ERR_CHECKED;
cJSON *report_config_encode(struct arena *arena, const struct cluster_config *config);
int report_config_decode(struct arena *arena, const char *json, struct cluster_config *ret_config,
                         struct error *err) ERR_CHECKED;
cJSON *report_grant_encode(struct arena *arena, const struct bootstrap_grant *grant);
int report_grant_decode(struct arena *arena, const char *json, struct bootstrap_grant *ret_grant,
                        struct error *err) ERR_CHECKED;
