#include "instance/agent.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/names.h"
#include "api/reasons.h"
#include "base/file.h"
#include "base/memory.h"
#include "instance/metrics.h"
#include "loop/pause.h"
#include "member/mounts.h"
#include "metrics/process.h"
#include "postgres/certificate.h"
#include "volume/tree.h"

enum {
    STEPS_PER_TURN = 32,
    LOCK_FIRST_PAUSE_MS = 250,
    LOCK_LONGEST_PAUSE_MS = 2000,
    START_FIRST_PAUSE_MS = 1000,
    START_LONGEST_PAUSE_MS = 30000,
    API_AGAIN_MS = 2000,
    SHUTDOWN_MS = 3000,
    RETIRE_LOOK_MS = 30000,
    CERTIFICATE_MAX_BYTES = 1024 * 1024,
};

void agent_run_soon(void *arg)
{
    struct agent *agent = arg;
    event_active(agent->step, 0, 0);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    ((struct agent *)arg)->wake_at_ms = 0;
    agent_run_soon(arg);
}

void agent_wake_in(struct agent *agent, int64_t ms, int64_t now_ms)
{
    int64_t at = now_ms + ms;
    if (agent->wake_at_ms != 0 && agent->wake_at_ms <= at)
        return;
    agent->wake_at_ms = at;
    timer_arm(agent->wake, (int)ms + 1);
}

void agent_note_trouble(struct agent *agent, struct trouble *trouble, const char *reason,
                        const char *text, int first_pause_ms, int longest_pause_ms, int64_t now_ms)
{
    int64_t pause = pause_doubled_ms(first_pause_ms, longest_pause_ms, trouble->failures);
    bool is_news = strcmp(trouble->text, text) != 0;
    snprintf(trouble->reason, sizeof trouble->reason, "%s", reason);
    snprintf(trouble->text, sizeof trouble->text, "%s", text);
    trouble->failures++;
    trouble->until_ms = now_ms + pause;
    if (is_news)
        log_error(text, "reason", reason, NULL);
    agent_wake_in(agent, pause, now_ms);
}

int agent_stop_timeout_ms(const struct agent *agent)
{
    if (agent->options.stop_timeout_ms > 0)
        return agent->options.stop_timeout_ms;
    if (agent->grace_seconds <= 0)
        return STOP_DEFAULT_MS;
    int left_ms = agent->grace_seconds * 1000 - STOP_RESERVE_MS;
    return left_ms > STOP_LEAST_MS ? left_ms : STOP_LEAST_MS;
}

/* A pod keeps the grace period that it was created with when the spec changes later. The run folder
 * lives as long as the pod does, so the value is kept there. */
static void learn_grace(struct agent *agent)
{
    const struct settings_view *view = settings_view(agent->settings);
    if (agent->grace_seconds > 0 || !view->known || view->config.termination_grace_seconds <= 0)
        return;
    AUTO_ARENA arena = arena_new();
    const char *path = arena_printf(arena, "%s/grace-seconds", agent->options.run_dir);
    struct error err = {0};
    char *text = NULL;
    bool written;
    if (file_read(arena, path, 64, &text, NULL, &err) == 0)
        agent->grace_seconds = (int)strtol(text, NULL, 10);
    if (agent->grace_seconds > 0)
        return;
    agent->grace_seconds = view->config.termination_grace_seconds;
    text = arena_printf(arena, "%d\n", agent->grace_seconds);
    err = (struct error){0};
    if (mounts_write(path, text, strlen(text), 0600, &written, &err) < 0)
        log_failure(&err, "the pod's grace period cannot be saved", NULL);
}

/* All instances mount one Secret, so that our own certificate is like the primary's. */
static bool primary_is_named(struct agent *agent, struct arena *arena, const char *host)
{
    struct error err = {0};
    char *text = NULL;
    const char *path = arena_printf(arena, "%s/tls/tls.crt", agent->options.run_dir);
    if (!settings_view(agent->settings)->tls ||
        file_read(arena, path, CERTIFICATE_MAX_BYTES, &text, NULL, &err) < 0)
        return false;
    bool named = certificate_names(text, host);
    if (!named && !agent->reported.name_missing_logged)
        log_warning("the server certificate does not contain the name of the primary, so replicas "
                    "check only its CA; add the name to the certificate",
                    "name", host, NULL);
    agent->reported.name_missing_logged = !named;
    return named;
}

