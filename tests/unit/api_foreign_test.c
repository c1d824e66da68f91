#include "test.h"

#include "api/foreign.h"

static cJSON *parsed(struct arena *arena, const char *text)
{
    struct error err;
    cJSON *tree;
    assert_int_equal(json_parse(arena, text, strlen(text), &tree, &err), 0);
    return tree;
}

#define BY(manager, more, fields)                                                                  \
    "{\"manager\":\"" manager "\",\"operation\":\"Update\"," more "\"fieldsV1\":{" fields "}}"
#define OF(managers, body) "{\"metadata\":{\"managedFields\":[" managers "]}," body "}"
#define OURS                                                                                       \
    BY("pgkeel", "",                                                                               \
       "\"f:spec\":{\"f:type\":{},\"f:ports\":{\"k:{\\\"port\\\":5432,\\\"protocol\\\":"           \
       "\\\"TCP\\\"}\":"                                                                           \
       "{\".\":{},\"f:port\":{},\"f:protocol\":{}}}}")
#define BODY                                                                                       \
    "\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":\"10.0.0.1\",\"selector\":{\"a\":\"b\"},"      \
    "\"ports\":[{\"port\":5432,\"protocol\":\"TCP\",\"nodePort\":30000,\"appProtocol\":\"x\"},"    \
    "{\"port\":80,\"protocol\":\"TCP\"}]}"

static void what_a_foreign_manager_added_is_named_and_taken_out(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *service = parsed(
        arena,
        OF(OURS "," BY(
               "kubectl-patch", "",
               "\"f:metadata\":{\"f:annotations\":{\"f:note\":{}}},\"f:spec\":{"
               "\"f:selector\":{},\"f:clusterIP\":{},\"f:ports\":{"
               "\"k:{\\\"port\\\":5432,\\\"protocol\\\":\\\"TCP\\\"}\":{\"f:nodePort\":{},"
               "\"f:appProtocol\":{}},"
               "\"k:{\\\"port\\\":80,\\\"protocol\\\":\\\"TCP\\\"}\":{\".\":{},\"f:port\":{}}}}"),
           BODY));
    assert_string_equal(api_foreign_fields(arena, "Service", service),
                        "spec.selector, spec.ports[{\"port\":5432,\"protocol\":\"TCP\"}]."
                        "appProtocol, spec.ports[{\"port\":80,\"protocol\":\"TCP\"}]");
    assert_true(api_foreign_remove(arena, "Service", NULL, service));
    assert_string_equal(json_canonical(arena, json_get(service, "spec")),
                        "{\"clusterIP\":\"10.0.0.1\",\"ports\":[{\"nodePort\":30000,\"port\":5432,"
                        "\"protocol\":\"TCP\"}],\"type\":\"ClusterIP\"}");
}

/* kube-proxy leaves a Service with one of them alone: nothing leads anywhere any more. */
static void a_label_that_takes_a_service_away_from_kube_proxy_is_named_and_taken_out(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    const char *labels = "\"labels\":{\"mine\":\"x\","
                         "\"service.kubernetes.io/service-proxy-name\":\"other\","
                         "\"service.kubernetes.io/headless\":\"\"},";
    const char *managed = OURS "," BY("kubectl-label", "",
                                      "\"f:metadata\":{\"f:labels\":{\".\":{},\"f:mine\":{},"
                                      "\"f:service.kubernetes.io/headless\":{},"
                                      "\"f:service.kubernetes.io/service-proxy-name\":{}}}");
    const char *text =
        arena_printf(arena, "{\"metadata\":{%s\"managedFields\":[%s]}," BODY "}", labels, managed);
    cJSON *service = parsed(arena, text);
    assert_string_equal(api_foreign_fields(arena, "Service", service),
                        "metadata.labels.service.kubernetes.io/headless, "
                        "metadata.labels.service.kubernetes.io/service-proxy-name");
    assert_string_equal(api_foreign_fields(arena, "ConfigMap", service), "");
    assert_true(api_foreign_remove(arena, "Service", NULL, service));
    assert_string_equal(json_canonical(arena, json_get(service, "metadata.labels")),
                        "{\"mine\":\"x\"}");
}

static void what_the_server_filled_in_and_what_is_shared_stays(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *service = parsed(
        arena, OF(OURS "," BY("kubectl-apply", "", "\"f:spec\":{\"f:type\":{}}") "," BY(
                      "kubectl-status", "\"subresource\":\"status\",",
                      "\"f:status\":{},\"f:spec\":{\"f:x\":{}}") "," BY("kubelet", "",
                                                                        "\"f:spec\":{\"f:y\":{}}"),
                  BODY));
    assert_string_equal(api_foreign_fields(arena, "Service", service), "");
    char *before = json_canonical(arena, service);
    assert_false(api_foreign_remove(arena, "Service", NULL, service));
    assert_string_equal(json_canonical(arena, service), before);
}

