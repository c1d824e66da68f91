/* What is known now: first it is brought up to date, then put together for the state machine, which
 * changes nothing. */
#include <stdio.h>
#include <string.h>

#include "instance/agent.h"

const char *agent_member_token(const struct agent *agent)
{
    const struct cluster_config *config = &settings_view(agent->settings)->config;
    for (size_t i = 0; i < config->member_count; i++)
        if (strcmp(config->members[i].name, agent->options.name) == 0)
            return config->members[i].restart_token ? config->members[i].restart_token : "";
    return "";
}

/* ---- brought up to date ---- */

static void look_at_server(struct agent *agent)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (server_state(agent->server) == SERVER_UP && agent->run.role == ROLE_REPLICA &&
        view->answered && !view->in_recovery) {
        agent->run.role = ROLE_PRIMARY; /* promoted */
        agent->observed.standby_signal = false;
        agent_forget_trouble(&agent->troubles.stream); /* a primary follows no other */
        agent->run.refusal = (struct refusal){0};
        agent->config.dirty = true;
    }
}

/* A server that does not answer keeps what was proven: it may be stopped for it just now. */
static void look_at_refusal(struct agent *agent)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (agent->lease == NULL || server_state(agent->server) != SERVER_UP || !view->answered)
        return;
    const struct lease_view *lease = member_lease_view(agent->lease);
    struct refusal_slot slot = {lease->slot_status, lease->slot_restart, lease->read_ms};
    agent->run.wal_gone_proven = refusal_is_of_wal(&agent->run.refusal) &&
                                 refusal_is_confirmed(&agent->run.refusal, &slot, view->have_lsn);
}

/* A token asks for one restart of a server that needs it. */
static bool token_is_new(const struct agent *agent)
{
    const char *token = agent_member_token(agent);
    return token[0] != '\0' && strcmp(token, agent->restart.token) != 0 && !agent->config.stale &&
           !agent->config.dirty && monitor_view(agent->monitor)->pending_known;
}

/* A token that finds nothing to do counts as carried out, so that an old token restarts nothing for
 * a later change. */
static void look_at_token(struct agent *agent)
{
    struct restart *restart = &agent->restart;
    if (server_state(agent->server) != SERVER_UP || !token_is_new(agent) ||
        monitor_view(agent->monitor)->pending_restart)
        return;
    snprintf(restart->token, sizeof restart->token, "%s", agent_member_token(agent));
    snprintf(restart->done_for, sizeof restart->done_for, "none");
}

/* What is foreign may have been moved away meanwhile: it is looked at again after a pause. Wall
 * clocks may be set: a stamp from the future counts by its distance, too. */
static void look_at_volume(struct observed *observed, const struct troubles *troubles,
                           int64_t now_ms, int64_t wall_ms)
{
    int64_t since_retired_ms = wall_ms - observed->retired_at_ms;
    if (observed->state == VOLUME_FOREIGN && !agent_in_pause(&troubles->volume, now_ms))
        observed->state = VOLUME_UNKNOWN;
    observed->retired_lately =
        since_retired_ms > -RETIRE_AGAIN_MS && since_retired_ms < RETIRE_AGAIN_MS;
}

/* What keeps the file above the sources: see configure_control_due(). */
static void look_at_control(struct agent *agent)
{
    survey_follow_control(agent->survey, agent->config.lifted && agent->run.role == ROLE_REPLICA &&
                                             server_state(agent->server) == SERVER_UP);
}

/* What fails on a full volume needs a person, so the field to raise is added to the message. */
static void add_room_remedy(char text[TROUBLE_TEXT], const char *trouble, const char *no_room)
{
    if (trouble[0] != '\0' && no_room[0] != '\0')
        snprintf(text, TROUBLE_TEXT, "%.840s; %s", trouble, no_room);
    else
        snprintf(text, TROUBLE_TEXT, "%s", trouble);
}

static void look_at_troubles(struct troubles *troubles, const char *no_room)
{
    const char *retire = troubles->retire.text;
    add_room_remedy(troubles->start_text, troubles->start.text, no_room);
    add_room_remedy(troubles->clone_text, troubles->clone.text, no_room);
    if (no_room[0] != '\0' && troubles->start.text[0] != '\0')
        troubles->start_lacks_room = true;
    troubles->retire_text[0] = '\0';
    if (retire[0] != '\0')
        snprintf(troubles->retire_text, TROUBLE_TEXT,
                 "the primary has removed WAL that this replica needs, but its copy could not be "
                 "removed to clone it again: %.500s%s%s. The agent tries again; to clone it by "
                 "hand, " CLONE_BY_HAND,
                 retire, no_room[0] ? "; " : "", no_room);
}

void agent_look(struct agent *agent, int64_t now_ms, int64_t wall_ms)
{
    look_at_server(agent);
    look_at_refusal(agent);
    look_at_token(agent);
    look_at_volume(&agent->observed, &agent->troubles, now_ms, wall_ms);
    configure_refresh(agent, now_ms);
    look_at_control(agent);
    look_at_troubles(&agent->troubles, react_no_room(agent));
}

