/* The steps that take time, one at a time, each a chain of child processes: what is common to them,
 * and the short ones. Those that fill a volume are in fill.c. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "api/reasons.h"
#include "instance/agent.h"

enum {
    FIRST_PAUSE_MS = 500,
    LONGEST_PAUSE_MS = 10000,
    PROMOTE_LOOK_MS = 200,
    RETIRE_LONGEST_PAUSE_MS = 300000,
};

static const struct {
    const char *name;
    const char *phase; /* NULL: that of a server which runs, or is to be started */
} jobs[JOB_KINDS] = {
    [JOB_NONE] = {"", ""},
    [JOB_FIND_BINARIES] = {"find-binaries", "Starting"},
    [JOB_DISCARD] = {"discard", "Starting"},
    [JOB_RETIRE] = {"retire", "Cloning"},
    [JOB_INITDB] = {"initdb", "Initializing"},
    [JOB_CLONE] = {"clone", "Cloning"},
    [JOB_READ_CONTROL] = {"read-control", NULL},
    [JOB_RECORD] = {"record", NULL},
    [JOB_MAKE_STANDBY] = {"make-standby", "Starting"},
    [JOB_CONFIGURE] = {"configure", "Starting"},
    [JOB_RELOAD] = {"reload", "Running"},
    [JOB_ACCEPT] = {"accept", "Running"},
    [JOB_PROMOTE] = {"promote", "Running"},
    [JOB_RESTART] = {"restart", "Restarting"},
};

const char *job_name(enum job_kind kind)
{
    return jobs[kind].name;
}

void job_begin(struct agent *agent, enum job_kind kind, int64_t now_ms)
{
    const char *phase = jobs[kind].phase;
    if (phase == NULL)
        phase = server_state(agent->server) == SERVER_UP ? "Running" : "Starting";
    agent->job = (struct job){.kind = kind, .phase = phase, .started_ms = now_ms};
}

void job_end(struct agent *agent)
{
    AUTO_ARENA arena = arena_new();
    log_info("step ended", "step", job_name(agent->job.kind), "ms",
             arena_printf(arena, "%lld", (long long)(clock_boot_ms() - agent->job.started_ms)),
             NULL);
    agent->job.kind = JOB_NONE;
    restart_end(agent);
    agent_run_soon(agent);
}

void job_cancel(struct agent *agent)
{
    /* Every kind of job can be interrupted anywhere. */
    if (agent->job.child != NULL)
        child_signal_all(agent->job.child, SIGKILL);
    else
        job_end(agent);
}

static void on_ended(void *arg, const struct child_result *result)
{
    struct agent *agent = arg;
    agent->job.child = NULL;
    agent->job.next(agent, result);
}

static void start(struct agent *agent, struct child_spec *spec,
                  void (*next)(struct agent *agent, const struct child_result *result))
{
    struct child_result failed = {.output = ""};
    agent->job.next = next;
    spec->name = job_name(agent->job.kind);
    spec->ended = on_ended;
    spec->arg = agent;
    spec->keep_fd = agent->observed.lock_fd;
    if (child_start(agent->children, spec, &agent->job.child, &failed.err) < 0)
        next(agent, &failed);
}

void job_program(struct agent *agent, const char *const *argv,
                 void (*output)(void *agent, const char *data, size_t length),
                 void (*next)(struct agent *agent, const struct child_result *result))
{
    /* Without TZ initdb compares the system's clock with every time zone there is. */
    static const char *const env[] = {"LC_ALL=C", "TZ=UTC", NULL};
    struct child_spec spec = {.argv = argv, .env = env, .output = output};
    start(agent, &spec, next);
}

void job_task(struct agent *agent, int (*task)(void *agent, struct error *err),
              void (*next)(struct agent *agent, const struct child_result *result))
{
    struct child_spec spec = {.task = task, .task_arg = agent};
    start(agent, &spec, next);
}

/* ---- what is there ---- */

static void on_binaries(void *arg, const struct binaries *binaries, const struct error *err)
{
    struct agent *agent = arg;
    agent->observed.binaries_known = binaries != NULL ? KNOWN_GOOD : KNOWN_BAD;
    agent->observed.binaries_error = *err;
    if (settings_view(agent->settings)->config.postgres_version !=
        agent->observed.binaries_wanted) {
        agent->observed.binaries_known = KNOWN_NOT_YET; /* that answered an earlier question */
    } else if (binaries != NULL) {
        agent->observed.binaries = *binaries;
        log_info("PostgreSQL found", "version", binaries->version, "folder", binaries->dir, NULL);
    } else {
        log_failure(err, "this image cannot be used", NULL);
    }
    job_end(agent);
}

