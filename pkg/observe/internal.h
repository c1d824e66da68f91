/* Records and their places. Part of the room observe only. */
#pragma once

#include <stdint.h>

#include "api/children.h"
#include "api/names.h"
#include "observe/observe.h"

/* Texts of a record, in this order; each kind has its own after the common ones. */
enum {
    FIELD_NAME,
    FIELD_UID,
    FIELD_OWNER,
    FIELD_APPLIED,
    FIELD_FOREIGN,
    FIELD_FOREIGN_MANAGER,
    FIELD_COMMON
};
enum { CONFIG_TOKENS = FIELD_COMMON };
enum { SLICE_ADDRESS = FIELD_COMMON };
/* LEASE_REPORT comes with every renewal: only its digest counts as a change. */
enum {
    LEASE_HOLDER = FIELD_COMMON,
    LEASE_TRANSITIONS,
    LEASE_GRANT,
    LEASE_SECONDS,
    LEASE_DIGEST,
    LEASE_REPORT,
    LEASE_RENEWED
};
enum { ACCOUNT_CREATED = FIELD_COMMON };
enum {
    PVC_PHASE = FIELD_COMMON,
    PVC_CLASS,
    PVC_REQUESTED,
    PVC_CAPACITY,
    PVC_RESIZE,
    PVC_SYSTEM_ID,
    PVC_LAST_ROLE,
    PVC_EPOCH,
    PVC_CREATED,
    PVC_NODE, /* chosen by the scheduler: the volume is to be created now */
    PVC_VOLUME
};
enum {
    SET_TEMPLATE = FIELD_COMMON,
    SET_AGENT_IMAGE,
    SET_POD_FORM,
    SET_REVISION,
    SET_GENERATION,
    SET_OBSERVED,
    SET_CREATED,
    SET_ENDS_PODS
};
enum {
    POD_READY = FIELD_COMMON,
    POD_NODE,
    POD_IPS,
    POD_PHASE,
    POD_REVISION,
    POD_WAITING,
    POD_WAITING_MESSAGE,
    POD_UNSCHEDULABLE,
    POD_NODE_SILENT,
    POD_DISRUPTION,
    POD_DISRUPTION_MESSAGE,
    POD_PRIORITY,
    POD_RESTARTS,
    POD_CREATED,
    POD_REPORT
};
enum { FIELDS_MAX = 24, MESSAGE_MAX = 400, DIAGNOSIS_DELAY_MS = 3000 };

struct record {
    struct record *next_by_name; /* in its bucket */
    struct record *next;         /* of its cluster */
    struct cluster *cluster;
    uint64_t version;        /* resourceVersion */
    uint64_t fields;         /* digest of the fields that belong to us, as the server keeps them */
    uint64_t applied_fields; /* the same after our last write; 0: not written by this process */
    char *text;              /* the fields, each ended by NUL */
    uint32_t text_bytes, quiet_at; /* changes from quiet_at on do not count */
    uint8_t kind, epoch;
    bool deleting;
    bool foreign_wrote_last; /* another manager wrote at or after our last write */
};

/* Why something waits, as an answer to a question of observe_diagnose(). */
struct answer {
    struct answer *next;
    uint8_t kind;
    int asked;         /* how often */
    int64_t ask_at_ms; /* boot */
    bool wanted;       /* it still waited when it was last looked at */
    char *text;        /* "" until there is one */
    char name[];
};

/* When this process saw the lease being renewed; all times are CLOCK_BOOTTIME. */
struct pulse {
    int64_t since_ms;   /* the last renewal, or when it was first looked at; 0: no lease is held */
    int64_t checked_ms; /* the lease itself was read then, without a newer renewal */
    int32_t lasts_ms;
    bool proven;   /* the renewal was seen to come; one found in a list may be of any age */
    bool reported; /* it was reported as overdue */
};

