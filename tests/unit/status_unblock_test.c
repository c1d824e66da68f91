/*
 * Whoever is named by a wait learns what to do: for every reason the wait that carries it is built,
 * and after a day at the latest it says so, with commands that can be pasted. The texts are in
 * tests/golden/unblock/expected.txt; tests/api pastes them into a real API server.
 * PGKEEL_UPDATE=1 writes that file: look at the diff before you commit it.
 */
#include "objects.h"
#include "reasons.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "credentials/credentials.h"
#include "status/status.h"

#define EXPECTED "tests/golden/unblock/expected.txt"

enum { INSTANCES = 2, DAY_MS = 86400000 };

struct scene {
    struct world world;
    struct plan plan;
    struct plan_action action;
    struct seen_object held;
    const struct seen_object *held_list[1];
    struct spec_fault fault;
    struct status_outcome outcome;
    size_t outcome_count;
    const char *reason; /* of the row */
};

/* -- the cluster's objects ----------------------------------------------------------------------
 */

static void pending(struct scene *s)
{
    s->action = (struct plan_action){.kind = "Service", .name = "a-rw"};
    s->plan.actions = &s->action;
    s->plan.count = 1;
}

static void refused(struct scene *s, const char *kind, int class, const char *text)
{
    pending(s);
    s->action.kind = kind;
    s->action.name = strcmp(kind, "PersistentVolumeClaim") == 0 ? "a-1-data" : "a-rw";
    s->outcome.action = &s->action;
    s->outcome_count = 1;
    err_set(&s->outcome.err, class, "%s", text);
    s->outcome.err.http_status = class == ERR_TRANSPORT ? 0 : 403;
}

static void unreachable(struct scene *s)
{
    refused(s, "Service", ERR_TRANSPORT, "connection refused");
}

static void invalid_object(struct scene *s)
{
    refused(s, "Service", ERR_INVALID, "spec.ports: Required value");
}

static void forbidden(struct scene *s)
{
    refused(s, "Service", ERR_FORBIDDEN, "cannot patch resource \"services\"");
}

static void contested(struct scene *s)
{
    refused(s, "StatefulSet", ERR_INVALID, "'injector' changes spec.template each time");
    s->action.name = "a-1";
    snprintf(s->outcome.err.reason, sizeof s->outcome.err.reason, REASON_OBJECT_CONTESTED);
    s->outcome.err.http_status = 0;
}

static void quota(struct scene *s)
{
    refused(s, "Service", ERR_FORBIDDEN, "exceeded quota: tight, requested: services=1");
}

static void quota_unset(struct scene *s)
{
    refused(s, "Service", ERR_FORBIDDEN, "failed quota: tight: must specify limits.cpu for: x");
}

static void no_expansion(struct scene *s)
{
    refused(s, "PersistentVolumeClaim", ERR_FORBIDDEN,
            "only dynamically provisioned pvc can be resized");
}

static void collision(struct scene *s)
{
    s->plan.collisions = arena_alloc(s->world.arena, sizeof *s->plan.collisions);
    s->plan.collisions->kind = "Service";
    s->plan.collisions->name = "a-rw";
    s->plan.collisions->owner = "somebody";
    s->plan.collision_count = 1;
}

static void held(struct scene *s)
{
    s->held = (struct seen_object){.kind = "Service", .name = "a-rw"};
    s->held_list[0] = &s->held;
    s->plan.held = s->held_list;
    s->plan.held_count = 1;
}

static void set_deleting(struct scene *s)
{
    s->world.instances[1].set_deleting = true;
    s->world.instances[1].pod = world_no_pod("a-2-0");
    s->world.instances[1].reported = false;
}

static void invalid_spec(struct scene *s)
{
    s->fault = (struct spec_fault){"spec.instances", "must be from 1 to 9"};
    s->world.snapshot.faults.items = &s->fault;
    s->world.snapshot.faults.count = 1;
}

static void deleting(struct scene *s)
{
    s->world.snapshot.spec.deleting = true;
}

