/*
 * What a running server needs besides running: its roles, slots and database, the read-write
 * endpoint, the report on the pod, and the answer to the readiness probe. Everything is looked at
 * anew on each turn and only differences act.
 */
#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "api/reasons.h"
#include "base/hash.h"
#include "base/memory.h"
#include "instance/agent.h"

enum {
    STALE_ANSWER_MS = 15000,
    SILENCE_MS = 5000,
    QUIET_MS = 3000,
    ROLES_FIRST_PAUSE_MS = 1000,
    ROLES_LONGEST_PAUSE_MS = 30000,
};

bool tend_is_primary(const struct agent *agent)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    return server_state(agent->server) == SERVER_UP && view->answered && !view->in_recovery &&
           agent->run.role == ROLE_PRIMARY;
}

bool tend_holds_lease(const struct agent *agent)
{
    return agent_authority(agent) == AUTHORITY_HELD;
}

/* ---- roles, slots, database ---- */

static void hash_of_duty(const struct settings_view *view, char ret_hash[17])
{
    AUTO_ARENA arena = arena_new();
    char *text = arena_printf(arena, "%s\n%s\n%s", view->verifiers, view->config.database,
                              view->config.owner);
    for (size_t i = 0; i < view->config.member_count; i++)
        text = arena_printf(arena, "%s\n%s", text, view->config.members[i].name);
    snprintf(ret_hash, 17, "%s", hash_hex16(arena, text, strlen(text)));
}

static bool is_other_member(const struct agent *agent, const char *name)
{
    const struct cluster_config *config = &settings_view(agent->settings)->config;
    for (size_t i = 0; i < config->member_count; i++)
        if (strcmp(config->members[i].name, name) == 0)
            return strcmp(name, agent->options.name) != 0;
    return false;
}

/* A member without a slot, a slot that was invalidated, or one whose member left and which is not
 * in use any more. */
static bool slots_need_work(const struct agent *agent)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    const char *cluster = settings_view(agent->settings)->config.cluster;
    AUTO_ARENA arena = arena_new();
    for (int ordinal = 1; ordinal <= INSTANCES_MAX; ordinal++) {
        const char *name = name_instance(arena, cluster, ordinal);
        const struct monitor_slot *slot = peers_slot(view, name_slot(arena, name));
        bool wanted = is_other_member(agent, name);
        bool lost = slot != NULL && strcmp(slot->wal_status, "lost") == 0;
        if (wanted ? slot == NULL || (lost && !slot->active) : slot != NULL && !slot->active)
            return true;
    }
    return false;
}

static void on_wrote(void *arg)
{
    struct agent *agent = arg;
    agent->duty.wrote = true;
    agent_kick(agent);
}

/* Replicas wait for their slots, and may clone while the database is being made. */
static void on_slots(void *arg)
{
    struct agent *agent = arg;
    monitor_poll_now(agent->monitor);
}

/* A failure is tried again after a pause, from the beginning: every statement may run twice. */
static void on_roles_done(void *arg, const struct error *err)
{
    struct agent *agent = arg;
    roles_free(agent->duty.roles);
    agent->duty.roles = NULL;
    agent->duty.done_ms = clock_boot_ms();
    if (err->class == 0) {
        agent_forget_trouble(&agent->troubles.roles);
        memcpy(agent->duty.verifiers_hash, agent->duty.next_verifiers_hash,
               sizeof agent->duty.verifiers_hash);
        /* Without verifiers there are no roles yet, whatever else was made. */
        agent->duty.bootstrapped = agent->duty.verifiers_hash[0] != '\0';
    } else {
        agent->duty.roles_hash[0] = '\0';
        agent_note_trouble(agent, &agent->troubles.roles, err->reason, err->text,
                           ROLES_FIRST_PAUSE_MS, ROLES_LONGEST_PAUSE_MS);
    }
    monitor_poll_now(agent->monitor);
    agent_kick(agent);
}

