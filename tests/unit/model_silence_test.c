/* What is said of instances that nothing is heard of. */
#include "world.h"

static const struct model_blocker *wait_of(struct world *world, const char *reason)
{
    const struct model_blocker *blocker = world_wait(world_model(world), reason);
    if (blocker == NULL)
        fail_msg("no wait has the reason %s", reason);
    return blocker;
}

static void overdue(struct world *world, int64_t silent_ms)
{
    world->snapshot.lease.pulse = PULSE_OVERDUE;
    world->snapshot.lease.silent_ms = silent_ms;
}

static void node_silent(struct world *world, int ordinal)
{
    world->instances[ordinal - 1].pod.ready = false;
    world->instances[ordinal - 1].pod.node_silent = true;
}

static void a_primary_that_does_not_renew_is_unknown_and_comes_first(void **state)
{
    WORLD(2);
    overdue(&world, 9000);
    struct model *model = world_model(&world);
    assert_false(model->primary->healthy);
    assert_true(model->primary->unknown && model->instances[1].unknown);
    assert_string_equal(model->blockers[0].reason, REASON_LEASE_OVERDUE);
    assert_string_equal(model->blockers[0].what, "primary a-1 serves");
    assert_true(model->blockers[0].unknown && model->blockers[0].fault);
    assert_int_equal(model->blockers[0].since_ms, WORLD_NOW_MS - 9000);
    assert_int_equal(model->next_ms, WORLD_NOW_MS + 51000);
    assert_string_equal(model->blockers[1].what, "replica a-2 streams");
    assert_true(model->blockers[1].unknown);
    assert_int_equal(model->blocker_count, 2);
}

static void the_cause_comes_before_its_consequence_whatever_the_ordinals(void **state)
{
    WORLD(2);
    world.snapshot.lease.holder = "a-2/uid-pod-2";
    world.instances[0].report.role = "replica";
    world.instances[1].report.role = "primary";
    world.replicas[0].name = "a-1";
    world.snapshot.rw_address = "10.0.0.2";
    overdue(&world, 9000);
    node_silent(&world, 1);
    node_silent(&world, 2);
    struct model *model = world_model(&world);
    assert_string_equal(model->blockers[0].what, "primary a-2 serves");
    assert_string_equal(model->blockers[1].what, "replica a-1 streams");
}

static void a_node_that_does_not_answer_is_named_with_what_helps(void **state)
{
    WORLD(2);
    overdue(&world, 45000);
    node_silent(&world, 1);
    world.instances[0].pod.node = "node-9";
    const struct model_blocker *blocker = wait_of(&world, REASON_NODE_UNREACHABLE);
    assert_contains(blocker->message, "node 'node-9' does not answer Kubernetes");
    assert_contains(blocker->message, clock_rfc3339(arena, WORLD_NOW_MS - 45000));
    assert_contains(blocker->unblock,
                    "kubectl taint node node-9 node.kubernetes.io/out-of-service");
    world.instances[0].pod.deleting = true; /* by the taint manager, five minutes later */
    assert_string_equal(wait_of(&world, REASON_NODE_UNREACHABLE)->message, blocker->message);
    assert_null(world_wait(world_model(&world), REASON_POD_TERMINATING));
}

static void since_when_stays_while_more_is_learned(void **state)
{
    WORLD(2);
    cJSON *status = json_object(arena);
    cJSON *old = json_push_object(json_add_array(status, "waitingFor"));
    json_set_str(old, "what", "primary a-1 serves");
    json_set_str(old, "reason", REASON_LEASE_OVERDUE);
    json_set_str(old, "since", clock_rfc3339(arena, WORLD_NOW_MS - 50000));
    world.snapshot.status = status;
    overdue(&world, 8001); /* as a new operator sees it */
    node_silent(&world, 1);
    assert_int_equal(wait_of(&world, REASON_NODE_UNREACHABLE)->since_ms, WORLD_NOW_MS - 50000);
}

static void a_node_that_is_heard_of_leaves_the_agent_and_its_way(void **state)
{
    WORLD(2);
    overdue(&world, 60000);
    const struct model_blocker *blocker = wait_of(&world, REASON_API_UNREACHABLE);
    assert_true(blocker->unknown && blocker->fault);
    assert_contains(blocker->unblock, "kubectl -n n delete pod a-1-0");
}

