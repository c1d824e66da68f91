/* Bodies of any bytes both ways, in pieces, and every way in which a transfer can end. */
#include "loop_time.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "base/arena.h"
#include "http/http.h"

enum { LARGE = 60 * 50000, PIECE = 50000 };

/* What the server does once a request is there; or, with `early`, once its head is. */
enum script {
    ECHO,             /* the request's body comes back */
    POUR,             /* LARGE bytes */
    TRICKLE,          /* three bytes of ten, and silence */
    CUT,              /* three bytes of ten, and the connection is closed */
    SILENCE,          /* not even a status */
    REFUSE,           /* 403 with a text */
    REFUSE_AT_LENGTH, /* 403 with LARGE bytes */
    SLURP_NOT,        /* reads no more of the body than comes with the head */
};

struct scene {
    struct event_base *loop;
    struct arena *arena;
    struct evconnlistener *listener;
    struct bufferevent *stream; /* the last connection */
    struct bufferevent *streams[16];
    int stream_count, requests;
    enum script script;
    char *pattern; /* LARGE bytes of every value */

    struct http *http;
    struct http_transfer *transfer, *other;
    char *url;
    int64_t now_ms;
    struct virtual_clock clock;

    /* supply(): pieces of the pattern */
    size_t to_send, sent;
    int supplies;
    bool later, fails, cancels_in_supply, lies_at_end;

    /* data() */
    struct buffer got;
    int pieces, pause_at_piece;
    bool cancels_in_data, leaves;
    char etag[32];

    /* done() */
    int done;
    bool cancels_in_done, cancels_other_in_done, asks_again;
    struct http_end end;
    struct error err;
    struct buffer body;
};

static void fill_pattern(char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(i * 7 + i / 251); /* a NUL about every 256 bytes */
}

static void put_head(struct evbuffer *out, int status, size_t length)
{
    evbuffer_add_printf(out,
                        "HTTP/1.1 %d x\r\nETag: \"first\"\r\nX-Two: a\r\nX-Two: b\r\n"
                        "Retry-After: 7\r\nContent-Length: %zu\r\n\r\n",
                        status, length);
}

static void on_written(struct bufferevent *stream, void *arg)
{
    (void)arg;
    shutdown(bufferevent_getfd(stream), SHUT_RDWR);
}

static void answer(struct scene *s, struct bufferevent *stream, bool head, const char *body,
                   size_t length)
{
    struct evbuffer *out = bufferevent_get_output(stream);
    s->requests++;
    switch (s->script) {
    case ECHO:
        put_head(out, 200, length);
        if (!head)
            evbuffer_add(out, body, length);
        break;
    case POUR:
    case REFUSE_AT_LENGTH:
        put_head(out, s->script == POUR ? 200 : 403, LARGE);
        evbuffer_add(out, s->pattern, LARGE);
        break;
    case TRICKLE:
    case CUT:
        put_head(out, 200, 10);
        evbuffer_add(out, "a\0b", 3);
        if (s->script == CUT)
            bufferevent_setcb(stream, NULL, on_written, NULL, s);
        break;
    case REFUSE:
        put_head(out, 403, 7);
        evbuffer_add(out, "go\0away", 7);
        break;
    case SILENCE:
    case SLURP_NOT:
        break;
    }
}

/* Takes the chunks apart, from `bytes` on; the length of the body, or -1 while they are not all
 * there. */
static ssize_t join_chunks(const char *bytes, size_t there, char *body, size_t *ret_used)
{
    size_t used = 0, length = 0;
    for (size_t chunk = 1; chunk > 0;) {
        const char *line = memmem(bytes + used, there - used, "\r\n", 2);
        if (line == NULL)
            return -1;
        chunk = strtoul(bytes + used, NULL, 16);
        used = (size_t)(line - bytes) + 2;
        if (used + chunk + 2 > there)
            return -1;
        memcpy(body + length, bytes + used, chunk);
        length += chunk, used += chunk + 2;
    }
    *ret_used = used;
    return (ssize_t)length;
}

static bool ends_with(struct evbuffer *in, const char *end)
{
    char last[8];
    size_t length = strlen(end);
    struct evbuffer_ptr from;
    if (evbuffer_get_length(in) < length)
        return false;
    evbuffer_ptr_set(in, &from, evbuffer_get_length(in) - length, EVBUFFER_PTR_SET);
    evbuffer_copyout_from(in, &from, last, length);
    return memcmp(last, end, length) == 0;
}