void job_find_binaries(struct agent *agent, int64_t now_ms)
{
    struct error err = {0};
    agent->observed.binaries_wanted = settings_view(agent->settings)->config.postgres_version;
    job_begin(agent, JOB_FIND_BINARIES, now_ms);
    if (binaries_find(agent->children, "", agent->observed.binaries_wanted, on_binaries, agent,
                      &err) < 0)
        on_binaries(agent, NULL, &err);
}

static const char *state_name(enum volume_state state)
{
    static const char *const names[] = {[VOLUME_UNKNOWN] = "unknown",
                                        [VOLUME_EMPTY] = "empty",
                                        [VOLUME_UNFINISHED] = "unfinished",
                                        [VOLUME_DATA] = "data",
                                        [VOLUME_FOREIGN] = "foreign"};
    return names[state];
}

static void read_retired_at(const struct volume *volume, struct observed *observed, int64_t wall_ms)
{
    struct error err = {0};
    if (volume_retired_at(volume, &observed->retired_at_ms, &err) == 0)
        return;
    log_failure(&err,
                "the time of the last clone cannot be read: this copy is kept for at least an hour",
                NULL);
    observed->retired_at_ms = wall_ms;
}

/* A few system calls on the volume's own folders: not worth a process. */
void job_inspect(struct agent *agent, int64_t now_ms, int64_t wall_ms)
{
    struct error err = {0};
    enum volume_state state = VOLUME_UNKNOWN;
    agent->observed.control_known = agent->observed.control_seen = false;
    read_retired_at(&agent->volume, &agent->observed, wall_ms);
    if (volume_record_read(&agent->volume, &agent->observed.record, &err) < 0 ||
        volume_inspect(&agent->volume, &state, &err) < 0) {
        state = VOLUME_UNKNOWN;
        snprintf(err.reason, sizeof err.reason, REASON_VOLUME_UNREADABLE);
    }
    agent->observed.state = state;
    agent->observed.standby_signal = volume_is_standby(&agent->volume);
    if (err.class != 0)
        agent_note_trouble(agent, &agent->troubles.volume, err.reason, err.text, LONGEST_PAUSE_MS,
                           LONGEST_PAUSE_MS, now_ms);
    else
        agent_forget_trouble(&agent->troubles.volume);
    log_info("volumes inspected", "state", state_name(state), "role",
             volume_role_name(agent->observed.record.role), NULL);
    agent_run_soon(agent);
}

static ERR_CHECKED int discard(void *arg, struct error *err)
{
    return volume_discard(&((struct agent *)arg)->volume, err);
}

static void after_discard(struct agent *agent, const struct child_result *result)
{
    agent->observed.state = VOLUME_UNKNOWN;
    if (result->err.class != 0 && !agent->stopping)
        agent_note_trouble(agent, &agent->troubles.volume, REASON_VOLUME_UNREADABLE,
                           result->err.text, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, clock_boot_ms());
    job_end(agent);
}

void job_discard(struct agent *agent, int64_t now_ms)
{
    job_begin(agent, JOB_DISCARD, now_ms);
    job_task(agent, discard, after_discard);
}

static ERR_CHECKED int retire(void *arg, struct error *err)
{
    struct agent *agent = arg;
    return volume_retire(&agent->volume, agent->observed.retired_at_ms, err);
}

static void after_retire(struct agent *agent, const struct child_result *result)
{
    agent->observed.state = VOLUME_UNKNOWN;
    agent->run.wal_gone_proven = false;
    if (result->err.class == 0) {
        agent->run.refusal = (struct refusal){0};
        agent_forget_trouble(&agent->troubles.retire);
    } else if (!agent->stopping) {
        /* The copy may be read meanwhile, and postgres says more of what is amiss. */
        agent_note_trouble(agent, &agent->troubles.retire, REASON_WAL_GONE, result->err.text,
                           LONGEST_PAUSE_MS, RETIRE_LONGEST_PAUSE_MS, clock_boot_ms());
        survey_look_now(agent->survey); /* was it for want of room? */
    }
    job_end(agent);
}

void job_retire(struct agent *agent, int64_t now_ms, int64_t wall_ms)
{
    log_warning("the primary has removed WAL that this replica needs: its copy is removed, and the "
                "primary is cloned again",
                NULL);
    agent_forget_trouble(&agent->troubles.stream);
    agent->observed.retired_at_ms = wall_ms;
    job_begin(agent, JOB_RETIRE, now_ms);
    job_task(agent, retire, after_retire);
}

