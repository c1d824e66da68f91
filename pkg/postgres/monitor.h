/*
 * What the local server says of itself, asked over the Unix socket: one connection, one small query
 * each period, with deadlines. Cheap at rest, and never blocking.
 */
#pragma once

#include <stdint.h>

#include "pg/pg.h"

enum { MONITOR_PEERS_MAX = 32 };

struct monitor_replica {
    char name[64];     /* application_name */
    char state[16];    /* pg_stat_replication.state */
    int64_t lag_bytes; /* of replay behind our own end of WAL; -1 unknown */
};

struct monitor_slot { /* physical ones */
    char name[64];
    char wal_status[16];
    char restart_lsn[24]; /* from where there still is WAL for it, while it is not in use */
    bool active;
};

struct monitor_view {
    bool answered;        /* at least once since monitor_start() */
    int64_t answered_ms;  /* CLOCK_BOOTTIME of the last answer */
    struct error trouble; /* class 0, or why the last attempt gave none */
    bool in_recovery;
    char lsn[24]; /* written, or replayed on a standby */
    int timeline;
    double loaded_at;          /* pg_conf_load_time() of our session */
    bool streaming;            /* standby: the WAL receiver streams */
    bool streamed;             /* it did at two looks running since monitor_start() */
    int receiver_pid;          /* of the WAL receiver that streams, or 0 */
    bool receiver_heard;       /* the primary has sent it something */
    int64_t receiver_since_ms; /* CLOCK_BOOTTIME of the look that met it first; 0: none streams */
    char have_lsn[24];         /* standby: up to where it has WAL, replayed or not; "" unknown */
    bool pending_known;        /* the three below are newer than the last reload */
    bool pending_restart;      /* what the file asks for is not what the server runs with */
    char pending_parameters[1024];
    char pending_held[1024]; /* "" or why a restart would fail: transactions that are prepared */
    struct monitor_replica replicas[MONITOR_PEERS_MAX];
    int replica_count;
    struct monitor_slot slots[MONITOR_PEERS_MAX];
    int slot_count;
};

struct monitor;

struct monitor *monitor_new(struct event_base *loop, const char *socket_dir, int port,
                            void (*changed)(void *arg), void *arg);
void monitor_free(struct monitor *monitor);
/* The server is up: asks at once, then several times a second until another period is set. */
void monitor_start(struct monitor *monitor);
/* The server is down: forgets everything. */
void monitor_stop(struct monitor *monitor);
void monitor_set_period(struct monitor *monitor, int period_ms);
void monitor_poll_now(struct monitor *monitor);
/* pending_restart is to be asked for again (after a reload). */
void monitor_forget_pending(struct monitor *monitor);
const struct monitor_view *monitor_view(const struct monitor *monitor);

/* What waits for a restart: one row of `names` and `held`, see monitor_view.pending_*. */
extern const char monitor_pending_sql[];

/* Another connection of the agent's, with settings " -c NAME=VALUE..." of its own: for what may
 * take long, so that the periodic look goes on. pg.h says how it behaves. */
struct pg *monitor_open(const struct monitor *monitor, const char *application,
                        const char *settings, pg_opened opened, void *arg);

/* A statement of the agent's own, behind what is asked already. */
void monitor_query(struct monitor *monitor, const char *sql, int timeout_ms, pg_done done,
                   void *arg);

/* Pure, for tests: one answer of the poll into the view. */
void monitor_read(const PGresult *result, struct monitor_view *view);
