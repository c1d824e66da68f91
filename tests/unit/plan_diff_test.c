#include "objects.h"

#define PLAN_WORLD(n)                                                                              \
    WORLD(n);                                                                                      \
    struct objects objects;                                                                        \
    objects_init(&objects, arena)

static const struct plan_action *find(const struct plan *plan, const char *kind, const char *name)
{
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->actions[i].kind, kind) == 0 && strcmp(plan->actions[i].name, name) == 0)
            return &plan->actions[i];
    return NULL;
}

static void what_is_not_there_is_created_with_its_mark(void **state)
{
    PLAN_WORLD(1);
    cJSON *service = objects_add(&objects, "Service", "a-rw");
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 1);
    assert_int_equal(plan->actions[0].verb, PLAN_CREATE);
    assert_string_equal(plan->actions[0].uid, "");
    assert_string_equal(
        json_str(plan->actions[0].object, "metadata.annotations[\"pgkeel.dev/applied\"]", ""),
        json_hash(arena, service));
}

static void nothing_is_done_when_the_intent_is_what_was_applied(void **state)
{
    PLAN_WORLD(1);
    objects_applied(&objects, &world, objects_add(&objects, "Service", "a-rw"));
    assert_int_equal(objects_plan(&objects, &world)->count, 0);
}

static void somebody_elses_change_is_undone(void **state)
{
    PLAN_WORLD(1);
    objects_applied(&objects, &world, objects_add(&objects, "Service", "a-rw"))->drifted = true;
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 1);
    assert_int_equal(plan->actions[0].verb, PLAN_APPLY);
    assert_string_equal(plan->actions[0].uid, "uid-Service-a-rw");
    assert_string_equal(plan->actions[0].reason, "somebody changed it");
    assert_true(plan->actions[0].drift);
}

static void what_somebody_added_is_removed_before_anything_else(void **state)
{
    PLAN_WORLD(1);
    objects_applied(&objects, &world, objects_add(&objects, "Service", "a-ro"));
    struct seen_object *seen =
        objects_applied(&objects, &world, objects_add(&objects, "Service", "a-rw"));
    seen->foreign = "spec.selector";
    seen->drifted = true;
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 2);
    assert_int_equal(plan->actions[0].verb, PLAN_MEND);
    assert_string_equal(plan->actions[0].uid, "uid-Service-a-rw");
    assert_contains(plan->actions[0].reason, "somebody added spec.selector");
    assert_false(plan->actions[0].drift);
    assert_int_equal(plan->actions[1].verb, PLAN_APPLY);
    assert_string_equal(plan->actions[1].name, "a-rw");
}

/* Somebody's sidecar makes a revision, too: no pod that works is ended for it. */
static void no_pod_is_ended_for_what_somebody_added_to_its_template(void **state)
{
    PLAN_WORLD(2);
    world_new_template(&world);
    struct seen_object *set =
        objects_applied(&objects, &world, objects_add(&objects, "StatefulSet", "a-2"));
    assert_non_null(find(objects_plan(&objects, &world), "Pod", "a-2-0"));
    set->foreign = "spec.template.spec.nodeSelector";
    struct plan *plan = objects_plan(&objects, &world);
    assert_null(find(plan, "Pod", "a-2-0"));
    assert_int_equal(find(plan, "StatefulSet", "a-2")->verb, PLAN_MEND);
    set->foreign = "";
    set->drifted = true;
    assert_null(find(objects_plan(&objects, &world), "Pod", "a-2-0"));
}