/* The body of a request that is whole, or NULL; its bytes are taken from `in`. */
static char *take_body(struct scene *s, struct evbuffer *in, size_t *ret_length, bool *ret_head)
{
    struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    if (end.pos < 0)
        return NULL;
    size_t head_length = (size_t)end.pos + 4, there = evbuffer_get_length(in) - head_length;
    size_t used = 0;
    char *head = arena_strndup(s->arena, (char *)evbuffer_pullup(in, end.pos + 4), head_length);
    const char *length_line = strcasestr(head, "\r\ncontent-length:");
    bool chunked = strcasestr(head, "\r\ntransfer-encoding: chunked") != NULL;
    ssize_t length = length_line ? (ssize_t)strtoul(length_line + 17, NULL, 10) : 0;
    if (chunked ? !ends_with(in, "0\r\n\r\n") : there < (size_t)length)
        return NULL;
    const char *bytes = (char *)evbuffer_pullup(in, -1) + head_length;
    char *body = arena_alloc(s->arena, there + 1);
    if (chunked)
        length = join_chunks(bytes, there, body, &used);
    else
        memcpy(body, bytes, used = (size_t)length);
    if (length < 0)
        return NULL;
    evbuffer_drain(in, head_length + used);
    *ret_length = (size_t)length;
    *ret_head = strncmp(head, "HEAD ", 5) == 0;
    return body;
}

static void on_bytes(struct bufferevent *stream, void *arg)
{
    struct scene *s = arg;
    size_t length;
    bool head;
    if (s->script == SLURP_NOT) {
        bufferevent_disable(stream, EV_READ);
        return;
    }
    char *body = take_body(s, bufferevent_get_input(stream), &length, &head);
    if (body != NULL)
        answer(s, stream, head, body, length);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int from_length, void *arg)
{
    (void)listener, (void)from, (void)from_length;
    struct scene *s = arg;
    assert_true(s->stream_count < 16);
    s->stream = bufferevent_socket_new(s->loop, fd, BEV_OPT_CLOSE_ON_FREE);
    s->streams[s->stream_count++] = s->stream;
    bufferevent_setcb(s->stream, on_bytes, NULL, NULL, s);
    bufferevent_enable(s->stream, EV_READ | EV_WRITE);
}

static int open_scene(void **state)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    struct error err;
    struct scene *s = calloc(1, sizeof *s);
    signal(SIGPIPE, SIG_IGN); /* peers leave while they are written to */
    s->loop = event_base_new();
    s->arena = arena_new();
    s->pattern = arena_alloc(s->arena, LARGE);
    fill_pattern(s->pattern, LARGE);
    s->listener =
        evconnlistener_new_bind(s->loop, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE,
                                16, (struct sockaddr *)&here, sizeof here);
    getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&here, &length);
    s->url = arena_printf(s->arena, "http://127.0.0.1:%d/a?b=c", ntohs(here.sin_port));
    s->now_ms = 1000000;
    virtual_clock_init(&s->clock, &s->now_ms);
    assert_int_equal(http_new(s->loop, "test/1", &s->http, &err), 0);
    http_set_clock(s->http, &s->clock.clock);
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    http_free(s->http);
    for (int i = 0; i < s->stream_count; i++)
        bufferevent_free(s->streams[i]);
    evconnlistener_free(s->listener);
    event_base_free(s->loop);
    buffer_free(&s->got);
    buffer_free(&s->body);
    arena_free(s->arena);
    free(s);
    return 0;
}

static int supply(void *arg, struct buffer *out, struct error *err)
{
    struct scene *s = arg;
    s->supplies++;
    assert_int_equal(out->length, 0);
    if (s->cancels_in_supply) {
        http_cancel(s->transfer);
        buffer_append(out, "unused", 6);
        return HTTP_MORE;
    }
    if (s->fails && s->sent > 0)
        return err_set(err, ERR_IO, "the disk is gone");
    if (s->later && s->supplies == 2)
        return HTTP_LATER;
    size_t left = s->to_send - s->sent, length = left < PIECE ? left : PIECE;
    buffer_append(out, s->pattern + s->sent % LARGE, length);
    s->sent += length;
    return s->sent < s->to_send ? HTTP_MORE : HTTP_LAST;
}

