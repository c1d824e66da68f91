/*
 * A small Kubernetes with agents in it, driven by a seeded generator: what plans do to it, what
 * controllers, kubelets and agents make of that, and what people and accidents do meanwhile. It has
 * no clock but passes; the truth is kept here and copied into a snapshot for each pass.
 */
#pragma once

#include "choice.h"
#include "world.h"

#include <stdlib.h>

#include "desired/desired.h"
#include "plan/plan.h"

struct sim_instance {
    struct seen_instance seen;   /* the truth as the API would show it */
    bool set_is_bad, pod_is_bad; /* the template names an image that does not exist */
    const char *set_content;     /* of which the next revision is made */
    int volume_data;             /* system identifier on the volume, 0 when empty */
    int64_t volume_epoch;
    const char *volume_role;     /* as recorded beside PGDATA */
    const char *running_buffers; /* shared_buffers with which postgres was started */
    bool serving;
};

struct sim {
    struct arena *arena; /* of the truth */
    struct choice choice;
    struct sim_instance instances[INSTANCES_MAX];
    struct seen_object objects[WORLD_OBJECTS];
    size_t object_count;
    struct seen_lease lease;
    struct replica_report replicas[INSTANCES_MAX];
    struct cluster_spec spec;
    struct key_value parameters[2];
    const char *config_hash, *buffers; /* as the ConfigMap has them */
    const char *rw_address;
    cJSON *status;
    int64_t now_ms;
    int uids, initdbs;
};

UNUSED static uint32_t sim_random(struct sim *sim, uint32_t below)
{
    return choice_below(&sim->choice, below);
}

UNUSED static const char *sim_uid(struct sim *sim, const char *what)
{
    return arena_printf(sim->arena, "%s-%d", what, ++sim->uids);
}

UNUSED static void sim_init(struct sim *sim, struct arena *arena, uint64_t seed)
{
    struct world *world = arena_alloc(arena, sizeof *world);
    memset(sim, 0, sizeof *sim);
    sim->arena = arena;
    sim->choice = choice_by_seed(seed);
    world_init(world, arena, INSTANCES_MAX);
    sim->spec = world->snapshot.spec;
    sim->spec.instances = 1 + (int)sim_random(sim, 3);
    sim->parameters[0] = (struct key_value){"shared_buffers", "128MB"};
    sim->parameters[1] = (struct key_value){"work_mem", "4MB"};
    sim->spec.parameters = sim->parameters;
    sim->spec.parameter_count = 2;
    sim->spec.storage.storage_class = "fast";
    for (size_t i = 0; i < INSTANCES_MAX; i++)
        sim->instances[i].seen = world->instances[i];
    sim->lease = world->snapshot.lease;
    sim->config_hash = sim->buffers = sim->rw_address = "";
    sim->now_ms = WORLD_NOW_MS;
}

/* ---- what writing does ---- */

UNUSED static struct sim_instance *sim_instance(struct sim *sim, const char *name)
{
    int ordinal = name_ordinal("a", name);
    return ordinal > 0 ? &sim->instances[ordinal - 1] : NULL;
}

/* Of a-2-data or a-2-wal; NULL for other names. */
UNUSED static struct seen_pvc *sim_pvc(struct sim *sim, const char *name,
                                       struct sim_instance **ret_instance)
{
    for (size_t i = 0; i < INSTANCES_MAX; i++) {
        struct seen_instance *seen = &sim->instances[i].seen;
        *ret_instance = &sim->instances[i];
        if (strcmp(seen->data.name, name) == 0)
            return &seen->data;
    }
    return NULL;
}

UNUSED static struct seen_object *sim_object(struct sim *sim, const char *kind, const char *name)
{
    for (size_t i = 0; i < sim->object_count; i++)
        if (strcmp(sim->objects[i].kind, kind) == 0 && strcmp(sim->objects[i].name, name) == 0)
            return &sim->objects[i];
    return NULL;
}

UNUSED static void sim_forget(struct sim *sim, const char *kind, const char *name)
{
    struct seen_object *object = sim_object(sim, kind, name);
    if (object != NULL)
        *object = sim->objects[--sim->object_count];
}

static const char *or_empty_text(const char *text)
{
    return text ? text : "";
}

static const char *keep(struct sim *sim, const cJSON *object, const char *path)
{
    return arena_strdup(sim->arena, json_str(object, path, ""));
}

#define ANNOTATION(key) "metadata.annotations[\"" key "\"]"

