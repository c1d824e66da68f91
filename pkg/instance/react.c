/* Handlers of the agent's parts: what follows at once. The rest follows from the facts. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "api/reasons.h"
#include "base/text.h"
#include "instance/agent.h"
#include "phrase/phrase.h"

enum {
    CRASH_FIRST_PAUSE_MS = 500,
    CRASH_LONGEST_PAUSE_MS = 30000,
    STEADY_MS = 30000, /* a server that ran for this long has not crashed "again" */
};

void react_settings(void *arg)
{
    struct agent *agent = arg;
    const struct settings_view *view = settings_view(agent->settings);
    agent->config.dirty = true;
    if (agent->lease != NULL && view->known)
        member_lease_set_seconds(agent->lease, view->config.lease_seconds);
    if (agent->observed.binaries_known == KNOWN_BAD)
        agent->observed.binaries_known = KNOWN_NOT_YET;
    agent_run_soon(agent);
}

void react_tls(void *arg)
{
    struct agent *agent = arg;
    log_info("new TLS files", NULL);
    server_reload(agent->server);
    agent->config.dirty = true; /* how the primary is checked depends on the names in it */
    agent_run_soon(agent);
}

/* A start or an end of postgres makes all that was known of the run before it void. */
void react_server(void *arg)
{
    struct agent *agent = arg;
    enum server_state state = server_state(agent->server);
    agent->config.dirty = true;
    if (state == SERVER_UP) {
        agent->run.up_since_ms = agent->peers.changed_ms = clock_boot_ms();
        agent->troubles.start.text[0] = agent->troubles.start.reason[0] = '\0';
        agent->run.refusal = (struct refusal){0};
        agent->run.wal_gone_proven = false;
        configure_up(agent);
        log_info("postgres is up", "role", volume_role_name(agent->run.role), NULL);
    } else if (agent_is_busy(agent) && agent->job.child == NULL) {
        job_end(agent); /* it waited for a server that is not there any more */
    }
    if (state == SERVER_DOWN) {
        agent->run.role = ROLE_NONE;
        agent->run.cause = (struct cause){0};
        agent->observed.control_known = false;
        agent->observed.standby_signal = volume_is_standby(&agent->volume);
        log_info("postgres is down", NULL);
    }
    agent_run_soon(agent);
}

static void count_crash(struct agent *agent, const char *why)
{
    AUTO_ARENA arena = arena_new();
    struct crashes *crashes = &agent->crashes;
    crashes->count++;
    snprintf(crashes->time, sizeof crashes->time, "%s", clock_rfc3339(arena, clock_wall_ms()));
    snprintf(crashes->words, sizeof crashes->words, "%s", why);
    text_one_line(crashes->words);
    survey_look_now(agent->survey); /* was it for want of room? */
}

void react_recovered(void *arg, const char *why)
{
    log_error("postgres crashed and is recovering", "why", why, NULL);
    count_crash(arg, why);
    agent_run_soon(arg);
}

static const char *const remedies[SURVEY_VOLUMES] = {
    "the data volume is full: raise spec.storage.size",
    "the WAL volume is full: raise spec.walStorage.size",
};

const char *react_no_room(const struct agent *agent)
{
    for (int i = SURVEY_VOLUMES - 1; i >= 0; i--)
        if (survey_room(agent->survey, (enum survey_volume)i)->level == ROOM_FULL)
            return remedies[i];
    return "";
}

/* Once there is space, a server that failed for lack of it can start. */
void react_room(void *arg)
{
    struct agent *agent = arg;
    for (int i = 0; i < SURVEY_VOLUMES; i++)
        if (survey_room(agent->survey, (enum survey_volume)i)->level != ROOM_FULL)
            agent->troubles.no_room[i][0] = '\0';
    if (agent->troubles.start_lacks_room && react_no_room(agent)[0] == '\0') {
        agent->troubles.start.until_ms = 0;
        agent->troubles.start_lacks_room = false;
    }
    if (react_no_room(agent)[0] == '\0')
        agent->troubles.retire.until_ms = 0;
    agent_run_soon(agent);
}

static void note_no_room(struct agent *agent, const struct logs_message *message)
{
    bool of_wal = strstr(message->text, "pg_wal/") != NULL &&
                  strcmp(agent->volume.data_dir, agent->volume.wal_dir) != 0;
    char *place = agent->troubles.no_room[of_wal ? SURVEY_WAL : SURVEY_DATA];
    char text[sizeof agent->troubles.no_room[0]];
    snprintf(text, sizeof text, "%s:  %s", message->severity, message->text);
    /* The first message says it all, and thousands of sessions may repeat it every second. */
    text_one_line(text);
    if (place[0] == '\0' || strcmp(message->severity, "PANIC") == 0)
        memcpy(place, text, sizeof text);
    survey_look_now(agent->survey);
}

