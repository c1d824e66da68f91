/*
 * The configuration files. The server program itself checks a new postgresql.conf (`postgres -C`)
 * before the running server reads it; the running server checks a new pg_hba.conf. The
 * configuration that a postmaster came up with is kept on the volume as accepted. When the newest
 * one is refused, the accepted one stays in use, also in a new pod, and the report has the server's
 * message.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "api/names.h"
#include "api/reasons.h"
#include "base/buffer.h"
#include "base/hash.h"
#include "base/text.h"
#include "instance/agent.h"
#include "member/mounts.h"
#include "phrase/phrase.h"

enum {
    RELOAD_DEADLINE_MS = 10000,
    RELOAD_LOOK_MS = 25,
    QUERY_TIMEOUT_MS = 5000,
    CONTROL_FRESH_MS = 1000,
    CONTROL_PERIOD_MS = 2000,
    RETRY_FIRST_MS = 1000,
    RETRY_LONGEST_MS = 30000,
};

void configure_free(struct configuration *config)
{
    char *all[] = {config->conf,      config->hba,      config->shared_conf,
                   config->next_conf, config->next_hba, config->next_shared};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

/* As `desired` computes cluster_config.config_hash. */
static void hash_sources(const char *conf, const char *hba, char ret_hash[17])
{
    AUTO_ARENA arena = arena_new();
    const char *both = arena_printf(arena, "%s\n%s", conf, hba);
    snprintf(ret_hash, 17, "%s", hash_hex16(arena, both, strlen(both)));
}

static enum trial_step advance(struct agent *agent, enum trial_kind kind)
{
    struct trial_event event = {
        .kind = kind, .hash = "", .up = server_state(agent->server) == SERVER_UP};
    return trial_next(&agent->config.trial, &event);
}

static enum trial_step ask(struct agent *agent)
{
    const struct settings_view *view = settings_view(agent->settings);
    char hash[17];
    hash_sources(view->conf, view->hba, hash);
    struct trial_event event = {.kind = TRIAL_ASKED, .hash = hash};
    return trial_next(&agent->config.trial, &event);
}

static struct conf_input input_of(struct agent *agent, struct arena *arena, const char *shared)
{
    struct conf_input input = agent_conf_input(agent, arena);
    bool up = server_state(agent->server) != SERVER_DOWN;
    bool standby = up ? agent->run.role == ROLE_REPLICA : agent->observed.standby_signal;
    input.shared = shared;
    input.standby_floor =
        standby && agent->observed.control_known ? &agent->observed.control : NULL;
    return input;
}

static char *render(struct agent *agent, struct arena *arena, const char *shared)
{
    struct conf_input input = input_of(agent, arena, shared);
    return conf_render(arena, &input);
}

/* A running standby's limits follow those of its primary, which come with the WAL. They are read
 * again before a file is written from them, and while they are what keeps the file above the
 * sources: when the primary has come down, this one may. */
bool configure_control_due(const struct agent *agent, int64_t now_ms)
{
    const struct configuration *config = &agent->config;
    int64_t age_ms = now_ms - agent->observed.control_read_ms;
    if (server_state(agent->server) != SERVER_UP || agent->run.role != ROLE_REPLICA)
        return false;
    if (config->stale)
        return age_ms >= CONTROL_FRESH_MS;
    return config->lifted && age_ms >= CONTROL_PERIOD_MS &&
           (agent->observed.control_written_ns == 0 ||
            agent->observed.control_written_ns != survey_control_written_ns(agent->survey));
}

/* Another server than the one that runs may need another instance part of the same sources. */
void configure_refresh(struct agent *agent, int64_t now_ms)
{
    struct configuration *config = &agent->config;
    const struct settings_view *view = settings_view(agent->settings);
    bool down = server_state(agent->server) == SERVER_DOWN;
    bool waits = down ? agent->observed.standby_signal && !agent->observed.control_known
                      : agent_in_pause(&agent->troubles.config, now_ms);
    if (!config->dirty || !view->known || waits)
        return;
    AUTO_ARENA arena = arena_new();
    enum trial_step wanted = ask(agent);
    config->dirty = false;
    if (wanted == TRIAL_TRY_NEWEST)
        config->stale = config->conf == NULL || !text_same(config->hba, view->hba) ||
                        !text_same(config->conf, render(agent, arena, view->conf));
    else
        config->stale = wanted == TRIAL_TRY_LOADED &&
                        !text_same(config->conf, render(agent, arena, config->shared_conf));
    if (wanted == TRIAL_TRY_NEWEST && !config->stale &&
        text_same(config->trial.newest, config->trial.loaded)) {
        config->fault = (struct error){0};
        agent_forget_trouble(&agent->troubles.config);
    }
}

