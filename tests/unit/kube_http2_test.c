/* HTTP/2: one connection for everything, and what happens when it dies in silence. */
#include "kube_time.h"

#include <curl/curl.h>
#include <nghttp2/nghttp2.h>

#include "kube_pki.h"

enum { STREAMS = 64 };

struct h2_connection;

/* One request; a path with "watch=true" is answered by lines that are pushed. */
struct h2_stream {
    struct h2_connection *connection;
    int32_t id;
    char path[512];
    bool watch, used;
    struct buffer out;
    bool ends;
};

struct h2_connection {
    struct scene *scene;
    struct bufferevent *stream;
    nghttp2_session *session;
    struct h2_stream streams[STREAMS];
    struct h2_connection *next;
    bool frozen; /* reads nothing and says nothing any more */
    int ignored; /* so often bytes came nevertheless */
};

struct scene {
    struct world world;
    struct h2_connection *connections;
    struct evconnlistener *listener;
    SSL_CTX *tls;
    int connection_count, requests;
    const char *never; /* requests with this in their path are not answered */
    int done, failed, upserts, synced, troubles;
    struct error err, trouble;
    int64_t now_ms;
    struct virtual_clock clock;
};

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t length, int flags,
                       void *arg)
{
    (void)session, (void)flags;
    struct h2_connection *c = arg;
    bufferevent_write(c->stream, data, length);
    return (ssize_t)length;
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2_connection *c = arg;
    for (int i = 0; i < STREAMS; i++) {
        if (c->streams[i].used)
            continue;
        c->streams[i] =
            (struct h2_stream){.connection = c, .id = frame->hd.stream_id, .used = true};
        return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, &c->streams[i]);
    }
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *arg)
{
    (void)flags, (void)arg;
    struct h2_stream *x = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (x != NULL && name_length == 5 && memcmp(name, ":path", 5) == 0)
        snprintf(x->path, sizeof x->path, "%.*s", (int)value_length, (const char *)value);
    return 0;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    (void)session, (void)id, (void)arg;
    struct h2_stream *x = source->ptr;
    size_t length = x->out.length < room ? x->out.length : room;
    if (length == 0 && !x->ends)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(out, buffer_text(&x->out), length);
    buffer_consume(&x->out, length);
    if (x->ends && x->out.length == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)length;
}

static void push(struct h2_stream *x, const char *line)
{
    buffer_printf(&x->out, "%s\n", line);
    nghttp2_session_resume_data(x->connection->session, x->id);
    nghttp2_session_send(x->connection->session);
}

#define LIST_END                                                                                   \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\",\"annotations\":"  \
    "{\"k8s.io/initial-events-end\":\"true\"}}}}\n"

static void answer(struct h2_connection *c, struct h2_stream *x)
{
    nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"200", 7, 3, NGHTTP2_NV_FLAG_NONE};
    nghttp2_data_provider provider = {.source.ptr = x, .read_callback = on_read};
    c->scene->requests++;
    if (c->scene->never != NULL && strstr(x->path, c->scene->never) != NULL)
        return;
    x->watch = strstr(x->path, "watch=true") != NULL;
    x->ends = !x->watch;
    if (strstr(x->path, "sendInitialEvents") != NULL)
        buffer_puts(&x->out, LIST_END);
    else if (!x->watch)
        buffer_puts(&x->out, "{}");
    nghttp2_submit_response(c->session, x->id, &status, 1, &provider);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2_stream *x = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (x != NULL && request && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        answer(arg, x);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    (void)code, (void)arg;
    struct h2_stream *x = nghttp2_session_get_stream_user_data(session, id);
    if (x != NULL) {
        buffer_free(&x->out);
        x->used = x->watch = false;
    }
    return 0;
}

static void on_h2_bytes(struct bufferevent *stream, void *arg)
{
    struct h2_connection *c = arg;
    uint8_t bytes[16384];
    size_t got;
    while (!c->frozen && (got = bufferevent_read(stream, bytes, sizeof bytes)) > 0)
        nghttp2_session_mem_recv(c->session, bytes, got);
    if (c->frozen)
        c->ignored++;
    else
        nghttp2_session_send(c->session);
}

static void on_h2_event(struct bufferevent *stream, short what, void *arg)
{
    (void)stream;
    struct h2_connection *c = arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        c->frozen = true;
}

