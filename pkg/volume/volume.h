/*
 * The two volumes of an instance and what makes a half-done bootstrap harmless.
 *
 *     <data>/lock           held open while anything of ours may touch the volume
 *     <data>/pgdata         PGDATA; its appearing (one rename) is the commit of a bootstrap
 *     <data>/pgdata.new     PGDATA in the making
 *     <data>/unfinished     an attempt's random id, durable before the attempt makes anything
 *     <data>/instance.json  role and epoch, durable before postgres starts in that role
 *     <data>/retired.json   when a copy was given up last
 *     <data>/accepted.json  the last configuration that postgres ran with
 *     <wal>/pg_wal          pg_wal, a symbolic link leads there
 *     <wal>/unfinished      the same id: both must agree before <wal>/pg_wal may be removed
 *
 * Functions marked (task) fsync or remove trees: they run in a forked copy (child.h), never on the
 * loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

enum { VOLUME_PATH_MAX = 512 };

struct volume {
    char data_dir[VOLUME_PATH_MAX], wal_dir[VOLUME_PATH_MAX];
    char pgdata[VOLUME_PATH_MAX + 16], pgdata_new[VOLUME_PATH_MAX + 16];
    char pg_wal[VOLUME_PATH_MAX + 16];
};

enum volume_state {
    VOLUME_UNKNOWN,
    VOLUME_EMPTY,      /* nothing of PostgreSQL's is there */
    VOLUME_UNFINISHED, /* what an attempt of ours left behind, and nothing else */
    VOLUME_DATA,       /* a complete PGDATA with its WAL */
    VOLUME_FOREIGN,    /* anything else: never touched; the error says what and what to do */
};

enum volume_role { ROLE_NONE, ROLE_PRIMARY, ROLE_REPLICA };

struct volume_record {
    enum volume_role role;
    int64_t epoch;     /* the last one that this volume was led with */
    char pod[64];      /* uid of the pod that led with it; "" in records of earlier versions */
    int64_t announced; /* the last one that the lease was seen to bear as led with by this volume */
    int64_t seen;      /* the highest that the lease was seen to have under another holder */
    int64_t superseded; /* by which epoch of another pod of this instance `pod` was; 0: none */
};

int volume_init(struct volume *volume, const char *data_dir, const char *wal_dir,
                struct error *err) ERR_CHECKED;

/* ERR_CONFLICT with reason VolumeInUse while another process holds it. The descriptor is to be
 * inherited by everything that touches the volume: the lock lasts until the last of them is gone.
 */
int volume_lock(const struct volume *volume, int *ret_fd, struct error *err) ERR_CHECKED;

/* When the server wrote global/pg_control last, by the clock of the volume; 0 when that cannot be
 * said, or was so short ago that another write of the same moment could not be told from it. */
int64_t volume_control_written_ns(const struct volume *volume);

/* VOLUME_FOREIGN fills err (with a reason) and still returns 0. */
int volume_inspect(const struct volume *volume, enum volume_state *ret_state,
                   struct error *err) ERR_CHECKED;

/* (task) Writes the two marks. Only for VOLUME_EMPTY. */
int volume_begin(const struct volume *volume, struct error *err) ERR_CHECKED;
/* (task) Makes pgdata.new durable, records the role and renames it to pgdata; a standby gets its
 * standby.signal first, so that a clone can never be started read-write by mistake, and data
 * without a record, which would leave open whose it is, never exists. ERR_CONFLICT when there is a
 * pgdata. */
int volume_commit(const struct volume *volume, enum volume_role role,
                  struct error *err) ERR_CHECKED;
/* (task) Removes what an unfinished attempt left. Refuses anything else. */
int volume_discard(const struct volume *volume, struct error *err) ERR_CHECKED;

/* (task) Makes a standby's data an unfinished attempt, which volume_discard() removes: for a copy
 * of the primary that can never catch up again. Refuses data that is not marked and recorded as a
 * standby's, or ever was a primary's (it has an epoch). Killed or failed anywhere it has either
 * changed nothing but marks, which the next start removes, or is done. */
int volume_retire(const struct volume *volume, int64_t wall_ms, struct error *err) ERR_CHECKED;
/* The wall_ms of the last volume_retire(), durable before it changed anything; 0: never. */
int volume_retired_at(const struct volume *volume, int64_t *ret_wall_ms,
                      struct error *err) ERR_CHECKED;

bool volume_is_standby(const struct volume *volume);
/* (task) */
int volume_make_standby(const struct volume *volume, struct error *err) ERR_CHECKED;
/* Before a start, under the lock: PGDATA back to mode 0700 (a volume's fsGroup widens it) and no
 * postmaster.pid, whose pid may be another process's in a new container. */
int volume_prepare_start(const struct volume *volume, struct error *err) ERR_CHECKED;

/* Nothing recorded yet gives role NONE and epoch 0. */
int volume_record_read(const struct volume *volume, struct volume_record *ret_record,
                       struct error *err) ERR_CHECKED;
/* (task) Writes `record` in place of `known`, the one that was read or written last. When the
 * file holds another one, somebody else wrote it: a pod on another machine that sees the same
 * files, where the lock does not reach. Then ERR_CONFLICT, and it is left alone. */
int volume_record_replace(const struct volume *volume, const struct volume_record *known,
                          const struct volume_record *record, struct error *err) ERR_CHECKED;
/* (task) Replaces the one that is there. */
int volume_record_write(const struct volume *volume, const struct volume_record *record,
                        struct error *err) ERR_CHECKED;

/* Both NULL when nothing was accepted yet. */
int volume_accepted_read(struct arena *arena, const struct volume *volume, const char **ret_conf,
                         const char **ret_hba, struct error *err) ERR_CHECKED;
/* (task) */
int volume_accepted_write(const struct volume *volume, const char *conf, const char *hba,
                          struct error *err) ERR_CHECKED;

const char *volume_role_name(enum volume_role role); /* "primary", "replica", "" */