UNUSED static void sim_write_set(struct sim *sim, struct sim_instance *instance,
                                 const cJSON *object)
{
    struct seen_instance *seen = &instance->seen;
    const char *image = json_str(object, "spec.template.spec.containers[0].image", "");
    seen->template_hash = keep(sim, object, ANNOTATION(ANN_TEMPLATE));
    seen->agent_image = keep(sim, object, ANNOTATION(ANN_AGENT_IMAGE));
    const char *form = keep(sim, object, ANNOTATION(ANN_POD_FORM));
    seen->pod_form = *form ? atoi(form) : POD_FORM_FIRST;
    const char *content = arena_printf(sim->arena, "rev-%s-%s-%d", seen->template_hash,
                                       seen->agent_image, seen->pod_form);
    instance->set_is_bad = strcmp(image, "bad") == 0;
    if (!seen->set_there) {
        seen->set_there = true;
        seen->set_uid = sim_uid(sim, "set");
        seen->set_generation = 1;
        seen->set_observed_generation = 0;
    } else if (strcmp(content, instance->set_content) != 0) {
        seen->set_generation++;
    }
    instance->set_content = content;
}

UNUSED static void sim_write_pvc(struct sim *sim, const cJSON *object)
{
    struct sim_instance *instance;
    struct seen_pvc *pvc = sim_pvc(sim, json_str(object, "metadata.name", ""), &instance);
    assert_non_null(pvc);
    int64_t bytes = quantity_bytes(json_str(object, "spec.resources.requests.storage", ""));
    assert_true(bytes >= pvc->requested_bytes); /* never shrinks */
    if (!pvc->there) {
        pvc->there = true;
        pvc->uid = sim_uid(sim, "pvc");
        pvc->phase = "Pending";
        pvc->storage_class = "fast";
        pvc->owner_cluster = "a";
        instance->volume_data = 0;
    }
    pvc->requested_bytes = bytes;
    pvc->system_identifier = keep(sim, object, ANNOTATION(ANN_SYSTEM_ID));
    pvc->last_role = keep(sim, object, ANNOTATION(ANN_LAST_ROLE));
    pvc->epoch = strtoll(json_str(object, ANNOTATION(ANN_EPOCH), "0"), NULL, 10);
}

UNUSED static void sim_write_config(struct sim *sim, const cJSON *object)
{
    struct cluster_config config;
    struct error err;
    const char *json = json_str(object, "data[\"" CONFIG_KEY_CLUSTER "\"]", "");
    assert_int_equal(report_config_decode(sim->arena, json, &config, &err), 0);
    sim->config_hash = config.config_hash;
    for (size_t i = 0; i < INSTANCES_MAX; i++)
        sim->instances[i].seen.restart_token = "";
    for (size_t i = 0; i < config.member_count; i++)
        sim_instance(sim, config.members[i].name)->seen.restart_token =
            config.members[i].restart_token;
    const char *conf = json_str(object, "data[\"" CONFIG_KEY_POSTGRESQL "\"]", "");
    const char *at = strstr(conf, "shared_buffers = ");
    assert_non_null(at);
    sim->buffers = arena_strndup(sim->arena, at, strcspn(at, "\n"));
}

UNUSED static void sim_write_lease(struct sim *sim, const cJSON *object)
{
    struct error err;
    const char *grant = json_str(object, ANNOTATION(ANN_BOOTSTRAP), "");
    sim->lease.there = true;
    sim->lease.granted = *grant != '\0';
    if (sim->lease.granted)
        assert_int_equal(report_grant_decode(sim->arena, grant, &sim->lease.grant, &err), 0);
}

UNUSED static void sim_write(struct sim *sim, const struct plan_action *action)
{
    struct seen_object *seen = sim_object(sim, action->kind, action->name);
    if (action->verb == PLAN_CREATE) {
        assert_null(seen);
        assert_true(sim->object_count < WORLD_OBJECTS);
        seen = &sim->objects[sim->object_count++];
        *seen = (struct seen_object){.api_version = arena_strdup(sim->arena, action->api_version),
                                     .kind = arena_strdup(sim->arena, action->kind),
                                     .name = arena_strdup(sim->arena, action->name),
                                     .uid = sim_uid(sim, action->kind),
                                     .resource_version = "1",
                                     .cluster = "a"};
    }
    assert_non_null(seen);
    assert_true(action->verb == PLAN_CREATE || strcmp(seen->uid, action->uid) == 0);
    seen->applied = keep(sim, action->object, ANNOTATION(ANN_APPLIED));
    seen->owner_uid = keep(sim, action->object, "metadata.ownerReferences[0].uid");
    seen->drifted = false;
    if (strcmp(action->kind, "StatefulSet") == 0)
        sim_write_set(sim, sim_instance(sim, action->name), action->object);
    else if (strcmp(action->kind, "PersistentVolumeClaim") == 0)
        sim_write_pvc(sim, action->object);
    else if (strcmp(action->kind, "ConfigMap") == 0)
        sim_write_config(sim, action->object);
    else if (strcmp(action->kind, "Lease") == 0)
        sim_write_lease(sim, action->object);
}

