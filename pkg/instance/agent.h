/*
 * The parts of the agent tied together. Only the files that conduct know this header: agent.c
 * (loop, steps), react.c (events), facts.c (what is known), jobs.c and fill.c (steps that take
 * time), restart.c (a restart by order), configure.c (configuration files; which of them, trial.h
 * says), tend.c and peers.c (what a running server needs).
 */
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "machine/authority.h"
#include "instance/instance.h"
#include "instance/probes.h"
#include "machine/refusal.h"
#include "machine/trial.h"
#include "loop/child.h"
#include "loop/timer.h"
#include "member/lease.h"
#include "member/reporter.h"
#include "member/settings.h"
#include "member/slice.h"
#include "postgres/bootstrap.h"
#include "postgres/cause.h"
#include "postgres/conf.h"
#include "postgres/monitor.h"
#include "postgres/roles.h"
#include "postgres/server.h"
#include "volume/survey.h"
#include "volume/volume.h"

struct agent;

/* Without a person, a copy is given up once in this time. */
enum { RETIRE_AGAIN_MS = 3600 * 1000 };

/* What is kept of the pod's grace for what comes behind the stop of postgres: SIGKILL 5 s after
 * SIGQUIT, the last words within 3 s, and a busy node. */
enum { STOP_RESERVE_MS = 15000, STOP_DEFAULT_MS = 75000, STOP_LEAST_MS = 5000 };

/* Something that failed and is tried again, with a pause that doubles. */
struct trouble {
    char reason[64], text[960];
    int failures;
    int64_t until_ms; /* CLOCK_BOOTTIME */
};

/* What is told of crashes of postgres; of this process of the agent only. */
struct crashes {
    int count;
    char time[32], words[640];
};

enum job_kind {
    JOB_NONE,
    JOB_FIND_BINARIES,
    JOB_DISCARD,
    JOB_RETIRE,
    JOB_INITDB,
    JOB_CLONE,
    JOB_READ_CONTROL,
    JOB_RECORD,
    JOB_MAKE_STANDBY,
    JOB_CONFIGURE, /* the files, for the next start */
    JOB_RELOAD,    /* likewise, into the server that runs */
    JOB_ACCEPT,
    JOB_PROMOTE,
    JOB_RESTART,
    JOB_KINDS,
};

/* The one thing that takes time now. While it runs the machine waits. */
struct job {
    enum job_kind kind;
    const char *phase; /* of the instance, meanwhile */
    char message[256];
    struct child *child; /* NULL while it waits for something else than a child */
    int64_t started_ms;
    void (*next)(struct agent *agent, const struct child_result *result);
};

/* The configuration files as they are below run_dir. */
struct configuration {
    struct trial trial;
    bool dirty, stale;  /* sources may have changed; they have */
    bool lifted;        /* a standby's limits are above what the sources ask for */
    char *conf, *hba;   /* as written, rendered */
    char *shared_conf;  /* the shared part they were rendered from */
    struct error fault; /* why a configuration was refused */
    /* in the making */
    char *next_conf, *next_hba, *next_shared;
    double loaded_before;
    int64_t deadline_ms;
    bool asked_pending; /* after the reload, what waits for a restart */
};

/* What is on the volumes and in the image, as it was found last. */
struct found {
    int lock_fd;
    struct error lock_error;
    enum known binaries_known;
    int binaries_wanted; /* the major version that was looked for last */
    struct binaries binaries;
    struct error binaries_error;
    enum volume_state state;
    struct volume_record record, next_record;
    bool control_known;
    bool control_seen; /* control was read for what is on the volume now */
    struct controldata control;
    int64_t control_read_ms; /* when it was read last, or could not be */
    /* volume_control_written_ns() of what was read, and of what is being read */
    int64_t control_written_ns, next_control_written_ns;
    bool standby_signal;
    int64_t retired_at_ms; /* of the wall clock, as it is on the volume */
};

/* The present run of postgres. */
struct run {
    enum volume_role role; /* as it was started, or promoted */
    int64_t started_ms, up_since_ms;
    struct cause cause;     /* why it is silent, since it last answered or was started */
    struct refusal refusal; /* what the primary refuses it */
    int64_t stream_told_ms; /* when the WAL receiver told of troubles.stream last */
    int64_t wal_wanted_ms;  /* when it got no stream at all, which is asked for only once everything
                               on the volume is replayed; 0: it had one since */
    bool wal_gone_proven; /* its own report says so, too; kept while the server is stopped for it */
};

/* What a primary needs besides running: its roles, slots and database. */
struct duty {
    struct roles *roles; /* at work; or NULL */
    bool wrote, bootstrapped;
    char roles_hash[17]; /* of what was applied, or is being */
    int64_t done_ms;
    char verifiers_hash[17], next_verifiers_hash[17];
};

/* Restarts by order. */
struct restart {
    struct pg *connection; /* of the one that is under way; or NULL */
    char token[128];       /* the last one obeyed */
    char done_for[1024];   /* what waited then; instance_report.restarted_for */
};

enum { TROUBLE_TEXT = 1024 };

