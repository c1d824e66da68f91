/*
 * Properties over many generated histories: whatever people and accidents do, no pass takes more
 * down than it may, no data is initialised away, Ready tells the truth, and once left alone the
 * cluster comes to rest.
 */
#include "simulation.h"

#include <stdio.h>

#include "status/status.h"

/* More of them: PGKEEL_HISTORIES=1000; from one on: PGKEEL_SEED=703 PGKEEL_HISTORIES=703 */
enum { HISTORIES = 20, EVENTFUL_PASSES = 40, QUIET_PASSES = 300, STILL_PASSES = 12, STEPS = 24 };

struct pass {
    struct arena *arena;
    struct world world;
    struct model *model;
    struct plan *plan;
    struct status_result early;
};

static bool newly_restarted(const struct model_instance *instance)
{
    return strcmp(instance->restart_token, instance->seen->restart_token) != 0 &&
           instance->needs_restart;
}

static void check_disruptions(const struct model *model)
{
    const struct model_instance *taken = NULL;
    for (size_t i = 0; i < model->instance_count; i++) {
        const struct model_instance *instance = &model->instances[i];
        if (!instance->healthy || !(instance->delete_pod || newly_restarted(instance)))
            continue;
        if (taken != NULL)
            fail_msg("%s and %s are taken down at once", taken->name, instance->name);
        taken = instance;
    }
    for (size_t i = 0; taken && i < model->instance_count; i++) {
        const struct model_instance *other = &model->instances[i];
        if (other == taken || !other->wanted)
            continue;
        if (!other->healthy)
            fail_msg("%s is taken down while %s is not healthy", taken->name, other->name);
        if (taken->primary && (other->outdated || other->needs_restart))
            fail_msg("the primary is taken down before replica %s", other->name);
    }
}

static void check_deletes(const struct model *model, const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_action *action = &plan->actions[i];
        if (action->verb != PLAN_DELETE || model->primary == NULL)
            continue;
        if (strcmp(action->kind, "StatefulSet") == 0)
            assert_string_not_equal(action->name, model->primary->name);
        if (strcmp(action->kind, "PersistentVolumeClaim") == 0) {
            assert_false(model->snapshot->spec.retain);
            assert_string_not_equal(action->name, model->primary->seen->data.name);
        }
    }
}

/* What serves is given a template only by itself, and none that has failed elsewhere. */
static void check_templates(const struct sim *sim, const struct plan *plan)
{
    const char *given = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_action *action = &plan->actions[i];
        const char *template = json_str(action->object, ANNOTATION(ANN_TEMPLATE), "");
        int ordinal = name_ordinal("a", action->name);
        if (strcmp(action->kind, "StatefulSet") != 0 || action->verb != PLAN_APPLY ||
            !sim->instances[ordinal - 1].serving ||
            strcmp(sim->instances[ordinal - 1].seen.template_hash, template) == 0)
            continue;
        if (given != NULL)
            fail_msg("%s and %s are given a template at once", given, action->name);
        given = action->name;
        const char *image = json_str(action->object, "spec.template.spec.containers[0].image", "");
        for (int other = 1; other <= sim->spec.instances; other++)
            if (other != ordinal && sim->instances[other - 1].pod_is_bad &&
                !sim->instances[other - 1].seen.pod.deleting && strcmp(image, "bad") == 0)
                fail_msg("%s is given a template that failed on instance %d", action->name, other);
    }
}

/* Looked up in the truth, not in what the model made of it. */
static void check_ready(const struct sim *sim, const struct status_result *status)
{
    if (!status->ready)
        return;
    for (int i = 0; i < sim->spec.instances; i++) {
        const struct sim_instance *instance = &sim->instances[i];
        if (!instance->serving || instance->seen.pod.deleting || !instance->seen.set_there)
            fail_msg("Ready though %s does not serve", instance->seen.name);
        assert_string_equal(instance->seen.pod.revision, instance->set_content);
        assert_string_equal(instance->seen.report.config_hash, sim->config_hash);
        assert_string_equal(instance->running_buffers, sim->buffers);
        assert_true(instance->seen.data.capacity_bytes >= sim->spec.storage.size_bytes);
    }
    for (int i = sim->spec.instances; i < INSTANCES_MAX; i++)
        assert_false(sim->instances[i].seen.set_there);
    assert_int_equal(json_int(status->status, "observedGeneration", 0), sim->spec.generation);
}

static void begin(struct pass *pass, struct sim *sim)
{
    pass->arena = arena_new();
    sim_snapshot(sim, &pass->world, pass->arena);
    pass->model = world_model(&pass->world);
    struct desired desired = desired_build(pass->arena, pass->model);
    pass->plan = plan_diff(pass->arena, pass->model, &desired);
    pass->early = status_build(pass->arena, pass->model, pass->plan, NULL, 0, sim->now_ms);
    check_disruptions(pass->model);
    check_deletes(pass->model, pass->plan);
    check_templates(sim, pass->plan);
    if (pass->plan->count > 0)
        assert_false(pass->early.ready);
    check_ready(sim, &pass->early);
}

