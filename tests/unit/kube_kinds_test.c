#include "test.h"

#include "kube/kinds.h"

static void expect_path(const char *api_version, const char *kind, const char *namespace,
                        const char *name, const char *subresource, const char *wanted)
{
    AUTO_ARENA arena = arena_new();
    const struct kube_kind *found = kube_kind_find(api_version, kind);
    assert_non_null(found);
    assert_string_equal(kube_path(arena, found, namespace, name, subresource), wanted);
}

static void core_kinds_live_below_api(void **state)
{
    (void)state;
    expect_path("v1", "Pod", "ns", "a-1-0", "status", "/api/v1/namespaces/ns/pods/a-1-0/status");
    expect_path("v1", "Pod", NULL, NULL, NULL, "/api/v1/pods");
}

static void other_kinds_live_below_apis(void **state)
{
    (void)state;
    expect_path("apps/v1", "StatefulSet", "ns", NULL, NULL,
                "/apis/apps/v1/namespaces/ns/statefulsets");
    expect_path("pgkeel.dev/v1alpha1", "PostgresCluster", "n", "a", "status",
                "/apis/pgkeel.dev/v1alpha1/namespaces/n/postgresclusters/a/status");
    expect_path("coordination.k8s.io/v1", "Lease", "n", "a-primary", NULL,
                "/apis/coordination.k8s.io/v1/namespaces/n/leases/a-primary");
}

static void a_namespace_is_left_out_where_a_kind_has_none(void **state)
{
    (void)state;
    expect_path("v1", "Node", "ignored", "n1", NULL, "/api/v1/nodes/n1");
    expect_path("storage.k8s.io/v1", "StorageClass", NULL, NULL, NULL,
                "/apis/storage.k8s.io/v1/storageclasses");
}

static void segments_cannot_leave_their_place(void **state)
{
    (void)state;
    expect_path("v1", "Secret", "a/b", "../x?y#z", NULL,
                "/api/v1/namespaces/a%2Fb/secrets/..%2Fx%3Fy%23z");
    expect_path("rbac.authorization.k8s.io/v1", "Role", "n", "system:x", NULL,
                "/apis/rbac.authorization.k8s.io/v1/namespaces/n/roles/system%3Ax");
}

static void an_unknown_kind_is_null(void **state)
{
    (void)state;
    assert_null(kube_kind_find("v1", "Pods"));
    assert_null(kube_kind_find("apps/v1", "Pod"));
    assert_null(kube_kind_find(NULL, "Pod"));
    assert_null(kube_kind_find("v1", NULL));
}

static void a_selector_is_escaped_for_a_query(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    assert_string_equal(kube_escape(arena, "a/b=c d,e&f"), "a%2Fb%3Dc%20d%2Ce%26f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(core_kinds_live_below_api),
        cmocka_unit_test(other_kinds_live_below_apis),
        cmocka_unit_test(a_namespace_is_left_out_where_a_kind_has_none),
        cmocka_unit_test(segments_cannot_leave_their_place),
        cmocka_unit_test(an_unknown_kind_is_null),
        cmocka_unit_test(a_selector_is_escaped_for_a_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
