/* Filling an empty volume: initdb for the first primary, pg_basebackup for all others. */
#include <stdio.h>
#include <string.h>

#include "api/reasons.h"
#include "instance/agent.h"
#include "phrase/phrase.h"

enum { FIRST_PAUSE_MS = 500, LONGEST_PAUSE_MS = 10000 };

static void log_part(const struct job *job, const char *part, int64_t now_ms)
{
    AUTO_ARENA arena = arena_new();
    log_info("step continues", "step", job_name(job->kind), "part", part, "ms",
             arena_printf(arena, "%lld", (long long)(now_ms - job->started_ms)), NULL);
}

static ERR_CHECKED int begin_bootstrap(void *arg, struct error *err)
{
    return volume_begin(&((struct agent *)arg)->volume, err);
}

static ERR_CHECKED int commit_primary(void *arg, struct error *err)
{
    return volume_commit(&((struct agent *)arg)->volume, ROLE_PRIMARY, err);
}

static ERR_CHECKED int commit_standby(void *arg, struct error *err)
{
    return volume_commit(&((struct agent *)arg)->volume, ROLE_REPLICA, err);
}

static void log_output(const char *program, const char *output)
{
    AUTO_ARENA arena = arena_new();
    char *rest = NULL;
    for (char *line = strtok_r(arena_strdup(arena, output), "\r\n", &rest); line != NULL;
         line = strtok_r(NULL, "\r\n", &rest))
        log_info(line, "program", program, NULL);
}

/* A failure while the agent stops is not reported: the stop caused it. Otherwise the volume is
 * inspected again before the next try, because how far this one came is not known. */
static void fail_bootstrap(struct agent *agent, struct trouble *trouble, const char *reason,
                           const struct child_result *result)
{
    AUTO_ARENA arena = arena_new();
    char sentence[sizeof result->err.text];
    const char *text = sentence;
    if (agent->stopping) {
        job_end(agent);
        return;
    }
    pg_sentence(sentence, sizeof sentence, result->err.text);
    if (phrase_is_in(PHRASE_NO_USER, text))
        text = arena_printf(
            arena,
            "%s: /etc/passwd of the container has no line for its uid; the operator mounts that "
            "file, so check whether the pod's volumes or runAsUser were changed",
            text);
    log_output(job_name(agent->job.kind), result->output);
    agent_note_trouble(agent, trouble, reason, text, FIRST_PAUSE_MS, LONGEST_PAUSE_MS,
                       clock_boot_ms());
    agent->observed.state = VOLUME_UNKNOWN;
    job_end(agent);
}

static void end_bootstrap(struct agent *agent, struct trouble *trouble)
{
    agent_forget_trouble(trouble);
    agent->observed.state = VOLUME_UNKNOWN; /* checked once more, to be sure */
    job_end(agent);
}

static void after_initdb_commit(struct agent *agent, const struct child_result *result)
{
    if (result->err.class != 0)
        fail_bootstrap(agent, &agent->troubles.start, REASON_INITDB_FAILED, result);
    else
        end_bootstrap(agent, &agent->troubles.start);
}

static void after_initdb(struct agent *agent, const struct child_result *result)
{
    if (result->err.class != 0) {
        fail_bootstrap(agent, &agent->troubles.start, REASON_INITDB_FAILED, result);
        return;
    }
    log_part(&agent->job, "commit", clock_boot_ms());
    job_task(agent, commit_primary, after_initdb_commit);
}

static void run_initdb(struct agent *agent, const struct child_result *result)
{
    AUTO_ARENA arena = arena_new();
    if (result->err.class != 0) {
        fail_bootstrap(agent, &agent->troubles.start, REASON_INITDB_FAILED, result);
        return;
    }
    log_part(&agent->job, "run", clock_boot_ms());
    job_program(agent,
                bootstrap_initdb(arena, &agent->observed.binaries, &agent->volume,
                                 &settings_view(agent->settings)->config),
                NULL, after_initdb);
}

void job_initdb(struct agent *agent, int64_t now_ms)
{
    job_begin(agent, JOB_INITDB, now_ms);
    job_task(agent, begin_bootstrap, run_initdb);
}

static void after_clone_commit(struct agent *agent, const struct child_result *result)
{
    if (result->err.class != 0)
        fail_bootstrap(agent, &agent->troubles.clone, REASON_CLONE_FAILED, result);
    else
        end_bootstrap(agent, &agent->troubles.clone);
}

static void after_clone(struct agent *agent, const struct child_result *result)
{
    if (result->err.class != 0) {
        fail_bootstrap(agent, &agent->troubles.clone, REASON_CLONE_FAILED, result);
        return;
    }
    log_part(&agent->job, "commit", clock_boot_ms());
    snprintf(agent->job.message, sizeof agent->job.message, "flushing the copy to disk");
    job_task(agent, commit_standby, after_clone_commit);
}

static void on_clone_output(void *arg, const char *data, size_t length)
{
    struct agent *agent = arg;
    AUTO_ARENA arena = arena_new();
    struct bootstrap_progress progress;
    if (!bootstrap_read_progress(arena_strndup(arena, data, length), &progress))
        return;
    const char *text = bootstrap_progress_text(arena, &progress);
    if (strcmp(text, agent->job.message) == 0)
        return;
    snprintf(agent->job.message, sizeof agent->job.message, "%s", text);
    agent_run_soon(agent);
}

static void run_clone(struct agent *agent, const struct child_result *result)
{
    AUTO_ARENA arena = arena_new();
    if (result->err.class != 0) {
        fail_bootstrap(agent, &agent->troubles.clone, REASON_CLONE_FAILED, result);
        return;
    }
    log_part(&agent->job, "run", clock_boot_ms());
    struct conf_input input = agent_conf_input(agent, arena);
    const char *address = agent->lease ? member_lease_view(agent->lease)->primary_address : "";
    const char *conninfo = conf_clone_conninfo(arena, &input, address);
    job_program(
        agent,
        bootstrap_clone(arena, &agent->observed.binaries, &agent->volume, conninfo, input.slot),
        on_clone_output, after_clone);
}

void job_clone(struct agent *agent, int64_t now_ms)
{
    job_begin(agent, JOB_CLONE, now_ms);
    job_task(agent, begin_bootstrap, run_clone);
}
