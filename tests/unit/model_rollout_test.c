#include "world.h"

static void a_healthy_cluster_has_nothing_due(void **state)
{
    WORLD(3);
    struct model *model = world_model(&world);
    assert_int_equal(model->blocker_count, 0);
    assert_string_equal(model->phase, "Healthy");
    assert_int_equal(world_deleted(model), 0);
    assert_int_equal(world_restarted(model), 0);
    assert_int_equal(model->next_ms, 0);
}

static void a_template_change_replaces_the_highest_replica_first(void **state)
{
    WORLD(3);
    cJSON *status = json_object(arena);
    json_set_str(status, "phase", "Healthy");
    world.snapshot.status = status;
    world_new_template(&world);
    struct model *model = world_model(&world);
    assert_int_equal(world_deleted(model), 3);
    assert_string_equal(model->phase, "Updating");
    assert_non_null(world_wait(model, REASON_ROLLOUT_PENDING));
}

static void nothing_is_replaced_before_the_set_carries_the_template(void **state)
{
    WORLD(2);
    world.hashes[0] = world.hashes[1] = "template-2";
    assert_int_equal(world_deleted(world_model(&world)), 0);
    world_new_template(&world);
    world.instances[1].set_observed_generation = 1;
    assert_int_equal(world_deleted(world_model(&world)), 0);
}

static void a_set_that_its_controller_has_not_seen_is_waited_for(void **state)
{
    WORLD(1);
    world.instances[0].set_generation = 2;
    assert_contains(world_wait(world_model(&world), REASON_ROLLOUT_PENDING)->message,
                    "StatefulSet 'a-1' is being updated");
}

static void the_next_replica_waits_until_the_last_one_streams(void **state)
{
    WORLD(3);
    world_new_template(&world);
    world_rolled(&world, 3);
    world.replicas[1].state = "catchup";
    assert_int_equal(world_deleted(world_model(&world)), 0);
    world.replicas[1].state = "streaming";
    assert_int_equal(world_deleted(world_model(&world)), 2);
}

static void the_primary_goes_last_and_only_while_all_replicas_stream(void **state)
{
    WORLD(2);
    world_new_template(&world);
    world_rolled(&world, 2);
    world.replicas[0].lag_bytes = 65LL << 20;
    assert_int_equal(world_deleted(world_model(&world)), 0);
    world.replicas[0].lag_bytes = 0;
    assert_int_equal(world_deleted(world_model(&world)), 1);
}

static void a_single_instance_is_replaced_at_once(void **state)
{
    WORLD(1);
    world_new_template(&world);
    assert_int_equal(world_deleted(world_model(&world)), 1);
}

static void a_replica_stuck_on_the_new_template_keeps_the_primary_untouched(void **state)
{
    WORLD(2);
    world_new_template(&world);
    world_rolled(&world, 2);
    struct seen_instance *replica = &world.instances[1];
    replica->pod.ready = replica->reported = false;
    replica->pod.phase = "Pending";
    replica->pod.waiting_reason = "ImagePullBackOff";
    replica->pod.waiting_message = "manifest unknown";
    world.snapshot.lease.report.replica_count = 0;
    struct model *model = world_model(&world);
    assert_int_equal(world_deleted(model), 0);
    const struct model_blocker *blocker = world_wait(model, REASON_IMAGE_PULL_FAILED);
    assert_true(blocker->stalled);
    assert_contains(blocker->message, "postgres:17");
    assert_contains(blocker->message, "manifest unknown");
    assert_string_equal(model->phase, "Degraded");
}

static void a_broken_outdated_pod_is_replaced_whatever_the_others_do(void **state)
{
    WORLD(3);
    world_new_template(&world);
    world.instances[0].pod.waiting_reason = "CrashLoopBackOff";
    world.instances[0].pod.ready = false;
    world.instances[1].pod.ready = false;
    struct model *model = world_model(&world);
    assert_true(model->instances[0].delete_pod);
    assert_contains(model->instances[0].delete_reason, "CrashLoopBackOff");
}