static void what_else_leads_to_the_primarys_service_is_deleted(void **state)
{
    PLAN_WORLD(1);
    world_object(&world, "Service", "a-old");
    struct seen_stray stray = {"v1", "Endpoints", "a-rw", "uid-stray", "rw", false};
    world.snapshot.strays = &stray;
    world.snapshot.stray_count = 1;
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 2);
    assert_int_equal(plan->actions[0].verb, PLAN_DELETE);
    assert_string_equal(plan->actions[0].uid, "uid-stray");
    assert_contains(plan->actions[0].reason, "Service 'a-rw'");
    assert_true(plan->actions[0].drift);
    const struct model_blocker *wait = world_wait(world_model(&world), REASON_ENDPOINT_FOREIGN);
    assert_int_equal(wait->affects, AFFECTS_PRIMARY);
    assert_contains(wait->message, "Endpoints 'a-rw'");
}

static void waves_follow_growth_support_volumes_instances_pods_deletes(void **state)
{
    PLAN_WORLD(2);
    world_new_template(&world);
    world_object(&world, "Service", "a-old");
    objects_add(&objects, "StatefulSet", "a-3");
    objects_add_pvc(&objects, "a-3-data", "1Gi");
    objects_add(&objects, "Lease", "a-primary");
    cJSON *grown = objects_add_pvc(&objects, "a-1-data", "2Gi");
    objects_applied(&objects, &world, grown)->applied = "earlier";
    struct plan *plan = objects_plan(&objects, &world);
    static const char *const order[] = {"a-1-data", "a-primary", "a-3-data",
                                        "a-3",      "a-2-0",     "a-old"};
    assert_int_equal(plan->count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(plan->actions[i].name, order[i]);
    assert_string_equal(plan->actions[0].effect, "resize");
    assert_contains(plan->actions[0].reason, "spec.storage.size grew");
    assert_int_equal(plan->actions[4].verb, PLAN_DELETE);
    assert_string_equal(plan->actions[4].uid, "uid-pod-2");
}

static void volumes_grow_while_no_pod_is_healthy(void **state)
{
    PLAN_WORLD(2);
    for (int i = 0; i < 2; i++) {
        world.instances[i].pod.ready = false;
        world.instances[i].report.phase = "Failed";
        const char *name = world.instances[i].data.name;
        objects_applied(&objects, &world, objects_add_pvc(&objects, name, "2Gi"))->applied = "x";
    }
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 2);
    assert_int_equal(plan->actions[0].wave, PLAN_WAVE_GROW);
    assert_int_equal(plan->actions[1].wave, PLAN_WAVE_GROW);
}

static void a_growth_that_never_happened_is_taken_back_in_words_for_people(void **state)
{
    PLAN_WORLD(1);
    world.instances[0].data.requested_bytes = 50LL << 30;
    objects_applied(&objects, &world, objects_add_pvc(&objects, "a-1-data", "800Mi"))->applied =
        "x";
    world.instances[0].data.capacity_bytes = 400LL << 20;
    struct plan *plan = objects_plan(&objects, &world);
    assert_string_equal(json_str(plan->actions[0].object, "spec.resources.requests.storage", ""),
                        "800Mi");
    assert_string_equal(
        plan->actions[0].reason,
        "spec.storage.size went back from 50Gi to 800Mi, because the volume did not grow");
    world.instances[0].data.requested_bytes = 400LL << 20;
    assert_string_equal(objects_plan(&objects, &world)->actions[0].reason,
                        "spec.storage.size grew from 400Mi to 800Mi");
}

static void a_refused_growth_does_not_keep_from_noting_what_is_on_the_volume(void **state)
{
    PLAN_WORLD(1);
    cJSON *pvc = objects_add_pvc(&objects, "a-1-data", "2Gi");
    json_set_str(json_get(pvc, "metadata.annotations"), ANN_EPOCH, "7");
    objects_applied(&objects, &world, pvc)->applied = "x";
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 2);
    assert_string_equal(json_str(plan->actions[0].object, "spec.resources.requests.storage", ""),
                        "1073741824");
    assert_string_equal(json_str(plan->actions[1].object, "spec.resources.requests.storage", ""),
                        "2Gi");
    world.instances[0].data.epoch = 7;
    assert_int_equal(objects_plan(&objects, &world)->count, 1);
}

