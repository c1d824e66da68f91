#include "objects.h"

#include "status/status.h"

#define STATUS_WORLD(n)                                                                            \
    WORLD(n);                                                                                      \
    struct objects objects;                                                                        \
    objects_init(&objects, arena)

static struct status_result build(struct world *world, const struct plan *plan,
                                  const struct status_outcome *outcomes, size_t count)
{
    static const struct plan nothing;
    return status_build(world->arena, world_model(world), plan ? plan : &nothing, outcomes, count,
                        world->now_ms);
}

static const cJSON *condition(const cJSON *status, const char *type)
{
    const cJSON *node;
    cJSON_ArrayForEach (node, json_get(status, "conditions")) {
        if (strcmp(json_str(node, "type", ""), type) == 0)
            return node;
    }
    return NULL;
}

static void assert_condition(const cJSON *status, const char *type, const char *yes,
                             const char *reason)
{
    const cJSON *node = condition(status, type);
    if (node == NULL)
        fail_msg("there is no condition %s", type);
    assert_string_equal(json_str(node, "status", ""), yes);
    assert_string_equal(json_str(node, "reason", ""), reason);
}

static void defaults_are_shown_where_the_spec_says_nothing(void **state)
{
    STATUS_WORLD(2);
    world.snapshot.spec.image_pull_policy = "IfNotPresent";
    const cJSON *status = build(&world, NULL, NULL, 0).status;
    assert_string_equal(json_str(status, "effective.postgres.image", ""), "postgres:17");
    assert_true(json_bool(status, "effective.storage.retain", false));
    assert_string_equal(json_str(status, "effective.replication.maxLag", ""), "64Mi");
    assert_int_equal(json_int(status, "effective.terminationGracePeriodSeconds", 0), 120);
    assert_string_equal(json_str(status, "effective.scheduling.antiAffinity", ""), "preferred");
    assert_string_equal(json_str(status, "effective.bootstrap.initdb.owner", ""), "app");
    assert_string_equal(json_str(status, "effective.secrets.app", ""), "a-app");
    struct spec_fault fault = {"spec.instances", "no"};
    world.snapshot.faults.items = &fault;
    world.snapshot.faults.count = 1;
    assert_null(json_get(build(&world, NULL, NULL, 0).status, "effective"));
}

static void a_healthy_cluster_is_ready_and_neither_reconciling_nor_stalled(void **state)
{
    STATUS_WORLD(2);
    struct status_result result = build(&world, NULL, NULL, 0);
    assert_true(result.ready);
    assert_true(result.changed);
    assert_condition(result.status, "Ready", "True", REASON_HEALTHY);
    assert_condition(result.status, "PrimaryReady", "True", REASON_SERVING);
    assert_condition(result.status, "ReplicasStreaming", "True", REASON_STREAMING);
    assert_condition(result.status, "CredentialsInSync", "True", REASON_IN_SYNC);
    assert_condition(result.status, "BootstrapComplete", "True", REASON_COMPLETE);
    assert_condition(result.status, "StorageHealthy", "True", REASON_PROVISIONED);
    assert_condition(result.status, "DrainAllowed", "True", REASON_EVICTION_ALLOWED);
    assert_null(condition(result.status, "Reconciling"));
    assert_null(condition(result.status, "Stalled"));
    assert_string_equal(json_str(result.status, "phase", ""), "Healthy");
    assert_string_equal(json_str(result.status, "primary", ""), "a-1");
    assert_string_equal(json_str(result.status, "version", ""), "17.6");
    assert_string_equal(json_str(result.status, "selector", ""), "pgkeel.dev/cluster=a");
    assert_string_equal(json_str(result.status, "instancesReady", ""), "2/2");
    assert_int_equal(json_int(result.status, "readyInstances", 0), 2);
    assert_string_equal(json_str(result.status, "endpoints.readWrite", ""), "a-rw.n.svc:5432");
    assert_string_equal(json_str(result.status, "instances[1].role", ""), "replica");
    assert_null(json_get(result.status, "waitingFor"));
}

static void nothing_is_written_at_rest(void **state)
{
    STATUS_WORLD(2);
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    world.now_ms += 3600 * 1000;
    struct status_result result = build(&world, NULL, NULL, 0);
    assert_false(result.changed);
    assert_int_equal(result.event_count, 0);
    assert_true(json_equal(result.status, world.snapshot.status));
}

