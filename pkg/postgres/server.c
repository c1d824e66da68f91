#include "postgres/server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/timer.h"
#include "phrase/phrase.h"
#include "postgres/cause.h"

enum { FIRST_LOOK_MS = 10, SLOWEST_LOOK_MS = 250, KILL_AFTER_MS = 5000, SETTLE_MS = 50 };

struct server {
    struct event_base *loop;
    struct children *children;
    struct server_handlers handlers;
    enum server_state state;
    struct child *postmaster;
    struct event *look, *deadline;
    int look_ms;
    bool asked, quit_sent;
    bool killed; /* SIGKILL was sent to all of it */
    char pidfile[1024];
    char last_error[512]; /* last FATAL or PANIC, with the ERROR or LOG that explains it */
    char died[256];       /* of which process the postmaster said last how it ended */
    bool reinitializing;  /* ... and that all others end for it */
};

/* One log stream a postmaster: it lives until the last backend has closed the pipe. */
struct stream {
    struct server *server;
    struct logs *logs;
    struct event *settle;
};

static void set_state(struct server *server, enum server_state state)
{
    if (server->state == state)
        return;
    server->state = state;
    server->handlers.changed(server->handlers.arg);
}

void server_pidfile_status(const char *text, pid_t expected, char *ret_status, size_t size)
{
    ret_status[0] = '\0';
    if (strtol(text, NULL, 10) != expected)
        return; /* of an earlier postmaster */
    for (int line = 1; line < 8 && text != NULL; line++) {
        text = strchr(text, '\n');
        text += text != NULL;
    }
    if (text != NULL)
        snprintf(ret_status, size, "%.*s", (int)strcspn(text, " \r\n"), text);
}

/* Reading a line of a file every few milliseconds costs next to nothing, works in every image, and
 * unlike connection attempts does not fork a backend each time. */
static void look_at_pidfile(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct server *server = arg;
    char text[1024] = "", status[16];
    AUTO_FD file = open(server->pidfile, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, text, sizeof text - 1) > 0) {
        server_pidfile_status(text, child_pid(server->postmaster), status, sizeof status);
        if (strcmp(status, "standby") == 0 || strcmp(status, "ready") == 0) {
            set_state(server, SERVER_UP);
            return;
        }
    }
    if (server->look_ms < SLOWEST_LOOK_MS)
        server->look_ms += server->look_ms / 8 + 1;
    timer_arm(server->look, server->look_ms);
}

/* First SIGQUIT, which postgres obeys at once and recovers from at its next start; SIGKILL only
 * when that did not end it. Backends whose postmaster is gone get the signal, too: a new postmaster
 * must not start while they hold the shared memory. */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct server *server = arg;
    int signal = server->quit_sent ? SIGKILL : SIGQUIT;
    log_warning("postgres did not stop in time", "signal",
                signal == SIGKILL ? "SIGKILL" : "SIGQUIT", NULL);
    server->quit_sent = true;
    server->killed = signal == SIGKILL;
    if (server->killed) {
        children_kill(server->children, server->postmaster);
    } else {
        if (server->postmaster != NULL)
            child_signal(server->postmaster, signal);
        children_strays(server->children, "postgres", signal);
    }
    timer_arm(server->deadline, KILL_AFTER_MS);
}

struct server *server_new(struct event_base *loop, struct children *children,
                          const struct server_handlers *handlers)
{
    struct server *server = xcalloc(1, sizeof *server);
    server->loop = loop;
    server->children = children;
    server->handlers = *handlers;
    server->look = evtimer_new(loop, look_at_pidfile, server);
    server->deadline = evtimer_new(loop, on_deadline, server);
    return server;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    event_free(server->look);
    event_free(server->deadline);
    free(server);
}

static void write_line(void *arg, const char *json, size_t length)
{
    (void)arg;
    log_raw_line(json, length);
}

/* What the postmaster says when one of its processes takes all others with it. What a session
 * writes has its own kind of process in the line, never the postmaster's. */