UNUSED static void sim_delete(struct sim *sim, const char *kind, const char *name)
{
    struct seen_object *object = sim_object(sim, kind, name);
    struct sim_instance *instance;
    struct seen_pvc *pvc = sim_pvc(sim, name, &instance);
    if (strcmp(kind, "Pod") == 0) {
        sim_instance(sim, arena_strndup(sim->arena, name, strlen(name) - 2))->seen.pod.deleting =
            true;
    } else if (strcmp(kind, "StatefulSet") == 0) {
        object->deleting = sim_instance(sim, name)->seen.set_deleting = true;
    } else if (strcmp(kind, "PersistentVolumeClaim") == 0) {
        object->deleting = pvc->deleting = true;
    } else {
        sim_forget(sim, kind, name);
    }
}

UNUSED static void sim_apply(struct sim *sim, const struct plan_action *action)
{
    if (action->verb == PLAN_DELETE)
        sim_delete(sim, action->kind, action->name);
    else if (action->verb == PLAN_RESTORE)
        sim_object(sim, action->kind, action->name)->drifted = false;
    else
        sim_write(sim, action);
}

/* ---- what controllers and kubelets do ---- */

UNUSED static void sim_pod_gone(struct sim *sim, struct sim_instance *instance)
{
    const char *name = instance->seen.pod.name;
    instance->seen.pod = world_no_pod(name);
    instance->seen.reported = false;
    instance->seen.report = (struct instance_report){0};
    instance->serving = false;
    if (strstr(sim->lease.holder, instance->seen.name) == sim->lease.holder)
        sim->rw_address = "";
}

UNUSED static void sim_set_step(struct sim *sim, struct sim_instance *instance)
{
    struct seen_instance *seen = &instance->seen;
    if (seen->set_deleting) {
        if (seen->pod.there) {
            seen->pod.deleting = true;
            return;
        }
        sim_forget(sim, "StatefulSet", seen->name);
        seen->set_there = seen->set_deleting = false;
        seen->set_uid = seen->template_hash = seen->agent_image = seen->update_revision = "";
        return;
    }
    if (!seen->set_there)
        return;
    if (seen->set_observed_generation != seen->set_generation) {
        seen->set_observed_generation = seen->set_generation;
        seen->update_revision = instance->set_content;
        return;
    }
    if (!seen->pod.there && seen->data.there && !seen->data.deleting) {
        seen->pod.there = true;
        seen->pod.uid = sim_uid(sim, "pod");
        seen->pod.revision = seen->update_revision;
        seen->pod.phase = "Pending";
        seen->pod.created_ms = sim->now_ms;
        instance->pod_is_bad = instance->set_is_bad;
    }
}

UNUSED static void sim_volume_step(struct sim *sim, struct sim_instance *instance)
{
    struct seen_instance *seen = &instance->seen;
    struct seen_pvc *pvc = &seen->data;
    if (!pvc->there)
        return;
    if (pvc->deleting && !seen->pod.there) {
        sim_forget(sim, "PersistentVolumeClaim", pvc->name);
        *pvc = world_no_pvc(pvc->name);
        instance->volume_data = 0;
    } else if (seen->pod.there) {
        pvc->phase = "Bound";
        pvc->capacity_bytes = pvc->requested_bytes;
    }
}

UNUSED static void sim_kubelet_step(struct sim *sim, struct sim_instance *instance)
{
    struct seen_pod *pod = &instance->seen.pod;
    if (!pod->there)
        return;
    if (pod->deleting) {
        sim_pod_gone(sim, instance);
    } else if (instance->pod_is_bad) {
        pod->waiting_reason = "ImagePullBackOff";
    } else if (strcmp(pod->phase, "Pending") == 0 && instance->seen.data.there &&
               strcmp(instance->seen.data.phase, "Bound") == 0) {
        pod->phase = "Running";
        pod->node = "node-1";
        pod->ips = arena_printf(sim->arena, "10.0.0.%d", sim->uids);
        instance->running_buffers = sim->buffers;
    }
}