static void write_status(struct sim *sim, const struct status_result *result)
{
    if (result->changed)
        sim->status = json_copy(sim->arena, result->status);
}

/* A whole pass, or one whose operator is killed before the k-th write. Returns whether anything
 * was written. */
static bool run_pass(struct sim *sim, size_t killed_at)
{
    struct pass pass;
    begin(&pass, sim);
    size_t count = pass.plan->count;
    struct status_outcome *outcomes = arena_alloc(pass.arena, (count + 1) * sizeof *outcomes);
    for (size_t i = 0; i < count && i < killed_at; i++) {
        outcomes[i].action = &pass.plan->actions[i];
        sim_apply(sim, &pass.plan->actions[i]);
    }
    bool wrote = count > 0;
    if (killed_at >= count) {
        struct status_result result =
            status_build(pass.arena, pass.model, pass.plan, outcomes, count, sim->now_ms);
        wrote = wrote || result.changed;
        write_status(sim, &result);
    }
    arena_free(pass.arena);
    return wrote;
}

/* What a pass has written, another one right behind it finds as it wants it. */
static void check_second_pass(struct sim *sim)
{
    struct pass pass;
    (void)run_pass(sim, SIZE_MAX);
    begin(&pass, sim);
    if (pass.plan->count > 0)
        fail_msg("a second pass would still do this: %s %s (%s)", pass.plan->actions[0].kind,
                 pass.plan->actions[0].name, pass.plan->actions[0].reason);
    arena_free(pass.arena);
}

static void delete_random_object(struct sim *sim)
{
    if (sim->object_count == 0)
        return;
    struct seen_object *object = &sim->objects[sim_random(sim, (uint32_t)sim->object_count)];
    struct sim_instance *instance;
    if (strcmp(object->kind, "Lease") == 0)
        return; /* a person's last resort, see the docs */
    if (strcmp(object->kind, "PersistentVolumeClaim") == 0) {
        (void)sim_pvc(sim, object->name, &instance);
        if (strcmp(instance->volume_role ? instance->volume_role : "", "replica") != 0)
            return; /* the primary's: nothing could be proved of what follows */
        instance->seen.pod.deleting = instance->seen.pod.there;
    }
    sim_delete(sim, object->kind, object->name);
}

/* The cluster object is deleted, all that it owns goes, and it is applied again. */
static void delete_and_apply_again(struct sim *sim)
{
    for (size_t i = 0; i < INSTANCES_MAX; i++) {
        struct sim_instance *instance = &sim->instances[i];
        sim_pod_gone(sim, instance);
        instance->seen.set_deleting = instance->seen.set_there;
        sim_set_step(sim, instance);
        instance->seen.restart_token = "";
    }
    for (size_t i = 0; i < sim->object_count;)
        if (*sim->objects[i].owner_uid)
            sim_forget(sim, sim->objects[i].kind, sim->objects[i].name);
        else
            i++;
    sim->lease = (struct seen_lease){.uid = "", .resource_version = "", .holder = ""};
    sim->rw_address = "";
    sim->status = NULL;
    sim->spec.uid = sim_uid(sim, "cluster");
    sim->spec.generation = 1;
}

static void change_spec(struct sim *sim)
{
    static const char *const buffers[] = {"128MB", "256MB", "512MB"};
    static const char *const images[] = {"postgres:17.5", "postgres:17.6", "bad"};
    sim->spec.generation++;
    switch (sim_random(sim, 6)) {
    case 0:
        sim->parameters[0].value = buffers[sim_random(sim, 3)];
        break;
    case 1:
        sim->parameters[1].value = sim_random(sim, 2) ? "8MB" : "4MB";
        break;
    case 2:
        sim->spec.image = images[sim_random(sim, 3)];
        break;
    case 3:
        sim->spec.instances = 1 + (int)sim_random(sim, 4);
        break;
    case 4:
        sim->spec.storage.size_bytes += 1LL << 30;
        sim->spec.storage.size =
            arena_printf(sim->arena, "%lld", (long long)sim->spec.storage.size_bytes);
        break;
    default:
        sim->spec.allow_eviction = !sim->spec.allow_eviction;
        break;
    }
}

static void something_happens(struct sim *sim)
{
    struct sim_instance *instance = &sim->instances[sim_random(sim, 4)];
    switch (sim_random(sim, 8)) {
    case 0:
    case 1:
    case 2:
        change_spec(sim);
        break;
    case 3:
        instance->seen.pod.deleting = instance->seen.pod.there;
        break;
    case 4: /* its container restarts */
        instance->serving = instance->seen.pod.ready = instance->seen.reported = false;
        instance->running_buffers = sim->buffers;
        break;
    case 5:
        if (sim->object_count > 0)
            sim->objects[sim_random(sim, (uint32_t)sim->object_count)].drifted = true;
        break;
    case 6:
        delete_random_object(sim);
        break;
    default:
        if (sim_random(sim, 4) == 0)
            delete_and_apply_again(sim);
        break;
    }
}