/* Roles are applied when what is asked for differs from what was applied last, or when a slot is
 * missing, lost, or left behind by a member that is gone. */
static void tend_roles(struct agent *agent, int64_t now_ms)
{
    const struct settings_view *view = settings_view(agent->settings);
    char hash[17];
    settings_fetch_verifiers(agent->settings);
    hash_of_duty(view, hash);
    /* Slots as they were seen before the last round say nothing of what it left. */
    bool seen_since = monitor_view(agent->monitor)->answered_ms > agent->duty.done_ms;
    bool due = strcmp(hash, agent->duty.roles_hash) != 0 ||
               (agent->duty.bootstrapped && seen_since && slots_need_work(agent));
    if (agent->duty.roles != NULL || !due || agent_in_pause(&agent->troubles.roles, now_ms))
        return;
    memcpy(agent->duty.roles_hash, hash, sizeof hash);
    snprintf(agent->duty.next_verifiers_hash, sizeof agent->duty.next_verifiers_hash, "%s",
             view->verifiers_hash);
    struct roles_input input = {.socket_dir = agent->options.run_dir,
                                .port = agent->options.port,
                                .instance = agent->options.name,
                                .config = &view->config,
                                .verifiers = view->verifiers};
    struct roles_handlers handlers = {on_wrote, on_slots, on_roles_done, agent};
    agent->duty.roles = roles_start(agent->loop, &input, &handlers);
}

static void forget_duty(struct duty *duty)
{
    roles_free(duty->roles);
    duty->roles = NULL;
    duty->wrote = false;
    duty->roles_hash[0] = '\0';
}

/* ---- endpoint ---- */

static enum slice_want wanted_slice(const struct agent *agent)
{
    if (!tend_holds_lease(agent))
        return SLICE_LEAVE;
    if (agent->stopping)
        return SLICE_EMPTY;
    if (tend_is_primary(agent) && agent->duty.wrote)
        return SLICE_SELF;
    /* A crash of postgres in place leaves it: the address is right, and back in a moment. What
     * stands there from an earlier pod is wrong. */
    return agent->served ? SLICE_SELF : SLICE_EMPTY;
}

static void tend_slice(struct agent *agent)
{
    if (agent->slice == NULL || agent->options.pod_ips == NULL)
        return;
    enum slice_want want = wanted_slice(agent);
    agent->served |= want == SLICE_SELF;
    slice_set(agent->slice, want, agent->lease ? member_lease_view(agent->lease)->epoch : 0);
}

/* Once things are quiet: bootstrap, the first TLS handshakes and queries need not stay in memory.
 */
static void tend_memory(struct agent *agent, int64_t now_ms)
{
    if (agent->gave_memory || now_ms - agent->run.up_since_ms < QUIET_MS)
        return;
    agent->gave_memory = true;
    memory_give_back();
}

static void tend_cause(struct cause *cause, const struct monitor_view *view, int64_t now_ms)
{
    if (view->trouble.class != 0)
        cause_note_refusal(cause, view->trouble.text, now_ms);
    else if (view->answered_ms > cause->seen_ms)
        *cause = (struct cause){0};
}

/* A WAL receiver calls itself streaming before the primary has answered it: one that has gone on
 * since then does stream, whatever the log said; after a refusal only one that was sent something.
 */
static bool streams(const struct monitor_view *view, const struct refusal *refusal)
{
    return view->receiver_since_ms != 0 &&
           view->answered_ms - view->receiver_since_ms >= REFUSAL_STEADY_MS &&
           (view->receiver_heard || refusal->what == REFUSED_NOTHING);
}

static void tend_stream(struct agent *agent)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (!view->answered)
        return;
    refusal_look(&agent->run.refusal, view->answered_ms, view->receiver_since_ms,
                 view->receiver_heard);
    if (streams(view, &agent->run.refusal) && view->answered_ms > agent->run.stream_told_ms)
        agent_forget_trouble(&agent->troubles.stream);
}

