#include "world.h"

static const struct model_blocker *wait_of(struct world *world, const char *reason)
{
    const struct model_blocker *blocker = world_wait(world_model(world), reason);
    if (blocker == NULL)
        fail_msg("no wait has the reason %s", reason);
    return blocker;
}

static struct seen_instance *pod_down(struct world *world, int ordinal)
{
    struct seen_instance *seen = &world->instances[ordinal - 1];
    seen->pod.ready = seen->reported = false;
    seen->pod.phase = "Pending";
    seen->report = (struct instance_report){0};
    return seen;
}

static void the_kubelets_words_become_reasons_with_a_remedy(void **state)
{
    static const struct {
        const char *kubelet, *reason, *unblock;
        bool stalled;
    } table[] = {
        {"ErrImagePull", REASON_IMAGE_PULL_FAILED, "spec.postgres.image", true},
        {"ImagePullBackOff", REASON_IMAGE_PULL_FAILED, "imagePullSecrets", true},
        {"ErrImageNeverPull", REASON_IMAGE_PULL_FAILED, "spec.postgres.image", true},
        {"InvalidImageName", REASON_INVALID_IMAGE_NAME, "spec.postgres.image", true},
        {"CreateContainerConfigError", REASON_CONTAINER_CONFIG_INVALID, "describe pod a-2-0", true},
        {"CrashLoopBackOff", REASON_CRASH_LOOPING, "--previous a-2-0", false},
        {"RunContainerError", REASON_CONTAINER_FAILED, "-n n describe pod a-2-0", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        WORLD(2);
        pod_down(&world, 2)->pod.waiting_reason = table[i].kubelet;
        const struct model_blocker *blocker = wait_of(&world, table[i].reason);
        assert_string_equal(blocker->what, "replica a-2 streams");
        assert_contains(blocker->unblock, table[i].unblock);
        assert_int_equal(blocker->stalled, table[i].stalled);
        assert_int_equal(blocker->affects, AFFECTS_REPLICAS);
    }
}

static void a_starting_container_is_no_fault_until_it_takes_too_long(void **state)
{
    WORLD(2);
    pod_down(&world, 2)->pod.waiting_reason = "ContainerCreating";
    const struct model_blocker *blocker = wait_of(&world, REASON_POD_STARTING);
    assert_false(blocker->fault);
    world.now_ms += 61 * 1000;
    assert_contains(wait_of(&world, REASON_POD_STARTING)->unblock, "describe pod a-2-0");
}

static void the_schedulers_words_are_passed_on(void **state)
{
    WORLD(2);
    pod_down(&world, 2)->pod.unschedulable_message = "0/2 nodes are available: 2 Insufficient cpu.";
    const struct model_blocker *blocker = wait_of(&world, REASON_UNSCHEDULABLE);
    assert_contains(blocker->message, "2 Insufficient cpu");
    assert_true(blocker->stalled);
}

static void a_pod_that_may_not_be_made_says_what_the_set_was_told(void **state)
{
    WORLD(2);
    pod_down(&world, 2)->pod = world_no_pod("a-2-0");
    assert_non_null(wait_of(&world, REASON_POD_MISSING));
    world.instances[1].set_message = "exceeded quota: pods, requested: pods=1";
    assert_contains(wait_of(&world, REASON_POD_CREATE_FAILED)->unblock, "ResourceQuota");
}

static void a_pod_that_does_not_stop_names_its_node_after_the_grace_period(void **state)
{
    WORLD(2);
    world.instances[1].pod.deleting = true;
    const struct model_blocker *blocker = wait_of(&world, REASON_POD_TERMINATING);
    assert_int_equal(blocker->next_ms, WORLD_NOW_MS + 180 * 1000);
    assert_false(blocker->fault);
    cJSON *status = json_object(arena);
    cJSON *old = json_push_object(json_add_array(status, "waitingFor"));
    json_set_str(old, "what", blocker->what);
    json_set_str(old, "reason", blocker->reason);
    json_set_str(old, "since", clock_rfc3339(arena, WORLD_NOW_MS));
    world.snapshot.status = status;
    world.now_ms += 180 * 1000;
    blocker = wait_of(&world, REASON_POD_TERMINATING);
    assert_int_equal(blocker->since_ms, WORLD_NOW_MS);
    assert_true(blocker->fault);
    assert_contains(blocker->unblock, "node-1");
}

static void the_agents_own_words_are_passed_on(void **state)
{
    WORLD(2);
    struct instance_report *report = &world.instances[1].report;
    report->phase = "Failed";
    report->reason = REASON_SYSTEM_IDENTIFIER_MISMATCH;
    report->message = "the volume holds another cluster";
    const struct model_blocker *blocker = wait_of(&world, REASON_SYSTEM_IDENTIFIER_MISMATCH);
    assert_string_equal(blocker->message, "the volume holds another cluster");
    assert_true(blocker->stalled);
    report->phase = "Starting";
    report->reason = REASON_VOLUME_IN_USE;
    assert_false(wait_of(&world, REASON_VOLUME_IN_USE)->fault);
    report->phase = "Failed";
    report->reason = "no reason at all";
    assert_non_null(wait_of(&world, REASON_INSTANCE_FAILED));
    report->phase = "Cloning";
    report->message = "copied 45 % of 12 GiB";
    blocker = wait_of(&world, REASON_CLONING);
    assert_string_equal(blocker->message, "copied 45 % of 12 GiB");
    assert_false(blocker->fault);
}

static void a_running_agent_that_complains_is_heard(void **state)
{
    WORLD(2);
    struct instance_report *report = &world.instances[0].report;
    report->reason = REASON_CONFIG_INVALID;
    report->message = "invalid value for parameter \"work_mem\"";
    report->config_hash = "config-0";
    struct model *model = world_model(&world);
    const struct model_blocker *blocker = world_wait(model, REASON_CONFIG_INVALID);
    assert_true(blocker->stalled);
    assert_contains(blocker->unblock, "spec.postgres.parameters");
    assert_int_equal(blocker->affects, 0);
    assert_true(model->primary->healthy);
    assert_non_null(world_wait(model, REASON_CONFIGURATION_PENDING));
    report->config_hash = "config-1";
    report->reason = REASON_ROLES_FAILED;
    assert_int_equal(wait_of(&world, REASON_ROLES_FAILED)->affects, AFFECTS_CREDENTIALS);
    world.replicas[0].state = "";
    world.instances[1].report.reason = REASON_WAL_GONE;
    assert_int_equal(wait_of(&world, REASON_WAL_GONE)->affects, AFFECTS_REPLICAS);
}

static void a_replica_without_its_wal_is_cloned_anew_unless_it_was_a_primary(void **state)
{
    WORLD(2);
    world.replicas[0].state = "";
    assert_non_null(wait_of(&world, REASON_NOT_STREAMING));
    world.replicas[0].slot_wal_status = "lost";
    const struct model_blocker *blocker = wait_of(&world, REASON_SLOT_LOST);
    assert_contains(blocker->message, "maxSlotWalKeepSize (4GB)");
    assert_contains(blocker->unblock, "if nothing on its volumes is needed: kubectl");
    assert_contains(blocker->unblock, "delete pvc a-2-data --wait=false");
    assert_true(blocker->stalled);
    world.instances[1].report.reason = REASON_WAL_GONE;
    assert_true(wait_of(&world, REASON_WAL_GONE)->stalled);
    world.instances[1].report.epoch = 0;
    assert_false(wait_of(&world, REASON_WAL_GONE)->stalled);
    assert_string_equal(wait_of(&world, REASON_WAL_GONE)->unblock, "");
    world.instances[1].report.reason = "";
    blocker = wait_of(&world, REASON_SLOT_LOST);
    assert_contains(blocker->message, "it is cloned again");
    assert_string_equal(blocker->unblock, "");
    assert_false(blocker->stalled);
}

static void volumes_that_a_replica_cannot_use_are_replaced_together(void **state)
{
    WORLD(2);
    world.instances[1].wal.there = true;
    world.instances[1].pod.ready = false;
    world.instances[1].report.phase = "Failed";
    world.instances[1].report.reason = REASON_VOLUME_FOREIGN;
    assert_contains(wait_of(&world, REASON_VOLUME_FOREIGN)->unblock,
                    "delete pvc a-2-data a-2-wal --wait=false; kubectl -n n delete pod a-2-0");
    world.instances[1].data.deleting = true;
    assert_contains(wait_of(&world, REASON_VOLUME_DELETING)->unblock,
                    "delete pvc a-2-data a-2-wal --wait=false");
    world.instances[0].pod.ready = false;
    world.instances[0].report.phase = "Failed";
    world.instances[0].report.reason = REASON_VOLUME_FOREIGN;
    assert_null(strstr(wait_of(&world, REASON_VOLUME_FOREIGN)->unblock, "a-1-data"));
}

static void a_replica_over_its_bound_lags(void **state)
{
    WORLD(2);
    world.replicas[0].lag_bytes = (64LL << 20) + 1;
    assert_contains(wait_of(&world, REASON_REPLICA_LAGGING)->message, "64Mi behind");
}

static void a_replica_that_runs_as_primary_is_a_fault_of_both(void **state)
{
    WORLD(2);
    world.instances[1].report.role = "primary";
    const struct model_blocker *blocker = wait_of(&world, REASON_UNEXPECTED_PRIMARY);
    assert_int_equal(blocker->affects, AFFECTS_PRIMARY | AFFECTS_REPLICAS);
}

static void a_primary_ahead_of_the_lease_is_news_on_its_way(void **state)
{
    WORLD(2);
    world.instances[1].report.role = "primary";
    world.instances[1].report.epoch = world.snapshot.lease.transitions + 1;
    struct model *model = world_model(&world);
    assert_null(world_wait(model, REASON_UNEXPECTED_PRIMARY));
    assert_non_null(world_wait(model, REASON_ROLE_CHANGING));
}

static void what_a_vanished_primary_said_of_its_replicas_is_not_believed(void **state)
{
    WORLD(2);
    world.instances[0].pod = world_no_pod("a-1-0");
    struct model *model = world_model(&world);
    assert_false(model->instances[1].streaming);
    assert_non_null(world_wait(model, REASON_NOT_STREAMING));
}

static void a_new_pod_of_the_primary_must_take_the_lease_over_first(void **state)
{
    WORLD(1);
    world.instances[0].pod.uid = "uid-new";
    struct model *model = world_model(&world);
    assert_false(model->primary->healthy);
    assert_non_null(world_wait(model, REASON_ROLE_CHANGING));
}

static void traffic_must_lead_to_the_primary(void **state)
{
    WORLD(1);
    world.snapshot.rw_address = "10.0.0.9";
    assert_contains(wait_of(&world, REASON_ENDPOINT_PENDING)->message, "10.0.0.9");
    world.instances[0].pod.ips = "10.0.0.99,fd00::9";
    assert_non_null(wait_of(&world, REASON_ENDPOINT_PENDING));
    world.snapshot.rw_address = "fd00::9";
    assert_null(world_wait(world_model(&world), REASON_ENDPOINT_PENDING));
}

static void a_missing_storage_class_is_named_with_the_remedy(void **state)
{
    WORLD(1);
    world.snapshot.spec.storage.storage_class = "fast";
    struct seen_pvc *pvc = &world.instances[0].data;
    pvc->phase = "Pending";
    pvc->pending_message = "storageclass.storage.k8s.io \"fast\" not found";
    const struct model_blocker *blocker = wait_of(&world, REASON_STORAGE_CLASS_MISSING);
    assert_contains(blocker->unblock, "StorageClass 'fast'");
    assert_true(blocker->stalled);
    pvc->pending_message = "no persistent volumes available for this claim and no storage class is "
                           "set";
    assert_contains(wait_of(&world, REASON_VOLUME_PENDING)->unblock, "default");
}

static void a_volume_that_grows_is_waited_for_and_harms_nobody(void **state)
{
    WORLD(1);
    world.snapshot.spec.storage = (struct volume_spec){2LL << 30, "2Gi", NULL};
    world.instances[0].data.requested_bytes = 2LL << 30;
    world.instances[0].data.resize_message = "waiting for the node";
    const struct model_blocker *blocker = wait_of(&world, REASON_VOLUME_RESIZING);
    assert_contains(blocker->message, "from 1Gi to 2Gi: waiting for the node");
    assert_int_equal(blocker->affects, AFFECTS_STORAGE);
}

static void a_smaller_size_is_refused_with_the_field_to_set(void **state)
{
    WORLD(1);
    world.instances[0].data.requested_bytes = world.instances[0].data.capacity_bytes = 3LL << 30;
    assert_string_equal(wait_of(&world, REASON_SHRINK_REFUSED)->unblock,
                        "set spec.storage.size to 3Gi: kubectl -n n patch pgc a --type merge -p "
                        "'{\"spec\":{\"storage\":{\"size\":\"3Gi\"}}}'");
}

static void a_growth_that_never_happened_can_be_taken_back(void **state)
{
    WORLD(1);
    world.instances[0].data.requested_bytes = 50LL << 30;
    world.snapshot.spec.storage = (struct volume_spec){2LL << 30, "2Gi", NULL};
    struct model *model = world_model(&world);
    assert_null(world_wait(model, REASON_SHRINK_REFUSED));
    assert_contains(world_wait(model, REASON_VOLUME_RESIZING)->message,
                    "50Gi is taken back to 2Gi");
    /* Kubernetes takes it back to more than the volume has, and not to as much. */
    world.snapshot.spec.storage = (struct volume_spec){1LL << 30, "1Gi", NULL};
    const struct model_blocker *blocker = wait_of(&world, REASON_SHRINK_REFUSED);
    assert_contains(blocker->message, "has 1Gi");
    assert_contains(blocker->message, "50Gi");
    assert_contains(blocker->unblock, "more than 1Gi");
}

static void another_storage_class_is_refused_with_the_field_to_set(void **state)
{
    WORLD(1);
    world.snapshot.spec.storage.storage_class = "slow";
    assert_contains(wait_of(&world, REASON_STORAGE_CLASS_IMMUTABLE)->unblock,
                    "set spec.storage.storageClass to 'fast'");
}

static void a_lost_volume_of_a_replica_is_cloned_and_of_the_primary_is_not(void **state)
{
    WORLD(2);
    world.instances[1].data.phase = "Lost";
    assert_contains(wait_of(&world, REASON_VOLUME_LOST)->unblock, "cloned again");
    world.instances[1].data.phase = "Bound";
    world.instances[0].data.phase = "Lost";
    assert_contains(wait_of(&world, REASON_VOLUME_LOST)->unblock, "annotate pvc a-2-data");
}

static void the_primary_above_instances_is_kept_and_says_what_unblocks(void **state)
{
    WORLD(3);
    world.snapshot.lease.holder = "a-3/uid-pod-3";
    world.instances[2].report.role = "primary";
    world.instances[0].report.role = "replica";
    world.replicas[1].name = "a-1";
    world.snapshot.rw_address = "10.0.0.3";
    world.snapshot.spec.instances = 2;
    struct model *model = world_model(&world);
    assert_true(model->instances[2].wanted);
    assert_true(model->instances[2].surplus);
    assert_contains(world_wait(model, REASON_PRIMARY_ABOVE_INSTANCES)->unblock,
                    "spec.instances to at least 3");
    assert_int_equal(model->blocker_count, 1);
}

static void a_surplus_replica_goes(void **state)
{
    WORLD(3);
    world.snapshot.spec.instances = 2;
    struct model *model = world_model(&world);
    assert_false(model->instances[2].wanted);
    assert_non_null(world_wait(model, REASON_SCALING_DOWN));
}

static void a_surplus_volume_that_would_vanish_stays_while_the_primary_is_ill(void **state)
{
    WORLD(2);
    world.snapshot.spec.instances = 1;
    world.snapshot.spec.retain = false;
    world.instances[0].pod.ready = false;
    struct model *model = world_model(&world);
    assert_true(model->instances[1].wanted);
    assert_non_null(world_wait(model, REASON_SCALING_DOWN));
    world.snapshot.spec.retain = true;
    assert_false(world_model(&world)->instances[1].wanted);
    world.snapshot.spec.retain = false;
    world.instances[0].pod.ready = true;
    assert_false(world_model(&world)->instances[1].wanted);
}

static void faulty_secrets_are_told_in_the_words_of_who_found_them(void **state)
{
    WORLD(1);
    world.snapshot.credentials.complete = false;
    world.snapshot.credentials.reason = REASON_SECRET_KEY_MISSING;
    world.snapshot.credentials.message = "Secret 'a-app' has no key 'password'; add it";
    const struct model_blocker *blocker = wait_of(&world, REASON_SECRET_KEY_MISSING);
    assert_contains(blocker->message, "a-app");
    assert_int_equal(blocker->affects, AFFECTS_CREDENTIALS);
}

static void new_passwords_are_waited_for_until_the_primary_has_them(void **state)
{
    WORLD(1);
    world.snapshot.credentials.verifiers_hash = "verifiers-2";
    assert_int_equal(wait_of(&world, REASON_CREDENTIALS_PENDING)->affects, AFFECTS_CREDENTIALS);
}

static void an_expired_certificate_is_named(void **state)
{
    WORLD(1);
    world.snapshot.credentials.certificate_expires_ms = WORLD_NOW_MS;
    assert_contains(wait_of(&world, REASON_CERTIFICATE_EXPIRED)->message, "a-server");
}

static struct volume_report filled(const char *room, int64_t available_mib)
{
    const int64_t mib = 1 << 20;
    return (struct volume_report){.room = room,
                                  .capacity_bytes = 1000 * mib,
                                  .used_bytes = (1000 - available_mib) * mib,
                                  .available_bytes = available_mib * mib,
                                  .words = ""};
}

static void give_wal_volumes(struct world *world)
{
    world->snapshot.spec.wal_storage = (struct volume_spec){.size_bytes = 1LL << 30, .size = "1Gi"};
    for (size_t i = 0; i < world->snapshot.instance_count; i++)
        world_bound(world, &world->instances[i].wal, NULL, 0);
}

static void a_volume_that_fills_is_a_warning_and_no_wait(void **state)
{
    WORLD(2);
    give_wal_volumes(&world);
    world.instances[1].report.data_volume = filled(REPORT_ROOM_ENOUGH, 900);
    world.instances[1].report.wal_volume = filled(REPORT_ROOM_FILLING, 120);
    const struct model *model = world_model(&world);
    assert_int_equal(model->blocker_count, 0);
    assert_string_equal(model->phase, "Healthy");
    assert_int_equal(model->warning_count, 1);
    const struct model_blocker *warning = &model->warnings[0];
    assert_string_equal(warning->reason, REASON_VOLUME_FILLING);
    assert_string_equal(warning->what, "volume a-2-wal is filling");
    assert_contains(warning->message, "88 % of 1000Mi are used, 120Mi are available");
    assert_contains(warning->message, "raise spec.walStorage.size");
    assert_string_equal(warning->unblock, "kubectl -n n patch pgc a --type merge -p "
                                          "'{\"spec\":{\"walStorage\":{\"size\":\"2Gi\"}}}'");
    assert_int_equal(warning->affects, AFFECTS_STORAGE);
}

static void a_full_volume_needs_a_person_until_it_grows(void **state)
{
    WORLD(2);
    world.instances[0].report.data_volume = filled(REPORT_ROOM_FULL, 3);
    world.instances[0].report.data_volume.words = "PANIC:  No space left on device";
    const struct model *model = world_model(&world);
    const struct model_blocker *blocker = world_wait(model, REASON_VOLUME_FULL);
    assert_true(blocker->stalled && blocker->fault);
    assert_int_equal(blocker->affects, AFFECTS_STORAGE);
    assert_contains(blocker->message, "3Mi are available; raise spec.storage.size; postgres "
                                      "says: PANIC:  No space left");
    assert_contains(blocker->unblock, "'{\"spec\":{\"storage\":{\"size\":\"2Gi\"}}}'");
    assert_string_equal(model->phase, "Degraded");
    world.instances[0].pod.ready = false;
    model = world_model(&world);
    assert_true(world_wait(model, REASON_VOLUME_FULL)->affects & AFFECTS_PRIMARY);
    assert_string_equal(model->blockers[0].reason, REASON_VOLUME_FULL);
    assert_string_equal(model->phase, "Failed");
    world.snapshot.spec.storage.size_bytes = 2LL << 30;
    world.snapshot.spec.storage.size = "2Gi";
    blocker = world_wait(world_model(&world), REASON_VOLUME_FULL);
    assert_false(blocker->stalled);
    assert_contains(blocker->message, "it is being grown");
    assert_string_equal(blocker->unblock, "");
}

static void a_claim_that_is_a_folder_of_a_larger_disk_is_not_to_be_grown(void **state)
{
    WORLD(1);
    struct volume_report *report = &world.instances[0].report.data_volume;
    *report = filled(REPORT_ROOM_FULL, 3);
    report->capacity_bytes = 100LL << 30;
    const struct model_blocker *blocker = world_wait(world_model(&world), REASON_VOLUME_FULL);
    assert_contains(blocker->message, "a larger spec.storage.size adds no space");
    assert_contains(blocker->unblock, "node 'node-1'");
    assert_null(strstr(blocker->unblock, "kubectl"));
}

static void percents_are_those_of_df(void **state)
{
    (void)state;
    struct volume_report report = {.used_bytes = 0, .available_bytes = 100};
    assert_int_equal(model_used_percent(&report), 0);
    report.used_bytes = 1;
    assert_int_equal(model_used_percent(&report), 1);
    report = (struct volume_report){.used_bytes = 950, .available_bytes = 0};
    assert_int_equal(model_used_percent(&report), 100);
    report = (struct volume_report){.used_bytes = -5, .available_bytes = 7};
    assert_int_equal(model_used_percent(&report), 0);
    report = (struct volume_report){.used_bytes = 1LL << 60, .available_bytes = 1LL << 60};
    assert_int_equal(model_used_percent(&report), 50);
}

static void a_replica_that_complains_of_its_primary_is_no_change_under_way(void **state)
{
    WORLD(2);
    cJSON *status = json_object(arena);
    json_set_str(status, "phase", "Healthy");
    json_set_int(status, "observedGeneration", 1);
    world.snapshot.status = status;
    world.instances[1].report.reason = REASON_NOT_STREAMING;
    world.instances[1].report.message = "could not receive data from WAL stream";
    const struct model *model = world_model(&world);
    assert_true(world_wait(model, REASON_NOT_STREAMING)->affects & AFFECTS_REPLICAS);
    assert_string_equal(model->phase, "Degraded");
}

static void what_needs_a_person_comes_first(void **state)
{
    WORLD(3);
    world.instances[1].report.phase = "Cloning";
    pod_down(&world, 3)->pod.unschedulable_message = "no room";
    struct model *model = world_model(&world);
    assert_string_equal(model->blockers[0].reason, REASON_UNSCHEDULABLE);
    assert_string_equal(model->blockers[1].reason, REASON_CLONING);
}

static void deletion_and_terminating_namespaces_have_their_phase(void **state)
{
    WORLD(1);
    world.snapshot.spec.deleting = true;
    struct model *model = world_model(&world);
    assert_string_equal(model->phase, "Deleting");
    assert_contains(world_wait(model, REASON_DELETING)->message, "stay");
    world.snapshot.spec.deleting = false;
    world.snapshot.namespace_terminating = true;
    assert_non_null(wait_of(&world, REASON_NAMESPACE_TERMINATING));
}

static void more_faults_than_fit_are_counted(void **state)
{
    WORLD(1);
    struct spec_fault faults[25];
    for (size_t i = 0; i < 25; i++)
        faults[i] = (struct spec_fault){arena_printf(arena, "spec.f%zu", i), "is unknown"};
    world.snapshot.faults = (struct spec_faults){faults, 25};
    const char *message = wait_of(&world, REASON_INVALID_SPEC)->message;
    assert_contains(message, "spec.f19: is unknown");
    assert_contains(message, "and 5 more");
}

/* Keys of a map are anybody's words; the command behind them is pasted, with what is before it. */
static void no_key_of_the_spec_gets_into_a_command(void **state)
{
    WORLD(1);
    struct spec_fault fault = {"spec.resources.limits[\"$(id)\"]", "is no resource"};
    world.snapshot.faults = (struct spec_faults){&fault, 1};
    const struct model_blocker *blocker = wait_of(&world, REASON_INVALID_SPEC);
    assert_contains(blocker->message, "$(id)");
    assert_null(strstr(blocker->unblock, "$("));
    assert_contains(blocker->unblock, "kubectl -n n edit pgc a");
}

static void a_cluster_that_falls_ill_is_degraded_and_a_changing_one_updating(void **state)
{
    WORLD(2);
    cJSON *status = json_object(arena);
    json_set_str(status, "phase", "Healthy");
    json_set_int(status, "observedGeneration", 1);
    world.snapshot.status = status;
    world.instances[1].pod.ready = false;
    assert_string_equal(world_model(&world)->phase, "Degraded");
    world.snapshot.spec.generation = 2;
    assert_string_equal(world_model(&world)->phase, "Updating");
}

/* As it is in a rollout, after the primary's turn has come. */
static void a_planned_restart_of_the_primary_is_no_fault_of_its_replicas(void **state)
{
    WORLD(2);
    cJSON *status = json_object(arena);
    json_set_str(status, "phase", "Updating");
    json_set_int(status, "observedGeneration", 1);
    world.snapshot.status = status;
    struct instance_report *replica = &world.instances[1].report;
    replica->reason = REASON_NOT_STREAMING;
    replica->message = "could not connect to the primary server";
    world.instances[1].pod.ready = false;
    world.replicas[0].state = "";
    world.instances[0].report.phase = "Restarting";
    world.instances[0].pod.ready = false;
    assert_string_equal(world_model(&world)->phase, "Updating");
    assert_contains(wait_of(&world, REASON_NOT_STREAMING)->message, "no healthy primary");
    world.instances[0].report.phase = "Running";
    world.instances[0].pod.ready = true;
    struct model *model = world_model(&world);
    assert_string_equal(model->phase, "Updating");
    assert_int_equal(model->next_ms, WORLD_NOW_MS + 30000);
    assert_contains(world_wait(model, REASON_NOT_STREAMING)->message, "could not connect");
    json_set_str(status, "phase", "Healthy");
    assert_string_equal(world_model(&world)->phase, "Degraded");
}

static void a_replica_that_does_not_come_back_is_a_fault_even_in_a_rollout(void **state)
{
    WORLD(2);
    cJSON *status = json_object(arena);
    json_set_str(status, "phase", "Updating");
    cJSON *blocker = json_push_object(json_add_array(status, "waitingFor"));
    json_set_str(blocker, "what", "replica a-2 streams");
    json_set_str(blocker, "reason", REASON_NOT_STREAMING);
    json_set_str(blocker, "since", clock_rfc3339(arena, WORLD_NOW_MS - 30000));
    world.snapshot.status = status;
    world.instances[1].report.reason = REASON_NOT_STREAMING;
    world.instances[1].pod.ready = false;
    world.replicas[0].state = "";
    assert_string_equal(world_model(&world)->phase, "Degraded");
    assert_true(wait_of(&world, REASON_NOT_STREAMING)->fault);
}

static void a_cluster_is_being_created_until_it_was_healthy_once(void **state)
{
    WORLD(2);
    cJSON *status = json_object(arena);
    json_set_int(status, "observedGeneration", 1);
    world.snapshot.status = status;
    world.instances[1].report.phase = "Failed";
    world.instances[1].report.reason = REASON_CLONE_FAILED;
    world.instances[1].pod.ready = false;
    assert_string_equal(world_model(&world)->phase, "Creating");
    json_set_str(status, "phase", "Creating");
    assert_string_equal(world_model(&world)->phase, "Creating");
    world.instances[1].report.reason = REASON_VERSION_MISMATCH;
    assert_string_equal(world_model(&world)->phase, "Degraded");
    world.instances[1].report.reason = REASON_CLONE_FAILED;
    json_set_str(status, "phase", "Healthy");
    assert_string_equal(world_model(&world)->phase, "Degraded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kubelets_words_become_reasons_with_a_remedy),
        cmocka_unit_test(a_starting_container_is_no_fault_until_it_takes_too_long),
        cmocka_unit_test(the_schedulers_words_are_passed_on),
        cmocka_unit_test(a_pod_that_may_not_be_made_says_what_the_set_was_told),
        cmocka_unit_test(a_pod_that_does_not_stop_names_its_node_after_the_grace_period),
        cmocka_unit_test(the_agents_own_words_are_passed_on),
        cmocka_unit_test(a_running_agent_that_complains_is_heard),
        cmocka_unit_test(a_replica_without_its_wal_is_cloned_anew_unless_it_was_a_primary),
        cmocka_unit_test(volumes_that_a_replica_cannot_use_are_replaced_together),
        cmocka_unit_test(a_replica_over_its_bound_lags),
        cmocka_unit_test(a_replica_that_runs_as_primary_is_a_fault_of_both),
        cmocka_unit_test(a_primary_ahead_of_the_lease_is_news_on_its_way),
        cmocka_unit_test(what_a_vanished_primary_said_of_its_replicas_is_not_believed),
        cmocka_unit_test(a_new_pod_of_the_primary_must_take_the_lease_over_first),
        cmocka_unit_test(traffic_must_lead_to_the_primary),
        cmocka_unit_test(a_missing_storage_class_is_named_with_the_remedy),
        cmocka_unit_test(a_volume_that_grows_is_waited_for_and_harms_nobody),
        cmocka_unit_test(a_smaller_size_is_refused_with_the_field_to_set),
        cmocka_unit_test(a_growth_that_never_happened_can_be_taken_back),
        cmocka_unit_test(another_storage_class_is_refused_with_the_field_to_set),
        cmocka_unit_test(a_lost_volume_of_a_replica_is_cloned_and_of_the_primary_is_not),
        cmocka_unit_test(the_primary_above_instances_is_kept_and_says_what_unblocks),
        cmocka_unit_test(a_surplus_replica_goes),
        cmocka_unit_test(a_surplus_volume_that_would_vanish_stays_while_the_primary_is_ill),
        cmocka_unit_test(faulty_secrets_are_told_in_the_words_of_who_found_them),
        cmocka_unit_test(new_passwords_are_waited_for_until_the_primary_has_them),
        cmocka_unit_test(an_expired_certificate_is_named),
        cmocka_unit_test(a_volume_that_fills_is_a_warning_and_no_wait),
        cmocka_unit_test(a_full_volume_needs_a_person_until_it_grows),
        cmocka_unit_test(a_claim_that_is_a_folder_of_a_larger_disk_is_not_to_be_grown),
        cmocka_unit_test(percents_are_those_of_df),
        cmocka_unit_test(a_replica_that_complains_of_its_primary_is_no_change_under_way),
        cmocka_unit_test(what_needs_a_person_comes_first),
        cmocka_unit_test(deletion_and_terminating_namespaces_have_their_phase),
        cmocka_unit_test(no_key_of_the_spec_gets_into_a_command),
        cmocka_unit_test(more_faults_than_fit_are_counted),
        cmocka_unit_test(a_planned_restart_of_the_primary_is_no_fault_of_its_replicas),
        cmocka_unit_test(a_replica_that_does_not_come_back_is_a_fault_even_in_a_rollout),
        cmocka_unit_test(a_cluster_is_being_created_until_it_was_healthy_once),
        cmocka_unit_test(a_cluster_that_falls_ill_is_degraded_and_a_changing_one_updating),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
