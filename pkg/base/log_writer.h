/*
 * Logging for programs that must never wait for the reader of their log: lines go into a ring
 * buffer, and a separate thread writes them, one write(2) per line. A reader that has stopped
 * blocks only that thread. Non-blocking writes are no alternative: O_NONBLOCK is a flag of the open
 * file, which others share (the container runtime, a shell, children that inherit it), and it has
 * no effect on regular files. A thread works on pipes, files, terminals and sockets alike.
 *
 * Lines for which there is no room are dropped and counted, and a line in their place says so:
 *
 *     {"ts":"...","level":"warning","msg":"log lines were dropped because nothing read the log in
 *      time","dropped":"123"}
 *
 * The thread allocates nothing and blocks all signals. A forked copy of the program has no such
 * thread: it writes itself, without waiting long.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_WRITER_BYTES = 1024 * 1024,
    /* Reserved for the program's own lines when PostgreSQL's lines flood the ring. */
    LOG_WRITER_OWN_BYTES = 64 * 1024,
};

/* From now on lines go through the ring; at exit() its rest is written, for 2 s at most. False when
 * no thread can be started: lines are then written directly, as before. */
bool log_writer_start(int fd);
/* Takes a whole line with its line break; `own`: from this program, not passed on for another.
 * False when this process has no writer. */
bool log_writer_put(const char *line, size_t length, bool own);
/* True in a forked copy of a process that has a writer. */
bool log_writer_is_copy(void);
/* Waits until everything is written, at most timeout_ms; true when it is. */
bool log_writer_drain(int timeout_ms);
/* Lines that were dropped since the start. */
uint64_t log_writer_dropped(void);
/* Drains for at most timeout_ms, then ends the thread; for tests. The rest is lost. */
void log_writer_stop(int timeout_ms);
