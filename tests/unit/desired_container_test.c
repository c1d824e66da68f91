/* What any pod is built from, for one that is not of an instance. */
#include "test.h"

#include "desired/internal.h"

static void assert_canonical(struct arena *arena, const cJSON *node, const char *expected)
{
    assert_string_equal(json_canonical(arena, node), expected);
}

static void a_pod_keeps_away_from_those_of_its_own_kind(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *pod = json_object(arena);
    const struct scheduling_spec scheduling = {.anti_affinity_required = true,
                                               .topology_key = "topology.kubernetes.io/zone",
                                               .priority_class = "high"};
    build_pod_scheduling(pod, &scheduling, (struct key_value){"kind", "other"});
    assert_canonical(arena, json_get(pod, "affinity.podAntiAffinity"),
                     "{\"requiredDuringSchedulingIgnoredDuringExecution\":[{\"labelSelector\":{"
                     "\"matchLabels\":{\"kind\":\"other\"}},\"topologyKey\":"
                     "\"topology.kubernetes.io/zone\"}]}");
    assert_canonical(arena, json_get(pod, "topologySpreadConstraints[0].labelSelector"),
                     "{\"matchLabels\":{\"kind\":\"other\"}}");
    assert_int_equal(cJSON_GetArraySize(json_get(pod, "topologySpreadConstraints")), 1);
    assert_string_equal(json_str(pod, "priorityClassName", ""), "high");
    assert_null(json_get(pod, "nodeSelector"));
}

static void a_container_is_probed_on_its_own_port(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *container = json_object(arena);
    const struct container_probe probe = {
        .path = "/ready", .port = "web", .period_seconds = 3, .timeout_seconds = 2, .failures = 4};
    build_container_probe(container, "readinessProbe", &probe);
    assert_canonical(arena, json_get(container, "readinessProbe"),
                     "{\"failureThreshold\":4,\"httpGet\":{\"path\":\"/ready\",\"port\":\"web\"},"
                     "\"periodSeconds\":3,\"timeoutSeconds\":2}");
}

static void a_pod_runs_as_the_user_that_it_is_given_and_may_no_more_than_restricted(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *pod = json_object(arena);
    build_pod_security(pod, 4711);
    assert_canonical(arena, json_get(pod, "securityContext"),
                     "{\"fsGroup\":4711,\"fsGroupChangePolicy\":\"OnRootMismatch\","
                     "\"runAsGroup\":4711,\"runAsNonRoot\":true,\"runAsUser\":4711,"
                     "\"seccompProfile\":{\"type\":\"RuntimeDefault\"}}");
    build_container_security(pod);
    assert_canonical(arena, json_get(pod, "securityContext.capabilities"), "{\"drop\":[\"ALL\"]}");
}

static void a_service_has_the_ports_and_the_selector_that_it_is_given(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    const struct cluster_spec spec = {.name = "a", .namespace = "n", .uid = ""};
    struct build build = {.arena = arena, .spec = &spec};
    static const struct service_port ports[] = {{"web", 80}, {"metrics", 9187}};
    cJSON *service = build_service(&build, "other", ports, 2);
    (void)build_selector(service, "selector", (struct key_value){"kind", "other"});
    assert_string_equal(json_str(build.objects[0], "metadata.name", ""), "a-other");
    assert_canonical(arena, service,
                     "{\"ports\":[{\"name\":\"web\",\"port\":80,\"protocol\":\"TCP\","
                     "\"targetPort\":80},{\"name\":\"metrics\",\"port\":9187,\"protocol\":\"TCP\","
                     "\"targetPort\":9187}],\"selector\":{\"kind\":\"other\"},"
                     "\"type\":\"ClusterIP\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_keeps_away_from_those_of_its_own_kind),
        cmocka_unit_test(a_container_is_probed_on_its_own_port),
        cmocka_unit_test(a_pod_runs_as_the_user_that_it_is_given_and_may_no_more_than_restricted),
        cmocka_unit_test(a_service_has_the_ports_and_the_selector_that_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