static uint64_t number(const char *variable, uint64_t fallback)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : fallback;
}

static uint64_t first_seed(void)
{
    return number("PGKEEL_SEED", 1);
}

static uint64_t last_seed(void)
{
    return number("PGKEEL_HISTORIES", HISTORIES);
}

static void steps(struct sim *sim)
{
    for (uint32_t count = sim_random(sim, STEPS); count > 0; count--)
        sim_step(sim);
}

static void live(struct sim *sim)
{
    for (int i = 0; i < EVENTFUL_PASSES; i++) {
        if (sim_random(sim, 4) == 0)
            something_happens(sim);
        steps(sim);
        if (sim_random(sim, 3) == 0)
            (void)run_pass(sim, sim_random(sim, 12));
        else if (sim_random(sim, 8) == 0)
            check_second_pass(sim);
        else
            (void)run_pass(sim, SIZE_MAX);
    }
}

/* Nobody interferes any more, until nothing has been written for a good while. */
static void come_to_rest(struct sim *sim, uint64_t seed)
{
    int still = 0;
    for (int i = 0; i < QUIET_PASSES && still < STILL_PASSES; i++) {
        steps(sim);
        if (still > 2) /* chance may have passed somebody over */
            sim_sweep(sim);
        still = run_pass(sim, SIZE_MAX) ? 0 : still + 1;
    }
    if (still < STILL_PASSES)
        fail_msg("seed %d does not come to rest: %s", (int)seed,
                 json_str(sim->status, "conditions[0].message", ""));
}

static void every_history_ends_ready_and_at_rest(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed(); seed <= last_seed(); seed++) {
        AUTO_ARENA arena = arena_new();
        struct sim sim;
        sim_init(&sim, arena, seed);
        live(&sim);
        sim.spec.image = "postgres:17.6";
        sim.spec.generation++;
        come_to_rest(&sim, seed);
        if (strcmp(json_str(sim.status, "conditions[0].reason", ""), REASON_VOLUME_UNKNOWN) == 0) {
            sim.spec.instances = 4; /* what the message asks for */
            come_to_rest(&sim, seed);
        }
        if (strcmp(json_str(sim.status, "phase", ""), "Healthy") != 0)
            fail_msg("seed %d ends so: %s", (int)seed, json_compact(arena, sim.status));
    }
}

/* Volumes of earlier clusters, with data and stamps at random: whatever is decided, nothing that
 * holds data is passed over for an empty volume, and the newest primary wins. */
static void volumes_found_are_never_initialised_away(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed(); seed <= last_seed(); seed++) {
        AUTO_ARENA arena = arena_new();
        struct sim sim;
        sim_init(&sim, arena, seed);
        for (uint32_t i = 0; i < 1 + sim_random(&sim, 4); i++) {
            struct sim_instance *instance = &sim.instances[sim_random(&sim, 4)];
            struct seen_pvc *pvc = &instance->seen.data;
            if (pvc->there)
                continue;
            struct seen_object *object = &sim.objects[sim.object_count++];
            *object = (struct seen_object){.api_version = "v1",
                                           .kind = "PersistentVolumeClaim",
                                           .name = pvc->name,
                                           .uid = sim_uid(&sim, "pvc"),
                                           .resource_version = "1",
                                           .owner_uid = "",
                                           .cluster = "a",
                                           .applied = "earlier"};
            pvc->there = true;
            pvc->uid = object->uid;
            pvc->phase = "Bound";
            pvc->storage_class = "fast";
            pvc->requested_bytes = pvc->capacity_bytes = 1LL << 30;
            if (sim_random(&sim, 3) == 0)
                continue; /* empty */
            instance->volume_data = 6999;
            instance->volume_role = sim_random(&sim, 2) ? "primary" : "replica";
            instance->volume_epoch = 1 + (int64_t)sim_random(&sim, 3);
            if (sim_random(&sim, 2) == 0)
                continue; /* unstamped: only its agent can tell */
            pvc->system_identifier = "6999";
            pvc->last_role = instance->volume_role;
            pvc->epoch = instance->volume_epoch;
        }
        come_to_rest(&sim, seed);
        bool had_data = false, has_primary = *sim.lease.holder != '\0';
        for (size_t i = 0; i < INSTANCES_MAX; i++)
            had_data = had_data || sim.instances[i].volume_data == 6999;
        assert_true(!had_data || sim.initdbs == 0);
        const char *reason = json_str(sim.status, "conditions[0].reason", "");
        if (!has_primary && strcmp(reason, REASON_BOOTSTRAP_BLOCKED) != 0 &&
            strcmp(reason, REASON_VOLUME_UNKNOWN) != 0)
            fail_msg("seed %d ends without a primary: %s", (int)seed,
                     json_str(sim.status, "conditions[0].message", ""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_history_ends_ready_and_at_rest),
        cmocka_unit_test(volumes_found_are_never_initialised_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
