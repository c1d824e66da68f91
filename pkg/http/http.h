/*
 * HTTP as a client: one libcurl multi handle on a libevent loop, HTTP/2 where the server offers it
 * over TLS, as few connections as possible. The caller, which speaks a protocol over it (the
 * Kubernetes API, an object store), provides addresses, headers and credentials, and decides what
 * an answer means.
 *
 * A transfer is one exchange. Bodies are bytes, with NUL or without, in both directions: whole in
 * memory, or piece by piece, where either side may pause. Of a streamed body, only one piece is in
 * memory. Supplied bodies, pauses and single headers of an answer are for object stores: the client
 * of the Kubernetes API needs none of them.
 *
 * Callbacks run on the loop, never inside libcurl and never before http_start() returns, so that
 * they may start, pause and cancel transfers freely, their own too. Redirects are not followed: the
 * caller decides who gets credentials. Nothing is repeated: only the caller knows whether a request
 * may be sent twice.
 */
#pragma once

#include <event2/event.h>

#include "base/buffer.h"
#include "base/error.h"
#include "loop/timer.h"

struct http;
struct http_transfer;

/* user_agent is copied. */
int http_new(struct event_base *loop, const char *user_agent, struct http **ret_http,
             struct error *err) ERR_CHECKED;
/* Cancels what is under way. Not from a callback. NULL is fine. */
void http_free(struct http *http);
/* For tests: deadlines follow this clock. Call it before any transfer. */
void http_set_clock(struct http *http, const struct timer_clock *clock);

/* TLS 1.2 and later only. */
struct http_tls {
    const char *ca_pem;                    /* NULL: the system's CAs */
    const char *certificate_pem, *key_pem; /* the client's; NULL when none */
    bool insecure;                         /* the server's certificate is not verified */
};

/* What supply() returns. */
enum http_supply {
    HTTP_MORE,  /* bytes were appended, and there are more; if none were, it means HTTP_LATER */
    HTTP_LATER, /* nothing for now: http_supply() follows */
    HTTP_LAST,  /* what was appended, if anything, is the end */
};

enum { HTTP_LENGTH_UNKNOWN = -1 };
/* An answer of 300 or more with a larger body is HTTP_TOO_LARGE: refusals are short. */
enum { HTTP_REFUSAL_MAX_BYTES = 256 * 1024 };

/* How a transfer ended; `err` of struct http_end says the same as class and text. */
enum http_trouble {
    HTTP_ANSWERED = 0,     /* whatever the status */
    HTTP_UNREACHABLE,      /* no connection, or it broke off: the outcome may be unknown */
    HTTP_CONNECT_TIMEOUT,  /* within connect_ms */
    HTTP_DEADLINE,         /* not done within timeout_ms */
    HTTP_STALLED,          /* not one byte moved for stall_ms */
    HTTP_CUT_OFF,          /* the answer is incomplete */
    HTTP_TOO_LARGE,        /* the answer is over its limit */
    HTTP_UNTRUSTED_NAME,   /* the server's certificate is for another name */
    HTTP_UNTRUSTED_TIME,   /* it is not valid at this time */
    HTTP_UNTRUSTED,        /* it is refused for another reason, such as its CA */
    HTTP_OWN_CERTIFICATE,  /* the client's certificate or key cannot be used */
    HTTP_BODY_UNAVAILABLE, /* supply() failed, or gave another length than was promised */
    HTTP_NOT_STARTED,      /* libcurl could not start it */
};

struct http_end {
    int status; /* 0 unless HTTP_ANSWERED */
    enum http_trouble trouble;
    int retry_after_s;         /* the server's Retry-After; 0: none */
    const struct buffer *body; /* the answer, or what `data` left of it; valid in done() only */
    const struct error *err;   /* class 0 when answered, whatever the status; never NULL */
};

struct http_request {
    const char *method;         /* "GET"; must outlive the transfer */
    const char *url;            /* http:// or https://; copied */
    const char *const *headers; /* NULL-ended "Name: value"; copied, and overwritten when done */
    const struct http_tls *tls; /* NULL: the system's CAs, no certificate; copied */
    const char *connect_to;     /* "name:port:host:port", see CURLOPT_CONNECT_TO; NULL; copied */
    const char *proxy;          /* URL; NULL: as the environment says; copied */
    bool apart;                 /* a connection that no other request has used */

    /* The request's body: `length` bytes that must live until done, or pieces from supply(), or
     * none when both are NULL. A supplied body can be sent only once: if a kept connection turns
     * out to be dead after part of the body was taken, the transfer ends as HTTP_UNREACHABLE.
     * supply() appends what it has to `out` (empty, and freed by us), about 64 KiB; a negative
     * class with err ends the transfer. */
    const void *body;
    int (*supply)(void *arg, struct buffer *out, struct error *err);
    int64_t length; /* of either; HTTP_LENGTH_UNKNOWN is for supply() only */

    int connect_ms; /* name, TCP and TLS; 0: libcurl's 300 s */
    /* When one of these two has passed, the connection is closed as well if nothing came over it in
     * that time: otherwise HTTP/2 would use a dead connection for the next request. */
    int timeout_ms; /* from http_start() to done(); 0: none */
    int stall_ms;   /* without a byte in either direction, our own pauses not counted; 0: none */

    /* Gets the bytes of an answer below 300 as they arrive and consumes them from `in`; the rest is
     * kept for the next call. NULL: done() gets the whole answer. */
    void (*data)(void *arg, struct buffer *in);
    size_t answer_max_bytes; /* of what is in memory at once: the whole answer, or what `data`
                                leaves */
    /* Called exactly once, unless cancelled. It may still read status and headers of the transfer,
     * which is gone afterwards. */
    void (*done)(void *arg, const struct http_end *end);
    void *arg;
};

struct http_transfer *http_start(struct http *http, const struct http_request *request);
/* No callback comes any more. NULL is fine, and so is one whose done() is running. */
void http_cancel(struct http_transfer *transfer);

/* No more data() until http_resume(): nothing is read from the connection (HTTP/1) or for this
 * stream (HTTP/2), and the server has to wait. done() waits, too, even if the answer has ended. */
void http_pause(struct http_transfer *transfer);
void http_resume(struct http_transfer *transfer);
/* To be called after HTTP_LATER, when supply() has bytes again. */
void http_supply(struct http_transfer *transfer);

/* The status of the answer; 0: none yet. */
int http_status(const struct http_transfer *transfer);
/* A header of the answer, from the first data() on; NULL: there is none. The last one of several
 * with this name. Valid until the next call, and as long as the transfer. */
const char *http_header(const struct http_transfer *transfer, const char *name);

/* What a status of 300 and more means when nothing else is known: a class of base/error.h. */
int http_status_class(int status);
