#include "observe_test.h"

static void what_is_older_than_what_is_known_is_passed_over(void **state)
{
    struct world *w = *state;
    see(w, CHILD_SERVICE, object(w, "a-rw", "u", 7, "\"" ANN_APPLIED "\":\"new\"", ""));
    see(w, CHILD_SERVICE, object(w, "a-rw", "u", 5, "\"" ANN_APPLIED "\":\"old\"", ""));
    assert_string_equal(record_field(kept(w, CHILD_SERVICE, "a-rw"), FIELD_APPLIED), "new");
    cache_remove(w->observe, CHILD_SERVICE, object(w, "a-rw", "u", 6, "", ""));
    assert_non_null(kept(w, CHILD_SERVICE, "a-rw"));
    cache_remove(w->observe, CHILD_SERVICE, object(w, "a-rw", "another", 9, "", ""));
    assert_non_null(kept(w, CHILD_SERVICE, "a-rw"));
    cache_remove(w->observe, CHILD_SERVICE, object(w, "a-rw", "u", 9, "", ""));
    assert_null(kept(w, CHILD_SERVICE, "a-rw"));
}

static void our_own_write_is_known_at_once_and_its_echo_changes_nothing(void **state)
{
    struct world *w = *state;
    cJSON *written = object(w, "a-rw", "u", 3, "\"" ANN_APPLIED "\":\"x\"", "");
    observe_written(w->observe, "Service", written);
    assert_string_equal(record_field(kept(w, CHILD_SERVICE, "a-rw"), FIELD_APPLIED), "x");
    int changes = w->changes;
    see(w, CHILD_SERVICE, written);
    assert_int_equal(w->changes, changes);
}

static void a_list_forgets_what_it_does_not_name_but_not_what_we_wrote_meanwhile(void **state)
{
    struct world *w = *state;
    struct feed *feed = feed_of(w, CHILD_SERVICE);
    see(w, CHILD_SERVICE, object(w, "a-rw", "1", 1, "", ""));
    see(w, CHILD_SERVICE, object(w, "a-ro", "2", 2, "", ""));
    see(w, CHILD_LEASE, object(w, "a-primary", "3", 3, "", ""));
    cache_begin(feed);
    see(w, CHILD_SERVICE, object(w, "a-rw", "1", 1, "", ""));
    observe_written(w->observe, "Service", object(w, "a-r", "4", 4, "", ""));
    cache_swept(feed);
    assert_non_null(kept(w, CHILD_SERVICE, "a-rw"));
    assert_non_null(kept(w, CHILD_SERVICE, "a-r"));
    assert_null(kept(w, CHILD_SERVICE, "a-ro"));
    assert_non_null(kept(w, CHILD_LEASE, "a-primary"));
}

static void a_list_of_a_restored_etcd_is_believed(void **state)
{
    struct world *w = *state;
    struct feed *feed = feed_of(w, CHILD_SERVICE);
    see(w, CHILD_SERVICE, object(w, "a-rw", "u", 900, "\"" ANN_APPLIED "\":\"new\"", ""));
    cache_begin(feed);
    see(w, CHILD_SERVICE, object(w, "a-rw", "u", 20, "\"" ANN_APPLIED "\":\"old\"", ""));
    cache_swept(feed);
    assert_string_equal(record_field(kept(w, CHILD_SERVICE, "a-rw"), FIELD_APPLIED), "old");
}

static void an_object_that_changes_its_cluster_changes_its_place(void **state)
{
    struct world *w = *state;
    cJSON *service = object(w, "a-rw", "u", 1, "", "");
    see(w, CHILD_SERVICE, service);
    json_set_str(json_get(service, "metadata.labels"), LABEL_CLUSTER, "b");
    json_set_str(json_get(service, "metadata"), "resourceVersion", "2");
    see(w, CHILD_SERVICE, service);
    assert_string_equal(kept(w, CHILD_SERVICE, "a-rw")->cluster->name, "b");
    assert_null(cache_cluster(w->observe, "n", "a", false));
    cJSON_DeleteItemFromObject(json_get(service, "metadata.labels"), LABEL_CLUSTER);
    json_set_str(json_get(service, "metadata"), "resourceVersion", "3");
    see(w, CHILD_SERVICE, service);
    assert_null(kept(w, CHILD_SERVICE, "a-rw"));
    assert_int_equal(w->observe->cluster_count, 0);
}