static void data(void *arg, struct buffer *in)
{
    struct scene *s = arg;
    const char *etag = http_header(s->transfer, "etag");
    s->pieces++;
    assert_int_equal(http_status(s->transfer), 200);
    snprintf(s->etag, sizeof s->etag, "%s", etag ? etag : "none");
    if (s->cancels_in_data) {
        http_cancel(s->transfer);
        s->transfer = NULL;
        return;
    }
    if (s->leaves)
        return;
    buffer_append(&s->got, in->data, in->length);
    buffer_consume(in, in->length);
    if (s->pieces == s->pause_at_piece)
        http_pause(s->transfer);
}

static void start(struct scene *s, struct http_request *request);

static void done(void *arg, const struct http_end *end)
{
    struct scene *s = arg;
    s->done++;
    s->end = *end;
    s->err = *end->err;
    s->body.length = 0;
    buffer_append(&s->body, end->body->data ? end->body->data : "", end->body->length);
    if (s->cancels_in_done)
        http_cancel(s->transfer);
    if (s->cancels_other_in_done)
        http_cancel(s->other);
    if (s->asks_again) {
        s->asks_again = false;
        start(s, &(struct http_request){.method = "GET"});
    }
}

static void start(struct scene *s, struct http_request *request)
{
    int before = s->done;
    request->url = request->url ? request->url : s->url;
    request->answer_max_bytes = request->answer_max_bytes ? request->answer_max_bytes : 2 * LARGE;
    request->done = done;
    request->arg = s;
    s->transfer = http_start(s->http, request);
    assert_int_equal(s->done, before);
}

static void finish(struct scene *s, enum http_trouble expected)
{
    run_until(s->loop, &s->done, 1);
    if (s->end.trouble != expected)
        fail_msg("trouble %d: %s", s->end.trouble, s->err.text);
    assert_int_equal(s->end.status != 0, expected == HTTP_ANSWERED);
    assert_int_equal(s->err.class < 0, expected != HTTP_ANSWERED);
}

static void pass_ms(struct scene *s, int64_t ms)
{
    s->now_ms += ms;
    fire_due(&s->clock);
    run_for_ms(s->loop, 10);
}

static void a_body_of_any_bytes_comes_back_whole(void **state)
{
    struct scene *s = *state;
    start(s, &(struct http_request){.method = "POST", .body = s->pattern, .length = LARGE});
    finish(s, HTTP_ANSWERED);
    assert_int_equal(s->end.status, 200);
    assert_int_equal(s->end.retry_after_s, 7);
    assert_int_equal(s->body.length, LARGE);
    assert_memory_equal(s->body.data, s->pattern, LARGE);
}

static void a_body_is_streamed_both_ways(void **state)
{
    struct scene *s = *state;
    const int64_t lengths[] = {LARGE, HTTP_LENGTH_UNKNOWN};
    for (size_t i = 0; i < 2; i++) {
        s->to_send = LARGE;
        s->sent = s->got.length = 0;
        s->done = s->supplies = s->pieces = 0;
        start(s, &(struct http_request){
                     .method = "PUT", .supply = supply, .length = lengths[i], .data = data});
        finish(s, HTTP_ANSWERED);
        assert_true(s->supplies >= LARGE / PIECE);
        assert_true(s->pieces > 1);
        assert_int_equal(s->body.length, 0);
        assert_int_equal(s->got.length, LARGE);
        assert_memory_equal(s->got.data, s->pattern, LARGE);
    }
    assert_int_equal(s->stream_count, 1); /* the connection serves again */
}

static void an_empty_stream_is_an_empty_body(void **state)
{
    struct scene *s = *state;
    for (int64_t length = HTTP_LENGTH_UNKNOWN; length <= 0; length++) {
        s->done = 0;
        start(s, &(struct http_request){.method = "PUT", .supply = supply, .length = length});
        finish(s, HTTP_ANSWERED);
        assert_int_equal(s->body.length, 0);
    }
}