struct conf_input agent_conf_input(struct agent *agent, struct arena *arena)
{
    const struct settings_view *view = settings_view(agent->settings);
    const struct instance_options *options = &agent->options;
    const char *host = options->primary_host;
    if (host == NULL)
        host = arena_printf(arena, "%s.%s.svc", name_child(arena, view->config.cluster, "rw"),
                            agent->namespace);
    return (struct conf_input){.shared = view->conf,
                               .instance = options->name,
                               .run_dir = options->run_dir,
                               .listen = options->listen,
                               .port = options->port,
                               .tls = view->tls,
                               .named = primary_is_named(agent, arena, host),
                               .syncfs = tree_can_syncfs(),
                               .primary_host = host,
                               .primary_port = options->primary_port,
                               .slot = name_slot(arena, options->name)};
}

/* ---- the API ---- */

/* Without a kubeconfig or service account there is no API: the agent serves from what its volume
 * records, and tries again. */
static void open_api(struct agent *agent)
{
    AUTO_ARENA arena = arena_new();
    struct kubeconfig_options options = {.kubeconfig = agent->options.kubeconfig};
    struct kubeconfig config;
    struct error err = {0};
    if (kubeconfig_load(arena, &options, &config, &err) < 0 ||
        kube_new(agent->loop, &config, "pgkeel-instance", &agent->kube, &err) < 0) {
        log_failure(&err, "the API server cannot be reached", NULL);
        timer_arm(agent->api_again, API_AGAIN_MS);
        return;
    }
    if (agent->namespace[0] == '\0')
        snprintf(agent->namespace, sizeof agent->namespace, "%s",
                 config.namespace ? config.namespace : "default");
    struct reporter_options reporter = {agent->namespace, agent->pod_name, agent->options.pod_uid};
    agent->reporter = reporter_new(agent->loop, agent->kube, &reporter, agent_run_soon, agent);
}

static void on_api_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    open_api(arg);
    agent_run_soon(arg);
}

/* What needs the cluster's name, which stands in the configuration. */
static void open_cluster(struct agent *agent)
{
    const struct settings_view *view = settings_view(agent->settings);
    if (agent->kube == NULL || agent->lease != NULL || !view->known)
        return;
    AUTO_ARENA arena = arena_new();
    const char *cluster = view->config.cluster;
    struct lease_options lease = {agent->namespace, name_child(arena, cluster, "primary"),
                                  agent->options.name, agent->options.pod_uid,
                                  view->config.lease_seconds};
    struct lease_handlers handlers = {agent_run_soon, peers_status, agent};
    agent->lease = member_lease_new(agent->loop, agent->kube, &lease, &handlers);
    if (agent->options.pod_ips != NULL) {
        struct slice_options slice = {agent->namespace, name_child(arena, cluster, "rw"),
                                      agent->options.pod_ips, agent->pod_name,
                                      agent->options.pod_uid};
        agent->slice = slice_new(agent->loop, agent->kube, &slice, agent_run_soon, agent);
    }
    settings_watch(agent->settings, agent->kube);
}

/* ---- steps ---- */

static void lock_volume(struct agent *agent, int64_t now_ms)
{
    struct error err = {0};
    if (volume_lock(&agent->volume, &agent->observed.lock_fd, &err) == 0) {
        agent_forget_trouble(&agent->troubles.volume);
        return;
    }
    if (err.reason[0] == '\0')
        snprintf(err.reason, sizeof err.reason, REASON_VOLUME_UNREADABLE);
    agent->observed.lock_error = err;
    agent_note_trouble(agent, &agent->troubles.volume, err.reason, err.text, LOCK_FIRST_PAUSE_MS,
                       LOCK_LONGEST_PAUSE_MS, now_ms);
}

static void start_server(struct agent *agent, int64_t now_ms)
{
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    struct server_start start = {
        .postgres = arena_printf(arena, "%s/postgres", agent->observed.binaries.dir),
        .pgdata = agent->volume.pgdata,
        .run_dir = agent->options.run_dir,
        .port = agent->options.port,
        .lock_fd = agent->observed.lock_fd};
    agent->run.role = agent->observed.standby_signal ? ROLE_REPLICA : ROLE_PRIMARY;
    agent->run.started_ms = now_ms;
    if (volume_prepare_start(&agent->volume, &err) < 0 ||
        server_start(agent->server, &start, &err) < 0)
        agent_note_trouble(agent, &agent->troubles.start, REASON_CRASH_LOOPING, err.text,
                           START_FIRST_PAUSE_MS, START_LONGEST_PAUSE_MS, now_ms);
}

