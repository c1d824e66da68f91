#include "world.h"

static void a_fresh_cluster_lets_its_first_instance_initialise(void **state)
{
    EMPTY_WORLD(2);
    struct model *model = world_model(&world);
    assert_string_equal(model->grant.instance, "a-1");
    assert_true(model->grant.initdb);
    assert_string_equal(model->phase, "Creating");
    assert_contains(world_wait(model, REASON_LEASE_NOT_HELD)->message, "a-1");
}

static void data_beats_emptiness(void **state)
{
    EMPTY_WORLD(2);
    world_bound(&world, &world.instances[1].data, "primary", 3);
    struct model *model = world_model(&world);
    assert_string_equal(model->grant.instance, "a-2");
    assert_false(model->grant.initdb);
}

static void the_last_primary_beats_a_replica_of_the_same_epoch(void **state)
{
    EMPTY_WORLD(2);
    world_bound(&world, &world.instances[0].data, "replica", 3);
    world_bound(&world, &world.instances[1].data, "primary", 3);
    assert_string_equal(world_model(&world)->grant.instance, "a-2");
}

static void a_primary_of_an_older_epoch_never_wins(void **state)
{
    EMPTY_WORLD(3);
    world_bound(&world, &world.instances[0].data, "primary", 3);
    world_bound(&world, &world.instances[1].data, "replica", 5);
    struct model *model = world_model(&world);
    assert_true(model->grant_blocked);
    assert_string_equal(model->grant.instance, "");
    assert_string_equal(model->phase, "Failed");
}

static void only_replica_volumes_block_and_say_what_a_person_can_do(void **state)
{
    EMPTY_WORLD(3);
    world_bound(&world, &world.instances[1].data, "replica", 2);
    world_bound(&world, &world.instances[2].data, "replica", 4);
    struct model *model = world_model(&world);
    assert_true(model->grant_blocked);
    assert_string_equal(model->grant.instance, "");
    const struct model_blocker *blocker = world_wait(model, REASON_BOOTSTRAP_BLOCKED);
    assert_true(blocker->stalled);
    assert_contains(blocker->unblock, "kubectl -n n annotate pvc a-3-data --overwrite "
                                      "pgkeel.dev/last-role=primary");
}

static void the_annotation_that_a_person_sets_unblocks(void **state)
{
    EMPTY_WORLD(3);
    world_bound(&world, &world.instances[1].data, "replica", 2);
    world_bound(&world, &world.instances[2].data, "primary", 4);
    assert_string_equal(world_model(&world)->grant.instance, "a-3");
}

static void a_waiting_agent_does_not_wipe_out_who_was_primary(void **state)
{
    EMPTY_WORLD(1);
    world_run(&world, 1, "replica");
    world.instances[0].data.last_role = "primary";
    world.instances[0].report.phase = "Waiting";
    struct model *model = world_model(&world);
    assert_string_equal(model->instances[0].last_role, "primary");
    assert_string_equal(model->grant.instance, "a-1");
}

static void an_unstamped_volume_is_believed_when_its_agent_has_looked(void **state)
{
    EMPTY_WORLD(1);
    world_run(&world, 1, "primary");
    world_bound(&world, &world.instances[0].data, NULL, 0);
    world.instances[0].data.system_identifier = world.instances[0].data.last_role = "";
    world.instances[0].report.phase = "Waiting";
    struct model *model = world_model(&world);
    assert_string_equal(model->grant.instance, "a-1");
    assert_false(model->grant.initdb);
}

static void a_volume_that_nobody_has_looked_into_is_waited_for(void **state)
{
    EMPTY_WORLD(2);
    world_bound(&world, &world.instances[1].data, NULL, 0);
    struct model *model = world_model(&world);
    assert_string_equal(model->grant.instance, "");
    assert_false(model->grant_blocked);
    assert_contains(world_wait(model, REASON_VOLUME_UNKNOWN)->what, "a-2-data");
}

static void an_agent_that_found_nothing_lets_the_first_one_initialise(void **state)
{
    EMPTY_WORLD(2);
    world_run(&world, 2, "");
    world.instances[1].report.phase = "Waiting";
    world.instances[1].report.system_identifier = "";
    world.instances[1].data.system_identifier = world.instances[1].data.last_role = "";
    struct model *model = world_model(&world);
    assert_string_equal(model->grant.instance, "a-1");
    assert_true(model->grant.initdb);
}

static void a_grant_once_given_stays_while_nothing_is_known_of_data(void **state)
{
    EMPTY_WORLD(2);
    world.snapshot.lease =
        (struct seen_lease){.there = true, .holder = "", .granted = true, .grant = {"a-2", true}};
    world_bound(&world, &world.instances[0].data, NULL, 0);
    struct model *model = world_model(&world);
    assert_string_equal(model->grant.instance, "a-2");
    assert_true(model->grant.initdb);
}

