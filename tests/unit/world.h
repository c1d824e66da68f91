/*
 * A cluster `a` in namespace `n` as a snapshot that tests bend: nothing there, or all healthy. What
 * is not set is what `observe` gives for it: empty strings, never NULL.
 */
#pragma once

#include "test.h"

#include "api/names.h"
#include "base/clock.h"
#include "model/model.h"

#define UNUSED __attribute__((unused))

enum { WORLD_OBJECTS = 160 };
static const int64_t WORLD_NOW_MS = 1790000000000;

struct world {
    struct arena *arena;
    struct snapshot snapshot;
    struct seen_instance instances[INSTANCES_MAX];
    struct seen_object objects[WORLD_OBJECTS];
    struct replica_report replicas[INSTANCES_MAX];
    const char *hashes[INSTANCES_MAX]; /* wanted templates */
    const char *config_hash;
    int64_t now_ms;
};

UNUSED static struct seen_pvc world_no_pvc(const char *name)
{
    return (struct seen_pvc){.name = name,
                             .uid = "",
                             .phase = "",
                             .storage_class = "",
                             .resize_message = "",
                             .pending_message = "",
                             .system_identifier = "",
                             .last_role = "",
                             .owner_cluster = "",
                             .volume = "",
                             .node = ""};
}

UNUSED static struct seen_pod world_no_pod(const char *name)
{
    return (struct seen_pod){.name = name,
                             .uid = "",
                             .node = "",
                             .ips = "",
                             .phase = "",
                             .revision = "",
                             .waiting_reason = "",
                             .waiting_message = "",
                             .unschedulable_message = "",
                             .disruption = "",
                             .disruption_message = "",
                             .priority = ""};
}

UNUSED static void world_no_instance(struct world *world, int ordinal)
{
    const char *name = name_instance(world->arena, "a", ordinal);
    world->instances[ordinal - 1] = (struct seen_instance){
        .name = name,
        .ordinal = ordinal,
        .set_uid = "",
        .template_hash = "",
        .agent_image = "",
        .update_revision = "",
        .set_message = "",
        .restart_token = "",
        .pod = world_no_pod(name_pod(world->arena, name)),
        .data = world_no_pvc(name_data_pvc(world->arena, name)),
        .wal = world_no_pvc(name_wal_pvc(world->arena, name)),
    };
}

/* Asked for, and nothing there yet. */
UNUSED static void world_init(struct world *world, struct arena *arena, int instances)
{
    memset(world, 0, sizeof *world);
    world->arena = arena;
    world->now_ms = WORLD_NOW_MS;
    world->config_hash = "config-1";
    struct snapshot *snapshot = &world->snapshot;
    snapshot->spec = (struct cluster_spec){
        .name = "a",
        .namespace = "n",
        .uid = "cluster-uid",
        .generation = 1,
        .instances = instances,
        .postgres_version = 17,
        .image = "postgres:17",
        .image_pull_policy = "IfNotPresent",
        .storage = {.size_bytes = 1LL << 30, .size = "1Gi"},
        .retain = true,
        .max_slot_wal_keep_size = "4GB",
        .max_lag_bytes = 64LL << 20,
        .lease_seconds = 8,
        .database = "app",
        .owner = "app",
        .encoding = "UTF8",
        .locale = "C.UTF-8",
        .superuser_secret = "a-superuser",
        .app_secret = "a-app",
        .replication_secret = "a-replication",
        .scheduling.topology_key = "kubernetes.io/hostname",
        .scheduling.priority_class = "",
        .termination_grace_seconds = 120,
    };
    snapshot->objects = world->objects;
    snapshot->instances = world->instances;
    snapshot->instance_count = (size_t)instances;
    snapshot->lease = (struct seen_lease){.uid = "", .resource_version = "", .holder = ""};
    snapshot->credentials =
        (struct seen_credentials){.complete = true,
                                  .reason = "",
                                  .message = "",
                                  .verifiers_json = "[]",
                                  .verifiers_hash = "verifiers-1",
                                  .ca_pem = "",
                                  .certificate_expires_ms = WORLD_NOW_MS + 86400000 * 60LL};
    snapshot->rw_address = "";
    snapshot->agent_image = "agent:1";
    for (int ordinal = 1; ordinal <= INSTANCES_MAX; ordinal++) {
        world_no_instance(world, ordinal);
        world->hashes[ordinal - 1] = "template-1";
    }
}

UNUSED static void world_bound(struct world *world, struct seen_pvc *pvc, const char *role,
                               int64_t epoch)
{
    pvc->there = true;
    pvc->uid = arena_printf(world->arena, "uid-%s", pvc->name);
    pvc->phase = "Bound";
    pvc->storage_class = "fast";
    pvc->requested_bytes = pvc->capacity_bytes = 1LL << 30;
    pvc->owner_cluster = "a";
    if (role != NULL) {
        pvc->system_identifier = "7000";
        pvc->last_role = role;
        pvc->epoch = epoch;
    }
}

