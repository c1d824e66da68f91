/* What is known now, put together for the state machine. */
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

/* A token asks for one restart of a server that needs it. One that finds nothing to do counts as
 * obeyed, so that a later change is not restarted for by an old token. */
bool agent_restart_due(struct agent *agent)
{
    const char *token = agent_member_token(agent);
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (token[0] == '\0' || strcmp(token, agent->restart.token) == 0 || agent->config.stale ||
        agent->config.dirty || !view->pending_known)
        return false;
    if (view->pending_restart)
        return view->pending_held[0] == '\0';
    snprintf(agent->restart.token, sizeof agent->restart.token, "%s", token);
    snprintf(agent->restart.done_for, sizeof agent->restart.done_for, "none");
    return false;
}

static void lock_facts(struct agent *agent, struct facts *f)
{
    f->locked = agent->found.lock_fd >= 0;
    f->lock_reason = agent->found.lock_error.reason;
    f->lock_error = agent_in_pause(&agent->troubles.volume) ? agent->found.lock_error.text : "";
}

static void settings_facts(struct agent *agent, struct facts *f)
{
    const struct settings_view *view = settings_view(agent->settings);
    f->settings = view->known ? KNOWN_GOOD : view->fault.class != 0 ? KNOWN_BAD : KNOWN_NOT_YET;
    f->settings_error = view->fault.text;
    f->binaries = agent->found.binaries_known;
    f->binaries_reason = agent->found.binaries_error.reason;
    f->binaries_error = agent->found.binaries_error.text;
    configure_refresh(agent);
    f->config = agent->config.trial.known;
    f->config_error = agent->config.fault.text;
    f->config_stale = agent->config.stale;
    f->control_due = configure_control_due(agent);
}

static void volume_facts(struct agent *agent, struct facts *f)
{
    /* What is foreign may have been moved away meanwhile: it is looked at again after a pause. */
    if (agent->found.state == VOLUME_FOREIGN && !agent_in_pause(&agent->troubles.volume))
        agent->found.state = VOLUME_UNKNOWN;
    bool paused = agent_in_pause(&agent->troubles.volume);
    f->volume = agent->found.state;
    f->volume_reason = paused ? agent->troubles.volume.reason : "";
    f->volume_error = paused ? agent->troubles.volume.text : "";
    f->record = agent->found.record;
    f->standby_signal = agent->found.standby_signal;
    f->control_known = agent->found.control_known;
}

static void lease_facts(const struct agent *agent, struct facts *f)
{
    int64_t now_ms = clock_boot_ms();
    f->api_wait_over = now_ms - agent->began_ms >= agent->options.api_wait_ms;
    if (agent->lease == NULL)
        return;
    const struct lease_view *view = member_lease_view(agent->lease);
    const struct lease_engine *engine = member_lease_engine(agent->lease);
    f->lease = view->state;
    f->lease_epoch = view->epoch;
    f->led_epoch = view->led_epoch;
    f->slot_ready = view->slot_ready;
    f->granted = view->granted;
    f->grant_initdb = view->grant_initdb;
    f->lease_writing = lease_engine_is_busy(engine);
    f->lease_given_back = view->given_back;
    f->lease_rested = lease_engine_rests_at_ms(engine) <= now_ms;
    f->lease_doubtful = lease_engine_is_doubtful(engine, now_ms);
    f->held_epoch = engine->held_epoch;
    f->slice_epoch = agent->slice ? slice_seen_epoch(agent->slice) : 0;
}

enum authority agent_authority(const struct agent *agent)
{
    enum server_state server = server_state(agent->server);
    struct facts f = {.pod_uid = agent->options.pod_uid,
                      .record = agent->found.record,
                      .server = server,
                      .running = server == SERVER_DOWN ? ROLE_NONE : agent->run.role};
    lease_facts(agent, &f);
    return machine_authority(&f);
}

/* Wall clocks may be set: a stamp from the future counts by its distance, too. */
static bool retired_lately(const struct agent *agent)
{
    int64_t since_ms = clock_wall_ms() - agent->found.retired_at_ms;
    return since_ms > -RETIRE_AGAIN_MS && since_ms < RETIRE_AGAIN_MS;
}

