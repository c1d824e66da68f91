#include "kube_server.h"

#include "api/names.h"
#include "apply/apply.h"

enum { STEPS_MAX = 12, LOG_MAX = 64 };

/* A namespace whose objects answer as a test says, and a log of what was asked. */
struct scene {
    struct world world;
    struct apply *apply;
    struct apply_owner owner;
    struct apply_step steps[STEPS_MAX];
    size_t count;
    int done, written, deleted;
    bool deposed;
    char *asked[LOG_MAX]; /* "PATCH services/a-rw" */
    int asked_count;
    const char *found;       /* what a GET answers; NULL: 404 */
    const char *refuse;      /* part of the target that is refused ... */
    int refuse_status;       /* ... so ... */
    int refuse_times;        /* ... so often, or always when it is 0 */
    const char *refuse_text; /* message of the Status */
    bool hold;               /* nobody is answered until release() */
    struct exchange *held[LOG_MAX];
    int held_count;
    char last_patch[4096];
};

static void refuse(struct exchange *x, int status, const char *reason, const char *message)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"%s\",\"message\":\"%s\","
             "\"code\":%d}",
             reason, message, status);
    reply(x, status, "", body);
}

static void answer_one(struct scene *scene, struct exchange *x)
{
    bool write = strcmp(x->method, "GET") != 0;
    if (write && scene->refuse && strstr(x->target, scene->refuse)) {
        if (scene->refuse_times > 0 && --scene->refuse_times == 0)
            scene->refuse = NULL;
        refuse(x, scene->refuse_status, "Refused", scene->refuse_text);
    } else if (!write && scene->found == NULL)
        refuse(x, 404, "NotFound", "not found");
    else if (!write)
        reply(x, 200, "", scene->found);
    else
        reply(x, 200, "", "{\"kind\":\"Thing\",\"metadata\":{\"name\":\"x\",\"uid\":\"new\"}}");
}

static void on_request(struct server *server, struct exchange *x)
{
    struct scene *scene = server->arg;
    const char *place = strstr(x->target, "/namespaces/n/");
    char *line = NULL;
    size_t length = strcspn(place + 14, "?");
    assert_true(asprintf(&line, "%s %.*s", x->method, (int)length, place + 14) > 0);
    assert_true(scene->asked_count < LOG_MAX);
    scene->asked[scene->asked_count++] = line;
    if (strcmp(x->method, "PATCH") == 0 || strcmp(x->method, "DELETE") == 0)
        snprintf(scene->last_patch, sizeof scene->last_patch, "%s", x->body);
    if (scene->hold)
        scene->held[scene->held_count++] = x;
    else
        answer_one(scene, x);
}

static void release(struct scene *scene)
{
    int count = scene->held_count;
    scene->held_count = 0;
    for (int i = 0; i < count; i++)
        answer_one(scene, scene->held[i]);
}

static bool may_write(void *arg)
{
    return !((struct scene *)arg)->deposed;
}

static void on_written(void *arg, enum apply_verb verb, const char *kind, const cJSON *object)
{
    (void)verb;
    struct scene *scene = arg;
    assert_non_null(kind);
    assert_non_null(object);
    scene->written++;
}

static void on_deleted(void *arg, const char *kind, const char *namespace, const char *name,
                       const char *uid, const cJSON *object)
{
    (void)kind, (void)name, (void)uid, (void)object;
    assert_string_equal(namespace, "n");
    ((struct scene *)arg)->deleted++;
}

static void on_done(void *arg)
{
    ((struct scene *)arg)->done++;
}

static int open_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    world_open(&scene->world, on_request, scene);
    scene->owner = (struct apply_owner){"n", "a", "u-1"};
    scene->apply = apply_new(&(struct apply_options){.kube = scene->world.kube,
                                                     .loop = scene->world.loop,
                                                     .max_in_flight = 4,
                                                     .may_write = may_write,
                                                     .written = on_written,
                                                     .deleted = on_deleted,
                                                     .arg = scene});
    *state = scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *scene = *state;
    apply_free(scene->apply);
    world_close(&scene->world);
    for (int i = 0; i < scene->asked_count; i++)
        free(scene->asked[i]);
    free(scene);
    return 0;
}