static void a_body_that_is_not_there_yet_is_waited_for(void **state)
{
    struct scene *s = *state;
    s->later = true;
    s->to_send = LARGE;
    start(s, &(struct http_request){
                 .method = "PUT", .supply = supply, .length = LARGE, .stall_ms = 100});
    run_until(s->loop, &s->supplies, 2);
    for (int i = 0; i < 5; i++)
        pass_ms(s, 100); /* nobody can say that the server stalls */
    assert_int_equal(s->supplies, 2);
    assert_int_equal(s->done, 0);
    http_supply(s->transfer);
    finish(s, HTTP_ANSWERED);
    assert_memory_equal(s->body.data, s->pattern, LARGE);
}

static void a_body_of_another_length_than_promised_fails(void **state)
{
    struct scene *s = *state;
    const int64_t promised[] = {LARGE + 1, LARGE - 1, 0};
    for (size_t i = 0; i < 3; i++) {
        s->done = 0;
        s->sent = 0;
        s->to_send = LARGE;
        start(s, &(struct http_request){.method = "PUT", .supply = supply, .length = promised[i]});
        if (promised[i] == 0) /* libcurl does not even ask */
            finish(s, HTTP_ANSWERED);
        else
            finish(s, HTTP_BODY_UNAVAILABLE);
    }
}

static void a_body_that_cannot_be_had_fails_in_its_own_words(void **state)
{
    struct scene *s = *state;
    s->fails = true;
    s->to_send = LARGE;
    start(s, &(struct http_request){.method = "PUT", .supply = supply, .length = LARGE});
    finish(s, HTTP_BODY_UNAVAILABLE);
    assert_int_equal(s->err.class, ERR_IO);
    assert_string_equal(s->err.text, "the disk is gone");
}

static void a_paused_answer_waits_at_the_server(void **state)
{
    struct scene *s = *state;
    s->script = POUR;
    s->pause_at_piece = 1;
    start(s, &(struct http_request){.method = "GET", .data = data, .stall_ms = 100});
    run_until(s->loop, &s->pieces, 1);
    size_t held = s->got.length;
    for (int i = 0; i < 5; i++)
        pass_ms(s, 100);
    assert_int_equal(s->pieces, 1);
    assert_int_equal(s->got.length, held);
    assert_int_equal(s->done, 0);
    /* The server could not get rid of it: the kernel's buffers are full. */
    assert_true(evbuffer_get_length(bufferevent_get_output(s->stream)) > 0 || held == LARGE);
    s->pause_at_piece = 3; /* and again */
    http_resume(s->transfer);
    run_until(s->loop, &s->pieces, 3);
    run_for_ms(s->loop, 20);
    assert_int_equal(s->pieces, 3);
    http_resume(s->transfer);
    finish(s, HTTP_ANSWERED);
    assert_int_equal(s->got.length, LARGE);
    assert_memory_equal(s->got.data, s->pattern, LARGE);
}

static void the_end_waits_for_a_paused_reader(void **state)
{
    struct scene *s = *state;
    s->pause_at_piece = 1;
    start(s, &(struct http_request){.method = "PUT",
                                    .body = "x\0y",
                                    .length = 3,
                                    .data = data,
                                    .timeout_ms = 1000,
                                    .stall_ms = 100});
    run_until(s->loop, &s->pieces, 1);
    run_for_ms(s->loop, 20);
    assert_int_equal(s->done, 0);
    http_resume(s->transfer);
    finish(s, HTTP_ANSWERED);
    assert_int_equal(s->got.length, 3);
}

static void a_paused_transfer_can_be_cancelled(void **state)
{
    struct scene *s = *state;
    s->script = POUR;
    s->pause_at_piece = 1;
    start(s, &(struct http_request){.method = "GET", .data = data});
    run_until(s->loop, &s->pieces, 1);
    http_cancel(s->transfer);
    run_for_ms(s->loop, 20);
    assert_int_equal(s->done, 0);
}

static void an_answer_that_stalls_is_given_up(void **state)
{
    struct scene *s = *state;
    s->script = TRICKLE;
    start(s, &(struct http_request){.method = "GET", .data = data, .stall_ms = 100});
    run_until(s->loop, &s->pieces, 1);
    pass_ms(s, 99);
    assert_int_equal(s->done, 0);
    pass_ms(s, 1);
    finish(s, HTTP_STALLED);
    assert_int_equal(s->err.class, ERR_TIMEOUT);
    assert_int_equal(s->got.length, 3);
}

