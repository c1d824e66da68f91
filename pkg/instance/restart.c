/*
 * The restart that the operator ordered: a checkpoint first, so that the stop is short; then a last
 * look whether it would help; then the stop. All of it uses a separate connection: a checkpoint of
 * a large server takes minutes, in which the monitor goes on and the instance stays ready.
 */
#include <stdio.h>
#include <string.h>

#include "instance/agent.h"

enum { CHECKPOINT_TIMEOUT_MS = 600000, QUERY_TIMEOUT_MS = 5000 };

void restart_end(struct agent *agent)
{
    pg_close(agent->restart.connection);
    agent->restart.connection = NULL;
}

static void stop_for_token(struct agent *agent)
{
    snprintf(agent->restart.token, sizeof agent->restart.token, "%s", agent_member_token(agent));
    snprintf(agent->restart.done_for, sizeof agent->restart.done_for, "%s",
             monitor_view(agent->monitor)->pending_parameters);
    server_stop(agent->server, agent_stop_timeout_ms(agent));
    if (agent->restart.connection != NULL) /* else the stop has ended the job */
        job_end(agent);
}

/* After the checkpoint, because others keep working meanwhile. */
static void on_pending(void *arg, const PGresult *result, const struct error *err)
{
    struct agent *agent = arg;
    if (err->class != 0) {
        log_failure(err,
                    "postgres does not say again which parameters need the restart; it is "
                    "restarted all the same",
                    NULL);
        stop_for_token(agent);
        return;
    }
    if (pg_text(result, 0, "names")[0] != '\0' && pg_text(result, 0, "held")[0] == '\0') {
        stop_for_token(agent);
        return;
    }
    /* It would fail, or has become needless. */
    monitor_forget_pending(agent->monitor);
    monitor_poll_now(agent->monitor);
    job_end(agent);
}

static void on_checkpoint(void *arg, const PGresult *result, const struct error *err)
{
    (void)arg, (void)result;
    if (err->class != 0) /* it only would have made the stop shorter */
        log_failure(err, "the checkpoint before the restart failed", NULL);
}

static void on_opened(void *arg, const struct error *err)
{
    (void)arg;
    if (err->class != 0)
        log_failure(err, "the connection for the checkpoint before the restart failed", NULL);
}

void restart_begin(struct agent *agent, int64_t now_ms)
{
    job_begin(agent, JOB_RESTART, now_ms);
    agent->restart.connection =
        monitor_open(agent->monitor, "pgkeel-restart", " -c statement_timeout=0", on_opened, agent);
    pg_query(agent->restart.connection, "checkpoint", CHECKPOINT_TIMEOUT_MS, on_checkpoint, agent);
    pg_query(agent->restart.connection, monitor_pending_sql, QUERY_TIMEOUT_MS, on_pending, agent);
}