static void retire_facts(struct agent *agent, struct facts *f)
{
    const struct trouble *trouble = &agent->troubles.retire;
    const char *no_room = react_no_room(agent);
    f->retired_lately = retired_lately(agent);
    f->retire_waits = agent_in_pause(trouble);
    f->retire_error = "";
    if (trouble->text[0] == '\0')
        return;
    snprintf(
        agent->troubles.retire_text, sizeof agent->troubles.retire_text,
        "the primary has removed WAL that this replica needs, but its copy could not be removed to "
        "clone it again: %.500s%s%s. The agent tries again; to clone it by hand, " CLONE_BY_HAND,
        trouble->text, no_room[0] ? "; " : "", no_room);
    f->retire_error = agent->troubles.retire_text;
}

static void refusal_facts(struct agent *agent, struct facts *f)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (agent->lease != NULL && f->server == SERVER_UP && view->answered) {
        const struct lease_view *lease = member_lease_view(agent->lease);
        struct refusal_slot slot = {lease->slot_status, lease->slot_restart, lease->read_ms};
        agent->run.wal_gone_proven =
            refusal_is_of_wal(&agent->run.refusal) &&
            refusal_is_confirmed(&agent->run.refusal, &slot, view->have_lsn);
    }
    f->wal_gone = refusal_is_of_wal(&agent->run.refusal);
    f->wal_gone_proven = agent->run.wal_gone_proven;
    retire_facts(agent, f);
}

/* What does not start for want of room needs a person: the field to raise stands behind it. */
static const char *with_room(struct agent *agent, const char *trouble)
{
    const char *no_room = react_no_room(agent);
    if (trouble[0] == '\0' || no_room[0] == '\0')
        return trouble;
    snprintf(agent->troubles.start_text, sizeof agent->troubles.start_text, "%.840s; %s", trouble,
             no_room);
    return agent->troubles.start_text;
}

static void server_facts(struct agent *agent, struct facts *f)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    f->server = server_state(agent->server);
    f->server_quits = server_quits(agent->server);
    if (f->server == SERVER_UP && agent->run.role == ROLE_REPLICA && view->answered &&
        !view->in_recovery) {
        agent->run.role = ROLE_PRIMARY; /* promoted */
        agent->found.standby_signal = false;
        agent_forget_trouble(&agent->troubles.stream); /* it follows nobody any more */
        agent->run.refusal = (struct refusal){0};
        agent->config.dirty = true;
    }
    /* A WAL receiver is started for what is not on the volume, and this one got nothing. */
    f->wal_missing =
        f->server == SERVER_STARTING && agent->run.wal_wanted_ms > agent->run.started_ms;
    f->running = f->server == SERVER_DOWN ? ROLE_NONE : agent->run.role;
    f->in_recovery = view->answered ? view->in_recovery : agent->run.role == ROLE_REPLICA;
    refusal_facts(agent, f);
    f->restart_due = f->server == SERVER_UP && agent_restart_due(agent);
    f->restart_waits = agent_in_pause(&agent->troubles.start);
    f->clone_waits = agent_in_pause(&agent->troubles.clone);
    bool cloning = agent->found.state == VOLUME_EMPTY && f->lease == LEASE_OTHER;
    const struct trouble *trouble = cloning ? &agent->troubles.clone : &agent->troubles.start;
    f->trouble_reason = trouble->reason;
    f->trouble = with_room(agent, trouble->text);
}

struct facts agent_facts(struct agent *agent)
{
    struct facts f = {.stopping = agent->stopping,
                      .farewell_done = agent->farewell_done,
                      .pod_uid = agent->options.pod_uid,
                      .job_running = agent_is_busy(agent),
                      .job_phase = agent_is_busy(agent) ? agent->job.phase : "",
                      .job_message = agent->job.message};
    lock_facts(agent, &f);
    lease_facts(agent, &f);
    server_facts(agent, &f);
    settings_facts(agent, &f);
    volume_facts(agent, &f);
    tend_notice(agent, &f.notice_reason, &f.notice);
    return f;
}