static void on_h2_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                         int length, void *arg)
{
    (void)listener, (void)from, (void)length;
    struct scene *s = arg;
    struct h2_connection *c = xcalloc(1, sizeof *c);
    nghttp2_session_callbacks *callbacks;
    c->scene = s;
    c->next = s->connections;
    s->connections = c;
    s->connection_count++;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_server_new(&c->session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    c->stream = bufferevent_openssl_socket_new(s->world.loop, fd, SSL_new(s->tls),
                                               BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(c->stream, on_h2_bytes, NULL, on_h2_event, c);
    bufferevent_enable(c->stream, EV_READ | EV_WRITE);
    nghttp2_settings_entry limit = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS};
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &limit, 1);
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                     const unsigned char *in, unsigned int in_length, void *arg)
{
    (void)ssl, (void)arg;
    static const unsigned char ours[] = "\x02h2";
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_length, ours, 3, in,
                                 in_length) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void never(struct server *server, struct exchange *x)
{
    (void)server, (void)x;
}

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    world_open(&s->world, never, s);
    struct identity *ca = identity_new(s->world.arena, "ca", NULL, NULL, 3600);
    s->tls = tls_server(identity_new(s->world.arena, "s", "IP:127.0.0.1", ca, 3600), NULL);
    SSL_CTX_set_alpn_select_cb(s->tls, choose_h2, NULL);
    s->listener = evconnlistener_new_bind(s->world.loop, on_h2_accept, s, LEV_OPT_CLOSE_ON_FREE, 16,
                                          (struct sockaddr *)&here, sizeof here);
    getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&here, &length);
    s->world.config.server =
        arena_printf(s->world.arena, "https://127.0.0.1:%d", ntohs(here.sin_port));
    s->world.config.ca_pem = ca->certificate_pem;
    kube_free(s->world.kube);
    world_client(&s->world);
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    kube_free(s->world.kube);
    s->world.kube = NULL;
    for (struct h2_connection *c = s->connections, *next; c != NULL; c = next) {
        next = c->next;
        for (int i = 0; i < STREAMS; i++)
            buffer_free(&c->streams[i].out);
        nghttp2_session_del(c->session);
        bufferevent_free(c->stream);
        free(c);
    }
    evconnlistener_free(s->listener);
    SSL_CTX_free(s->tls);
    world_close(&s->world);
    free(s);
    return 0;
}

static void on_done(void *arg, const cJSON *body, const struct error *err)
{
    (void)body;
    struct scene *s = arg;
    s->done++;
    s->failed += err->class < 0;
    if (err->class < 0)
        s->err = *err;
}

static void ask(struct scene *s, const char *path, int timeout_ms)
{
    struct kube_request request = {.path = path, .timeout_ms = timeout_ms};
    kube_call_start(s->world.kube, &request, on_done, s);
}

static void on_done_ask_again(void *arg, const cJSON *body, const struct error *err)
{
    on_done(arg, body, err);
    ask(arg, "/api/v1/pods/x", 60);
}

static void on_upsert(void *arg, const cJSON *object)
{
    (void)object;
    ((struct scene *)arg)->upserts++;
}

static void on_synced(void *arg)
{
    ((struct scene *)arg)->synced++;
}

static void on_trouble(void *arg, const struct error *err)
{
    struct scene *s = arg;
    s->troubles++;
    s->trouble = *err;
}

static struct kube_watch *watch(struct scene *s, const char *kind)
{
    const struct kube_watch_handlers handlers = {
        .upsert = on_upsert, .synced = on_synced, .trouble = on_trouble};
    const struct kube_watch_options options = {.kind = kube_kind_find("v1", kind)};
    return kube_watch_new(s->world.kube, &options, &handlers, s);
}

static void push_everywhere(struct h2_connection *c, const char *line)
{
    for (int i = 0; i < STREAMS; i++)
        if (c->streams[i].watch)
            push(&c->streams[i], line);
}

#define ADDED                                                                                      \
    "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"7\"}}}"

static void watches_and_calls_share_one_connection(void **state)
{
    struct scene *s = *state;
    struct kube_watch *pods = watch(s, "Pod"), *services = watch(s, "Service");
    for (int i = 0; i < 20; i++)
        ask(s, "/api/v1/pods/x", 0);
    run_until(s->world.loop, &s->done, 20);
    run_until(s->world.loop, &s->synced, 2);
    assert_int_equal(s->failed, 0);
    push_everywhere(s->connections, ADDED);
    run_until(s->world.loop, &s->upserts, 2);
    assert_int_equal(s->connection_count, 1);
    kube_watch_free(pods);
    kube_watch_free(services);
}

static void use_virtual_time(struct scene *s)
{
    s->now_ms = 1000000;
    virtual_clock_init(&s->clock, &s->now_ms);
    kube_set_clock(s->world.kube, &s->clock.clock);
}

static void pass_ms(struct scene *s, int64_t ms)
{
    s->now_ms += ms;
    fire_due(&s->clock);
}