static void namespace_terminating(struct scene *s)
{
    s->world.snapshot.namespace_terminating = true;
}

/* -- credentials --------------------------------------------------------------------------------
 */

static void same_bytes(void *arg, unsigned char *buffer, size_t n)
{
    (void)arg;
    memset(buffer, 7, n);
}

static cJSON *secret(struct scene *s, const char *key, const char *value)
{
    cJSON *object = json_object(s->world.arena);
    json_set_str(json_add_object(object, "data"), key,
                 hash_base64(s->world.arena, value, strlen(value)));
    json_set_str(json_add_object(object, "metadata"), "resourceVersion", "7");
    return object;
}

static cJSON *ours(cJSON *object)
{
    cJSON *labels = json_add_object(json_add_object(object, "metadata"), "labels");
    json_set_str(labels, LABEL_MANAGED_BY, LABEL_MANAGED_BY_VALUE);
    json_set_str(labels, LABEL_CLUSTER, "a");
    return object;
}

static void judge(struct scene *s, struct credentials_input input)
{
    struct error err = {0};
    struct credentials_result result;
    if (input.app != NULL || strcmp(s->reason, REASON_SECRET_MISSING) == 0)
        s->world.snapshot.spec.app_secret = "mine";
    assert_int_equal(credentials_check(s->world.arena, &s->world.snapshot.spec, &input,
                                       s->world.now_ms, same_bytes, NULL, &result, &err),
                     0);
    s->world.snapshot.credentials = result.seen;
}

static void secret_missing(struct scene *s)
{
    judge(s, (struct credentials_input){0});
}

static void password_missing(struct scene *s)
{
    judge(s, (struct credentials_input){.app = secret(s, "x", "y")});
}

static void password_invalid(struct scene *s)
{
    judge(s, (struct credentials_input){.app = secret(s, "password", "a\nb")});
}

static void username_wrong(struct scene *s)
{
    cJSON *mine = secret(s, "password", "fine");
    json_set_str(json_add_object(mine, "data"), "username", hash_base64(s->world.arena, "x", 1));
    judge(s, (struct credentials_input){.app = mine});
}

static void ca_damaged(struct scene *s)
{
    cJSON *ca = ours(secret(s, "ca.crt", "garbage"));
    json_set_str(json_add_object(ca, "data"), "ca.key", hash_base64(s->world.arena, "x", 1));
    judge(s, (struct credentials_input){.ca = ca});
}

static void ca_incomplete(struct scene *s)
{
    judge(s, (struct credentials_input){.ca = ours(secret(s, "ca.crt", "x"))});
}

static void server_incomplete(struct scene *s)
{
    judge(s, (struct credentials_input){.server = secret(s, "tls.crt", "x")});
}

static void server_expired(struct scene *s)
{
    s->world.snapshot.credentials.certificate_expires_ms = 1;
}

static void credentials_incomplete(struct scene *s)
{
    s->world.snapshot.credentials = (struct seen_credentials){.reason = "", .message = ""};
}

static void credentials_pending(struct scene *s)
{
    s->world.snapshot.credentials.verifiers_hash = "other";
}

/* -- volumes ------------------------------------------------------------------------------------
 */

static struct seen_pvc *replica_data(struct scene *s)
{
    return &s->world.instances[1].data;
}

static void volume_missing(struct scene *s)
{
    replica_data(s)->there = false;
}

static void volume_pending(struct scene *s)
{
    replica_data(s)->phase = "Pending";
}

static void volume_no_default(struct scene *s)
{
    replica_data(s)->phase = "Pending";
    replica_data(s)->pending_message = "no storage class is set";
}

static void volume_pending_said(struct scene *s)
{
    replica_data(s)->phase = "Pending";
    replica_data(s)->pending_message = "waiting for a volume to be created";
}

static void class_missing(struct scene *s)
{
    replica_data(s)->phase = "Pending";
    replica_data(s)->pending_message = "storageclass.storage.k8s.io \"fast\" not found";
}

static void volume_lost(struct scene *s)
{
    replica_data(s)->phase = "Lost";
}

