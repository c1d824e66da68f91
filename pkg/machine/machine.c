#include "machine/machine.h"

#include <stdio.h>
#include <string.h>

#include "api/reasons.h"
#include "machine/authority.h"

static const char *const step_names[] = {
    [STEP_WAIT] = "wait",
    [STEP_LOCK] = "lock",
    [STEP_FIND_BINARIES] = "find-binaries",
    [STEP_INSPECT] = "inspect",
    [STEP_DISCARD] = "discard",
    [STEP_RETIRE] = "retire",
    [STEP_INITDB] = "initdb",
    [STEP_CLONE] = "clone",
    [STEP_TAKE_LEASE] = "take-lease",
    [STEP_READ_CONTROL] = "read-control",
    [STEP_RECORD] = "record",
    [STEP_MAKE_STANDBY] = "make-standby",
    [STEP_CONFIGURE] = "configure",
    [STEP_START] = "start",
    [STEP_RELOAD] = "reload",
    [STEP_PROMOTE] = "promote",
    [STEP_STOP] = "stop",
    [STEP_STOP_NOW] = "stop-now",
    [STEP_CANCEL_JOB] = "cancel-job",
    [STEP_SHUTDOWN] = "shutdown",
    [STEP_EXIT] = "exit",
};

const char *machine_step_name(enum step step)
{
    return step_names[step];
}

static struct decision act(enum step step, const char *phase)
{
    return (struct decision){.step = step, .phase = phase, .reason = "", .message = ""};
}

static struct decision stay(const char *phase, const char *reason, const char *message)
{
    return (struct decision){
        .step = STEP_WAIT, .phase = phase, .reason = reason, .message = message};
}

/* Nothing is done in the name of a lease that may not be this pod's. */
static bool must_ask_or_take(enum authority authority)
{
    return authority == AUTHORITY_ASK || authority == AUTHORITY_TAKE ||
           authority == AUTHORITY_TAKE_AGAIN;
}

/* A lease that was made again, or restored from a snapshot, is behind. */
static int64_t highest_epoch(const struct facts *f)
{
    int64_t epochs[] = {f->record.epoch, f->record.seen, f->record.superseded, f->slice_epoch,
                        f->seen_epoch};
    int64_t highest = 0;
    for (size_t i = 0; i < sizeof epochs / sizeof epochs[0]; i++)
        highest = epochs[i] > highest ? epochs[i] : highest;
    return highest;
}

static struct decision take(const struct facts *f, const char *phase)
{
    if (f->lease_writing)
        return stay(phase, "", "");
    struct decision decision = act(STEP_TAKE_LEASE, phase);
    decision.above_epoch = highest_epoch(f);
    return decision;
}

static struct decision ask_or_take(const struct facts *f, enum authority authority,
                                   const char *phase)
{
    if (authority != AUTHORITY_ASK)
        return take(f, phase);
    return stay(phase, REASON_API_UNREACHABLE,
                "this agent was paused for longer than its lease lasts: before anything else it "
                "asks the API server which instance holds the lease");
}

static struct decision stop(const struct facts *f)
{
    if (f->job_running)
        return act(STEP_CANCEL_JOB, "Stopping");
    if (f->server == SERVER_STARTING || f->server == SERVER_UP)
        return act(STEP_STOP, "Stopping");
    if (f->server == SERVER_STOPPING)
        return stay("Stopping", "", "");
    return act(f->shutdown_done ? STEP_EXIT : STEP_SHUTDOWN, "Stopping");
}

