#include "test.h"

#include "machine/authority.h"

/* Everything known and nothing due: a primary that runs. Each test changes what it is about. */
static struct facts running_primary(void)
{
    return (struct facts){
        .job_phase = "",
        .job_message = "",
        .locked = true,
        .lock_reason = "",
        .lock_error = "",
        .settings = KNOWN_GOOD,
        .settings_error = "",
        .binaries = KNOWN_GOOD,
        .binaries_reason = "",
        .binaries_error = "",
        .volume = VOLUME_DATA,
        .volume_reason = "",
        .volume_error = "",
        .record = {.role = ROLE_PRIMARY, .epoch = 3, .announced = 3, .pod = "uid-1"},
        .pod_uid = "uid-1",
        .lease = LEASE_HELD,
        .lease_epoch = 3,
        .led_epoch = 3,
        .control_known = true,
        .config = KNOWN_GOOD,
        .config_error = "",
        .server = SERVER_UP,
        .running = ROLE_PRIMARY,
        .retire_error = "",
        .trouble_reason = "",
        .trouble = "",
        .notice_reason = "",
        .notice = ""};
}

static struct facts stopped_primary(void)
{
    struct facts f = running_primary();
    f.server = SERVER_DOWN;
    f.running = ROLE_NONE;
    return f;
}

static struct facts running_replica(void)
{
    struct facts f = running_primary();
    f.record.role = ROLE_REPLICA;
    f.record.seen = 3;
    f.standby_signal = true;
    f.lease = LEASE_OTHER;
    f.running = ROLE_REPLICA;
    f.in_recovery = true;
    return f;
}

static struct facts stopped_replica(void)
{
    struct facts f = running_replica();
    f.server = SERVER_DOWN;
    f.running = ROLE_NONE;
    return f;
}

static struct facts empty_volume(enum lease_state lease)
{
    struct facts f = stopped_primary();
    f.volume = VOLUME_EMPTY;
    f.record = (struct volume_record){0};
    f.control_known = false;
    f.config = KNOWN_NOT_YET;
    f.lease = lease;
    f.lease_epoch = lease == LEASE_FREE ? 0 : 3;
    f.led_epoch = 0;
    return f;
}

static void expect(const struct facts *f, enum step step, const char *phase, const char *reason)
{
    struct decision decision = machine_next(f);
    assert_string_equal(machine_step_name(decision.step), machine_step_name(step));
    assert_string_equal(decision.phase, phase);
    assert_string_equal(decision.reason, reason);
    if (reason[0] != '\0' && step == STEP_WAIT)
        assert_non_null(decision.message);
}

static void a_fresh_agent_asks_in_order(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.locked = false;
    expect(&f, STEP_LOCK, "Starting", "");
    f.lock_reason = "VolumeInUse";
    f.lock_error = "another holds it";
    expect(&f, STEP_WAIT, "Starting", "VolumeInUse");
    f.locked = true;
    f.settings = KNOWN_NOT_YET;
    expect(&f, STEP_WAIT, "Starting", "");
    f.settings = KNOWN_BAD;
    expect(&f, STEP_WAIT, "Failed", "ConfigInvalid");
    f.settings = KNOWN_GOOD;
    f.binaries = KNOWN_NOT_YET;
    expect(&f, STEP_FIND_BINARIES, "Starting", "");
    f.binaries = KNOWN_GOOD;
    f.volume = VOLUME_UNKNOWN;
    expect(&f, STEP_INSPECT, "Starting", "");
    f.volume = VOLUME_UNFINISHED;
    expect(&f, STEP_DISCARD, "Starting", "");
    f.volume = VOLUME_DATA;
    f.control_known = false;
    expect(&f, STEP_READ_CONTROL, "Starting", "");
}

static void an_unfit_image_or_volume_is_told_and_left_alone(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.binaries = KNOWN_BAD;
    f.binaries_reason = "VersionMismatch";
    expect(&f, STEP_WAIT, "Failed", "VersionMismatch");
    f.binaries = KNOWN_GOOD;
    f.volume = VOLUME_FOREIGN;
    f.volume_reason = "VolumeForeign";
    expect(&f, STEP_WAIT, "Failed", "VolumeForeign");
    f.volume = VOLUME_UNKNOWN;
    f.volume_reason = "VolumeUnreadable";
    f.volume_error = "input/output error";
    expect(&f, STEP_WAIT, "Failed", "VolumeUnreadable");
}

static void a_standbys_limits_are_read_before_its_file_is_written_from_them(void **state)
{
    (void)state;
    struct facts f = running_replica();
    f.config_stale = f.control_due = true;
    expect(&f, STEP_READ_CONTROL, "Running", "");
    f.control_due = false;
    expect(&f, STEP_RELOAD, "Running", "");
}

