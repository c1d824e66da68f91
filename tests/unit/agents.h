/*
 * Agents of one cluster in virtual time: their real state machine, authority and lease engine, an
 * API server that keeps the lease and the read-write endpoint, an operator that grants, volumes
 * that are written, snapshotted, detached, and a network that does what it wants. Every accepted
 * write is counted: it must find all earlier ones on the volume that it goes to.
 */
#pragma once

#include "test.h"

#include <stdlib.h>

#include "choice.h"
#include "machine/authority.h"
#include "lease/engine.h"

enum {
    INSTANCES = 2,
    PODS = 6,
    DISKS = 8,
    MESSAGES = 24,
    HISTORY = 64,
    TERM_MS = 15000,
    API_WAIT_MS = 10000,
    DRIFT = 50, /* per mille */
};

/* Taken out of the agents on purpose, to see that the simulation finds it. */
enum plant {
    PLANT_NOTHING,
    PLANT_NO_MEMORY, /* takes do not come after the epochs that the volume knows */
    PLANT_ANY_COPY,  /* a copy from before the last epoch is led with */
    PLANT_NO_GRANT,  /* a lease that was never held is taken without a grant */
    PLANT_UNTOLD,    /* writes are accepted before the lease says who leads */
    PLANT_ANY_POD,   /* without the API server any pod of the last primary leads on */
};

struct disk {
    bool used, data, standby;
    struct volume_record record;
    long writes;   /* accepted ones that it holds */
    int locked_by; /* pod; -1: none */
};

/* What the API server keeps. */
struct api {
    bool exists;
    struct lease_object lease;
    int granted; /* instance; -1: none */
    bool grant_initdb;
    int lead_instance;
    int64_t lead_epoch;
    int64_t slice_epoch, slice_version;
    int slice_pod; /* -1: none */
    int64_t version;
};

enum message_kind { MESSAGE_LEASE, MESSAGE_SLICE };

struct message {
    bool used, stored;
    enum message_kind kind;
    int from;
    int64_t number, timeout_ms;
    enum lease_action action;
    char version[32];
    int64_t slice_version, epoch;
    int slice_pod;
    bool tells_lead;
    enum lease_outcome outcome;
    struct api object;
};

struct pod {
    bool used, alive, frozen, paused, cut_off, stopping, detached, shutdown;
    int instance, disk, lives;
    char uid[16], identity[32];
    struct lease_engine engine;
    bool seen_any;
    struct api view; /* the version that the engine knows */
    long cursor;     /* into the history of the lease */
    int64_t slice_seen_epoch, slice_seen_version, began_ms;
    int slice_seen_pod;
    bool slice_known;
    int64_t offset_ms, rate, number, slice_number;
    bool slice_busy;
    enum server_state server;
    enum volume_role running;
};

struct world {
    struct choice *choice;
    enum plant plant;
    int64_t true_ms;
    struct api api, saved;
    bool has_saved;
    struct api history[HISTORY];
    long events; /* states of the lease so far */
    struct disk disks[DISKS];
    struct disk snapshot;
    bool has_snapshot;
    int snapshot_of;
    struct {
        bool known, data;
        int64_t epoch;
        enum volume_role role;
    } reported[INSTANCES];
    int newest[INSTANCES]; /* pod of each instance */
    struct pod pods[PODS];
    struct message messages[MESSAGES];
    int64_t led_epoch;
    char led_by[64];
    long writes; /* accepted so far */
    int renewals, uids;
    bool gentle, copied, deleted, restored;
    char fault[300];
};

static inline void fault(struct world *w, const char *text, int pod)
{
    if (w->fault[0] == '\0')
        snprintf(w->fault, sizeof w->fault, "%s (pod %s at %lld ms)", text,
                 pod >= 0 ? w->pods[pod].identity : "-", (long long)w->true_ms);
}

static inline bool one_in(struct world *w, uint32_t n)
{
    const uint32_t weights[] = {n - 1, 1};
    return choice_of(w->choice, weights, 2) == 1;
}

static inline int64_t clock_of(const struct world *w, const struct pod *p)
{
    return p->offset_ms + w->true_ms * p->rate / 1000;
}

/* ---- the API server ---- */

static inline void changed(struct world *w)
{
    snprintf(w->api.lease.version, sizeof w->api.lease.version, "%lld",
             (long long)++w->api.version);
    w->history[++w->events % HISTORY] = w->api;
}

