/* What the files of this room share. Nothing outside pkg/http includes it. */
#pragma once

#include <sys/queue.h>

#include <curl/curl.h>

#include "http/http.h"

enum { HTTP_IDLE_HANDLES = 4 };

enum http_state {
    HTTP_RUNNING,
    HTTP_ENDED, /* libcurl is done with it; `code` says how */
    HTTP_FAILED /* by our own decision: see `trouble` and `failure` */
};

struct http_transfer {
    TAILQ_ENTRY(http_transfer) link;
    struct http *http;
    struct http_request request; /* NULL where libcurl has a copy */
    int64_t number;              /* counts the transfers of its client */
    CURL *easy;                  /* NULL: it could not be created */
    struct curl_slist *headers, *connect_to;
    struct event *deadline, *stall; /* NULL: none */
    int64_t started_ms, moved_ms;   /* CLOCK_BOOTTIME; the last byte in either direction */
    enum http_state state;
    CURLcode code;
    enum http_trouble trouble;
    struct error failure;

    struct buffer in; /* of the answer, not handed out yet */
    bool fresh;       /* bytes came that data() has not seen */
    bool paused;      /* by the caller */
    bool too_large;   /* the answer went over its limit */

    struct buffer out;        /* of the request's body, not sent yet, from `sent` on */
    size_t sent;              /* bytes of `out` that libcurl took */
    int64_t supplied;         /* bytes of the body so far */
    bool starved;             /* libcurl waits for more of the body */
    bool later, supplied_all; /* supply() has nothing for now; has nothing any more */

    int busy;  /* callbacks that are running */
    bool dead; /* one of them cancelled this transfer */
    char detail[CURL_ERROR_SIZE];
};

/* A connection. */
struct http_socket {
    TAILQ_ENTRY(http_socket) link;
    struct event *event;
    curl_socket_t fd;
    int64_t heard_ms; /* when the server's last byte came, CLOCK_BOOTTIME */
};

TAILQ_HEAD(http_transfers, http_transfer);
TAILQ_HEAD(http_sockets, http_socket);

struct http {
    struct event_base *loop;
    const struct timer_clock *clock;
    char *user_agent;
    CURLM *multi;
    struct event *timer, *soon;
    struct http_sockets sockets;
    struct http_transfers transfers;
    CURL *idle[HTTP_IDLE_HANDLES];
    int idle_count;
    int64_t started;       /* transfers so far */
    int ended_since_trim;  /* see transfer.c */
    int verify_error;      /* why a server's certificate was last refused; X509_V_OK: it was not */
    int64_t verify_number; /* for which transfer */
};

/* The multi handle on the loop: multi.c */
int http_multi_open(struct http *http, struct error *err) ERR_CHECKED;
void http_multi_close(struct http *http);
/* Closes the connection of a transfer if nothing came over it since since_ms. */
void http_multi_cut_silent(struct http *http, CURL *easy, int64_t since_ms);
/* Hands out new bytes and ends transfers: transfer.c */
void http_pump(struct http *http);
/* The same, from the next iteration of the loop. */
void http_pump_soon(struct http *http);

/* The options of a transfer in libcurl: easy.c */
void http_easy_set(struct http_transfer *transfer);

/* The bodies of request and answer: body.c */
void http_body_set(struct http_transfer *transfer);
/* Asks supply() when libcurl waits for bytes. False: there is nothing to do. */
bool http_body_feed(struct http_transfer *transfer);
/* How many bytes of the answer may be held at once. */
size_t http_body_limit(const struct http_transfer *transfer);
/* Tells libcurl which directions to pause. */
void http_body_set_pauses(struct http_transfer *transfer);

/* Why libcurl gave up: failure.c */
enum http_trouble http_failure(struct http_transfer *transfer, CURLcode code,
                               struct error *err) ERR_CHECKED;
/* Notes OpenSSL's reason for http_failure(). */
CURLcode http_failure_watch_tls(CURL *easy, void *context, void *transfer);

/* Ends a transfer with a failure of our own, from the next iteration of the loop. */
void http_fail(struct http_transfer *transfer, enum http_trouble trouble, const struct error *err);
/* Around callbacks that may cancel the transfer; false: it is gone. */
void http_enter(struct http_transfer *transfer);
bool http_leave(struct http_transfer *transfer);