/* See LABEL_CLUSTER in api/names.h. */
static void a_pod_that_is_not_of_an_instance_is_not_kept(void **state)
{
    struct world *w = *state;
    cJSON *pod = object(w, "a-1-0", "u", 1, "", ""), *labels = json_get(pod, "metadata.labels");
    cJSON_DeleteItemFromObject(labels, LABEL_CLUSTER);
    json_set_str(labels, LABEL_PART_OF, "a");
    see(w, CHILD_POD, pod);
    assert_null(kept(w, CHILD_POD, "a-1-0"));
    assert_int_equal(w->changes, 0);
    assert_int_equal(w->observe->cluster_count, 0);
}

static cJSON *renewal(struct world *w, int version, int lag, const char *replica_state)
{
    cJSON *lease = object(w, "a-primary", "u", version, "",
                          ",\"spec\":{\"holderIdentity\":\"a-1/x\",\"leaseTransitions\":1}");
    json_set_str(json_get(lease, "metadata.annotations"), ANN_PRIMARY_STATUS,
                 arena_printf(w->arena,
                              "{\"timeline\":1,\"lsn\":\"0/%d\",\"replicas\":[{\"name\":\"a-2\","
                              "\"state\":\"%s\",\"lagBytes\":%d,\"slotWalStatus\":\"reserved\"}]}",
                              version, replica_state, lag));
    return lease;
}

static void renewals_are_no_change_until_they_say_something_new(void **state)
{
    struct world *w = *state;
    see(w, -1,
        parse(w, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"c\","
                 "\"resourceVersion\":\"1\"},\"spec\":{\"replication\":{\"maxLag\":"
                 "\"1MB\"}}}"));
    see(w, CHILD_LEASE, renewal(w, 2, 0, "streaming"));
    int changes = w->changes;
    see(w, CHILD_LEASE, renewal(w, 3, 100, "streaming"));
    see(w, CHILD_LEASE, renewal(w, 4, 1024, "streaming"));
    assert_int_equal(w->changes, changes);
    assert_non_null(strstr(record_field(kept(w, CHILD_LEASE, "a-primary"), LEASE_REPORT), "0/4"));
    see(w, CHILD_LEASE, renewal(w, 5, 2 * 1024 * 1024, "streaming"));
    assert_int_equal(w->changes, changes + 1);
    see(w, CHILD_LEASE, renewal(w, 6, 0, "catchup"));
    assert_int_equal(w->changes, changes + 2);
    see(w, CHILD_LEASE, renewal(w, 7, 0, "catchup"));
    assert_int_equal(w->changes, changes + 2);
}

static void status_of_a_service_is_no_change(void **state)
{
    struct world *w = *state;
    see(w, CHILD_SERVICE, object(w, "a-rw", "u", 1, "", ""));
    see(w, CHILD_SERVICE,
        object(w, "a-rw", "u", 2, "", ",\"status\":{\"loadBalancer\":{\"ingress\":[]}}"));
    assert_int_equal(w->changes, 1);
    assert_string_equal(w->last, "n/a");
}

static void deletion_is_a_change_and_remembered_from_our_own_delete(void **state)
{
    struct world *w = *state;
    see(w, CHILD_POD, object(w, "a-1-0", "u", 1, "", ""));
    observe_deleted(w->observe, "Pod", "n", "a-1-0", "another", NULL);
    assert_non_null(kept(w, CHILD_POD, "a-1-0"));
    cJSON *going = object(w, "a-1-0", "u", 2, "", "");
    json_set_str(json_get(going, "metadata"), "deletionTimestamp", "2026-03-01T12:00:00Z");
    observe_deleted(w->observe, "Pod", "n", "a-1-0", "u", going);
    assert_true(kept(w, CHILD_POD, "a-1-0")->deleting);
    observe_deleted(w->observe, "Pod", "n", "a-1-0", "u", NULL);
    assert_null(kept(w, CHILD_POD, "a-1-0"));
}