static void keys_containers_and_whole_maps_are_found_in_every_kind_that_is_ours_alone(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const struct {
        const char *kind, *fields, *found;
    } cases[] = {
        {"ConfigMap", "\"f:data\":{\"f:extra.conf\":{}}", "data.extra.conf"},
        {"ConfigMap", "\"f:immutable\":{}", "immutable"},
        {"PodDisruptionBudget", "\"f:spec\":{\"f:minAvailable\":{}}", "spec.minAvailable"},
        {"StatefulSet",
         "\"f:spec\":{\"f:template\":{\"f:metadata\":{\"f:annotations\":{\".\":{},\"f:x\":{}}},"
         "\"f:spec\":{\"f:nodeSelector\":{},\"f:containers\":{\"k:{\\\"name\\\":\\\"s\\\"}\":"
         "{\".\":{},\"f:name\":{}}}}}}",
         "spec.template.spec.nodeSelector, spec.template.spec.containers[{\"name\":\"s\"}]"},
        {"Lease", "\"f:spec\":{\"f:holderIdentity\":{}}", ""},
        {"PersistentVolumeClaim", "\"f:spec\":{\"f:volumeAttributesClassName\":{}}", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *object =
            parsed(arena, arena_printf(arena,
                                       "{\"metadata\":{\"managedFields\":[{\"manager\":\"helm\","
                                       "\"fieldsV1\":{%s}}]}}",
                                       cases[i].fields));
        assert_string_equal(api_foreign_fields(arena, cases[i].kind, object), cases[i].found);
        assert_int_equal(api_foreign_remove(arena, cases[i].kind, NULL, object),
                         *cases[i].found != '\0');
    }
}

static void what_was_taken_from_us_is_not_removed(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *service = parsed(
        arena,
        OF(BY("kubectl-edit", "",
              "\"f:spec\":{\"f:type\":{},\"f:selector\":{},\"f:ports\":{"
              "\"k:{\\\"port\\\":5432,\\\"protocol\\\":\\\"TCP\\\"}\":{\".\":{},\"f:port\":{},"
              "\"f:appProtocol\":{}}}}"),
           BODY));
    const cJSON *intent =
        parsed(arena, "{\"spec\":{\"type\":\"ClusterIP\",\"ports\":[{\"port\":5432,"
                      "\"protocol\":\"TCP\"}]}}");
    assert_true(api_foreign_remove(arena, "Service", intent, service));
    assert_string_equal(json_str(service, "spec.type", ""), "ClusterIP");
    assert_int_equal(json_int(service, "spec.ports[0].port", 0), 5432);
    assert_null(json_get(service, "spec.selector"));
    assert_null(json_get(service, "spec.ports[0].appProtocol"));
}

static void the_patch_names_the_object_and_version_that_was_read(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *object = parsed(
        arena, "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"7\",\"managedFields\":["
               "{\"manager\":\"helm\",\"fieldsV1\":{\"f:spec\":{\"f:selector\":{},\"f:ports\":{"
               "\"k:{\\\"port\\\":80}\":{\".\":{}}}}}}]},"
               "\"spec\":{\"selector\":{\"a\":\"b\"},\"type\":\"x\",\"ports\":[{\"port\":80},{"
               "\"port\":1}]}}");
    assert_string_equal(json_canonical(arena, api_foreign_patch(arena, "Service", NULL, object)),
                        "{\"metadata\":{\"resourceVersion\":\"7\",\"uid\":\"u\"},"
                        "\"spec\":{\"ports\":[{\"port\":1}],\"selector\":null}}");
    assert_null(api_foreign_patch(arena, "Lease", NULL, object));
}

static void sets_that_make_no_sense_harm_nothing(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *object = parsed(arena, OF(BY("x", "",
                                        "\"f:spec\":{\"\":{},\"k:{\":{\"f:a\":{}},\"v:1\":{},\"i:"
                                        "0\":{}}") ","
                                                   "7,{\"manager\":\"y\",\"fieldsV1\":\"text\"},{"
                                                   "\"manager\":\"z\"}",
                                     "\"spec\":[1,2]"));
    (void)api_foreign_fields(arena, "Service", object);
    (void)api_foreign_remove(arena, "Service", NULL, object);
    assert_true(api_manager_is_foreign("kubectl"));
    assert_false(api_manager_is_foreign("pgkeel"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_foreign_manager_added_is_named_and_taken_out),
        cmocka_unit_test(a_label_that_takes_a_service_away_from_kube_proxy_is_named_and_taken_out),
        cmocka_unit_test(what_the_server_filled_in_and_what_is_shared_stays),
        cmocka_unit_test(keys_containers_and_whole_maps_are_found_in_every_kind_that_is_ours_alone),
        cmocka_unit_test(what_was_taken_from_us_is_not_removed),
        cmocka_unit_test(the_patch_names_the_object_and_version_that_was_read),
        cmocka_unit_test(sets_that_make_no_sense_harm_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
