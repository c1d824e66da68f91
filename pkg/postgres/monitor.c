#include "postgres/monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "loop/timer.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    QUERY_TIMEOUT_MS = 5000,
    QUICK_PERIOD_MS = 200,
    RECONNECT_MS = 200,
    PENDING_EVERY = 20, /* polls: ALTER SYSTEM and a reload by hand are seen, too, if later */
};

struct monitor {
    struct event_base *loop;
    struct pg *pg;
    struct event *tick;
    void (*changed)(void *arg);
    void *arg;
    char socket_dir[512], port[16];
    bool started, asking;
    int period_ms, polls;
    struct monitor_view view;
};

/* Where the oldest WAL on disk begins. A slot's own restart_lsn may lie before it: a replica that
 * is refused its WAL can move it back (17.12), and the server calls that "reserved" as long as
 * max_wal_size would allow for it. Segments are removed in their order, on any timeline
 * (https://www.postgresql.org/docs/current/view-pg-replication-slots.html). */
#define OLDEST_WAL                                                                                 \
    "select (substr(name, 1, 8) || '/' || to_hex(('x' || substr(name, 9))::bit(32)::bigint"        \
    "  * pg_size_bytes(current_setting('wal_segment_size'))))::pg_lsn"                             \
    " from (select min(substr(name, 9)) as name from pg_ls_waldir()"                               \
    "  where name ~ '^[0-9A-F]{24}$') first where name is not null"

/* One row a fact; a union, so that it is one round trip and one snapshot. */
static const char poll_sql[] =
    "select 'self' as kind, pg_is_in_recovery()::text as a,"
    " (case when pg_is_in_recovery() then coalesce(pg_last_wal_replay_lsn(), '0/0')"
    "  else pg_current_wal_lsn() end)::text as b,"
    " (case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())"
    "  else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end)::text"
    " as c, extract(epoch from pg_conf_load_time())::text as d"
    " union all select 'receiver', status, coalesce(received_tli, 0)::text, pid::text,"
    " (last_msg_send_time is distinct from last_msg_receipt_time)::text from pg_stat_wal_receiver"
    " union all select 'replica', application_name, state,"
    " coalesce(pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn()"
    "  else pg_current_wal_lsn() end, replay_lsn), -1)::text, '' from pg_stat_replication"
    " union all select 'have', greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text,"
    " '', '', '' where pg_is_in_recovery()"
    " union all select 'slot', slot_name, coalesce(wal_status, ''), active::text,"
    " coalesce(case when active or restart_lsn is null then restart_lsn"
    "  else greatest(restart_lsn, (" OLDEST_WAL ")) end::text, '')"
    " from pg_replication_slots where slot_type = 'physical'";

/* What the file asks for and the server has not: its own mark alone is not to be trusted, for it
 * stays on what was put into the file and taken out again before it ever was in effect
 * (https://www.postgresql.org/docs/current/view-pg-settings.html). And the transactions for which a
 * lowered max_prepared_transactions has no room: the server would not start beside them. */
const char monitor_pending_sql[] =
    "with asked as (select distinct on (lower(name)) lower(name) as name, setting"
    "  from pg_file_settings where name is not null order by lower(name), seqno desc),"
    " waiting as (select s.name from pg_settings s left join asked on asked.name = lower(s.name)"
    "  where s.pending_restart and (asked.name is not null"
    "   or (s.source = 'configuration file' and s.setting is distinct from s.boot_val))),"
    " room as (select coalesce(case when setting ~ '^[0-9]{1,6}$' then setting::int end, 0) as n"
    "  from (values ('max_prepared_transactions')) wanted (name) left join asked using (name)"
    "  where name in (select name from waiting)),"
    " held as (select gid, owner, database, prepared, count(*) over () as n"
    "  from pg_prepared_xacts order by prepared limit 1)"
    " select case when found then (select coalesce(string_agg(name, ', ' order by name), '')"
    "  from waiting) else '' end as names,"
    " coalesce(case when found then (select format('max_prepared_transactions = %s leaves no room "
    "for the %s prepared transactions: the restart is withheld. The oldest is %L of role %I in"
    " database %I, prepared %s ago: end them with COMMIT PREPARED or ROLLBACK PREPARED, or raise"
    " spec.postgres.parameters.max_prepared_transactions', room.n, held.n, gid, owner, database,"
    "  date_trunc('second', clock_timestamp() - prepared)) from room, held where held.n > room.n)"
    " end, '') as held"
    " from (select exists (select from pg_settings where pending_restart)) any_mark (found)";