static inline void store_lease(struct world *w, struct message *m)
{
    const struct pod *p = &w->pods[m->from];
    struct api *api = &w->api;
    m->outcome = LEASE_DONE;
    if (!api->exists) {
        m->outcome = LEASE_MISSING;
    } else if (m->action != LEASE_DO_READ && strcmp(m->version, api->lease.version) != 0) {
        m->outcome = LEASE_CONFLICT;
    } else if (m->action != LEASE_DO_READ) {
        snprintf(api->lease.renewed, sizeof api->lease.renewed, "%d", ++w->renewals);
        if (m->action == LEASE_DO_TAKE) {
            snprintf(api->lease.holder, sizeof api->lease.holder, "%s", p->identity);
            api->lease.epoch = m->epoch;
        } else if (m->action == LEASE_DO_GIVE_BACK) {
            snprintf(api->lease.holder, sizeof api->lease.holder, "a-%d", p->instance);
        }
        api->lease.seconds = TERM_MS / 1000;
        if (m->tells_lead) {
            api->lead_instance = p->instance;
            api->lead_epoch = m->epoch;
        }
        changed(w);
    }
    m->object = *api;
}

static inline void store_slice(struct world *w, struct message *m)
{
    m->outcome = m->slice_version == w->api.slice_version ? LEASE_DONE : LEASE_CONFLICT;
    if (m->outcome != LEASE_DONE)
        return;
    if (m->epoch < w->api.slice_epoch)
        fault(w, "the endpoint goes back to an earlier epoch", m->from);
    w->api.slice_epoch = m->epoch;
    w->api.slice_pod = m->slice_pod;
    w->api.slice_version++;
}

/* ---- a pod ---- */

static inline struct disk *disk_of(struct world *w, const struct pod *p)
{
    return &w->disks[p->disk];
}

static inline bool accepts_writes(const struct pod *p)
{
    return p->used && p->alive && !p->paused && p->server == SERVER_UP &&
           p->running == ROLE_PRIMARY;
}

static inline int primary_pod(const struct world *w)
{
    for (int i = 0; i < PODS; i++)
        if (accepts_writes(&w->pods[i]) && !w->pods[i].detached)
            return i;
    return -1;
}

static inline void start_process(struct world *w, struct pod *p)
{
    struct lease_engine_options options = {
        .identity = p->identity, .term_ms = TERM_MS, .term_max_ms = 8 * TERM_MS, .second_ms = 1000};
    p->alive = true;
    p->frozen = p->paused = p->stopping = p->shutdown = p->seen_any = p->slice_known = false;
    p->slice_busy = false;
    p->lives++;
    p->number += 2; /* answers to an earlier life's requests are ignored */
    p->slice_number += 2;
    p->server = SERVER_DOWN;
    p->running = ROLE_NONE;
    p->began_ms = clock_of(w, p);
    lease_engine_init(&p->engine, &options, p->began_ms);
}

static inline void end_process(struct world *w, struct pod *p)
{
    p->alive = false;
    p->server = SERVER_DOWN;
    if (disk_of(w, p)->locked_by == (int)(p - w->pods))
        disk_of(w, p)->locked_by = -1;
}

static inline int new_pod(struct world *w, int instance, int volume)
{
    for (int i = 0; i < PODS; i++) {
        struct pod *p = &w->pods[i];
        if (p->used)
            continue;
        int64_t drift = w->choice->random != 0 ? choice_below(w->choice, 2 * DRIFT + 1) : DRIFT;
        *p = (struct pod){.used = true,
                          .instance = instance,
                          .disk = volume,
                          .rate = 1000 - DRIFT + drift,
                          .offset_ms = i * 54321};
        snprintf(p->uid, sizeof p->uid, "u%d", ++w->uids);
        snprintf(p->identity, sizeof p->identity, "a-%d/u%d", instance, w->uids);
        w->newest[instance] = i;
        start_process(w, p);
        return i;
    }
    return -1;
}