static void a_grant_to_initialise_ends_when_data_is_seen_elsewhere(void **state)
{
    EMPTY_WORLD(2);
    world.snapshot.lease =
        (struct seen_lease){.there = true, .holder = "", .granted = true, .grant = {"a-1", true}};
    world_bound(&world, &world.instances[1].data, "primary", 1);
    struct model *model = world_model(&world);
    assert_string_equal(model->grant.instance, "a-2");
    assert_false(model->grant.initdb);
}

static void the_holder_loses_the_right_to_initialise_once_data_is_known(void **state)
{
    WORLD(2);
    world.snapshot.lease.grant = (struct bootstrap_grant){"a-1", true};
    struct model *model = world_model(&world);
    assert_string_equal(model->grant.instance, "a-1");
    assert_false(model->grant.initdb);
}

static void a_holder_that_is_still_initialising_keeps_the_right(void **state)
{
    WORLD(1);
    world.snapshot.lease.grant = (struct bootstrap_grant){"a-1", true};
    world.instances[0].data.system_identifier = world.instances[0].data.last_role = "";
    world.instances[0].report.system_identifier = "";
    world.instances[0].report.phase = "Initializing";
    assert_true(world_model(&world)->grant.initdb);
}

static void a_volume_being_deleted_is_waited_for(void **state)
{
    EMPTY_WORLD(2);
    world_bound(&world, &world.instances[0].data, "primary", 1);
    world.instances[0].data.deleting = true;
    struct model *model = world_model(&world);
    assert_string_equal(model->grant.instance, "");
    assert_non_null(world_wait(model, REASON_VOLUME_DELETING));
}

static void the_last_primary_above_instances_asks_for_more_instances(void **state)
{
    EMPTY_WORLD(3);
    world.snapshot.spec.instances = 1;
    world_bound(&world, &world.instances[2].data, "primary", 2);
    struct model *model = world_model(&world);
    assert_true(model->grant_blocked);
    assert_contains(world_wait(model, REASON_BOOTSTRAP_BLOCKED)->unblock,
                    "spec.instances to at least 3");
}

static void a_lease_of_an_earlier_cluster_says_nothing(void **state)
{
    WORLD(1);
    world_object(&world, "Lease", "a-primary")->owner_uid = "earlier-uid";
    struct model *model = world_model(&world);
    assert_false(model->ever_held);
    assert_null(model->primary);
    assert_string_equal(model->grant.instance, "a-1");
    assert_false(model->grant.initdb);
}

static void a_lease_held_by_nobody_known_names_lease_and_remedy(void **state)
{
    WORLD(1);
    world.snapshot.lease.holder = "a-7/uid";
    struct model *model = world_model(&world);
    assert_null(model->primary);
    assert_contains(world_wait(model, REASON_LEASE_HOLDER_GONE)->unblock, "delete lease a-primary");
}

static void an_empty_volume_of_the_holder_never_starts_anew(void **state)
{
    WORLD(2);
    world.snapshot.lease.grant = (struct bootstrap_grant){"a-1", true};
    world_bound(&world, &world.instances[0].data, NULL, 0);
    world.instances[0].data.system_identifier = world.instances[0].data.last_role = "";
    world.instances[0].report.system_identifier = "";
    world.instances[0].report.role = "";
    world.instances[0].report.phase = "Waiting";
    world.instances[0].report.reason = REASON_DATA_VOLUME_EMPTY;
    world.instances[0].pod.ready = false;
    struct model *model = world_model(&world);
    assert_false(model->grant.initdb);
    const struct model_blocker *blocker = world_wait(model, REASON_DATA_VOLUME_EMPTY);
    assert_true(blocker->stalled);
    assert_contains(blocker->unblock, "delete lease a-primary");
    assert_contains(blocker->unblock, "annotate pvc a-2-data");
}

static void two_primaries_of_one_epoch_are_left_to_a_person(void **state)
{
    EMPTY_WORLD(2);
    world_bound(&world, &world.instances[0].data, "primary", 2);
    world_bound(&world, &world.instances[1].data, "primary", 2);
    struct model *model = world_model(&world);
    assert_true(model->grant_blocked);
    assert_string_equal(model->grant.instance, "");
    assert_contains(world_wait(model, REASON_BOOTSTRAP_BLOCKED)->unblock, "last-role=replica");
}

static void an_epoch_belongs_to_the_data_that_it_was_stamped_for(void **state)
{
    WORLD(1);
    world.instances[0].data.epoch = 9;
    assert_int_equal(world_model(&world)->instances[0].epoch, 9);
    world.instances[0].report.system_identifier = "8000";
    assert_int_equal(world_model(&world)->instances[0].epoch, 1);
    assert_string_equal(world_model(&world)->instances[0].system_identifier, "8000");
}

static void a_holder_is_the_instance_of_that_very_name(void **state)
{
    WORLD(1);
    world.snapshot.lease.holder = "a-11/uid-pod-1";
    assert_null(world_model(&world)->primary);
}