static void a_pending_outdated_pod_is_replaced_before_there_is_a_primary(void **state)
{
    EMPTY_WORLD(1);
    world_run(&world, 1, "");
    struct seen_instance *seen = &world.instances[0];
    seen->data = world_no_pvc("a-1-data");
    seen->reported = seen->pod.ready = false;
    seen->pod.phase = "Pending";
    world_new_template(&world);
    assert_int_equal(world_deleted(world_model(&world)), 1);
}

static void a_crash_recovery_is_never_disturbed(void **state)
{
    WORLD(1);
    world_new_template(&world);
    world.instances[0].pod.ready = false;
    world.instances[0].report.phase = "Recovering";
    struct model *model = world_model(&world);
    assert_int_equal(world_deleted(model), 0);
    assert_non_null(world_wait(model, REASON_RECOVERING));
}

static void a_replica_that_does_not_stream_may_go_though_another_is_stuck(void **state)
{
    WORLD(3);
    world_new_template(&world);
    world.replicas[0].state = "";
    world.instances[2].reported = world.instances[2].pod.ready = false;
    world.instances[2].pod.phase = "Pending";
    world.instances[2].pod.revision = "rev-2";
    world.instances[2].pod.unschedulable_message = "0/2 nodes are available";
    assert_int_equal(world_deleted(world_model(&world)), 2);
}

static void replicas_are_left_alone_while_the_primary_is_the_fault(void **state)
{
    WORLD(3);
    world_new_template(&world);
    world.instances[0].pod.ready = false;
    world.instances[0].report.phase = "Restarting";
    assert_int_equal(world_deleted(world_model(&world)), 0);
}

static void a_restart_is_ordered_for_one_replica_at_a_time_then_the_primary(void **state)
{
    WORLD(3);
    for (int i = 0; i < 3; i++)
        world.instances[i].report.pending_restart = true;
    assert_int_equal(world_restarted(world_model(&world)), 3);
    world.instances[2].restart_token = "config-1";
    assert_int_equal(world_restarted(world_model(&world)), 0);
    world.instances[2].report.restart_token = "config-1";
    world.instances[2].report.pending_restart = false;
    assert_int_equal(world_restarted(world_model(&world)), 2);
    world.instances[1].restart_token = world.instances[1].report.restart_token = "config-1";
    world.instances[1].report.pending_restart = false;
    world.replicas[0].state = "startup";
    assert_int_equal(world_restarted(world_model(&world)), 0);
    world.replicas[0].state = "streaming";
    assert_int_equal(world_restarted(world_model(&world)), 1);
}

static void no_restart_is_ordered_for_a_configuration_that_is_not_loaded(void **state)
{
    WORLD(1);
    world.instances[0].report.pending_restart = true;
    world.instances[0].report.config_hash = "config-0";
    struct model *model = world_model(&world);
    assert_int_equal(world_restarted(model), 0);
    assert_non_null(world_wait(model, REASON_CONFIGURATION_PENDING));
}

static void a_restart_that_changed_nothing_is_not_repeated(void **state)
{
    WORLD(1);
    world.instances[0].report.pending_restart = true;
    world.instances[0].report.pending_parameters = "shared_buffers";
    world.instances[0].restart_token = world.instances[0].report.restart_token = "config-1";
    struct model *model = world_model(&world);
    assert_int_equal(world_restarted(model), 0);
    assert_string_equal(model->instances[0].restart_token, "config-1");
    assert_contains(world_wait(model, REASON_RESTART_INEFFECTIVE)->message, "shared_buffers");
}

/* A replica's limits may come down only after the primary's, which is restarted for the same
 * configuration behind it. */
