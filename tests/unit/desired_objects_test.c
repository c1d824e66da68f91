#include "test.h"

#include "api/names.h"
#include "yaml/yaml.h"
#include "desired/desired.h"

/* A cluster as an operator sees it that has just met it. */
struct scene {
    struct arena *arena;
    struct snapshot snapshot;
    struct model *model;
    struct desired desired;
};

static const char base[] = "apiVersion: pgkeel.dev/v1alpha1\n"
                           "kind: PostgresCluster\n"
                           "metadata: {name: a, namespace: prod, uid: u-1}\n"
                           "spec:\n"
                           "  instances: 2\n"
                           "  postgres: {version: 17}\n"
                           "  storage: {size: 1Gi, storageClass: fast}\n";

static void decode(struct scene *scene, const char *more)
{
    struct error err = {0};
    struct yaml_document *documents;
    size_t count;
    char *yaml = arena_printf(scene->arena, "%s%s", base, more);
    if (yaml_parse(scene->arena, yaml, strlen(yaml), &documents, &count, &err) < 0 ||
        api_decode(scene->arena, documents[0].tree, NULL, &scene->snapshot.spec,
                   &scene->snapshot.faults, &err) < 0)
        fail_msg("%s", err.text);
}

static void see_nothing(struct scene *scene)
{
    struct snapshot *snapshot = &scene->snapshot;
    snapshot->image_volumes = true;
    snapshot->agent_image = "localhost/pgkeel:1";
    snapshot->instance_count = (size_t)snapshot->spec.instances;
    snapshot->instances =
        arena_alloc(scene->arena, snapshot->instance_count * sizeof *snapshot->instances);
    for (int i = 0; i < snapshot->spec.instances; i++)
        snapshot->instances[i] = (struct seen_instance){
            .name = name_instance(scene->arena, snapshot->spec.name, i + 1),
            .ordinal = i + 1,
        };
}

/* The model by hand: what it decides is not what is tested here. */
static void build(struct scene *scene)
{
    struct arena *arena = scene->arena;
    struct snapshot *snapshot = &scene->snapshot;
    struct model *model = arena_alloc(arena, sizeof *model);
    model->snapshot = snapshot;
    model->grant = (struct bootstrap_grant){"a-1", true};
    model->instance_count = snapshot->instance_count;
    model->instances = arena_alloc(arena, model->instance_count * sizeof *model->instances);
    for (size_t i = 0; i < model->instance_count; i++)
        model->instances[i] = (struct model_instance){
            .seen = &snapshot->instances[i],
            .name = snapshot->instances[i].name,
            .wanted = true,
            .restart_token = "",
            .agent_image = api_agent_image_new(snapshot->agent_image, snapshot->image_volumes),
            .pod_form = POD_FORM_NEWEST,
            .system_identifier = "",
            .last_role = "",
        };
    scene->model = model;
    scene->desired = desired_build(arena, model);
}

static struct scene *scene_of(const char *more)
{
    struct arena *arena = arena_new();
    struct scene *scene = arena_alloc(arena, sizeof *scene);
    scene->arena = arena;
    decode(scene, more);
    see_nothing(scene);
    build(scene);
    return scene;
}

static const cJSON *object(const struct scene *scene, const char *kind, const char *name)
{
    for (size_t i = 0; i < scene->desired.count; i++)
        if (strcmp(json_str(scene->desired.objects[i], "kind", ""), kind) == 0 &&
            strcmp(json_str(scene->desired.objects[i], "metadata.name", ""), name) == 0)
            return scene->desired.objects[i];
    return NULL;
}

static const cJSON *must(const struct scene *scene, const char *kind, const char *name)
{
    const cJSON *found = object(scene, kind, name);
    if (found == NULL)
        fail_msg("no %s '%s'", kind, name);
    return found;
}

static void assert_text(const cJSON *node, const char *path, const char *expected)
{
    const char *text = json_str(node, path, "(none)");
    if (strcmp(text, expected) != 0)
        fail_msg("%s is \"%s\", not \"%s\"", path, text, expected);
}

