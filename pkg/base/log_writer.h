/*
 * What stands between a log and its reader, for programs that must never wait: lines go into
 * a ring, and a thread of its own writes them, one write(2) a line. A reader that has stopped
 * blocks that thread and nothing else. Non-blocking writes would not do: O_NONBLOCK belongs to the
 * open file, which others share (the container runtime, a shell, children that inherit it), and
 * files and terminals know of none; a thread is right on pipes, files, terminals and sockets alike.
 *
 * Lines that find no room are dropped, counted, and told where they are missing:
 *
 *     {"ts":"...","level":"warning","msg":"log lines were dropped because nothing read the log in
 *      time","dropped":"123"}
 *
 * The thread allocates nothing and blocks all signals. A forked copy of the program has no such
 * thread: it writes for itself, without waiting long.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_WRITER_BYTES = 1024 * 1024,
    /* A flood of others' lines (postgres's) leaves room for the program's own. */
    LOG_WRITER_OWN_BYTES = 64 * 1024,
};

/* From now on lines go through the ring; at exit() what it still holds is written, for 2 s at most.
 * False when there is no thread to be had: lines are written as before then. */
bool log_writer_start(int fd);
/* A whole line with its break; `own`: of this program, not of another that it speaks for. False
 * when this process has no writer. */
bool log_writer_put(const char *line, size_t length, bool own);
/* This is a forked copy of a process that has a writer. */
bool log_writer_is_copy(void);
/* Waits until everything is written, not longer than this; true when it is. */
bool log_writer_drain(int timeout_ms);
/* Lines that were dropped since the start. */
uint64_t log_writer_dropped(void);
/* Drains for as long, then ends the thread; for tests. What cannot be written stays behind. */
void log_writer_stop(int timeout_ms);
