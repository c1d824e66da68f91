/*
 * Child processes of the agent, on its event loop: programs of PostgreSQL, and tasks of our own
 * that must block (fsync of a whole tree) and therefore run in a forked copy. PID 1 inherits every
 * orphan of its container: all are reaped at once, because a zombie still looks alive to kill(pid,
 * 0).
 *
 * A child never outlives the agent: it gets death_signal when the agent dies. Each runs in a
 * session of its own, so that child_signal_all() reaches what it started, too.
 */
#pragma once

#include <event2/event.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

struct children;
struct child;

enum { CHILD_OUTPUT_MAX_BYTES = 64 * 1024 };

struct child_result {
    int status;         /* as waitpid() gives it */
    const char *output; /* the last CHILD_OUTPUT_MAX_BYTES of stdout and stderr, NUL-terminated */
    /* Class 0 when a program exited with 0 or a task returned 0. For programs the text says how it
     * ended and its last error line; for tasks it is the task's own error. */
    struct error err;
};

struct child_spec {
    const char *name;        /* for messages: "initdb" */
    const char *const *argv; /* NULL-ended, argv[0] with its path; NULL when `task` is given */
    const char *const *env;  /* NULL-ended "NAME=value", added to our own; may be NULL */
    int (*task)(void *task_arg, struct error *err);
    void *task_arg;     /* the forked copy has it as it was at child_start() */
    void *answer;       /* the task fills it in its copy; it is copied here when the task ended */
    size_t answer_size; /* small: it goes through the pipe in one piece */
    int death_signal;   /* 0: SIGKILL */
    int keep_fd;        /* a descriptor that it inherits (the volume's lock); 0 or less: none */
    /* Gets the output as it arrives; may be NULL. With `stream`, nothing is collected for the
     * result, and output of processes that the child left behind is read to its end. */
    void (*output)(void *arg, const char *data, size_t length);
    bool stream;
    bool apart; /* each write(2) arrives separately, at most PIPE_BUF bytes at a time, if the kernel
                   can (child_writes_apart()) */
    void (*ended)(void *arg, const struct child_result *result);
    void (*closed)(void *arg); /* the last call: the child and its output have ended */
    void *arg;
};

/* `changed` is called after any process was reaped. Installs the SIGCHLD handler and, where we are
 * not PID 1, becomes the reaper of orphans. */
struct children *children_new(struct event_base *loop, void (*changed)(void *arg), void *arg);
/* Kills what still runs; only `closed` is called. NULL is fine. */
void children_free(struct children *children);

int child_start(struct children *children, const struct child_spec *spec, struct child **ret_child,
                struct error *err) ERR_CHECKED;
/* Only to the process itself. */
void child_signal(const struct child *child, int signal);
/* To the process and to all that it started in its session. */
void child_signal_all(const struct child *child, int signal);
pid_t child_pid(const struct child *child);
bool child_writes_apart(const struct child *child);

/* Sends SIGKILL to `child` (may be NULL), to all that it started, and to our orphans and all that
 * these started, in whatever session. As PID 1, where everything is ours, to every other process at
 * once, so that no fork escapes; elsewhere not to our other known children. */
void children_kill(const struct children *children, const struct child *child);

/* Orphans of ours that run `executable` (base name): backends whose postmaster was killed. Sends
 * them `signal` (0: only counts) and returns how many there are. */
int children_strays(const struct children *children, const char *executable, int signal);

/* The last line of a program's output that says what went wrong ("FATAL:", "error:"), or the last
 * line; never NULL. */
const char *child_last_error(struct arena *arena, const char *output);