static struct apply_step *step(struct scene *scene, enum apply_verb verb, const char *kind,
                               const char *name, int wave)
{
    static const char *const versions[][2] = {{"StatefulSet", "apps/v1"},
                                              {"Lease", "coordination.k8s.io/v1"},
                                              {"PostgresCluster", API_VERSION}};
    const char *version = "v1";
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        if (strcmp(versions[i][0], kind) == 0)
            version = versions[i][1];
    cJSON *object = json_object(scene->world.arena);
    json_set_str(json_add_object(object, "metadata"), "name", name);
    struct apply_step *made = &scene->steps[scene->count++];
    *made = (struct apply_step){.verb = verb,
                                .api_version = version,
                                .kind = kind,
                                .name = name,
                                .object = verb == APPLY_DELETE ? NULL : object,
                                .wave = wave};
    return made;
}

static struct apply_run *start(struct scene *scene)
{
    return apply_start(scene->apply, &scene->owner, scene->steps, scene->count, on_done, scene);
}

static void run(struct scene *scene)
{
    start(scene);
    assert_int_equal(scene->done, 0);
    run_until(scene->world.loop, &scene->done, 1);
}

static int place_of(const struct scene *scene, const char *line)
{
    for (int i = 0; i < scene->asked_count; i++)
        if (strcmp(scene->asked[i], line) == 0)
            return i;
    return -1;
}

static void waves_go_in_order(void **state)
{
    struct scene *scene = *state;
    step(scene, APPLY_UPDATE, "Service", "late", 7);
    step(scene, APPLY_UPDATE, "Service", "early-1", 2);
    step(scene, APPLY_UPDATE, "Service", "early-2", 2);
    step(scene, APPLY_UPDATE, "Service", "first", 0);
    run(scene);
    assert_int_equal(place_of(scene, "PATCH services/first"), 0);
    assert_int_equal(place_of(scene, "PATCH services/late"), 3);
    assert_int_equal(scene->written, 4);
}

static void a_run_without_steps_ends_too(void **state)
{
    run(*state);
}

static void what_is_to_be_created_is_looked_for_first(void **state)
{
    struct scene *scene = *state;
    step(scene, APPLY_CREATE, "Service", "a-rw", 0);
    run(scene);
    assert_int_equal(scene->asked_count, 2);
    assert_string_equal(scene->asked[0], "GET services/a-rw");
    assert_string_equal(scene->asked[1], "PATCH services/a-rw");
    assert_null(strstr(scene->last_patch, "uid"));
    assert_true(scene->steps[0].tried);
    assert_int_equal(scene->steps[0].err.class, 0);
}

static void a_foreign_object_is_a_collision_and_left_alone(void **state)
{
    struct scene *scene = *state;
    scene->found = "{\"metadata\":{\"name\":\"a-rw\",\"uid\":\"x\"}}";
    step(scene, APPLY_CREATE, "Service", "a-rw", 0);
    run(scene);
    assert_int_equal(scene->asked_count, 1);
    assert_int_equal(scene->steps[0].err.class, ERR_CONFLICT);
    assert_string_equal(scene->steps[0].err.reason, "NameCollision");
    assert_non_null(strstr(scene->steps[0].err.text, "Service 'n/a-rw'"));
}

static void our_own_object_that_the_caches_missed_is_taken_with_its_uid(void **state)
{
    struct scene *scene = *state;
    scene->found = "{\"metadata\":{\"name\":\"a-rw\",\"uid\":\"mine\",\"ownerReferences\":[{"
                   "\"controller\":true,\"uid\":\"u-1\"}]}}";
    step(scene, APPLY_CREATE, "Service", "a-rw", 0);
    run(scene);
    assert_int_equal(scene->steps[0].err.class, 0);
    assert_non_null(strstr(scene->last_patch, "\"uid\":\"mine\""));
}

static void a_lease_is_made_by_post_so_that_none_is_ever_taken(void **state)
{
    struct scene *scene = *state;
    step(scene, APPLY_CREATE, "Lease", "a-primary", 0);
    run(scene);
    assert_string_equal(scene->asked[1], "POST leases");
}