static void primary_volume_lost(struct scene *s)
{
    s->world.instances[0].data.phase = "Lost";
}

static void volume_deleting(struct scene *s)
{
    replica_data(s)->deleting = true;
}

static void primary_volume_deleting(struct scene *s)
{
    s->world.instances[0].data.deleting = true;
}

static void volume_resizing(struct scene *s)
{
    s->world.snapshot.spec.storage.size_bytes = 2LL << 30;
    s->world.snapshot.spec.storage.size = "2Gi";
}

static void volume_room(struct scene *s, const char *room)
{
    s->world.instances[1].report.data_volume =
        (struct volume_report){room, 1LL << 30, 1000LL << 20, 1LL << 20, ""};
}

static void volume_full(struct scene *s)
{
    volume_room(s, REPORT_ROOM_FULL);
}

static void volume_filling(struct scene *s)
{
    volume_room(s, REPORT_ROOM_FILLING);
}

static void shrink(struct scene *s)
{
    s->world.snapshot.spec.storage.size_bytes = 1LL << 29;
    s->world.snapshot.spec.storage.size = "512Mi";
}

static void other_class(struct scene *s)
{
    s->world.snapshot.spec.storage.storage_class = "slow";
}

/* -- who is primary -----------------------------------------------------------------------------
 */

static void nobody_runs(struct scene *s, bool held)
{
    for (int i = 0; i < INSTANCES; i++) {
        struct seen_instance *seen = &s->world.instances[i];
        seen->pod.ready = seen->reported = seen->pod.there = false;
        seen->report = (struct instance_report){0};
    }
    s->world.snapshot.lease.holder = "";
    s->world.snapshot.lease.granted = s->world.snapshot.lease.reported = false;
    s->world.snapshot.lease.transitions = held ? 1 : 0;
}

static void lease_not_held(struct scene *s)
{
    nobody_runs(s, false);
}

static void lease_released(struct scene *s)
{
    nobody_runs(s, true);
}

static void holder_gone(struct scene *s)
{
    nobody_runs(s, true);
    s->world.snapshot.lease.holder = "a-7/uid";
}

static void blocked_by_replicas(struct scene *s)
{
    nobody_runs(s, false);
    s->world.instances[0].data.last_role = "replica";
}

static void blocked_by_two(struct scene *s)
{
    nobody_runs(s, false);
    s->world.instances[1].data.last_role = "primary";
}

static void blocked_by_ordinal(struct scene *s)
{
    lease_not_held(s);
    s->world.instances[0].data = world_no_pvc("a-1-data");
    s->world.instances[1].data.last_role = "primary";
    s->world.snapshot.spec.instances = 1;
}

static void volume_unknown(struct scene *s)
{
    nobody_runs(s, false);
    for (int i = 0; i < INSTANCES; i++) {
        struct seen_pvc *data = &s->world.instances[i].data;
        data->system_identifier = data->last_role = "";
        data->epoch = 0;
    }
}

static void volume_unknown_above(struct scene *s)
{
    volume_unknown(s);
    s->world.instances[0].data = world_no_pvc("a-1-data");
    s->world.snapshot.spec.instances = 1;
}

static void lease_overdue(struct scene *s)
{
    s->world.snapshot.lease.pulse = PULSE_OVERDUE;
}

static void node_unreachable(struct scene *s)
{
    s->world.instances[1].pod.node_silent = true;
}

static void lease_overdue_far_away(struct scene *s)
{
    lease_overdue(s);
    s->world.instances[0].pod.node_silent = true;
}

static void locked_out(struct scene *s)
{
    lease_overdue(s);
    s->world.snapshot.account_created_ms = s->world.instances[0].pod.created_ms + 1000;
}

static void lease_unseen(struct scene *s)
{
    s->world.snapshot.lease.pulse = PULSE_UNSEEN;
}

static void endpoint_pending(struct scene *s)
{
    s->world.snapshot.rw_address = "10.0.0.9";
}

static void endpoint_foreign(struct scene *s)
{
    world_object(&s->world, "Service", "a-rw")->foreign = "spec.selector";
}