static const char *path_of(struct agent *agent, struct arena *arena, const char *name)
{
    return arena_printf(arena, "%s/%s", agent->options.run_dir, name);
}

static ERR_CHECKED int write_file(struct agent *agent, const char *name, const char *text,
                                  struct error *err)
{
    AUTO_ARENA arena = arena_new();
    bool written;
    return mounts_write(path_of(agent, arena, name), text, strlen(text), 0600, &written, err);
}

/* ---- refusing and falling back ---- */

static void check(struct agent *agent, const char *shared, const char *hba);

static void refuse(struct agent *agent, const char *why)
{
    struct configuration *config = &agent->config;
    bool running = server_state(agent->server) == SERVER_UP;
    err_set_reason(&config->fault, ERR_INVALID, REASON_CONFIG_INVALID,
                   "PostgreSQL refuses the configuration: %.800s; correct spec.postgres%s", why,
                   running ? "" : ", or delete the pod to try again once the cause is gone");
    log_failure(&config->fault, "the configuration is refused", "hash", config->trial.refused,
                NULL);
    config->stale = false;
    config->dirty = true;
}

static void end_configuring(struct agent *agent)
{
    agent->config.dirty = true;
    job_end(agent);
}

static void fall_back(struct agent *agent)
{
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    const char *conf = NULL, *hba = NULL;
    char hash[17] = "";
    if (volume_accepted_read(arena, &agent->volume, &conf, &hba, &err) < 0)
        log_failure(&err, "the accepted configuration cannot be read", NULL);
    else if (conf != NULL && hba != NULL)
        hash_sources(conf, hba, hash);
    struct trial_event event = {.kind = TRIAL_FELL_BACK, .hash = hash};
    if (trial_next(&agent->config.trial, &event) == TRIAL_TRY_ACCEPTED)
        check(agent, conf, hba);
    else
        end_configuring(agent);
}

/* The configuration was not refused: it could not be tried, and is tried again. */
static void postpone(struct agent *agent, const char *why)
{
    bool running = server_state(agent->server) == SERVER_UP;
    struct trouble *trouble = running ? &agent->troubles.config : &agent->troubles.start;
    AUTO_ARENA arena = arena_new();
    agent_note_trouble(
        agent, trouble, REASON_CONFIGURATION_PENDING,
        arena_printf(arena, "the configuration cannot be tried: %.800s; the agent tries again",
                     why),
        RETRY_FIRST_MS, RETRY_LONGEST_MS, clock_boot_ms());
    if (running)
        agent->config.stale = false; /* until it is looked at again, after the pause */
    end_configuring(agent);
}

static void refuse_and_end(struct agent *agent, const char *why)
{
    AUTO_ARENA arena = arena_new();
    enum trial_step step = advance(agent, TRIAL_REFUSED);
    if (step == TRIAL_POSTPONE) {
        postpone(agent,
                 arena_printf(arena,
                              "PostgreSQL refuses the configuration that it already runs with: %s",
                              why));
        return;
    }
    if (step == TRIAL_REFUSE || step == TRIAL_REFUSE_AND_FALL_BACK)
        refuse(agent, why);
    if (step == TRIAL_REFUSE_AND_FALL_BACK)
        fall_back(agent);
    else
        end_configuring(agent);
}

/* ---- into the running server ---- */

static void finish(struct agent *agent)
{
    struct configuration *config = &agent->config;
    agent_forget_trouble(&agent->troubles.config);
    text_replace(&config->conf, config->next_conf);
    text_replace(&config->hba, config->next_hba);
    text_replace(&config->shared_conf, config->next_shared);
    ask(agent); /* something else may be asked for by now */
    advance(agent, TRIAL_LOADED);
    end_configuring(agent);
}

void configure_watch(struct agent *agent, int64_t now_ms)
{
    struct configuration *config = &agent->config;
    const struct monitor_view *view = monitor_view(agent->monitor);
    if (agent->job.kind != JOB_RELOAD || config->deadline_ms == 0)
        return;
    bool loaded = view->answered && view->loaded_at > config->loaded_before;
    if (!loaded && now_ms < config->deadline_ms)
        return;
    if (!loaded)
        log_warning("the server did not confirm the reload in time", NULL);
    if (!config->asked_pending) {
        config->asked_pending = true;
        monitor_forget_pending(agent->monitor);
        monitor_poll_now(agent->monitor);
    }
    /* The report tells the new hash together with what waits for a restart, never before it: else
     * the cluster would look healthy in between, and the primary might be restarted first. */
    if (!view->pending_known && now_ms < config->deadline_ms)
        return;
    config->deadline_ms = 0;
    finish(agent);
}