static void each_verb_has_its_request(void **state)
{
    struct scene *scene = *state;
    step(scene, APPLY_UPDATE, "Service", "a-rw", 0)->uid = "u-7";
    run(scene);
    assert_string_equal(scene->asked[0], "PATCH services/a-rw");
    assert_non_null(strstr(scene->last_patch, "\"uid\":\"u-7\""));
    assert_non_null(strstr(scene->world.server->last_headers, "apply-patch"));
    assert_non_null(strstr(scene->world.server->last_target, "force=true"));
    scene->count = 0, scene->done = 0;
    step(scene, APPLY_MERGE, "Secret", "a-app", 0);
    run(scene);
    assert_non_null(strstr(scene->world.server->last_headers, "merge-patch"));
    assert_non_null(strstr(scene->world.server->last_target, "fieldManager=pgkeel"));
    scene->count = 0, scene->done = 0;
    step(scene, APPLY_STATUS, "PostgresCluster", "a", 0);
    run(scene);
    assert_string_equal(scene->asked[2], "PATCH postgresclusters/a/status");
    scene->count = 0, scene->done = 0;
    step(scene, APPLY_DELETE, "Pod", "a-1-0", 0)->uid = "u-8";
    run(scene);
    assert_string_equal(scene->asked[3], "DELETE pods/a-1-0");
    assert_non_null(strstr(scene->last_patch, "\"uid\":\"u-8\""));
    assert_int_equal(scene->deleted, 1);
}

static void what_is_gone_already_is_as_good_as_deleted(void **state)
{
    struct scene *scene = *state;
    scene->refuse = "pods", scene->refuse_status = 404, scene->refuse_text = "not found";
    step(scene, APPLY_DELETE, "Pod", "a-1-0", 0);
    run(scene);
    assert_int_equal(scene->steps[0].err.class, 0);
    assert_int_equal(scene->deleted, 1);
}

static void a_refusal_holds_nothing_back(void **state)
{
    struct scene *scene = *state;
    scene->refuse = "persistentvolumeclaims", scene->refuse_status = 403;
    scene->refuse_text = "only dynamically provisioned pvc can be resized";
    step(scene, APPLY_UPDATE, "PersistentVolumeClaim", "a-1-data", 0);
    step(scene, APPLY_UPDATE, "StatefulSet", "a-1", 1);
    step(scene, APPLY_DELETE, "Pod", "a-1-0", 2);
    run(scene);
    assert_int_equal(scene->steps[0].err.class, ERR_FORBIDDEN);
    assert_true(scene->steps[1].tried && scene->steps[2].tried);
    assert_int_equal(scene->steps[2].err.class, 0);
}

static void no_pod_is_deleted_when_its_statefulset_could_not_be_written(void **state)
{
    struct scene *scene = *state;
    scene->refuse = "statefulsets", scene->refuse_status = 422, scene->refuse_text = "no";
    step(scene, APPLY_UPDATE, "StatefulSet", "a-1", 0);
    step(scene, APPLY_UPDATE, "Service", "a-rw", 1);
    step(scene, APPLY_DELETE, "Pod", "a-1-0", 2);
    run(scene);
    assert_int_equal(scene->steps[0].err.class, ERR_INVALID);
    assert_true(scene->steps[1].tried);
    assert_false(scene->steps[2].tried);
}

static void nothing_more_is_tried_when_the_server_is_overloaded(void **state)
{
    struct scene *scene = *state;
    scene->refuse = "services/first", scene->refuse_status = 503, scene->refuse_text = "later";
    step(scene, APPLY_UPDATE, "Service", "first", 0);
    step(scene, APPLY_UPDATE, "Service", "second", 1);
    run(scene);
    assert_int_equal(scene->steps[0].err.class, ERR_OVERLOADED);
    assert_false(scene->steps[1].tried);
}

static void what_waits_its_turn_is_not_sent_to_an_overloaded_server(void **state)
{
    struct scene *scene = *state;
    scene->hold = true;
    scene->refuse = "services/s-", scene->refuse_status = 503, scene->refuse_text = "later";
    for (int i = 0; i < 9; i++)
        step(scene, APPLY_UPDATE, "Service", arena_printf(scene->world.arena, "s-%d", i), 0);
    start(scene);
    run_until(scene->world.loop, &scene->held_count, 4);
    scene->hold = false;
    release(scene);
    run_until(scene->world.loop, &scene->done, 1);
    assert_int_equal(scene->asked_count, 4);
    assert_false(scene->steps[8].tried);
}

