/* The table of the kinds that a cluster is made of: what each room needs of a row. */
#include "reasons.h"

#include "api/children.h"

static void every_kind_has_one_whole_row(void **state)
{
    (void)state;
    for (int i = 0; i < CHILD_KINDS; i++) {
        const struct child_info *row = &api_child_infos[i];
        assert_non_null(row->kind);
        assert_non_null(row->api_version);
        assert_int_equal(api_child_kind_of(row->kind), i);
        assert_ptr_equal(api_child_info_of(row->kind), row);
    }
    assert_int_equal(api_child_kind_of("Gateway"), CHILD_NONE);
    assert_int_equal(api_child_kind_of(NULL), CHILD_NONE);
    assert_null(api_child_info_of("Gateway"));
}

/* What others own a part of would lose it, were it made as they left it. */
static void a_field_is_left_to_others_only_where_the_rest_is_ours(void **state)
{
    (void)state;
    for (int i = 0; i < CHILD_KINDS; i++) {
        const struct child_info *row = &api_child_infos[i];
        if (row->others_may_set[0] != NULL || row->reserved_labels[0] != NULL)
            assert_true(row->exclusive);
    }
}

/* Data, credentials and the right to lead are never removed for not being wanted. */
static void what_holds_the_cluster_together_never_just_goes(void **state)
{
    (void)state;
    assert_false(api_child_infos[CHILD_SECRET].deletable);
    assert_false(api_child_infos[CHILD_LEASE].deletable);
    assert_false(api_child_infos[CHILD_POD].deletable);
    assert_true(api_child_infos[CHILD_LEASE].created_by_post);
}

static bool defined(const char *reason)
{
    AUTO_ARENA arena = arena_new();
    const struct names reasons = reasons_defined(arena);
    return reason == NULL || reasons_has(&reasons, reason);
}

/* Of a kind that is made again after a delete, none is deleted for not being wanted: it would come
 * back. */
static void the_fields_of_a_row_agree_with_each_other(void **state)
{
    (void)state;
    for (int i = 0; i < CHILD_KINDS; i++) {
        const struct child_info *row = &api_child_infos[i];
        assert_true(defined(row->created_event));
        assert_true(defined(row->deleted_event));
        assert_false(row->recreated && row->deletable);
        assert_true(row->deleted_event == NULL || row->recreated || row->deletable);
        assert_in_range(row->wave, CHILD_WAVE_SUPPORT, CHILD_WAVE_INSTANCES);
        if (row->pods_wait) /* its pods are deleted after it, see plan.h */
            assert_int_equal(row->wave, CHILD_WAVE_INSTANCES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_one_whole_row),
        cmocka_unit_test(a_field_is_left_to_others_only_where_the_rest_is_ours),
        cmocka_unit_test(the_fields_of_a_row_agree_with_each_other),
        cmocka_unit_test(what_holds_the_cluster_together_never_just_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
