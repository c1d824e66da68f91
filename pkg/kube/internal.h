/* What the files of this room share. Nothing outside pkg/kube and its tests includes it. */
#pragma once

#include <sys/queue.h>

#include <curl/curl.h>

#include "kube/kube.h"

struct kube_auth;
struct kube_events;
struct kube_transfer;

/* Every pause and deadline, so that tests need not wait. */
struct kube_timing {
    int second_ms;        /* what Retry-After and lease seconds are counted in: 1000 */
    int connect_ms;       /* TCP and TLS */
    int call_ms;          /* a request without a timeout of its own */
    int stall_ms;         /* a watch without any byte is given up */
    int backoff_first_ms; /* pauses of a watch, doubled with jitter */
    int backoff_max_ms;
    int watch_min_s, watch_max_s; /* timeoutSeconds of a watch, drawn at random */
    int retry_after_max_ms;       /* a longer Retry-After is handed to the caller instead */
    int exec_ms;                  /* a credential plugin without a terminal */
};
extern const struct kube_timing kube_timing_default;
void kube_set_timing(struct kube *kube, const struct kube_timing *timing);

/* Time itself, so that tests can let it pass at will. */
struct kube_clock {
    int64_t (*now_ms)(void *arg);
    /* When the time has come the timer is made active on its loop; ms < 0 forgets it. */
    void (*set_timer)(void *arg, struct event *timer, int64_t ms);
    void *arg;
};
void kube_set_clock(struct kube *kube, const struct kube_clock *clock);
int64_t kube_now_ms(const struct kube *kube); /* CLOCK_BOOTTIME */
/* Sets it anew, or stops it when ms < 0. */
void kube_timer_set(struct kube *kube, struct event *timer, int64_t ms);
/* Stops and frees it. NULL is fine. */
void kube_timer_free(struct kube *kube, struct event *timer);

struct kube_socket {
    TAILQ_ENTRY(kube_socket) link;
    struct event *event;
    curl_socket_t fd;
    int64_t heard_ms; /* when the server's last byte came, CLOCK_BOOTTIME */
};

enum { KUBE_IDLE_HANDLES = 4 };

TAILQ_HEAD(kube_transfers, kube_transfer);
TAILQ_HEAD(kube_calls, kube_call);
TAILQ_HEAD(kube_sockets, kube_socket);

struct kube {
    struct event_base *loop;
    struct arena *arena; /* owns config and the texts below */
    struct kube_config config;
    struct kube_timing timing;
    const struct kube_clock *clock; /* NULL: the real one */
    const char *user_agent;
    const char *origin;      /* what URLs begin with; its host is the name that TLS verifies */
    const char *host_header; /* "Host: ..." when origin's host is tls-server-name; else NULL */
    bool tls;                /* https:// */
    struct curl_slist *connect_to;
    struct kube_auth *auth;
    struct kube_events *events;
    CURLM *multi;
    struct event *timer, *soon;
    struct kube_sockets sockets;
    struct kube_transfers transfers;
    struct kube_calls calls;
    CURL *idle[KUBE_IDLE_HANDLES];
    int idle_count;
    int verify_error;       /* why the server's certificate was refused last; X509_V_OK: was not */
    int started, answered;  /* exchanges so far, for tests */
    int ended_since_trim;   /* requests; see transfer.c */
    bool watchlist_refused; /* the server does not know sendInitialEvents */
};

/* The multi handle on the loop: loop.c */
int kube_loop_open(struct kube *kube, struct error *err) ERR_CHECKED;
void kube_loop_close(struct kube *kube);
/* Closes the connection of a transfer if nothing came over it since since_ms: HTTP/2 would hand the
 * dead connection to the next request otherwise. */
void kube_loop_cut_silent(struct kube *kube, CURL *easy, int64_t since_ms);

/* Where a watch would resume; "" before its list is complete. For tests. */
const char *kube_watch_version(const struct kube_watch *watch);

/* A random number in [low, high]. */
int kube_random(int low, int high);
/* Pause number `attempt` (from 0): doubled each time to the bound, with half of it at random. */
int kube_backoff_ms(const struct kube_timing *timing, int attempt);