static void a_cluster_becomes_these_objects_and_no_others(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    static const char *const expected[][2] = {
        {"ServiceAccount", "a"},
        {"Role", "a"},
        {"RoleBinding", "a"},
        {"ConfigMap", "a-config"},
        {"Service", "a-rw"},
        {"Service", "a-ro"},
        {"Service", "a-r"},
        {"Service", "a-pods"},
        {"Lease", "a-primary"},
        {"EndpointSlice", "a-rw"},
        {"PodDisruptionBudget", "a"},
        {"PersistentVolumeClaim", "a-1-data"},
        {"PersistentVolumeClaim", "a-2-data"},
        {"StatefulSet", "a-1"},
        {"StatefulSet", "a-2"},
    };
    size_t count = sizeof expected / sizeof expected[0];
    assert_int_equal(scene->desired.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_text(scene->desired.objects[i], "kind", expected[i][0]);
        assert_text(scene->desired.objects[i], "metadata.name", expected[i][1]);
    }
    arena_free(scene->arena);
}

static void every_object_says_whose_it_is(void **state)
{
    (void)state;
    struct scene *scene = scene_of("  walStorage: {size: 1Gi}\n");
    for (size_t i = 0; i < scene->desired.count; i++) {
        const cJSON *node = scene->desired.objects[i];
        assert_text(node, "metadata.namespace", "prod");
        assert_text(node, "metadata.labels[\"pgkeel.dev/cluster\"]", "a");
        assert_text(node, "metadata.labels[\"app.kubernetes.io/managed-by\"]", "pgkeel");
        bool volume = strcmp(json_str(node, "kind", ""), "PersistentVolumeClaim") == 0;
        assert_text(node, "metadata.ownerReferences[0].uid", volume ? "(none)" : "u-1");
        assert_true(json_bool(node, "metadata.ownerReferences[0].controller", volume));
    }
    arena_free(scene->arena);
}

static void volumes_go_with_the_cluster_only_when_asked_to(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    scene->snapshot.spec.retain = false;
    build(scene);
    assert_text(must(scene, "PersistentVolumeClaim", "a-1-data"), "metadata.ownerReferences[0].uid",
                "u-1");
    arena_free(scene->arena);
}

/* Calls `each` with every set of labels by which something selects pods. */
static void each_selector(const cJSON *node, void (*each)(void *arg, const cJSON *labels),
                          void *arg)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, node) {
        const char *key = item->string ? item->string : "";
        bool flat = strcmp(key, "selector") == 0 && cJSON_IsString(item->child);
        if (flat || strcmp(key, "matchLabels") == 0)
            each(arg, item);
        else
            each_selector(item, each, arg);
    }
}

static bool selects(const cJSON *labels, const cJSON *pod)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, labels) {
        const cJSON *given = cJSON_GetObjectItemCaseSensitive(pod, item->string);
        if (given == NULL || strcmp(given->valuestring, item->valuestring) != 0)
            return false;
    }
    return true;
}

struct pods {
    const cJSON *instances[2];
    const cJSON *other;
    size_t selectors;
};

static void judge_selector(void *arg, const cJSON *labels)
{
    struct pods *pods = arg;
    pods->selectors++;
    assert_true(selects(labels, pods->instances[0]) || selects(labels, pods->instances[1]));
    assert_false(selects(labels, pods->other));
    const struct key_value label = name_instance_selector("a");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(labels, label.key)->valuestring,
                        label.value);
}

static const cJSON *instance_labels(const struct scene *scene, const char *name)
{
    cJSON *labels = json_copy(
        scene->arena, json_get(must(scene, "StatefulSet", name), "spec.template.metadata.labels"));
    json_set_str(labels, LABEL_ROLE, "replica");
    return labels;
}

/* A pod of another kind, of the same cluster, is no place for PostgreSQL's clients, counts for no
 * disruption budget, and keeps no instance away from its node. */