static void a_restart_for_other_parameters_of_the_same_configuration_is_ordered_too(void **state)
{
    WORLD(2);
    struct instance_report *report = &world.instances[1].report;
    report->pending_restart = true;
    report->pending_parameters = "max_connections";
    world.instances[1].restart_token = report->restart_token = "config-1";
    report->restarted_for = "shared_buffers";
    struct model *model = world_model(&world);
    assert_int_equal(world_restarted(model), 2);
    const char *token = model->instances[1].restart_token;
    assert_true(strncmp(token, "config-1.", 9) == 0);
    assert_contains(world_wait(model, REASON_RESTART_PENDING)->message,
                    "the restart has been requested");
    /* Ordered: nobody else is touched, and it is not ordered twice. */
    world.instances[1].restart_token = token;
    world.instances[0].report.pending_restart = true;
    assert_int_equal(world_restarted(world_model(&world)), 0);
    world.instances[0].report.pending_restart = false;
    report->restart_token = token;
    report->restarted_for = "max_connections";
    model = world_model(&world);
    assert_int_equal(world_restarted(model), 0);
    assert_contains(world_wait(model, REASON_RESTART_INEFFECTIVE)->message, "max_connections");
}

static void tokens_stay_as_they_are_at_rest(void **state)
{
    WORLD(2);
    world.instances[1].restart_token = "config-0";
    assert_string_equal(world_model(&world)->instances[1].restart_token, "config-0");
}

static void a_new_operator_keeps_image_and_form_until_the_template_changes(void **state)
{
    WORLD(2);
    world.snapshot.agent_image = "agent:2";
    world.instances[1].pod_form = POD_FORM_FIRST;
    struct model *model = world_model(&world);
    assert_string_equal(model->instances[1].agent_image.reference, "agent:1");
    assert_int_equal(model->instances[1].pod_form, POD_FORM_FIRST);
    assert_int_equal(model->blocker_count, 0);
    world.hashes[1] = "template-2";
    model = world_model(&world);
    assert_string_equal(model->instances[1].agent_image.reference, "agent:2");
    assert_int_equal(model->instances[1].pod_form, POD_FORM_NEWEST);
}

static void a_silent_agent_of_an_old_pod_is_given_up_after_two_minutes(void **state)
{
    WORLD(2);
    world_new_template(&world);
    world.instances[1].reported = world.instances[1].pod.ready = false;
    world.snapshot.lease.report.replica_count = 0;
    struct model *model = world_model(&world);
    assert_int_equal(world_deleted(model), 0);
    assert_int_equal(model->next_ms, WORLD_NOW_MS + 60 * 1000);
    world.now_ms = model->next_ms;
    assert_int_equal(world_deleted(world_model(&world)), 2);
}

/* The ordinal of the only instance whose set is given the wanted template; 0: none, -1: several. */
static int given(const struct world *world, const struct model *model)
{
    int found = 0;
    for (size_t i = 0; i < model->instance_count; i++)
        if (!model->instances[i].template_held &&
            strcmp(world->instances[i].template_hash, world->hashes[i]) != 0)
            found = found ? -1 : (int)i + 1;
    return found;
}

static void want_template(struct world *world, const char *hash)
{
    for (int i = 0; i < INSTANCES_MAX; i++)
        world->hashes[i] = hash;
}

/* Its set carries the wanted template, and a pod runs from it that does not start. */
static void fails_with_it(struct world *world, int ordinal)
{
    struct seen_instance *seen = &world->instances[ordinal - 1];
    seen->template_hash = world->hashes[ordinal - 1];
    seen->update_revision = seen->pod.revision = "rev-2";
    seen->pod.ready = seen->reported = false;
    seen->pod.phase = "Pending";
    seen->pod.waiting_reason = "ImagePullBackOff";
    world->snapshot.lease.report.replica_count--;
}

static void a_template_is_given_to_one_instance_at_a_time_and_to_the_primary_last(void **state)
{
    WORLD(3);
    want_template(&world, "template-2");
    assert_int_equal(given(&world, world_model(&world)), 3);
    world.instances[2].template_hash = "template-2";
    assert_int_equal(given(&world, world_model(&world)), 2); /* same revision: it runs with it */
    world.instances[2].update_revision = "rev-2";
    assert_int_equal(given(&world, world_model(&world)), 0);
    world_rolled(&world, 3);
    assert_int_equal(given(&world, world_model(&world)), 2);
    world.instances[1].template_hash = "template-2";
    world.instances[1].update_revision = "rev-2";
    assert_int_equal(given(&world, world_model(&world)), 0);
    world_rolled(&world, 2);
    assert_int_equal(given(&world, world_model(&world)), 1);
}

