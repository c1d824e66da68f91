/*
 * What a running server needs besides running: its roles, slots and database, and the read-write
 * endpoint. Everything is checked again on each turn, and only differences act.
 */
#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "base/hash.h"
#include "base/memory.h"
#include "instance/agent.h"

enum {
    QUIET_MS = 3000,
    ROLES_FIRST_PAUSE_MS = 1000,
    ROLES_LONGEST_PAUSE_MS = 30000,
};

bool serving_is_primary(const struct agent *agent)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    return server_state(agent->server) == SERVER_UP && view->answered && !view->in_recovery &&
           agent->run.role == ROLE_PRIMARY;
}

bool serving_holds_lease(const struct agent *agent, int64_t now_ms)
{
    return machine_holds_lease(agent_authority(agent, now_ms));
}

/* ---- roles, slots, database ---- */

static void hash_of_primary_work(const struct settings_view *view, char ret_hash[17])
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
    agent->primary_work.wrote = true;
    agent_run_soon(agent);
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
    roles_free(agent->primary_work.roles);
    agent->primary_work.roles = NULL;
    agent->primary_work.done_ms = clock_boot_ms();
    if (err->class == 0) {
        agent_forget_trouble(&agent->troubles.roles);
        memcpy(agent->primary_work.verifiers_hash, agent->primary_work.next_verifiers_hash,
               sizeof agent->primary_work.verifiers_hash);
        /* Without verifiers there are no roles yet, although the rest was created. */
        agent->primary_work.bootstrapped = agent->primary_work.verifiers_hash[0] != '\0';
    } else {
        agent->primary_work.roles_hash[0] = '\0';
        agent_note_trouble(agent, &agent->troubles.roles, err->reason, err->text,
                           ROLES_FIRST_PAUSE_MS, ROLES_LONGEST_PAUSE_MS,
                           agent->primary_work.done_ms);
    }
    monitor_poll_now(agent->monitor);
    agent_run_soon(agent);
}

/* Roles are applied when what is asked for differs from what was applied last, or when a slot is
 * missing, lost, or left behind by a member that is gone. */
static void update_roles(struct agent *agent, int64_t now_ms)
{
    const struct settings_view *view = settings_view(agent->settings);
    char hash[17];
    settings_fetch_verifiers(agent->settings);
    hash_of_primary_work(view, hash);
    /* Slots as they were seen before the last round say nothing of what it left. */
    bool seen_since = monitor_view(agent->monitor)->answered_ms > agent->primary_work.done_ms;
    bool due = strcmp(hash, agent->primary_work.roles_hash) != 0 ||
               (agent->primary_work.bootstrapped && seen_since && slots_need_work(agent));
    if (agent->primary_work.roles != NULL || !due || agent_in_pause(&agent->troubles.roles, now_ms))
        return;
    memcpy(agent->primary_work.roles_hash, hash, sizeof hash);
    snprintf(agent->primary_work.next_verifiers_hash,
             sizeof agent->primary_work.next_verifiers_hash, "%s", view->verifiers_hash);
    struct roles_input input = {.socket_dir = agent->options.run_dir,
                                .port = agent->options.port,
                                .instance = agent->options.name,
                                .config = &view->config,
                                .verifiers = view->verifiers};
    struct roles_handlers handlers = {on_wrote, on_slots, on_roles_done, agent};
    agent->primary_work.roles = roles_start(agent->loop, &input, &handlers);
}

static void forget_primary_work(struct primary_work *work)
{
    roles_free(work->roles);
    work->roles = NULL;
    work->wrote = false;
    work->roles_hash[0] = '\0';
}

/* ---- endpoint ---- */

static enum slice_want wanted_slice(const struct agent *agent, int64_t now_ms)
{
    if (!serving_holds_lease(agent, now_ms))
        return SLICE_LEAVE;
    if (agent->stopping)
        return SLICE_EMPTY;
    if (serving_is_primary(agent) && agent->primary_work.wrote)
        return SLICE_SELF;
    /* A crash of postgres in place leaves it: the address is right, and back in a moment. What
     * stands there from an earlier pod is wrong. */
    return agent->served ? SLICE_SELF : SLICE_EMPTY;
}

static void update_endpoint(struct agent *agent, int64_t now_ms)
{
    if (agent->slice == NULL || agent->options.pod_ips == NULL)
        return;
    enum slice_want want = wanted_slice(agent, now_ms);
    agent->served |= want == SLICE_SELF;
    slice_set(agent->slice, want, agent->lease ? member_lease_view(agent->lease)->epoch : 0);
}

/* Once things are quiet: bootstrap, the first TLS handshakes and queries need not stay in memory.
 */
static void give_memory_back(struct agent *agent, int64_t now_ms)
{
    if (agent->gave_memory || now_ms - agent->run.up_since_ms < QUIET_MS)
        return;
    agent->gave_memory = true;
    memory_give_back();
}

static void update_cause(struct cause *cause, const struct monitor_view *view, int64_t now_ms)
{
    if (view->trouble.class != 0)
        cause_note_refusal(cause, view->trouble.text, now_ms);
    else if (view->answered_ms > cause->seen_ms)
        *cause = (struct cause){0};
}

/* A WAL receiver calls itself streaming before the primary has answered it: one that has gone on
 * since then does stream, also when the log says otherwise; after a refusal only one that was sent
 * something.
 */
bool serving_streams(const struct agent *agent)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    const struct refusal *refusal = &agent->run.refusal;
    return view->receiver_since_ms != 0 &&
           view->answered_ms - view->receiver_since_ms >= REFUSAL_STEADY_MS &&
           (view->receiver_heard || refusal->what == REFUSED_NOTHING);
}

static void update_stream(struct agent *agent)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (!view->answered)
        return;
    refusal_look(&agent->run.refusal, view->answered_ms, view->receiver_since_ms,
                 view->receiver_heard);
    if (serving_streams(agent) && view->answered_ms > agent->run.stream_failed_ms)
        agent_forget_trouble(&agent->troubles.stream);
}

void serving_update(struct agent *agent, int64_t now_ms)
{
    const struct monitor_view *view = monitor_view(agent->monitor);
    update_endpoint(agent, now_ms);
    if (server_state(agent->server) != SERVER_UP) {
        monitor_stop(agent->monitor);
        forget_primary_work(&agent->primary_work);
        return;
    }
    monitor_start(agent->monitor);
    configure_watch(agent, now_ms);
    update_cause(&agent->run.cause, view, now_ms);
    give_memory_back(agent, now_ms);
    peers_update(agent, now_ms);
    monitor_set_period(agent->monitor, peers_period(agent, now_ms));
    update_stream(agent);
    if (serving_is_primary(agent) && machine_may_write(agent_authority(agent, now_ms)) &&
        !agent->stopping)
        update_roles(agent, now_ms);
    else if (view->answered && view->in_recovery)
        forget_primary_work(&agent->primary_work);
    if (view->pending_known && !view->pending_restart && !agent->config.stale && !agent->stopping)
        configure_proven(agent, now_ms);
}
