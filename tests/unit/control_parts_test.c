/* The parts of control that can be looked at alone; the whole runs in tests/torture and tests/api.
 */
#include "held_port.h"
#include "kube_server.h"

#include <event2/http.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/internal.h"
#include "observe/internal.h"

static void image_volumes_are_used_where_the_server_offers_them_by_default(void **state)
{
    (void)state;
    assert_true(platform_ipv6("https://[fd00::1]:443"));
    assert_false(platform_ipv6("https://10.96.0.1:443"));
    assert_int_equal(platform_minor("37"), 37);
    assert_int_equal(platform_minor("33+"), 33);
    assert_int_equal(platform_minor(""), -1);
    assert_int_equal(platform_minor("x"), -1);
    assert_true(platform_image_volumes(DELIVERY_AUTO, 35));
    assert_false(platform_image_volumes(DELIVERY_AUTO, 34));
    assert_false(platform_image_volumes(DELIVERY_AUTO, -1));
    assert_true(platform_image_volumes(DELIVERY_IMAGE_VOLUME, 33));
    assert_false(platform_image_volumes(DELIVERY_INIT_CONTAINER, 37));
}

static void what_is_remembered_of_the_secrets_is_no_secret(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct queue_key key = {0};
    struct history *history = history_of(&key);
    history_reset(history, "u-1");
    const struct seen_credentials seen = {.complete = true,
                                          .reason = "",
                                          .message = arena_strdup(arena, "m"),
                                          .verifiers_json = arena_strdup(arena, "[\"SCRAM\"]"),
                                          .verifiers_hash = arena_strdup(arena, "00ff"),
                                          .ca_pem = "PEM",
                                          .observed = arena_strdup(arena, "token"),
                                          .ca_expires_ms = 7};
    history_keep(history, &seen);
    history_keep(history, &seen);
    assert_true(history->credentials_known && history->credentials.complete);
    assert_string_equal(history->credentials.verifiers_hash, "00ff");
    assert_string_equal(history->credentials.verifiers_json, "");
    assert_int_equal(history->credentials.ca_expires_ms, 7);
    assert_string_equal(history->credentials.observed, "token");
    assert_string_equal(history->credentials.notice, "");
    history_reset(history, "u-2");
    assert_false(history->credentials_known);
    assert_string_equal(history->uid, "u-2");
    history_free(history);
    history_free(NULL);
}

static void few_clusters_are_asked_for_often_and_many_share_what_one_may_cost(void **state)
{
    (void)state;
    assert_int_equal(recheck_period_ms(1, 600), 10000);
    assert_int_equal(recheck_period_ms(100, 600), 60000);
    assert_int_equal(recheck_period_ms(1000, 600), 600000);
    assert_int_equal(recheck_period_ms(100000, 600), 600000);
    assert_int_equal(recheck_period_ms(1, 2), 2000);
}

static void a_secret_that_was_changed_deleted_or_made_anew_has_another_version(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    char before[17], after[17];
    cJSON *secrets[SECRETS] = {NULL};
    secrets[1] = json_object(arena);
    json_set_str(json_add_object(secrets[1], "metadata"), "uid", "u");
    json_set_str(json_add_object(secrets[1], "metadata"), "resourceVersion", "7");
    recheck_hash(arena, secrets, before);
    recheck_hash(arena, secrets, after);
    assert_string_equal(before, after);
    cJSON *moved[SECRETS] = {secrets[1]};
    recheck_hash(arena, moved, after);
    assert_string_not_equal(before, after);
    json_set_str(json_add_object(secrets[1], "metadata"), "resourceVersion", "8");
    recheck_hash(arena, secrets, after);
    assert_string_not_equal(before, after);
    cJSON *none[SECRETS] = {NULL};
    recheck_hash(arena, none, after);
    assert_string_not_equal(before, after);
}

/* A controller of which only the HTTP side lives. */
struct scene {
    struct event_base *loop;
    struct control control;
    struct control_options options;
    struct arena *arena;
    int port, holder, answers, code;
    char body[4096];
};

static int open_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    scene->arena = arena_new();
    scene->loop = event_base_new();
    scene->port = held_port(&scene->holder);
    scene->options.http_address = arena_printf(scene->arena, "127.0.0.1:%d", scene->port);
    scene->control = (struct control){.options = &scene->options, .loop = scene->loop};
    scene->control.queue = queue_new();
    scene->control.apply = apply_new(&(struct apply_options){.loop = scene->loop});
    pages_start(&scene->control);
    *state = scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *scene = *state;
    pages_stop(&scene->control);
    apply_free(scene->control.apply);
    queue_free(scene->control.queue, history_free);
    event_base_free(scene->loop);
    close(scene->holder);
    arena_free(scene->arena);
    free(scene);
    return 0;
}

static void on_answer(struct evhttp_request *request, void *arg)
{
    struct scene *scene = arg;
    scene->answers++;
    scene->code = request ? evhttp_request_get_response_code(request) : 0;
    if (request == NULL)
        return;
    struct evbuffer *in = evhttp_request_get_input_buffer(request);
    int got = evbuffer_remove(in, scene->body, sizeof scene->body - 1);
    scene->body[got > 0 ? got : 0] = '\0';
}

static int ask(struct scene *scene, const char *path)
{
    struct evhttp_connection *to =
        evhttp_connection_base_new(scene->loop, NULL, "127.0.0.1", (ev_uint16_t)scene->port);
    int before = scene->answers;
    evhttp_make_request(to, evhttp_request_new(on_answer, scene), EVHTTP_REQ_GET, path);
    run_until(scene->loop, &scene->answers, before + 1);
    evhttp_connection_free(to);
    return scene->code;
}

static void readiness_follows_what_the_operator_knows(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(ask(scene, "/healthz"), 200);
    assert_int_equal(ask(scene, "/readyz"), 503);
    scene->control.platform_known = true;
    assert_int_equal(ask(scene, "/readyz"), 200);
    assert_string_equal(scene->body, "waiting\n");
    scene->control.leads = true;
    assert_int_equal(ask(scene, "/readyz"), 503);
    scene->control.observe = observe_new(&(struct observe_options){0});
    scene->control.observe->synced = true;
    assert_int_equal(ask(scene, "/readyz"), 200);
    assert_string_equal(scene->body, "leading\n");
    observe_free(scene->control.observe);
    assert_int_equal(ask(scene, "/secrets"), 404);
}

static void metrics_are_in_the_text_format(void **state)
{
    struct scene *scene = *state;
    scene->control.leads = true;
    scene->control.passes_done = 42;
    assert_int_equal(ask(scene, "/metrics"), 200);
    assert_non_null(strstr(scene->body, "# TYPE pgkeel_passes_total counter\n"
                                        "pgkeel_passes_total 42\n"));
    assert_non_null(strstr(scene->body, "pgkeel_leader 1\n"));
    assert_null(strstr(scene->body, "process_resident_memory_bytes 0\n"));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_volumes_are_used_where_the_server_offers_them_by_default),
        cmocka_unit_test(what_is_remembered_of_the_secrets_is_no_secret),
        cmocka_unit_test(few_clusters_are_asked_for_often_and_many_share_what_one_may_cost),
        cmocka_unit_test(a_secret_that_was_changed_deleted_or_made_anew_has_another_version),
        CASE(readiness_follows_what_the_operator_knows),
        CASE(metrics_are_in_the_text_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