static void objects_of_others_are_collisions_and_never_touched(void **state)
{
    PLAN_WORLD(1);
    static const struct {
        const char *name, *owner_uid, *cluster, *owner;
        bool passing;
    } table[] = {
        {"s-other", "other-uid", "b", "PostgresCluster 'b'", false},
        {"s-label", "", "", "no label", false},
        {"s-owned", "other-uid", "", "other-uid", false},
        {"s-earlier", "earlier-uid", "a", "earlier PostgresCluster 'a'", true},
    };
    for (size_t i = 0; i < 4; i++) {
        objects_add(&objects, "Service", table[i].name);
        struct seen_object *seen = world_object(&world, "Service", table[i].name);
        seen->owner_uid = table[i].owner_uid;
        seen->cluster = table[i].cluster;
        seen->drifted = true;
    }
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 0);
    assert_int_equal(plan->collision_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_contains(plan->collisions[i].owner, table[i].owner);
        assert_int_equal(plan->collisions[i].passing, table[i].passing);
    }
}

static void a_volume_kept_from_an_earlier_cluster_is_adopted(void **state)
{
    PLAN_WORLD(1);
    objects_add_pvc(&objects, "a-1-data", "1Gi");
    world_object(&world, "PersistentVolumeClaim", "a-1-data")->owner_uid = "";
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->collision_count, 0);
    assert_int_equal(plan->actions[0].verb, PLAN_APPLY);
    assert_contains(plan->actions[0].reason, "adopted");
}

static void an_object_being_deleted_is_waited_for(void **state)
{
    PLAN_WORLD(1);
    objects_applied(&objects, &world, objects_add(&objects, "Service", "a-rw"))->deleting = true;
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 0);
    assert_int_equal(plan->held_count, 1);
    assert_string_equal(plan->held[0]->name, "a-rw");
}

static void only_what_is_ours_and_of_a_known_kind_is_deleted(void **state)
{
    PLAN_WORLD(1);
    world_object(&world, "Service", "a-old");
    world_object(&world, "Secret", "a-server");
    world_object(&world, "Lease", "a-primary");
    world_object(&world, "ControllerRevision", "a-1-abc");
    world_object(&world, "Service", "s-slice")->owner_uid = "service-uid";
    world_object(&world, "Service", "s-label")->cluster = "b";
    world_object(&world, "ConfigMap", "s-retained")->owner_uid = "";
    world_object(&world, "Service", "s-going")->deleting = true;
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 1);
    assert_string_equal(plan->actions[0].name, "a-old");
    assert_string_equal(plan->actions[0].uid, "uid-Service-a-old");
}

static void surplus_instances_go_from_the_highest_ordinal_down(void **state)
{
    PLAN_WORLD(4);
    world.snapshot.spec.instances = 2;
    for (int i = 0; i < 4; i++)
        world_object(&world, "StatefulSet", world.instances[i].name);
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 2); /* a-1 and a-2 are wanted, desired or not */
    assert_string_equal(plan->actions[0].name, "a-4");
    assert_string_equal(plan->actions[1].name, "a-3");
    assert_true(plan->actions[0].wave < plan->actions[1].wave);
}

static void a_volume_goes_only_behind_its_instance_and_when_it_is_not_kept(void **state)
{
    PLAN_WORLD(2);
    world.snapshot.spec.instances = 1;
    world_object(&world, "PersistentVolumeClaim", "a-2-data");
    world.instances[1].set_there = false;
    assert_int_equal(objects_plan(&objects, &world)->count, 0); /* retained */
    world.snapshot.spec.retain = false;
    assert_int_equal(objects_plan(&objects, &world)->count, 0); /* its pod is there */
    world.instances[1].pod = world_no_pod("a-2-0");
    struct plan *plan = objects_plan(&objects, &world);
    assert_int_equal(plan->count, 1);
    assert_string_equal(plan->actions[0].effect, "irreversible");
    world.snapshot.spec.retain = true;
    assert_int_equal(objects_plan(&objects, &world)->count, 0);
}