static void read_replica(const PGresult *result, int row, struct monitor_view *view)
{
    if (view->replica_count == MONITOR_PEERS_MAX)
        return;
    struct monitor_replica *replica = &view->replicas[view->replica_count++];
    snprintf(replica->name, sizeof replica->name, "%s", pg_text(result, row, "a"));
    snprintf(replica->state, sizeof replica->state, "%s", pg_text(result, row, "b"));
    replica->lag_bytes = strtoll(pg_text(result, row, "c"), NULL, 10);
}

static void read_slot(const PGresult *result, int row, struct monitor_view *view)
{
    if (view->slot_count == MONITOR_PEERS_MAX)
        return;
    struct monitor_slot *slot = &view->slots[view->slot_count++];
    snprintf(slot->name, sizeof slot->name, "%s", pg_text(result, row, "a"));
    snprintf(slot->wal_status, sizeof slot->wal_status, "%s", pg_text(result, row, "b"));
    snprintf(slot->restart_lsn, sizeof slot->restart_lsn, "%s", pg_text(result, row, "d"));
    slot->active = strcmp(pg_text(result, row, "c"), "true") == 0;
}

void monitor_read(const PGresult *result, struct monitor_view *view)
{
    int received_timeline = 0, receiver_pid = 0;
    view->replica_count = view->slot_count = 0;
    view->streaming = view->receiver_heard = false;
    view->have_lsn[0] = '\0';
    for (int row = 0; row < PQntuples(result); row++) {
        const char *kind = pg_text(result, row, "kind");
        if (strcmp(kind, "self") == 0) {
            view->in_recovery = strcmp(pg_text(result, row, "a"), "true") == 0;
            snprintf(view->lsn, sizeof view->lsn, "%s", pg_text(result, row, "b"));
            view->timeline = (int)strtol(pg_text(result, row, "c"), NULL, 10);
            view->loaded_at = strtod(pg_text(result, row, "d"), NULL);
        } else if (strcmp(kind, "receiver") == 0) {
            view->streaming = strcmp(pg_text(result, row, "a"), "streaming") == 0;
            received_timeline = (int)strtol(pg_text(result, row, "b"), NULL, 10);
            /* It begins with both times alike; from the first message on one is the primary's. */
            view->receiver_heard = strcmp(pg_text(result, row, "d"), "true") == 0;
            receiver_pid = view->streaming ? (int)strtol(pg_text(result, row, "c"), NULL, 10) : 0;
        } else if (strcmp(kind, "replica") == 0) {
            read_replica(result, row, view);
        } else if (strcmp(kind, "have") == 0) {
            snprintf(view->have_lsn, sizeof view->have_lsn, "%s", pg_text(result, row, "a"));
        } else if (strcmp(kind, "slot") == 0) {
            read_slot(result, row, view);
        }
    }
    if (view->in_recovery && received_timeline > view->timeline)
        view->timeline = received_timeline; /* the control file follows at the next checkpoint */
    /* A WAL receiver calls itself streaming before the primary has answered it, and ends when it is
     * refused: one that is met twice was not. */
    view->streamed |= receiver_pid != 0 && receiver_pid == view->receiver_pid;
    view->receiver_pid = receiver_pid;
}

static void schedule(struct monitor *monitor, int ms)
{
    if (monitor->started)
        timer_arm(monitor->tick, ms);
}

static void notify(struct monitor *monitor)
{
    monitor->changed(monitor->arg);
}

static void fail(struct monitor *monitor, const struct error *err)
{
    monitor->view.trouble = *err;
    monitor->asking = false;
    schedule(monitor, RECONNECT_MS);
    notify(monitor);
}

static void on_pending(void *arg, const PGresult *result, const struct error *err)
{
    struct monitor *monitor = arg;
    if (err->class != 0)
        return; /* the poll behind it fails as well and tells */
    struct monitor_view *view = &monitor->view;
    const char *names = pg_text(result, 0, "names");
    view->pending_known = true;
    view->pending_restart = names[0] != '\0';
    snprintf(view->pending_parameters, sizeof view->pending_parameters, "%s", names);
    snprintf(view->pending_held, sizeof view->pending_held, "%s", pg_text(result, 0, "held"));
}

/* A receiver counts from the look that met its process first: one that was started again in between
 * has not streamed all the while. */
