/* What the files of this room share. Nothing outside pkg/kube and its tests includes it. */
#pragma once

#include <sys/queue.h>

#include "http/http.h"
#include "kube/kube.h"

struct kube_auth;
struct kube_events;
struct kube_transfer;

/* Every pause and deadline; tests shorten them. */
struct kube_timing {
    int second_ms;        /* the length of a second in Retry-After and in leases: 1000 */
    int connect_ms;       /* TCP and TLS */
    int call_ms;          /* a request without a timeout of its own */
    int stall_ms;         /* a watch without any byte is given up */
    int backoff_first_ms; /* pauses of a watch, doubled with jitter */
    int backoff_max_ms;
    int watch_min_s, watch_max_s; /* timeoutSeconds of a watch, drawn at random */
    int retry_after_max_ms;       /* a longer Retry-After is left to the caller */
    int exec_ms;                  /* a credential plugin without a terminal */
};
extern const struct kube_timing kube_timing_default;
void kube_set_timing(struct kube *kube, const struct kube_timing *timing);

/* The clock, which tests replace; NULL: the real one. */
void kube_set_clock(struct kube *kube, const struct timer_clock *clock);

TAILQ_HEAD(kube_transfers, kube_transfer);
TAILQ_HEAD(kube_calls, kube_call);

struct kube {
    struct event_base *loop;
    struct arena *arena; /* owns config and the texts below */
    struct kubeconfig config;
    struct kube_timing timing;
    const struct timer_clock *clock; /* NULL: the real one */
    const char *origin;      /* what URLs begin with; its host is the name that TLS verifies */
    const char *host_header; /* "Host: ..." when origin's host is tls-server-name; else NULL */
    bool tls;                /* https:// */
    const char *connect_to;  /* where to connect instead of origin's host; NULL: to it */
    struct kube_auth *auth;
    struct kube_events *events;
    struct http *http;
    struct kube_transfers transfers;
    struct kube_calls calls;
    int started, answered;  /* exchanges so far, for tests */
    bool watchlist_refused; /* the server does not know sendInitialEvents */
};

/* Where a watch would resume; "" before its list is complete. For tests. */
const char *kube_watch_version(const struct kube_watch *watch);

/* Pause number `attempt` (from 0): doubled each time up to the bound, then drawn from its upper
 * half. */
int kube_backoff_ms(const struct kube_timing *timing, int attempt);