static cJSON *cluster_object(struct world *w, int version, int instances, const char *annotations,
                             const char *phase)
{
    return parse(w, arena_printf(w->arena,
                                 "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u\","
                                 "\"resourceVersion\":\"%d\",\"annotations\":{%s},"
                                 "\"managedFields\":[{\"time\":\"%d\"}]},"
                                 "\"spec\":{\"instances\":%d},\"status\":{\"phase\":\"%s\"}}",
                                 version, annotations, version, instances, phase));
}

static void a_cluster_object_signals_spec_metadata_and_foreign_status(void **state)
{
    struct world *w = *state;
    see(w, -1, cluster_object(w, 1, 1, "", "x"));
    see(w, -1, cluster_object(w, 2, 1, "", "x"));
    assert_int_equal(w->changes, 1);
    see(w, -1, cluster_object(w, 3, 2, "", "x"));
    assert_int_equal(w->changes, 2);
    see(w, -1, cluster_object(w, 4, 2, "\"look\":\"again\"", "x"));
    assert_int_equal(w->changes, 3);
    cJSON *written = cluster_object(w, 5, 2, "\"look\":\"again\"", "y");
    observe_status_written(w->observe, written);
    see(w, -1, written);
    assert_int_equal(w->changes, 3);
    see(w, -1, cluster_object(w, 6, 2, "\"look\":\"again\"", "forged"));
    assert_int_equal(w->changes, 4);
}

static void a_cluster_object_that_is_gone_is_told_once(void **state)
{
    struct world *w = *state;
    cJSON *cluster = parse(w, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u\","
                              "\"resourceVersion\":\"1\"},\"spec\":{}}");
    see(w, -1, cluster);
    see(w, CHILD_CLAIM, object(w, "a-1-data", "p", 2, "", ""));
    clusters_remove(w->observe, cluster);
    assert_int_equal(w->changes, 3);
    struct snapshot snapshot;
    assert_false(
        observe_snapshot(w->observe, w->arena, "n", "a", &(struct api_defaults){0}, &snapshot));
    assert_non_null(kept(w, CHILD_CLAIM, "a-1-data"));
    clusters_remove(w->observe, cluster);
    assert_int_equal(w->changes, 3);
}

/* The answer to a status write may be read after the news of the deletion. */
static void an_own_answer_does_not_bring_a_cluster_back(void **state)
{
    struct world *w = *state;
    cJSON *cluster = cluster_object(w, 1, 1, "", "x");
    see(w, -1, cluster);
    clusters_remove(w->observe, cluster);
    observe_status_written(w->observe, cluster_object(w, 2, 1, "", "y"));
    assert_null(observe_uid(w->observe, "n", "a"));
    assert_int_equal(w->observe->cluster_count, 0);
}

static void many_records_are_found_again(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 1000; i++) {
        cJSON *service = object(w, arena_printf(w->arena, "s-%d", i), "u", 1, "", "");
        json_set_str(json_get(service, "metadata.labels"), LABEL_CLUSTER,
                     arena_printf(w->arena, "c-%d", i / 4));
        see(w, CHILD_SERVICE, service);
    }
    assert_int_equal(w->observe->record_count, 1000);
    assert_int_equal(w->observe->cluster_count, 250);
    for (int i = 0; i < 1000; i += 7)
        assert_non_null(kept(w, CHILD_SERVICE, arena_printf(w->arena, "s-%d", i)));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make_world, drop_world)
    const struct CMUnitTest tests[] = {
        CASE(what_is_older_than_what_is_known_is_passed_over),
        CASE(our_own_write_is_known_at_once_and_its_echo_changes_nothing),
        CASE(a_list_forgets_what_it_does_not_name_but_not_what_we_wrote_meanwhile),
        CASE(a_list_of_a_restored_etcd_is_believed),
        CASE(an_object_that_changes_its_cluster_changes_its_place),
        CASE(a_pod_that_is_not_of_an_instance_is_not_kept),
        CASE(renewals_are_no_change_until_they_say_something_new),
        CASE(status_of_a_service_is_no_change),
        CASE(deletion_is_a_change_and_remembered_from_our_own_delete),
        CASE(a_cluster_object_signals_spec_metadata_and_foreign_status),
        CASE(a_cluster_object_that_is_gone_is_told_once),
        CASE(an_own_answer_does_not_bring_a_cluster_back),
        CASE(many_records_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
