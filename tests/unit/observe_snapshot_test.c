#include "observe_test.h"

#include "base/clock.h"

static struct snapshot look(struct world *w)
{
    struct snapshot snapshot;
    assert_true(
        observe_snapshot(w->observe, w->arena, "n", "a", &(struct api_defaults){0}, &snapshot));
    return snapshot;
}

static void make_cluster(struct world *w, int instances)
{
    see(w, -1,
        parse(w,
              arena_printf(w->arena,
                           "{\"apiVersion\":\"pgkeel.dev/v1alpha1\",\"kind\":\"PostgresCluster\","
                           "\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"c-uid\","
                           "\"generation\":3,\"resourceVersion\":\"1\"},\"spec\":{\"instances\":%d,"
                           "\"postgres\":{\"version\":17},\"storage\":{\"size\":\"1Gi\"}},"
                           "\"status\":{\"phase\":\"Healthy\"}}",
                           instances)));
}

static void every_instance_asked_for_is_there_even_when_nothing_stands(void **state)
{
    struct world *w = *state;
    make_cluster(w, 2);
    struct snapshot s = look(w);
    assert_int_equal(s.faults.count, 0);
    assert_int_equal(s.spec.generation, 3);
    assert_string_equal(s.spec.uid, "c-uid");
    assert_string_equal(json_str(s.status, "phase", ""), "Healthy");
    assert_int_equal(s.instance_count, 2);
    assert_string_equal(s.instances[1].name, "a-2");
    assert_false(s.instances[1].set_there || s.instances[1].pod.there || s.instances[1].data.there);
    assert_string_equal(s.instances[1].data.name, "a-2-data");
    assert_string_equal(s.instances[1].report.phase, "");
    assert_false(s.lease.there);
    assert_string_equal(s.lease.grant.instance, "");
    assert_string_equal(s.rw_address, "");
    assert_string_equal(s.credentials.reason, "");
}

static void an_instance_that_is_still_there_in_any_part_is_seen(void **state)
{
    struct world *w = *state;
    make_cluster(w, 1);
    see(w, CHILD_CLAIM, object(w, "a-3-data", "p3", 2, "", ",\"status\":{\"phase\":\"Bound\"}"));
    see(w, CHILD_STATEFUL_SET, object(w, "a-2", "s2", 3, "", ""));
    struct snapshot s = look(w);
    assert_int_equal(s.instance_count, 3);
    assert_true(s.instances[1].set_there);
    assert_true(s.instances[2].data.there);
    assert_int_equal(s.instances[2].ordinal, 3);
}

static void a_volume_tells_its_size_its_trouble_and_what_lives_on_it(void **state)
{
    struct world *w = *state;
    make_cluster(w, 1);
    see(w, CHILD_CLAIM,
        object(w, "a-1-data", "p1", 2,
               "\"" ANN_SYSTEM_ID "\":\"7300\",\"" ANN_EPOCH "\":\"4\",\"" ANN_LAST_ROLE
               "\":\"primary\"",
               ",\"spec\":{\"storageClassName\":\"fast\",\"resources\":{\"requests\":{\"storage\":"
               "\"2Gi\"}}},\"status\":{\"phase\":\"Bound\",\"capacity\":{\"storage\":\"1Gi\"},"
               "\"conditions\":[{\"type\":\"Resizing\",\"status\":\"True\"},{\"type\":"
               "\"ControllerResizeError\",\"status\":\"True\",\"message\":\"no room\"}]}"));
    see(w, CHILD_CLAIM, object(w, "a-1-wal", "p2", 3, "", ",\"status\":{\"phase\":\"Pending\"}"));
    const struct seen_pvc *data = &look(w).instances[0].data, *wal = &look(w).instances[0].wal;
    assert_string_equal(data->phase, "Bound");
    assert_int_equal(data->requested_bytes, 2LL << 30);
    assert_int_equal(data->capacity_bytes, 1LL << 30);
    assert_string_equal(data->storage_class, "fast");
    assert_string_equal(data->resize_message, "ControllerResizeError: no room");
    assert_string_equal(data->system_identifier, "7300");
    assert_int_equal(data->epoch, 4);
    assert_string_equal(data->last_role, "primary");
    assert_int_equal(data->pending_since_ms, 0);
    assert_int_equal(wal->pending_since_ms, clock_parse_rfc3339("2026-03-01T12:00:00Z"));
}