static void a_changed_template_says_what_it_does(void **state)
{
    PLAN_WORLD(1);
    cJSON *set = objects_add(&objects, "StatefulSet", "a-1");
    objects_applied(&objects, &world, set);
    json_set_str(json_get(set, "metadata.annotations"), ANN_TEMPLATE, "template-2");
    const struct plan_action *action = find(objects_plan(&objects, &world), "StatefulSet", "a-1");
    assert_string_equal(action->effect, "recreate pod");
    assert_contains(action->reason, "image, resources");
}

static void a_changed_configuration_says_whether_it_reloads_or_restarts(void **state)
{
    PLAN_WORLD(1);
    cJSON *config = objects_add(&objects, "ConfigMap", "a-config");
    objects_applied(&objects, &world, config)->applied = "earlier";
    world.config_hash = "config-2";
    struct plan *plan = objects_plan(&objects, &world);
    assert_string_equal(plan->actions[0].effect, "reload");
    world.instances[0].report.config_hash = "config-2";
    world.instances[0].report.pending_restart = true;
    world.instances[0].report.pending_parameters = "shared_buffers";
    plan = objects_plan(&objects, &world);
    assert_string_equal(plan->actions[0].effect, "restart");
    assert_contains(plan->actions[0].reason, "a-1 is to restart postgres for: shared_buffers");
}

static void nothing_at_all_is_done_for_an_invalid_spec_or_a_cluster_that_goes(void **state)
{
    PLAN_WORLD(1);
    struct spec_fault fault = {"spec.instances", "must be 1 to 9"};
    objects_add(&objects, "Service", "a-rw");
    world_object(&world, "Service", "a-old");
    world.snapshot.faults = (struct spec_faults){&fault, 1};
    assert_int_equal(objects_plan(&objects, &world)->count, 0);
    world.snapshot.faults.count = 0;
    world.snapshot.spec.deleting = true;
    assert_int_equal(objects_plan(&objects, &world)->count, 0);
    world.snapshot.spec.deleting = false;
    world.snapshot.namespace_terminating = true;
    assert_int_equal(objects_plan(&objects, &world)->count, 0);
    world.snapshot.namespace_terminating = false;
    assert_int_equal(objects_plan(&objects, &world)->count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_there_is_created_with_its_mark),
        cmocka_unit_test(nothing_is_done_when_the_intent_is_what_was_applied),
        cmocka_unit_test(somebody_elses_change_is_undone),
        cmocka_unit_test(what_somebody_added_is_removed_before_anything_else),
        cmocka_unit_test(no_pod_is_ended_for_what_somebody_added_to_its_template),
        cmocka_unit_test(what_else_leads_to_the_primarys_service_is_deleted),
        cmocka_unit_test(waves_follow_growth_support_volumes_instances_pods_deletes),
        cmocka_unit_test(volumes_grow_while_no_pod_is_healthy),
        cmocka_unit_test(a_growth_that_never_happened_is_taken_back_in_words_for_people),
        cmocka_unit_test(a_refused_growth_does_not_keep_from_noting_what_is_on_the_volume),
        cmocka_unit_test(objects_of_others_are_collisions_and_never_touched),
        cmocka_unit_test(a_volume_kept_from_an_earlier_cluster_is_adopted),
        cmocka_unit_test(an_object_being_deleted_is_waited_for),
        cmocka_unit_test(only_what_is_ours_and_of_a_known_kind_is_deleted),
        cmocka_unit_test(surplus_instances_go_from_the_highest_ordinal_down),
        cmocka_unit_test(a_volume_goes_only_behind_its_instance_and_when_it_is_not_kept),
        cmocka_unit_test(a_changed_template_says_what_it_does),
        cmocka_unit_test(a_changed_configuration_says_whether_it_reloads_or_restarts),
        cmocka_unit_test(nothing_at_all_is_done_for_an_invalid_spec_or_a_cluster_that_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