static inline struct facts facts_of(struct world *w, struct pod *p)
{
    struct disk *v = disk_of(w, p);
    int64_t now_ms = clock_of(w, p);
    struct facts f = {
        .stopping = p->stopping,
        .shutdown_done = p->shutdown,
        .job_phase = "",
        .job_message = "",
        .locked = v->locked_by == (int)(p - w->pods),
        .lock_reason = "",
        .lock_error = "",
        .settings = KNOWN_GOOD,
        .settings_error = "",
        .binaries = KNOWN_GOOD,
        .binaries_reason = "",
        .binaries_error = "",
        .volume = v->data ? VOLUME_DATA : VOLUME_EMPTY,
        .volume_reason = "",
        .volume_error = "",
        .record = v->record,
        .pod_uid = p->uid,
        .standby_signal = v->standby,
        .api_wait_over = now_ms - p->began_ms >= API_WAIT_MS,
        .control_known = true,
        .config = KNOWN_GOOD,
        .config_error = "",
        .server = p->server,
        .running = p->running,
        .in_recovery = p->running == ROLE_REPLICA,
        .retire_error = "",
        .trouble_reason = "",
        .trouble = "",
        .notice_reason = "",
        .notice = "",
    };
    struct machine_lease says = {.slot_ready = primary_pod(w) >= 0};
    if (p->seen_any && p->engine.state != LEASE_ABSENT) {
        says.granted = p->view.granted == p->instance;
        says.grant_initdb = says.granted && p->view.grant_initdb;
        if (p->view.lead_instance == p->instance && p->view.lead_epoch <= p->engine.object.epoch)
            says.led_epoch = p->view.lead_epoch;
    }
    machine_lease_facts(&p->engine, &says, p->slice_known ? p->slice_seen_epoch : 0, now_ms, &f);
    f.granted |= w->plant == PLANT_NO_GRANT;
    if (w->plant == PLANT_ANY_COPY && f.lease == LEASE_MINE) {
        f.led_epoch = 0;
        f.lease_given_back = false;
    }
    if (w->plant == PLANT_UNTOLD) {
        if (f.lease == LEASE_HELD)
            f.led_epoch = f.lease_epoch;
        f.record.announced = f.record.epoch;
    }
    if (w->plant == PLANT_ANY_POD && f.lease == LEASE_UNKNOWN)
        snprintf(f.record.pod, sizeof f.record.pod, "%s", p->uid);
    return f;
}

static inline struct message *new_message(struct world *w)
{
    for (int i = 0; i < MESSAGES; i++)
        if (!w->messages[i].used)
            return &w->messages[i];
    return NULL;
}

static inline bool lead_is_unannounced(struct world *w, const struct pod *p)
{
    struct facts f = {.record = disk_of(w, p)->record, .pod_uid = p->uid};
    bool announced =
        p->view.lead_instance == p->instance && p->view.lead_epoch == p->engine.object.epoch;
    return p->engine.state == LEASE_HELD && !announced &&
           machine_recorded_epoch(&f) >= p->engine.object.epoch;
}

static inline void send_lease(struct world *w, struct pod *p)
{
    if (lead_is_unannounced(w, p))
        lease_engine_renew_soon(&p->engine, clock_of(w, p));
    enum lease_action action = lease_engine_next(&p->engine, clock_of(w, p));
    if (action == LEASE_DO_NOTHING)
        return;
    p->number++;
    struct message *m = new_message(w);
    if (m == NULL)
        return; /* it is lost, and times out */
    *m = (struct message){.used = true,
                          .from = (int)(p - w->pods),
                          .number = p->number,
                          .timeout_ms = clock_of(w, p) + lease_engine_timeout_ms(&p->engine),
                          .action = action,
                          .epoch = action == LEASE_DO_TAKE ? lease_engine_next_epoch(&p->engine)
                                                           : p->engine.object.epoch,
                          .tells_lead = action != LEASE_DO_TAKE && lead_is_unannounced(w, p)};
    memcpy(m->version, p->engine.object.version, sizeof m->version);
}

static inline void send_slice(struct world *w, struct pod *p)
{
    struct facts f = facts_of(w, p);
    int wanted = accepts_writes(p) && !p->stopping ? (int)(p - w->pods) : -1;
    if (!machine_holds_lease(machine_authority(&f)) || !p->slice_known || p->slice_busy ||
        p->slice_seen_epoch > f.lease_epoch ||
        (p->slice_seen_pod == wanted && p->slice_seen_epoch == f.lease_epoch))
        return;
    struct message *m = new_message(w);
    if (m == NULL)
        return;
    p->slice_busy = true;
    *m = (struct message){.used = true,
                          .kind = MESSAGE_SLICE,
                          .from = (int)(p - w->pods),
                          .number = ++p->slice_number,
                          .timeout_ms = clock_of(w, p) + 5000,
                          .slice_version = p->slice_seen_version,
                          .slice_pod = wanted,
                          .epoch = f.lease_epoch};
}