static void stop_server(struct agent *agent, int64_t now_ms)
{
    if (agent->stopping) {
        server_stop(agent->server, agent_stop_timeout_ms(agent));
        return;
    }
    restart_begin(agent, now_ms);
}

/* Postgres is gone: the next pod need not wait for the lease to run out. What it was held with must
 * stand on the volume: the next pod takes a given back lease for proof that no other copy of the
 * volume is newer. True when there is nothing (more) to do. */
static bool give_lease_back(struct lease *lease, const struct volume_record *record)
{
    return lease == NULL || record->role != ROLE_PRIMARY ||
           member_lease_give_back(lease, record->epoch);
}

/* The order of a shutdown: postgres first, then the last words. They are worth a moment, not more:
 * a cluster that is being deleted has lost the rights to write them. */
static void shut_down(struct agent *agent, int64_t now_ms)
{
    if (agent->shutdown_deadline_ms == 0)
        agent->shutdown_deadline_ms = now_ms + SHUTDOWN_MS;
    bool emptied = agent->slice == NULL || slice_settled(agent->slice);
    bool reported = emptied && (agent->reporter == NULL || reporter_settled(agent->reporter) ||
                                reporter_refused(agent->reporter));
    /* While the lease is ours no other pod writes the endpoint, so that comes first. */
    if (emptied || agent->shutdown_deadline_ms - now_ms < SHUTDOWN_MS / 2)
        reported = give_lease_back(agent->lease, &agent->observed.record) && reported;
    agent->shutdown_done = reported || now_ms >= agent->shutdown_deadline_ms;
    if (agent->shutdown_done)
        agent_run_soon(agent);
}

/* The next renewal of the lease announces it, so that no older copy of the volume is led with. */
static void announce_record(struct lease *lease, const struct facts *facts)
{
    if (lease != NULL)
        member_lease_set_recorded(lease, machine_recorded_epoch(facts));
}

/* False when the facts are not new at once: the next event brings the next step. */
static bool perform(struct agent *agent, const struct decision *decision, int64_t now_ms,
                    int64_t wall_ms)
{
    switch (decision->step) {
    case STEP_WAIT:
        return false;
    case STEP_LOCK:
        lock_volume(agent, now_ms);
        return true;
    case STEP_FIND_BINARIES:
        job_find_binaries(agent, now_ms);
        return true;
    case STEP_INSPECT:
        job_inspect(agent, now_ms, wall_ms);
        return true;
    case STEP_DISCARD:
        job_discard(agent, now_ms);
        return true;
    case STEP_RETIRE:
        job_retire(agent, now_ms, wall_ms);
        return true;
    case STEP_INITDB:
        job_initdb(agent, now_ms);
        return true;
    case STEP_CLONE:
        job_clone(agent, now_ms);
        return true;
    case STEP_TAKE_LEASE:
        member_lease_take(agent->lease, decision->above_epoch);
        return true;
    case STEP_READ_CONTROL:
        job_read_control(agent, now_ms);
        return true;
    case STEP_RECORD:
        job_record(agent, decision->record, now_ms);
        return true;
    case STEP_MAKE_STANDBY:
        job_make_standby(agent, now_ms);
        return true;
    case STEP_CONFIGURE:
    case STEP_RELOAD:
        configure_begin(agent, now_ms);
        return true;
    case STEP_START:
        start_server(agent, now_ms);
        return true;
    case STEP_PROMOTE:
        job_promote(agent, now_ms);
        return true;
    case STEP_STOP:
        stop_server(agent, now_ms);
        return true;
    case STEP_STOP_NOW:
        server_stop_immediately(agent->server);
        return true;
    case STEP_CANCEL_JOB:
        job_cancel(agent);
        return false;
    case STEP_SHUTDOWN:
        shut_down(agent, now_ms);
        return false;
    case STEP_EXIT:
        if (!agent->stopping)
            err_set_reason(&agent->end, ERR_FORBIDDEN, decision->reason, "%s", decision->message);
        event_base_loopbreak(agent->loop);
        return false;
    }
    return false;
}

