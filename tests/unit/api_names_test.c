#include "test.h"

#include "api/names.h"

static void names_derive_from_the_cluster(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    char *instance = name_instance(arena, "shop-db", 2);
    assert_string_equal(instance, "shop-db-2");
    assert_string_equal(name_pod(arena, instance), "shop-db-2-0");
    assert_string_equal(name_data_pvc(arena, instance), "shop-db-2-data");
    assert_string_equal(name_wal_pvc(arena, instance), "shop-db-2-wal");
    assert_string_equal(name_child(arena, "shop-db", "rw"), "shop-db-rw");
    assert_string_equal(name_slot(arena, instance), "shop_db_2");
}

static void an_ordinal_is_found_only_in_an_instance_of_that_cluster(void **state)
{
    (void)state;
    assert_int_equal(name_ordinal("a", "a-1"), 1);
    assert_int_equal(name_ordinal("a", "a-9"), 9);
    assert_int_equal(name_ordinal("a-1", "a-1-3"), 3);
    assert_int_equal(name_ordinal("a", "a-0"), 0);
    assert_int_equal(name_ordinal("a", "a-10"), 0);
    assert_int_equal(name_ordinal("a", "a-1-0"), 0);
    assert_int_equal(name_ordinal("a", "ab-1"), 0);
    assert_int_equal(name_ordinal("a", "a-"), 0);
    assert_int_equal(name_ordinal("a", ""), 0);
}

/* Controllers put pod names and StatefulSet names + "-" + 10 characters of hash into labels. */
static void the_longest_names_fit_into_labels(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    char cluster[CLUSTER_NAME_MAX + 1];
    memset(cluster, 'a', CLUSTER_NAME_MAX);
    cluster[CLUSTER_NAME_MAX] = '\0';
    char *instance = name_instance(arena, cluster, INSTANCES_MAX);
    assert_in_range(strlen(instance) + strlen("-0123456789"), 1, 63);
    assert_in_range(strlen(name_child(arena, cluster, "replication")), 1, 63);
    assert_in_range(strlen(name_slot(arena, instance)), 1, 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_derive_from_the_cluster),
        cmocka_unit_test(an_ordinal_is_found_only_in_an_instance_of_that_cluster),
        cmocka_unit_test(the_longest_names_fit_into_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