static void bootstrapping(struct scene *s)
{
    s->world.instances[0].report.bootstrapped = false;
}

static void unexpected_primary(struct scene *s)
{
    s->world.instances[1].report.role = "primary";
}

static void primary_above(struct scene *s)
{
    s->world.snapshot.lease.holder = "a-2/uid-pod-2";
    s->world.instances[1].report.role = "primary";
    s->world.snapshot.spec.instances = 1;
}

/* -- pods ---------------------------------------------------------------------------------------
 */

static struct seen_pod *replica_pod(struct scene *s)
{
    struct seen_instance *seen = &s->world.instances[1];
    seen->pod.ready = seen->reported = false;
    seen->pod.phase = "Pending";
    seen->report = (struct instance_report){0};
    return &seen->pod;
}

static void instance_missing(struct scene *s)
{
    set_deleting(s);
    s->world.instances[1].set_deleting = s->world.instances[1].set_there = false;
}

static void pod_missing(struct scene *s)
{
    set_deleting(s);
    s->world.instances[1].set_deleting = false;
}

static void pod_refused(struct scene *s)
{
    pod_missing(s);
    s->world.instances[1].set_message = "pods \"a-2-0\" is forbidden: exceeded quota: tight";
}

static void pod_without_limits(struct scene *s)
{
    pod_missing(s);
    s->world.instances[1].set_message =
        "pods \"a-2-0\" is forbidden: failed quota: tight: must specify limits.cpu for: "
        "postgres; requests.memory for: postgres";
}

static void pod_forbidden(struct scene *s)
{
    pod_missing(s);
    s->world.instances[1].set_message = "admission webhook \"x\" denied the request: no";
}

static void pod_terminating(struct scene *s)
{
    replica_pod(s)->deleting = true;
}

static void pod_failed(struct scene *s)
{
    replica_pod(s)->phase = "Failed";
}

static void pod_starting(struct scene *s)
{
    (void)replica_pod(s);
}

static void agent_starting(struct scene *s)
{
    replica_pod(s)->phase = "Running";
}

static void unschedulable(struct scene *s)
{
    replica_pod(s)->unschedulable_message = "0/2 nodes are available";
}

static void pinned_to(struct scene *s, int ordinal)
{
    struct seen_instance *seen = &s->world.instances[ordinal - 1];
    seen->pod.ready = seen->reported = false;
    seen->pod.phase = "Pending";
    seen->report = (struct instance_report){0};
    seen->pod.unschedulable_message =
        "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity.";
    seen->data.node = "node-1";
}

static void pinned(struct scene *s)
{
    pinned_to(s, 2);
}

static void node_gone(struct scene *s)
{
    pinned_to(s, 2);
    s->world.instances[1].data.node_gone = true;
}

static void primary_node_gone(struct scene *s)
{
    pinned_to(s, 1);
    s->world.instances[0].data.node_gone = true;
}

static void kubelet_says(struct scene *s, const char *word)
{
    replica_pod(s)->waiting_reason = word;
}

static void image_pull(struct scene *s)
{
    kubelet_says(s, "ErrImagePull");
}

static void image_name(struct scene *s)
{
    kubelet_says(s, "InvalidImageName");
}

static void container_config(struct scene *s)
{
    kubelet_says(s, "CreateContainerConfigError");
}

static void container_failed(struct scene *s)
{
    kubelet_says(s, "RunContainerError");
}

static void crash_loop(struct scene *s)
{
    kubelet_says(s, "CrashLoopBackOff");
}

/* -- agents -------------------------------------------------------------------------------------
 */

static void agent_says(struct scene *s, int ordinal, const char *phase, const char *reason)
{
    struct seen_instance *seen = &s->world.instances[ordinal - 1];
    seen->pod.ready = false;
    seen->report.phase = phase;
    seen->report.reason = reason;
    seen->report.message = "the agent's words";
}

static void replica_says(struct scene *s)
{
    agent_says(s, 2, "Failed", s->reason);
}