/* What must be known before anything else; STEP_WAIT with a NULL phase when all of it is. */
static struct decision prepare(const struct facts *f)
{
    if (!f->locked)
        return f->lock_error[0] ? stay("Starting", f->lock_reason, f->lock_error)
                                : act(STEP_LOCK, "Starting");
    if (f->settings != KNOWN_GOOD)
        return f->settings == KNOWN_BAD ? stay("Failed", REASON_CONFIG_INVALID, f->settings_error)
                                        : stay("Starting", "", "");
    if (f->job_running && f->server == SERVER_UP && strcmp(f->job_phase, "Running") == 0)
        return stay("Running", f->notice_reason, f->notice); /* what is amiss is so meanwhile */
    if (f->job_running)
        return stay(f->job_phase, "", f->job_message);
    if (f->binaries == KNOWN_NOT_YET)
        return act(STEP_FIND_BINARIES, "Starting");
    if (f->binaries == KNOWN_BAD)
        return stay("Failed", f->binaries_reason, f->binaries_error);
    if (f->volume == VOLUME_UNKNOWN)
        return f->volume_error[0] ? stay("Failed", f->volume_reason, f->volume_error)
                                  : act(STEP_INSPECT, "Starting");
    if (f->volume == VOLUME_FOREIGN)
        return stay("Failed", f->volume_reason, f->volume_error);
    if (f->volume == VOLUME_UNFINISHED)
        return act(STEP_DISCARD, "Starting");
    if (f->volume == VOLUME_DATA && !f->control_known && f->server == SERVER_DOWN)
        return f->restart_paused ? stay("Failed", f->trouble_reason, f->trouble)
                                 : act(STEP_READ_CONTROL, "Starting");
    return (struct decision){.step = STEP_WAIT};
}

static struct decision retry_or_wait(bool waits, const struct facts *f, enum step step,
                                     const char *phase)
{
    if (waits)
        return stay("Failed", f->trouble_reason, f->trouble);
    struct decision decision = act(step, phase);
    decision.reason = f->trouble_reason;
    decision.message = f->trouble;
    return decision;
}

/* The operator spends the grant as soon as data is known anywhere, so that a volume that vanished
 * is never initialised over. */
static struct decision fill_as_primary(const struct facts *f)
{
    if (f->granted && f->grant_initdb && f->led_epoch == 0)
        return retry_or_wait(f->restart_paused, f, STEP_INITDB, "Initializing");
    return stay("Waiting", REASON_DATA_VOLUME_EMPTY,
                "this instance must start with the data that it had as primary, but its volume is "
                "empty: bring the volume back, or continue with a replica's data (the cluster's "
                "status has the commands), or restore a backup into a new cluster");
}

/* An empty volume is initialised only by the instance that the operator granted it to, or that the
 * lease names already: a second initdb would be a second cluster. */
static struct decision fill_volume(const struct facts *f)
{
    switch (f->lease) {
    case LEASE_UNKNOWN:
        return stay(
            "Waiting", REASON_API_UNREACHABLE,
            "the volume is empty, and only the API server can tell whether to initialise it "
            "or to clone the primary");
    case LEASE_ABSENT:
        return stay("Waiting", REASON_WAITING_FOR_LEASE,
                    "the operator has not created the lease yet");
    case LEASE_FREE:
        return f->granted
                   ? fill_as_primary(f)
                   : stay("Waiting", REASON_WAITING_FOR_PRIMARY, "the primary has not started yet");
    case LEASE_MINE:
    case LEASE_HELD:
        return fill_as_primary(f);
    case LEASE_RELEASED:
        return stay("Waiting", REASON_WAITING_FOR_PRIMARY, "no instance holds the lease");
    case LEASE_OTHER:
        if (!f->slot_ready)
            return stay(
                "Waiting", REASON_WAITING_FOR_PRIMARY,
                "the primary is not ready for this replica yet: it has not created its slot");
        return retry_or_wait(f->clone_paused, f, STEP_CLONE, "Cloning");
    }
    return stay("Failed", "Internal", "unknown state of the lease");
}

