/*
 * The agent, put together from its parts. Only these files include this header: agent.c
 * (loop, steps), react.c (events), facts.c (what is known), jobs.c and fill.c (steps that take
 * time), restart.c (a restart by order), configure.c (configuration files; which of them, trial.h
 * says), serving.c and peers.c (what a running server needs), publish.c (what is said of it). What
 * it is made of stands in parts.h.
 *
 * The handlers of events read the clock; what decides takes the time as an argument
 * (CLOCK_BOOTTIME).
 */
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "machine/authority.h"
#include "instance/instance.h"
#include "instance/parts.h"
#include "instance/probes.h"
#include "loop/timer.h"
#include "member/lease.h"
#include "member/reporter.h"
#include "member/settings.h"
#include "member/slice.h"
#include "postgres/bootstrap.h"
#include "postgres/conf.h"
#include "postgres/monitor.h"
#include "postgres/server.h"

/* The agent removes a copy by itself at most once in this time. */
enum { RETIRE_AGAIN_MS = 3600 * 1000 };

/* The part of the pod's grace period that is kept for what follows the fast stop of postgres:
 * SIGKILL 5 s after SIGQUIT, the last writes to the API within 3 s, and a busy node. */
enum { STOP_RESERVE_MS = 15000, STOP_DEFAULT_MS = 75000, STOP_LEAST_MS = 5000 };

struct agent {
    struct instance_options options;
    struct event_base *loop;
    struct event *step, *wake, *api_again;
    struct event *signals[3];
    int64_t wake_at_ms;
    struct children *children;
    struct settings *settings;
    struct kube *kube;
    struct lease *lease;
    struct slice *slice;
    struct reporter *reporter;
    struct probes *probes;
    struct server *server;
    struct monitor *monitor;
    struct survey *survey;
    struct volume volume;
    char namespace[256], pod_name[256];

    struct observed observed;
    struct run run;
    struct primary_work primary_work;
    struct peers peers;
    struct restart restart;
    struct configuration config;
    struct troubles troubles;
    struct crashes crashes;
    struct reported reported;
    struct job job;

    int64_t began_ms;
    int grace_seconds; /* of this pod; 0 until it is known */
    bool gave_memory;  /* what only the start needed */
    bool served;       /* this process has had traffic pointed at itself */
    bool stopping, shutdown_done;
    int64_t shutdown_deadline_ms;
    struct error end; /* why it ended by itself; class 0: it was asked to */
};

/* agent.c: looks at the facts again, at the next turn of the loop. */
void agent_run_soon(void *agent);
/* Looks again in `ms` at the latest. */
void agent_wake_in(struct agent *agent, int64_t ms, int64_t now_ms);
void agent_note_trouble(struct agent *agent, struct trouble *trouble, const char *reason,
                        const char *text, int first_pause_ms, int longest_pause_ms, int64_t now_ms);
static inline void agent_forget_trouble(struct trouble *trouble)
{
    *trouble = (struct trouble){0};
}
static inline bool agent_in_pause(const struct trouble *trouble, int64_t now_ms)
{
    return now_ms < trouble->until_ms;
}
static inline bool agent_is_busy(const struct agent *agent)
{
    return agent->job.kind != JOB_NONE;
}
/* How long a fast stop may take. */
int agent_stop_timeout_ms(const struct agent *agent);
/* What conf.h wants to know of this instance. */
struct conf_input agent_conf_input(struct agent *agent, struct arena *arena);

/* facts.c */
/* Brings what is known up to date. */
void agent_look(struct agent *agent, int64_t now_ms, int64_t wall_ms);
struct facts agent_facts(const struct agent *agent, int64_t now_ms);
/* To be asked with the present time whenever something is done on its word: a process that was
 * frozen since it last looked must notice. */
enum authority agent_authority(const struct agent *agent, int64_t now_ms);
const char *agent_member_token(const struct agent *agent); /* in cluster.json; "" */

