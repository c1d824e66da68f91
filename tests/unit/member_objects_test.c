/* What the agent reads from and writes into API objects: lease, endpoint slice, pod report. */
#include "test.h"

#include "api/names.h"
#include "base/json.h"
#include "member/lease.h"
#include "member/reporter.h"
#include "postgres/server.h"
#include "member/slice.h"
#include "loop/serve.h"

static cJSON *parse(struct arena *arena, const char *text)
{
    struct error err;
    cJSON *tree;
    assert_int_equal(json_parse(arena, text, strlen(text), &tree, &err), 0);
    return tree;
}

static struct lease_view view_of(const char *text)
{
    AUTO_ARENA arena = arena_new();
    struct lease_view view;
    member_lease_read(parse(arena, text), "a-1/uid-1", &view);
    return view;
}

static void a_lease_is_mine_by_instance_and_held_by_pod(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        enum lease_state wanted;
    } cases[] = {
        {"{}", LEASE_FREE},
        {"{\"holderIdentity\":\"\",\"leaseTransitions\":0}", LEASE_FREE},
        {"{\"holderIdentity\":\"\",\"leaseTransitions\":2}", LEASE_RELEASED},
        {"{\"holderIdentity\":\"a-1/uid-1\",\"leaseTransitions\":2}", LEASE_HELD},
        {"{\"holderIdentity\":\"a-1/uid-0\",\"leaseTransitions\":2}", LEASE_MINE},
        {"{\"holderIdentity\":\"a-1\",\"leaseTransitions\":2}", LEASE_MINE},
        {"{\"holderIdentity\":\"a-10/uid-1\",\"leaseTransitions\":2}", LEASE_OTHER},
        {"{\"holderIdentity\":\"a-2/uid-1\",\"leaseTransitions\":2}", LEASE_OTHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_ARENA arena = arena_new();
        struct lease_view view = view_of(arena_printf(
            arena, "{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":%s}", cases[i].spec));
        assert_int_equal(view.state, cases[i].wanted);
        assert_int_equal(view.given_back, strstr(cases[i].spec, "\"a-1\"") != NULL);
        assert_string_equal(view.object.version, "7");
    }
}

/* The API server takes no epoch above 2^31-1: who believed one near it could never lead again. */
static void an_epoch_that_no_history_reaches_is_not_believed(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        enum lease_state wanted;
        int64_t epoch;
    } cases[] = {
        {"{\"holderIdentity\":\"a-1/uid-1\",\"leaseTransitions\":2147483647}", LEASE_HELD, 0},
        {"{\"holderIdentity\":\"a-2/uid-1\",\"leaseTransitions\":-3}", LEASE_OTHER, 0},
        {"{\"holderIdentity\":\"a-2/x\",\"leaseTransitions\":1000000}", LEASE_OTHER, 1000000},
        /* It was held: nothing may be initialised. */
        {"{\"holderIdentity\":\"\",\"leaseTransitions\":2147483647}", LEASE_RELEASED, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_ARENA arena = arena_new();
        struct lease_view view = view_of(arena_printf(
            arena, "{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":%s}", cases[i].spec));
        assert_int_equal(view.state, cases[i].wanted);
        assert_int_equal(view.epoch, cases[i].epoch);
    }
}

static void a_grant_counts_only_for_the_instance_it_names(void **state)
{
    (void)state;
    struct lease_view view =
        view_of("{\"metadata\":{\"annotations\":{\"pgkeel.dev/bootstrap\":"
                "\"{\\\"instance\\\":\\\"a-1\\\",\\\"mode\\\":\\\"initdb\\\"}\"}},\"spec\":{}}");
    assert_true(view.granted && view.grant_initdb);
    view = view_of("{\"metadata\":{\"annotations\":{\"pgkeel.dev/bootstrap\":"
                   "\"{\\\"instance\\\":\\\"a-1\\\",\\\"mode\\\":\\\"existing\\\"}\"}}}");
    assert_true(view.granted && !view.grant_initdb);
    view = view_of("{\"metadata\":{\"annotations\":{\"pgkeel.dev/bootstrap\":"
                   "\"{\\\"instance\\\":\\\"a-2\\\",\\\"mode\\\":\\\"initdb\\\"}\"}}}");
    assert_false(view.granted || view.grant_initdb);
    view = view_of("{\"metadata\":{\"annotations\":{\"pgkeel.dev/bootstrap\":\"{\"}}}");
    assert_false(view.granted);
}

static void a_slot_of_mine_is_seen_in_the_primarys_status(void **state)
{
    (void)state;
    static const char pattern[] =
        "{\"metadata\":{\"annotations\":{\"pgkeel.dev/primary-status\":\"{\\\"timeline\\\":1,"
        "\\\"replicas\\\":[{\\\"name\\\":\\\"%s\\\",\\\"slotWalStatus\\\":\\\"%s\\\"}]}\"}},"
        "\"spec\":{\"holderIdentity\":\"a-2/x\"}}";
    static const struct {
        const char *name, *status;
        bool wanted;
    } cases[] = {{"a-1", "reserved", true},
                 {"a-1", "extended", true},
                 {"a-1", "lost", false},
                 {"a-1", "", false},
                 {"a-3", "reserved", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_ARENA arena = arena_new();
        char *text = arena_strdup(arena, pattern);
        char *first = strstr(text, "%s");
        text = arena_printf(arena, "%.*s%s%s", (int)(first - text), text, cases[i].name, first + 2);
        char *second = strstr(text, "%s");
        text = arena_printf(arena, "%.*s%s%s", (int)(second - text), text, cases[i].status,
                            second + 2);
        assert_int_equal(view_of(text).slot_ready, cases[i].wanted);
        assert_string_equal(view_of(text).primary_address, "");
    }
}

static void the_primarys_address_is_read_from_its_status(void **state)
{
    (void)state;
    struct lease_view view =
        view_of("{\"metadata\":{\"annotations\":{\"pgkeel.dev/primary-status\":"
                "\"{\\\"timeline\\\":1,\\\"address\\\":\\\"10.0.0.7\\\"}\"}},"
                "\"spec\":{\"holderIdentity\":\"a-2/x\"}}");
    assert_string_equal(view.primary_address, "10.0.0.7");
}

static void taking_and_renewing_are_compare_and_swap(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct lease_view view = {.object.version = "42", .epoch = 2};
    cJSON *status = parse(arena, "{\"timeline\":1}");
    cJSON *take = member_lease_take_body(arena, &view, "a-1/uid-1", status, 8, 3, 1769903999123);
    assert_string_equal(json_canonical(arena, take),
                        "{\"metadata\":{\"annotations\":{\"pgkeel.dev/primary-status\":"
                        "\"{\\\"timeline\\\":1}\"},\"resourceVersion\":\"42\"},\"spec\":{"
                        "\"acquireTime\":\"2026-01-31T23:59:59.123000Z\","
                        "\"holderIdentity\":\"a-1/uid-1\",\"leaseDurationSeconds\":8,"
                        "\"leaseTransitions\":3,\"renewTime\":\"2026-01-31T23:59:59.123000Z\"}}");
    cJSON *back = member_lease_give_back_body(arena, &view, "a-1", 1769903999123);
    assert_string_equal(json_canonical(arena, back),
                        "{\"metadata\":{\"resourceVersion\":\"42\"},\"spec\":{"
                        "\"holderIdentity\":\"a-1\","
                        "\"renewTime\":\"2026-01-31T23:59:59.123000Z\"}}");
    cJSON *renew = member_lease_renew_body(arena, &view, status, 8, 1769903999123);
    assert_string_equal(json_str(renew, "metadata.resourceVersion", ""), "42");
    assert_string_equal(json_str(renew, "metadata.annotations[\"" ANN_PRIMARY_STATUS "\"]", ""),
                        "{\"timeline\":1}");
    assert_null(json_get(renew, "spec.holderIdentity"));
    assert_null(json_get(renew, "spec.leaseTransitions"));
    assert_null(
        json_get(member_lease_renew_body(arena, &view, NULL, 8, 0), "metadata.annotations"));
}

static void who_led_last_is_told_on_the_lease_and_believed_of_oneself_alone(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct lease_view view = {.object.version = "42", .epoch = 2};
    cJSON *bodies[] = {
        member_lease_renew_body(arena, &view, parse(arena, "{\"timeline\":1}"), 8, 0),
        member_lease_renew_body(arena, &view, NULL, 8, 0),
        member_lease_give_back_body(arena, &view, "a-1", 0)};
    for (size_t i = 0; i < 3; i++) {
        member_lease_add_lead(arena, bodies[i], &(struct lead_report){"a-1", 2});
        assert_string_equal(json_str(bodies[i], "metadata.annotations[\"" ANN_LEAD "\"]", ""),
                            "{\"instance\":\"a-1\",\"epoch\":2}");
        assert_string_equal(json_str(bodies[i], "metadata.resourceVersion", ""), "42");
    }
    assert_non_null(json_get(bodies[0], "metadata.annotations[\"" ANN_PRIMARY_STATUS "\"]"));
    static const struct {
        const char *text;
        int64_t led;
    } cases[] = {{"{\"instance\":\"a-1\",\"epoch\":2}", 2},
                 {"{\"instance\":\"a-1\",\"epoch\":3}", 3},
                 {"{\"instance\":\"a-1\",\"epoch\":4}", 0},
                 {"{\"instance\":\"a-1\",\"epoch\":-1}", 0},
                 {"{\"instance\":\"a-1\",\"epoch\":\"2\"}", 0},
                 {"{\"instance\":\"a-2\",\"epoch\":2}", 0},
                 {"{\"epoch\":2}", 0},
                 {"2", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *lease = json_object(arena);
        json_set_str(json_add_object(json_add_object(lease, "metadata"), "annotations"), ANN_LEAD,
                     cases[i].text);
        json_set_int(json_add_object(lease, "spec"), "leaseTransitions", 3);
        assert_int_equal(view_of(json_compact(arena, lease)).led_epoch, cases[i].led);
    }
}

static void an_endpoint_matches_only_if_it_is_ours_alone_and_ready(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *none = parse(arena, "{}"), *empty = parse(arena, "{\"endpoints\":[]}");
    cJSON *ours = parse(arena, "{\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],"
                               "\"conditions\":{\"ready\":true}}]}");
    cJSON *not_ready = parse(arena, "{\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],"
                                    "\"conditions\":{\"ready\":false}}]}");
    cJSON *two = parse(arena, "{\"endpoints\":[{\"addresses\":[\"10.0.0.1\"]},"
                              "{\"addresses\":[\"10.0.0.2\"]}]}");
    assert_true(slice_matches(ours, SLICE_SELF, "10.0.0.1"));
    assert_false(slice_matches(ours, SLICE_SELF, "10.0.0.2"));
    assert_false(slice_matches(not_ready, SLICE_SELF, "10.0.0.1"));
    assert_false(slice_matches(two, SLICE_SELF, "10.0.0.1"));
    assert_false(slice_matches(empty, SLICE_SELF, "10.0.0.1"));
    assert_true(slice_matches(empty, SLICE_EMPTY, "10.0.0.1"));
    assert_true(slice_matches(none, SLICE_EMPTY, "10.0.0.1"));
    assert_false(slice_matches(ours, SLICE_EMPTY, "10.0.0.1"));
}

static void an_endpoint_is_written_with_its_pod_and_the_version_seen(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct slice_options options = {"shop", "a-rw", "fd00::1,10.0.0.1", "a-1-0", "uid-1"};
    cJSON *seen = parse(arena, "{\"metadata\":{\"resourceVersion\":\"5\"},\"endpoints\":[]}");
    cJSON *body = slice_body(arena, seen, SLICE_SELF, 6, &options);
    assert_string_equal(json_str(body, "metadata.resourceVersion", ""), "5");
    assert_string_equal(json_str(body, "endpoints[0].targetRef.uid", ""), "uid-1");
    assert_true(slice_matches(body, SLICE_SELF, "10.0.0.1"));
    cJSON *emptied = slice_body(arena, seen, SLICE_EMPTY, 6, &options);
    assert_string_equal(json_canonical(arena, emptied),
                        "{\"endpoints\":[],\"metadata\":{\"annotations\":{"
                        "\"pgkeel.dev/epoch\":\"6\"},\"resourceVersion\":\"5\"}}");
    assert_int_equal(slice_epoch(emptied), 6);
}

static void only_what_can_be_an_epoch_is_read_from_an_endpoint(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t epoch;
    } cases[] = {{"1", 1},          {"2147483646", 2147483646},
                 {"2147483647", 0}, {"99999999999", 0},
                 {"", 0},           {"-1", 0},
                 {"9x", 0},         {" 9", 0}};
    AUTO_ARENA arena = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *object = json_object(arena);
        json_set_str(json_add_object(json_add_object(object, "metadata"), "annotations"), ANN_EPOCH,
                     cases[i].text);
        assert_int_equal(slice_epoch(object), cases[i].epoch);
    }
    assert_int_equal(slice_epoch(parse(arena, "{\"metadata\":{}}")), 0);
}

static void an_endpoint_gets_the_address_of_the_family_that_it_takes(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *four = parse(arena, "{\"addressType\":\"IPv4\"}");
    cJSON *six = parse(arena, "{\"addressType\":\"IPv6\"}");
    assert_string_equal(slice_address(arena, four, "10.0.0.1,fd00::1"), "10.0.0.1");
    assert_string_equal(slice_address(arena, six, "10.0.0.1,fd00::1"), "fd00::1");
    assert_string_equal(slice_address(arena, six, "fd00::2"), "fd00::2");
    assert_string_equal(slice_address(arena, six, "10.0.0.1"), "");
    assert_string_equal(slice_address(arena, four, ""), "");
    struct slice_options options = {"shop", "a-rw", "10.0.0.1,fd00::1", "a-1-0", "uid-1"};
    assert_true(
        slice_matches(slice_body(arena, six, SLICE_SELF, 1, &options), SLICE_SELF, "fd00::1"));
}

static void a_report_is_bound_to_its_pod_and_leaves_an_unknown_role_alone(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    cJSON *body = reporter_body(arena, "{}", "replica", "uid-1");
    assert_string_equal(json_canonical(arena, body),
                        "{\"metadata\":{\"annotations\":{\"pgkeel.dev/report\":\"{}\"},"
                        "\"labels\":{\"pgkeel.dev/role\":\"replica\"},\"uid\":\"uid-1\"}}");
    body = reporter_body(arena, "{}", "", "");
    assert_null(json_get(body, "metadata.labels"));
    assert_null(json_get(body, "metadata.uid"));
}

static void probe_addresses_are_split_and_nonsense_is_refused(void **state)
{
    (void)state;
    char host[64];
    int port = -1;
    assert_true(serve_split(":8008", host, sizeof host, &port));
    assert_string_equal(host, "");
    assert_int_equal(port, 8008);
    assert_true(serve_split("[::1]:80", host, sizeof host, &port));
    assert_string_equal(host, "::1");
    assert_true(serve_split("127.0.0.1:0", host, sizeof host, &port));
    assert_string_equal(host, "127.0.0.1");
    assert_false(serve_split("8008", host, sizeof host, &port));
    assert_false(serve_split("x:", host, sizeof host, &port));
    assert_false(serve_split("x:70000", host, sizeof host, &port));
    assert_false(serve_split("x:80y", host, sizeof host, &port));
}

static void the_status_in_postmaster_pid_counts_only_for_our_postmaster(void **state)
{
    (void)state;
    static const char text[] = "71\n/data\n1769903999\n5432\n/run\n*\n  12345  6789\nready   \n";
    char status[16];
    server_pidfile_status(text, 71, status, sizeof status);
    assert_string_equal(status, "ready");
    server_pidfile_status(text, 72, status, sizeof status);
    assert_string_equal(status, "");
    server_pidfile_status("71\n/data\n", 71, status, sizeof status);
    assert_string_equal(status, "");
    server_pidfile_status("", 71, status, sizeof status);
    assert_string_equal(status, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_is_mine_by_instance_and_held_by_pod),
        cmocka_unit_test(an_epoch_that_no_history_reaches_is_not_believed),
        cmocka_unit_test(a_grant_counts_only_for_the_instance_it_names),
        cmocka_unit_test(a_slot_of_mine_is_seen_in_the_primarys_status),
        cmocka_unit_test(the_primarys_address_is_read_from_its_status),
        cmocka_unit_test(taking_and_renewing_are_compare_and_swap),
        cmocka_unit_test(who_led_last_is_told_on_the_lease_and_believed_of_oneself_alone),
        cmocka_unit_test(an_endpoint_matches_only_if_it_is_ours_alone_and_ready),
        cmocka_unit_test(an_endpoint_is_written_with_its_pod_and_the_version_seen),
        cmocka_unit_test(only_what_can_be_an_epoch_is_read_from_an_endpoint),
        cmocka_unit_test(an_endpoint_gets_the_address_of_the_family_that_it_takes),
        cmocka_unit_test(a_report_is_bound_to_its_pod_and_leaves_an_unknown_role_alone),
        cmocka_unit_test(probe_addresses_are_split_and_nonsense_is_refused),
        cmocka_unit_test(the_status_in_postmaster_pid_counts_only_for_our_postmaster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