static void what_is_amiss_is_told_while_a_short_step_runs_beside_the_server(void **state)
{
    (void)state;
    struct facts f = running_replica();
    f.notice_reason = "ConfigInvalid";
    f.notice = "refused";
    expect(&f, STEP_WAIT, "Running", "ConfigInvalid");
    f.job_running = true;
    f.job_phase = "Running";
    expect(&f, STEP_WAIT, "Running", "ConfigInvalid");
    f.job_phase = "Restarting";
    expect(&f, STEP_WAIT, "Restarting", "");
}

static void only_a_grant_initialises_an_empty_volume(void **state)
{
    (void)state;
    struct facts f = empty_volume(LEASE_FREE);
    expect(&f, STEP_WAIT, "Waiting", "WaitingForPrimary");
    f.granted = true;
    expect(&f, STEP_WAIT, "Waiting", "DataVolumeEmpty");
    f.grant_initdb = true;
    expect(&f, STEP_INITDB, "Initializing", "");
    static const enum lease_state nobody_knows[] = {LEASE_UNKNOWN, LEASE_ABSENT, LEASE_RELEASED};
    for (size_t i = 0; i < 3; i++) {
        struct facts g = empty_volume(nobody_knows[i]);
        g.granted = g.grant_initdb = g.api_wait_over = true;
        assert_int_equal(machine_next(&g).step, STEP_WAIT);
    }
}

static void a_holder_with_an_empty_volume_needs_a_grant_that_is_not_spent(void **state)
{
    (void)state;
    struct facts f = empty_volume(LEASE_MINE);
    f.lease_rested = true;
    expect(&f, STEP_WAIT, "Waiting", "DataVolumeEmpty");
    f.granted = true;
    expect(&f, STEP_WAIT, "Waiting", "DataVolumeEmpty");
    f.grant_initdb = true;
    expect(&f, STEP_INITDB, "Initializing", "");
    f.led_epoch = 3; /* there was data: the operator has only not spent the grant yet */
    expect(&f, STEP_WAIT, "Waiting", "DataVolumeEmpty");
}

static void a_clone_waits_for_its_slot_and_after_a_failure(void **state)
{
    (void)state;
    struct facts f = empty_volume(LEASE_OTHER);
    expect(&f, STEP_WAIT, "Waiting", "WaitingForPrimary");
    f.slot_ready = true;
    expect(&f, STEP_CLONE, "Cloning", "");
    f.trouble_reason = "CloneFailed";
    f.clone_paused = true;
    expect(&f, STEP_WAIT, "Failed", "CloneFailed");
    f.clone_paused = false;
    expect(&f, STEP_CLONE, "Cloning", "CloneFailed");
}

static void the_lease_is_taken_before_a_start_as_primary(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.lease = LEASE_MINE;
    f.record.pod[0] = '\0';
    expect(&f, STEP_WAIT, "Waiting", "WaitingForLease");
    f.lease_rested = true;
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    f.lease_writing = true;
    expect(&f, STEP_WAIT, "Starting", "");
    f = stopped_primary();
    f.lease = LEASE_FREE;
    expect(&f, STEP_WAIT, "Waiting", "WaitingForGrant");
    f.granted = true;
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
}

static void a_released_lease_is_taken_only_by_its_last_holder(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.lease = LEASE_RELEASED;
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    f.record.epoch = 2;
    expect(&f, STEP_WAIT, "Waiting", "WaitingForGrant");
    f = stopped_replica();
    f.lease = LEASE_RELEASED;
    assert_int_equal(machine_role(&f), ROLE_REPLICA);
}

static void a_lease_that_was_given_back_is_taken_at_once_by_no_older_copy(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.lease = LEASE_MINE;
    f.lease_given_back = true;
    f.pod_uid = "uid-2";
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    f.lease_epoch = 4;
    expect(&f, STEP_WAIT, "Waiting", "VolumeOutdated");
    f.lease_rested = true;
    expect(&f, STEP_WAIT, "Waiting", "VolumeOutdated");
    f = stopped_replica(); /* a person made the lease over to it */
    f.lease = LEASE_MINE;
    f.lease_given_back = f.lease_rested = true;
    f.record.epoch = 0;
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
}