static struct decision record(const struct facts *f, enum volume_role role, const char *phase)
{
    struct decision decision = act(STEP_RECORD, phase);
    decision.record = f->record;
    decision.record.role = role;
    if (f->lease == LEASE_OTHER && f->lease_epoch > f->record.seen)
        decision.record.seen = f->lease_epoch;
    if (f->lease != LEASE_HELD)
        return decision;
    if (f->lease_epoch > f->record.epoch)
        decision.record.epoch = f->lease_epoch;
    if (machine_is_announced(f) && decision.record.epoch > f->record.announced)
        decision.record.announced = decision.record.epoch;
    decision.record.superseded = 0;
    snprintf(decision.record.pod, sizeof decision.record.pod, "%s", f->pod_uid);
    return decision;
}

/* The record must be on disk before postgres may accept a write in the role. A replica notes the
 * epochs of others, so that it leads with a later one should the lease itself be lost. */
static bool recorded(const struct facts *f, enum volume_role role)
{
    return f->record.role == role &&
           (f->lease != LEASE_OTHER || f->record.seen >= f->lease_epoch) &&
           (f->lease != LEASE_HELD ||
            (f->record.epoch >= f->lease_epoch && machine_record_is_own(f) &&
             (!machine_is_announced(f) || f->record.announced >= f->record.epoch)));
}

static struct decision wait_until_announced(const char *phase)
{
    return stay(phase, "",
                "the lease is held; postgres accepts writes once the API server has stored which "
                "volume it uses");
}

static struct decision outdated(const char *phase)
{
    return stay(phase, REASON_VOLUME_OUTDATED,
                "this volume is an older copy: the instance was primary at a later epoch, on "
                "another volume; bring that volume back, or delete the lease to continue with this "
                "one and lose what was written to the other");
}

/* Why there is no role yet, in the order in which a person would ask. */
static struct decision no_role(const struct facts *f)
{
    if (f->lease == LEASE_UNKNOWN && f->api_wait_over && !machine_led_last(f))
        return stay("Waiting", REASON_API_UNREACHABLE,
                    machine_record_is_own(f)
                        ? "the lease never named this volume: only the API server can say whether "
                          "this pod may be primary"
                        : "another pod of this instance was primary last: only the API server can "
                          "say whether this pod may be primary");
    if (f->lease == LEASE_UNKNOWN)
        return stay("Waiting", REASON_API_UNREACHABLE, "asking the API server for the lease");
    if (machine_is_outdated(f) && (f->lease_given_back || f->lease_rested))
        return outdated("Waiting");
    if (f->lease == LEASE_MINE)
        return stay("Waiting", REASON_WAITING_FOR_LEASE,
                    "an earlier pod of this instance holds the lease: this pod takes it once it "
                    "expires, which cannot happen while that pod renews it");
    if (f->lease == LEASE_ABSENT)
        return stay("Waiting", REASON_WAITING_FOR_LEASE,
                    "the operator has not created the lease yet");
    return stay(
        "Waiting", REASON_WAITING_FOR_GRANT,
        "the lease has no holder, and the operator has not said which instance may take it");
}

/* The primary refuses WAL as "already removed" only after it has compared system identifier and
 * timeline, and a copy has no WAL but what it was sent: nothing is on the volume that the primary
 * has not. Only a volume that ever was a primary's (it has an epoch) may hold more. */
static bool is_mere_copy(const struct facts *f)
{
    return f->record.role == ROLE_REPLICA && f->record.epoch == 0 && f->standby_signal &&
           f->volume == VOLUME_DATA;
}

/* Is this a copy of the primary that can never catch up? That is destroyed for no single source:
 * what the WAL receiver logged, what looks at the server met, and the primary's own report must all
 * say so. None is given up while no primary could be cloned, and none twice within an hour: what
 * deletes copies again and again is something that a person must see. */
static bool may_give_up(const struct facts *f)
{
    return f->wal_gone_proven && !f->retired_lately && !f->retire_paused &&
           f->lease == LEASE_OTHER && f->slot_ready && is_mere_copy(f);
}

static struct decision give_up(enum step step)
{
    return (struct decision){.step = step,
                             .phase = "Cloning",
                             .reason = REASON_WAL_GONE,
                             .message =
                                 "the primary no longer has all WAL that this replica needs: its "
                                 "copy is removed, and the primary's data is copied again"};
}

