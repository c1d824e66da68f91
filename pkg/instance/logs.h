/*
 * postgres's stderr -> JSON lines, one a message, whatever its number of lines. A message begins
 * with CONF_LOG_LINE_PREFIX; its further lines begin with a tab; DETAIL, HINT, CONTEXT, STATEMENT
 * and QUERY come as lines of their own and join the message before them. Anything else (a library
 * that writes to stderr, lines from before the configuration was read) becomes a line of its own.
 *
 *     {"ts":"...","level":"error","logger":"postgres","msg":"relation \"x\" does not exist",
 *      "severity":"ERROR","pid":"71","backend":"client backend","user":"app","db":"app",
 *      "sqlstate":"42P01","statement":"select * from x"}
 *
 * Nothing is lost: what would grow beyond LOGS_PART_BYTES goes out in parts, numbered by "part".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct logs;

enum { LOGS_PART_BYTES = 64 * 1024 };

/* A message as PostgreSQL spells it; what the line did not say is "". */
struct logs_message {
    const char *severity, *backend, *sqlstate, *text;
};

struct logs_handlers {
    /* One finished line of JSON, without line break. */
    void (*line)(void *arg, const char *json, size_t length);
    /* Every message of its own, before it is written. May be NULL. */
    void (*message)(void *arg, const struct logs_message *message);
    void *arg;
};

struct logs *logs_new(const char *logger, const struct logs_handlers *handlers);
/* Bytes as they come, cut anywhere. */
void logs_feed(struct logs *logs, const char *data, size_t length);
/* Whether something is held back because more lines of it may come. */
bool logs_pending(const struct logs *logs);
/* The message held back is complete (nothing came for a while). A line without its end stays. */
void logs_settle(struct logs *logs);
/* Everything out, also a last line without its end. */
void logs_flush(struct logs *logs);
/* Flushes. NULL is fine. */
void logs_free(struct logs *logs);