static void no_copy_from_before_an_epoch_that_was_led_with_is_started(void **state)
{
    (void)state;
    struct facts f = stopped_primary(); /* killed; its volume is a copy of earlier */
    f.lease = LEASE_MINE;
    f.pod_uid = "uid-2";
    f.lease_epoch = f.led_epoch = 4;
    expect(&f, STEP_WAIT, "Waiting", "WaitingForLease"); /* another one may run and renew */
    f.lease_rested = true;
    expect(&f, STEP_WAIT, "Waiting", "VolumeOutdated");
    f.record = (struct volume_record){.role = ROLE_NONE};
    expect(&f, STEP_WAIT, "Waiting", "VolumeOutdated");
    f = stopped_replica();
    f.lease = LEASE_MINE;
    f.lease_given_back = f.lease_rested = true;
    f.lease_epoch = f.led_epoch = 4;
    expect(&f, STEP_WAIT, "Waiting", "VolumeOutdated");
    f.server = SERVER_UP;
    f.running = ROLE_REPLICA;
    expect(&f, STEP_WAIT, "Running", "VolumeOutdated");
}

static void what_was_taken_and_not_led_with_keeps_no_volume_from_starting(void **state)
{
    (void)state;
    struct facts f = stopped_primary(); /* killed between the take and the record */
    f.lease = LEASE_MINE;
    f.lease_rested = true;
    f.pod_uid = "uid-2";
    f.lease_epoch = 4;
    f.led_epoch = 3;
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    f.led_epoch = 0; /* an agent of an earlier version, or another instance, led last */
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    f.led_epoch = 4; /* cloned since, under an agent that tells nothing */
    f.record = (struct volume_record){.role = ROLE_REPLICA, .seen = 4};
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    f = stopped_primary(); /* a container that is restarted in its pod */
    f.led_epoch = 3;
    expect(&f, STEP_START, "Starting", "");
    f.lease = LEASE_UNKNOWN;
    f.led_epoch = 0;
    f.api_wait_over = true;
    expect(&f, STEP_START, "Starting", "");
}

static void a_lease_unheard_of_for_a_term_is_asked_for_before_anything_is_done_in_its_name(
    void **state)
{
    (void)state;
    struct facts f = running_replica();
    f.lease = LEASE_HELD;
    f.lease_doubtful = true;
    expect(&f, STEP_WAIT, "Running", "ApiUnreachable");
    f = stopped_primary();
    f.lease_doubtful = true;
    expect(&f, STEP_WAIT, "Starting", "ApiUnreachable");
}

/* The order is the same for what starts, what runs, and what only asks. */
static void a_holder_asks_before_it_takes_and_takes_before_it_announces(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    assert_int_equal(machine_authority(&f), AUTHORITY_HELD);
    f.led_epoch = 2;
    assert_int_equal(machine_authority(&f), AUTHORITY_UNANNOUNCED);
    f.slice_epoch = 4;
    assert_int_equal(machine_authority(&f), AUTHORITY_TAKE_AGAIN);
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    f.record.epoch = 4;
    snprintf(f.record.pod, sizeof f.record.pod, "uid-2");
    assert_int_equal(machine_authority(&f), AUTHORITY_TAKE);
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    f.lease_doubtful = true;
    assert_int_equal(machine_authority(&f), AUTHORITY_ASK);
    expect(&f, STEP_WAIT, "Starting", "ApiUnreachable");
    f.lease = LEASE_OTHER;
    assert_int_equal(machine_authority(&f), AUTHORITY_LOST);
}

static void what_writes_already_goes_on_where_nothing_may_begin_to(void **state)
{
    (void)state;
    static const enum authority goes_on[] = {AUTHORITY_UNANNOUNCED, AUTHORITY_TAKE_AGAIN};
    static const enum authority neither[] = {AUTHORITY_LOST, AUTHORITY_NONE, AUTHORITY_TAKE,
                                             AUTHORITY_ASK};
    for (size_t i = 0; i < sizeof goes_on / sizeof goes_on[0]; i++)
        assert_true(machine_may_write(goes_on[i]) && machine_holds_lease(goes_on[i]) &&
                    !machine_may_begin_to_write(goes_on[i]));
    for (size_t i = 0; i < sizeof neither / sizeof neither[0]; i++)
        assert_false(machine_may_write(neither[i]) || machine_holds_lease(neither[i]) ||
                     machine_may_begin_to_write(neither[i]));
    assert_true(machine_may_begin_to_write(AUTHORITY_ALONE) && machine_may_write(AUTHORITY_ALONE));
    assert_false(machine_holds_lease(AUTHORITY_ALONE)); /* it cannot be asked */
}

static void a_lease_behind_the_endpoints_epoch_is_taken_above_it(void **state)
{
    (void)state;
    struct facts f = running_primary();
    f.slice_epoch = 3;
    expect(&f, STEP_WAIT, "Running", "");
    f.slice_epoch = 4;
    expect(&f, STEP_TAKE_LEASE, "Running", "");
    f = stopped_primary();
    f.slice_epoch = 4;
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    f = running_replica();
    f.slice_epoch = 4;
    expect(&f, STEP_WAIT, "Running", "");
}