/* Where both see the same files: it tells all that the next container of this pod must know. */
static bool leading_pod_wrote_the_record(const struct facts *f)
{
    return f->record.pod[0] != '\0' && !machine_record_is_own(f) &&
           f->record.epoch > machine_led_with(f);
}

/* First the volume must know, so that the next container of this pod does not lead on while the API
 * server is away; then this process ends, if it was the one that led. */
static struct decision next_when_superseded(const struct facts *f)
{
    static const char message[] =
        "another pod of this instance has taken the lease: this pod is superseded and no longer "
        "starts postgres; delete it if it still runs";
    struct decision decision = stay("Waiting", REASON_SUPERSEDED, message);
    if (f->record.superseded < f->lease_epoch && !leading_pod_wrote_the_record(f)) {
        if (f->restart_paused)
            return stay("Failed", f->trouble_reason, f->trouble);
        decision.step = STEP_RECORD;
        decision.record = f->record;
        decision.record.superseded = f->lease_epoch;
        snprintf(decision.record.pod, sizeof decision.record.pod, "%s", f->pod_uid);
    } else if (f->held_epoch > 0) {
        decision.step = f->shutdown_done ? STEP_EXIT : STEP_SHUTDOWN;
    }
    return decision;
}

static struct decision cut_off(const struct facts *f, const char *phase)
{
    const char *message =
        "the primary says that it has removed WAL that this replica needs; the replica is cloned "
        "again once the primary's report on the lease confirms it. If that lasts, " CLONE_BY_HAND;
    if (!is_mere_copy(f))
        message = "the primary has removed WAL that this replica needs. The volume once belonged "
                  "to a primary, so it is kept: if nothing on it is needed, " CLONE_BY_HAND;
    else if (f->wal_gone_proven && f->retired_lately)
        message = "the primary has removed WAL that this replica needs. The replica was cloned for "
                  "the same reason less than an hour ago, so the agent waits until the hour is "
                  "over. To clone it now, " CLONE_BY_HAND "; to keep WAL for longer, raise "
                  "spec.replication.maxSlotWalKeepSize";
    else if (f->retire_error[0] != '\0')
        message = f->retire_error;
    return stay(phase, REASON_WAL_GONE, message);
}

/* postgres starts last. Lease, record and configuration come before, in an order in which a crash
 * after any step leaves nothing that a later pod could mistake. */
static struct decision next_while_down(const struct facts *f)
{
    if (machine_is_superseded(f))
        return next_when_superseded(f);
    if (f->volume == VOLUME_EMPTY)
        return fill_volume(f);
    if (may_give_up(f))
        return f->restart_paused ? stay("Failed", f->trouble_reason, f->trouble)
                                 : give_up(STEP_RETIRE);
    enum authority authority = machine_authority(f);
    enum volume_role role = machine_role(f);
    if (role == ROLE_NONE)
        return no_role(f);
    if (must_ask_or_take(authority))
        return ask_or_take(f, authority, "Starting");
    if (f->restart_paused)
        return stay("Failed", f->trouble_reason, f->trouble);
    if (!recorded(f, role))
        return record(f, role, "Starting");
    /* What was a standby comes up as one and is promoted then: that alone gives it a timeline of
     * its own. */
    if (role == ROLE_REPLICA && !f->standby_signal)
        return act(STEP_MAKE_STANDBY, "Starting");
    if (f->config == KNOWN_BAD && !f->config_stale)
        return stay("Failed", REASON_CONFIG_INVALID, f->config_error);
    if (f->config == KNOWN_NOT_YET || f->config_stale)
        return act(STEP_CONFIGURE, "Starting");
    if (role == ROLE_PRIMARY && !f->standby_signal && !machine_may_begin_to_write(authority))
        return wait_until_announced("Starting");
    struct decision decision = retry_or_wait(false, f, STEP_START, "Starting");
    decision.record.role = role;
    return decision;
}