static void a_template_that_failed_on_one_instance_is_given_to_no_other(void **state)
{
    WORLD(3);
    want_template(&world, "template-2");
    fails_with_it(&world, 3);
    assert_int_equal(given(&world, world_model(&world)), 0);
    assert_contains(world_wait(world_model(&world), REASON_ROLLOUT_PENDING)->message, "a-3");
    /* Not even when the primary cannot run as it is. */
    world.instances[0].pod.ready = world.instances[0].reported = false;
    world.instances[0].pod.waiting_reason = "CrashLoopBackOff";
    assert_int_equal(given(&world, world_model(&world)), 0);
    want_template(&world, "template-3");
    assert_int_equal(given(&world, world_model(&world)), -1);
}

/* No node takes the pod that its set made from the wanted template. */
static void waits_for_a_node(struct world *world, int ordinal)
{
    fails_with_it(world, ordinal);
    world->instances[ordinal - 1].pod.waiting_reason = "";
    world->instances[ordinal - 1].pod.unschedulable_message = "0/2 nodes are available";
}

static void a_pod_that_no_node_takes_does_not_say_that_its_template_failed(void **state)
{
    WORLD(3);
    want_template(&world, "template-2");
    waits_for_a_node(&world, 3);
    /* What works is left as it is: the template may be what no node has room for. */
    assert_int_equal(given(&world, world_model(&world)), 0);
    const struct model_blocker *blocker = world_wait(world_model(&world), REASON_ROLLOUT_PENDING);
    assert_contains(blocker->message, "no node can take a-3");
    assert_null(strstr(blocker->message, "does not start"));
    /* A primary that cannot start as it is gets what may be its remedy. */
    world.instances[0].pod.ready = world.instances[0].reported = false;
    world.instances[0].pod.waiting_reason = "CrashLoopBackOff";
    assert_int_equal(given(&world, world_model(&world)), 1);
    /* One that waits for a node, too, may only be waiting for its own to come back. */
    world.instances[0].pod.waiting_reason = "";
    world.instances[0].pod.unschedulable_message = "0/2 nodes are available";
    assert_int_equal(given(&world, world_model(&world)), 0);
}

static void an_instance_whose_disk_is_gone_with_its_node_holds_no_template_back(void **state)
{
    WORLD(3);
    want_template(&world, "template-2");
    waits_for_a_node(&world, 3);
    world.instances[2].data.node_gone = true;
    world.instances[0].pod.ready = world.instances[0].reported = false;
    world.instances[0].pod.unschedulable_message = "0/2 nodes are available";
    assert_int_equal(given(&world, world_model(&world)), 1);
    world.instances[2].data.node_gone = false;
    world.instances[2].wal.node_gone = true;
    assert_int_equal(given(&world, world_model(&world)), 1);
}

static void a_corrected_template_goes_to_the_broken_replica_first(void **state)
{
    WORLD(3);
    want_template(&world, "template-2");
    fails_with_it(&world, 2);
    want_template(&world, "template-3");
    assert_int_equal(given(&world, world_model(&world)), 2);
    /* Back to what the others run is a correction too. */
    want_template(&world, "template-1");
    assert_int_equal(given(&world, world_model(&world)), 2);
}

static void a_primary_that_is_restarted_does_not_pick_up_what_a_replica_is_trying(void **state)
{
    WORLD(2);
    want_template(&world, "template-2");
    fails_with_it(&world, 2);
    world.instances[1].pod.waiting_reason = ""; /* it is starting */
    world.instances[1].pod.created_ms = WORLD_NOW_MS - 1000;
    world.instances[0].pod.ready = world.instances[0].reported = false;
    world.instances[0].pod.phase = "Pending";
    world.instances[0].pod.created_ms = WORLD_NOW_MS - 1000;
    assert_int_equal(given(&world, world_model(&world)), 0);
    world.instances[0].pod.waiting_reason = "CrashLoopBackOff";
    assert_int_equal(given(&world, world_model(&world)), 0);
}

