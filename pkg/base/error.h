/*
 * How functions fail: they return 0 or a negative class, and fill the caller's `struct error`. The
 * value owns nothing: its text is bounded, and there is nothing to free.
 *
 *     if (file_read(..., err) < 0)
 *         return err_wrap(err, "read the kubeconfig '%s'", path);
 *
 * err_set() and err_wrap() return the class, so that a failing path is one line and the text reads
 * outermost first: "read the kubeconfig 'a': permission denied". A failure is logged once, by the
 * code that decides what happens next: a verb, `control`, the agent, or a part that continues in
 * spite of it and reports it to no caller. Do not write functions that accept err == NULL: the
 * caller passes a scratch value and says why it ignores the result.
 */
#pragma once

#include <stdbool.h>
#include <stdarg.h>

/* On each function that fills an error and returns something: behind its declaration in a header,
 * or in front of the type of a static one. A caller that does not check the result passes it to
 * err_ignore() and says why. err_set() and its like are called for what they write, too. */
#define ERR_CHECKED __attribute__((warn_unused_result))
static inline void err_ignore(int result)
{
    (void)result;
}

/* All failure classes. The table in error.c has a row for each. */
enum err_class {
    ERR_OK = 0,
    ERR_NOT_FOUND = -1,   /* HTTP 404, no such file */
    ERR_CONFLICT = -2,    /* HTTP 409: someone else wrote, or already exists */
    ERR_GONE = -3,        /* HTTP 410: the resourceVersion is too old to watch from */
    ERR_INVALID = -4,     /* HTTP 400/422, bad input: only other input helps */
    ERR_FORBIDDEN = -5,   /* HTTP 401/403 */
    ERR_TIMEOUT = -6,     /* a deadline passed; the outcome is unknown */
    ERR_TRANSPORT = -7,   /* connect, TLS, reset; the outcome may be unknown */
    ERR_OVERLOADED = -8,  /* HTTP 429/503: retry after retry_after_ms */
    ERR_DATABASE = -9,    /* PostgreSQL reported an error: see sqlstate */
    ERR_IO = -10,         /* a system call on files, pipes or processes failed */
    ERR_UNREADABLE = -11, /* input that cannot be read or parsed at all (verbs exit 2) */
    ERR_INTERNAL = -12,   /* a bug, ours or a peer's; an unexpected answer */
};

struct error {
    int class;          /* enum err_class */
    int http_status;    /* 0 if none */
    int retry_after_ms; /* from Retry-After; 0 if none */
    char sqlstate[6];   /* "" if none */
    char reason[64];    /* CamelCase, unchanged in condition and event; "" if none */
    char text[960];     /* outermost first, cut with "..." where it does not fit */
};

/* How `control` and the verbs treat each class. */
struct err_policy {
    const char *name; /* "conflict" */
    bool retry;       /* retrying without a change of input can help */
    int backoff_ms;   /* first pause; the queue doubles it up to a bound */
    const char *log;  /* "debug", "info", "warning", "error" */
};

int err_set(struct error *err, int class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with a CamelCase reason for conditions and events. */
int err_set_reason(struct error *err, int class, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Appends the text of errno_value: "open '/x': No such file or directory". ENOENT becomes
 * ERR_NOT_FOUND, EACCES/EPERM/EROFS ERR_FORBIDDEN, everything else ERR_IO. */
int err_errno(struct error *err, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Prefixes "<context>: " and returns err->class unchanged. */
int err_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

const struct err_policy *err_policy(int class);