/* ---- what agents do ---- */

UNUSED static struct sim_instance *sim_holder(struct sim *sim)
{
    const char *slash = strchr(sim->lease.holder, '/');
    if (slash == NULL)
        return NULL;
    return sim_instance(
        sim, arena_strndup(sim->arena, sim->lease.holder, (size_t)(slash - sim->lease.holder)));
}

UNUSED static void sim_report(struct sim *sim, struct sim_instance *instance, const char *phase,
                              const char *role)
{
    struct instance_report *report = &instance->seen.report;
    const char *token = instance->seen.reported ? report->restart_token : "";
    instance->seen.reported = true;
    *report = (struct instance_report){
        .instance = instance->seen.name,
        .role = role,
        .phase = phase,
        .reason = "",
        .message = "",
        .system_identifier =
            instance->volume_data ? arena_printf(sim->arena, "%d", instance->volume_data) : "",
        .postgres_version = "17.6",
        .timeline = 1,
        .epoch = instance->volume_epoch,
        .config_hash = "",
        .verifiers_hash = "verifiers-1",
        .restart_token = token,
        .pending_parameters = "",
    };
}

/* postgres runs: load the configuration, obey tokens, report. */
UNUSED static void sim_serve(struct sim *sim, struct sim_instance *instance, const char *role)
{
    const char *token = instance->seen.restart_token;
    bool pending = strcmp(instance->running_buffers, sim->buffers) != 0;
    bool obeyed = instance->seen.reported &&
                  strcmp(or_empty_text(instance->seen.report.restart_token), token) == 0;
    if (pending && *token && !obeyed) {
        instance->running_buffers = sim->buffers;
        instance->serving = instance->seen.pod.ready = false;
        sim_report(sim, instance, "Restarting", role);
        instance->seen.report.restart_token = token;
        return;
    }
    sim_report(sim, instance, "Running", role);
    instance->volume_role = role;
    instance->seen.report.config_hash = sim->config_hash;
    instance->seen.report.pending_restart = pending;
    instance->seen.report.bootstrapped = strcmp(role, "primary") == 0;
    instance->serving = instance->seen.pod.ready = true;
    if (strcmp(role, "primary") == 0)
        sim->rw_address = instance->seen.pod.ips;
}

UNUSED static void sim_take_lease(struct sim *sim, struct sim_instance *instance)
{
    sim->lease.holder =
        arena_printf(sim->arena, "%s/%s", instance->seen.name, instance->seen.pod.uid);
    sim->lease.transitions++;
}

UNUSED static void sim_initdb(struct sim *sim, struct sim_instance *instance)
{
    for (size_t i = 0; i < INSTANCES_MAX; i++)
        if (sim->instances[i].seen.data.there && sim->instances[i].volume_data != 0)
            fail_msg("%s initialises though %s holds data", instance->seen.name,
                     sim->instances[i].seen.name);
    instance->volume_data = 7000 + ++sim->initdbs;
    instance->volume_role = "primary";
}

UNUSED static void sim_holder_step(struct sim *sim, struct sim_instance *instance)
{
    const struct seen_lease *lease = &sim->lease;
    bool may_initdb = lease->granted && lease->grant.initdb &&
                      strcmp(lease->grant.instance, instance->seen.name) == 0;
    if (strstr(lease->holder, instance->seen.pod.uid) == NULL) {
        sim_take_lease(sim, instance);
    } else if (instance->volume_data == 0 && may_initdb) {
        sim_initdb(sim, instance);
    } else if (instance->volume_data == 0) {
        sim_report(sim, instance, "Waiting", "");
        instance->seen.report.reason = REASON_DATA_VOLUME_EMPTY;
    } else {
        instance->volume_epoch = lease->transitions;
        sim_serve(sim, instance, "primary");
    }
}

