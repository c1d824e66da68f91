#include "http/internal.h"

#include <stdlib.h>

#include "base/arena.h"

int http_new(struct event_base *loop, const char *user_agent, struct http **ret_http,
             struct error *err)
{
    static bool started;
    if (!started && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, ERR_INTERNAL, "libcurl cannot start");
    started = true;
    struct http *http = xcalloc(1, sizeof *http);
    http->loop = loop;
    http->user_agent = xstrdup(user_agent);
    TAILQ_INIT(&http->transfers);
    if (http_multi_open(http, err) < 0) {
        http_free(http);
        return err->class;
    }
    *ret_http = http;
    return 0;
}

void http_free(struct http *http)
{
    struct http_transfer *transfer;
    if (http == NULL)
        return;
    while ((transfer = TAILQ_FIRST(&http->transfers)) != NULL)
        http_cancel(transfer);
    while (http->idle_count > 0)
        curl_easy_cleanup(http->idle[--http->idle_count]);
    http_multi_close(http);
    free(http->user_agent);
    free(http);
}

void http_set_clock(struct http *http, const struct timer_clock *clock)
{
    http->clock = clock;
}

int http_status_class(int status)
{
    switch (status) {
    case 401:
    case 403:
        return ERR_FORBIDDEN;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 410:
        return ERR_GONE;
    case 408:
    case 504:
        return ERR_TIMEOUT;
    case 429:
    case 503:
        return ERR_OVERLOADED;
    case 502:
        return ERR_TRANSPORT;
    default:
        return status < 500 ? ERR_INVALID : ERR_INTERNAL;
    }
}