static void note_decision(struct reported *reported, const struct decision *decision)
{
    bool same = strcmp(reported->phase, decision->phase) == 0 &&
                strcmp(reported->reason, decision->reason) == 0 &&
                strcmp(reported->message, decision->message) == 0 &&
                reported->step == decision->step;
    if (same)
        return;
    if (decision->step != STEP_WAIT || decision->reason[0] != '\0')
        log_info("step", "step", machine_step_name(decision->step), "phase", decision->phase,
                 "reason", decision->reason, "message", decision->message, NULL);
    reported->step = decision->step;
    snprintf(reported->phase, sizeof reported->phase, "%s", decision->phase);
    snprintf(reported->reason, sizeof reported->reason, "%s", decision->reason);
    snprintf(reported->message, sizeof reported->message, "%s", decision->message);
}

static void wake_at(struct agent *agent, int64_t at_ms, int64_t looked_ms, int64_t now_ms)
{
    int64_t wait_ms = timer_wait_ms(at_ms, looked_ms, now_ms);
    if (wait_ms >= 0)
        agent_wake_in(agent, wait_ms, now_ms);
}

/* One timer serves all deadlines: those behind the one that fired are set again. looked_ms: just
 * before the facts were read. */
static void keep_deadlines(struct agent *agent, int64_t looked_ms, int64_t now_ms)
{
    const struct trouble *troubles[] = {&agent->troubles.volume, &agent->troubles.start,
                                        &agent->troubles.clone,  &agent->troubles.roles,
                                        &agent->troubles.stream, &agent->troubles.config,
                                        &agent->troubles.retire};
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++)
        wake_at(agent, troubles[i]->until_ms, looked_ms, now_ms);
    wake_at(agent, agent->began_ms + agent->options.api_wait_ms, looked_ms, now_ms);
    if (agent->shutdown_deadline_ms != 0)
        wake_at(agent, agent->shutdown_deadline_ms - SHUTDOWN_MS / 2, looked_ms, now_ms);
    wake_at(agent, agent->shutdown_deadline_ms, looked_ms, now_ms);
    if (agent->lease != NULL && member_lease_view(agent->lease)->state == LEASE_MINE)
        wake_at(agent, lease_engine_rests_at_ms(member_lease_engine(agent->lease)), looked_ms,
                now_ms);
    if (agent->run.refusal.what != REFUSED_NOTHING) /* an hour is long: later is soon enough */
        agent_wake_in(agent, RETIRE_LOOK_MS, now_ms);
    wake_at(agent, agent->config.deadline_ms, looked_ms, now_ms);
}

/* Several steps in one turn, because most finish at once; but not without end, so that signals and
 * probes are answered in between. */
static void on_step(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct agent *agent = arg;
    struct decision decision;
    int64_t looked_ms = 0;
    bool more = true;
    for (int i = 0; more && i < STEPS_PER_TURN; i++) {
        open_cluster(agent);
        learn_grace(agent);
        looked_ms = clock_boot_ms();
        int64_t wall_ms = clock_wall_ms();
        agent_look(agent, looked_ms, wall_ms);
        struct facts facts = agent_facts(agent, looked_ms);
        announce_record(agent->lease, &facts);
        decision = machine_next(&facts);
        note_decision(&agent->reported, &decision);
        more = perform(agent, &decision, looked_ms, wall_ms);
    }
    /* The steps took time, and the process may have been frozen since. */
    int64_t now_ms = clock_boot_ms();
    serving_update(agent, now_ms);
    publish_report(agent, &decision, now_ms);
    keep_deadlines(agent, looked_ms, now_ms);
    if (more)
        agent_run_soon(agent);
}

/* ---- life ---- */

static ERR_CHECKED int prepare_folders(const struct instance_options *options,
                                       struct volume *volume, struct error *err)
{
    umask(0077);
    /* libpq looks for files in the home folder; the uid may have none. */
    setenv("HOME", options->run_dir, 1);
    if (access(options->run_dir, W_OK | X_OK) != 0)
        return err_set(err, ERR_FORBIDDEN, "folder '%s' is missing or not writable for uid %d",
                       options->run_dir, (int)geteuid());
    if (geteuid() == 0)
        return err_set(err, ERR_FORBIDDEN,
                       "PostgreSQL does not run as root: set runAsUser to a uid other than 0");
    return volume_init(volume, options->data_dir, options->wal_dir, err);
}