static void a_pod_tells_why_it_waits_and_what_its_agent_reports(void **state)
{
    struct world *w = *state;
    make_cluster(w, 2);
    see(w, CHILD_POD,
        object(w, "a-1-0", "u1", 2,
               "\"" ANN_REPORT "\":\"{\\\"instance\\\":\\\"a-1\\\",\\\"role\\\":\\\"primary\\\","
               "\\\"timeline\\\":3}\"",
               ",\"spec\":{\"nodeName\":\"node1\"},\"status\":{\"phase\":\"Running\",\"podIP\":"
               "\"10.0.0.1\",\"podIPs\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"fd00::1\"}],"
               "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
               "\"containerStatuses\":[{\"name\":\"postgres\",\"restartCount\":2}]}"));
    see(w, CHILD_POD,
        object(w, "a-2-0", "u2", 3, "",
               ",\"spec\":{\"priority\":-10},\"status\":{\"phase\":\"Pending\",\"conditions\":[{"
               "\"type\":\"DisruptionTarget\",\"status\":\"True\",\"reason\":"
               "\"PreemptionByScheduler\",\"message\":\"preempting\"},{\"type\":\"PodScheduled\","
               "\"status\":\"False\",\"message\":\"0/2 nodes\"}],\"containerStatuses\":[{\"name\":"
               "\"postgres\",\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\",\"message\":"
               "\"no such image\"}}}]}"));
    struct snapshot s = look(w);
    const struct seen_instance *first = &s.instances[0], *second = &s.instances[1];
    assert_true(first->pod.ready);
    assert_string_equal(first->pod.node, "node1");
    assert_string_equal(first->pod.ips, "10.0.0.1,fd00::1");
    assert_string_equal(first->pod.revision, "rev-1");
    assert_int_equal(first->pod.restarts, 2);
    assert_true(first->reported);
    assert_string_equal(first->report.role, "primary");
    assert_int_equal(first->report.timeline, 3);
    assert_false(second->pod.ready || second->reported);
    assert_string_equal(second->pod.waiting_reason, "ImagePullBackOff");
    assert_string_equal(second->pod.waiting_message, "no such image");
    assert_string_equal(second->pod.unschedulable_message, "0/2 nodes");
    assert_string_equal(second->pod.disruption, "PreemptionByScheduler");
    assert_string_equal(second->pod.disruption_message, "preempting");
    assert_string_equal(second->pod.priority, "-10");
    assert_string_equal(first->pod.disruption, "");
}

static void a_statefulset_and_the_restart_tokens_are_read(void **state)
{
    struct world *w = *state;
    make_cluster(w, 2);
    see(w, CHILD_STATEFUL_SET,
        object(w, "a-1", "s1", 2,
               "\"" ANN_TEMPLATE "\":\"t\",\"" ANN_AGENT_IMAGE "\":\"img\",\"" ANN_POD_FORM
               "\":\"2\"",
               ",\"status\":{\"updateRevision\":\"rev-2\",\"observedGeneration\":5}"));
    see(w, CHILD_CONFIG_MAP,
        object(w, "a-config", "m", 3, "",
               ",\"data\":{\"cluster.json\":\"{\\\"members\\\":[{\\\"name\\\":\\\"a-1\\\"},"
               "{\\\"name\\\":\\\"a-2\\\",\\\"restartToken\\\":\\\"00ff\\\"}]}\"}"));
    struct snapshot s = look(w);
    assert_string_equal(s.instances[0].template_hash, "t");
    assert_string_equal(s.instances[0].agent_image, "img");
    assert_int_equal(s.instances[0].pod_form, 2);
    assert_string_equal(s.instances[0].update_revision, "rev-2");
    assert_int_equal(s.instances[0].set_observed_generation, 5);
    assert_false(s.instances[0].set_ends_pods);
    assert_string_equal(s.instances[0].restart_token, "");
    assert_string_equal(s.instances[1].restart_token, "00ff");
}