static void vital(struct scene *scene)
{
    step(scene, APPLY_POST, "Secret", "a-ca", 0)->vital = true;
    step(scene, APPLY_UPDATE, "Service", "after", 1);
}

static void a_vital_write_that_met_a_hiccup_is_made_again_before_what_depends_on_it(void **state)
{
    static const int hiccups[] = {500, 503};
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof hiccups / sizeof hiccups[0]; i++) {
        scene->count = 0, scene->done = 0, scene->asked_count = 0;
        scene->refuse = "secrets", scene->refuse_status = hiccups[i], scene->refuse_text = "now no";
        scene->refuse_times = 2;
        vital(scene);
        run(scene);
        assert_int_equal(scene->steps[0].err.class, 0);
        assert_true(scene->steps[1].tried);
        assert_int_equal(scene->asked_count, 4);
        assert_string_equal(scene->asked[2], "POST secrets");
        assert_string_equal(scene->asked[3], "PATCH services/after");
        for (int k = 0; k < scene->asked_count; k++)
            free(scene->asked[k]);
        scene->asked_count = 0;
    }
}

static void a_vital_write_that_fails_for_good_is_tried_three_times_and_ends_its_run(void **state)
{
    struct scene *scene = *state;
    scene->refuse = "secrets", scene->refuse_status = 500, scene->refuse_text = "no";
    vital(scene);
    run(scene);
    assert_int_equal(scene->steps[0].err.class, ERR_INTERNAL);
    assert_non_null(strstr(scene->steps[0].err.text, "create Secret 'n/a-ca': "));
    assert_int_equal(scene->asked_count, 3);
    assert_false(scene->steps[1].tried);
    assert_int_equal(apply_in_flight(scene->apply), 0);
}

static void a_vital_write_that_only_another_look_can_help_is_not_repeated(void **state)
{
    static const int answers[] = {403, 409, 422};
    struct scene *scene = *state;
    scene->refuse = "secrets", scene->refuse_text = "no";
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        scene->count = 0, scene->done = 0;
        scene->refuse_status = answers[i];
        vital(scene);
        run(scene);
        assert_int_equal(scene->asked_count, (int)i + 1);
        assert_false(scene->steps[1].tried);
    }
}

static void a_write_that_is_not_vital_is_not_repeated(void **state)
{
    struct scene *scene = *state;
    scene->refuse = "services", scene->refuse_status = 500, scene->refuse_text = "no";
    step(scene, APPLY_UPDATE, "Service", "a-rw", 0);
    run(scene);
    assert_int_equal(scene->asked_count, 1);
}

static void a_run_that_is_cancelled_in_the_pause_before_a_repeat_repeats_nothing(void **state)
{
    struct scene *scene = *state;
    scene->refuse = "secrets", scene->refuse_status = 500, scene->refuse_text = "no";
    vital(scene);
    struct apply_run *cancelled = start(scene);
    run_until(scene->world.loop, &scene->world.server->answered, 1);
    do {
        event_base_loop(scene->world.loop, EVLOOP_ONCE);
    } while (apply_in_flight(scene->apply) > 0);
    assert_int_equal(scene->done, 0);
    apply_cancel(cancelled);
    run_for_ms(scene->world.loop, 400);
    assert_int_equal(scene->asked_count, 1);
}

static void an_operator_that_is_deposed_in_the_pause_before_a_repeat_writes_nothing(void **state)
{
    struct scene *scene = *state;
    scene->refuse = "secrets", scene->refuse_status = 500, scene->refuse_text = "no";
    vital(scene);
    start(scene);
    run_until(scene->world.loop, &scene->world.server->answered, 1);
    scene->deposed = true;
    run_until(scene->world.loop, &scene->done, 1);
    assert_int_equal(scene->asked_count, 1);
    assert_int_equal(scene->steps[0].err.class, ERR_CONFLICT);
}

static void an_object_that_was_replaced_is_a_conflict_whatever_the_server_calls_it(void **state)
{
    struct scene *scene = *state;
    scene->refuse = "services", scene->refuse_status = 422;
    scene->refuse_text = "metadata.uid: Invalid value: field is immutable";
    step(scene, APPLY_UPDATE, "Service", "a-rw", 0)->uid = "old";
    run(scene);
    assert_int_equal(scene->steps[0].err.class, ERR_CONFLICT);
}