/* What is to be told, and stands in the way. */
struct troubles {
    struct trouble config; /* what kept a configuration from being tried */
    struct trouble start, clone, volume, roles, stream;
    struct trouble retire;             /* why a copy could not be given up */
    char no_room[SURVEY_VOLUMES][320]; /* what PostgreSQL said last; "" unless the volume is full */
    bool start_lacks_room;             /* a start failed while a volume was full */
    /* As they are told: with the volume that is full. */
    char start_text[TROUBLE_TEXT], clone_text[TROUBLE_TEXT], retire_text[TROUBLE_TEXT];
};

/* Whom the server streams with, as last seen, and since when it is so. */
struct peers {
    char hash[17];
    int64_t changed_ms;
};

/* What was told last: to the log and the probes, on the pod, on the lease. */
struct told {
    enum step step;
    char phase[32], reason[64], message[1024];
    bool ready;          /* the last report said so */
    char peers_hash[17]; /* what the lease's status was renewed for */
    bool unnamed;        /* that the server certificate lacks the primary's name */
};

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

    struct found found;
    struct run run;
    struct duty duty;
    struct peers peers;
    struct restart restart;
    struct configuration config;
    struct troubles troubles;
    struct crashes crashes;
    struct told told;
    struct job job;

    int64_t began_ms;
    int grace_seconds; /* of this pod; 0 until it is known */
    bool gave_memory;  /* what only the start needed */
    bool served;       /* this process has had traffic pointed at itself */
    bool stopping, farewell_done;
    int64_t farewell_deadline_ms;
    struct error end; /* why it ended by itself; class 0: it was asked to */
};

/* agent.c: looks at the facts again, at the next turn of the loop. */
void agent_kick(void *agent);
/* Looks again in `ms` at the latest. */
void agent_wake_in(struct agent *agent, int64_t ms);
void agent_note_trouble(struct agent *agent, struct trouble *trouble, const char *reason,
                        const char *text, int first_pause_ms, int longest_pause_ms);
static inline void agent_forget_trouble(struct trouble *trouble)
{
    *trouble = (struct trouble){0};
}
static inline bool agent_in_pause(const struct trouble *trouble)
{
    return clock_boot_ms() < trouble->until_ms;
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
void agent_look(struct agent *agent); /* brings what is known up to date */
struct facts agent_facts(const struct agent *agent);
/* Asks the clock: to be asked each time that something is done on its word. */
enum authority agent_authority(const struct agent *agent);
const char *agent_member_token(const struct agent *agent); /* in cluster.json; "" */

/* jobs.c, fill.c: each begins a job; its end kicks. */
void job_begin(struct agent *agent, enum job_kind kind);
const char *job_name(enum job_kind kind); /* in the log */
void job_program(struct agent *agent, const char *const *argv,
                 void (*output)(void *agent, const char *data, size_t length),
                 void (*next)(struct agent *agent, const struct child_result *result));
void job_task(struct agent *agent, int (*task)(void *agent, struct error *err),
              void (*next)(struct agent *agent, const struct child_result *result));
void job_end(struct agent *agent);
void job_cancel(struct agent *agent);
void job_find_binaries(struct agent *agent);
void job_inspect(struct agent *agent);
void job_discard(struct agent *agent);
void job_retire(struct agent *agent);
void job_initdb(struct agent *agent);
void job_clone(struct agent *agent);
void job_read_control(struct agent *agent);
void job_record(struct agent *agent, struct volume_record record);
void job_make_standby(struct agent *agent);
void job_promote(struct agent *agent);

/* restart.c: postgres is restarted by order, after a checkpoint; and at the end of any job */
void restart_begin(struct agent *agent);
void restart_end(struct agent *agent);

/* configure.c */
void configure_refresh(struct agent *agent); /* sets config.stale */
bool configure_control_due(const struct agent *agent);
void configure_begin(struct agent *agent); /* STEP_CONFIGURE and STEP_RELOAD */
/* The server came up with it, or crashed before it did (true: another configuration is tried). */
void configure_proven(struct agent *agent);
bool configure_blame(struct agent *agent, const char *why);
void configure_failed(struct agent *agent); /* the server failed, and it is not to blame */
void configure_up(struct agent *agent); /* the server came up: what was doubted is tried again */
/* While config waits for postgres to have read it: called when the monitor has an answer. */
void configure_watch(struct agent *agent);
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

/* tend.c */
void tend_running(struct agent *agent);
void tend_report(struct agent *agent, const struct decision *decision);
bool tend_ready(void *agent, char *text, size_t size);
void tend_notice(const struct agent *agent, const char **ret_reason, const char **ret_text);
bool tend_is_primary(const struct agent *agent); /* up, promoted, and answered */
bool tend_holds_lease(const struct agent *agent);

/* peers.c */
void peers_tend(struct agent *agent);
int peers_period(const struct agent *agent); /* of the monitor */
/* The longer nothing has changed, the more rarely one looks. Pure. */
int peers_patience_ms(int64_t waited_ms, int longest_ms);
const struct monitor_slot *peers_slot(const struct monitor_view *view, const char *name);
/* What rides on the lease; `first`: with the take of it, when postgres may not run yet. */
cJSON *peers_status(void *agent, struct arena *arena, bool first);