static void a_server_that_takes_nothing_stalls_as_well(void **state)
{
    struct scene *s = *state;
    s->script = SLURP_NOT;
    s->to_send = 64 * (size_t)LARGE;
    start(s,
          &(struct http_request){
              .method = "PUT", .supply = supply, .length = 64 * (int64_t)LARGE, .stall_ms = 100});
    run_until(s->loop, &s->supplies, 2);
    for (int last = -1; last != s->supplies;) {
        last = s->supplies;
        run_for_ms(s->loop, 50);
    }
    assert_true(s->sent < s->to_send);
    pass_ms(s, 100);
    finish(s, HTTP_STALLED);
}

static void the_whole_has_a_deadline(void **state)
{
    struct scene *s = *state;
    s->script = SILENCE;
    start(s, &(struct http_request){.method = "GET", .timeout_ms = 500});
    run_until(s->loop, &s->requests, 1);
    pass_ms(s, 499);
    assert_int_equal(s->done, 0);
    s->asks_again = true; /* and not over the connection that fell silent */
    pass_ms(s, 1);
    finish(s, HTTP_DEADLINE);
    assert_int_equal(s->err.class, ERR_TIMEOUT);
    run_until(s->loop, &s->requests, 2);
    assert_int_equal(s->stream_count, 2);
}

static void an_answer_that_is_cut_off_is_not_taken_for_whole(void **state)
{
    struct scene *s = *state;
    s->script = CUT;
    start(s, &(struct http_request){.method = "GET", .data = data});
    finish(s, HTTP_CUT_OFF);
    assert_int_equal(s->err.class, ERR_TRANSPORT);
    assert_int_equal(s->got.length, 3);
    assert_memory_equal(s->got.data, "a\0b", 3);
}

static void a_server_that_is_not_there_is_unreachable(void **state)
{
    struct scene *s = *state;
    evconnlistener_disable(s->listener);
    int fd = dup(evconnlistener_get_fd(s->listener));
    shutdown(fd, SHUT_RDWR);
    close(fd);
    start(s, &(struct http_request){.method = "GET"});
    finish(s, HTTP_UNREACHABLE);
    assert_int_equal(s->err.class, ERR_TRANSPORT);
}

static void a_refusal_is_handed_over_whole(void **state)
{
    struct scene *s = *state;
    s->script = REFUSE;
    start(s, &(struct http_request){.method = "GET", .data = data});
    finish(s, HTTP_ANSWERED);
    assert_int_equal(s->end.status, 403);
    assert_int_equal(http_status_class(403), ERR_FORBIDDEN);
    assert_int_equal(s->pieces, 0);
    assert_int_equal(s->body.length, 7);
    assert_memory_equal(s->body.data, "go\0away", 7);
}

static void an_answer_over_its_limit_fails(void **state)
{
    struct scene *s = *state;
    s->script = POUR;
    for (int streamed = 0; streamed < 2; streamed++) {
        s->done = 0;
        s->leaves = true;
        start(s, &(struct http_request){
                     .method = "GET", .data = streamed ? data : NULL, .answer_max_bytes = 100000});
        finish(s, HTTP_TOO_LARGE);
    }
}

static void a_refusal_over_its_own_limit_names_that_one(void **state)
{
    struct scene *s = *state;
    s->script = REFUSE_AT_LENGTH;
    start(s, &(struct http_request){.method = "GET", .answer_max_bytes = 100000000});
    finish(s, HTTP_TOO_LARGE);
    assert_string_equal(s->err.text, "the answer is over the limit of 262144 bytes");
}

static void what_a_reader_leaves_is_handed_to_done(void **state)
{
    struct scene *s = *state;
    s->leaves = true;
    start(s, &(struct http_request){.method = "PUT", .body = "x\0y", .length = 3, .data = data});
    finish(s, HTTP_ANSWERED);
    assert_int_equal(s->body.length, 3);
    assert_memory_equal(s->body.data, "x\0y", 3);
}

static void headers_can_be_asked_for(void **state)
{
    struct scene *s = *state;
    start(s, &(struct http_request){.method = "PUT", .body = "x", .length = 1, .data = data});
    finish(s, HTTP_ANSWERED);
    assert_string_equal(s->etag, "\"first\"");
}