static void only_pods_of_instances_are_selected(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    cJSON *other = json_object(scene->arena);
    json_set_str(other, LABEL_APP_NAME, "postgresql");
    json_set_str(other, LABEL_MANAGED_BY, LABEL_MANAGED_BY_VALUE);
    json_set_str(other, LABEL_PART_OF, "a");
    json_set_str(other, LABEL_ROLE, "replica");
    struct pods pods = {{instance_labels(scene, "a-1"), instance_labels(scene, "a-2")}, other, 0};
    for (size_t i = 0; i < scene->desired.count; i++)
        each_selector(scene->desired.objects[i], judge_selector, &pods);
    /* Services -ro, -r and -pods, the budget, and for each instance its StatefulSet,
     * anti-affinity and two topologies */
    assert_int_equal(pods.selectors, 3 + 1 + 2 * 4);
    arena_free(scene->arena);
}

static void building_twice_gives_the_same_bytes(void **state)
{
    (void)state;
    struct scene *one = scene_of("  maintenance: {allowEviction: true}\n");
    struct scene *two = scene_of("  maintenance: {allowEviction: true}\n");
    assert_int_equal(one->desired.count, two->desired.count);
    for (size_t i = 0; i < one->desired.count; i++)
        assert_string_equal(json_compact(one->arena, one->desired.objects[i]),
                            json_compact(two->arena, two->desired.objects[i]));
    arena_free(one->arena);
    arena_free(two->arena);
}

static void pods_pass_the_restricted_standard(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    scene->snapshot.image_volumes = false;
    build(scene);
    const cJSON *pod = json_get(must(scene, "StatefulSet", "a-1"), "spec.template.spec"), *item;
    assert_true(json_bool(pod, "securityContext.runAsNonRoot", false));
    assert_text(pod, "securityContext.seccompProfile.type", "RuntimeDefault");
    static const char *const lists[] = {"initContainers", "containers"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(cJSON_GetArraySize(json_get(pod, lists[i])), 1);
        cJSON_ArrayForEach (item, json_get(pod, lists[i])) {
            assert_false(json_bool(item, "securityContext.allowPrivilegeEscalation", true));
            assert_true(json_bool(item, "securityContext.readOnlyRootFilesystem", false));
            assert_text(item, "securityContext.capabilities.drop[0]", "ALL");
        }
    }
    cJSON_ArrayForEach (item, json_get(pod, "volumes")) {
        assert_true(json_get(item, "persistentVolumeClaim") || json_get(item, "emptyDir") ||
                    json_get(item, "configMap") || json_get(item, "secret"));
    }
    arena_free(scene->arena);
}

static void an_upgrade_of_operator_or_server_leaves_the_template_hash_alone(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    char *before = desired_template_hash(scene->arena, &scene->snapshot, "a-1");
    scene->snapshot.agent_image = "localhost/pgkeel:2";
    scene->snapshot.image_volumes = false;
    scene->snapshot.credentials.verifiers_hash = "00ff";
    assert_string_equal(desired_template_hash(scene->arena, &scene->snapshot, "a-1"), before);
    scene->snapshot.spec.termination_grace_seconds++;
    assert_string_not_equal(desired_template_hash(scene->arena, &scene->snapshot, "a-1"), before);
    arena_free(scene->arena);
}

/* "install:5000" is a registry's host and port like any other. */
static void an_image_may_be_called_like_a_way_into_the_pod(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    scene->model->instances[0].agent_image = api_agent_image_new("install:5000/pgkeel:2", true);
    scene->desired = desired_build(scene->arena, scene->model);
    const cJSON *set = must(scene, "StatefulSet", "a-1");
    assert_text(set, "metadata.annotations[\"pgkeel.dev/agent-image\"]",
                "volume:install:5000/pgkeel:2");
    assert_null(json_get(set, "spec.template.spec.initContainers"));
    arena_free(scene->arena);
}

