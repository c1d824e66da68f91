#include "test.h"

#include "apply/apply.h"

static const struct apply_owner owner = {"n", "a", "u-1"};

static int take(const char *metadata, struct error *err)
{
    AUTO_ARENA arena = arena_new();
    const char *json = arena_printf(arena, "{\"metadata\":{\"name\":\"x\"%s}}", metadata);
    cJSON *object;
    assert_int_equal(json_parse(arena, json, strlen(json), &object, err), 0);
    *err = (struct error){0};
    return apply_may_take(&owner, "Service", object, err);
}

#define OWNED_BY(kind, name, uid)                                                                  \
    ",\"ownerReferences\":[{\"controller\":true,\"kind\":\"" kind "\",\"name\":\"" name            \
    "\",\"uid\":\"" uid "\"}]"
#define LABELLED(cluster)                                                                          \
    ",\"labels\":{\"app.kubernetes.io/managed-by\":\"pgkeel\",\"pgkeel.dev/cluster\":\"" cluster   \
    "\"}"

static void what_our_cluster_object_controls_is_ours_without_any_label(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(take(OWNED_BY("PostgresCluster", "a", "u-1"), &err), 0);
}

static void what_was_kept_from_an_earlier_cluster_is_taken_up(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(take(LABELLED("a"), &err), 0);
}

static void what_an_earlier_cluster_still_controls_is_waited_out(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(take(OWNED_BY("PostgresCluster", "a", "u-0") LABELLED("a"), &err),
                     ERR_CONFLICT);
    assert_non_null(strstr(err.text, "earlier PostgresCluster 'a'"));
}

static void others_are_named(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(take(OWNED_BY("Deployment", "web", "d"), &err), ERR_CONFLICT);
    assert_non_null(strstr(err.text, "Service 'n/x' belongs to Deployment 'web'"));
    assert_int_equal(take(LABELLED("b"), &err), ERR_CONFLICT);
    assert_non_null(strstr(err.text, "PostgresCluster 'b'"));
    assert_int_equal(take("", &err), ERR_CONFLICT);
    assert_non_null(strstr(err.text, "was not created by pgkeel"));
    assert_string_equal(err.reason, "NameCollision");
}

static void what_is_being_deleted_is_waited_for(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(take(",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"" LABELLED("a"), &err),
                     ERR_CONFLICT);
    assert_string_equal(err.reason, "ObjectDeleting");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_our_cluster_object_controls_is_ours_without_any_label),
        cmocka_unit_test(what_was_kept_from_an_earlier_cluster_is_taken_up),
        cmocka_unit_test(what_an_earlier_cluster_still_controls_is_waited_out),
        cmocka_unit_test(others_are_named),
        cmocka_unit_test(what_is_being_deleted_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
