/*
 * The bodies of request and answer. libcurl calls this file while it works; the caller's own
 * callbacks run later, from the pump, so that they may do anything. In between the bytes are in
 * `in` and `out`, and libcurl pauses the direction that is not ready for more.
 */
#include "http/internal.h"

#include <string.h>

size_t http_body_limit(const struct http_transfer *transfer)
{
    return http_status(transfer) >= 300 ? HTTP_REFUSAL_MAX_BYTES
                                        : transfer->request.answer_max_bytes;
}

/* A refusal (300 or more) is never streamed: data() gets answers only. */
static size_t on_answer(char *bytes, size_t one, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    size_t length = one * count;
    bool streamed = t->request.data != NULL && http_status(t) < 300;
    if (t->paused)
        return CURL_WRITEFUNC_PAUSE; /* libcurl keeps this piece and calls again with it */
    t->moved_ms = timer_now_ms(t->http->clock);
    if (t->in.length + length > http_body_limit(t)) {
        t->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buffer_append(&t->in, bytes, length);
    t->fresh = t->fresh || streamed;
    return length;
}

static size_t on_wanted(char *room, size_t one, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    size_t size = one * count, length = t->out.length - t->sent;
    t->moved_ms = timer_now_ms(t->http->clock);
    if (length == 0 && t->supplied_all)
        return 0;
    if (length == 0) {
        t->starved = true;
        return CURL_READFUNC_PAUSE;
    }
    length = length < size ? length : size;
    memcpy(room, t->out.data + t->sent, length);
    t->sent += length;
    return length;
}

void http_body_set(struct http_transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    if (t->request.supply != NULL) {
        curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_wanted);
        curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
        curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->request.length);
    } else if (t->request.body != NULL) {
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request.length);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->request.body);
    }
}

void http_body_set_pauses(struct http_transfer *t)
{
    if (t->easy == NULL || t->state != HTTP_RUNNING)
        return;
    /* This may call on_answer() at once, with what libcurl kept. */
    CURLcode code =
        curl_easy_pause(t->easy, (t->paused ? CURLPAUSE_RECV : CURLPAUSE_RECV_CONT) |
                                     (t->starved ? CURLPAUSE_SEND : CURLPAUSE_SEND_CONT));
    struct error err;
    /* Without a connection there is nothing to pause: there is none yet, or the answer has
     * ended. */
    if (code != CURLE_OK && code != CURLE_BAD_FUNCTION_ARGUMENT)
        http_fail(t, http_failure(t, code, &err), &err);
}

/* libcurl would wait for bytes that never come, or omit some. */
static bool length_is_wrong(const struct http_transfer *t)
{
    int64_t promised = t->request.length;
    return promised >= 0 && (t->supplied > promised || (t->supplied_all && t->supplied < promised));
}

static void take_supply(struct http_transfer *t, int more)
{
    struct error err;
    t->supplied += (int64_t)t->out.length;
    t->supplied_all = more == HTTP_LAST;
    t->later = !t->supplied_all && t->out.length == 0;
    if (length_is_wrong(t)) {
        err_set(&err, ERR_INTERNAL, "a request's body of %lld bytes has %s%lld",
                (long long)t->request.length, t->supplied_all ? "only " : "at least ",
                (long long)t->supplied);
        http_fail(t, HTTP_BODY_UNAVAILABLE, &err);
    } else if (!t->later) {
        t->starved = false;
        http_body_set_pauses(t);
    }
}

bool http_body_feed(struct http_transfer *t)
{
    struct error err = {0};
    if (t->state != HTTP_RUNNING || !t->starved || t->later)
        return false;
    t->out.length = t->sent = 0;
    http_enter(t);
    int more = t->request.supply(t->request.arg, &t->out, &err);
    if (!http_leave(t))
        return true;
    t->moved_ms = timer_now_ms(t->http->clock);
    if (more < 0)
        http_fail(t, HTTP_BODY_UNAVAILABLE, &err);
    else
        take_supply(t, more);
    return true;
}

void http_supply(struct http_transfer *t)
{
    t->later = false;
    t->moved_ms = timer_now_ms(t->http->clock);
    http_pump_soon(t->http);
}

void http_pause(struct http_transfer *t)
{
    if (t->paused)
        return;
    t->paused = true;
    http_body_set_pauses(t);
}

void http_resume(struct http_transfer *t)
{
    if (!t->paused)
        return;
    t->paused = false;
    t->moved_ms = timer_now_ms(t->http->clock);
    t->fresh = t->fresh || t->in.length > 0;
    http_body_set_pauses(t);
    http_pump_soon(t->http);
}