struct cluster {
    struct cluster *next; /* in its bucket */
    char *namespace, *name;
    struct record *records;
    struct answer *answers;
    struct pulse pulse; /* of its lease */
    /* The PostgresCluster itself; uid == NULL: not there, only children are (still) */
    char *uid, *object, *status; /* compact JSON: without and only status */
    uint64_t version, digest;    /* digest of all but status and the server's bookkeeping */
    int64_t max_lag_bytes;
    uint8_t epoch;
};

/* One watch and its present list: records with an older epoch at the end of the list are gone. */
struct feed {
    struct observe *observe;
    const char *namespace; /* NULL: all */
    int kind;              /* enum child_kind, or CHILD_NONE: PostgresCluster */
    bool listing, synced;
    uint8_t epoch;
    struct kube_watch *watch;
};

struct question;

struct observe {
    struct observe_options options;
    struct record **by_name;
    struct cluster **clusters;
    size_t record_buckets, cluster_buckets, record_count, cluster_count;
    struct feed *feeds;
    size_t feed_count;
    bool synced;
    struct question *question; /* the one under way */
    struct event *ask_timer, *pulse_timer;
    int64_t pulse_due_ms;     /* when the timer fires; 0: not set */
    int64_t (*boot_ms)(void); /* clock_boot_ms, except in tests */
    int patience_ms;          /* how long something may wait before a question about it */
    char *class_name;         /* the StorageClass that was last read, and the answer */
    bool class_missing, class_delays;
    int64_t class_asked_ms;
};

/* kinds.c: what is watched and what is kept of it */
struct fields {
    struct arena *scratch;
    const char *text[FIELDS_MAX];
    size_t count;
};
/* How a kind is watched, and what is kept of it besides the common fields. */
struct seen_info {
    const char *selector; /* added to the label managed-by; may be NULL */
    bool metadata_only;   /* else it comes whole */
    void (*take)(const cJSON *object, const struct cluster *cluster, struct fields *fields);
    int quiet; /* the first field whose change does not count; 0: all count */
};
extern const struct seen_info seen_infos[CHILD_WATCHED];
enum child_kind seen_kind_find(const char *kind); /* CHILD_NONE when it is not watched */

/* fields.c: who owns what, from metadata.managedFields */
void fields_owned(const cJSON *object, uint64_t *ret_digest, bool *ret_foreign_wrote_last);
uint64_t fields_digest(const void *data, size_t length, uint64_t seed);

/* cache.c */
struct cluster *cache_cluster(struct observe *observe, const char *namespace, const char *name,
                              bool make);
struct record *cache_find(const struct observe *observe, int kind, const char *namespace,
                          const char *name);
const char *record_field(const struct record *record, int field);
bool record_drifted(const struct record *record);
/* What a watch says; feed may be NULL when it is an answer to a write of ours (`own`). */
void cache_upsert(struct observe *observe, const struct feed *feed, int kind, const cJSON *object,
                  bool own);
void cache_remove(struct observe *observe, int kind, const cJSON *object);
void cache_begin(struct feed *feed);
void cache_swept(struct feed *feed);
void cache_free(struct observe *observe);
void cache_drop_record(struct observe *observe, struct record *record);
void cache_drop_cluster_if_empty(struct observe *observe, struct cluster *cluster);

/* clusters.c: the PostgresCluster objects */
void clusters_upsert(struct observe *observe, const struct feed *feed, const cJSON *object,
                     bool own);
void clusters_remove(struct observe *observe, const cJSON *object);
void clusters_swept(struct feed *feed);

/* pulse.c */
/* The lease is about to become what `fields` say; NULL: it is gone. */
void pulse_note(struct observe *observe, const struct feed *feed, const struct record *record,
                const struct fields *fields);
void pulse_fill(const struct observe *observe, const struct cluster *cluster,
                struct seen_lease *lease);
/* Reports every cluster whose lease has become overdue, and sets the timer for the next one. */
void pulse_look(struct observe *observe);
void pulse_free(struct observe *observe);

/* diagnosis.c */
const char *diagnosis_text(const struct cluster *cluster, const struct record *record);
void diagnosis_forget(struct cluster *cluster);
void diagnosis_free(struct observe *observe);