static void copy_says(struct scene *s)
{
    replica_says(s);
    s->world.instances[1].report.epoch = 0; /* its volume never was a primary's */
}

static void primary_says(struct scene *s)
{
    agent_says(s, 1, "Failed", s->reason);
}

static void replica_waits(struct scene *s)
{
    agent_says(s, 2, "Waiting", s->reason);
}

static void replica_in_phase(struct scene *s)
{
    agent_says(s, 2, s->reason, "");
}

static void replica_only_waits(struct scene *s)
{
    agent_says(s, 2, "Waiting", "");
}

static void replica_only_fails(struct scene *s)
{
    agent_says(s, 2, "Failed", "");
}

static void role_changing(struct scene *s)
{
    s->world.instances[1].report.role = "";
}

static void not_accepting(struct scene *s)
{
    s->world.instances[1].pod.ready = false;
}

static void not_streaming(struct scene *s)
{
    s->world.replicas[0].state = "catchup";
}

static void lagging(struct scene *s)
{
    s->world.replicas[0].lag_bytes = 1LL << 40;
}

static void slot_lost(struct scene *s)
{
    s->world.replicas[0].slot_wal_status = "lost";
    s->world.replicas[0].state = "";
}

static void slot_lost_for_good(struct scene *s)
{
    slot_lost(s);
    s->world.instances[1].report.epoch = 0;
}

/* -- changes ------------------------------------------------------------------------------------
 */

static void configuration_pending(struct scene *s)
{
    s->world.config_hash = "config-2";
}

static void rollout_pending(struct scene *s)
{
    world_new_template(&s->world);
}

static void restart_pending(struct scene *s)
{
    s->world.instances[1].report.pending_restart = true;
    s->world.instances[1].report.pending_parameters = "max_connections";
}

static void restart_ineffective(struct scene *s)
{
    restart_pending(s);
    s->world.instances[1].report.restart_token = s->world.config_hash;
    s->world.instances[1].restart_token = s->world.config_hash;
}

static void scaling_down(struct scene *s)
{
    s->world.snapshot.spec.instances = 1;
}

/* -- all of them --------------------------------------------------------------------------------
 */

