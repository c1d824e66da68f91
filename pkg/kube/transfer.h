/*
 * One exchange with the API server: what it needs beyond HTTP (credentials, a second try after 401,
 * the meaning of a refusal). Calls and watches are built on it. Callbacks run on the loop and never
 * before kube_transfer_start() returns, so that they may start and cancel transfers freely.
 */
#pragma once

#include "base/buffer.h"
#include "kube/internal.h"

enum { KUBE_ANSWER_MAX_BYTES = 64 * 1024 * 1024 };

struct kube_transfer_request {
    enum kube_method method;
    const char *path, *query; /* copied */
    const char *accept;       /* must outlive the transfer */
    const char *body;         /* must live until done; NULL: none */
    int timeout_ms;           /* 0: none */
    int stall_ms;             /* without a byte of the answer; 0: none; else `stalled` is needed */
    bool urgent;              /* the timeout includes the wait for credentials */
    bool apart;               /* a connection that no other request has used */
    /* Gets the bytes of a 2xx answer as they arrive and consumes them from `in`; the rest is kept
     * for the next call. NULL: done gets the whole answer. */
    void (*data)(void *arg, struct buffer *in);
    void (*done)(void *arg, int status, const struct buffer *body, const struct error *err);
    /* In place of done() after stall_ms: the status of the answer so far (0: none yet), and the
     * ERR_TIMEOUT. A connection on which nothing else arrived either is closed by then. */
    void (*stalled)(void *arg, int status, const struct error *err);
    void *arg;
};

/* done gets a status and the (rest of the) body, or status 0 and why there was no answer; for a
 * status of 300 or more err has the server's reason. The transfer is gone afterwards. */
struct kube_transfer *kube_transfer_start(struct kube *kube,
                                          const struct kube_transfer_request *request);
/* No callback comes any more. NULL is fine. */
void kube_transfer_cancel(struct kube_transfer *transfer);

/* For auth.c: credentials are there (err->class == 0) or could not be obtained. */
void kube_transfer_settled(struct kube *kube, const struct error *err);
