#include "kube_server.h"

#include <sys/stat.h>
#include <unistd.h>

/* What the script answers with, and what came of it. */
struct scene {
    struct world world;
    int status;
    const char *headers, *body;
    int refusals; /* so many requests get `status`, those after it 200 and {} */
    const char *only_token;
    int done;
    struct error err;
    char *answer; /* the body as text; NULL on failure */
};

static void on_done(void *arg, const cJSON *body, const struct error *err)
{
    struct scene *scene = arg;
    scene->done++;
    scene->err = *err;
    free(scene->answer);
    scene->answer = body ? cJSON_PrintUnformatted(body) : NULL;
}

static void answer_as_told(struct server *server, struct exchange *x)
{
    struct scene *scene = server->arg;
    if (scene->only_token != NULL) {
        bool good = strstr(x->headers, scene->only_token) != NULL;
        reply(x, good ? 200 : 401, "",
              good ? "{}"
                   : "{\"kind\":\"Status\",\"reason\":"
                     "\"Unauthorized\",\"message\":\"Unauthorized\"}");
    } else if (scene->refusals > 0 && x->number > scene->refusals) {
        reply(x, 200, "", "{}");
    } else {
        reply(x, scene->status, scene->headers, scene->body);
    }
}

static void never_answer(struct server *server, struct exchange *x)
{
    (void)server, (void)x;
}

static int open_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    *scene = (struct scene){.status = 200, .headers = "", .body = "{\"a\":1}"};
    world_open(&scene->world, answer_as_told, scene);
    *state = scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *scene = *state;
    world_close(&scene->world);
    free(scene->answer);
    free(scene);
    return 0;
}

static void ask(struct scene *scene, const struct kube_request *request)
{
    int before = scene->done;
    kube_call_start(scene->world.kube, request, on_done, scene);
    assert_int_equal(scene->done, before);
    run_until(scene->world.loop, &scene->done, before + 1);
    assert_int_equal(scene->done, before + 1);
}

static const struct kube_request get_pod = {.method = KUBE_GET,
                                            .path = "/api/v1/namespaces/n/pods/p"};

/* Starts over with other credentials. */
static void use_config(struct scene *scene)
{
    kube_free(scene->world.kube);
    world_client(&scene->world);
}

static bool sent_header(const struct scene *scene, const char *line)
{
    return strstr(scene->world.server->last_headers, line) != NULL;
}

static void an_object_is_read(void **state)
{
    struct scene *s = *state;
    ask(s, &get_pod);
    assert_int_equal(s->err.class, 0);
    assert_string_equal(s->answer, "{\"a\":1}");
    assert_string_equal(s->world.server->last_method, "GET");
    assert_string_equal(s->world.server->last_target, "/api/v1/namespaces/n/pods/p");
    assert_true(sent_header(s, "\r\nUser-Agent: pgkeel-test/" PGKEEL_VERSION " (linux/"));
    assert_true(sent_header(s, "\r\nAccept: application/json\r\n"));
    assert_false(sent_header(s, "Authorization"));
    assert_false(sent_header(s, "Content-Type"));
}

static void an_apply_is_a_patch_with_its_own_type(void **state)
{
    struct scene *s = *state;
    AUTO_ARENA arena = arena_new();
    cJSON *body = json_object(arena);
    json_set_str(body, "kind", "Pod");
    struct kube_request request = {.method = KUBE_PATCH_APPLY,
                                   .path = "/api/v1/namespaces/n/pods/p",
                                   .query = kube_apply_query(arena, "a b", true),
                                   .body = body,
                                   .metadata_only = true};
    ask(s, &request);
    assert_string_equal(s->world.server->last_method, "PATCH");
    assert_string_equal(s->world.server->last_target,
                        "/api/v1/namespaces/n/pods/p?fieldManager=a%20b&force=true");
    assert_true(sent_header(s, "\r\nContent-Type: application/apply-patch+yaml\r\n"));
    assert_true(
        sent_header(s, "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"));
    assert_string_equal(s->world.server->last_body, "{\"kind\":\"Pod\"}");
}

