/*
 * postgres's stderr -> JSON lines, one a message, however many lines it has. A message begins
 * with a head (logs_line_prefix()); its further lines begin with a tab; DETAIL, HINT, CONTEXT,
 * STATEMENT and QUERY have a head of their own and join the message before them. Anything else (a
 * library that writes to stderr, lines from before the configuration was read) becomes a line of
 * its own.
 *
 *     {"ts":"...","level":"error","logger":"postgres","msg":"relation \"x\" does not exist",
 *      "severity":"ERROR","pid":"71","backend":"client backend","user":"app","db":"app",
 *      "sqlstate":"42P01","statement":"select * from x"}
 *
 * Nothing is lost: what would grow beyond LOGS_PART_BYTES goes out in parts, numbered by "part".
 *
 * The names of user and database in a head are a client's own bytes, line breaks and marks
 * included, and no escape of log_line_prefix quotes them. Three things keep them from making a
 * record: they stand last in the head, in fields of a fixed width, wider than any name; a head
 * holds this start's mark, which no client knows before it has logged in; and where the pipe keeps
 * each write(2) apart (logs_in_writes()), a record begins only where a write does, since PostgreSQL
 * writes a message and all that explains it at once. The last one needs no secret: who can log in
 * and read the setting cannot forge a record either.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

struct logs;

enum {
    LOGS_PART_BYTES = 64 * 1024,
    LOGS_MARK_LENGTH = 32,
    /* What a write into a pipe that keeps writes apart is cut into: PIPE_BUF. */
    LOGS_WRITE_BYTES = 4096,
};

/* https://www.postgresql.org/docs/current/errcodes-appendix.html */
#define SQLSTATE_DISK_FULL "53100"

/* A message as PostgreSQL spells it; what the line did not say is "". */
struct logs_message {
    const char *severity, *backend, *sqlstate, *text;
};

struct logs_handlers {
    /* One finished line of JSON, without line break. */
    void (*line)(void *arg, const char *json, size_t length);
    /* Every message of its own, before it is written. May be NULL. Lines without a head are told
     * only until the first one with a head came: from then on they are somebody else's. */
    void (*message)(void *arg, const struct logs_message *message);
    void *arg;
};

/* A random mark for one start of postgres. */
int logs_new_mark(char ret_mark[LOGS_MARK_LENGTH + 1], struct error *err) ERR_CHECKED;
/* The value of log_line_prefix that writes heads with this mark, for the command line. */
char *logs_line_prefix(struct arena *arena, const char *mark);

struct logs *logs_new(const char *logger, const char *mark, const struct logs_handlers *handlers);
/* From now on each logs_feed() brings one write, or LOGS_WRITE_BYTES of one that goes on. */
void logs_in_writes(struct logs *logs, bool apart);
/* Bytes as they come, cut anywhere unless logs_in_writes(). */
void logs_feed(struct logs *logs, const char *data, size_t length);
/* Whether something is held back because more lines of it may come. */
bool logs_pending(const struct logs *logs);
/* The message held back is complete (nothing came for a while). A line without its end stays. */
void logs_settle(struct logs *logs);
/* Everything out, also a last line without its end. */
void logs_flush(struct logs *logs);
/* Flushes. NULL is fine. */
void logs_free(struct logs *logs);