UNUSED static void sim_replica_step(struct sim *sim, struct sim_instance *instance,
                                    const struct sim_instance *primary)
{
    if (instance->volume_data == 0 && primary->serving) {
        instance->volume_data = primary->volume_data;
        instance->volume_role = "replica";
        sim_report(sim, instance, "Cloning", "");
    } else if (instance->volume_data == 0) {
        sim_report(sim, instance, "Waiting", "");
    } else if (primary->volume_data != 0 && instance->volume_data != primary->volume_data) {
        sim_report(sim, instance, "Failed", "");
        instance->seen.report.reason = REASON_SYSTEM_IDENTIFIER_MISMATCH;
    } else {
        instance->volume_epoch = sim->lease.transitions;
        sim_serve(sim, instance, "replica");
    }
}

UNUSED static void sim_agent_step(struct sim *sim, struct sim_instance *instance)
{
    const struct seen_lease *lease = &sim->lease;
    struct sim_instance *holder = sim_holder(sim);
    if (!instance->seen.pod.there || instance->seen.pod.deleting ||
        strcmp(instance->seen.pod.phase, "Running") != 0)
        return;
    if (!instance->seen.reported) {
        sim_report(sim, instance, "Starting", "");
        instance->seen.report.system_identifier = "";
    } else if (holder == instance) {
        sim_holder_step(sim, instance);
    } else if (holder != NULL) {
        sim_replica_step(sim, instance, holder);
    } else {
        sim_report(sim, instance, "Waiting", instance->volume_data ? instance->volume_role : "");
        bool mine = lease->there && lease->granted &&
                    strcmp(lease->grant.instance, instance->seen.name) == 0;
        if (mine && lease->transitions == 0 && (instance->volume_data || lease->grant.initdb))
            sim_take_lease(sim, instance);
    }
}

/* The primary's word on its replicas rides on its renewals. */
UNUSED static void sim_renew(struct sim *sim)
{
    const struct sim_instance *holder = sim_holder(sim);
    if (holder == NULL || !holder->serving)
        return;
    sim->lease.reported = true;
    sim->lease.report = (struct primary_report){
        .timeline = 1, .lsn = "0/3000000", .replicas = sim->replicas, .replica_count = 0};
    for (size_t i = 0; i < INSTANCES_MAX; i++)
        if (&sim->instances[i] != holder && sim->instances[i].serving)
            sim->replicas[sim->lease.report.replica_count++] =
                (struct replica_report){.name = sim->instances[i].seen.name,
                                        .state = "streaming",
                                        .slot_wal_status = "reserved"};
}

enum { SIM_ACTORS = 5 };

UNUSED static void sim_act(struct sim *sim, uint32_t actor, struct sim_instance *instance)
{
    static void (*const steps[])(struct sim * sim, struct sim_instance * instance) = {
        sim_set_step, sim_volume_step, sim_kubelet_step, sim_agent_step};
    sim->now_ms += 500;
    if (actor < sizeof steps / sizeof *steps)
        steps[actor](sim, instance);
    else
        sim_renew(sim);
}

/* One step of something, somewhere. */
UNUSED static void sim_step(struct sim *sim)
{
    uint32_t actor = sim_random(sim, SIM_ACTORS);
    sim_act(sim, actor, &sim->instances[sim_random(sim, INSTANCES_MAX)]);
}

/* One step of everything everywhere. */
UNUSED static void sim_sweep(struct sim *sim)
{
    for (uint32_t actor = 0; actor < SIM_ACTORS; actor++)
        for (size_t i = 0; i < INSTANCES_MAX; i++)
            sim_act(sim, actor, &sim->instances[i]);
}

/* ---- what the operator sees ---- */

UNUSED static void sim_snapshot(struct sim *sim, struct world *world, struct arena *arena)
{
    world_init(world, arena, 1);
    struct snapshot *snapshot = &world->snapshot;
    snapshot->spec = sim->spec;
    snapshot->lease = sim->lease;
    snapshot->rw_address = sim->rw_address;
    snapshot->status = sim->status;
    snapshot->image_volumes = true;
    snapshot->instance_count = 0;
    for (size_t i = 0; i < INSTANCES_MAX; i++) {
        const struct seen_instance *seen = &sim->instances[i].seen;
        if (seen->ordinal <= sim->spec.instances || seen->set_there || seen->pod.there ||
            seen->data.there)
            world->instances[snapshot->instance_count++] = *seen;
    }
    memcpy(world->objects, sim->objects, sizeof sim->objects);
    snapshot->object_count = sim->object_count;
    world->config_hash = desired_config_hash(arena, snapshot);
    for (size_t i = 0; i < snapshot->instance_count; i++)
        world->hashes[i] = desired_template_hash(arena, snapshot, world->instances[i].name);
    world->now_ms = sim->now_ms;
}
