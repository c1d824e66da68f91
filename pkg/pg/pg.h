/*
 * PostgreSQL for programs that must not block: libpq on a libevent loop, every connection attempt
 * and every query with a deadline. Queries of one connection queue up and run one after the other.
 *
 * SQLSTATEs become error classes (pg_class_of); err->sqlstate keeps the code. A query whose
 * deadline passes is cancelled, where libpq can do that without blocking, and its connection is
 * closed in any case: nobody knows what state it is in. Connect by Unix socket or by hostaddr: a
 * host name would be looked up by libpq, which blocks. Notices, and a server's last words on an
 * idle connection, go to the log.
 */
#pragma once

#include <event2/event.h>
#include <libpq-fe.h>

#include "base/arena.h"
#include "base/error.h"

struct pg;

struct pg_options {
    /* Pairs of libpq keyword and value, ended by NULL; copied. */
    const char *const *keywords, *const *values;
    int connect_timeout_ms;
};

/* Both callbacks run on the loop, never before the call that they belong to returns. err is never
 * NULL; class 0 is success. */
typedef void (*pg_opened)(void *arg, const struct error *err);
/* result is NULL on failure and valid during the callback only. With several statements in one
 * query it is the last one's; the first failure counts. */
typedef void (*pg_done)(void *arg, const PGresult *result, const struct error *err);

/* Never NULL; failures come through `opened`. */
struct pg *pg_open(struct event_base *loop, const struct pg_options *options, pg_opened opened,
                   void *arg);
/* Simple protocol: several statements run as one transaction. After a failure of the connection
 * itself, `done` gets ERR_TRANSPORT. */
void pg_query(struct pg *pg, const char *sql, int timeout_ms, pg_done done, void *arg);
/* Open or opening: not broken by a failure or a passed deadline. NULL is not usable. */
bool pg_usable(const struct pg *pg);
/* Queries that have not been answered yet. */
int pg_pending(const struct pg *pg);
/* Cancels what is under way, without callbacks. NULL is fine; allowed inside callbacks. */
void pg_close(struct pg *pg);

/* Field by column name; "" for NULL or where the column does not exist. */
const char *pg_text(const PGresult *result, int row, const char *column);

/* What libpq, or a program of PostgreSQL, said, as one line: a connection that failed becomes one
 * sentence without repeated hosts and addresses. `text` may be part of `place`'s own only where
 * they are equal. */
void pg_sentence(char *place, size_t size, const char *text);

/* Class of a five-character SQLSTATE; ERR_DATABASE for what has no class of its own. */
int pg_class_of(const char *sqlstate);

/* 'text' with quotes and backslashes escaped, whatever the session's settings. */
char *pg_literal(struct arena *arena, const char *text);
/* "name" with quotes doubled. */
char *pg_identifier(struct arena *arena, const char *name);