static void agents_whose_account_was_made_again_are_told_at_once(void **state)
{
    WORLD(2);
    overdue(&world, 9000);
    world.snapshot.account_created_ms = world.instances[0].pod.created_ms;
    assert_non_null(wait_of(&world, REASON_LEASE_OVERDUE));
    world.snapshot.account_created_ms++;
    const struct model_blocker *blocker = wait_of(&world, REASON_API_UNREACHABLE);
    assert_contains(blocker->message, "ServiceAccount 'a' was deleted and created again");
    assert_contains(blocker->unblock,
                    "replicas first: kubectl -n n delete pod a-2-0 && kubectl -n n "
                    "delete pod a-1-0");
    world.instances[1].pod.created_ms = world.snapshot.account_created_ms;
    assert_null(strstr(wait_of(&world, REASON_API_UNREACHABLE)->unblock, "a-2-0"));
    world.snapshot.lease.pulse = PULSE_STEADY; /* the kubelet has fetched new tokens */
    assert_int_equal(world_model(&world)->blocker_count, 0);
}

static void what_is_known_to_be_wrong_is_not_called_unknown(void **state)
{
    WORLD(2);
    overdue(&world, 9000);
    world.instances[0].pod.ready = false; /* by its kubelet */
    struct model *model = world_model(&world);
    assert_false(model->primary->unknown || model->instances[1].unknown);
    assert_false(world_wait(model, REASON_NOT_ACCEPTING)->unknown);
    world.instances[0].pod = world_no_pod("a-1-0");
    assert_false(world_wait(world_model(&world), REASON_POD_MISSING)->unknown);
}

static void a_replica_that_complains_itself_is_believed(void **state)
{
    WORLD(2);
    overdue(&world, 9000);
    world.instances[1].report.reason = REASON_NOT_STREAMING;
    world.instances[1].pod.ready = false;
    struct model *model = world_model(&world);
    assert_false(model->instances[1].unknown);
    assert_false(world_wait(model, REASON_NOT_STREAMING)->unknown);
}

static void signs_of_life_outweigh_what_kubernetes_says_of_a_node(void **state)
{
    WORLD(2);
    node_silent(&world, 1);
    node_silent(&world, 2);
    struct model *model = world_model(&world);
    assert_true(model->primary->healthy && model->instances[1].healthy);
    assert_int_equal(model->blocker_count, 2);
    assert_int_equal(model->blockers[0].affects | model->blockers[1].affects, 0);
    assert_contains(model->blockers[0].message, "Service 'a-r' does not lead to it");
    assert_contains(model->blockers[1].message, "Services 'a-ro' and 'a-r' do not lead to it");
    world.replicas[0].state = "";
    world.instances[0].pod.ready = true;
    world.instances[0].pod.node_silent = false;
    const struct model_blocker *blocker = wait_of(&world, REASON_NODE_UNREACHABLE);
    assert_string_equal(blocker->what, "replica a-2 streams");
    assert_false(blocker->unknown);
}

static void nothing_is_taken_down_on_an_old_word(void **state)
{
    WORLD(2);
    world_new_template(&world);
    assert_int_equal(world_deleted(world_model(&world)), 2);
    world.snapshot.lease.pulse = PULSE_UNSEEN;
    assert_int_equal(world_deleted(world_model(&world)), 0);
    overdue(&world, 9000);
    assert_int_equal(world_deleted(world_model(&world)), 0);
    world.snapshot.lease.pulse = PULSE_STEADY;
    node_silent(&world, 1);
    assert_int_equal(world_deleted(world_model(&world)), 0);
    world.instances[0].pod.node_silent = false;
    world.instances[0].pod.ready = true;
    node_silent(&world, 2);
    assert_int_equal(world_deleted(world_model(&world)), 0);
}

static void no_volume_goes_on_an_old_word(void **state)
{
    WORLD(2);
    world.snapshot.spec.instances = 1;
    world.snapshot.spec.retain = false;
    assert_false(world_model(&world)->instances[1].wanted);
    world.snapshot.lease.pulse = PULSE_UNSEEN;
    assert_true(world_model(&world)->instances[1].wanted);
}