static const struct row {
    const char *reason;
    void (*bend)(struct scene *s);
} rows[] = {
    {REASON_INVALID_SPEC, invalid_spec},
    {REASON_DELETING, deleting},
    {REASON_NAMESPACE_TERMINATING, namespace_terminating},
    {REASON_APPLY_PENDING, pending},
    {REASON_APPLY_FAILED, unreachable},
    {REASON_APPLY_REFUSED, invalid_object},
    {REASON_FORBIDDEN, forbidden},
    {REASON_OBJECT_CONTESTED, contested},
    {REASON_QUOTA_EXCEEDED, quota},
    {REASON_QUOTA_EXCEEDED, quota_unset},
    {REASON_NAME_COLLISION, collision},
    {REASON_OBJECT_DELETING, held},
    {REASON_OBJECT_DELETING, set_deleting},
    {REASON_CREDENTIALS_INCOMPLETE, credentials_incomplete},
    {REASON_CREDENTIALS_PENDING, credentials_pending},
    {REASON_CERTIFICATE_EXPIRED, server_expired},
    {REASON_CERTIFICATE_INVALID, ca_damaged},
    {REASON_SECRET_MISSING, secret_missing},
    {REASON_SECRET_KEY_MISSING, password_missing},
    {REASON_SECRET_KEY_MISSING, ca_incomplete},
    {REASON_SECRET_KEY_MISSING, server_incomplete},
    {REASON_SECRET_USERNAME_MISMATCH, username_wrong},
    {REASON_PASSWORD_INVALID, password_invalid},
    {REASON_PASSWORD_INVALID, replica_says},
    {REASON_VOLUME_MISSING, volume_missing},
    {REASON_VOLUME_PENDING, volume_pending},
    {REASON_VOLUME_PENDING, volume_no_default},
    {REASON_VOLUME_PENDING, volume_pending_said},
    {REASON_STORAGE_CLASS_MISSING, class_missing},
    {REASON_VOLUME_LOST, volume_lost},
    {REASON_VOLUME_LOST, primary_volume_lost},
    {REASON_VOLUME_DELETING, volume_deleting},
    {REASON_VOLUME_DELETING, primary_volume_deleting},
    {REASON_VOLUME_RESIZING, volume_resizing},
    {REASON_VOLUME_FULL, volume_full},
    {REASON_VOLUME_FILLING, volume_filling},
    {REASON_EXPANSION_REFUSED, no_expansion},
    {REASON_SHRINK_REFUSED, shrink},
    {REASON_STORAGE_CLASS_IMMUTABLE, other_class},
    {REASON_BOOTSTRAP_BLOCKED, blocked_by_replicas},
    {REASON_BOOTSTRAP_BLOCKED, blocked_by_two},
    {REASON_BOOTSTRAP_BLOCKED, blocked_by_ordinal},
    {REASON_VOLUME_UNKNOWN, volume_unknown},
    {REASON_VOLUME_UNKNOWN, volume_unknown_above},
    {REASON_DATA_VOLUME_EMPTY, primary_says},
    {REASON_DATA_VOLUME_EMPTY, replica_says},
    {REASON_LEASE_NOT_HELD, lease_not_held},
    {REASON_LEASE_RELEASED, lease_released},
    {REASON_LEASE_HOLDER_GONE, holder_gone},
    {REASON_LEASE_OVERDUE, lease_overdue},
    {REASON_API_UNREACHABLE, lease_overdue},
    {REASON_API_UNREACHABLE, locked_out},
    {REASON_NODE_UNREACHABLE, lease_overdue_far_away},
    {REASON_LEASE_UNSEEN, lease_unseen},
    {REASON_NODE_UNREACHABLE, node_unreachable},
    {REASON_ENDPOINT_PENDING, endpoint_pending},
    {REASON_ENDPOINT_FOREIGN, endpoint_foreign},
    {REASON_BOOTSTRAPPING, bootstrapping},
    {REASON_UNEXPECTED_PRIMARY, unexpected_primary},
    {REASON_PRIMARY_ABOVE_INSTANCES, primary_above},
    {REASON_INSTANCE_MISSING, instance_missing},
    {REASON_POD_MISSING, pod_missing},
    {REASON_POD_CREATE_FAILED, pod_refused},
    {REASON_POD_CREATE_FAILED, pod_without_limits},
    {REASON_POD_CREATE_FAILED, pod_forbidden},
    {REASON_POD_TERMINATING, pod_terminating},
    {REASON_POD_FAILED, pod_failed},
    {REASON_POD_STARTING, pod_starting},
    {REASON_UNSCHEDULABLE, unschedulable},
    {REASON_UNSCHEDULABLE, pinned},
    {REASON_VOLUME_NODE_GONE, node_gone},
    {REASON_VOLUME_NODE_GONE, primary_node_gone},
    {REASON_IMAGE_PULL_FAILED, image_pull},
    {REASON_INVALID_IMAGE_NAME, image_name},
    {REASON_CONTAINER_CONFIG_INVALID, container_config},
    {REASON_CONTAINER_FAILED, container_failed},
    {REASON_CRASH_LOOPING, crash_loop},
    {REASON_AGENT_STARTING, agent_starting},
    {REASON_INSTANCE_WAITING, replica_only_waits},
    {REASON_INSTANCE_FAILED, replica_only_fails},
    {REASON_STARTING, replica_in_phase},
    {REASON_INITIALIZING, replica_in_phase},
    {REASON_CLONING, replica_in_phase},
    {REASON_RECOVERING, replica_in_phase},
    {REASON_RESTARTING, replica_in_phase},
    {REASON_STOPPING, replica_in_phase},
    {REASON_ROLE_CHANGING, role_changing},
    {REASON_NOT_ACCEPTING, not_accepting},
    {REASON_NOT_STREAMING, not_streaming},
    {REASON_SLOT_LOST, slot_lost},
    {REASON_SLOT_LOST, slot_lost_for_good},
    {REASON_REPLICA_LAGGING, lagging},
    {REASON_VOLUME_IN_USE, replica_waits},
    {REASON_VOLUME_FOREIGN, replica_says},
    {REASON_VOLUME_FOREIGN, primary_says},
    {REASON_WAL_VOLUME_LOST, replica_says},
    {REASON_WAL_VOLUME_LOST, primary_says},
    {REASON_VOLUME_UNREADABLE, replica_says},
    {REASON_DATA_INVALID, replica_says},
    {REASON_DATA_INVALID, primary_says},
    {REASON_SYSTEM_IDENTIFIER_MISMATCH, replica_says},
    {REASON_SYSTEM_IDENTIFIER_MISMATCH, primary_says},
    {REASON_WAL_MISSING, primary_says},
    {REASON_WAL_GONE, replica_says},
    {REASON_WAL_GONE, copy_says},
    {REASON_NO_POSTGRES, replica_says},
    {REASON_VERSION_MISMATCH, replica_says},
    {REASON_CONFIG_INVALID, replica_says},
    {REASON_API_UNREACHABLE, replica_waits},
    {REASON_WAITING_FOR_GRANT, replica_waits},
    {REASON_WAITING_FOR_LEASE, replica_waits},
    {REASON_WAITING_FOR_PRIMARY, replica_waits},
    {REASON_INITDB_FAILED, replica_says},
    {REASON_CLONE_FAILED, replica_says},
    {REASON_ROLES_FAILED, replica_says},
    {REASON_NOT_HOLDER, replica_waits},
    {REASON_VOLUME_OUTDATED, primary_says},
    {REASON_PREPARED_TRANSACTIONS, replica_says},
    {REASON_SUPERSEDED, replica_waits},
    {REASON_CONFIGURATION_PENDING, configuration_pending},
    {REASON_ROLLOUT_PENDING, rollout_pending},
    {REASON_RESTART_PENDING, restart_pending},
    {REASON_RESTART_INEFFECTIVE, restart_ineffective},
    {REASON_SCALING_DOWN, scaling_down},
};