static struct facts superseded_primary(void)
{
    struct facts f = running_primary();
    f.lease = LEASE_MINE;
    f.lease_epoch = 4;
    f.lease_rested = true; /* as old as it may be */
    return f;
}

static void a_pod_that_was_superseded_stops_at_once_whatever_it_does(void **state)
{
    (void)state;
    struct facts f = superseded_primary();
    expect(&f, STEP_STOP_NOW, "Stopping", "Superseded");
    f.job_running = true;
    expect(&f, STEP_STOP_NOW, "Stopping", "Superseded");
    f.stopping = true;
    f.server = SERVER_STOPPING;
    expect(&f, STEP_STOP_NOW, "Stopping", "Superseded");
    f.server_quits = true;
    assert_int_equal(machine_next(&f).step, STEP_CANCEL_JOB);
    f = superseded_primary();
    f.server = SERVER_STARTING;
    expect(&f, STEP_STOP_NOW, "Stopping", "Superseded");
    f = superseded_primary();
    f.record.pod[0] = '\0'; /* it held it, but did not get to write that down */
    f.held_epoch = 3;
    expect(&f, STEP_STOP_NOW, "Stopping", "Superseded");
    f = superseded_primary();
    f.lease_given_back = true;
    expect(&f, STEP_STOP_NOW, "Stopping", "Superseded");
    f.lease = LEASE_RELEASED;
    expect(&f, STEP_STOP_NOW, "Stopping", "NotHolder");
    f = superseded_primary();
    f.lease_epoch = 3; /* a lease from a restored etcd: no pod was given a later one */
    expect(&f, STEP_TAKE_LEASE, "Running", "");
}

static void a_superseded_pod_writes_that_down_and_never_leads_again(void **state)
{
    (void)state;
    struct facts f = superseded_primary();
    f.server = SERVER_DOWN;
    f.running = ROLE_NONE;
    f.held_epoch = 3;
    struct decision decision = machine_next(&f);
    assert_int_equal(decision.step, STEP_RECORD);
    assert_int_equal(decision.record.superseded, 4);
    assert_int_equal(decision.record.epoch, 3);
    assert_string_equal(decision.record.pod, "uid-1");
    f.record = decision.record;
    expect(&f, STEP_SHUTDOWN, "Waiting", "Superseded");
    f.shutdown_done = true;
    expect(&f, STEP_EXIT, "Waiting", "Superseded");
    f.held_epoch = 0; /* the next container */
    expect(&f, STEP_WAIT, "Waiting", "Superseded");
    f.lease = LEASE_UNKNOWN;
    f.lease_rested = false;
    f.api_wait_over = true;
    expect(&f, STEP_WAIT, "Waiting", "ApiUnreachable");
    f.lease = LEASE_MINE; /* the next pod on this volume */
    f.pod_uid = "uid-2";
    expect(&f, STEP_WAIT, "Waiting", "WaitingForLease");
    f.lease_rested = true;
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    f.lease = LEASE_HELD;
    f.lease_epoch = 5;
    decision = machine_next(&f);
    assert_int_equal(decision.step, STEP_RECORD);
    assert_int_equal(decision.record.superseded, 0);
    assert_int_equal(decision.record.epoch, 5);
    assert_string_equal(decision.record.pod, "uid-2");
}

static void a_superseded_pod_leaves_the_leading_ones_record_alone(void **state)
{
    (void)state;
    struct facts f = superseded_primary();
    f.server = SERVER_DOWN;
    f.running = ROLE_NONE;
    f.held_epoch = 3;
    f.record = (struct volume_record){.role = ROLE_PRIMARY, .epoch = 4, .pod = "uid-2"};
    expect(&f, STEP_SHUTDOWN, "Waiting", "Superseded");
    f.record.epoch = 2; /* an earlier pod's: this one was killed before it wrote its own */
    assert_int_equal(machine_next(&f).step, STEP_RECORD);
}

static void the_epoch_is_on_disk_before_a_primary_starts(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.lease_epoch = 4;
    struct decision decision = machine_next(&f);
    assert_int_equal(decision.step, STEP_RECORD);
    assert_int_equal(decision.record.role, ROLE_PRIMARY);
    assert_int_equal(decision.record.epoch, 4);
    f.led_epoch = 4;
    f.record.epoch = f.record.announced = 9; /* a lease from a restored etcd */
    expect(&f, STEP_START, "Starting", "");
    f.record.epoch = 4;
    f.pod_uid = "uid-2";
    assert_int_equal(machine_next(&f).step, STEP_RECORD);
}

