#include "world.h"

#include "desired/desired.h"

static const cJSON *budget(struct world *world)
{
    struct desired desired = desired_build(world->arena, world_model(world));
    for (size_t i = 0; i < desired.count; i++)
        if (strcmp(json_str(desired.objects[i], "kind", ""), "PodDisruptionBudget") == 0)
            return json_get(desired.objects[i], "spec");
    fail_msg("there is no PodDisruptionBudget");
    return NULL;
}

static void assert_budget(struct world *world, const char *wanted)
{
    cJSON *found = json_copy(world->arena, budget(world));
    cJSON_DeleteItemFromObjectCaseSensitive(found, "selector");
    assert_string_equal(json_canonical(world->arena, found), wanted);
}

static void recovers(struct world *world, const char *phase)
{
    world->instances[0].pod.ready = false;
    world->instances[0].report.phase = phase;
}

static void a_drain_waits_for_a_primary_that_is_recovering(void **state)
{
    WORLD(2);
    static const char *const phases[] = {"Starting", "Recovering", "Restarting"};
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        recovers(&world, phases[i]);
        assert_budget(&world,
                      "{\"maxUnavailable\":0,\"unhealthyPodEvictionPolicy\":\"IfHealthyBudget\"}");
    }
    world.snapshot.spec.instances = 1;
    assert_budget(&world,
                  "{\"minAvailable\":1,\"unhealthyPodEvictionPolicy\":\"IfHealthyBudget\"}");
    world.snapshot.spec.allow_eviction = true; /* an outage is allowed */
    assert_budget(&world, "{\"maxUnavailable\":1,\"unhealthyPodEvictionPolicy\":\"AlwaysAllow\"}");
}

static void a_drain_never_waits_for_a_pod_that_does_not_come_back_by_itself(void **state)
{
    WORLD(2);
    static const char always[] =
        "{\"maxUnavailable\":1,\"unhealthyPodEvictionPolicy\":\"AlwaysAllow\"}";
    assert_budget(&world, always);
    recovers(&world, "Failed");
    assert_budget(&world, always);
    recovers(&world, "Waiting");
    assert_budget(&world, always);
    recovers(&world, "Recovering");
    world.instances[0].pod.waiting_reason = "CrashLoopBackOff";
    assert_budget(&world, always);
    world.instances[0].pod.waiting_reason = "";
    world.instances[0].pod.deleting = true;
    assert_budget(&world, always);
}

static void since(struct world *world, int64_t since_ms)
{
    cJSON *status = json_object(world->arena);
    cJSON *condition = json_push_object(json_add_array(status, "conditions"));
    json_set_str(condition, "type", "PrimaryReady");
    json_set_str(condition, "status", "False");
    json_set_str(condition, "lastTransitionTime", clock_rfc3339(world->arena, since_ms));
    world->snapshot.status = status;
}

static void a_drain_waits_an_hour_at_most_for_a_recovery(void **state)
{
    WORLD(2);
    static const int64_t hour_ms = 3600 * 1000;
    recovers(&world, "Recovering");
    since(&world, WORLD_NOW_MS);
    struct model *model = world_model(&world);
    assert_true(model->primary_recovers);
    assert_true(model->next_ms > 0 && model->next_ms <= WORLD_NOW_MS + hour_ms);
    world.now_ms = WORLD_NOW_MS + hour_ms - 1;
    assert_budget(&world,
                  "{\"maxUnavailable\":0,\"unhealthyPodEvictionPolicy\":\"IfHealthyBudget\"}");
    world.now_ms++;
    assert_budget(&world, "{\"maxUnavailable\":1,\"unhealthyPodEvictionPolicy\":\"AlwaysAllow\"}");
    /* A clock that was set back does not make it longer. */
    since(&world, WORLD_NOW_MS + 30 * 24 * hour_ms);
    assert_budget(&world, "{\"maxUnavailable\":1,\"unhealthyPodEvictionPolicy\":\"AlwaysAllow\"}");
}

static void a_drain_never_waits_for_a_broken_replica(void **state)
{
    WORLD(2);
    world.instances[1].pod.ready = false;
    world.instances[1].report.phase = "Recovering";
    assert_budget(&world, "{\"maxUnavailable\":1,\"unhealthyPodEvictionPolicy\":\"AlwaysAllow\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drain_waits_for_a_primary_that_is_recovering),
        cmocka_unit_test(a_drain_never_waits_for_a_pod_that_does_not_come_back_by_itself),
        cmocka_unit_test(a_drain_waits_an_hour_at_most_for_a_recovery),
        cmocka_unit_test(a_drain_never_waits_for_a_broken_replica),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