static void on_postmaster(struct server *server, const char *text)
{
    char why[sizeof server->died + sizeof server->last_error + 8];
    if (phrase_is_in(PHRASE_ALL_TERMINATING, text)) {
        server->reinitializing = true;
    } else if (phrase_is_in(PHRASE_REINITIALIZING, text)) {
        snprintf(why, sizeof why, "%s%s%s", server->died, *server->last_error ? ": " : "",
                 server->last_error);
        server->handlers.recovered(server->handlers.arg, why);
        server->reinitializing = false;
        server->died[0] = server->last_error[0] = '\0'; /* the next one has its own message */
    } else if (phrase_is_in(PHRASE_PROCESS_ENDED, text) && !server->reinitializing) {
        snprintf(server->died, sizeof server->died, "%s", text);
    }
}

/* Keeps what explains a crash: the FATAL or PANIC; for a configuration that cannot be loaded, the
 * LOG lines before it name the culprit. */
static void on_message(void *arg, const struct logs_message *message)
{
    struct stream *stream = arg;
    struct server *server = stream->server;
    const char *severity = message->severity, *text = message->text;
    bool fatal = strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
    if (strcmp(message->backend, "postmaster") == 0 && strcmp(severity, "LOG") == 0)
        on_postmaster(server, text);
    if (fatal || strcmp(message->sqlstate, SQLSTATE_DISK_FULL) == 0)
        server->handlers.fatal(server->handlers.arg, message);
    bool leads_there = !fatal && server->state == SERVER_STARTING && cause_is_of_server(message) &&
                       (strcmp(severity, "ERROR") == 0 || phrase_is_in(PHRASE_INVALID, text) ||
                        phrase_is_in(PHRASE_COULD_NOT, text));
    if (!leads_there && !cause_is_named_by(message))
        return;
    size_t used = strlen(server->last_error);
    if (used > sizeof server->last_error / 2)
        used = 0; /* the newest lines tell the most */
    snprintf(server->last_error + used, sizeof server->last_error - used, "%s%s:  %s",
             used ? "; " : "", severity, text);
    text_one_line(server->last_error);
}

static void on_settle(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct stream *stream = arg;
    logs_settle(stream->logs);
}

static void on_output(void *arg, const char *data, size_t length)
{
    struct stream *stream = arg;
    logs_feed(stream->logs, data, length);
    if (logs_pending(stream->logs))
        timer_arm(stream->settle, SETTLE_MS);
}

static void on_closed(void *arg)
{
    struct stream *stream = arg;
    event_free(stream->settle);
    logs_free(stream->logs);
    free(stream);
}

static void settle_down(struct server *server)
{
    if (children_strays(server->children, "postgres", 0) > 0)
        return;
    event_del(server->deadline);
    server->asked = server->quit_sent = server->killed = false;
    set_state(server, SERVER_DOWN);
}

void server_check_strays(struct server *server)
{
    if (server->state == SERVER_STOPPING && server->postmaster == NULL)
        settle_down(server);
}

static void describe_end(char *text, size_t size, int status, const char *last_error)
{
    if (WIFSIGNALED(status))
        snprintf(text, size, "postgres was killed by signal %d%s%s", WTERMSIG(status),
                 *last_error ? ": " : "", last_error);
    else
        snprintf(text, size, "postgres exited with code %d%s%s", WEXITSTATUS(status),
                 *last_error ? ": " : "", last_error);
}

/* The end of the postmaster is not the end of postgres: its backends are waited for, too. */
static void on_ended(void *arg, const struct child_result *result)
{
    struct stream *stream = arg;
    struct server *server = stream->server;
    logs_settle(stream->logs); /* so that the last line is known before the crash is told */
    event_del(server->look);
    server->postmaster = NULL;
    bool was_up = server->state == SERVER_UP, asked = server->asked;
    if (!asked) {
        char why[768];
        describe_end(why, sizeof why, result->status, server->last_error);
        server->handlers.crashed(server->handlers.arg, why, was_up);
    }
    /* Backends notice the postmaster's death only at their next wait; a new postmaster cannot start
     * beside them. Each has its own session: no signal to a group reaches them. */
    int signal = server->killed ? SIGKILL : SIGQUIT;
    if (children_strays(server->children, "postgres", signal) > 0) {
        server->quit_sent = true;
        timer_arm(server->deadline, KILL_AFTER_MS);
    }
    set_state(server, SERVER_STOPPING);
    server_check_strays(server);
}