/* A crash after a steady run is the first of its row: it costs no pause. Each one that follows
 * doubles the pause, so that a broken server does not burn a processor. */
void react_crashed(void *arg, const char *why, bool was_up)
{
    struct agent *agent = arg;
    struct trouble *trouble = &agent->troubles.start;
    int64_t now_ms = clock_boot_ms();
    bool steady = was_up && now_ms - agent->run.up_since_ms >= STEADY_MS;
    if (!was_up && configure_blame(agent, why))
        return;
    configure_failed(agent);
    count_crash(agent, why);
    if (steady)
        agent_forget_trouble(trouble);
    bool first = trouble->failures == 0;
    trouble->text[0] = '\0'; /* each crash is logged */
    agent_note_trouble(agent, trouble, REASON_CRASH_LOOPING, why, CRASH_FIRST_PAUSE_MS,
                       CRASH_LONGEST_PAUSE_MS, now_ms);
    if (was_up && first)
        trouble->until_ms = 0; /* a single crash costs no more than its recovery */
}

/* Why this replica does not stream, in its WAL receiver's last words. Only a process of that kind
 * can write such a message; what its words bring about needs more than them: see refusal.h. */
void react_fatal(void *arg, const struct logs_message *message)
{
    struct agent *agent = arg;
    const char *text = message->text;
    struct trouble *trouble = &agent->troubles.stream;
    const char *reason = NULL, *remedy = "";
    int64_t now_ms = clock_boot_ms();
    cause_note_message(&agent->run.cause, message, now_ms);
    if (strcmp(message->sqlstate, SQLSTATE_DISK_FULL) == 0)
        note_no_room(agent, message);
    /* Nothing below depends on text that a session can write itself. */
    if (strcmp(message->severity, "FATAL") != 0 && strcmp(message->severity, "PANIC") != 0)
        return;
    if (agent->run.role != ROLE_REPLICA || strcmp(message->backend, "walreceiver") != 0)
        return;
    bool broke_off = phrase_is_in(PHRASE_WAL_RECEIVE_FAILED, text);
    if (phrase_is_in(PHRASE_WAL_REMOVED, text)) {
        reason = REASON_WAL_GONE;
        remedy = ": it is cloned again once the primary's report confirms it; if that "
                 "lasts, " CLONE_BY_HAND;
        refusal_note(&agent->run.refusal, REFUSED_WAL, now_ms);
    } else if (phrase_is_in(PHRASE_SYSTEM_DIFFERS, text)) {
        reason = REASON_SYSTEM_IDENTIFIER_MISMATCH;
        remedy =
            ": the volume holds the data of another cluster; to clone the primary, " CLONE_BY_HAND;
        refusal_note(&agent->run.refusal, REFUSED_SYSTEM, now_ms);
    } else if (phrase_is_in(PHRASE_PRIMARY_UNREACHABLE, text) ||
               phrase_is_in(PHRASE_STREAMING_REFUSED, text) || broke_off) {
        reason = REASON_NOT_STREAMING;
    }
    if (reason == NULL)
        return;
    snprintf(trouble->reason, sizeof trouble->reason, "%s", reason);
    char sentence[600];
    pg_sentence(sentence, sizeof sentence, text);
    snprintf(trouble->text, sizeof trouble->text, "%s%s", sentence, remedy);
    text_one_line(trouble->text);
    agent->run.stream_failed_ms = now_ms;
    /* What came before a stream broke off is still to be replayed. */
    agent->run.wal_wanted_ms = broke_off ? 0 : now_ms;
    monitor_poll_now(agent->monitor);
    agent_run_soon(agent);
}

void react_children(void *arg)
{
    struct agent *agent = arg;
    server_check_strays(agent->server);
}

void react_signal(evutil_socket_t signal, short what, void *arg)
{
    (void)what;
    struct agent *agent = arg;
    if (signal == SIGHUP) {
        log_info("reading everything again", NULL);
        settings_reread(agent->settings);
        server_reload(agent->server);
        return;
    }
    if (!agent->stopping)
        log_info("asked to stop", "signal", signal == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
    agent->stopping = true;
    agent_run_soon(agent);
}