/* The model hands the annotation back while the template stays; then nothing in it may change. */
static void a_kept_agent_keeps_the_whole_template(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    const cJSON *set = must(scene, "StatefulSet", "a-1");
    const char *annotation = json_str(set, "metadata.annotations[\"pgkeel.dev/agent-image\"]", "");
    assert_string_equal(annotation, "volume:localhost/pgkeel:1");
    char *template = json_compact(scene->arena, json_get(set, "spec.template"));

    scene->snapshot.image_volumes = false;
    scene->snapshot.agent_image = "localhost/pgkeel:2";
    struct desired fresh = desired_build(scene->arena, scene->model);
    scene->model->instances[0].agent_image = api_agent_image_decode(annotation, false);
    scene->desired = desired_build(scene->arena, scene->model);
    assert_string_equal(
        json_compact(scene->arena, json_get(must(scene, "StatefulSet", "a-1"), "spec.template")),
        template);
    scene->model->instances[0].agent_image = api_agent_image_new("localhost/pgkeel:2", false);
    scene->desired = fresh = desired_build(scene->arena, scene->model);
    set = must(scene, "StatefulSet", "a-1");
    assert_text(set, "metadata.annotations[\"pgkeel.dev/agent-image\"]",
                "install:localhost/pgkeel:2");
    assert_text(set, "spec.template.spec.initContainers[0].image", "localhost/pgkeel:2");
    assert_text(set, "spec.template.spec.containers[0].command[0]", "/pgkeel/bin/pgkeel");
    arena_free(scene->arena);
}

static void a_kept_form_keeps_the_template_of_an_earlier_operator(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    const cJSON *set = must(scene, "StatefulSet", "a-1");
    const char *hash = json_str(set, "metadata.annotations[\"pgkeel.dev/template\"]", "");
    assert_text(set, "metadata.annotations[\"pgkeel.dev/pod-form\"]", "2");
    const cJSON *probe = json_get(set, "spec.template.spec.containers[0].livenessProbe");
    assert_int_equal(json_int(probe, "terminationGracePeriodSeconds", 0), 5);
    scene->model->instances[0].pod_form = POD_FORM_FIRST;
    scene->desired = desired_build(scene->arena, scene->model);
    set = must(scene, "StatefulSet", "a-1");
    assert_text(set, "metadata.annotations[\"pgkeel.dev/template\"]", hash);
    assert_null(json_get(set, "metadata.annotations[\"pgkeel.dev/pod-form\"]"));
    probe = json_get(set, "spec.template.spec.containers[0].livenessProbe");
    assert_null(json_get(probe, "terminationGracePeriodSeconds"));
    assert_int_equal(json_int(probe, "periodSeconds", 0), 10);
    arena_free(scene->arena);
}

static void volumes_never_shrink_or_move_and_say_what_is_on_them(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    scene->snapshot.instances[0].data =
        (struct seen_pvc){.there = true, .storage_class = "slow", .requested_bytes = 2147483648};
    scene->model->instances[0].system_identifier = "7";
    scene->model->instances[0].last_role = "primary";
    scene->model->instances[0].epoch = 3;
    scene->desired = desired_build(scene->arena, scene->model);
    const cJSON *claim = must(scene, "PersistentVolumeClaim", "a-1-data");
    assert_text(claim, "spec.resources.requests.storage", "2147483648");
    assert_text(claim, "spec.storageClassName", "slow");
    assert_text(claim, "metadata.annotations[\"pgkeel.dev/system-identifier\"]", "7");
    assert_text(claim, "metadata.annotations[\"pgkeel.dev/last-role\"]", "primary");
    assert_text(claim, "metadata.annotations[\"pgkeel.dev/epoch\"]", "3");
    claim = must(scene, "PersistentVolumeClaim", "a-2-data");
    assert_text(claim, "spec.resources.requests.storage", "1Gi");
    assert_text(claim, "spec.storageClassName", "fast");
    assert_null(json_get(claim, "metadata.annotations"));
    arena_free(scene->arena);
}

/* A request that the API server would refuse, and with it everything else in the same object. */
static void assert_acceptable(const struct scene *scene, const char *name,
                              const struct seen_pvc *seen)
{
    const cJSON *claim = must(scene, "PersistentVolumeClaim", name);
    int64_t asked = quantity_bytes(json_str(claim, "spec.resources.requests.storage", ""));
    const char *class = json_str(claim, "spec.storageClassName", "");
    if (asked < seen->requested_bytes && !model_may_take_back(seen, asked))
        fail_msg("%s shrinks from %lld to %lld", name, (long long)seen->requested_bytes,
                 (long long)asked);
    if (*class != '\0' && seen->storage_class != NULL && *seen->storage_class != '\0')
        assert_string_equal(class, seen->storage_class);
}