static inline void give_back(struct world *w, struct pod *p)
{
    const struct volume_record *record = &disk_of(w, p)->record;
    if (record->role == ROLE_PRIMARY)
        lease_engine_leave(&p->engine, record->epoch, clock_of(w, p));
    /* It does not wait for long. */
    p->shutdown = record->role != ROLE_PRIMARY || lease_engine_has_left(&p->engine) || one_in(w, 4);
}

static inline void initdb(struct world *w, struct pod *p)
{
    for (int i = 0; i < DISKS; i++)
        if (w->disks[i].used && w->disks[i].data)
            fault(w, "a volume is initialised while another one holds data", (int)(p - w->pods));
    *disk_of(w, p) = (struct disk){.used = true,
                                   .data = true,
                                   .record = {.role = ROLE_PRIMARY},
                                   .locked_by = (int)(p - w->pods)};
}

/* Each epoch is led with by one pod only, and epochs grow. */
static inline void note_epoch(struct world *w, const struct pod *p)
{
    const struct volume_record *record = &w->disks[p->disk].record;
    int pod = (int)(p - w->pods);
    if (record->role != ROLE_PRIMARY || p->engine.state != LEASE_HELD)
        return;
    if (record->epoch < w->led_epoch ||
        (record->epoch == w->led_epoch && strcmp(record->pod, w->led_by) != 0))
        fault(w, "an epoch is led with a second time", pod);
    w->led_epoch = record->epoch;
    snprintf(w->led_by, sizeof w->led_by, "%s", record->pod);
}

/* False: nothing more to do now. */
static inline bool perform(struct world *w, struct pod *p, const struct decision *decision)
{
    struct disk *v = disk_of(w, p);
    int primary = primary_pod(w);
    if (p->detached && decision->step != STEP_TAKE_LEASE && decision->step != STEP_STOP_NOW &&
        decision->step != STEP_STOP && decision->step != STEP_SHUTDOWN &&
        decision->step != STEP_EXIT)
        return false; /* its disk is gone: nothing that touches it ends */
    switch (decision->step) {
    case STEP_LOCK:
        if (v->locked_by >= 0)
            return false;
        v->locked_by = (int)(p - w->pods);
        return true;
    case STEP_INITDB:
        initdb(w, p);
        return true;
    case STEP_CLONE:
        if (primary < 0)
            return false;
        v->data = v->standby = true;
        v->record = (struct volume_record){.role = ROLE_REPLICA};
        v->writes = w->disks[w->pods[primary].disk].writes;
        return true;
    case STEP_TAKE_LEASE:
        lease_engine_take(&p->engine, w->plant == PLANT_NO_MEMORY ? 0 : decision->above_epoch);
        send_lease(w, p);
        return false;
    case STEP_RECORD:
        v->record = decision->record;
        note_epoch(w, p);
        return true;
    case STEP_MAKE_STANDBY:
        v->standby = true;
        return true;
    case STEP_START:
        p->server = SERVER_UP;
        p->running = v->standby ? ROLE_REPLICA : ROLE_PRIMARY;
        return true;
    case STEP_PROMOTE:
        p->running = ROLE_PRIMARY;
        v->standby = false;
        return true;
    case STEP_STOP:
    case STEP_STOP_NOW:
        p->server = SERVER_DOWN;
        p->running = ROLE_NONE;
        return true;
    case STEP_SHUTDOWN:
        give_back(w, p);
        send_lease(w, p);
        return p->shutdown;
    case STEP_EXIT:
        end_process(w, p);
        return false;
    default:
        return false;
    }
}

static inline void turn(struct world *w, struct pod *p)
{
    for (int i = 0; i < 12 && p->alive; i++) {
        struct facts f = facts_of(w, p);
        struct decision decision = machine_next(&f);
        if (!perform(w, p, &decision))
            break;
        if (!w->gentle && one_in(w, 60))
            end_process(w, p); /* it dies behind that step */
    }
    if (!p->alive)
        return;
    send_lease(w, p);
    send_slice(w, p);
}