static void every_method_has_its_verb(void **state)
{
    struct scene *s = *state;
    const struct {
        enum kube_method method;
        const char *verb, *type;
    } cases[] = {
        {KUBE_POST, "POST", "application/json"},
        {KUBE_PUT, "PUT", "application/json"},
        {KUBE_PATCH_MERGE, "PATCH", "application/merge-patch+json"},
        {KUBE_DELETE, "DELETE", "application/json"},
    };
    AUTO_ARENA arena = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kube_request request = {
            .method = cases[i].method, .path = "/api/v1/pods", .body = json_object(arena)};
        ask(s, &request);
        assert_string_equal(s->world.server->last_method, cases[i].verb);
        assert_string_equal(s->world.server->last_body, "{}");
        assert_true(sent_header(s, arena_printf(arena, "Content-Type: %s\r\n", cases[i].type)));
    }
}

static void a_delete_without_options_has_no_body(void **state)
{
    struct scene *s = *state;
    struct kube_request request = {.method = KUBE_DELETE, .path = "/api/v1/pods/x"};
    ask(s, &request);
    assert_string_equal(s->world.server->last_method, "DELETE");
    assert_false(sent_header(s, "Content-Length"));
}

static void metadata_of_a_list_is_asked_for_as_a_list(void **state)
{
    struct scene *s = *state;
    const struct {
        const char *path;
        bool list;
    } cases[] = {
        {"/api/v1/pods", true},
        {"/api/v1/namespaces", true},
        {"/api/v1/namespaces/n", false},
        {"/api/v1/namespaces/n/pods", true},
        {"/api/v1/namespaces/n/pods/p", false},
        {"/api/v1/nodes/x", false},
        {"/apis/apps/v1/statefulsets", true},
        {"/apis/apps/v1/namespaces/n/statefulsets", true},
        {"/apis/apps/v1/namespaces/n/statefulsets/s", false},
        {"/apis/apps/v1/namespaces/n/statefulsets/s/status", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kube_request request = {.path = cases[i].path, .metadata_only = true};
        ask(s, &request);
        if (sent_header(s, "as=PartialObjectMetadataList;") != cases[i].list)
            fail_msg("%s", cases[i].path);
    }
}

static void delete_options_hold_the_uid(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    assert_string_equal(
        json_canonical(arena, kube_delete_options(arena, "u-1", 0)),
        "{\"apiVersion\":\"v1\",\"gracePeriodSeconds\":0,\"kind\":\"DeleteOptions\","
        "\"preconditions\":{\"uid\":\"u-1\"},\"propagationPolicy\":\"Background\"}");
    assert_string_equal(json_canonical(arena, kube_delete_options(arena, NULL, -1)),
                        "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\","
                        "\"propagationPolicy\":\"Background\"}");
}

static void a_refusal_is_told_in_the_servers_words(void **state)
{
    struct scene *s = *state;
    const struct {
        int status;
        const char *reason;
        int class;
    } cases[] = {
        {400, "BadRequest", ERR_INVALID},
        {401, "Unauthorized", ERR_FORBIDDEN},
        {403, "Forbidden", ERR_FORBIDDEN},
        {404, "NotFound", ERR_NOT_FOUND},
        {409, "Conflict", ERR_CONFLICT},
        {409, "AlreadyExists", ERR_CONFLICT},
        {410, "Expired", ERR_GONE},
        {415, "UnsupportedMediaType", ERR_INVALID},
        {422, "Invalid", ERR_INVALID},
        {500, "InternalError", ERR_INTERNAL},
        {500, "ServerTimeout", ERR_OVERLOADED},
        {503, "ServiceUnavailable", ERR_OVERLOADED},
        {504, "Timeout", ERR_TIMEOUT},
        {429, "TooManyRequests", ERR_OVERLOADED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s->status = cases[i].status;
        s->body =
            arena_printf(s->world.arena,
                         "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"no: %zu\","
                         "\"reason\":\"%s\",\"code\":%d}",
                         i, cases[i].reason, cases[i].status);
        ask(s, &get_pod);
        assert_int_equal(s->err.class, cases[i].class);
        assert_int_equal(s->err.http_status, cases[i].status);
        assert_string_equal(s->err.reason, cases[i].reason);
        assert_string_equal(s->err.text, arena_printf(s->world.arena, "no: %zu", i));
        assert_null(s->answer);
    }
    assert_int_equal(s->world.server->requests, (int)(sizeof cases / sizeof cases[0]));
}

static void a_refusal_that_is_no_json_is_told_by_its_first_line(void **state)
{
    struct scene *s = *state;
    s->status = 502;
    s->body = "\n<h1>Bad \x01 Gateway</h1>\nmore";
    ask(s, &get_pod);
    assert_int_equal(s->err.class, ERR_TRANSPORT);
    assert_string_equal(s->err.text, "the API server answered HTTP 502: <h1>Bad  Gateway</h1>");
    s->status = 500;
    s->body = "";
    ask(s, &get_pod);
    assert_string_equal(s->err.text, "the API server answered HTTP 500");
    s->body = "[1,2";
    ask(s, &get_pod);
    assert_string_equal(s->err.text, "the API server answered HTTP 500: [1,2");
}

static void a_redirect_is_not_followed(void **state)
{
    struct scene *s = *state;
    s->status = 302;
    s->headers = "Location: /elsewhere\r\n";
    ask(s, &get_pod);
    assert_int_equal(s->err.class, ERR_INVALID);
    assert_int_equal(s->world.server->requests, 1);
}

static void an_answer_that_is_no_json_is_a_failure(void **state)
{
    struct scene *s = *state;
    s->body = "ok";
    ask(s, &get_pod);
    assert_int_equal(s->err.class, ERR_INTERNAL);
    assert_non_null(strstr(s->err.text, "/api/v1/namespaces/n/pods/p: invalid JSON"));
}

static void a_429_is_repeated_when_the_server_said_when(void **state)
{
    struct scene *s = *state;
    int64_t begun_ms = clock_boot_ms();
    s->status = 429;
    s->headers = "Retry-After: 2\r\n";
    s->refusals = 2;
    ask(s, &get_pod);
    assert_int_equal(s->err.class, 0);
    assert_int_equal(s->world.server->requests, 3);
    assert_true(clock_boot_ms() - begun_ms >= 2 * 2 * quick.second_ms - TIMER_SLACK_MS);
}

static void a_429_is_handed_on_after_three_repetitions(void **state)
{
    struct scene *s = *state;
    s->status = 429;
    s->headers = "Retry-After: 1\r\n";
    ask(s, &get_pod);
    assert_int_equal(s->err.class, ERR_OVERLOADED);
    assert_int_equal(s->err.retry_after_ms, quick.second_ms);
    assert_int_equal(s->world.server->requests, 4);
}

static void an_urgent_call_does_not_wait_for_what_429_asks_for(void **state)
{
    struct scene *s = *state;
    struct kube_request request = get_pod;
    s->status = 429;
    s->headers = "Retry-After: 1\r\n";
    request.urgent = true;
    ask(s, &request);
    assert_int_equal(s->err.class, ERR_OVERLOADED);
    assert_int_equal(s->err.retry_after_ms, quick.second_ms);
    assert_int_equal(s->world.server->requests, 1);
}

static void an_urgent_call_waits_no_longer_for_credentials(void **state)
{
    struct scene *s = *state;
    struct kubeconfig_exec plugin = {.api_version = "client.authentication.k8s.io/v1",
                                     .command = "sleep",
                                     .args = (const char *[]){"1000", NULL}};
    struct kube_request request = get_pod;
    s->world.config.exec = &plugin;
    use_config(s);
    request.urgent = true;
    request.timeout_ms = 60;
    ask(s, &request);
    assert_int_equal(s->err.class, ERR_TIMEOUT);
    assert_int_equal(s->world.server->requests, 0);
}

static void a_call_apart_has_a_connection_of_its_own(void **state)
{
    struct scene *s = *state;
    struct kube_request request = get_pod;
    ask(s, &request);
    ask(s, &request);
    assert_int_equal(s->world.server->connections, 1);
    request.apart = true;
    ask(s, &request);
    assert_int_equal(s->err.class, 0);
    assert_int_equal(s->world.server->connections, 2);
}

static void a_429_that_asks_for_a_long_pause_is_handed_on_at_once(void **state)
{
    struct scene *s = *state;
    s->status = 429;
    s->headers = "Retry-After: 100\r\n";
    ask(s, &get_pod);
    assert_int_equal(s->err.retry_after_ms, 100 * quick.second_ms);
    assert_int_equal(s->world.server->requests, 1);
}

static void a_write_is_not_repeated_after_500_or_503(void **state)
{
    struct scene *s = *state;
    AUTO_ARENA arena = arena_new();
    struct kube_request request = {
        .method = KUBE_POST, .path = "/api/v1/pods", .body = json_object(arena)};
    s->headers = "Retry-After: 1\r\n";
    s->status = 500;
    ask(s, &request);
    s->status = 503;
    ask(s, &request);
    assert_int_equal(s->err.class, ERR_OVERLOADED);
    assert_int_equal(s->err.retry_after_ms, quick.second_ms);
    assert_int_equal(s->world.server->requests, 2);
}

static void an_answer_over_the_limit_is_refused(void **state)
{
    struct scene *s = *state;
    size_t size = 65 * 1024 * 1024;
    char *body = malloc(size + 1);
    memset(body, ' ', size);
    body[size] = '\0';
    s->body = body;
    struct kube_request request = get_pod;
    request.timeout_ms = DEADLINE_S * 1000;
    ask(s, &request);
    free(body);
    s->body = "{}";
    assert_int_equal(s->err.class, ERR_INTERNAL);
    assert_non_null(strstr(s->err.text, "over the limit of 67108864 bytes"));
    ask(s, &get_pod);
    assert_int_equal(s->err.class, 0);
}

static void silence_is_a_timeout(void **state)
{
    struct scene *s = *state;
    struct kube_request request = get_pod;
    s->world.server->answer = never_answer;
    request.timeout_ms = 60;
    ask(s, &request);
    assert_int_equal(s->err.class, ERR_TIMEOUT);
    assert_string_equal(s->err.reason, "APIServerTimeout");
}

static void cut_in_the_middle(struct server *server, struct exchange *x)
{
    (void)server;
    evbuffer_add_printf(bufferevent_get_output(x->stream),
                        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":");
    cut(x);
}

static void a_cut_connection_is_a_transport_failure(void **state)
{
    struct scene *s = *state;
    s->world.server->answer = cut_in_the_middle;
    ask(s, &get_pod);
    assert_int_equal(s->err.class, ERR_TRANSPORT);
    assert_string_equal(s->err.reason, "APIServerUnreachable");
}

static void a_closed_port_is_a_transport_failure_that_names_the_server(void **state)
{
    struct scene *s = *state;
    evconnlistener_free(s->world.server->listener);
    s->world.server->listener = NULL;
    ask(s, &get_pod);
    assert_int_equal(s->err.class, ERR_TRANSPORT);
    assert_non_null(strstr(s->err.text, s->world.config.server));
}

static void requests_share_a_connection(void **state)
{
    struct scene *s = *state;
    for (int i = 0; i < 5; i++)
        ask(s, &get_pod);
    assert_int_equal(s->world.server->connections, 1);
}

static void a_path_below_the_server_is_kept(void **state)
{
    struct scene *s = *state;
    s->world.config.server = arena_printf(s->world.arena, "%s/k8s/c-1/", s->world.config.server);
    use_config(s);
    ask(s, &get_pod);
    assert_string_equal(s->world.server->last_target, "/k8s/c-1/api/v1/namespaces/n/pods/p");
}

static void credentials_are_sent(void **state)
{
    struct scene *s = *state;
    s->world.config.token = "abc";
    use_config(s);
    ask(s, &get_pod);
    assert_true(sent_header(s, "\r\nAuthorization: Bearer abc\r\n"));
    s->world.config.token = NULL;
    s->world.config.username = "user";
    s->world.config.password = "pass";
    s->world.config.impersonate = (const char *[]){"Impersonate-User: jane", NULL};
    use_config(s);
    ask(s, &get_pod);
    assert_true(sent_header(s, "\r\nAuthorization: Basic dXNlcjpwYXNz\r\n"));
    assert_true(sent_header(s, "\r\nImpersonate-User: jane\r\n"));
}

static void credentials_never_travel_in_clear_text(void **state)
{
    struct scene *s = *state;
    struct kube *kube;
    struct kubeconfig config = {.server = "http://10.1.2.3:80", .token = "abc"};
    assert_int_equal(kube_new(s->world.loop, &config, "x", &kube, &s->err), ERR_INVALID);
    assert_non_null(strstr(s->err.text, "never sent in clear text"));
}

static void a_server_that_is_no_url_is_refused(void **state)
{
    struct scene *s = *state;
    const char *const servers[] = {
        NULL, "", "10.0.0.1:6443", "https://", "https://h:0", "https://h:99999", "ftp://h"};
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        struct kube *kube;
        struct kubeconfig config = {.server = servers[i]};
        assert_int_equal(kube_new(s->world.loop, &config, "x", &kube, &s->err), ERR_INVALID);
    }
}

static void write_token(const char *path, const char *token)
{
    char temporary[200];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    fputs(token, file);
    fclose(file);
    assert_int_equal(rename(temporary, path), 0);
}

static char *token_path(struct scene *s)
{
    char *path = arena_strdup(s->world.arena, "/tmp/kube_call_test.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    s->world.config.token_file = path;
    return path;
}

static void a_rotated_token_is_read_before_the_next_request(void **state)
{
    struct scene *s = *state;
    char *path = token_path(s);
    write_token(path, "first\n");
    use_config(s);
    ask(s, &get_pod);
    assert_true(sent_header(s, "Bearer first\r\n"));
    write_token(path, "second");
    ask(s, &get_pod);
    assert_true(sent_header(s, "Bearer second\r\n"));
    unlink(path);
    ask(s, &get_pod);
    assert_true(sent_header(s, "Bearer second\r\n"));
}

static void rotate_while_asked(struct server *server, struct exchange *x)
{
    struct scene *s = server->arg;
    if (x->number == 1)
        write_token(s->world.config.token_file, "second");
    answer_as_told(server, x);
}

static void a_401_is_tried_again_with_a_token_that_rotated_meanwhile(void **state)
{
    struct scene *s = *state;
    char *path = token_path(s);
    write_token(path, "first");
    use_config(s);
    s->only_token = "Bearer second";
    s->world.server->answer = rotate_while_asked;
    ask(s, &get_pod);
    assert_int_equal(s->err.class, 0);
    assert_int_equal(s->world.server->requests, 2);
    s->only_token = "Bearer third";
    ask(s, &get_pod);
    assert_int_equal(s->err.class, ERR_FORBIDDEN);
    assert_int_equal(s->world.server->requests, 3);
    unlink(path);
}

static void a_bad_token_file_is_named(void **state)
{
    struct scene *s = *state;
    char *path = token_path(s);
    use_config(s);
    ask(s, &get_pod);
    assert_int_equal(s->err.class, ERR_FORBIDDEN);
    assert_non_null(strstr(s->err.text, path));
    assert_non_null(strstr(s->err.text, "is empty"));
    write_token(path, "a\x01z");
    ask(s, &get_pod);
    assert_non_null(strstr(s->err.text, "exactly one token"));
    unlink(path);
    ask(s, &get_pod);
    assert_int_equal(s->err.class, ERR_NOT_FOUND);
    s->world.config.token = "fixed";
    use_config(s);
    ask(s, &get_pod);
    assert_true(sent_header(s, "Bearer fixed\r\n"));
}

static void a_cancelled_call_is_silent(void **state)
{
    struct scene *s = *state;
    struct kube_call *call = kube_call_start(s->world.kube, &get_pod, on_done, s);
    kube_call_cancel(call);
    kube_call_cancel(NULL);
    ask(s, &get_pod);
    assert_int_equal(s->done, 1);
    s->world.server->answer = never_answer;
    call = kube_call_start(s->world.kube, &get_pod, on_done, s);
    run_until(s->world.loop, &s->world.server->requests, 2);
    kube_call_cancel(call);
    assert_int_equal(s->done, 1);
}

static void freeing_the_client_ends_its_calls_in_silence(void **state)
{
    struct scene *s = *state;
    s->world.server->answer = never_answer;
    for (int i = 0; i < 3; i++)
        kube_call_start(s->world.kube, &get_pod, on_done, s);
    run_until(s->world.loop, &s->world.server->requests, 3);
    kube_free(s->world.kube);
    s->world.kube = NULL;
    assert_int_equal(s->done, 0);
}

static void on_done_ask_again(void *arg, const cJSON *body, const struct error *err)
{
    struct scene *scene = arg;
    kube_call_start(scene->world.kube, &get_pod, on_done, scene);
    on_done(arg, body, err);
}

static void a_callback_may_start_another_call(void **state)
{
    struct scene *s = *state;
    kube_call_start(s->world.kube, &get_pod, on_done_ask_again, s);
    run_until(s->world.loop, &s->done, 2);
    assert_int_equal(s->err.class, 0);
}

static void many_calls_at_once_are_all_answered(void **state)
{
    struct scene *s = *state;
    for (int i = 0; i < 40; i++)
        kube_call_start(s->world.kube, &get_pod, on_done, s);
    run_until(s->world.loop, &s->done, 40);
    assert_int_equal(s->world.server->requests, 40);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_object_is_read),
        TEST(an_apply_is_a_patch_with_its_own_type),
        TEST(every_method_has_its_verb),
        TEST(a_delete_without_options_has_no_body),
        TEST(metadata_of_a_list_is_asked_for_as_a_list),
        TEST(delete_options_hold_the_uid),
        TEST(a_refusal_is_told_in_the_servers_words),
        TEST(a_refusal_that_is_no_json_is_told_by_its_first_line),
        TEST(a_redirect_is_not_followed),
        TEST(an_answer_that_is_no_json_is_a_failure),
        TEST(a_429_is_repeated_when_the_server_said_when),
        TEST(a_429_is_handed_on_after_three_repetitions),
        TEST(an_urgent_call_does_not_wait_for_what_429_asks_for),
        TEST(an_urgent_call_waits_no_longer_for_credentials),
        TEST(a_call_apart_has_a_connection_of_its_own),
        TEST(a_429_that_asks_for_a_long_pause_is_handed_on_at_once),
        TEST(a_write_is_not_repeated_after_500_or_503),
        TEST(an_answer_over_the_limit_is_refused),
        TEST(silence_is_a_timeout),
        TEST(a_cut_connection_is_a_transport_failure),
        TEST(a_closed_port_is_a_transport_failure_that_names_the_server),
        TEST(requests_share_a_connection),
        TEST(a_path_below_the_server_is_kept),
        TEST(credentials_are_sent),
        TEST(credentials_never_travel_in_clear_text),
        TEST(a_server_that_is_no_url_is_refused),
        TEST(a_rotated_token_is_read_before_the_next_request),
        TEST(a_401_is_tried_again_with_a_token_that_rotated_meanwhile),
        TEST(a_bad_token_file_is_named),
        TEST(a_cancelled_call_is_silent),
        TEST(freeing_the_client_ends_its_calls_in_silence),
        TEST(a_callback_may_start_another_call),
        TEST(many_calls_at_once_are_all_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
