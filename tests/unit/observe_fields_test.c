#include "observe_test.h"

#define OURS  "{\"manager\":\"pgkeel\",\"operation\":\"Apply\",\"time\":\"2026-03-01T12:00:05Z\","
#define PORTS "\"fieldsV1\":{\"f:spec\":{\"f:ports\":{\"k:{\\\"port\\\":5432}\":{\"f:name\":{}}}}}}"
#define LESS  "\"fieldsV1\":{\"f:spec\":{\"f:ports\":{\"k:{\\\"port\\\":5432}\":{}}}}}"

static cJSON *service(struct world *w, int version, const char *managers)
{
    cJSON *made = object(w, "a-rw", "u", version, "", "");
    json_set_copy(json_get(made, "metadata"), "managedFields",
                  parse(w, arena_printf(w->arena, "[%s]", managers)));
    return made;
}

static bool drifted(struct world *w)
{
    return record_drifted(kept(w, CHILD_SERVICE, "a-rw"));
}

static char *foreign(struct world *w, const char *manager, const char *seconds, const char *more)
{
    return arena_printf(w->arena,
                        "{\"manager\":\"%s\",\"operation\":\"Update\",\"time\":"
                        "\"2026-03-01T12:00:%sZ\",\"fieldsV1\":{\"f:metadata\":{}}%s}",
                        manager, seconds, more);
}

static void what_others_add_beside_ours_is_no_drift(void **state)
{
    struct world *w = *state;
    observe_written(w->observe, "Service", service(w, 1, OURS PORTS));
    see(w, CHILD_SERVICE,
        service(w, 2,
                arena_printf(w->arena, "%s,%s", OURS PORTS, foreign(w, "kubectl-edit", "09", ""))));
    assert_false(drifted(w));
}

static void a_field_taken_from_us_is_drift_until_we_wrote_again(void **state)
{
    struct world *w = *state;
    observe_written(w->observe, "Service", service(w, 1, OURS PORTS));
    int changes = w->changes;
    see(w, CHILD_SERVICE,
        service(w, 2,
                arena_printf(w->arena, "%s,%s", OURS LESS, foreign(w, "kubectl-edit", "09", ""))));
    assert_true(drifted(w));
    assert_int_equal(w->changes, changes + 1);
    observe_written(w->observe, "Service", service(w, 3, OURS PORTS));
    assert_false(drifted(w));
}

static void a_field_removed_without_a_trace_is_drift(void **state)
{
    struct world *w = *state;
    observe_written(w->observe, "Service", service(w, 1, OURS PORTS));
    see(w, CHILD_SERVICE, service(w, 2, OURS LESS));
    assert_true(drifted(w));
}

static void an_answer_that_settles_nothing_is_not_asked_for_again(void **state)
{
    struct world *w = *state;
    see(w, CHILD_SERVICE,
        service(w, 1,
                arena_printf(w->arena, "%s,%s", OURS PORTS, foreign(w, "kubectl-edit", "09", ""))));
    assert_true(drifted(w));
    /* A no-op apply is answered with the same resourceVersion. */
    observe_written(
        w->observe, "Service",
        service(w, 1,
                arena_printf(w->arena, "%s,%s", OURS PORTS, foreign(w, "kubectl-edit", "09", ""))));
    assert_false(drifted(w));
}

static void after_a_restart_only_a_foreign_managers_later_write_counts(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *manager, *seconds, *more;
        bool drift;
    } cases[] = {
        {"kubectl-edit", "04", "", false},
        {"kubectl-edit", "05", "", true},
        {"kubectl-edit", "09", "", true},
        {"kubectl-edit", "09", ",\"subresource\":\"status\"", false},
        {"kube-controller-manager", "09", "", false},
        {"kube-scheduler", "09", "", false},
        {"kubelet", "09", "", false},
        {"pgkeel-instance", "09", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        see(w, CHILD_SERVICE,
            service(w, (int)i + 1,
                    arena_printf(w->arena, "%s,%s", OURS PORTS,
                                 foreign(w, cases[i].manager, cases[i].seconds, cases[i].more))));
        assert_int_equal(drifted(w), cases[i].drift);
    }
}

static void the_order_of_the_set_does_not_matter_but_its_shape_does(void **state)
{
    struct world *w = *state;
    static const char *const sets[] = {"{\"f:a\":{\"f:x\":{}},\"f:b\":{\"f:y\":{}}}",
                                       "{\"f:b\":{\"f:y\":{}},\"f:a\":{\"f:x\":{}}}",
                                       "{\"f:a\":{\"f:y\":{}},\"f:b\":{\"f:x\":{}}}",
                                       "{\"f:a\":{\"f:x\":{},\"f:b\":{\"f:y\":{}}}}"};
    uint64_t digest[4];
    bool foreign_wrote_last;
    for (int i = 0; i < 4; i++) {
        cJSON *made = service(
            w, 1, arena_printf(w->arena, "{\"manager\":\"pgkeel\",\"fieldsV1\":%s}", sets[i]));
        fields_owned(made, &digest[i], &foreign_wrote_last);
    }
    assert_true(digest[0] == digest[1]);
    assert_true(digest[0] != digest[2]);
    assert_true(digest[0] != digest[3]);
}

static void another_object_of_that_name_starts_anew(void **state)
{
    struct world *w = *state;
    observe_written(w->observe, "Service", service(w, 1, OURS PORTS));
    cJSON *made = service(w, 2, OURS LESS);
    json_set_str(json_get(made, "metadata"), "uid", "another");
    see(w, CHILD_SERVICE, made);
    assert_false(drifted(w));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make_world, drop_world)
    const struct CMUnitTest tests[] = {
        CASE(what_others_add_beside_ours_is_no_drift),
        CASE(a_field_taken_from_us_is_drift_until_we_wrote_again),
        CASE(a_field_removed_without_a_trace_is_drift),
        CASE(an_answer_that_settles_nothing_is_not_asked_for_again),
        CASE(after_a_restart_only_a_foreign_managers_later_write_counts),
        CASE(the_order_of_the_set_does_not_matter_but_its_shape_does),
        CASE(another_object_of_that_name_starts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