/* A pod that runs postgres in that role, ready, with the present template and configuration. */
UNUSED static void world_run(struct world *world, int ordinal, const char *role)
{
    struct seen_instance *seen = &world->instances[ordinal - 1];
    world_bound(world, &seen->data, role, 1);
    seen->set_there = true;
    seen->set_uid = arena_printf(world->arena, "uid-set-%d", ordinal);
    seen->template_hash = world->hashes[ordinal - 1];
    seen->agent_image = "agent:1";
    seen->pod_form = POD_FORM_NEWEST;
    seen->update_revision = "rev-1";
    seen->set_generation = seen->set_observed_generation = 1;
    seen->pod.there = seen->pod.ready = true;
    seen->pod.uid = arena_printf(world->arena, "uid-pod-%d", ordinal);
    seen->pod.node = "node-1";
    seen->pod.ips = arena_printf(world->arena, "10.0.0.%d", ordinal);
    seen->pod.phase = "Running";
    seen->pod.revision = "rev-1";
    seen->pod.created_ms = WORLD_NOW_MS - 60 * 1000;
    seen->reported = true;
    seen->report = (struct instance_report){
        .instance = seen->name,
        .role = role,
        .phase = "Running",
        .reason = "",
        .message = "",
        .system_identifier = "7000",
        .postgres_version = "17.6",
        .timeline = 1,
        .epoch = 1,
        .config_hash = world->config_hash,
        .verifiers_hash = "verifiers-1",
        .restart_token = "",
        .pending_parameters = "",
        .bootstrapped = true,
    };
}

UNUSED static void world_stream(struct world *world, int ordinal, const char *state)
{
    struct primary_report *report = &world->snapshot.lease.report;
    report->replicas = world->replicas;
    world->replicas[report->replica_count++] = (struct replica_report){
        .name = world->instances[ordinal - 1].name, .state = state, .slot_wal_status = "reserved"};
}

/* a-1 is primary, all others stream. */
UNUSED static void world_healthy(struct world *world, struct arena *arena, int instances)
{
    world_init(world, arena, instances);
    struct seen_lease *lease = &world->snapshot.lease;
    *lease = (struct seen_lease){.there = true,
                                 .uid = "uid-lease",
                                 .resource_version = "1",
                                 .holder = "a-1/uid-pod-1",
                                 .transitions = 1,
                                 .granted = true,
                                 .grant = {"a-1", false},
                                 .reported = true,
                                 .report = {.timeline = 1, .lsn = "0/3000000"}};
    world_run(world, 1, "primary");
    for (int ordinal = 2; ordinal <= instances; ordinal++) {
        world_run(world, ordinal, "replica");
        world_stream(world, ordinal, "streaming");
    }
    world->snapshot.rw_address = "10.0.0.1";
}

UNUSED static struct seen_object *world_object(struct world *world, const char *kind,
                                               const char *name)
{
    assert_true(world->snapshot.object_count < WORLD_OBJECTS);
    struct seen_object *object = &world->objects[world->snapshot.object_count++];
    *object = (struct seen_object){.api_version = "v1",
                                   .kind = kind,
                                   .name = name,
                                   .uid = arena_printf(world->arena, "uid-%s-%s", kind, name),
                                   .resource_version = "1",
                                   .owner_uid = "cluster-uid",
                                   .cluster = "a",
                                   .applied = ""};
    return object;
}

/* The template that is wanted becomes another one, and the StatefulSets already carry it. */
UNUSED static void world_new_template(struct world *world)
{
    for (size_t i = 0; i < world->snapshot.instance_count; i++) {
        world->hashes[i] = "template-2";
        world->instances[i].template_hash = "template-2";
        world->instances[i].update_revision = "rev-2";
        world->instances[i].set_generation = world->instances[i].set_observed_generation = 2;
    }
}

/* The pod of that instance has been made anew from the new template and serves. */
UNUSED static void world_rolled(struct world *world, int ordinal)
{
    world->instances[ordinal - 1].pod.revision = "rev-2";
}

UNUSED static struct model *world_model(struct world *world)
{
    return model_build(world->arena, &world->snapshot, world->hashes, world->config_hash,
                       world->now_ms);
}

UNUSED static const struct model_blocker *world_wait(const struct model *model, const char *reason)
{
    for (size_t i = 0; i < model->blocker_count; i++)
        if (strcmp(model->blockers[i].reason, reason) == 0)
            return &model->blockers[i];
    return NULL;
}

/* The ordinal of the only instance whose pod is to be deleted; 0: none, -1: several. */
UNUSED static int world_deleted(const struct model *model)
{
    int found = 0;
    for (size_t i = 0; i < model->instance_count; i++)
        if (model->instances[i].delete_pod)
            found = found ? -1 : model->instances[i].seen->ordinal;
    return found;
}

/* The same for the instance that is newly told to restart postgres. */
UNUSED static int world_restarted(const struct model *model)
{
    int found = 0;
    for (size_t i = 0; i < model->instance_count; i++)
        if (strcmp(model->instances[i].restart_token, model->instances[i].seen->restart_token) != 0)
            found = found ? -1 : model->instances[i].seen->ordinal;
    return found;
}

UNUSED static void assert_contains(const char *text, const char *part)
{
    if (text == NULL || strstr(text, part) == NULL)
        fail_msg("\"%s\" does not contain \"%s\"", text ? text : "(null)", part);
}

#define WORLD(n)                                                                                   \
    AUTO_ARENA arena = arena_new();                                                                \
    struct world world;                                                                            \
    (void)state;                                                                                   \
    world_healthy(&world, arena, n)
#define EMPTY_WORLD(n)                                                                             \
    AUTO_ARENA arena = arena_new();                                                                \
    struct world world;                                                                            \
    (void)state;                                                                                   \
    world_init(&world, arena, n)
