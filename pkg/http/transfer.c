/* The life of a transfer: start, deadlines, handing out, end. */
#include "http/internal.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { TRIM_AFTER = 16 };

static int64_t now_ms(const struct http_transfer *t)
{
    return timer_now_ms(t->http->clock);
}

int http_status(const struct http_transfer *t)
{
    long status = 0;
    if (t->easy != NULL)
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

const char *http_header(const struct http_transfer *t, const char *name)
{
    struct curl_header *header;
    if (t->easy == NULL ||
        curl_easy_header(t->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    if (header->index + 1 < header->amount)
        (void)curl_easy_header(t->easy, name, header->amount - 1, CURLH_HEADER, -1, &header);
    return header->value;
}

/* After this, neither libcurl nor a timer calls for it; its answer can still be read. */
static void detach(struct http_transfer *t)
{
    struct http *http = t->http;
    TAILQ_REMOVE(&http->transfers, t, link);
    timer_free(http->clock, t->deadline);
    timer_free(http->clock, t->stall);
    t->deadline = t->stall = NULL;
    if (t->easy != NULL)
        curl_multi_remove_handle(http->multi, t->easy);
}

/* Frees libcurl's part; wipes the headers, which may hold credentials. */
static void discard(struct http_transfer *t)
{
    struct http *http = t->http;
    for (struct curl_slist *line = t->headers; line != NULL; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    if (t->easy != NULL) {
        curl_easy_reset(t->easy);
        if (http->idle_count < HTTP_IDLE_HANDLES)
            http->idle[http->idle_count++] = t->easy;
        else
            curl_easy_cleanup(t->easy);
    }
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->connect_to);
    buffer_free(&t->in);
    buffer_free(&t->out);
    free(t);
}

void http_enter(struct http_transfer *t)
{
    t->busy++;
}

bool http_leave(struct http_transfer *t)
{
    bool dead = t->dead;
    if (--t->busy == 0 && dead)
        discard(t);
    return !dead;
}

void http_cancel(struct http_transfer *t)
{
    if (t == NULL || t->dead)
        return;
    t->dead = true;
    detach(t);
    if (t->busy == 0)
        discard(t);
}

static void finish(struct http_transfer *t, const struct http_end *end)
{
    t->http->ended_since_trim++;
    t->dead = true;
    detach(t);
    t->busy++;
    t->request.done(t->request.arg, end);
    (void)http_leave(t);
}

static void finish_failed(struct http_transfer *t, enum http_trouble trouble,
                          const struct error *err)
{
    const struct http_end end = {.trouble = trouble, .body = &t->in, .err = err};
    finish(t, &end);
}

/* For a transfer that libcurl has ended. */
static void finish_ended(struct http_transfer *t)
{
    struct error err = {0};
    curl_off_t retry_after_s = 0;
    if (t->code != CURLE_OK) {
        enum http_trouble trouble = http_failure(t, t->code, &err);
        finish_failed(t, trouble, &err);
        return;
    }
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    const struct http_end end = {
        .status = http_status(t), .retry_after_s = (int)retry_after_s, .body = &t->in, .err = &err};
    finish(t, &end);
}

void http_fail(struct http_transfer *t, enum http_trouble trouble, const struct error *err)
{
    t->state = HTTP_FAILED;
    t->trouble = trouble;
    t->failure = *err;
    http_pump_soon(t->http);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct http_transfer *t = arg;
    struct error err;
    err_set(&err, ERR_TIMEOUT, "no complete answer within %d ms", t->request.timeout_ms);
    if (t->easy != NULL)
        http_multi_cut_silent(t->http, t->easy, t->started_ms);
    finish_failed(t, HTTP_DEADLINE, &err);
}

/* The timer checks whether anything moved lately; this way it need not be reset for each byte. */
static void on_stall(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct http_transfer *t = arg;
    struct error err;
    if (t->paused || t->later)
        t->moved_ms = now_ms(t); /* the other side waits for us */
    int64_t left_ms = t->moved_ms + t->request.stall_ms - now_ms(t);
    if (left_ms > 0) {
        timer_set(t->http->clock, t->stall, left_ms);
        return;
    }
    err_set(&err, ERR_TIMEOUT, "not one byte moved for %d ms", t->request.stall_ms);
    if (t->easy != NULL)
        http_multi_cut_silent(t->http, t->easy, t->moved_ms + 1);
    finish_failed(t, HTTP_STALLED, &err);
}

static struct event *timer_of(struct http_transfer *t, int ms, event_callback_fn callback)
{
    if (ms <= 0)
        return NULL;
    struct event *timer = evtimer_new(t->http->loop, callback, t);
    timer_set(t->http->clock, timer, ms);
    return timer;
}

static void attach(struct http_transfer *t)
{
    struct http *http = t->http;
    struct error err;
    CURLMcode code = CURLM_OUT_OF_MEMORY;
    t->easy = http->idle_count > 0 ? http->idle[--http->idle_count] : curl_easy_init();
    if (t->easy != NULL) {
        http_easy_set(t);
        code = curl_multi_add_handle(http->multi, t->easy);
    }
    if (code == CURLM_OK)
        return;
    err_set(&err, ERR_INTERNAL, "libcurl cannot start a request: %s", curl_multi_strerror(code));
    http_fail(t, HTTP_NOT_STARTED, &err);
}

struct http_transfer *http_start(struct http *http, const struct http_request *request)
{
    struct http_transfer *t = xcalloc(1, sizeof *t);
    t->http = http;
    t->number = ++http->started;
    t->request = *request;
    t->started_ms = t->moved_ms = now_ms(t);
    t->deadline = timer_of(t, request->timeout_ms, on_deadline);
    t->stall = timer_of(t, request->stall_ms, on_stall);
    TAILQ_INSERT_TAIL(&http->transfers, t, link);
    attach(t);
    /* They belong to the caller, and libcurl has copies: they must not be used any more. */
    t->request.url = t->request.connect_to = t->request.proxy = NULL;
    t->request.headers = NULL;
    t->request.tls = NULL;
    return t;
}

static void hand_out(struct http_transfer *t)
{
    t->fresh = false;
    http_enter(t);
    t->request.data(t->request.arg, &t->in);
    (void)http_leave(t);
}

/* Does at most one thing for it, because a callback may cancel any transfer. False: nothing to
 * do. */
static bool pump_one(struct http_transfer *t)
{
    if (t->fresh && !t->paused) {
        hand_out(t);
        return true;
    }
    if (t->state == HTTP_FAILED) {
        struct error err = t->failure;
        finish_failed(t, t->trouble, &err);
        return true;
    }
    if (t->state == HTTP_ENDED && !t->paused) {
        finish_ended(t);
        return true;
    }
    return http_body_feed(t);
}

/* Starts at the head of the list each time, because a callback may have changed it. */
static bool pump_any(struct http *http)
{
    struct http_transfer *t;
    TAILQ_FOREACH(t, &http->transfers, link)
    if (pump_one(t))
        return true;
    return false;
}

/* A burst of requests leaves the heap full of holes that are not needed for hours. */
static void trim(struct http *http)
{
    struct http_transfer *t;
    if (http->ended_since_trim < TRIM_AFTER)
        return;
    TAILQ_FOREACH(t, &http->transfers, link)
    if (t->request.data == NULL)
        return;
    http->ended_since_trim = 0;
    malloc_trim(0);
}

static void note_end(CURL *easy, CURLcode code)
{
    struct http_transfer *t = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
    if (t->state != HTTP_RUNNING)
        return;
    timer_free(t->http->clock, t->deadline); /* the server is done; what follows is up to us */
    timer_free(t->http->clock, t->stall);
    t->deadline = t->stall = NULL;
    t->state = HTTP_ENDED;
    t->code = code;
}

void http_pump(struct http *http)
{
    CURLMsg *message;
    int left;
    do {
        while (pump_any(http))
            ;
        message = curl_multi_info_read(http->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE)
            note_end(message->easy_handle, message->data.result);
    } while (message != NULL);
    trim(http);
}