static void a_silent_primary_does_not_make_a_stalled_cluster_a_failed_one(void **state)
{
    WORLD(2);
    cJSON *status = json_object(arena);
    json_set_str(status, "phase", "Healthy");
    json_set_int(status, "observedGeneration", 1);
    world.snapshot.status = status;
    world.instances[0].report.bootstrapped = true;
    overdue(&world, 9000);
    assert_string_equal(world_model(&world)->phase, "Degraded");
    world.instances[1].pod.ready = world.instances[1].reported = false;
    world.instances[1].pod.unschedulable_message = "0/2 nodes are available";
    assert_string_equal(world_model(&world)->phase, "Degraded");
}

static void not_having_looked_for_long_is_no_fault(void **state)
{
    WORLD(2);
    cJSON *status = json_object(arena);
    json_set_str(status, "phase", "Healthy");
    json_set_int(status, "observedGeneration", 1);
    world.snapshot.status = status;
    world.snapshot.lease.pulse = PULSE_UNSEEN;
    struct model *model = world_model(&world);
    assert_string_equal(model->phase, "Healthy");
    assert_true(model->primary->healthy);
    assert_int_equal(model->blocker_count, 1);
    assert_true(model->blockers[0].provisional && model->blockers[0].unknown);
    node_silent(&world, 1); /* then there is something to tell */
    const struct model_blocker *blocker = wait_of(&world, REASON_NODE_UNREACHABLE);
    assert_true(blocker->unknown);
    assert_contains(blocker->message, "a-1 has not been seen to renew its lease");
}

static void pinned(struct world *world, int ordinal)
{
    struct seen_instance *seen = &world->instances[ordinal - 1];
    seen->pod.ready = seen->reported = false;
    seen->pod.phase = "Pending";
    seen->pod.node = "";
    seen->report = (struct instance_report){0};
    seen->pod.unschedulable_message =
        "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity.";
    seen->data.volume = "pv-7";
    seen->data.node = "node-9";
    seen->wal.there = true;
    seen->wal.phase = "Bound";
    seen->wal.volume = "pv-8";
    seen->wal.node = "node-9";
}

static void a_volume_that_is_on_one_node_only_sends_nobody_for_more_nodes(void **state)
{
    WORLD(2);
    pinned(&world, 2);
    const struct model_blocker *blocker = wait_of(&world, REASON_UNSCHEDULABLE);
    assert_contains(blocker->message, "didn't match PersistentVolume's node affinity");
    assert_null(strstr(blocker->unblock, "add a node"));
    assert_contains(blocker->unblock, "kubectl get node node-9");
}

static void a_replica_whose_disk_went_with_its_node_is_cloned(void **state)
{
    WORLD(2);
    pinned(&world, 2);
    world.instances[1].data.node_gone = true;
    const struct model_blocker *blocker = wait_of(&world, REASON_VOLUME_NODE_GONE);
    assert_contains(blocker->message, "'a-2-data' (volume 'pv-7')");
    assert_contains(blocker->message, "node 'node-9'");
    assert_contains(blocker->unblock,
                    "kubectl -n n delete pvc a-2-data a-2-wal --wait=false; kubectl "
                    "-n n delete pod a-2-0");
    assert_true(blocker->stalled);
}

static void a_primary_whose_disk_went_with_its_node_is_a_decision(void **state)
{
    WORLD(2);
    pinned(&world, 1);
    world.instances[0].data.node_gone = true;
    const struct model_blocker *blocker = wait_of(&world, REASON_VOLUME_NODE_GONE);
    assert_contains(blocker->unblock, "bring node 'node-9' back");
    assert_contains(blocker->unblock, "what a-1 committed and a-2 had not received is then lost");
    assert_contains(
        blocker->unblock,
        "kubectl -n n delete pvc a-1-data a-1-wal --wait=false && kubectl -n n delete pod a-1-0 && "
        "kubectl -n n delete lease a-primary && kubectl -n n annotate pvc a-2-data --overwrite "
        "pgkeel.dev/last-role=primary");
    world.snapshot.instance_count = 1;
    blocker = wait_of(&world, REASON_VOLUME_NODE_GONE);
    assert_null(strstr(blocker->unblock, "delete"));
    assert_contains(blocker->unblock, "backup");
}