static void what_is_asked_of_a_volume_the_api_server_takes(void **state)
{
    (void)state;
    static const char *const specs[] = {"", "  walStorage: {size: 2Gi, storageClass: faster}\n",
                                        "  walStorage: {size: 100Mi}\n"};
    static const char *const classes[] = {NULL, "", "fast", "slow"};
    static const char *const phases[] = {"Pending", "Bound"};
    static const int64_t mib[] = {0, 1023, 1024, 1025, 2048};
    enum { VARIANTS = 4 * 2 * 5 * 5 };
    for (size_t i = 0; i < 3; i++) {
        struct scene *scene = scene_of(specs[i]);
        for (size_t j = 0; j < VARIANTS; j++) {
            AUTO_ARENA arena = arena_new();
            struct seen_pvc seen = {
                .there = true,
                .storage_class = classes[j / (2 * 5 * 5)],
                .phase = phases[j / (5 * 5) % 2],
                .requested_bytes = mib[j / 5 % 5] << 20,
                .capacity_bytes = mib[j % 5] << 20,
            };
            scene->snapshot.instances[0].data = scene->snapshot.instances[0].wal = seen;
            scene->desired = desired_build(arena, scene->model);
            assert_acceptable(scene, "a-1-data", &seen);
            if (scene->snapshot.spec.wal_storage.size != NULL)
                assert_acceptable(scene, "a-1-wal", &seen);
        }
        arena_free(scene->arena);
    }
}

static void wal_gets_a_volume_of_its_own_when_asked(void **state)
{
    (void)state;
    struct scene *scene = scene_of("  walStorage: {size: 2Gi, storageClass: faster}\n");
    const cJSON *claim = must(scene, "PersistentVolumeClaim", "a-1-wal");
    assert_text(claim, "spec.storageClassName", "faster");
    assert_text(claim, "metadata.labels[\"pgkeel.dev/volume\"]", "wal");
    const cJSON *pod = json_get(must(scene, "StatefulSet", "a-1"), "spec.template.spec");
    assert_text(pod, "volumes[1].persistentVolumeClaim.claimName", "a-1-wal");
    assert_text(pod, "containers[0].volumeMounts[1].mountPath", POD_WAL_DIR);
    arena_free(scene->arena);
}

static void a_drain_may_take_one_of_several_but_not_the_only_one_unasked(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    const cJSON *budget = must(scene, "PodDisruptionBudget", "a");
    assert_int_equal(json_int(budget, "spec.maxUnavailable", 0), 1);
    scene->snapshot.spec.instances = 1;
    scene->desired = desired_build(scene->arena, scene->model);
    budget = must(scene, "PodDisruptionBudget", "a");
    assert_int_equal(json_int(budget, "spec.minAvailable", 0), 1);
    assert_null(json_get(budget, "spec.maxUnavailable"));
    scene->snapshot.spec.allow_eviction = true;
    scene->desired = desired_build(scene->arena, scene->model);
    assert_int_equal(json_int(must(scene, "PodDisruptionBudget", "a"), "spec.maxUnavailable", 0),
                     1);
    arena_free(scene->arena);
}

static void every_right_of_the_agents_names_its_object(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    const cJSON *rule, *rules = json_get(must(scene, "Role", "a"), "rules");
    assert_in_range(cJSON_GetArraySize(rules), 4, 8);
    cJSON_ArrayForEach (rule, rules) {
        assert_in_range(cJSON_GetArraySize(json_get(rule, "resourceNames")), 1, 9);
        const char *resource = json_str(rule, "resources[0]", "");
        if (strcmp(resource, "pods/status") == 0) {
            assert_text(rule, "resourceNames[0]", "a-1-0");
            assert_text(rule, "resourceNames[1]", "a-2-0");
        }
        if (strcmp(resource, "secrets") == 0)
            assert_string_equal(json_compact(scene->arena, json_get(rule, "verbs")), "[\"get\"]");
    }
    arena_free(scene->arena);
}