static void a_single_instance_is_given_its_template_at_once(void **state)
{
    WORLD(1);
    want_template(&world, "template-2");
    world.instances[0].pod.ready = false;
    world.instances[0].report.phase = "Recovering";
    assert_int_equal(given(&world, world_model(&world)), 1);
}

static void a_primary_that_stays_away_is_given_what_may_be_its_remedy(void **state)
{
    WORLD(2);
    want_template(&world, "template-2");
    world.instances[1].template_hash = "template-2"; /* tried, and it runs */
    world.instances[0].pod.ready = false;
    world.instances[0].report.phase = "Recovering";
    cJSON *status = json_object(arena);
    cJSON *condition = json_push_object(json_add_array(status, "conditions"));
    json_set_str(condition, "type", "PrimaryReady");
    json_set_str(condition, "status", "False");
    json_set_str(condition, "lastTransitionTime", clock_rfc3339(arena, WORLD_NOW_MS - 60000));
    world.snapshot.status = status;
    struct model *model = world_model(&world);
    assert_int_equal(given(&world, model), 0);
    assert_int_equal(model->next_ms, WORLD_NOW_MS + 60000);
    world.now_ms = model->next_ms;
    assert_int_equal(given(&world, world_model(&world)), 1);
}

/* Its lease runs out meanwhile: that is how it stays away. */
static void a_remedy_does_not_wait_for_the_lease_that_it_is_to_bring_back(void **state)
{
    WORLD(2);
    want_template(&world, "template-2");
    world.instances[1].template_hash = "template-2"; /* tried, and it runs */
    world.instances[0].pod.ready = false;
    world.instances[0].report.phase = "Starting";
    world.snapshot.lease.pulse = PULSE_OVERDUE;
    cJSON *status = json_object(arena);
    cJSON *condition = json_push_object(json_add_array(status, "conditions"));
    json_set_str(condition, "type", "PrimaryReady");
    json_set_str(condition, "status", "False");
    json_set_str(condition, "lastTransitionTime", clock_rfc3339(arena, WORLD_NOW_MS - 60000));
    world.snapshot.status = status;
    assert_int_equal(given(&world, world_model(&world)), 0);
    world.now_ms += 60000;
    assert_int_equal(given(&world, world_model(&world)), 1);
}

static void a_single_instance_whose_lease_is_overdue_is_given_its_template_too(void **state)
{
    WORLD(1);
    want_template(&world, "template-2");
    world.instances[0].pod.ready = false;
    world.instances[0].report.phase = "Starting";
    world.snapshot.lease.pulse = PULSE_OVERDUE;
    struct model *model = world_model(&world);
    assert_int_equal(given(&world, model), 1);
    assert_int_equal(world_deleted(model), 0);
}

static void before_there_is_a_primary_everybody_is_given_the_template(void **state)
{
    EMPTY_WORLD(2);
    world_run(&world, 1, "");
    world_run(&world, 2, "");
    want_template(&world, "template-2");
    assert_int_equal(given(&world, world_model(&world)), -1);
}

static void an_invalid_spec_makes_nothing_due(void **state)
{
    WORLD(2);
    world_new_template(&world);
    struct spec_fault fault = {"spec.storage.size", "is no quantity; give for example 20Gi"};
    world.snapshot.faults = (struct spec_faults){&fault, 1};
    struct model *model = model_build(arena, &world.snapshot, NULL, NULL, world.now_ms);
    assert_int_equal(world_deleted(model), 0);
    assert_true(model->primary->healthy);
    assert_contains(model->blockers[0].message, "spec.storage.size: is no quantity");
    assert_int_equal(model->blocker_count, 1);
}

static void a_replica_at_its_bound_still_streams(void **state)
{
    WORLD(2);
    world.replicas[0].lag_bytes = world.snapshot.spec.max_lag_bytes;
    assert_true(world_model(&world)->instances[1].streaming);
}