static void a_deposed_operator_writes_nothing(void **state)
{
    struct scene *scene = *state;
    scene->deposed = true;
    step(scene, APPLY_UPDATE, "Service", "a-rw", 0);
    step(scene, APPLY_CREATE, "Service", "a-ro", 0);
    step(scene, APPLY_DELETE, "Pod", "a-1-0", 1);
    run(scene);
    for (int i = 0; i < scene->asked_count; i++)
        assert_memory_equal(scene->asked[i], "GET", 3);
    assert_int_equal(scene->steps[0].err.class, ERR_CONFLICT);
    assert_false(scene->steps[2].tried);
}

static void requests_in_flight_are_bounded_over_all_runs(void **state)
{
    struct scene *scene = *state;
    scene->hold = true;
    for (int i = 0; i < 9; i++)
        step(scene, APPLY_UPDATE, "Service", arena_printf(scene->world.arena, "s-%d", i), 0);
    start(scene);
    struct apply_step other = scene->steps[0];
    apply_start(scene->apply, &scene->owner, &other, 1, on_done, scene);
    run_until(scene->world.loop, &scene->held_count, 4);
    run_for_ms(scene->world.loop, 30);
    assert_int_equal(apply_in_flight(scene->apply), 4);
    assert_int_equal(scene->held_count, 4);
    scene->hold = false;
    release(scene);
    run_until(scene->world.loop, &scene->done, 2);
    assert_int_equal(apply_in_flight(scene->apply), 0);
    assert_int_equal(apply_writes(scene->apply), 10);
}

static void a_cancelled_run_is_never_heard_of_again_and_frees_its_place(void **state)
{
    struct scene *scene = *state;
    scene->hold = true;
    for (int i = 0; i < 6; i++)
        step(scene, APPLY_UPDATE, "Service", arena_printf(scene->world.arena, "s-%d", i), 0);
    struct apply_run *cancelled = start(scene);
    run_until(scene->world.loop, &scene->held_count, 4);
    apply_cancel(cancelled);
    assert_int_equal(apply_in_flight(scene->apply), 0);
    scene->hold = false;
    scene->count = 0;
    step(scene, APPLY_UPDATE, "Service", "other", 0);
    start(scene);
    run_until(scene->world.loop, &scene->done, 1);
    assert_int_equal(scene->done, 1);
    assert_int_equal(place_of(scene, "PATCH services/s-5"), -1);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        CASE(waves_go_in_order),
        CASE(a_run_without_steps_ends_too),
        CASE(what_is_to_be_created_is_looked_for_first),
        CASE(a_foreign_object_is_a_collision_and_left_alone),
        CASE(our_own_object_that_the_caches_missed_is_taken_with_its_uid),
        CASE(a_lease_is_made_by_post_so_that_none_is_ever_taken),
        CASE(each_verb_has_its_request),
        CASE(what_is_gone_already_is_as_good_as_deleted),
        CASE(a_refusal_holds_nothing_back),
        CASE(no_pod_is_deleted_when_its_statefulset_could_not_be_written),
        CASE(nothing_more_is_tried_when_the_server_is_overloaded),
        CASE(what_waits_its_turn_is_not_sent_to_an_overloaded_server),
        CASE(a_vital_write_that_met_a_hiccup_is_made_again_before_what_depends_on_it),
        CASE(a_vital_write_that_fails_for_good_is_tried_three_times_and_ends_its_run),
        CASE(a_vital_write_that_only_another_look_can_help_is_not_repeated),
        CASE(a_write_that_is_not_vital_is_not_repeated),
        CASE(a_run_that_is_cancelled_in_the_pause_before_a_repeat_repeats_nothing),
        CASE(an_operator_that_is_deposed_in_the_pause_before_a_repeat_writes_nothing),
        CASE(an_object_that_was_replaced_is_a_conflict_whatever_the_server_calls_it),
        CASE(a_deposed_operator_writes_nothing),
        CASE(requests_in_flight_are_bounded_over_all_runs),
        CASE(a_cancelled_run_is_never_heard_of_again_and_frees_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