static void what_agents_write_is_not_in_the_intent(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    const cJSON *lease = must(scene, "Lease", "a-primary");
    assert_null(json_get(lease, "spec"));
    assert_text(lease, "metadata.annotations[\"pgkeel.dev/bootstrap\"]",
                "{\"instance\":\"a-1\",\"mode\":\"initdb\"}");
    const cJSON *slice = must(scene, "EndpointSlice", "a-rw");
    assert_null(json_get(slice, "endpoints"));
    assert_text(slice, "metadata.labels[\"kubernetes.io/service-name\"]", "a-rw");
    assert_null(json_get(must(scene, "Service", "a-rw"), "spec.selector"));
    scene->model->grant.instance = "";
    scene->desired = desired_build(scene->arena, scene->model);
    assert_null(json_get(must(scene, "Lease", "a-primary"), "metadata.annotations"));
    assert_text(slice, "addressType", "IPv4");
    scene->snapshot.ipv6 = true;
    build(scene);
    assert_text(must(scene, "EndpointSlice", "a-rw"), "addressType", "IPv6");
    arena_free(scene->arena);
}

static void instances_that_are_not_wanted_are_nowhere(void **state)
{
    (void)state;
    struct scene *scene = scene_of("");
    scene->model->instances[1].wanted = false;
    scene->desired = desired_build(scene->arena, scene->model);
    assert_null(object(scene, "StatefulSet", "a-2"));
    assert_null(object(scene, "PersistentVolumeClaim", "a-2-data"));
    for (size_t i = 0; i < scene->desired.count; i++)
        assert_null(strstr(json_compact(scene->arena, scene->desired.objects[i]), "\"a-2"));
    arena_free(scene->arena);
}

static void scheduling_is_taken_over(void **state)
{
    (void)state;
    struct scene *scene = scene_of("  scheduling:\n"
                                   "    antiAffinity: required\n"
                                   "    topologyKey: topology.kubernetes.io/zone\n"
                                   "    nodeSelector: {disk: ssd}\n"
                                   "    tolerations: [{key: db, operator: Exists}]\n"
                                   "    priorityClassName: high\n");
    const cJSON *pod = json_get(must(scene, "StatefulSet", "a-1"), "spec.template.spec");
    assert_text(pod,
                "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]."
                "topologyKey",
                "topology.kubernetes.io/zone");
    assert_int_equal(cJSON_GetArraySize(json_get(pod, "topologySpreadConstraints")), 1);
    assert_text(pod, "nodeSelector.disk", "ssd");
    assert_text(pod, "tolerations[0].key", "db");
    assert_text(pod, "priorityClassName", "high");
    arena_free(scene->arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_becomes_these_objects_and_no_others),
        cmocka_unit_test(every_object_says_whose_it_is),
        cmocka_unit_test(volumes_go_with_the_cluster_only_when_asked_to),
        cmocka_unit_test(only_pods_of_instances_are_selected),
        cmocka_unit_test(building_twice_gives_the_same_bytes),
        cmocka_unit_test(pods_pass_the_restricted_standard),
        cmocka_unit_test(an_upgrade_of_operator_or_server_leaves_the_template_hash_alone),
        cmocka_unit_test(an_image_may_be_called_like_a_way_into_the_pod),
        cmocka_unit_test(a_kept_agent_keeps_the_whole_template),
        cmocka_unit_test(a_kept_form_keeps_the_template_of_an_earlier_operator),
        cmocka_unit_test(volumes_never_shrink_or_move_and_say_what_is_on_them),
        cmocka_unit_test(what_is_asked_of_a_volume_the_api_server_takes),
        cmocka_unit_test(wal_gets_a_volume_of_its_own_when_asked),
        cmocka_unit_test(a_drain_may_take_one_of_several_but_not_the_only_one_unasked),
        cmocka_unit_test(every_right_of_the_agents_names_its_object),
        cmocka_unit_test(what_agents_write_is_not_in_the_intent),
        cmocka_unit_test(instances_that_are_not_wanted_are_nowhere),
        cmocka_unit_test(scheduling_is_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