static void who_takes_a_pod_away_is_named(void **state)
{
    static const struct {
        const char *disruption, *message, *reason, *says, *unblock;
    } table[] = {
        {"PreemptionByScheduler",
         "default-scheduler: preempting to accommodate a higher priority "
         "pod",
         REASON_POD_PREEMPTED, "a pod of higher priority (its own is -10)",
         "spec.scheduling.priorityClassName"},
        {"TerminationByKubelet", "The node was low on resource: memory.", REASON_POD_EVICTED,
         "low on resource: memory", "spec.resources"},
        {"EvictionByEvictionAPI", "Eviction API: evicting", REASON_POD_EVICTED, "drain", ""},
        {"DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint",
         REASON_POD_EVICTED, "NoExecute taint", "spec.scheduling.tolerations"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        WORLD(2);
        struct seen_pod *pod = &world.instances[1].pod;
        pod->deleting = true;
        pod->disruption = table[i].disruption;
        pod->disruption_message = table[i].message;
        pod->priority = "-10";
        const struct model_blocker *blocker = wait_of(&world, table[i].reason);
        assert_contains(blocker->message, table[i].says);
        assert_contains(blocker->unblock, table[i].unblock);
    }
}

static void a_pod_that_finds_no_room_after_a_preemption_says_so(void **state)
{
    WORLD(2);
    cJSON *status = json_object(arena);
    cJSON *old = json_push_object(json_add_array(status, "instances"));
    json_set_str(old, "name", "a-2");
    json_set_str(old, "disruption", "preempted: the scheduler made room");
    world.snapshot.status = status;
    struct seen_instance *seen = &world.instances[1];
    seen->pod.ready = seen->reported = false;
    seen->pod.phase = "Pending";
    seen->report = (struct instance_report){0};
    seen->pod.unschedulable_message = "0/2 nodes are available: 2 Insufficient memory.";
    const struct model_blocker *blocker = wait_of(&world, REASON_UNSCHEDULABLE);
    assert_contains(blocker->message, "its earlier pod was preempted: the scheduler made room");
    assert_contains(blocker->unblock, "spec.scheduling.priorityClassName");
    seen->pod.unschedulable_message = "";
    seen->pod.phase = "Running";
    seen->pod.ready = seen->reported = true;
    seen->report.phase = "Running";
    assert_string_equal(world_model(&world)->instances[1].disruption, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_that_does_not_renew_is_unknown_and_comes_first),
        cmocka_unit_test(the_cause_comes_before_its_consequence_whatever_the_ordinals),
        cmocka_unit_test(a_node_that_does_not_answer_is_named_with_what_helps),
        cmocka_unit_test(since_when_stays_while_more_is_learned),
        cmocka_unit_test(a_node_that_is_heard_of_leaves_the_agent_and_its_way),
        cmocka_unit_test(agents_whose_account_was_made_again_are_told_at_once),
        cmocka_unit_test(what_is_known_to_be_wrong_is_not_called_unknown),
        cmocka_unit_test(a_replica_that_complains_itself_is_believed),
        cmocka_unit_test(signs_of_life_outweigh_what_kubernetes_says_of_a_node),
        cmocka_unit_test(nothing_is_taken_down_on_an_old_word),
        cmocka_unit_test(no_volume_goes_on_an_old_word),
        cmocka_unit_test(a_silent_primary_does_not_make_a_stalled_cluster_a_failed_one),
        cmocka_unit_test(a_volume_that_is_on_one_node_only_sends_nobody_for_more_nodes),
        cmocka_unit_test(a_replica_whose_disk_went_with_its_node_is_cloned),
        cmocka_unit_test(a_primary_whose_disk_went_with_its_node_is_a_decision),
        cmocka_unit_test(who_takes_a_pod_away_is_named),
        cmocka_unit_test(a_pod_that_finds_no_room_after_a_preemption_says_so),
        cmocka_unit_test(not_having_looked_for_long_is_no_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