static void on_poll(void *arg, const PGresult *result, const struct error *err)
{
    struct monitor *monitor = arg;
    if (err->class != 0) {
        fail(monitor, err);
        return;
    }
    struct monitor_view *view = &monitor->view;
    int receiver_before = view->receiver_pid;
    monitor_read(result, view);
    view->trouble = (struct error){0};
    view->answered = true;
    view->answered_ms = clock_boot_ms();
    if (view->receiver_pid == 0)
        view->receiver_since_ms = 0;
    else if (view->receiver_pid != receiver_before)
        view->receiver_since_ms = view->answered_ms;
    monitor->asking = false;
    schedule(monitor, monitor->period_ms);
    notify(monitor);
}

static void on_opened(void *arg, const struct error *err)
{
    if (err->class != 0)
        fail(arg, err);
}

struct pg *monitor_open(const struct monitor *monitor, const char *application,
                        const char *settings, pg_opened opened, void *arg)
{
    AUTO_ARENA arena = arena_new();
    static const char *const keywords[] = {
        "host",    "port",       "user",     "dbname",  "application_name",
        "sslmode", "gssencmode", "passfile", "options", NULL};
    /* These queries must not fill a log that records every statement. */
    static const char quiet[] =
        "-c log_statement=none -c log_duration=off -c log_min_duration_statement=-1"
        " -c log_min_duration_sample=-1 -c search_path=pg_catalog"
        " -c pg_stat_statements.track=none";
    const char *values[] = {monitor->socket_dir,
                            monitor->port,
                            "postgres",
                            "postgres",
                            application,
                            "disable",
                            "disable",
                            "/dev/null/none",
                            arena_printf(arena, "%s%s", quiet, settings),
                            NULL};
    struct pg_options options = {keywords, values, CONNECT_TIMEOUT_MS};
    return pg_open(monitor->loop, &options, opened, arg);
}

static void open_connection(struct monitor *monitor)
{
    pg_close(monitor->pg);
    /* The server's own deadline stands below ours, so that a slow query ends there, too. */
    monitor->pg =
        monitor_open(monitor, "pgkeel-agent", " -c statement_timeout=4500", on_opened, monitor);
}

static void poll(struct monitor *monitor)
{
    if (!monitor->started || monitor->asking)
        return;
    if (!pg_usable(monitor->pg))
        open_connection(monitor);
    monitor->asking = true;
    bool held = monitor->view.pending_held[0] != '\0';
    if (!monitor->view.pending_known || held || ++monitor->polls % PENDING_EVERY == 0)
        pg_query(monitor->pg, monitor_pending_sql, QUERY_TIMEOUT_MS, on_pending, monitor);
    pg_query(monitor->pg, poll_sql, QUERY_TIMEOUT_MS, on_poll, monitor);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    poll(arg);
}

struct monitor *monitor_new(struct event_base *loop, const char *socket_dir, int port,
                            void (*changed)(void *arg), void *arg)
{
    struct monitor *monitor = xcalloc(1, sizeof *monitor);
    monitor->loop = loop;
    monitor->changed = changed;
    monitor->arg = arg;
    monitor->period_ms = QUICK_PERIOD_MS;
    monitor->tick = evtimer_new(loop, on_tick, monitor);
    snprintf(monitor->socket_dir, sizeof monitor->socket_dir, "%s", socket_dir);
    snprintf(monitor->port, sizeof monitor->port, "%d", port);
    return monitor;
}

void monitor_free(struct monitor *monitor)
{
    if (monitor == NULL)
        return;
    pg_close(monitor->pg);
    event_free(monitor->tick);
    free(monitor);
}

void monitor_start(struct monitor *monitor)
{
    if (monitor->started)
        return;
    monitor->started = true;
    monitor->period_ms = QUICK_PERIOD_MS;
    poll(monitor);
}

void monitor_stop(struct monitor *monitor)
{
    pg_close(monitor->pg);
    monitor->pg = NULL;
    monitor->started = monitor->asking = false;
    event_del(monitor->tick);
    monitor->view = (struct monitor_view){0};
}

void monitor_set_period(struct monitor *monitor, int period_ms)
{
    if (monitor->period_ms == period_ms)
        return;
    monitor->period_ms = period_ms;
    if (!monitor->asking)
        schedule(monitor, period_ms);
}

void monitor_poll_now(struct monitor *monitor)
{
    if (!monitor->asking)
        schedule(monitor, 0);
}

void monitor_forget_pending(struct monitor *monitor)
{
    monitor->view.pending_known = false;
}

const struct monitor_view *monitor_view(const struct monitor *monitor)
{
    return &monitor->view;
}

void monitor_query(struct monitor *monitor, const char *sql, int timeout_ms, pg_done done,
                   void *arg)
{
    if (!pg_usable(monitor->pg))
        open_connection(monitor);
    pg_query(monitor->pg, sql, timeout_ms, done, arg);
}
