/*
 * What the agent reports about its server: the report on the pod, the notice in it, and the answer
 * to the readiness probe.
 */
#include <stdio.h>
#include <string.h>

#include "api/reasons.h"
#include "instance/agent.h"

enum { STALE_ANSWER_MS = 15000, SILENCE_MS = 5000 };

/* Postgres is up, but accepts no connection. */
static const char *silence(const struct agent *agent, int64_t now_ms)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (server_state(agent->server) != SERVER_UP || view->trouble.class == 0 ||
        now_ms - agent->run.up_since_ms < SILENCE_MS || now_ms - view->answered_ms < SILENCE_MS)
        return "";
    return agent->run.cause.text;
}

/* One notice at a time, the one that keeps clients out first: the report has one line for it. */
void publish_notice(const struct agent *agent, int64_t now_ms, const char **ret_reason,
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
        {agent->troubles.stream.reason, serving_streams(agent) ? "" : agent->troubles.stream.text},
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

static const char *reported_role(const struct agent *agent)
{
    if (server_state(agent->server) != SERVER_DOWN && agent->run.role != ROLE_NONE)
        return volume_role_name(serving_is_primary(agent) ? ROLE_PRIMARY : agent->run.role);
    if (agent->observed.state == VOLUME_DATA)
        return volume_role_name(agent->observed.record.role);
    enum lease_state state = agent->lease ? member_lease_view(agent->lease)->state : LEASE_UNKNOWN;
    return state == LEASE_OTHER ? "replica" : "";
}

static int64_t whole_mib(int64_t bytes)
{
    return bytes & ~(((int64_t)1 << 20) - 1);
}

static struct volume_report reported_volume(const struct agent *agent, enum survey_volume volume)
{
    const struct room *room = survey_room(agent->survey, volume);
    struct volume_report report = {.room = room_level_name(room->level), .words = ""};
    if (room->level == ROOM_UNREAD || room->level == ROOM_UNKNOWN)
        return report;
    report.capacity_bytes = whole_mib(room->reported.capacity_bytes);
    report.used_bytes = whole_mib(room->reported.used_bytes);
    report.available_bytes = whole_mib(room->reported.available_bytes);
    if (room->level == ROOM_FULL)
        report.words = agent->troubles.no_room[volume];
    return report;
}

static bool answers(const struct agent *agent, int64_t now_ms, char *text, size_t size)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (agent->stopping || server_state(agent->server) != SERVER_UP) {
        snprintf(text, size, "%s%s%s", agent->reported.phase,
                 agent->reported.message[0] ? ": " : "", agent->reported.message);
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
        bool wants_primary = agent->observed.record.role == ROLE_PRIMARY;
        /* It would show an ever older past, or another one. */
        bool cut_off = refusal_stands(&agent->run.refusal);
        snprintf(text, size, "%s",
                 wants_primary    ? "waiting for its promotion"
                 : cut_off        ? "replica that can never catch up: the primary refuses it"
                 : view->streamed ? "replica: accepts reads"
                                  : "replica that has not streamed yet");
        return view->streamed && !wants_primary && !cut_off;
    }
    if (!machine_may_write(agent_authority(agent, now_ms))) {
        snprintf(text, size, "accepts writes, but does not hold the lease");
        return false;
    }
    snprintf(text, size, "%s",
             agent->primary_work.wrote ? "primary: accepts writes"
                                       : "primary that has not written yet");
    return agent->primary_work.wrote;
}

bool publish_ready(void *agent, char *text, size_t size)
{
    return is_ready(agent, clock_boot_ms(), text, size);
}

void publish_report(struct agent *agent, const struct decision *decision, int64_t now_ms)
{
    if (agent->reporter == NULL)
        return;
    AUTO_ARENA arena = arena_new();
    const struct monitor_view *view = monitor_view(agent->monitor);
    bool has_data = agent->observed.state == VOLUME_DATA && agent->observed.control_seen;
    char ignored[1024];
    const char *role = reported_role(agent);
    struct instance_report report = {
        .instance = agent->options.name,
        .role = role,
        .phase = decision->phase,
        .reason = decision->reason,
        .message = decision->message,
        .system_identifier = has_data ? agent->observed.control.system_identifier : "",
        .postgres_version = agent->observed.binaries.version,
        .timeline = view->answered ? view->timeline
                    : has_data     ? agent->observed.control.timeline
                                   : 0,
        .epoch = agent->observed.record.epoch,
        .seen_epoch = agent->observed.record.seen,
        .config_hash = agent->config.trial.known == KNOWN_GOOD ? agent->config.trial.loaded : "",
        .verifiers_hash =
            agent->primary_work.bootstrapped ? agent->primary_work.verifiers_hash : "",
        .restart_token = agent->restart.token,
        .restarted_for = agent->restart.done_for,
        .pending_restart = view->pending_known && view->pending_restart,
        .pending_parameters = view->pending_known ? view->pending_parameters : "",
        .crashes = agent->crashes.count,
        .last_crash_time = agent->crashes.time,
        .last_crash = agent->crashes.words,
        .data_volume = reported_volume(agent, SURVEY_DATA),
        .wal_volume = reported_volume(agent, SURVEY_WAL),
        .bootstrapped = agent->primary_work.bootstrapped && strcmp(role, "primary") == 0,
        .ready = is_ready(agent, now_ms, ignored, sizeof ignored),
    };
    bool passing = !report.ready && !agent->reported.ready && !agent->stopping &&
                   strcmp(report.phase, "Failed") != 0;
    reporter_set(agent->reporter, json_canonical(arena, report_instance_encode(arena, &report)),
                 role, !passing);
    agent->reported.ready = report.ready;
}