static void print_metrics(void *agent, struct buffer *page)
{
    metrics_print(instance_metrics, agent, page);
    metrics_print(process_metrics, NULL, page);
}

static void add_signals(struct agent *agent)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        agent->signals[i] = evsignal_new(agent->loop, numbers[i], react_signal, agent);
        event_add(agent->signals[i], NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

static struct agent *agent_new(const struct instance_options *options)
{
    struct agent *agent = xcalloc(1, sizeof *agent);
    agent->options = *options;
    agent->observed.lock_fd = -1;
    agent->began_ms = clock_boot_ms();
    agent->config.dirty = true;
    snprintf(agent->namespace, sizeof agent->namespace, "%s",
             options->pod_namespace ? options->pod_namespace : "");
    snprintf(agent->pod_name, sizeof agent->pod_name, "%s%s",
             options->pod_name ? options->pod_name : options->name, options->pod_name ? "" : "-0");
    if (agent->options.pod_uid == NULL)
        agent->options.pod_uid = "";
    snprintf(agent->reported.phase, sizeof agent->reported.phase, "Starting");
    return agent;
}

static void open_parts(struct agent *agent)
{
    const struct instance_options *options = &agent->options;
    struct server_handlers server = {react_server, react_crashed, react_recovered, react_fatal,
                                     agent};
    struct survey_handlers survey = {react_room, agent_run_soon, agent};
    struct settings_handlers settings = {react_settings, react_tls, agent};
    struct settings_options mounts = {.config_dir = options->config_dir,
                                      .tls_dir = options->tls_dir,
                                      .verifiers_dir = options->verifiers_dir,
                                      .replication_dir = options->replication_dir,
                                      .run_dir = options->run_dir,
                                      .namespace = agent->namespace};
    agent->step = event_new(agent->loop, -1, 0, on_step, agent);
    agent->wake = evtimer_new(agent->loop, on_wake, agent);
    agent->api_again = evtimer_new(agent->loop, on_api_again, agent);
    agent->children = children_new(agent->loop, react_children, agent);
    agent->server = server_new(agent->loop, agent->children, &server);
    agent->monitor =
        monitor_new(agent->loop, options->run_dir, options->port, agent_run_soon, agent);
    agent->survey = survey_new(agent->loop, agent->children, &agent->volume, &survey);
    open_api(agent);
    if (agent->namespace[0] != '\0')
        mounts.namespace = agent->namespace;
    agent->settings = settings_new(agent->loop, &mounts, &settings);
    add_signals(agent);
}

static void agent_free(struct agent *agent)
{
    /* Children first: their last output goes through the server's log. */
    children_free(agent->children);
    server_free(agent->server);
    survey_free(agent->survey);
    roles_free(agent->primary_work.roles);
    monitor_free(agent->monitor);
    probes_free(agent->probes);
    slice_free(agent->slice);
    member_lease_free(agent->lease);
    reporter_free(agent->reporter);
    settings_free(agent->settings);
    kube_free(agent->kube);
    configure_free(&agent->config);
    for (size_t i = 0; i < sizeof agent->signals / sizeof agent->signals[0]; i++)
        timer_freep(&agent->signals[i]);
    timer_freep(&agent->step);
    timer_freep(&agent->wake);
    timer_freep(&agent->api_again);
    if (agent->observed.lock_fd >= 0)
        close(agent->observed.lock_fd);
    event_base_free(agent->loop);
    free(agent);
}

int instance_run(const struct instance_options *options, struct error *err)
{
    memory_give_back();
    struct agent *agent = agent_new(options);
    if (prepare_folders(&agent->options, &agent->volume, err) < 0) {
        free(agent);
        return err->class;
    }
    agent->loop = event_base_new();
    if (probes_new(agent->loop, options->probe_address, publish_ready, print_metrics, agent,
                   &agent->probes, err) < 0) {
        event_base_free(agent->loop);
        free(agent);
        return err->class;
    }
    open_parts(agent);
    agent_run_soon(agent);
    event_base_dispatch(agent->loop);
    log_info("the agent ends", NULL);
    if (agent->end.class != 0)
        *err = agent->end;
    int ended = agent->end.class;
    agent_free(agent);
    return ended;
}