static void a_statefulset_that_ends_pods_by_itself_is_told_from_others(void **state)
{
    static const struct {
        const char *spec;
        bool ends;
    } cases[] = {
        {",\"spec\":{\"replicas\":1,\"updateStrategy\":{\"type\":\"OnDelete\"}}", false},
        {",\"spec\":{\"replicas\":0,\"updateStrategy\":{\"type\":\"OnDelete\"}}", true},
        {",\"spec\":{\"replicas\":2,\"updateStrategy\":{\"type\":\"OnDelete\"}}", true},
        {",\"spec\":{\"replicas\":1,\"updateStrategy\":{\"type\":\"RollingUpdate\"}}", true},
    };
    struct world *w = *state;
    make_cluster(w, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        see(w, CHILD_STATEFUL_SET, object(w, "a-1", "s1", (int)i + 2, "", cases[i].spec));
        assert_int_equal(look(w).instances[0].set_ends_pods, cases[i].ends);
    }
}

static void lease_and_endpoint_are_read(void **state)
{
    struct world *w = *state;
    make_cluster(w, 1);
    see(w, CHILD_LEASE,
        object(w, "a-primary", "l", 2,
               "\"" ANN_BOOTSTRAP
               "\":\"{\\\"instance\\\":\\\"a-1\\\",\\\"mode\\\":\\\"initdb\\\"}\"",
               ",\"spec\":{\"holderIdentity\":\"a-1/x\",\"leaseTransitions\":7}"));
    see(w, CHILD_ENDPOINT_SLICE,
        object(w, "a-rw", "e", 3, "", ",\"endpoints\":[{\"addresses\":[\"10.0.0.1\"]}]"));
    struct snapshot s = look(w);
    assert_string_equal(s.lease.holder, "a-1/x");
    assert_int_equal(s.lease.transitions, 7);
    assert_true(s.lease.granted && s.lease.grant.initdb);
    assert_string_equal(s.lease.resource_version, "2");
    assert_false(s.lease.reported);
    assert_string_equal(s.rw_address, "10.0.0.1");
}

static void objects_are_sorted_and_pods_are_none_of_them(void **state)
{
    struct world *w = *state;
    make_cluster(w, 1);
    see(w, CHILD_SERVICE, object(w, "a-rw", "1", 2, "\"" ANN_APPLIED "\":\"h\"", ""));
    see(w, CHILD_POD, object(w, "a-1-0", "2", 3, "", ""));
    see(w, CHILD_SERVICE, object(w, "a-r", "3", 4, "", ""));
    see(w, CHILD_ROLE, object(w, "a", "4", 5, "", ""));
    struct snapshot s = look(w);
    assert_int_equal(s.object_count, 3);
    assert_string_equal(s.objects[0].kind, "Role");
    assert_string_equal(s.objects[1].name, "a-r");
    assert_string_equal(s.objects[2].name, "a-rw");
    assert_string_equal(s.objects[2].applied, "h");
    assert_string_equal(s.objects[2].resource_version, "2");
    assert_string_equal(s.objects[2].cluster, "a");
}

static void an_invalid_spec_keeps_what_stands_visible(void **state)
{
    struct world *w = *state;
    make_cluster(w, 42);
    see(w, CHILD_STATEFUL_SET, object(w, "a-1", "s1", 2, "", ""));
    struct snapshot s = look(w);
    assert_true(s.faults.count > 0);
    assert_true(s.instance_count >= 1);
    assert_true(s.instances[0].set_there);
}

static void another_clusters_objects_stay_out(void **state)
{
    struct world *w = *state;
    make_cluster(w, 1);
    cJSON *other = object(w, "a-1-data", "p", 2, "", ",\"status\":{\"phase\":\"Bound\"}");
    json_set_str(json_get(other, "metadata.labels"), LABEL_CLUSTER, "b");
    see(w, CHILD_CLAIM, other);
    struct snapshot s = look(w);
    assert_false(s.instances[0].data.there);
    assert_int_equal(s.object_count, 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make_world, drop_world)
    const struct CMUnitTest tests[] = {
        CASE(every_instance_asked_for_is_there_even_when_nothing_stands),
        CASE(an_instance_that_is_still_there_in_any_part_is_seen),
        CASE(a_volume_tells_its_size_its_trouble_and_what_lives_on_it),
        CASE(a_pod_tells_why_it_waits_and_what_its_agent_reports),
        CASE(a_statefulset_and_the_restart_tokens_are_read),
        CASE(a_statefulset_that_ends_pods_by_itself_is_told_from_others),
        CASE(lease_and_endpoint_are_read),
        CASE(objects_are_sorted_and_pods_are_none_of_them),
        CASE(an_invalid_spec_keeps_what_stands_visible),
        CASE(another_clusters_objects_stay_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