static ERR_CHECKED int install(struct agent *agent, const char *hba, struct error *err)
{
    AUTO_ARENA arena = arena_new();
    const char *from = path_of(agent, arena, "postgresql.conf.new");
    const char *to = path_of(agent, arena, "postgresql.conf");
    if (write_file(agent, "pg_hba.conf", hba, err) < 0 ||
        write_file(agent, "pg_ident.conf", "", err) < 0)
        return err->class;
    if (rename(from, to) < 0)
        return err_errno(err, errno, "rename '%s' to '%s'", from, to);
    return 0;
}

/* Only an answer of the server is a verdict. The files change in this order so that the server
 * never reads new rules with which it was not asked: until the reload it goes on with what it has
 * read. */
static void after_hba_check(void *arg, const PGresult *result, const struct error *err)
{
    struct agent *agent = arg;
    struct configuration *config = &agent->config;
    struct error written = {0};
    AUTO_ARENA arena = arena_new();
    if (agent->job.kind != JOB_RELOAD)
        return;
    if (err->class != 0) {
        postpone(agent, err->text);
        return;
    }
    if (PQntuples(result) > 0) {
        const char *why =
            arena_printf(arena, "pg_hba.conf line %s: %s", pg_text(result, 0, "line_number"),
                         pg_text(result, 0, "error"));
        if (config->hba != NULL && write_file(agent, "pg_hba.conf", config->hba, &written) < 0)
            log_failure(&written, "the earlier pg_hba.conf cannot be restored", NULL);
        refuse_and_end(agent, why);
        return;
    }
    if (install(agent, config->next_hba, &written) < 0) {
        postpone(agent, written.text);
        return;
    }
    config->loaded_before = monitor_view(agent->monitor)->loaded_at;
    config->deadline_ms = clock_boot_ms() + RELOAD_DEADLINE_MS;
    config->asked_pending = false;
    server_reload(agent->server);
    monitor_set_period(agent->monitor, RELOAD_LOOK_MS);
    monitor_poll_now(agent->monitor);
}

static void put_into_running(struct agent *agent)
{
    struct error err = {0};
    /* The view reads the file as it lies there; the running rules stay until the reload. */
    const char *hba = agent->config.next_hba;
    if (write_file(agent, "pg_hba.conf", hba ? hba : "", &err) < 0) {
        postpone(agent, err.text);
        return;
    }
    monitor_query(agent->monitor,
                  "select line_number::text, error from pg_hba_file_rules"
                  " where error is not null limit 1",
                  QUERY_TIMEOUT_MS, after_hba_check, agent);
}

/* ---- checking ---- */

/* The server's own words: every line but the last verdict, without timestamps. */
static char *complaint(struct arena *arena, const char *output)
{
    static const char *const labels[] = {"LOG:  ", "ERROR:  ", "FATAL:  ", "HINT:  ", "DETAIL:  "};
    AUTO_BUFFER out = {0};
    char *rest = NULL;
    for (char *line = strtok_r(arena_strdup(arena, output), "\r\n", &rest); line != NULL;
         line = strtok_r(NULL, "\r\n", &rest)) {
        const char *text = NULL;
        for (size_t i = 0; i < sizeof labels / sizeof labels[0] && text == NULL; i++)
            if ((text = strstr(line, labels[i])) != NULL)
                text += strlen(labels[i]);
        if (text == NULL || phrase_is_in(PHRASE_CONFIGURATION_ERRORS, text))
            continue;
        buffer_printf(&out, "%s%s", out.length ? "; " : "", text);
    }
    return arena_strndup(arena, buffer_text(&out), out.length);
}

/* It is refused only if the program has ended by itself and said why: one that was killed, or could
 * not be started, has judged nothing. */
static void after_check(struct agent *agent, const struct child_result *result)
{
    struct error err = {0};
    AUTO_ARENA arena = arena_new();
    const char *said = complaint(arena, result->output);
    if (agent->stopping) {
        job_end(agent);
    } else if (result->err.class != 0 && WIFEXITED(result->status) && said[0] != '\0') {
        refuse_and_end(agent, said);
    } else if (result->err.class != 0) {
        postpone(agent, result->err.text);
    } else if (server_state(agent->server) == SERVER_UP) {
        put_into_running(agent);
    } else if (install(agent, agent->config.next_hba, &err) < 0) {
        postpone(agent, err.text);
    } else {
        finish(agent);
    }
}

