/*
 * The postmaster: started, watched, reloaded and stopped. It never decides when: machine.h does.
 * Shutdown is "fast" (SIGINT); past the stop deadline "immediate" (SIGQUIT), at last SIGKILL. Smart
 * mode is never used: it would wait for clients as long as they like.
 */
#pragma once

#include <sys/types.h>

#include "loop/child.h"
#include "postgres/logs.h"

enum server_state {
    SERVER_DOWN,
    SERVER_STARTING, /* recovery included, however long it takes */
    SERVER_UP,       /* accepts connections, read-only ones on a standby */
    SERVER_STOPPING, /* asked to stop, or dead with backends that are not gone yet */
};

struct server_handlers {
    /* The state changed. */
    void (*changed)(void *arg);
    /* It ended without being asked to. `why` holds how and its last FATAL or PANIC line. */
    void (*crashed)(void *arg, const char *why, bool was_up);
    /* One of its processes died, and the postmaster restarted all others. */
    void (*recovered)(void *arg, const char *why);
    /* Any FATAL or PANIC in its log, and any complaint that a disk is full (SQLSTATE 53100),
     * whichever process wrote it; its text may hold the words of any client. */
    void (*fatal)(void *arg, const struct logs_message *message);
    void *arg;
};

struct server_start {
    const char *postgres; /* path of the program */
    const char *pgdata, *run_dir;
    int port;
    int lock_fd; /* inherited by the postmaster and every backend */
};

struct server;

struct server *server_new(struct event_base *loop, struct children *children,
                          const struct server_handlers *handlers);
/* After children_free(), whose children still know it. NULL is fine. */
void server_free(struct server *server);

int server_start(struct server *server, const struct server_start *start,
                 struct error *err) ERR_CHECKED;
void server_reload(struct server *server);
/* Fast stop; immediate after timeout_ms, SIGKILL 5 s later. Calling again changes nothing. */
void server_stop(struct server *server, int timeout_ms);
/* SIGQUIT now: for a lease that is lost. */
void server_stop_immediately(struct server *server);

/* It was told to stop at once: by us, or when a fast stop took too long. */
bool server_quits(const struct server *server);

enum server_state server_state(const struct server *server);
/* To be called when processes were reaped: the last backend may be gone. */
void server_check_strays(struct server *server);

/* The status line of postmaster.pid: "starting", "ready", "standby", "stopping"; "" when absent.
 * https://www.postgresql.org/docs/current/storage-file-layout.html */
void server_pidfile_status(const char *text, pid_t expected, char *ret_status, size_t size);