void tend_running(struct agent *agent, int64_t now_ms)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    tend_slice(agent);
    if (server_state(agent->server) != SERVER_UP) {
        monitor_stop(agent->monitor);
        forget_duty(&agent->duty);
        return;
    }
    monitor_start(agent->monitor);
    configure_watch(agent, now_ms);
    tend_cause(&agent->run.cause, view, now_ms);
    tend_memory(agent, now_ms);
    peers_tend(agent, now_ms);
    monitor_set_period(agent->monitor, peers_period(agent, now_ms));
    tend_stream(agent);
    if (tend_is_primary(agent) && machine_may_write(agent_authority(agent)) && !agent->stopping)
        tend_roles(agent, now_ms);
    else if (view->answered && view->in_recovery)
        forget_duty(&agent->duty);
    if (view->pending_known && !view->pending_restart && !agent->config.stale && !agent->stopping)
        configure_proven(agent, now_ms);
}

/* ---- what is told ---- */

/* Up, but nobody gets in. */
static const char *silence(const struct agent *agent, int64_t now_ms)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (server_state(agent->server) != SERVER_UP || view->trouble.class == 0 ||
        now_ms - agent->run.up_since_ms < SILENCE_MS || now_ms - view->answered_ms < SILENCE_MS)
        return "";
    return agent->run.cause.text;
}

/* One notice at a time, the one that keeps clients out first: the report has one line for it. */
void tend_notice(const struct agent *agent, int64_t now_ms, const char **ret_reason,
                 const char **ret_text)
{
    const struct settings_view *view = settings_view(agent->settings);
    const struct monitor_view *pending = monitor_view(agent->monitor);
    const struct {
        const char *reason, *text;
    } notices[] = {
        {REASON_NOT_ACCEPTING, silence(agent, now_ms)},
        {REASON_PREPARED_TRANSACTIONS, pending->pending_held},
        {agent->config.fault.reason, agent->config.fault.text},
        {agent->troubles.config.reason, agent->troubles.config.text},
        {view->fault.reason, view->fault.text},
        {agent->troubles.roles.reason, agent->troubles.roles.text},
        {agent->troubles.stream.reason,
         streams(pending, &agent->run.refusal) ? "" : agent->troubles.stream.text},
        {view->password_fault.reason[0] ? view->password_fault.reason : REASON_PASSWORD_INVALID,
         agent->run.role == ROLE_REPLICA ? view->password_fault.text : ""},
    };
    *ret_reason = *ret_text = "";
    for (size_t i = 0; i < sizeof notices / sizeof notices[0]; i++) {
        if (notices[i].text[0] != '\0') {
            *ret_reason = notices[i].reason;
            *ret_text = notices[i].text;
            return;
        }
    }
}

static const char *told_role(const struct agent *agent)
{
    if (server_state(agent->server) != SERVER_DOWN && agent->run.role != ROLE_NONE)
        return volume_role_name(tend_is_primary(agent) ? ROLE_PRIMARY : agent->run.role);
    if (agent->found.state == VOLUME_DATA)
        return volume_role_name(agent->found.record.role);
    enum lease_state state = agent->lease ? member_lease_view(agent->lease)->state : LEASE_UNKNOWN;
    return state == LEASE_OTHER ? "replica" : "";
}

static int64_t whole_mib(int64_t bytes)
{
    return bytes & ~(((int64_t)1 << 20) - 1);
}

static struct volume_report told_volume(const struct agent *agent, enum survey_volume volume)
{
    const struct room *room = survey_room(agent->survey, volume);
    struct volume_report report = {.room = room_level_name(room->level), .words = ""};
    if (room->level == ROOM_UNTOLD || room->level == ROOM_UNKNOWN)
        return report;
    report.capacity_bytes = whole_mib(room->told.capacity_bytes);
    report.used_bytes = whole_mib(room->told.used_bytes);
    report.available_bytes = whole_mib(room->told.available_bytes);
    if (room->level == ROOM_FULL)
        report.words = agent->troubles.no_room[volume];
    return report;
}