/* Reasons of no wait that lasts: of pods that are PodTerminating after their grace, of conditions
 * alone, whose message is all there is, and of Events. */
static const char *const no_waits[] = {
    REASON_POD_PREEMPTED,
    REASON_VOLUME_USE_UNKNOWN,
    REASON_POSTGRES_CRASHED,
    REASON_POD_EVICTED,
    REASON_HEALTHY,
    REASON_SERVING,
    REASON_STREAMING,
    REASON_NO_REPLICAS,
    REASON_IN_SYNC,
    REASON_COMPLETE,
    REASON_PROVISIONED,
    REASON_EVICTION_ALLOWED,
    REASON_CERTIFICATES_VALID,
    REASON_SINGLE_INSTANCE,
    REASON_INSTANCE_UNAVAILABLE,
    REASON_PRIMARY_NOT_READY,
    REASON_CA_REPLACING,
    REASON_CA_EXPIRING,
    REASON_CERTIFICATE_EXPIRING,
    REASON_REPLACE_CA_REFUSED,
    REASON_PHASE_CHANGED,
    REASON_BOOTSTRAP_GRANTED,
    REASON_INSTANCE_CREATED,
    REASON_ROLLING_POD,
    REASON_RESTART_ORDERED,
    REASON_VOLUME_GROWING,
    REASON_OBJECT_REMOVED,
    REASON_DRIFT_REPAIRED,
    REASON_CA_REPLACED,
};

static struct status_result built(struct scene *s)
{
    struct world *world = &s->world;
    return status_build(world->arena, world_model(world), &s->plan,
                        s->outcome_count ? &s->outcome : NULL, s->outcome_count, world->now_ms);
}

