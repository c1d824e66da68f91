/*
 * The agent's state machine, whole and pure: from what is known now to the one next step. It is
 * asked again after every event, so it never has to remember anything: killed and started again at
 * any point, an agent that sees the same facts does the same thing.
 *
 *   lock volume > find binaries > inspect volumes
 *       empty, granted   > initdb
 *       empty, a primary > clone
 *   > read controldata > take lease > record role and epoch > configure > start
 *   > (reload | promote | stop)...
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lease/engine.h"
#include "postgres/server.h"
#include "volume/volume.h"

/* The remedy when nothing on the replica's volumes is needed, the same in every message. */
#define CLONE_BY_HAND "delete this instance's pod and both of its volume claims"

enum known { KNOWN_NOT_YET, KNOWN_GOOD, KNOWN_BAD };

struct facts {
    bool stopping;      /* SIGTERM came */
    bool shutdown_done; /* the last writes to the API are done, or their deadline passed */
    bool job_running;   /* initdb, clone, inspection...: its phase and progress are known */
    const char *job_phase, *job_message;
    bool locked;                          /* we hold the volume's lock */
    const char *lock_reason, *lock_error; /* "" or why not */
    enum known settings;                  /* cluster.json is read */
    const char *settings_error;
    enum known binaries;
    const char *binaries_reason, *binaries_error;
    enum volume_state volume;
    const char *volume_reason, *volume_error;
    struct volume_record record;
    const char *pod_uid;
    bool standby_signal; /* PGDATA is marked a standby's */
    enum lease_state lease;
    int64_t lease_epoch;        /* transitions */
    int64_t led_epoch;          /* see lease_view; only ever above 0 for this instance's own */
    bool lease_given_back;      /* LEASE_MINE, and no pod's any more */
    bool lease_doubtful;        /* LEASE_HELD, but unheard of for a whole term: to be asked first */
    bool lease_rested;          /* it was not renewed for a whole term, by our own clock */
    int64_t held_epoch;         /* the highest one that this process has held; 0: none */
    int64_t seen_epoch;         /* the highest one that this process has seen; 0: none */
    int64_t slice_epoch;        /* that the read-write endpoint bears; 0: none that is known */
    bool slot_ready;            /* the primary has made this instance's slot */
    bool granted, grant_initdb; /* ANN_BOOTSTRAP names this instance */
    bool api_wait_over;         /* waited long enough for an API that does not answer */
    bool lease_writing;         /* a compare-and-swap is under way */
    bool control_known;         /* pg_controldata was read since the last stop */
    bool control_due;           /* a running standby's may say other limits by now */
    enum known config;          /* the files are written; BAD: no source is usable */
    const char *config_error;
    bool config_stale; /* other sources than what is written, not refused yet */
    enum server_state server;
    bool server_quits;                    /* it was told to stop at once */
    bool wal_missing;                     /* it starts as a standby, and asks another server for
                                             WAL: all that is on its volume is replayed */
    enum volume_role running;             /* how postgres was started; ROLE_NONE when down */
    bool in_recovery;                     /* what postgres itself says; meaningful when running */
    bool wal_gone;                        /* the primary keeps refusing for it, see refusal.h */
    bool wal_gone_proven;                 /* and its own report on the lease says so */
    bool retire_paused;                   /* back-off after an attempt to give it up that failed */
    const char *retire_error;             /* why the last one did; "" when none has */
    bool retired_lately;                  /* a copy was given up within the last hour */
    bool restart_due;                     /* a restart token that was not obeyed yet */
    bool restart_paused;                  /* back-off after a crash */
    bool clone_paused;                    /* back-off after a failed clone */
    const char *trouble_reason, *trouble; /* last crash, failed initdb or clone: "" when none */
    const char *notice_reason, *notice;   /* what is amiss although it runs: "" when nothing */
};

enum step {
    STEP_WAIT,
    STEP_LOCK,
    STEP_FIND_BINARIES,
    STEP_INSPECT,
    STEP_DISCARD, /* an unfinished bootstrap */
    STEP_RETIRE,  /* a standby's data that can never catch up: it becomes unfinished */
    STEP_INITDB,
    STEP_CLONE,
    STEP_TAKE_LEASE,
    STEP_READ_CONTROL,
    STEP_RECORD, /* decision.record */
    STEP_MAKE_STANDBY,
    STEP_CONFIGURE,
    STEP_START,
    STEP_RELOAD, /* new configuration into the running server */
    STEP_PROMOTE,
    STEP_STOP,
    STEP_STOP_NOW, /* immediate: the lease is another's */
    STEP_CANCEL_JOB,
    STEP_SHUTDOWN,
    STEP_EXIT,
};

struct decision {
    enum step step;
    const char *phase;           /* of instance_report */
    const char *reason;          /* CamelCase; "" when all is well */
    const char *message;         /* what it waits for or what failed, and the remedy */
    struct volume_record record; /* for STEP_RECORD, and the role for START */
    int64_t above_epoch;         /* for STEP_TAKE_LEASE: the lease's next epoch is above it */
};

/* What the Lease says besides who holds it. */
struct machine_lease {
    int64_t led_epoch;
    bool slot_ready, granted, grant_initdb;
};

/* Fills in what is known of the lease, its time included. */
void machine_lease_facts(const struct lease_engine *engine, const struct machine_lease *says,
                         int64_t slice_epoch, int64_t now_ms, struct facts *facts);

struct decision machine_next(const struct facts *facts);

const char *machine_step_name(enum step step); /* "initdb" */