static void times_alone_are_no_change(void **state)
{
    STATUS_WORLD(2);
    world.instances[1].pod.deleting = true;
    cJSON *old = build(&world, NULL, NULL, 0).status;
    json_set_str(json_get(old, "waitingFor[0]"), "since", "2026-01-01T00:00:00Z");
    json_set_str(json_get(old, "waitingFor[0]"), "next", "2126-01-01T00:00:00Z");
    world.snapshot.status = old;
    world.now_ms = clock_parse_rfc3339("2026-01-01T00:00:01Z");
    assert_false(build(&world, NULL, NULL, 0).changed);
}

static void transition_times_move_only_when_the_status_flips(void **state)
{
    STATUS_WORLD(2);
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    world.now_ms += 60 * 1000;
    world.instances[1].pod.ready = false;
    const cJSON *status = build(&world, NULL, NULL, 0).status;
    assert_string_equal(json_str(condition(status, "Ready"), "lastTransitionTime", ""),
                        clock_rfc3339(arena, WORLD_NOW_MS + 60 * 1000));
    assert_string_equal(json_str(condition(status, "PrimaryReady"), "lastTransitionTime", ""),
                        clock_rfc3339(arena, WORLD_NOW_MS));
}

static void every_condition_carries_the_generation(void **state)
{
    STATUS_WORLD(1);
    world.snapshot.spec.generation = 7;
    const cJSON *status = build(&world, NULL, NULL, 0).status, *node;
    assert_int_equal(json_int(status, "observedGeneration", 0), 7);
    cJSON_ArrayForEach (node, json_get(status, "conditions"))
        assert_int_equal(json_int(node, "observedGeneration", 0), 7);
}

static void ready_is_false_while_the_objects_of_a_generation_are_not_written(void **state)
{
    STATUS_WORLD(1);
    objects_add(&objects, "Service", "a-rw");
    objects_add(&objects, "Service", "a-ro");
    struct plan *plan = objects_plan(&objects, &world);
    struct status_result result = build(&world, plan, NULL, 0);
    assert_false(result.ready);
    assert_condition(result.status, "Ready", "False", REASON_APPLY_PENDING);
    assert_condition(result.status, "Reconciling", "True", REASON_APPLY_PENDING);
    assert_condition(result.status, "PrimaryReady", "True", REASON_SERVING);
    assert_contains(json_str(result.status, "waitingFor[0].message", ""), "and 1 more");
    struct status_outcome outcomes[] = {{.action = &plan->actions[0]},
                                        {.action = &plan->actions[1]}};
    assert_false(build(&world, plan, outcomes, 1).ready);
    assert_true(build(&world, plan, outcomes, 2).ready);
}

/* The API server refuses the whole status for one condition with more than 32768 characters. */
static void no_text_is_longer_than_the_api_takes(void **state)
{
    enum { LONG = 100000 };
    STATUS_WORLD(1);
    char *key = arena_alloc(world.arena, LONG + 1);
    for (size_t i = 0; i + 1 < LONG; i += 2)
        memcpy(key + i, "\xc3\xa9", 2);
    struct spec_fault fault = {key, "is no resource"};
    world.snapshot.faults = (struct spec_faults){&fault, 1};
    const cJSON *status = build(&world, NULL, NULL, 0).status;
    const char *message = json_str(condition(status, "Ready"), "message", "");
    assert_true(strlen(message) < 32768);
    assert_contains(message, "...; to unblock: correct");
    assert_contains(message, "kubectl -n n edit pgc a");
    assert_null(strstr(message, "\xc3...")); /* no half of a character */
    assert_true(strlen(json_str(status, "waitingFor[0].message", "")) < 32768);
}

static void an_invalid_spec_stalls_while_what_runs_is_told_truthfully(void **state)
{
    STATUS_WORLD(2);
    struct spec_fault fault = {"spec.instances", "is 10; must be 1 to 9"};
    world.snapshot.faults = (struct spec_faults){&fault, 1};
    world.snapshot.spec.instances = 10;
    const cJSON *status = build(&world, NULL, NULL, 0).status;
    assert_condition(status, "Ready", "False", REASON_INVALID_SPEC);
    assert_condition(status, "Stalled", "True", REASON_INVALID_SPEC);
    assert_null(condition(status, "Reconciling"));
    assert_condition(status, "PrimaryReady", "True", REASON_SERVING);
    assert_condition(status, "ReplicasStreaming", "True", REASON_STREAMING);
    assert_contains(json_str(condition(status, "Ready"), "message", ""),
                    "spec.instances: is 10; must be 1 to 9");
}