/* `postgres -C` parses a file exactly as the server will, and touches no data. */
static void check(struct agent *agent, const char *shared, const char *hba)
{
    AUTO_ARENA arena = arena_new();
    struct configuration *config = &agent->config;
    struct child_result failed = {.output = ""};
    struct conf_input input = input_of(agent, arena, shared);
    const char *text = conf_render(arena, &input);
    config->lifted = conf_is_lifted(&input);
    text_replace(&config->next_conf, text);
    text_replace(&config->next_shared, shared);
    text_replace(&config->next_hba, hba);
    if (write_file(agent, "postgresql.conf.new", text, &failed.err) < 0) {
        after_check(agent, &failed);
        return;
    }
    const char *argv[] = {
        arena_printf(arena, "%s/postgres", agent->observed.binaries.dir),
        "-D",
        agent->volume.pgdata,
        "-c",
        arena_printf(arena, "config_file=%s", path_of(agent, arena, "postgresql.conf.new")),
        "-C",
        "data_directory",
        NULL};
    job_program(agent, argv, NULL, after_check);
}

/* What the volume keeps; "" when that is known already, or cannot be. fall_back() tells then. */
static void read_accepted_hash(struct agent *agent, char ret_hash[17])
{
    AUTO_ARENA arena = arena_new();
    struct error ignored;
    const char *conf = NULL, *hba = NULL;
    ret_hash[0] = '\0';
    if (agent->config.trial.accepted[0] == '\0' &&
        volume_accepted_read(arena, &agent->volume, &conf, &hba, &ignored) == 0 && conf && hba)
        hash_sources(conf, hba, ret_hash);
}

/* What the volume keeps as accepted is read first: only then is it known what to fall back on. */
void configure_begin(struct agent *agent, int64_t now_ms)
{
    AUTO_ARENA arena = arena_new();
    const struct settings_view *view = settings_view(agent->settings);
    struct configuration *config = &agent->config;
    bool up = server_state(agent->server) == SERVER_UP;
    char accepted[17];
    job_begin(agent, up ? JOB_RELOAD : JOB_CONFIGURE, now_ms);
    config->deadline_ms = 0;
    read_accepted_hash(agent, accepted);
    ask(agent);
    struct trial_event event = {.kind = TRIAL_BEGUN, .hash = accepted, .up = up};
    enum trial_step step = trial_next(&config->trial, &event);
    if (step == TRIAL_TRY_NEWEST)
        check(agent, view->conf, view->hba);
    else if (step == TRIAL_TRY_LOADED)
        check(agent, arena_strdup(arena, config->shared_conf), arena_strdup(arena, config->hba));
    else
        fall_back(agent);
}

/* ---- proof ---- */

static ERR_CHECKED int write_accepted(void *arg, struct error *err)
{
    struct agent *agent = arg;
    return volume_accepted_write(&agent->volume, agent->config.shared_conf, agent->config.hba, err);
}

static void after_accepted(struct agent *agent, const struct child_result *result)
{
    if (result->err.class == 0)
        advance(agent, TRIAL_ACCEPTED);
    else if (!agent->stopping)
        agent_note_trouble(agent, &agent->troubles.volume, REASON_VOLUME_UNREADABLE,
                           result->err.text, 1000, 30000, clock_boot_ms());
    job_end(agent);
}

void configure_proven(struct agent *agent, int64_t now_ms)
{
    if (agent_is_busy(agent) || agent_in_pause(&agent->troubles.volume, now_ms) ||
        advance(agent, TRIAL_PROVEN) != TRIAL_WRITE)
        return;
    job_begin(agent, JOB_ACCEPT, now_ms);
    job_task(agent, write_accepted, after_accepted);
}

/* postgres died before it was up. The configuration is blamed only if it is not the accepted one.
 */
bool configure_blame(struct agent *agent, const char *why)
{
    /* It will be tried again when the cause has gone: once it is loaded, the restart is withheld
     * for as long as they are prepared. */
    bool is_full = phrase_is_in(PHRASE_PREPARED_FULL, why);
    struct trial_event event = {.kind = TRIAL_CRASHED, .passes = is_full};
    enum trial_step step = trial_next(&agent->config.trial, &event);
    if (step == TRIAL_TRY_AGAIN)
        agent->config.dirty = true;
    if (step == TRIAL_FALL_BACK)
        log_warning("postgres does not start with a configuration that waited for a restart, and "
                    "goes back to the accepted one",
                    "why", why, NULL);
    if (step != TRIAL_REFUSE)
        return step == TRIAL_FALL_BACK;
    refuse(agent, why);
    return true;
}

void configure_failed(struct agent *agent)
{
    advance(agent, TRIAL_FAILED);
}

void configure_up(struct agent *agent)
{
    advance(agent, TRIAL_UP);
}