static void what_followed_a_later_epoch_outdates_an_earlier_primary(void **state)
{
    (void)state;
    WORLD(2);
    world.snapshot.lease = (struct seen_lease){.holder = "", .there = true};
    world.instances[0].report.epoch = 3;
    world.instances[0].report.seen_epoch = 0;
    world.instances[1].report.epoch = 0;
    world.instances[1].report.seen_epoch = 3; /* of that primary itself */
    assert_string_equal(world_model(&world)->grant.instance, "a-1");
    world.instances[1].report.seen_epoch = 4; /* of one whose volume is gone */
    assert_string_equal(world_model(&world)->grant.instance, "");
    assert_true(world_model(&world)->grant_blocked);
}

static void what_a_pod_told_of_an_earlier_volume_is_not_stamped_on_the_next_one(void **state)
{
    (void)state;
    WORLD(2);
    struct seen_instance *primary = &world.instances[0];
    assert_string_equal(world_model(&world)->instances[0].last_role, "primary");
    primary->data.system_identifier = primary->data.last_role = "";
    primary->data.epoch = 0;
    primary->pod.created_ms = WORLD_NOW_MS - 60000;
    primary->data.created_ms = WORLD_NOW_MS - 1000;
    assert_string_equal(world_model(&world)->instances[0].last_role, "");
    assert_int_equal(world_model(&world)->instances[0].epoch, 0);
    primary->data = world_no_pvc("a-1-data");
    assert_string_equal(world_model(&world)->instances[0].system_identifier, "");
    primary->data.there = true;
    primary->data.created_ms = primary->pod.created_ms; /* stamps have whole seconds */
    assert_string_equal(world_model(&world)->instances[0].last_role, "primary");
}

/* A StatefulSet makes its pod at once, the operator its claim when it can. */
static void a_pod_that_waited_for_its_claim_is_believed(void **state)
{
    (void)state;
    WORLD(2);
    struct seen_instance *replica = &world.instances[1];
    replica->data.system_identifier = replica->data.last_role = "";
    replica->data.epoch = 0;
    replica->report.seen_epoch = 5;
    replica->pod.created_ms = WORLD_NOW_MS - 10000;
    replica->data.created_ms = WORLD_NOW_MS - 9000; /* its predecessor's pod may be seen still */
    assert_string_equal(world_model(&world)->instances[1].system_identifier, "");
    int64_t next_ms = world_model(&world)->next_ms;
    assert_true(next_ms > WORLD_NOW_MS && next_ms <= WORLD_NOW_MS + 60000);
    replica->pod.created_ms = WORLD_NOW_MS - 600000;
    replica->data.created_ms = WORLD_NOW_MS - 599000;
    struct model *model = world_model(&world);
    assert_string_not_equal(model->instances[1].system_identifier, "");
    assert_string_equal(model->instances[1].last_role, "replica");
    assert_int_equal(model->instances[1].epoch, 5);
    assert_int_equal(model->next_ms, 0);
    /* a pod that is taken away may be the predecessor's */
    replica->pod.deleting = true;
    assert_string_equal(world_model(&world)->instances[1].system_identifier, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_that_waited_for_its_claim_is_believed),
        cmocka_unit_test(what_followed_a_later_epoch_outdates_an_earlier_primary),
        cmocka_unit_test(what_a_pod_told_of_an_earlier_volume_is_not_stamped_on_the_next_one),
        cmocka_unit_test(two_primaries_of_one_epoch_are_left_to_a_person),
        cmocka_unit_test(an_epoch_belongs_to_the_data_that_it_was_stamped_for),
        cmocka_unit_test(a_holder_is_the_instance_of_that_very_name),
        cmocka_unit_test(a_fresh_cluster_lets_its_first_instance_initialise),
        cmocka_unit_test(data_beats_emptiness),
        cmocka_unit_test(the_last_primary_beats_a_replica_of_the_same_epoch),
        cmocka_unit_test(a_primary_of_an_older_epoch_never_wins),
        cmocka_unit_test(only_replica_volumes_block_and_say_what_a_person_can_do),
        cmocka_unit_test(the_annotation_that_a_person_sets_unblocks),
        cmocka_unit_test(a_waiting_agent_does_not_wipe_out_who_was_primary),
        cmocka_unit_test(an_unstamped_volume_is_believed_when_its_agent_has_looked),
        cmocka_unit_test(a_volume_that_nobody_has_looked_into_is_waited_for),
        cmocka_unit_test(an_agent_that_found_nothing_lets_the_first_one_initialise),
        cmocka_unit_test(a_grant_once_given_stays_while_nothing_is_known_of_data),
        cmocka_unit_test(a_grant_to_initialise_ends_when_data_is_seen_elsewhere),
        cmocka_unit_test(the_holder_loses_the_right_to_initialise_once_data_is_known),
        cmocka_unit_test(a_holder_that_is_still_initialising_keeps_the_right),
        cmocka_unit_test(a_volume_being_deleted_is_waited_for),
        cmocka_unit_test(the_last_primary_above_instances_asks_for_more_instances),
        cmocka_unit_test(a_lease_of_an_earlier_cluster_says_nothing),
        cmocka_unit_test(a_lease_held_by_nobody_known_names_lease_and_remedy),
        cmocka_unit_test(an_empty_volume_of_the_holder_never_starts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