static void a_message_says_what_is_waited_for_and_what_unblocks(void **state)
{
    STATUS_WORLD(2);
    world.instances[1].pod.unschedulable_message = "0/2 nodes are available";
    world.instances[1].pod.ready = world.instances[1].reported = false;
    const char *message =
        json_str(condition(build(&world, NULL, NULL, 0).status, "Ready"), "message", "");
    assert_contains(message, "waits until replica a-2 streams: no node can take pod 'a-2-0': 0/2");
    assert_contains(message, "; to unblock: add a node");
}

static void refusals_of_the_api_become_reasons_with_remedies(void **state)
{
    static const struct {
        int class;
        const char *kind, *text, *reason, *condition;
        bool stalled;
    } table[] = {
        {ERR_FORBIDDEN, "StatefulSet", "exceeded quota: q, requested: count/statefulsets.apps=1",
         REASON_QUOTA_EXCEEDED, NULL, true},
        {ERR_FORBIDDEN, "Service",
         "unable to create new content in namespace n because it is being "
         "terminated",
         REASON_NAMESPACE_TERMINATING, NULL, false},
        {ERR_FORBIDDEN, "PersistentVolumeClaim",
         "only dynamically provisioned pvc can be resized and the storageclass that provisions the "
         "pvc must support resize",
         REASON_EXPANSION_REFUSED, "StorageHealthy", true},
        {ERR_FORBIDDEN, "Service", "User \"x\" cannot patch resource \"services\"",
         REASON_FORBIDDEN, NULL, true},
        {ERR_INVALID, "Service", "spec.ports: Invalid value", REASON_APPLY_REFUSED, NULL, true},
        {ERR_CONFLICT, "Service", "the object has been modified", REASON_APPLY_FAILED, NULL, false},
        {ERR_TRANSPORT, "Secret", "connection refused", REASON_APPLY_FAILED, "CredentialsInSync",
         false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        STATUS_WORLD(1);
        struct plan_action action = {.verb = PLAN_APPLY, .kind = table[i].kind, .name = "x"};
        struct plan plan = {.actions = &action, .count = 1};
        struct status_outcome outcome = {.action = &action};
        err_set_reason(&outcome.err, table[i].class, "Invalid", "apply: %s", table[i].text);
        outcome.err.http_status = 409;
        const cJSON *status = build(&world, &plan, &outcome, 1).status;
        assert_condition(status, "Ready", "False", table[i].reason);
        assert_condition(status, table[i].stalled ? "Stalled" : "Reconciling", "True",
                         table[i].reason);
        if (table[i].condition != NULL)
            assert_condition(status, table[i].condition, "False", table[i].reason);
        assert_contains(json_str(condition(status, "Ready"), "message", ""), table[i].text);
    }
}

static void a_refused_growth_names_the_storage_class(void **state)
{
    STATUS_WORLD(1);
    struct plan_action action = {
        .verb = PLAN_APPLY, .kind = "PersistentVolumeClaim", .name = "a-1-data"};
    struct plan plan = {.actions = &action, .count = 1};
    struct status_outcome outcome = {.action = &action};
    err_set(&outcome.err, ERR_FORBIDDEN, "only dynamically provisioned pvc can be resized");
    outcome.err.http_status = 403;
    const cJSON *status = build(&world, &plan, &outcome, 1).status;
    assert_condition(status, "StorageHealthy", "False", REASON_EXPANSION_REFUSED);
    const char *message = json_str(condition(status, "StorageHealthy"), "message", "");
    assert_contains(message, "StorageClass 'fast' does not allow expansion: only dynamically");
    assert_contains(message, "allowVolumeExpansion: true on StorageClass 'fast'");
}

static void reasons_of_our_own_rooms_are_passed_on(void **state)
{
    STATUS_WORLD(1);
    struct status_outcome outcome = {.action = NULL};
    err_set_reason(&outcome.err, ERR_INVALID, REASON_PASSWORD_INVALID, "Secret 'a-app': ...");
    const cJSON *status = build(&world, NULL, &outcome, 1).status;
    assert_condition(status, "CredentialsInSync", "False", REASON_PASSWORD_INVALID);
    assert_condition(status, "Stalled", "True", REASON_PASSWORD_INVALID);
}

static void a_collision_names_object_and_owner(void **state)
{
    STATUS_WORLD(1);
    objects_add(&objects, "Service", "a-rw");
    world_object(&world, "Service", "a-rw")->cluster = "b";
    struct status_result result = build(&world, objects_plan(&objects, &world), NULL, 0);
    assert_condition(result.status, "Stalled", "True", REASON_NAME_COLLISION);
    assert_contains(json_str(condition(result.status, "Ready"), "message", ""),
                    "Service 'a-rw' belongs to this cluster: the name is taken by PostgresCluster "
                    "'b'");
}

static void what_was_bootstrapped_stays_so_while_the_primary_is_away(void **state)
{
    STATUS_WORLD(1);
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    world.instances[0].pod = world_no_pod("a-1-0");
    world.instances[0].reported = false;
    world.instances[0].report = (struct instance_report){0};
    const cJSON *status = build(&world, NULL, NULL, 0).status;
    assert_condition(status, "PrimaryReady", "False", REASON_POD_MISSING);
    assert_condition(status, "BootstrapComplete", "True", REASON_COMPLETE);
    assert_condition(status, "CredentialsInSync", "Unknown", REASON_PRIMARY_NOT_READY);
    assert_string_equal(json_str(status, "version", ""), "17.6");
    assert_string_equal(json_str(status, "phase", ""), "Degraded");
}

static void a_single_instance_says_what_blocks_a_drain_and_stays_ready(void **state)
{
    STATUS_WORLD(1);
    const cJSON *status = build(&world, NULL, NULL, 0).status;
    assert_condition(status, "DrainAllowed", "False", REASON_SINGLE_INSTANCE);
    assert_contains(json_str(condition(status, "DrainAllowed"), "message", ""),
                    "spec.maintenance.allowEviction");
    assert_condition(status, "Ready", "True", REASON_HEALTHY);
    assert_condition(status, "ReplicasStreaming", "True", REASON_NO_REPLICAS);
    world.snapshot.spec.allow_eviction = true;
    assert_condition(build(&world, NULL, NULL, 0).status, "DrainAllowed", "True",
                     REASON_EVICTION_ALLOWED);
}

static void an_unready_instance_holds_drains_of_the_others_back(void **state)
{
    STATUS_WORLD(2);
    world.instances[1].pod.ready = false;
    assert_condition(build(&world, NULL, NULL, 0).status, "DrainAllowed", "False",
                     REASON_INSTANCE_UNAVAILABLE);
}

static void a_recovery_that_goes_on_for_an_hour_is_told_to_whoever_drains(void **state)
{
    STATUS_WORLD(2);
    world.instances[0].pod.ready = false;
    world.instances[0].report.phase = "Recovering";
    const cJSON *status = build(&world, NULL, NULL, 0).status;
    assert_condition(status, "DrainAllowed", "False", REASON_INSTANCE_UNAVAILABLE);
    assert_contains(json_str(condition(status, "DrainAllowed"), "message", ""), "an hour");
    world.snapshot.status = status;
    world.now_ms += 3600 * 1000 + 1000;
    status = build(&world, NULL, NULL, 0).status;
    assert_condition(status, "DrainAllowed", "True", REASON_EVICTION_ALLOWED);
    assert_contains(json_str(condition(status, "DrainAllowed"), "message", ""),
                    "a-1 has not served for more than an hour");
}

static void assert_event(const struct status_result *result, const char *type, const char *reason,
                         const char *part)
{
    for (size_t i = 0; i < result->event_count; i++)
        if (strcmp(result->events[i].reason, reason) == 0) {
            assert_string_equal(result->events[i].type, type);
            assert_contains(result->events[i].message, part);
            return;
        }
    fail_msg("there is no event %s", reason);
}

static void each_decision_is_one_event(void **state)
{
    STATUS_WORLD(2);
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    world_new_template(&world);
    objects_applied(&objects, &world, objects_add(&objects, "Service", "a-rw"))->drifted = true;
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 2);
    struct status_outcome outcomes[] = {{.action = &plan->actions[0]},
                                        {.action = &plan->actions[1]}};
    struct status_result result = build(&world, plan, outcomes, 2);
    assert_event(&result, "Normal", REASON_PHASE_CHANGED, "Healthy -> Updating");
    assert_event(&result, "Normal", REASON_DRIFT_REPAIRED, "Service 'a-rw': somebody changed it");
    assert_event(&result, "Normal", REASON_ROLLING_POD, "Pod 'a-2-0': the pod template changed");
    assert_int_equal(result.event_count, 3);
}