/* jobs.c, fill.c: each begins a job, whose end calls agent_run_soon(). */
void job_begin(struct agent *agent, enum job_kind kind, int64_t now_ms);
const char *job_name(enum job_kind kind); /* in the log */
void job_program(struct agent *agent, const char *const *argv,
                 void (*output)(void *agent, const char *data, size_t length),
                 void (*next)(struct agent *agent, const struct child_result *result));
void job_task(struct agent *agent, int (*task)(void *agent, struct error *err),
              void (*next)(struct agent *agent, const struct child_result *result));
void job_end(struct agent *agent);
void job_cancel(struct agent *agent);
void job_find_binaries(struct agent *agent, int64_t now_ms);
void job_inspect(struct agent *agent, int64_t now_ms, int64_t wall_ms);
void job_discard(struct agent *agent, int64_t now_ms);
void job_retire(struct agent *agent, int64_t now_ms, int64_t wall_ms);
void job_initdb(struct agent *agent, int64_t now_ms);
void job_clone(struct agent *agent, int64_t now_ms);
void job_read_control(struct agent *agent, int64_t now_ms);
void job_record(struct agent *agent, struct volume_record record, int64_t now_ms);
void job_make_standby(struct agent *agent, int64_t now_ms);
void job_promote(struct agent *agent, int64_t now_ms);

/* restart.c: postgres is restarted by order, after a checkpoint; and at the end of any job */
void restart_begin(struct agent *agent, int64_t now_ms);
void restart_end(struct agent *agent);

/* configure.c */
void configure_refresh(struct agent *agent, int64_t now_ms); /* sets config.stale */
bool configure_control_due(const struct agent *agent, int64_t now_ms);
void configure_begin(struct agent *agent, int64_t now_ms); /* STEP_CONFIGURE and STEP_RELOAD */
/* The server came up with it, or crashed before it did (true: another configuration is tried). */
void configure_proven(struct agent *agent, int64_t now_ms);
bool configure_blame(struct agent *agent, const char *why);
void configure_failed(struct agent *agent); /* the server failed, and it is not to blame */
void configure_up(struct agent *agent); /* the server came up: what was doubted is tried again */
/* While config waits for postgres to have read it: called when the monitor has an answer. */
void configure_watch(struct agent *agent, int64_t now_ms);
void configure_free(struct configuration *config);

/* react.c: handlers of the parts */
void react_settings(void *agent);
void react_tls(void *agent);
void react_server(void *agent);
void react_crashed(void *agent, const char *why, bool was_up);
void react_recovered(void *agent, const char *why);
void react_room(void *agent);
void react_fatal(void *agent, const struct logs_message *message);
void react_children(void *agent);
/* "" or which volume is full, and the field of the spec to raise. */
const char *react_no_room(const struct agent *agent);
void react_signal(evutil_socket_t signal, short what, void *agent);

/* serving.c */
void serving_update(struct agent *agent, int64_t now_ms);
bool serving_is_primary(const struct agent *agent); /* up, promoted, and answered */
bool serving_holds_lease(const struct agent *agent, int64_t now_ms);
bool serving_streams(const struct agent *agent); /* for long enough to believe it */

/* publish.c */
void publish_report(struct agent *agent, const struct decision *decision, int64_t now_ms);
bool publish_ready(void *agent, char *text, size_t size);
void publish_notice(const struct agent *agent, int64_t now_ms, const char **ret_reason,
                    const char **ret_text);

/* peers.c */
void peers_update(struct agent *agent, int64_t now_ms);
int peers_period(const struct agent *agent, int64_t now_ms); /* of the monitor */
/* The period grows with the time since the last change. Pure. */
int peers_patience_ms(int64_t waited_ms, int longest_ms);
const struct monitor_slot *peers_slot(const struct monitor_view *view, const char *name);
/* The status that is written with each renewal of the lease. `first`: with the take of it, when
 * postgres may not run yet. */
cJSON *peers_status(void *agent, struct arena *arena, bool first);