/* Both see the same volume, and this one has not heard from the API server since. */
static void a_record_of_a_later_pod_outweighs_what_is_known_of_the_lease(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    snprintf(f.record.pod, sizeof f.record.pod, "uid-2");
    expect(&f, STEP_RECORD, "Starting", ""); /* the same epoch: it was given back to this one */
    f.record.epoch = f.record.announced = 4;
    expect(&f, STEP_TAKE_LEASE, "Starting", "");
    assert_false(machine_may_write(machine_authority(&f)));
}

/* Until the lease says so, an older copy of the volume may be led with. */
static void no_write_is_accepted_before_the_lease_says_who_leads(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.lease_epoch = f.record.epoch = 4;
    expect(&f, STEP_WAIT, "Starting", "");
    f.standby_signal = true; /* it accepts none before it is promoted */
    expect(&f, STEP_START, "Starting", "");
    f.server = SERVER_UP;
    f.running = ROLE_REPLICA;
    f.in_recovery = true;
    expect(&f, STEP_WAIT, "Running", "");
    f.led_epoch = 4;
    struct decision decision = machine_next(&f);
    assert_int_equal(decision.step, STEP_RECORD);
    assert_int_equal(decision.record.announced, 4);
    f.record = decision.record;
    expect(&f, STEP_PROMOTE, "Running", "");
    f = stopped_primary(); /* the API server went away before it could confirm */
    f.lease = LEASE_UNKNOWN;
    f.api_wait_over = true;
    f.record.announced = 2;
    expect(&f, STEP_WAIT, "Waiting", "ApiUnreachable");
    f.record.epoch = f.record.announced = 0; /* initialised, and never led with */
    expect(&f, STEP_WAIT, "Waiting", "ApiUnreachable");
}

static void a_start_needs_the_files_in_order(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.config = KNOWN_NOT_YET;
    expect(&f, STEP_CONFIGURE, "Starting", "");
    f.config = KNOWN_GOOD;
    f.config_stale = true;
    expect(&f, STEP_CONFIGURE, "Starting", "");
    f.config_stale = false;
    expect(&f, STEP_START, "Starting", "");
    f.config = KNOWN_BAD;
    expect(&f, STEP_WAIT, "Failed", "ConfigInvalid");
    f.config_stale = true;
    expect(&f, STEP_CONFIGURE, "Starting", "");
}

static void what_is_not_the_holders_starts_as_a_standby(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.lease = LEASE_OTHER;
    struct decision decision = machine_next(&f);
    assert_int_equal(decision.step, STEP_RECORD);
    assert_int_equal(decision.record.role, ROLE_REPLICA);
    assert_int_equal(decision.record.epoch, 3);
    assert_int_equal(decision.record.seen, 3);
    f.record = decision.record;
    expect(&f, STEP_MAKE_STANDBY, "Starting", "");
    f.standby_signal = true;
    expect(&f, STEP_START, "Starting", "");
}

static void while_the_api_is_away_the_recorded_role_counts_after_a_wait(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.lease = LEASE_UNKNOWN;
    expect(&f, STEP_WAIT, "Waiting", "ApiUnreachable");
    f.api_wait_over = true;
    expect(&f, STEP_START, "Starting", "");
    f.pod_uid = "uid-2"; /* the pod that led may run on, on another copy of the volume */
    expect(&f, STEP_WAIT, "Waiting", "ApiUnreachable");
    f.record.pod[0] = '\0'; /* written by an earlier version */
    expect(&f, STEP_START, "Starting", "");
    f.lease = LEASE_ABSENT; /* it is not away: it says that no pod leads */
    f.pod_uid = "uid-1";
    expect(&f, STEP_WAIT, "Waiting", "WaitingForLease");
    f = stopped_replica();
    f.lease = LEASE_ABSENT;
    expect(&f, STEP_START, "Starting", "");
    f.lease = LEASE_UNKNOWN;
    f.api_wait_over = true;
    expect(&f, STEP_START, "Starting", "");
    f.record = (struct volume_record){0};
    expect(&f, STEP_WAIT, "Waiting", "ApiUnreachable");
}

static void a_running_primary_is_not_disturbed_by_an_api_that_is_away(void **state)
{
    (void)state;
    static const enum lease_state away[] = {LEASE_UNKNOWN, LEASE_ABSENT, LEASE_FREE};
    for (size_t i = 0; i < 3; i++) {
        struct facts f = running_primary();
        f.lease = away[i];
        expect(&f, STEP_WAIT, "Running", "");
    }
    struct facts f = running_primary();
    f.lease = LEASE_FREE;
    f.granted = true; /* the operator created the lease again */
    expect(&f, STEP_TAKE_LEASE, "Running", "");
}