static bool answers(const struct agent *agent, int64_t now_ms, char *text, size_t size)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (agent->stopping || server_state(agent->server) != SERVER_UP) {
        snprintf(text, size, "%s%s%s", agent->told.phase, agent->told.message[0] ? ": " : "",
                 agent->told.message);
        return false;
    }
    if (!view->answered || now_ms - view->answered_ms > STALE_ANSWER_MS) {
        snprintf(text, size, "PostgreSQL does not answer: %s",
                 view->trouble.text[0] ? view->trouble.text : "no answer yet");
        return false;
    }
    return true;
}

/* Ready is what traffic is sent by: a primary that has written under the lease, or a replica that
 * has streamed and that its primary does not refuse. */
static bool is_ready(const struct agent *agent, int64_t now_ms, char *text, size_t size)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (!answers(agent, now_ms, text, size))
        return false;
    if (view->in_recovery) {
        bool wants_primary = agent->found.record.role == ROLE_PRIMARY;
        /* It would show an ever older past, or another one. */
        bool cut_off = refusal_stands(&agent->run.refusal);
        snprintf(text, size, "%s",
                 wants_primary    ? "waiting for its promotion"
                 : cut_off        ? "replica that can never catch up: the primary refuses it"
                 : view->streamed ? "replica: accepts reads"
                                  : "replica that has not streamed yet");
        return view->streamed && !wants_primary && !cut_off;
    }
    if (!machine_may_write(agent_authority(agent))) {
        snprintf(text, size, "accepts writes, but does not hold the lease");
        return false;
    }
    snprintf(text, size, "%s",
             agent->duty.wrote ? "primary: accepts writes" : "primary that has not written yet");
    return agent->duty.wrote;
}

bool tend_ready(void *agent, char *text, size_t size)
{
    return is_ready(agent, clock_boot_ms(), text, size);
}

void tend_report(struct agent *agent, const struct decision *decision, int64_t now_ms)
{
    if (agent->reporter == NULL)
        return;
    AUTO_ARENA arena = arena_new();
    const struct monitor_view *view = monitor_view(agent->monitor);
    bool has_data = agent->found.state == VOLUME_DATA && agent->found.control_seen;
    char ignored[1024];
    const char *role = told_role(agent);
    struct instance_report report = {
        .instance = agent->options.name,
        .role = role,
        .phase = decision->phase,
        .reason = decision->reason,
        .message = decision->message,
        .system_identifier = has_data ? agent->found.control.system_identifier : "",
        .postgres_version = agent->found.binaries.version,
        .timeline = view->answered ? view->timeline
                    : has_data     ? agent->found.control.timeline
                                   : 0,
        .epoch = agent->found.record.epoch,
        .seen_epoch = agent->found.record.seen,
        .config_hash = agent->config.trial.known == KNOWN_GOOD ? agent->config.trial.loaded : "",
        .verifiers_hash = agent->duty.bootstrapped ? agent->duty.verifiers_hash : "",
        .restart_token = agent->restart.token,
        .restarted_for = agent->restart.done_for,
        .pending_restart = view->pending_known && view->pending_restart,
        .pending_parameters = view->pending_known ? view->pending_parameters : "",
        .crashes = agent->crashes.count,
        .last_crash_time = agent->crashes.time,
        .last_crash = agent->crashes.words,
        .data_volume = told_volume(agent, SURVEY_DATA),
        .wal_volume = told_volume(agent, SURVEY_WAL),
        .bootstrapped = agent->duty.bootstrapped && strcmp(role, "primary") == 0,
        .ready = is_ready(agent, now_ms, ignored, sizeof ignored),
    };
    bool passing = !report.ready && !agent->told.ready && !agent->stopping &&
                   strcmp(report.phase, "Failed") != 0;
    reporter_set(agent->reporter, json_canonical(arena, report_instance_encode(arena, &report)),
                 role, !passing);
    agent->told.ready = report.ready;
}