/* Another leads, or has led since: every write from now on would be one too many. Neither a job
 * that is under way nor an orderly stop is waited for. */
static bool must_stop_now(const struct facts *f)
{
    bool primary = f->running == ROLE_PRIMARY || (f->server == SERVER_UP && !f->in_recovery);
    if (f->server == SERVER_DOWN || f->server_quits)
        return false;
    return machine_is_superseded(f) || (primary && machine_authority(f) == AUTHORITY_LOST);
}

static struct decision stop_now(const struct facts *f)
{
    struct decision decision = act(STEP_STOP_NOW, "Stopping");
    decision.reason = machine_is_superseded(f) ? REASON_SUPERSEDED : REASON_NOT_HOLDER;
    decision.message =
        machine_is_superseded(f)
            ? "another pod of this instance has taken the lease: stopping at once"
        : f->lease == LEASE_OTHER
            ? "another instance holds the lease: stopping at once, to restart as its replica"
            : "another pod held the lease in the meantime: stopping at once";
    return decision;
}

/* What a running server needs next. What threatens data comes first, then what clients notice, then
 * what only status tells. */
static struct decision next_while_running(const struct facts *f)
{
    enum authority authority = machine_authority(f);
    enum volume_role role = machine_role(f);
    if (f->server == SERVER_STARTING && role == ROLE_PRIMARY && f->running == ROLE_REPLICA &&
        f->wal_missing)
        return stay("Failed", REASON_WAL_MISSING,
                    "this instance holds the lease, but its data is not consistent and it has "
                    "replayed all WAL on its volume: nothing can send it the rest, so it cannot be "
                    "promoted. Bring the missing WAL back, or continue with another instance's "
                    "data (the cluster's status has the commands)");
    if (f->server == SERVER_STARTING)
        /* A standby that lacks WAL to become consistent never gets beyond this. */
        return f->running == ROLE_REPLICA && f->trouble[0] == '\0'
                   ? stay("Recovering", f->notice_reason, f->notice)
                   : stay("Recovering", f->trouble_reason, f->trouble);
    if (must_ask_or_take(authority))
        return ask_or_take(f, authority, "Running");
    bool standby = role == ROLE_REPLICA && f->running == role && f->record.role == role;
    if ((role == ROLE_PRIMARY || standby) && !recorded(f, role) && !f->restart_paused)
        return record(f, role, "Running");
    if (f->running == ROLE_REPLICA && f->server == SERVER_UP && may_give_up(f))
        return give_up(STEP_STOP_NOW);
    if (f->restart_due)
        return act(STEP_STOP, "Restarting");
    if (role == ROLE_PRIMARY && f->running == ROLE_REPLICA && f->in_recovery)
        return machine_may_begin_to_write(authority) ? act(STEP_PROMOTE, "Running")
                                                     : wait_until_announced("Running");
    if (f->control_due)
        return act(STEP_READ_CONTROL, "Running");
    if (f->config_stale)
        return act(STEP_RELOAD, "Running");
    if (machine_is_outdated(f))
        return outdated("Running");
    if (f->running == ROLE_REPLICA && f->wal_gone)
        return cut_off(f, "Running");
    return stay("Running", f->notice_reason, f->notice);
}

/* Stopping at once comes before all else: it must not wait behind a job or an orderly stop. */
struct decision machine_next(const struct facts *f)
{
    if (must_stop_now(f))
        return stop_now(f);
    if (f->stopping)
        return stop(f);
    struct decision decision = prepare(f);
    if (decision.step != STEP_WAIT || decision.phase != NULL)
        return decision;
    switch (f->server) {
    case SERVER_DOWN:
        return next_while_down(f);
    case SERVER_STOPPING:
        return stay("Restarting", f->trouble_reason, f->trouble);
    case SERVER_STARTING:
    case SERVER_UP:
        return next_while_running(f);
    }
    return stay("Failed", "Internal", "unknown state of the server");
}