/* Commands name what they are about: where they are pasted nobody fills anything in. */
static void assert_can_be_pasted(const char *reason, const char *text)
{
    static const char *const cluster_wide[] = {
        "kubectl taint node ",         "kubectl describe node ", "kubectl get node ",
        "kubectl get --raw ",          "kubectl get namespace ", "kubectl get storageclass",
        "kubectl patch storageclass ",
    };
    for (const char *at = text; (at = strstr(at, "kubectl ")) != NULL; at++) {
        bool begins = at == text || strncmp(at - 2, "; ", 2) == 0 ||
                      strncmp(at - 2, ": ", 2) == 0 || strncmp(at - 3, "&& ", 3) == 0;
        if (!begins)
            fail_msg("%s: a command begins the text, or comes after '; ', ': ' or '&& ': %s",
                     reason, text);
        bool named = strncmp(at, "kubectl -n n ", 13) == 0;
        for (size_t i = 0; i < sizeof cluster_wide / sizeof cluster_wide[0]; i++)
            named = named || strncmp(at, cluster_wide[i], strlen(cluster_wide[i])) == 0;
        if (!named)
            fail_msg("%s: a command without its namespace: %s", reason, at);
    }
    static const char *const blanks[] = {"...", "<", "NAME", "KIND", "{pod}", "{ns}", "{instance}"};
    for (size_t i = 0; i < sizeof blanks / sizeof blanks[0]; i++)
        if (strstr(text, blanks[i]) != NULL)
            fail_msg("%s: '%s' is left to fill in: %s", reason, blanks[i], text);
}

/* What the waits with the row's reason say when they have lasted for a day, a line each; NULL
 * without one. */
static char *remedies(struct arena *arena, const struct row *row)
{
    struct scene *s = arena_alloc(arena, sizeof *s);
    world_healthy(&s->world, arena, INSTANCES);
    s->world.snapshot.spec.ca_overlap = "7d";
    s->world.snapshot.spec.ca_overlap_ms = 7 * (int64_t)DAY_MS;
    s->reason = row->reason;
    row->bend(s);
    s->world.snapshot.status = built(s).status;
    s->world.now_ms += DAY_MS;
    const cJSON *status = built(s).status, *node;
    char *text = NULL;
    for (int list = 0; list < 2; list++)
        cJSON_ArrayForEach (node, json_get(status, list == 0 ? "waitingFor" : "warnings")) {
            if (strcmp(json_str(node, "reason", ""), row->reason) != 0)
                continue;
            const char *unblock = json_str(node, "unblock", "");
            if (*unblock == '\0')
                fail_msg("%s, '%s', says nothing of what to do", row->reason,
                         json_str(node, "what", ""));
            assert_can_be_pasted(row->reason, unblock);
            text = arena_printf(arena, "%s%s\t%s\n", text ? text : "", row->reason, unblock);
        }
    return text;
}

static void every_reason_has_a_row(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct names code = reasons_defined(arena);
    for (size_t i = 0; i < code.count; i++) {
        size_t found = 0;
        for (size_t j = 0; j < sizeof rows / sizeof rows[0]; j++)
            found += strcmp(rows[j].reason, code.items[i]) == 0;
        for (size_t j = 0; j < sizeof no_waits / sizeof no_waits[0]; j++)
            found += strcmp(no_waits[j], code.items[i]) == 0;
        if (found == 0)
            fail_msg("reason %s: make the wait that carries it here, so that its unblock is looked "
                     "at",
                     code.items[i]);
    }
}

static void every_wait_says_what_to_do_after_a_day_at_the_latest(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    char *all = arena_strdup(arena, "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = remedies(arena, &rows[i]);
        if (text == NULL)
            fail_msg("row %zu makes no wait with reason %s", i, rows[i].reason);
        if (strstr(all, text) == NULL)
            all = arena_printf(arena, "%s%s", all, text);
    }
    if (getenv("PGKEEL_UPDATE") != NULL) {
        FILE *file = fopen(EXPECTED, "w");
        assert_non_null(file);
        assert_int_equal(fputs(all, file) >= 0 && fclose(file) == 0, 1);
    }
    assert_string_equal(all, reasons_read_text(arena, EXPECTED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_row),
        cmocka_unit_test(every_wait_says_what_to_do_after_a_day_at_the_latest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