static void a_replica_that_does_not_stream_waits_while_another_one_starts(void **state)
{
    WORLD(3);
    world_new_template(&world);
    world.replicas[0].state = "";
    world.instances[2].pod.ready = false;
    world.instances[2].report.phase = "Starting";
    world.instances[2].pod.revision = "rev-2";
    assert_int_equal(world_deleted(world_model(&world)), 0);
}

static void a_pod_told_to_restart_postgres_is_not_deleted_meanwhile(void **state)
{
    WORLD(2);
    world.instances[1].report.pending_restart = true;
    world.instances[1].restart_token = "config-1";
    world_new_template(&world);
    assert_int_equal(world_deleted(world_model(&world)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_at_its_bound_still_streams),
        cmocka_unit_test(a_replica_that_does_not_stream_waits_while_another_one_starts),
        cmocka_unit_test(a_pod_told_to_restart_postgres_is_not_deleted_meanwhile),
        cmocka_unit_test(a_healthy_cluster_has_nothing_due),
        cmocka_unit_test(a_template_change_replaces_the_highest_replica_first),
        cmocka_unit_test(nothing_is_replaced_before_the_set_carries_the_template),
        cmocka_unit_test(a_set_that_its_controller_has_not_seen_is_waited_for),
        cmocka_unit_test(the_next_replica_waits_until_the_last_one_streams),
        cmocka_unit_test(the_primary_goes_last_and_only_while_all_replicas_stream),
        cmocka_unit_test(a_single_instance_is_replaced_at_once),
        cmocka_unit_test(a_replica_stuck_on_the_new_template_keeps_the_primary_untouched),
        cmocka_unit_test(a_broken_outdated_pod_is_replaced_whatever_the_others_do),
        cmocka_unit_test(a_pending_outdated_pod_is_replaced_before_there_is_a_primary),
        cmocka_unit_test(a_crash_recovery_is_never_disturbed),
        cmocka_unit_test(a_replica_that_does_not_stream_may_go_though_another_is_stuck),
        cmocka_unit_test(replicas_are_left_alone_while_the_primary_is_the_fault),
        cmocka_unit_test(a_restart_is_ordered_for_one_replica_at_a_time_then_the_primary),
        cmocka_unit_test(no_restart_is_ordered_for_a_configuration_that_is_not_loaded),
        cmocka_unit_test(a_restart_that_changed_nothing_is_not_repeated),
        cmocka_unit_test(a_restart_for_other_parameters_of_the_same_configuration_is_ordered_too),
        cmocka_unit_test(tokens_stay_as_they_are_at_rest),
        cmocka_unit_test(a_new_operator_keeps_image_and_form_until_the_template_changes),
        cmocka_unit_test(a_silent_agent_of_an_old_pod_is_given_up_after_two_minutes),
        cmocka_unit_test(a_template_is_given_to_one_instance_at_a_time_and_to_the_primary_last),
        cmocka_unit_test(a_template_that_failed_on_one_instance_is_given_to_no_other),
        cmocka_unit_test(a_pod_that_no_node_takes_does_not_say_that_its_template_failed),
        cmocka_unit_test(an_instance_whose_disk_is_gone_with_its_node_holds_no_template_back),
        cmocka_unit_test(a_corrected_template_goes_to_the_broken_replica_first),
        cmocka_unit_test(a_primary_that_is_restarted_does_not_pick_up_what_a_replica_is_trying),
        cmocka_unit_test(a_single_instance_is_given_its_template_at_once),
        cmocka_unit_test(a_primary_that_stays_away_is_given_what_may_be_its_remedy),
        cmocka_unit_test(a_remedy_does_not_wait_for_the_lease_that_it_is_to_bring_back),
        cmocka_unit_test(a_single_instance_whose_lease_is_overdue_is_given_its_template_too),
        cmocka_unit_test(before_there_is_a_primary_everybody_is_given_the_template),
        cmocka_unit_test(an_invalid_spec_makes_nothing_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