static void log_control(const struct agent *agent, const struct controldata *before)
{
    bool same_limits =
        memcmp(before->limits, agent->observed.control.limits, sizeof before->limits) == 0;
    if (server_state(agent->server) == SERVER_DOWN || !same_limits)
        log_info("data directory read", "system", agent->observed.control.system_identifier,
                 "state", agent->observed.control.state, NULL);
}

static void after_control(struct agent *agent, const struct child_result *result)
{
    struct controldata before = agent->observed.control;
    struct error err = result->err;
    agent->observed.control_read_ms = clock_boot_ms();
    agent->config.dirty = true; /* a standby's file follows what its data needs */
    if (err.class == 0 && controldata_parse(result->output, &agent->observed.control, &err) == 0) {
        agent->observed.control_known = agent->observed.control_seen = true;
        agent->observed.control_written_ns = agent->observed.next_control_written_ns;
        log_control(agent, &before);
    } else if (server_state(agent->server) != SERVER_DOWN) {
        /* Before a start it is read again in any case. */
        log_warning("the limits that the data requires cannot be read", "error", err.text, NULL);
    } else if (!agent->stopping) {
        agent_note_trouble(agent, &agent->troubles.start, REASON_DATA_INVALID, err.text,
                           FIRST_PAUSE_MS, LONGEST_PAUSE_MS, clock_boot_ms());
    }
    job_end(agent);
}

void job_read_control(struct agent *agent, int64_t now_ms)
{
    AUTO_ARENA arena = arena_new();
    const char *argv[] = {arena_printf(arena, "%s/pg_controldata", agent->observed.binaries.dir),
                          agent->volume.pgdata, NULL};
    agent->observed.next_control_written_ns = survey_control_written_ns(agent->survey);
    job_begin(agent, JOB_READ_CONTROL, now_ms);
    job_program(agent, argv, NULL, after_control);
}

/* ---- before a start ---- */

static ERR_CHECKED int write_record(void *arg, struct error *err)
{
    struct agent *agent = arg;
    return volume_record_replace(&agent->volume, &agent->observed.record,
                                 &agent->observed.next_record, err);
}

static void note_volume_trouble(struct agent *agent, const struct error *err)
{
    agent_note_trouble(agent, &agent->troubles.start, REASON_VOLUME_UNREADABLE, err->text,
                       FIRST_PAUSE_MS, LONGEST_PAUSE_MS, clock_boot_ms());
    survey_look_now(agent->survey);
}

/* The machine decides again, with what the volume says. */
static void adopt_record(struct agent *agent, const struct error *conflict)
{
    struct error err;
    log_failure(conflict, "the record on the volume belongs to another pod", NULL);
    if (volume_record_read(&agent->volume, &agent->observed.record, &err) < 0)
        note_volume_trouble(agent, &err);
}

static void after_record(struct agent *agent, const struct child_result *result)
{
    if (result->err.class == 0)
        agent->observed.record = agent->observed.next_record;
    else if (result->err.class == ERR_CONFLICT)
        adopt_record(agent, &result->err);
    else
        note_volume_trouble(agent, &result->err);
    job_end(agent);
}

void job_record(struct agent *agent, struct volume_record record, int64_t now_ms)
{
    agent->observed.next_record = record;
    job_begin(agent, JOB_RECORD, now_ms);
    job_task(agent, write_record, after_record);
}

static ERR_CHECKED int make_standby(void *arg, struct error *err)
{
    return volume_make_standby(&((struct agent *)arg)->volume, err);
}

static void after_make_standby(struct agent *agent, const struct child_result *result)
{
    if (result->err.class == 0)
        agent->observed.standby_signal = agent->config.dirty = true;
    else
        note_volume_trouble(agent, &result->err);
    job_end(agent);
}

void job_make_standby(struct agent *agent, int64_t now_ms)
{
    job_begin(agent, JOB_MAKE_STANDBY, now_ms);
    job_task(agent, make_standby, after_make_standby);
}

/* ---- a running server ---- */

static void on_promote_look(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct agent *agent = arg;
    if (agent->job.kind == JOB_PROMOTE)
        job_end(agent);
}

static void after_promote(void *arg, const PGresult *result, const struct error *err)
{
    (void)result;
    struct agent *agent = arg;
    if (agent->job.kind != JOB_PROMOTE)
        return;
    if (err->class != 0)
        log_failure(err, "the promotion failed", NULL);
    monitor_poll_now(agent->monitor);
    /* The machine then looks again: promoted, or to be asked again. */
    timer_once(agent->loop, PROMOTE_LOOK_MS, on_promote_look, agent);
}

void job_promote(struct agent *agent, int64_t now_ms)
{
    job_begin(agent, JOB_PROMOTE, now_ms);
    monitor_query(agent->monitor, "select pg_promote(false)", 10000, after_promote, agent);
}
