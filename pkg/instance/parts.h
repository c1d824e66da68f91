/*
 * What the agent knows and does, in parts that each belong to one subject: a function that is given
 * a part touches nothing else.
 */
#pragma once

#include "machine/refusal.h"
#include "machine/trial.h"
#include "loop/child.h"
#include "postgres/binaries.h"
#include "postgres/cause.h"
#include "postgres/controldata.h"
#include "postgres/roles.h"
#include "volume/survey.h"
#include "volume/volume.h"

struct agent;

/* Something that failed and is tried again, with a pause that doubles. */
struct trouble {
    char reason[64], text[960];
    int failures;
    int64_t until_ms; /* CLOCK_BOOTTIME */
};

/* The crashes of postgres that this process of the agent has seen, for its report. */
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

/* The one step that takes time now. While it runs, the machine waits. */
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

/* What is on the volumes and in the image, as it was seen last. */
struct observed {
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
    /* survey_control_written_ns() of what was read, and of what is being read */
    int64_t control_written_ns, next_control_written_ns;
    bool standby_signal;
    int64_t retired_at_ms; /* of the wall clock, as it is on the volume */
    bool retired_lately;   /* within RETIRE_AGAIN_MS, when it was last looked at */
};

/* The present run of postgres. */
struct run {
    enum volume_role role; /* as it was started, or promoted */
    int64_t started_ms, up_since_ms;
    struct cause cause;       /* why it is silent, since it last answered or was started */
    struct refusal refusal;   /* what the primary refuses it */
    int64_t stream_failed_ms; /* when the WAL receiver last reported troubles.stream */
    int64_t wal_wanted_ms; /* when it got no stream at all, which is asked for only once everything
                              on the volume is replayed; 0: it had one since */
    bool wal_gone_proven; /* its own report says so, too; kept while the server is stopped for it */
};

/* What a primary needs besides running: its roles, slots and database. */
struct primary_work {
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

/* Failures that are tried again, each until it succeeds. */
struct troubles {
    struct trouble config; /* what kept a configuration from being tried */
    struct trouble start, clone, volume, roles, stream;
    struct trouble retire;             /* why a copy could not be given up */
    char no_room[SURVEY_VOLUMES][320]; /* what PostgreSQL said last; "" unless the volume is full */
    bool start_lacks_room;             /* a start failed while a volume was full */
    /* As they are reported: with the volume that is full. */
    char start_text[TROUBLE_TEXT], clone_text[TROUBLE_TEXT], retire_text[TROUBLE_TEXT];
};

/* Whom the server streams with, as last seen, and since when it is so. */
struct peers {
    char hash[17];
    int64_t changed_ms;
};

/* What was last reported: in the log, to the probes, on the pod, on the lease. */
struct reported {
    enum step step;
    char phase[32], reason[64], message[1024];
    bool ready;               /* the last report said so */
    char peers_hash[17];      /* what the lease's status was renewed for */
    bool name_missing_logged; /* that the server certificate lacks the primary's name */
};