static void a_slow_request_does_not_cost_the_others_their_connection(void **state)
{
    struct scene *s = *state;
    use_virtual_time(s);
    struct kube_watch *pods = watch(s, "Pod");
    run_until(s->world.loop, &s->synced, 1);
    s->never = "/slow";
    ask(s, "/api/v1/slow", 100);
    run_until(s->world.loop, &s->requests, 2);
    pass_ms(s, 50);
    push_everywhere(s->connections, ADDED);
    run_until(s->world.loop, &s->upserts, 1);
    pass_ms(s, 50);
    run_until(s->world.loop, &s->done, 1);
    assert_int_equal(s->err.class, ERR_TIMEOUT);
    ask(s, "/api/v1/quick", 0);
    run_until(s->world.loop, &s->done, 2);
    assert_int_equal(s->failed, 1);
    assert_int_equal(s->connection_count, 1);
    assert_int_equal(s->troubles, 0);
    /* Somebody who cannot wait to see whether it is the request or the connection. */
    const struct kube_request request = {.path = "/api/v1/quick", .apart = true};
    kube_call_start(s->world.kube, &request, on_done, s);
    run_until(s->world.loop, &s->done, 3);
    assert_int_equal(s->failed, 1);
    assert_int_equal(s->connection_count, 2);
    assert_int_equal(s->troubles, 0);
    kube_watch_free(pods);
}

static void a_connection_that_died_in_silence_is_not_used_again(void **state)
{
    struct scene *s = *state;
    use_virtual_time(s);
    struct kube_watch *pods = watch(s, "Pod");
    run_until(s->world.loop, &s->synced, 1);
    s->connections->frozen = true;
    pass_ms(s, 10);
    const struct kube_request request = {.path = "/api/v1/pods/x", .timeout_ms = 60};
    kube_call_start(s->world.kube, &request, on_done_ask_again, s);
    run_until(s->world.loop, &s->connections->ignored, 1);
    pass_ms(s, 60);
    run_until(s->world.loop, &s->done, 1);
    assert_int_equal(s->err.class, ERR_TIMEOUT);
    run_until(s->world.loop, &s->done, 2);
    assert_int_equal(s->failed, 1);
    assert_int_equal(s->connection_count, 2);
    /* The watch that sat on the dead one follows. */
    run_until(s->world.loop, &s->troubles, 1);
    pass_ms(s, quick.backoff_max_ms);
    run_until(s->world.loop, &s->requests, 3);
    push_everywhere(s->connections, ADDED);
    run_until(s->world.loop, &s->upserts, 1);
    assert_int_equal(s->connection_count, 2);
    kube_watch_free(pods);
}

static void a_watch_that_stalls_leaves_a_dead_connection(void **state)
{
    struct scene *s = *state;
    use_virtual_time(s);
    struct kube_watch *pods = watch(s, "Pod");
    run_until(s->world.loop, &s->synced, 1);
    s->connections->frozen = true;
    pass_ms(s, quick.stall_ms);
    while (s->requests < 2) {
        run_for_ms(s->world.loop, 1);
        pass_ms(s, 1);
    }
    push_everywhere(s->connections, ADDED);
    run_until(s->world.loop, &s->upserts, 1);
    assert_int_equal(s->connection_count, 2);
    kube_watch_free(pods);
}

static void a_server_that_says_goodbye_is_left_for_a_new_connection(void **state)
{
    struct scene *s = *state;
    struct kube_watch *pods = watch(s, "Pod");
    run_until(s->world.loop, &s->synced, 1);
    struct h2_connection *old = s->connections;
    nghttp2_submit_goaway(old->session, NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR, NULL, 0);
    nghttp2_session_send(old->session);
    run_for_ms(s->world.loop, 10);
    for (int i = 0; i < 5; i++)
        ask(s, "/api/v1/pods/x", 3000);
    run_until(s->world.loop, &s->done, 5);
    assert_int_equal(s->failed, 0);
    /* libcurl before 8 opens more of them than it needs to. */
    bool old_curl = curl_version_info(CURLVERSION_NOW)->version_num < 0x080000;
    assert_in_range(s->connection_count, 2, old_curl ? 7 : 3);
    kube_watch_free(pods);
}

static void a_cancelled_watch_leaves_the_connection_to_the_others(void **state)
{
    struct scene *s = *state;
    struct kube_watch *pods = watch(s, "Pod"), *services = watch(s, "Service");
    run_until(s->world.loop, &s->synced, 2);
    kube_watch_free(pods);
    ask(s, "/api/v1/pods/x", 0);
    run_until(s->world.loop, &s->done, 1);
    push_everywhere(s->connections, ADDED);
    run_until(s->world.loop, &s->upserts, 1);
    assert_int_equal(s->connection_count, 1);
    assert_int_equal(s->troubles, 0);
    kube_watch_free(services);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(watches_and_calls_share_one_connection),
        TEST(a_slow_request_does_not_cost_the_others_their_connection),
        TEST(a_connection_that_died_in_silence_is_not_used_again),
        TEST(a_watch_that_stalls_leaves_a_dead_connection),
        TEST(a_server_that_says_goodbye_is_left_for_a_new_connection),
        TEST(a_cancelled_watch_leaves_the_connection_to_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
