/*
 * The names on which operator, agent and people agree: labels, annotations, object names, and the
 * names of the small JSON documents (api/reports.h) that operator and agent exchange through them.
 * They are spelled only here, except in the API client's table of kinds.
 */
#pragma once

#include "base/arena.h"
#include "spec/spec.h"

#define API_GROUP     "pgkeel.dev"
#define API_VERSION   "pgkeel.dev/v1alpha1"
#define API_KIND      "PostgresCluster"
#define API_PLURAL    "postgresclusters"
#define FIELD_MANAGER "pgkeel"          /* server-side apply by the operator */
#define AGENT_MANAGER "pgkeel-instance" /* what agents write: lease, -rw slice, pod status */

/* Labels */
#define LABEL_MANAGED_BY       "app.kubernetes.io/managed-by" /* = pgkeel, on everything we own */
#define LABEL_MANAGED_BY_VALUE "pgkeel"
#define LABEL_APP_NAME         "app.kubernetes.io/name" /* = postgresql */
/* = metadata.name of the cluster; on all objects of a cluster, but of its pods only on those of
 * instances: Services, the PodDisruptionBudget, the scheduler and the scale subresource select them
 * by this label alone (name_instance_selector), and `observe` keeps no pod without it. */
#define LABEL_CLUSTER "pgkeel.dev/cluster"
/* = the same, on pods of a cluster that are not of an instance. A kind of pod that has a selector
 * has a label of its own for it, besides. */
#define LABEL_PART_OF  "pgkeel.dev/part-of"
#define LABEL_INSTANCE "pgkeel.dev/instance" /* = a-1 */
#define LABEL_ROLE     "pgkeel.dev/role"     /* pod: primary | replica, set by the agent */
#define LABEL_VOLUME   "pgkeel.dev/volume"   /* PVC: data | wal */

/* Annotations */
/* Hash of the intent that was last applied. */
#define ANN_APPLIED "pgkeel.dev/applied"
/* StatefulSet: hash of the pod template in its first form and without the agent's image, so that an
 * upgrade of the operator restarts no pod. */
#define ANN_TEMPLATE "pgkeel.dev/template"
/* PostgresCluster, by people: read the Secrets at once, and say so in status.credentials.observed
 * with this text. */
#define ANN_REREAD "pgkeel.dev/reread-credentials"
/* PostgresCluster, by people: "planned" or "now", and after it anything that makes it differ from
 * the last request. */
#define ANN_REPLACE_CA "pgkeel.dev/replace-ca"
/* Secrets <cluster>-ca and <cluster>-server: the last such request that was done. */
#define ANN_CA_REPLACED "pgkeel.dev/ca-replaced"
/* Secret <cluster>-server: since when ca.crt holds a new CA beside the old one (RFC 3339). */
#define ANN_CA_CHANGED "pgkeel.dev/ca-changed"
/* StatefulSet: how and from which image the agent comes; see api/agent_image.h. */
#define ANN_AGENT_IMAGE "pgkeel.dev/agent-image"
/* StatefulSet: the form of the operator's own part of its pod template; without the annotation, the
 * first. What a later operator changes there is a new form. The hash in ANN_TEMPLATE is always that
 * of the first form, so that a form, like the agent's image, is kept until the spec changes the
 * template. */
#define ANN_POD_FORM "pgkeel.dev/pod-form"
enum {
    POD_FORM_FIRST = 1,
    POD_FORM_PROBE_GRACE = 2, /* a hung agent is killed within seconds, not after the pod's grace */
    POD_FORM_NEWEST = POD_FORM_PROBE_GRACE,
};
/* Pod: struct instance_report as JSON, by the agent. */
#define ANN_REPORT "pgkeel.dev/report"
/* Lease: {"instance":"a-1","mode":"initdb"|"existing"}, by the operator: who may take it while it
 * was never held. */
