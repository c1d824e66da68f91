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
        cmocka_unit_test(a_drain_never_waits_for_a_broken_replica),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