static void a_lease_that_went_to_another_stops_a_primary_at_once(void **state)
{
    (void)state;
    struct facts f = running_primary();
    f.lease = LEASE_OTHER;
    expect(&f, STEP_STOP_NOW, "Stopping", "NotHolder");
    f.server = SERVER_STARTING;
    expect(&f, STEP_STOP_NOW, "Stopping", "NotHolder");
    f = running_replica();
    expect(&f, STEP_WAIT, "Running", "");
    f.in_recovery = false; /* promoted by somebody's hand */
    expect(&f, STEP_STOP_NOW, "Stopping", "NotHolder");
}

static void a_replica_notes_the_epoch_that_it_follows(void **state)
{
    (void)state;
    struct facts f = running_replica();
    f.lease_epoch = 4;
    struct decision decision = machine_next(&f);
    assert_int_equal(decision.step, STEP_RECORD);
    assert_int_equal(decision.record.role, ROLE_REPLICA);
    assert_int_equal(decision.record.epoch, 3);
    assert_int_equal(decision.record.seen, 4);
    f.record = decision.record;
    expect(&f, STEP_WAIT, "Running", "");
}

static void a_standby_that_holds_the_lease_is_promoted_once_that_is_recorded(void **state)
{
    (void)state;
    struct facts f = running_replica();
    f.lease = LEASE_HELD;
    f.lease_epoch = 4;
    struct decision decision = machine_next(&f);
    assert_int_equal(decision.step, STEP_RECORD);
    assert_int_equal(decision.record.epoch, 4);
    f.record = decision.record;
    f.led_epoch = 4;
    f.record.announced = 4;
    expect(&f, STEP_PROMOTE, "Running", "");
    f.running = ROLE_PRIMARY;
    f.in_recovery = false;
    expect(&f, STEP_WAIT, "Running", "");
}

static void a_standby_that_is_to_lead_and_lacks_wal_needs_a_person(void **state)
{
    (void)state;
    struct facts f = running_replica();
    f.lease = LEASE_HELD;
    f.server = SERVER_STARTING;
    expect(&f, STEP_WAIT, "Recovering", "");
    f.wal_missing = true;
    expect(&f, STEP_WAIT, "Failed", "WalMissing");
    f.lease = LEASE_OTHER; /* the primary sends it */
    expect(&f, STEP_WAIT, "Recovering", "");
}

static void what_was_a_standby_starts_as_one_even_for_the_holder(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.standby_signal = true;
    expect(&f, STEP_START, "Starting", "");
}

static void a_running_server_is_reloaded_and_restarted_when_due(void **state)
{
    (void)state;
    struct facts f = running_primary();
    f.config_stale = true;
    expect(&f, STEP_RELOAD, "Running", "");
    f.restart_due = true;
    expect(&f, STEP_STOP, "Restarting", "");
    f = running_primary();
    f.notice_reason = "ConfigInvalid";
    expect(&f, STEP_WAIT, "Running", "ConfigInvalid");
}

static void a_copy_that_can_never_catch_up_is_given_up_when_there_is_another(void **state)
{
    (void)state;
    struct facts f = running_replica();
    f.record.epoch = 0;
    f.slot_ready = true;
    f.wal_gone = true;
    struct decision d = machine_next(&f); /* so far only the log and the looks say so */
    assert_int_equal(d.step, STEP_WAIT);
    assert_string_equal(d.reason, "WalGone");
    assert_non_null(strstr(d.message, "confirm"));
    /* An agent of an earlier version that leads confirms nothing, however long one waits. */
    assert_non_null(strstr(d.message, "volume claims"));
    f.wal_gone_proven = true;
    f.retired_lately = true;
    d = machine_next(&f);
    assert_int_equal(d.step, STEP_WAIT);
    assert_non_null(strstr(d.message, "hour"));
    assert_non_null(strstr(d.message, "volume claims"));
    f.retired_lately = false;
    d = machine_next(&f);
    assert_int_equal(d.step, STEP_STOP_NOW);
    assert_string_equal(d.phase, "Cloning");
    assert_string_equal(d.reason, "WalGone");
    f.server = SERVER_DOWN;
    f.running = ROLE_NONE;
    assert_int_equal(machine_next(&f).step, STEP_RETIRE);
    f.retire_paused = true; /* it was tried, and failed */
    f.retire_error = "no room";
    assert_int_equal(machine_next(&f).step, STEP_START);
    f.server = SERVER_UP;
    f.running = ROLE_REPLICA;
    d = machine_next(&f);
    assert_string_equal(d.reason, "WalGone");
    assert_string_equal(d.message, "no room");
    f.retire_paused = false;
    assert_int_equal(machine_next(&f).step, STEP_STOP_NOW);
    f.server = SERVER_DOWN;
    f.running = ROLE_NONE;
    f.slot_ready = false; /* no primary that could be cloned */
    assert_int_equal(machine_next(&f).step, STEP_START);
    f.slot_ready = true;
    f.retired_lately = true;
    assert_int_equal(machine_next(&f).step, STEP_START);
    f.retired_lately = false;
    f.record.epoch = 1; /* it was a primary's once */
    assert_int_equal(machine_next(&f).step, STEP_START);
    f.record.epoch = 0;
    f.lease = LEASE_RELEASED;
    assert_int_not_equal(machine_next(&f).step, STEP_RETIRE);
}