static void note_two(void *arg, const struct http_end *end)
{
    struct scene *s = arg;
    s->done++;
    assert_int_equal(end->status, 200);
    assert_int_equal(end->body->length, 0);
    assert_string_equal(http_header(s->transfer, "X-TWO"), "b");
    assert_null(http_header(s->transfer, "x-three"));
    assert_string_equal(http_header(s->transfer, "Content-Length"), "0");
}

static void a_head_has_headers_only(void **state)
{
    struct scene *s = *state;
    s->transfer = http_start(
        s->http,
        &(struct http_request){
            .method = "HEAD", .url = s->url, .done = note_two, .arg = s, .answer_max_bytes = 1});
    run_until(s->loop, &s->done, 1);
}

static void a_callback_may_cancel_its_own_transfer(void **state)
{
    struct scene *s = *state;
    s->cancels_in_data = true;
    s->script = POUR;
    start(s, &(struct http_request){.method = "GET", .data = data});
    run_until(s->loop, &s->pieces, 1);
    s->cancels_in_supply = true;
    s->to_send = LARGE;
    start(s, &(struct http_request){.method = "PUT", .supply = supply, .length = LARGE});
    run_until(s->loop, &s->supplies, 1);
    run_for_ms(s->loop, 20);
    assert_int_equal(s->pieces, 1);
    assert_int_equal(s->supplies, 1);
    assert_int_equal(s->done, 0);
    s->script = ECHO;
    s->cancels_in_done = true;
    start(s, &(struct http_request){.method = "GET"});
    finish(s, HTTP_ANSWERED);
    assert_int_equal(s->done, 1);
}

static void a_callback_may_cancel_another_and_start_one(void **state)
{
    struct scene *s = *state;
    s->cancels_other_in_done = s->asks_again = true;
    s->script = SILENCE;
    start(s, &(struct http_request){.method = "GET"});
    s->other = s->transfer;
    run_until(s->loop, &s->requests, 1);
    s->script = ECHO;
    start(s, &(struct http_request){.method = "GET"});
    run_until(s->loop, &s->done, 1);
    s->cancels_other_in_done = false;
    run_until(s->loop, &s->done, 2);
    run_for_ms(s->loop, 20);
    assert_int_equal(s->done, 2);
}

static void freeing_the_client_ends_what_is_under_way(void **state)
{
    struct scene *s = *state;
    s->script = POUR;
    s->pause_at_piece = 1;
    start(s, &(struct http_request){.method = "GET", .data = data, .timeout_ms = 500});
    run_until(s->loop, &s->pieces, 1);
    http_free(s->http);
    s->http = NULL;
    run_for_ms(s->loop, 20);
    assert_int_equal(s->done, 0);
    assert_int_equal(next_due_ms(&s->clock), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_body_of_any_bytes_comes_back_whole),
        TEST(a_body_is_streamed_both_ways),
        TEST(an_empty_stream_is_an_empty_body),
        TEST(a_body_that_is_not_there_yet_is_waited_for),
        TEST(a_body_of_another_length_than_promised_fails),
        TEST(a_body_that_cannot_be_had_fails_in_its_own_words),
        TEST(a_paused_answer_waits_at_the_server),
        TEST(the_end_waits_for_a_paused_reader),
        TEST(a_paused_transfer_can_be_cancelled),
        TEST(an_answer_that_stalls_is_given_up),
        TEST(a_server_that_takes_nothing_stalls_as_well),
        TEST(the_whole_has_a_deadline),
        TEST(an_answer_that_is_cut_off_is_not_taken_for_whole),
        TEST(a_server_that_is_not_there_is_unreachable),
        TEST(a_refusal_is_handed_over_whole),
        TEST(an_answer_over_its_limit_fails),
        TEST(a_refusal_over_its_own_limit_names_that_one),
        TEST(what_a_reader_leaves_is_handed_to_done),
        TEST(headers_can_be_asked_for),
        TEST(a_head_has_headers_only),
        TEST(a_callback_may_cancel_its_own_transfer),
        TEST(a_callback_may_cancel_another_and_start_one),
        TEST(freeing_the_client_ends_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
