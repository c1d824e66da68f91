#include "pg/pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/timer.h"
#include "phrase/phrase.h"

struct query {
    struct query *next;
    char *sql;
    int timeout_ms;
    pg_done done;
    void *arg;
};

struct pg {
    struct event_base *loop;
    PGconn *conn;
    struct event *io, *deadline, *kick;
    pg_opened opened; /* NULL once it was called */
    void *arg;
    bool ready, broken;
    struct query *first, **last; /* the first one runs when `running` */
    bool running;
    PGresult *result; /* of the running query: its first failure, else its last success */
    struct error failure;
    /* Callbacks may close the connection: it is freed when the outermost of our frames returns. */
    int depth;
    bool closed;
};

static void enter(struct pg *pg)
{
    pg->depth++;
}

static void release(struct pg *pg)
{
    while (pg->first != NULL) {
        struct query *query = pg->first;
        pg->first = query->next;
        free(query->sql);
        free(query);
    }
    PQclear(pg->result);
    if (pg->io != NULL)
        event_free(pg->io);
    event_free(pg->deadline);
    event_free(pg->kick);
    PQfinish(pg->conn);
    free(pg);
}

static void leave(struct pg *pg)
{
    if (--pg->depth == 0 && pg->closed)
        release(pg);
}

void pg_close(struct pg *pg)
{
    if (pg == NULL)
        return;
    pg->closed = true;
    enter(pg);
    leave(pg);
}

static void fail_connection(struct pg *pg, const char *context, struct error *err)
{
    const char *said = pg->conn ? PQerrorMessage(pg->conn) : "it is closed already";
    char sentence[sizeof err->text];
    pg_sentence(sentence, sizeof sentence, *said ? said : "connection lost");
    bool is_whole = strncmp(sentence, "cannot connect ", 15) == 0;
    err_set(err, ERR_TRANSPORT, "%s%s%s", is_whole ? "" : context, is_whole ? "" : ": ", sentence);
    /* libpq gives no SQLSTATE for a refused start-up; the text does not depend on the locale of
     * clients, and these two want another pause than a network fault. */
    if (phrase_is_in(PHRASE_SYSTEM_STATE, said))
        err->class = ERR_OVERLOADED;
    else if (phrase_is_in(PHRASE_AUTHENTICATION_FAILED, said) || phrase_is_in(PHRASE_HBA, said))
        err->class = ERR_FORBIDDEN;
}

static void fail_result(const PGresult *result, struct error *err)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    if (sqlstate == NULL) {
        char sentence[sizeof err->text];
        pg_sentence(sentence, sizeof sentence, PQresultErrorMessage(result));
        err_set(err, ERR_TRANSPORT, "%s", sentence);
        return;
    }
    err_set(err, pg_class_of(sqlstate), "%s%s%s (SQLSTATE %s)", message ? message : "",
            detail ? ": " : "", detail ? detail : "", sqlstate);
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate);
}

static void answer(struct pg *pg, const PGresult *result, const struct error *err)
{
    struct query *query = pg->first;
    pg->first = query->next;
    if (pg->first == NULL)
        pg->last = &pg->first;
    pg->running = false;
    event_del(pg->deadline);
    if (query->done != NULL && !pg->closed)
        query->done(query->arg, result, err);
    free(query->sql);
    free(query);
}

/* Everything that waits gets the error; the connection is of no use any more. */
static void break_down(struct pg *pg, const struct error *err)
{
    pg->broken = true;
    if (pg->io != NULL)
        event_del(pg->io);
    event_del(pg->deadline);
    pg_opened opened = pg->opened;
    pg->opened = NULL;
    if (opened != NULL && !pg->closed)
        opened(pg->arg, err);
    /* Not those that the callbacks add: they fail at the next turn of the loop. */
    for (int waiting = pg_pending(pg); waiting > 0 && !pg->closed; waiting--)
        answer(pg, NULL, err);
    PQfinish(pg->conn);
    pg->conn = NULL;
}

static void on_io(evutil_socket_t fd, short what, void *arg);

static void wait_for(struct pg *pg, short what)
{
    int fd = PQsocket(pg->conn);
    /* While connecting, libpq may change its socket: the event is made anew each time. */
    if (pg->io != NULL)
        event_free(pg->io);
    pg->io = event_new(pg->loop, fd, (short)(what | EV_PERSIST), on_io, pg);
    event_add(pg->io, NULL);
}

/* libpq says after each step what to wait for; nothing here blocks the loop. */
static void go_on_connecting(struct pg *pg)
{
    struct error err = {0};
    switch (PQconnectPoll(pg->conn)) {
    case PGRES_POLLING_READING:
        wait_for(pg, EV_READ);
        return;
    case PGRES_POLLING_WRITING:
        wait_for(pg, EV_WRITE);
        return;
    case PGRES_POLLING_OK:
        pg->ready = true;
        event_del(pg->deadline);
        PQsetnonblocking(pg->conn, 1);
        wait_for(pg, EV_READ);
        pg_opened opened = pg->opened;
        pg->opened = NULL;
        if (opened != NULL)
            opened(pg->arg, &err);
        event_active(pg->kick, 0, 0);
        return;
    default:
        fail_connection(pg, "connect", &err);
        break_down(pg, &err);
    }
}