#define ANN_BOOTSTRAP "pgkeel.dev/bootstrap"
/* Lease: struct lead_report as JSON, by the agent: who led last, and with which epoch. */
#define ANN_LEAD "pgkeel.dev/lead"
/* Lease: struct primary_report as JSON. */
#define ANN_PRIMARY_STATUS "pgkeel.dev/primary-status"
/* PVC of the data, by the operator: the system identifier of the data, the epoch of the instance,
 * and whether it was primary or replica. The EndpointSlice -rw has the epoch, too, from the agent
 * that wrote it: the epoch of the lease that it held. */
#define ANN_SYSTEM_ID "pgkeel.dev/system-identifier"
#define ANN_EPOCH     "pgkeel.dev/epoch"
#define ANN_LAST_ROLE "pgkeel.dev/last-role"

/* Keys of ConfigMap <cluster>-config */
#define CONFIG_KEY_POSTGRESQL "postgresql.conf" /* shared by all instances */
#define CONFIG_KEY_HBA        "pg_hba.conf"
#define CONFIG_KEY_CLUSTER    "cluster.json" /* struct cluster_config */
#define CONFIG_KEY_PASSWD     "passwd" /* mounted at /etc/passwd: images do not know our uid */
/* Key of Secret <cluster>-verifiers: [{"name","verifier","superuser","replication","login"}] */
#define VERIFIERS_KEY "roles.json"

/* Where pods mount things, and ports */
#define POD_DATA_DIR      "/pgkeel/data" /* PVC <instance>-data: PGDATA is pgdata/ below it */
#define POD_WAL_DIR       "/pgkeel/wal"  /* PVC <instance>-wal: pg_wal is pg_wal/ below it */
#define POD_RUN_DIR       "/pgkeel/run"  /* emptyDir: Unix socket (mode 0700), pid and temp files */
#define POD_BIN_DIR       "/pgkeel/bin"  /* the agent's file, by image volume or init container */
#define POD_CONFIG_DIR    "/pgkeel/config"    /* ConfigMap <cluster>-config */
#define POD_TLS_DIR       "/pgkeel/tls"       /* Secret <cluster>-server: tls.crt tls.key ca.crt */
#define POD_VERIFIERS_DIR "/pgkeel/verifiers" /* Secret <cluster>-verifiers */
/* Secret <cluster>-replication: username, password */
#define POD_REPLICATION_DIR "/pgkeel/replication"
/* Images have different uids for postgres, so none of theirs is used; fsGroup gives the volumes to
 * this one. */
#define POD_UID_NUMBER     70000
#define CONTAINER_POSTGRES "postgres"
#define PORT_POSTGRES      5432
#define PORT_AGENT         8008 /* probes and /metrics, plain HTTP */

/* Roles that pgkeel makes inside PostgreSQL */
#define ROLE_SUPERUSER   "postgres"
#define ROLE_REPLICATION "pgkeel_replication"

struct key_value {
    const char *key, *value;
};

/* The label that every pod of an instance of the cluster bears, and no other pod. */
struct key_value name_instance_selector(const char *cluster);
/* "a" + 1 -> "a-1"; "a-1" -> "a-1-data" / "a-1-wal" / pod "a-1-0" */
char *name_instance(struct arena *arena, const char *cluster, int ordinal);
char *name_pod(struct arena *arena, const char *instance);
char *name_data_pvc(struct arena *arena, const char *instance);
char *name_wal_pvc(struct arena *arena, const char *instance);
/* "<cluster>-<suffix>": rw ro r pods primary config verifiers ca server superuser app
 * replication */
char *name_child(struct arena *arena, const char *cluster, const char *suffix);
/* The suffixes of a cluster's Services; the first is the primary's, which has no selector. */
enum { SERVICES = 4 };
extern const char *const name_services[SERVICES];
/* The ordinal of instance "a-3" of cluster "a", or 0 when it is not one. */
int name_ordinal(const char *cluster, const char *instance);
/* "a-2" -> replication slot "a_2" */
char *name_slot(struct arena *arena, const char *instance);
