/*
 * One cluster at one moment: `observe` builds it from the watch caches, and all pure rooms work on
 * it. Absent objects have `there == false`; strings are never NULL ("" when unknown) unless said
 * otherwise.
 */
#pragma once

#include "api/cluster.h"
#include "api/reports.h"

/* Any owned (or colliding) object, for plan to compare intents with. */
struct seen_object {
    const char *api_version, *kind, *name;
    const char *uid, *resource_version;
    const char *owner_uid;       /* controller owner reference; "" when none */
    const char *cluster;         /* LABEL_CLUSTER */
    const char *applied;         /* ANN_APPLIED */
    const char *foreign_manager; /* the other manager that wrote last, see api/foreign.h; "" */
    const char *foreign;         /* fields that others added, see api/foreign.h; "" */
    bool drifted;                /* others changed our fields since our last apply */
    bool deleting;
};

struct seen_pvc {
    bool there, deleting;
    const char *name, *uid;
    const char *phase; /* Pending Bound Lost */
    const char *storage_class;
    int64_t requested_bytes, capacity_bytes;
    const char *resize_message;  /* of a Resizing / FileSystemResizePending / error condition */
    const char *pending_message; /* last warning event or "" */
    const char *system_identifier, *last_role;
    int64_t epoch;
    const char *owner_cluster; /* LABEL_CLUSTER */
    int64_t created_ms;        /* wall; 0 when it is not known */
    int64_t pending_since_ms;  /* the same while Pending */
    const char *volume;        /* name of its PersistentVolume */
    const char *node; /* the node for which the volume was created; "" unless the scheduler chose it
                         for the pod */
    bool node_gone;   /* the volume exists only on that node, which no longer exists: checked only
                         while the pod finds no node */
};

struct seen_pod {
    bool there, ready, deleting;
    const char *ips;                                  /* "10.0.0.1,fd00::1": one of each family */
    const char *name, *uid, *node, *phase, *revision; /* controller-revision-hash */
    const char *waiting_reason,
        *waiting_message;              /* ImagePullBackOff, CreateContainerConfigError… */
    const char *unschedulable_message; /* PodScheduled=False */
    /* The node controller marked it as not ready, because its node is silent; the kubelet's last
     * report was that its containers are ready. */
    bool node_silent;
    /* Why it is removed (condition DisruptionTarget): PreemptionByScheduler, EvictionByEvictionAPI,
     * DeletionByTaintManager, TerminationByKubelet, ...; "" */
    const char *disruption, *disruption_message;
    const char *priority; /* a number, as the API server resolved it; "" */
    int restarts;
    int64_t created_ms;
};

struct seen_instance {
    const char *name;
    int ordinal;
    /* StatefulSet */
    bool set_there, set_deleting;
    bool set_ends_pods; /* somebody changed it so that its controller ends pods by itself */
    const char *set_uid, *template_hash, *agent_image, *update_revision;
    int pod_form;              /* ANN_POD_FORM */
    const char *set_message;   /* its last FailedCreate event while the pod is absent; "" */
    const char *restart_token; /* its member's token in the present cluster.json; "" */
    int64_t set_generation, set_observed_generation;
    struct seen_pod pod;
    bool reported;
    struct instance_report report; /* of the current pod; zero when !reported */
    struct seen_pvc data, wal;
};

/* Does its holder still renew the lease? Measured by the operator's own clock, from the renewals
 * that it saw: times of other clocks are never compared. */
enum lease_pulse {
    PULSE_STEADY,  /* a renewal was seen, no longer ago than the lease lasts */
    PULSE_UNSEEN,  /* not watched for long enough to tell */
    PULSE_OVERDUE, /* none was seen for longer than the lease lasts */
};

struct seen_lease {
    bool there;
    enum lease_pulse pulse;
    int64_t silent_ms; /* since the last renewal was seen, or since the first look */
    const char *uid, *resource_version;
    const char *holder;  /* "a-1/<pod uid>", "" when never held or released */
    int64_t transitions; /* the epoch */
    bool granted;
    struct bootstrap_grant grant;
    bool reported;
    struct primary_report report;
};

/* What `credentials` found in the Secrets, read by name. No password is in here. */
struct seen_credentials {
    bool complete;              /* all Secrets exist and are complete */
    const char *reason;         /* CamelCase when not */
    const char *message;        /* names the Secret, the key and the remedy */
    const char *unblock;        /* what a person can do: commands where there are any */
    const char *verifiers_json; /* roles.json; "" until complete */
    const char *verifiers_hash;
    const char *ca_pem;
    const char *ca_fingerprint; /* SHA-256 of the current CA's certificate; "" when none */
    int64_t certificate_expires_ms, ca_expires_ms; /* 0 when unknown */
    /* What people should know of the certificates while all of them work; "" for nothing. */
    const char *notice_reason, *notice;
    const char *observed; /* the cluster's annotation ANN_REREAD when the Secrets were read */
};

/* An object that leads a Service elsewhere, see control/routes.c. */
struct seen_stray {
    const char *api_version, *kind, *name, *uid;
    const char *service; /* the suffix of its name: "rw" */
    bool deleting;       /* a finalizer holds it, so that it still has effect */
};

struct snapshot {
    struct cluster_spec spec;
    struct spec_faults faults; /* not empty: the spec is invalid, nothing is changed */
    bool namespace_terminating;
    struct seen_object *objects; /* all kinds but Pods, this cluster's by label or by name */
    size_t object_count;
    struct seen_instance *instances; /* sorted by ordinal: those asked for and those still there */
    size_t instance_count;
    struct seen_lease lease;
    struct seen_credentials credentials;
    struct seen_stray *strays; /* of the Services, when they were last looked for */
    size_t stray_count;
    bool strays_more;           /* than one pass has room for */
    const char *rw_address;     /* what the -rw EndpointSlice points at, "" when empty */
    int64_t account_created_ms; /* the agents' ServiceAccount; 0 when it is not there */
    const cJSON *status;        /* the current status; NULL when none */
    /* What the objects depend on besides the cluster */
    bool ipv6;               /* Services have IPv6 addresses unless they ask for others */
    bool image_volumes;      /* the server offers image volumes */
    const char *agent_image; /* image of the operator itself */
};

/* The object of that kind and name; NULL when none was seen. */
const struct seen_object *snapshot_object(const struct snapshot *snapshot, const char *kind,
                                          const char *name);