static struct stream *stream_new(struct server *server, const char *mark)
{
    struct stream *stream = xcalloc(1, sizeof *stream);
    struct logs_handlers handlers = {.line = write_line, .message = on_message, .arg = stream};
    stream->server = server;
    stream->logs = logs_new("postgres", mark, &handlers);
    stream->settle = evtimer_new(server->loop, on_settle, stream);
    return stream;
}

static void remove_socket_locks(const struct server_start *start)
{
    /* Under the volume's lock no other process can own them; a stale one names a pid that may be
     * alive as something else in a restarted container. */
    char path[1024];
    snprintf(path, sizeof path, "%s/.s.PGSQL.%d", start->run_dir, start->port);
    unlink(path);
    snprintf(path, sizeof path, "%s/.s.PGSQL.%d.lock", start->run_dir, start->port);
    unlink(path);
}

/* What no configuration file may change is on the command line. */
int server_start(struct server *server, const struct server_start *start, struct error *err)
{
    AUTO_ARENA arena = arena_new();
    const char *config = arena_printf(arena, "config_file=%s/postgresql.conf", start->run_dir);
    char mark[LOGS_MARK_LENGTH + 1];
    if (logs_new_mark(mark, err) < 0)
        return err->class;
    /* On the command line no ALTER SYSTEM can change it, and the very first line has it. */
    const char *prefix = arena_printf(arena, "log_line_prefix=%s", logs_line_prefix(arena, mark));
    const char *argv[] = {start->postgres, "-D", start->pgdata, "-c", config, "-c", prefix, NULL};
    const char *env[] = {"LC_ALL=C", NULL};
    struct stream *stream = stream_new(server, mark);
    struct child_spec spec = {.name = "postgres",
                              .argv = argv,
                              .env = env,
                              .death_signal = SIGQUIT,
                              .keep_fd = start->lock_fd,
                              .output = on_output,
                              .stream = true,
                              .apart = true,
                              .closed = on_closed,
                              .ended = on_ended,
                              .arg = stream};
    remove_socket_locks(start);
    if (child_start(server->children, &spec, &server->postmaster, err) < 0) {
        on_closed(stream);
        return err->class;
    }
    logs_in_writes(stream->logs, child_writes_apart(server->postmaster));
    snprintf(server->pidfile, sizeof server->pidfile, "%s/postmaster.pid", start->pgdata);
    server->last_error[0] = server->died[0] = '\0';
    server->reinitializing = false;
    server->asked = server->quit_sent = server->killed = false;
    server->look_ms = FIRST_LOOK_MS;
    timer_arm(server->look, FIRST_LOOK_MS);
    set_state(server, SERVER_STARTING);
    return 0;
}

void server_reload(struct server *server)
{
    if (server->postmaster != NULL)
        child_signal(server->postmaster, SIGHUP);
}

void server_stop(struct server *server, int timeout_ms)
{
    if (server->postmaster == NULL || server->asked)
        return;
    server->asked = true;
    event_del(server->look);
    child_signal(server->postmaster, SIGINT);
    timer_arm(server->deadline, timeout_ms);
    set_state(server, SERVER_STOPPING);
}

void server_stop_immediately(struct server *server)
{
    if (server->postmaster == NULL || server->quit_sent)
        return;
    server->asked = server->quit_sent = true;
    event_del(server->look);
    child_signal(server->postmaster, SIGQUIT);
    timer_arm(server->deadline, KILL_AFTER_MS);
    set_state(server, SERVER_STOPPING);
}

bool server_quits(const struct server *server)
{
    return server->state == SERVER_STOPPING && server->quit_sent;
}

enum server_state server_state(const struct server *server)
{
    return server->state;
}