/* ---- put together ---- */

static void settings_facts(const struct agent *agent, int64_t now_ms, struct facts *f)
{
    const struct settings_view *view = settings_view(agent->settings);
    f->settings = view->known ? KNOWN_GOOD : view->fault.class != 0 ? KNOWN_BAD : KNOWN_NOT_YET;
    f->settings_error = view->fault.text;
    f->binaries = agent->observed.binaries_known;
    f->binaries_reason = agent->observed.binaries_error.reason;
    f->binaries_error = agent->observed.binaries_error.text;
    f->config = agent->config.trial.known;
    f->config_error = agent->config.fault.text;
    f->config_stale = agent->config.stale;
    f->control_due = configure_control_due(agent, now_ms);
}

static void volume_facts(const struct observed *observed, const struct troubles *troubles,
                         int64_t now_ms, struct facts *f)
{
    bool paused = agent_in_pause(&troubles->volume, now_ms);
    f->locked = observed->lock_fd >= 0;
    f->lock_reason = observed->lock_error.reason;
    f->lock_error = paused ? observed->lock_error.text : "";
    f->volume = observed->state;
    f->volume_reason = paused ? troubles->volume.reason : "";
    f->volume_error = paused ? troubles->volume.text : "";
    f->record = observed->record;
    f->standby_signal = observed->standby_signal;
    f->control_known = observed->control_known;
}

static void lease_facts(const struct agent *agent, int64_t now_ms, struct facts *f)
{
    f->api_wait_over = now_ms - agent->began_ms >= agent->options.api_wait_ms;
    if (agent->lease == NULL)
        return;
    const struct lease_view *view = member_lease_view(agent->lease);
    struct machine_lease says = {.led_epoch = view->led_epoch,
                                 .slot_ready = view->slot_ready,
                                 .granted = view->granted,
                                 .grant_initdb = view->grant_initdb};
    machine_lease_facts(member_lease_engine(agent->lease), &says,
                        agent->slice ? slice_seen_epoch(agent->slice) : 0, now_ms, f);
}

static enum volume_role running_role(const struct agent *agent)
{
    return server_state(agent->server) == SERVER_DOWN ? ROLE_NONE : agent->run.role;
}

enum authority agent_authority(const struct agent *agent, int64_t now_ms)
{
    struct facts f = {.pod_uid = agent->options.pod_uid,
                      .record = agent->observed.record,
                      .server = server_state(agent->server),
                      .running = running_role(agent)};
    lease_facts(agent, now_ms, &f);
    return machine_authority(&f);
}

static void refusal_facts(const struct agent *agent, int64_t now_ms, struct facts *f)
{
    f->wal_gone = refusal_is_of_wal(&agent->run.refusal);
    f->wal_gone_proven = agent->run.wal_gone_proven;
    f->retired_lately = agent->observed.retired_lately;
    f->retire_paused = agent_in_pause(&agent->troubles.retire, now_ms);
    f->retire_error = agent->troubles.retire_text;
}

static void server_facts(const struct agent *agent, struct facts *f)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    const struct run *run = &agent->run;
    f->server = server_state(agent->server);
    f->server_quits = server_quits(agent->server);
    /* A WAL receiver is started for what is not on the volume, and this one got nothing. */
    f->wal_missing = f->server == SERVER_STARTING && run->wal_wanted_ms > run->started_ms;
    f->running = running_role(agent);
    f->in_recovery = view->answered ? view->in_recovery : run->role == ROLE_REPLICA;
    f->restart_due = f->server == SERVER_UP && token_is_new(agent) && view->pending_restart &&
                     view->pending_held[0] == '\0';
}

static void trouble_facts(const struct observed *observed, const struct troubles *troubles,
                          int64_t now_ms, struct facts *f)
{
    bool cloning = observed->state == VOLUME_EMPTY && f->lease == LEASE_OTHER;
    f->restart_paused = agent_in_pause(&troubles->start, now_ms);
    f->clone_paused = agent_in_pause(&troubles->clone, now_ms);
    f->trouble_reason = cloning ? troubles->clone.reason : troubles->start.reason;
    f->trouble = cloning ? troubles->clone_text : troubles->start_text;
}

struct facts agent_facts(const struct agent *agent, int64_t now_ms)
{
    struct facts f = {.stopping = agent->stopping,
                      .shutdown_done = agent->shutdown_done,
                      .pod_uid = agent->options.pod_uid,
                      .job_running = agent_is_busy(agent),
                      .job_phase = agent_is_busy(agent) ? agent->job.phase : "",
                      .job_message = agent->job.message};
    lease_facts(agent, now_ms, &f);
    server_facts(agent, &f);
    refusal_facts(agent, now_ms, &f);
    trouble_facts(&agent->observed, &agent->troubles, now_ms, &f);
    settings_facts(agent, now_ms, &f);
    volume_facts(&agent->observed, &agent->troubles, now_ms, &f);
    publish_notice(agent, now_ms, &f.notice_reason, &f.notice);
    return f;
}