static void a_crash_recovery_is_left_alone(void **state)
{
    (void)state;
    struct facts f = running_primary();
    f.server = SERVER_STARTING;
    f.config_stale = f.restart_due = true;
    expect(&f, STEP_WAIT, "Recovering", "");
}

static void a_crash_loop_waits_between_attempts(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.restart_paused = true;
    f.trouble_reason = "CrashLooping";
    expect(&f, STEP_WAIT, "Failed", "CrashLooping");
    f.restart_paused = false;
    expect(&f, STEP_START, "Starting", "CrashLooping");
}

static void a_job_is_waited_for_with_its_own_phase(void **state)
{
    (void)state;
    struct facts f = stopped_primary();
    f.job_running = true;
    f.job_phase = "Cloning";
    expect(&f, STEP_WAIT, "Cloning", "");
}

static void a_stop_comes_before_everything_and_postgres_before_the_last_words(void **state)
{
    (void)state;
    struct facts f = running_primary();
    f.stopping = true;
    f.job_running = true;
    expect(&f, STEP_CANCEL_JOB, "Stopping", "");
    f.job_running = false;
    expect(&f, STEP_STOP, "Stopping", "");
    f.server = SERVER_STARTING;
    expect(&f, STEP_STOP, "Stopping", "");
    f.server = SERVER_STOPPING;
    expect(&f, STEP_WAIT, "Stopping", "");
    f.server = SERVER_DOWN;
    expect(&f, STEP_SHUTDOWN, "Stopping", "");
    f.shutdown_done = true;
    expect(&f, STEP_EXIT, "Stopping", "");
    f.locked = false;
    expect(&f, STEP_EXIT, "Stopping", "");
}

/* In all combinations of facts: read-write only for the lease's holder or, with the API away, the
 * recorded primary; initdb only with a grant and an empty volume; no step destroys data. */
