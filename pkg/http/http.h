/*
 * HTTP as a client: one libcurl multi handle on a libevent loop, HTTP/2 where the server offers it
 * over TLS, as few connections as can be. Who speaks a protocol over it (the Kubernetes API, an
 * object store) brings addresses, headers and credentials, and judges what an answer means.
 *
 * A transfer is one exchange. Bodies are bytes, with NUL or without, in both directions: whole in
 * memory, or piece by piece with either side free to pause. No more is held than one piece of a
 * body that is streamed.
 *
 * Callbacks run on the loop, never inside libcurl and never before http_start() returns, so that
 * they may start, pause and cancel transfers freely, their own too. Redirects are not followed: to
 * whom credentials go is the caller's choice. Nothing is repeated: whether a request may be sent
 * twice only the caller knows.
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
/* For tests: deadlines pass with this clock. Before any transfer. */
void http_set_clock(struct http *http, const struct timer_clock *clock);

/* TLS 1.2 and later only. */
struct http_tls {
    const char *ca_pem;                    /* NULL: the system's CAs */
    const char *certificate_pem, *key_pem; /* the client's; NULL when none */
    bool insecure;                         /* the server's certificate is not looked at */
};

/* What became of a request for more of its body. */
enum http_supply {
    HTTP_MORE,  /* something was appended, and there is more; nothing appended is HTTP_LATER */
    HTTP_LATER, /* nothing for now: http_supply() says when */
    HTTP_LAST,  /* what was appended, if anything, is the end */
};

enum { HTTP_LENGTH_UNKNOWN = -1 };
/* The body of an answer of 300 and more is cut off here: nobody explains himself at such length. */
enum { HTTP_REFUSAL_MAX_BYTES = 256 * 1024 };

/* What came of a transfer; `err` of its end has the same as class and words. */
enum http_trouble {
    HTTP_ANSWERED = 0,     /* whatever the status */
    HTTP_UNREACHABLE,      /* no connection, or it broke off: the outcome may be unknown */
    HTTP_CONNECT_TIMEOUT,  /* within connect_ms */
    HTTP_DEADLINE,         /* not done within timeout_ms */
    HTTP_STALLED,          /* not one byte moved for stall_ms */
    HTTP_CUT_OFF,          /* the answer ended before its end */
    HTTP_TOO_LARGE,        /* the answer is over its limit */
    HTTP_UNTRUSTED_NAME,   /* the server's certificate is for another name */
    HTTP_UNTRUSTED_TIME,   /* it is not valid at this time */
    HTTP_UNTRUSTED,        /* it is refused for another reason, such as its CA */
    HTTP_OWN_CERTIFICATE,  /* the client's certificate or key is of no use */
    HTTP_BODY_UNAVAILABLE, /* supply() failed, or gave another length than was promised */
    HTTP_NOT_STARTED,      /* libcurl could not even begin */
};

struct http_end {
    int status; /* 0 unless HTTP_ANSWERED */
    enum http_trouble trouble;
    int retry_after_s;         /* the server's Retry-After; 0: none */
    const struct buffer *body; /* the answer, or what `data` left of it; valid in done() only */
    const struct error *err;   /* class 0 when answered, whatever the status; never NULL */
};

struct http_request {
    const char *method;         /* "GET"; must live on */
    const char *url;            /* http:// or https://; copied */
    const char *const *headers; /* NULL-ended "Name: value"; copied, and overwritten when done */
    const struct http_tls *tls; /* NULL: the system's CAs, no certificate; copied */
    const char *connect_to;     /* "name:port:host:port", see CURLOPT_CONNECT_TO; NULL; copied */
    const char *proxy;          /* URL; NULL: as the environment says; copied */
    bool apart;                 /* a connection that no other request has used */

    /* The request's body: `length` bytes that must live until done, or pieces from supply(), or
     * none when both are NULL. A body that is supplied is sent once: when a connection that was
     * kept open turns out to be dead after part of it was taken, the transfer is HTTP_UNREACHABLE.
     * supply() appends to `out` (empty, and freed by us) what it has, 64 KiB or so; a negative
     * class with err ends the transfer. */
    const void *body;
    int (*supply)(void *arg, struct buffer *out, struct error *err);
    int64_t length; /* of either; HTTP_LENGTH_UNKNOWN is for supply() only */

    int connect_ms; /* name, TCP and TLS; 0: libcurl's 300 s */
    int timeout_ms; /* from http_start() to done(); 0: none */
    int stall_ms;   /* without a byte in either direction, pauses of ours apart; 0: none */

    /* The bytes of an answer below 300 as they come, to be consumed from `in`; what is left there
     * is kept for the next time. NULL: the whole answer is handed to done(). */
    void (*data)(void *arg, struct buffer *in);
    size_t answer_max_bytes; /* of what is held at once: the whole answer, or what `data` leaves */
    /* Exactly once, unless cancelled. The transfer is still there to be asked, and gone after. */
    void (*done)(void *arg, const struct http_end *end);
    void *arg;
};

struct http_transfer *http_start(struct http *http, const struct http_request *request);
/* No callback comes any more. NULL is fine, and so is one whose done() is running. */
void http_cancel(struct http_transfer *transfer);
/* Cancels, and closes the connection if it was silent since since_ms (timer_now_ms()): HTTP/2 would
 * hand a dead connection to the next request otherwise. Deadlines of ours do so themselves. */
void http_abandon(struct http_transfer *transfer, int64_t since_ms);

/* No more data() until http_resume(): nothing is read from the connection (HTTP/1) or for this
 * stream (HTTP/2), and the server has to wait. done() waits, too, when the end has come already. */
void http_pause(struct http_transfer *transfer);
void http_resume(struct http_transfer *transfer);
/* supply() has something again, after HTTP_LATER. */
void http_supply(struct http_transfer *transfer);

/* The status that the server answered with so far; 0: none yet. */
int http_status(const struct http_transfer *transfer);
/* A header of the answer, from the first data() on; NULL: there is none. Of several with one name
 * the last. Valid until the next call, and as long as the transfer. */
const char *http_header(const struct http_transfer *transfer, const char *name);

/* What a status of 300 and more means when nothing else is known: a class of base/error.h. */
int http_status_class(int status);