static const char *event_of_delete(struct world *world, const char *kind, const char *name)
{
    struct plan_action action = {.verb = PLAN_DELETE,
                                 .api_version = "v1",
                                 .kind = kind,
                                 .name = name,
                                 .uid = "u",
                                 .effect = "",
                                 .reason = "the cluster no longer needs it"};
    struct plan plan = {.actions = &action, .count = 1};
    struct status_outcome outcome = {.action = &action};
    world->snapshot.status = build(world, NULL, NULL, 0).status;
    struct status_result result = build(world, &plan, &outcome, 1);
    assert_int_equal(result.event_count, 1);
    assert_contains(result.events[0].message, name);
    return result.events[0].reason;
}

static void only_an_instance_that_goes_is_scaling_down(void **state)
{
    STATUS_WORLD(2);
    static const struct {
        const char *kind, *reason;
    } table[] = {
        {"StatefulSet", "ScalingDown"},
        {"PersistentVolumeClaim", "ScalingDown"},
        {"Pod", "RollingPod"},
        {"ConfigMap", "ObjectRemoved"},
        {"ServiceAccount", "ObjectRemoved"},
        {"Role", "ObjectRemoved"},
        {"RoleBinding", "ObjectRemoved"},
        {"Service", "ObjectRemoved"},
        {"EndpointSlice", "ObjectRemoved"},
        {"PodDisruptionBudget", "ObjectRemoved"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_string_equal(event_of_delete(&world, table[i].kind, "a-old"), table[i].reason);
}

static void a_fault_is_told_once(void **state)
{
    STATUS_WORLD(2);
    world.instances[1].pod.waiting_reason = "CrashLoopBackOff";
    world.instances[1].pod.ready = world.instances[1].reported = false;
    struct status_result result = build(&world, NULL, NULL, 0);
    assert_event(&result, "Warning", REASON_CRASH_LOOPING, "replica a-2 streams");
    world.snapshot.status = result.status;
    assert_int_equal(build(&world, NULL, NULL, 0).event_count, 0);
}

static void a_lease_that_was_deleted_makes_no_new_cluster(void **state)
{
    STATUS_WORLD(2);
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    world.snapshot.lease =
        (struct seen_lease){.there = true, .uid = "new", .resource_version = "9", .holder = ""};
    for (int pass = 0; pass < 3; pass++) {
        const cJSON *status = build(&world, NULL, NULL, 0).status;
        assert_string_equal(json_str(status, "phase", ""), "Degraded");
        assert_condition(status, "BootstrapComplete", "True", REASON_COMPLETE);
        assert_condition(status, "PrimaryReady", "False", REASON_LEASE_NOT_HELD);
        world.snapshot.status = (cJSON *)status;
    }
}

static void what_is_not_known_is_unknown_and_not_false(void **state)
{
    STATUS_WORLD(2);
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    world.snapshot.lease.pulse = PULSE_OVERDUE;
    world.snapshot.lease.silent_ms = 9000;
    const cJSON *status = build(&world, NULL, NULL, 0).status;
    assert_condition(status, "Ready", "Unknown", REASON_LEASE_OVERDUE);
    assert_condition(status, "PrimaryReady", "Unknown", REASON_LEASE_OVERDUE);
    assert_condition(status, "ReplicasStreaming", "Unknown", REASON_LEASE_OVERDUE);
    assert_condition(status, "CredentialsInSync", "Unknown", REASON_PRIMARY_NOT_READY);
    assert_condition(status, "Reconciling", "True", REASON_LEASE_OVERDUE);
    assert_string_equal(json_str(status, "phase", ""), "Degraded");
    assert_string_equal(json_str(status, "primary", ""), "a-1");
    assert_string_equal(json_str(status, "instances[0].phase", ""), "Unknown");
    assert_null(json_get(status, "instances[1].streaming"));
    world.instances[1].pod.ready = false; /* that is known */
    status = build(&world, NULL, NULL, 0).status;
    assert_condition(status, "Ready", "False", REASON_LEASE_OVERDUE);
    assert_condition(status, "ReplicasStreaming", "False", REASON_NOT_ACCEPTING);
}

static void a_silence_is_written_once(void **state)
{
    STATUS_WORLD(2);
    world.snapshot.lease.pulse = PULSE_OVERDUE;
    world.snapshot.lease.silent_ms = 9000;
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    world.now_ms += 5500;
    world.snapshot.lease.silent_ms += 5400;
    assert_false(build(&world, NULL, NULL, 0).changed);
}

static void an_operator_that_has_just_started_takes_nothing_back_and_claims_nothing(void **state)
{
    STATUS_WORLD(2);
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    world.snapshot.lease.pulse = PULSE_UNSEEN;
    assert_false(build(&world, NULL, NULL, 0).changed);
    world.instances[1].pod.ready = false;
    struct status_result result = build(&world, NULL, NULL, 0);
    assert_true(result.changed);
    assert_condition(result.status, "PrimaryReady", "Unknown", REASON_LEASE_UNSEEN);
    assert_condition(result.status, "ReplicasStreaming", "False", REASON_NOT_ACCEPTING);
    world.snapshot.status = result.status;
    world.instances[1].pod.ready = true;
    result = build(&world, NULL, NULL, 0);
    assert_condition(result.status, "Ready", "Unknown", REASON_LEASE_UNSEEN);
    world.snapshot.status = result.status;
    assert_false(build(&world, NULL, NULL, 0).changed);
}

static void a_filling_volume_holds_back_its_condition_alone(void **state)
{
    STATUS_WORLD(2);
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    struct instance_report *report = &world.instances[0].report;
    report->data_volume =
        (struct volume_report){REPORT_ROOM_FILLING, 1000LL << 20, 900LL << 20, 100LL << 20, ""};
    struct status_result result = build(&world, NULL, NULL, 0);
    assert_true(result.ready && result.changed);
    assert_condition(result.status, "Ready", "True", REASON_HEALTHY);
    assert_condition(result.status, "StorageHealthy", "False", REASON_VOLUME_FILLING);
    assert_contains(json_str(condition(result.status, "StorageHealthy"), "message", ""),
                    "volume a-1-data is filling: 90 % of 1000Mi are used");
    assert_contains(json_str(result.status, "warnings[0].unblock", ""), "patch pgc a");
    assert_null(json_get(result.status, "waitingFor"));
    assert_event(&result, "Warning", REASON_VOLUME_FILLING, "raise spec.storage.size");
    const cJSON *storage = json_get(result.status, "instances[0].storage");
    assert_string_equal(json_str(storage, "capacity", ""), "1000Mi");
    assert_string_equal(json_str(storage, "used", ""), "900Mi");
    assert_int_equal(json_int(storage, "usedPercent", 0), 90);
    assert_null(json_get(result.status, "instances[0].walStorage"));
    world.snapshot.status = result.status;
    world.now_ms += 3600 * 1000;
    result = build(&world, NULL, NULL, 0);
    assert_false(result.changed);
    assert_int_equal(result.event_count, 0);
}

static void room_that_cannot_be_read_is_unknown(void **state)
{
    STATUS_WORLD(1);
    world.instances[0].report.data_volume.room = REPORT_ROOM_UNKNOWN;
    struct status_result result = build(&world, NULL, NULL, 0);
    assert_true(result.ready);
    assert_condition(result.status, "StorageHealthy", "Unknown", REASON_VOLUME_USE_UNKNOWN);
    assert_contains(json_str(condition(result.status, "StorageHealthy"), "message", ""),
                    "a-1-data");
    assert_null(json_get(result.status, "instances[0].storage"));
}

static void each_crash_of_postgres_is_one_warning(void **state)
{
    STATUS_WORLD(2);
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    struct instance_report *report = &world.instances[0].report;
    report->crashes = 1;
    report->last_crash_time = "2026-01-31T23:59:59Z";
    report->last_crash = "postgres was killed by signal 9";
    struct status_result result = build(&world, NULL, NULL, 0);
    assert_int_equal(result.event_count, 1);
    assert_event(&result, "Warning", REASON_POSTGRES_CRASHED,
                 "a-1 (primary): postgres was killed by signal 9 (crash number 1 since");
    assert_int_equal(json_int(result.status, "instances[0].crashes", 0), 1);
    assert_string_equal(json_str(result.status, "instances[0].lastCrash.time", ""),
                        report->last_crash_time);
    world.snapshot.status = result.status;
    assert_int_equal(build(&world, NULL, NULL, 0).event_count, 0);
    report->crashes = 2; /* within the same second */
    result = build(&world, NULL, NULL, 0);
    assert_event(&result, "Warning", REASON_POSTGRES_CRASHED, "crash number 2");
    world.snapshot.status = result.status;
    *report = (struct instance_report){.role = "primary", .phase = "Running"}; /* another pod */
    result = build(&world, NULL, NULL, 0);
    assert_null(json_get(result.status, "instances[0].crashes"));
}

static void the_grant_is_told_when_the_lease_was_written(void **state)
{
    EMPTY_WORLD(2);
    struct objects objects;
    objects_init(&objects, arena);
    objects_add(&objects, "Lease", "a-primary");
    struct plan *plan = objects_plan(&objects, &world);
    struct status_outcome outcome = {.action = &plan->actions[0]};
    struct status_result result = build(&world, plan, &outcome, 1);
    assert_event(&result, "Normal", REASON_BOOTSTRAP_GRANTED, "a-1 may take the lease");
    assert_event(&result, "Normal", REASON_PHASE_CHANGED, "Creating");
    err_set(&outcome.err, ERR_TIMEOUT, "create Lease: timed out");
    result = build(&world, plan, &outcome, 1);
    assert_int_equal(result.event_count, 1);
}

static void a_held_service_is_waited_for_and_a_held_volume_told_once(void **state)
{
    STATUS_WORLD(1);
    objects_applied(&objects, &world, objects_add(&objects, "Service", "a-rw"))->deleting = true;
    cJSON *pvc = objects_add_pvc(&objects, "a-1-data", "1Gi");
    objects_applied(&objects, &world, pvc)->deleting = true;
    world.instances[0].data.deleting = true;
    const cJSON *status = build(&world, objects_plan(&objects, &world), NULL, 0).status;
    assert_int_equal(cJSON_GetArraySize(json_get(status, "waitingFor")), 2);
    assert_condition(status, "StorageHealthy", "False", REASON_VOLUME_DELETING);
    assert_condition(status, "PrimaryReady", "True", REASON_SERVING);
}

static void a_grant_that_is_spent_is_no_decision(void **state)
{
    STATUS_WORLD(1);
    world.snapshot.lease.grant.initdb = true;
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    objects_applied(&objects, &world, objects_add(&objects, "Lease", "a-primary"))->applied = "x";
    struct plan *plan = objects_plan(&objects, &world);
    assert_contains(plan->actions[0].reason, "data exists");
    struct status_outcome outcome = {.action = &plan->actions[0]};
    assert_int_equal(build(&world, plan, &outcome, 1).event_count, 0);
}

static void certificates_are_told_apart_from_ready(void **state)
{
    STATUS_WORLD(2);
    struct seen_credentials *seen = &world.snapshot.credentials;
    seen->ca_fingerprint = "aa";
    seen->observed = "token";
    world.snapshot.status = build(&world, NULL, NULL, 0).status;
    assert_condition(world.snapshot.status, "CertificatesSettled", "True",
                     REASON_CERTIFICATES_VALID);
    assert_string_equal(json_str(world.snapshot.status, "credentials.observed", ""), "token");
    assert_string_equal(json_str(world.snapshot.status, "credentials.caFingerprint", ""), "aa");
    seen->ca_fingerprint = "bb";
    seen->notice_reason = REASON_CA_REPLACING;
    seen->notice = "in 7 days";
    struct status_result result = build(&world, NULL, NULL, 0);
    assert_true(result.ready && result.changed);
    assert_condition(result.status, "CertificatesSettled", "False", REASON_CA_REPLACING);
    assert_int_equal(result.event_count, 2);
    assert_string_equal(result.events[0].reason, REASON_CA_REPLACED);
    assert_string_equal(result.events[1].reason, REASON_CA_REPLACING);
    world.snapshot.status = result.status;
    seen->notice = "in 6 days";
    result = build(&world, NULL, NULL, 0);
    assert_true(result.changed);
    assert_int_equal(result.event_count, 0);
    seen->certificate_expires_ms = 0;
    seen->notice_reason = NULL;
    assert_condition(build(&world, NULL, NULL, 0).status, "CertificatesSettled", "Unknown",
                     REASON_CREDENTIALS_INCOMPLETE);
}

static void the_remedy_of_a_fault_in_the_secrets_is_passed_on(void **state)
{
    STATUS_WORLD(1);
    world.snapshot.credentials = (struct seen_credentials){.reason = REASON_PASSWORD_INVALID,
                                                           .message = "it is empty",
                                                           .unblock = "kubectl -n n do this",
                                                           .verifiers_hash = "verifiers-1"};
    const cJSON *status = build(&world, NULL, NULL, 0).status;
    assert_string_equal(json_str(status, "waitingFor[0].unblock", ""), "kubectl -n n do this");
}

static void status_says_how_small_a_volume_may_be_asked_for(void **state)
{
    STATUS_WORLD(2);
    world.instances[1].data.requested_bytes = 50LL << 30;
    assert_string_equal(json_str(build(&world, NULL, NULL, 0).status, "volumes.storage", ""),
                        "1Gi");
    world.instances[1].data.capacity_bytes = 2LL << 30;
    assert_string_equal(json_str(build(&world, NULL, NULL, 0).status, "volumes.storage", ""),
                        "2Gi");
    world.instances[1].data.phase = "Pending"; /* a claim that is not bound cannot be changed */
    assert_string_equal(json_str(build(&world, NULL, NULL, 0).status, "volumes.storage", ""),
                        "50Gi");
    world.instances[1].data = world_no_pvc("a-2-data"); /* it is being made */
    assert_null(json_get(build(&world, NULL, NULL, 0).status, "volumes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_told_apart_from_ready),
        cmocka_unit_test(the_remedy_of_a_fault_in_the_secrets_is_passed_on),
        cmocka_unit_test(status_says_how_small_a_volume_may_be_asked_for),
        cmocka_unit_test(a_grant_that_is_spent_is_no_decision),
        cmocka_unit_test(defaults_are_shown_where_the_spec_says_nothing),
        cmocka_unit_test(a_healthy_cluster_is_ready_and_neither_reconciling_nor_stalled),
        cmocka_unit_test(nothing_is_written_at_rest),
        cmocka_unit_test(times_alone_are_no_change),
        cmocka_unit_test(transition_times_move_only_when_the_status_flips),
        cmocka_unit_test(every_condition_carries_the_generation),
        cmocka_unit_test(ready_is_false_while_the_objects_of_a_generation_are_not_written),
        cmocka_unit_test(no_text_is_longer_than_the_api_takes),
        cmocka_unit_test(an_invalid_spec_stalls_while_what_runs_is_told_truthfully),
        cmocka_unit_test(a_message_says_what_is_waited_for_and_what_unblocks),
        cmocka_unit_test(refusals_of_the_api_become_reasons_with_remedies),
        cmocka_unit_test(a_refused_growth_names_the_storage_class),
        cmocka_unit_test(reasons_of_our_own_rooms_are_passed_on),
        cmocka_unit_test(a_collision_names_object_and_owner),
        cmocka_unit_test(what_was_bootstrapped_stays_so_while_the_primary_is_away),
        cmocka_unit_test(a_single_instance_says_what_blocks_a_drain_and_stays_ready),
        cmocka_unit_test(a_recovery_that_goes_on_for_an_hour_is_told_to_whoever_drains),
        cmocka_unit_test(an_unready_instance_holds_drains_of_the_others_back),
        cmocka_unit_test(each_decision_is_one_event),
        cmocka_unit_test(only_an_instance_that_goes_is_scaling_down),
        cmocka_unit_test(a_fault_is_told_once),
        cmocka_unit_test(a_lease_that_was_deleted_makes_no_new_cluster),
        cmocka_unit_test(what_is_not_known_is_unknown_and_not_false),
        cmocka_unit_test(a_silence_is_written_once),
        cmocka_unit_test(an_operator_that_has_just_started_takes_nothing_back_and_claims_nothing),
        cmocka_unit_test(a_filling_volume_holds_back_its_condition_alone),
        cmocka_unit_test(room_that_cannot_be_read_is_unknown),
        cmocka_unit_test(each_crash_of_postgres_is_one_warning),
        cmocka_unit_test(the_grant_is_told_when_the_lease_was_written),
        cmocka_unit_test(a_held_service_is_waited_for_and_a_held_volume_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