static void no_combination_of_facts_breaks_the_invariants(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 1u << 22; bits++) {
        struct facts f = running_primary();
        f.lease = (enum lease_state)(bits % 7);
        f.volume = (enum volume_state)((bits >> 3) % 5);
        f.server = (enum server_state)((bits >> 5) % 4);
        f.running = f.server == SERVER_DOWN ? ROLE_NONE : (enum volume_role)(1 + ((bits >> 7) & 1));
        f.record.role = (enum volume_role)((bits >> 8) % 3);
        f.granted = bits >> 10 & 1;
        f.grant_initdb = bits >> 11 & 1;
        f.api_wait_over = bits >> 12 & 1;
        f.standby_signal = bits >> 13 & 1;
        f.in_recovery = bits >> 14 & 1;
        f.slot_ready = true;
        f.wal_gone = bits >> 15 & 1;
        f.record.epoch = bits >> 16 & 1;
        f.lease_given_back = bits >> 17 & 1;
        f.lease_rested = bits >> 18 & 1;
        f.lease_epoch = bits >> 19 & 1;
        f.pod_uid = bits >> 20 & 1 ? "uid-1" : "uid-2";
        f.record.superseded = bits >> 21 & 1;
        f.record.seen = f.record.superseded;
        f.led_epoch = f.lease_given_back;
        f.record.announced = f.record.epoch && f.led_epoch;
        struct decision d = machine_next(&f);
        assert_non_null(d.phase);
        if (d.step == STEP_INITDB)
            assert_true(f.volume == VOLUME_EMPTY && f.granted && f.grant_initdb &&
                        f.lease != LEASE_OTHER && f.lease != LEASE_UNKNOWN);
        if (d.step == STEP_CLONE)
            assert_true(f.volume == VOLUME_EMPTY && f.lease == LEASE_OTHER);
        if (d.step == STEP_RETIRE)
            assert_true(f.volume == VOLUME_DATA && f.server == SERVER_DOWN && f.wal_gone &&
                        f.standby_signal && f.record.role == ROLE_REPLICA && f.record.epoch == 0 &&
                        f.lease == LEASE_OTHER);
        if (d.step == STEP_DISCARD)
            assert_int_equal(f.volume, VOLUME_UNFINISHED);
        if (d.step == STEP_START && !f.standby_signal)
            assert_true(f.lease == LEASE_HELD ||
                        (f.record.role == ROLE_PRIMARY && f.lease == LEASE_UNKNOWN &&
                         strcmp(f.pod_uid, f.record.pod) == 0 && !f.record.superseded &&
                         f.record.epoch > 0 && f.record.announced >= f.record.epoch));
        if ((d.step == STEP_START && !f.standby_signal) || d.step == STEP_PROMOTE)
            assert_true(f.lease == LEASE_UNKNOWN || f.led_epoch == f.lease_epoch);
        if (d.step == STEP_PROMOTE)
            assert_int_equal(f.lease, LEASE_HELD);
        if (d.step == STEP_TAKE_LEASE)
            assert_true((f.lease == LEASE_MINE && (f.lease_rested || f.lease_given_back)) ||
                        (f.lease == LEASE_FREE && f.granted) ||
                        (f.lease == LEASE_RELEASED && f.record.role == ROLE_PRIMARY) ||
                        (f.lease == LEASE_HELD && f.record.epoch > f.lease_epoch &&
                         strcmp(f.pod_uid, f.record.pod) != 0));
        if (d.step == STEP_TAKE_LEASE && f.lease == LEASE_MINE)
            assert_true(f.record.epoch >= f.led_epoch || f.record.seen >= f.led_epoch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_agent_asks_in_order),
        cmocka_unit_test(an_unfit_image_or_volume_is_told_and_left_alone),
        cmocka_unit_test(a_standbys_limits_are_read_before_its_file_is_written_from_them),
        cmocka_unit_test(what_is_amiss_is_told_while_a_short_step_runs_beside_the_server),
        cmocka_unit_test(only_a_grant_initialises_an_empty_volume),
        cmocka_unit_test(a_holder_with_an_empty_volume_needs_a_grant_that_is_not_spent),
        cmocka_unit_test(a_clone_waits_for_its_slot_and_after_a_failure),
        cmocka_unit_test(the_lease_is_taken_before_a_start_as_primary),
        cmocka_unit_test(a_released_lease_is_taken_only_by_its_last_holder),
        cmocka_unit_test(a_lease_that_was_given_back_is_taken_at_once_by_no_older_copy),
        cmocka_unit_test(no_copy_from_before_an_epoch_that_was_led_with_is_started),
        cmocka_unit_test(what_was_taken_and_not_led_with_keeps_no_volume_from_starting),
        cmocka_unit_test(
            a_lease_unheard_of_for_a_term_is_asked_for_before_anything_is_done_in_its_name),
        cmocka_unit_test(a_holder_asks_before_it_takes_and_takes_before_it_announces),
        cmocka_unit_test(what_writes_already_goes_on_where_nothing_may_begin_to),
        cmocka_unit_test(a_lease_behind_the_endpoints_epoch_is_taken_above_it),
        cmocka_unit_test(a_pod_that_was_superseded_stops_at_once_whatever_it_does),
        cmocka_unit_test(a_superseded_pod_writes_that_down_and_never_leads_again),
        cmocka_unit_test(a_superseded_pod_leaves_the_leading_ones_record_alone),
        cmocka_unit_test(the_epoch_is_on_disk_before_a_primary_starts),
        cmocka_unit_test(a_record_of_a_later_pod_outweighs_what_is_known_of_the_lease),
        cmocka_unit_test(no_write_is_accepted_before_the_lease_says_who_leads),
        cmocka_unit_test(a_start_needs_the_files_in_order),
        cmocka_unit_test(what_is_not_the_holders_starts_as_a_standby),
        cmocka_unit_test(while_the_api_is_away_the_recorded_role_counts_after_a_wait),
        cmocka_unit_test(a_running_primary_is_not_disturbed_by_an_api_that_is_away),
        cmocka_unit_test(a_lease_that_went_to_another_stops_a_primary_at_once),
        cmocka_unit_test(a_replica_notes_the_epoch_that_it_follows),
        cmocka_unit_test(a_standby_that_holds_the_lease_is_promoted_once_that_is_recorded),
        cmocka_unit_test(a_standby_that_is_to_lead_and_lacks_wal_needs_a_person),
        cmocka_unit_test(what_was_a_standby_starts_as_one_even_for_the_holder),
        cmocka_unit_test(a_running_server_is_reloaded_and_restarted_when_due),
        cmocka_unit_test(a_copy_that_can_never_catch_up_is_given_up_when_there_is_another),
        cmocka_unit_test(a_crash_recovery_is_left_alone),
        cmocka_unit_test(a_crash_loop_waits_between_attempts),
        cmocka_unit_test(a_job_is_waited_for_with_its_own_phase),
        cmocka_unit_test(a_stop_comes_before_everything_and_postgres_before_the_last_words),
        cmocka_unit_test(no_combination_of_facts_breaks_the_invariants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