static void start_next(struct pg *pg)
{
    struct error err = {0};
    if (!pg->ready || pg->broken || pg->closed || pg->running || pg->first == NULL)
        return;
    pg->running = true;
    pg->failure = (struct error){0};
    if (!PQsendQuery(pg->conn, pg->first->sql)) {
        fail_connection(pg, "send query", &err);
        break_down(pg, &err);
        return;
    }
    timer_arm(pg->deadline, pg->first->timeout_ms);
    wait_for(pg, PQflush(pg->conn) > 0 ? EV_READ | EV_WRITE : EV_READ);
}

static bool is_success(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}

/* True when the running query, if there is one, is answered to its end. */
static bool collect(struct pg *pg)
{
    while (!PQisBusy(pg->conn)) {
        PGresult *result = PQgetResult(pg->conn);
        if (result == NULL)
            return true;
        if (pg->failure.class == 0 && !is_success(result))
            fail_result(result, &pg->failure);
        PQclear(pg->result);
        pg->result = result;
    }
    return false;
}

static void finish_query(struct pg *pg)
{
    PGresult *result = pg->result;
    pg->result = NULL;
    struct error err = pg->failure;
    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        if (err.class == 0)
            fail_connection(pg, "query", &err);
        break_down(pg, &err);
    } else {
        answer(pg, err.class == 0 ? result : NULL, &err);
    }
    PQclear(result);
}

/* A connection that breaks while a query runs ends that query with the server's last word, not with
 * "connection closed". */
static void read_answers(struct pg *pg)
{
    struct error err = {0};
    int flushed = PQflush(pg->conn);
    if (flushed == 0 && pg->running && (event_get_events(pg->io) & EV_WRITE))
        wait_for(pg, EV_READ);
    if (!PQconsumeInput(pg->conn)) {
        /* The server's last word may be in there: "terminating connection due to ..." */
        if (collect(pg) && pg->running && pg->failure.class != 0)
            err = pg->failure;
        else
            fail_connection(pg, "connection", &err);
        break_down(pg, &err);
        return;
    }
    if (collect(pg) && pg->running)
        finish_query(pg);
    start_next(pg);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct pg *pg = arg;
    enter(pg);
    if (!pg->ready)
        go_on_connecting(pg);
    else
        read_answers(pg);
    leave(pg);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct pg *pg = arg;
    struct error err = {0};
    enter(pg);
    if (pg->conn == NULL || PQstatus(pg->conn) == CONNECTION_BAD || pg->broken) {
        fail_connection(pg, "connect", &err);
        break_down(pg, &err);
    } else if (!pg->ready) {
        if (pg->io == NULL)
            wait_for(pg, EV_WRITE); /* as PQconnectPoll wants it to begin */
    } else {
        start_next(pg);
    }
    leave(pg);
}

static void cancel(struct pg *pg)
{
#ifdef LIBPQ_HAS_ASYNC_CANCEL
    /* One non-blocking attempt: the connection is dropped anyway, and the server notices that at
     * its next read or write. */
    PGcancelConn *request = PQcancelCreate(pg->conn);
    if (request != NULL && PQcancelStart(request))
        (void)PQcancelPoll(request);
    PQcancelFinish(request);
#else
    (void)pg; /* an older libpq can only cancel by blocking: statement_timeout has to do */
#endif
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct pg *pg = arg;
    struct error err = {0};
    enter(pg);
    if (pg->ready && pg->running) {
        cancel(pg);
        err_set(&err, ERR_TIMEOUT, "no answer to a query within %d ms", pg->first->timeout_ms);
    } else {
        err_set(&err, ERR_TIMEOUT, "no connection to PostgreSQL in time");
    }
    break_down(pg, &err);
    leave(pg);
}

/* What the server says unasked; libpq's own way would be plain text on stderr. */
static void on_notice(void *arg, const PGresult *result)
{
    (void)arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    char text[4096];
    pg_sentence(text, sizeof text, message ? message : PQresultErrorMessage(result));
    log_info("PostgreSQL says", "severity", text_or_empty(severity), "sqlstate",
             text_or_empty(sqlstate), "text", text, NULL);
}

struct pg *pg_open(struct event_base *loop, const struct pg_options *options, pg_opened opened,
                   void *arg)
{
    struct pg *pg = xcalloc(1, sizeof *pg);
    pg->loop = loop;
    pg->opened = opened;
    pg->arg = arg;
    pg->last = &pg->first;
    pg->deadline = evtimer_new(loop, on_deadline, pg);
    pg->kick = event_new(loop, -1, 0, on_kick, pg);
    pg->conn = PQconnectStartParams(options->keywords, options->values, 0);
    PQsetNoticeReceiver(pg->conn, on_notice, NULL);
    timer_arm(pg->deadline, options->connect_timeout_ms);
    event_active(pg->kick, 0, 0);
    return pg;
}

void pg_query(struct pg *pg, const char *sql, int timeout_ms, pg_done done, void *arg)
{
    struct query *query = xcalloc(1, sizeof *query);
    *query =
        (struct query){.sql = xstrdup(sql), .timeout_ms = timeout_ms, .done = done, .arg = arg};
    *pg->last = query;
    pg->last = &query->next;
    event_active(pg->kick, 0, 0);
}

bool pg_usable(const struct pg *pg)
{
    return pg != NULL && !pg->broken;
}

int pg_pending(const struct pg *pg)
{
    int count = 0;
    for (const struct query *query = pg->first; query != NULL; query = query->next)
        count++;
    return count;
}

const char *pg_text(const PGresult *result, int row, const char *column)
{
    int field = PQfnumber(result, column);
    return field < 0 || row >= PQntuples(result) ? "" : PQgetvalue(result, row, field);
}
