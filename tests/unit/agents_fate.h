/* What happens to the agents of agents.h: time, messages, clients, an operator, and all that is
 * bad.
 */
#pragma once

#include "agents.h"

static inline void fire(struct world *w)
{
    for (int i = 0; i < PODS; i++) {
        struct pod *p = &w->pods[i];
        if (!p->used || !p->alive || p->frozen || p->paused)
            continue;
        int64_t now_ms = clock_of(w, p), lease_ms = -1, slice_ms = -1;
        for (int k = 0; k < MESSAGES; k++) {
            const struct message *m = &w->messages[k];
            if (!m->used || m->from != i)
                continue;
            if (m->kind == MESSAGE_LEASE && m->number == p->number)
                lease_ms = m->timeout_ms;
            if (m->kind == MESSAGE_SLICE && m->number == p->slice_number)
                slice_ms = m->timeout_ms;
        }
        if (p->engine.doing != LEASE_DO_NOTHING && now_ms >= lease_ms)
            lease_engine_answer(&p->engine, LEASE_UNANSWERED, NULL, 0, now_ms);
        if (p->slice_busy && now_ms >= slice_ms)
            p->slice_busy = false;
        turn(w, p);
    }
}

static inline void deliver(struct world *w, struct message *m, bool lost)
{
    struct pod *p = &w->pods[m->from];
    if (lost || p->cut_off || !p->used) {
        m->used = false;
        return;
    }
    if (!m->stored) {
        m->stored = true;
        if (m->kind == MESSAGE_LEASE)
            store_lease(w, m);
        else
            store_slice(w, m);
        return;
    }
    if (p->frozen || p->paused)
        return; /* read when it goes on */
    m->used = false;
    if (!p->alive)
        return;
    if (m->kind == MESSAGE_SLICE) {
        p->slice_busy &= m->number != p->slice_number;
        return;
    }
    if (m->number != p->number || p->engine.doing == LEASE_DO_NOTHING)
        return;
    if (lease_engine_answer(&p->engine, m->outcome, &m->object.lease, 0, clock_of(w, p)) &&
        m->outcome == LEASE_DONE) {
        p->view = m->object;
        p->seen_any = true;
    }
}

/* The watches: late, but in order; a pod that was cut off lists. */
static inline void watch(struct world *w, struct pod *p)
{
    if (!p->used || !p->alive || p->frozen || p->paused || p->cut_off)
        return;
    bool lists = p->cursor == 0 || w->events - p->cursor >= HISTORY;
    long at = lists ? w->events : p->cursor + 1;
    p->slice_known = true;
    p->slice_seen_epoch = w->api.slice_epoch;
    p->slice_seen_version = w->api.slice_version;
    p->slice_seen_pod = w->api.slice_pod;
    if (at > w->events)
        return;
    p->cursor = at;
    const struct api *state = lists ? &w->api : &w->history[at % HISTORY];
    if (lease_engine_see(&p->engine, state->exists ? &state->lease : NULL, lists, clock_of(w, p))) {
        p->view = *state;
        p->seen_any = true;
    }
}

/* As model/bootstrap.c decides: the volume of the last primary with the highest epoch, if it is
 * one; an empty one only while no data is known anywhere. */
static inline void operator_pass(struct world *w)
{
    struct api *api = &w->api;
    if (!api->exists) {
        int64_t version = api->version;
        struct api fresh = {.exists = true, .granted = -1, .lead_instance = -1, .slice_pod = -1};
        fresh.slice_epoch = api->slice_epoch;
        fresh.slice_version = api->slice_version;
        fresh.slice_pod = api->slice_pod;
        *api = fresh;
        api->version = version;
        changed(w);
    }
    if (api->lease.holder[0] != '\0' || api->lease.epoch > 0)
        return;
    int winner = -1, winners = 0;
    bool data = false;
    int64_t best = -1;
    for (int i = 0; i < INSTANCES; i++)
        if (w->reported[i].data) {
            data = true;
            best = w->reported[i].epoch > best ? w->reported[i].epoch : best;
        }
    for (int i = 0; i < INSTANCES; i++)
        if (w->reported[i].data && w->reported[i].epoch == best &&
            w->reported[i].role == ROLE_PRIMARY) {
            winner = i;
            winners++;
        }
    int granted = data ? (winners == 1 ? winner : -1) : 0;
    /* The API server shows data or nothing: a grant to initialise is spent by the first report. */
    if (api->granted != granted || api->grant_initdb != !data) {
        api->granted = granted;
        api->grant_initdb = !data && granted >= 0;
        changed(w);
    }
}

static inline void report(struct world *w, int instance)
{
    struct pod *p = &w->pods[w->newest[instance]];
    if (!p->used || !p->alive || p->cut_off || p->detached)
        return;
    const struct disk *v = disk_of(w, p);
    w->reported[instance].known = true;
    w->reported[instance].data = v->data;
    w->reported[instance].epoch = v->record.epoch;
    w->reported[instance].role = v->record.role;
}

static inline void client(struct world *w)
{
    int writers = 0;
    for (int i = 0; i < PODS; i++) {
        struct pod *p = &w->pods[i];
        if (!accepts_writes(p))
            continue;
        if (p->detached) {
            p->server = SERVER_DOWN; /* its disk is gone: it panics, nothing is acknowledged */
            p->running = ROLE_NONE;
            continue;
        }
        struct disk *v = disk_of(w, p);
        writers++;
        if (v->writes != w->writes)
            fault(w, "a write is accepted on a volume that lacks earlier ones", i);
        w->writes = ++v->writes;
    }
    if (writers > 1)
        fault(w, "two accept writes", -1);
}

static inline void stream(struct world *w)
{
    int primary = primary_pod(w);
    for (int i = 0; primary >= 0 && i < PODS; i++) {
        struct pod *p = &w->pods[i];
        if (p->used && p->alive && p->server == SERVER_UP && p->running == ROLE_REPLICA &&
            !p->detached && disk_of(w, p)->data && !p->paused)
            disk_of(w, p)->writes = w->disks[w->pods[primary].disk].writes;
    }
}

/* A new pod of the instance while the old one may run on: on the same volume, which the old one's
 * lock still holds or which was taken from it; or, by a person, on an older copy of it. */
static inline void replace(struct world *w, int instance, bool on_copy)
{
    struct pod *old = &w->pods[w->newest[instance]];
    int volume = old->disk;
    if (on_copy) {
        int64_t led = w->disks[old->disk].record.epoch;
        if (!w->has_snapshot || w->snapshot_of != instance || w->snapshot.record.epoch >= led)
            return; /* a copy from within the same epoch cannot be told apart */
        for (volume = 0; volume < DISKS && w->disks[volume].used; volume++)
            ;
        if (volume == DISKS)
            return;
        w->disks[volume] = w->snapshot;
        w->disks[volume].locked_by = -1;
    }
    int old_index = w->newest[instance];
    if (new_pod(w, instance, volume) < 0) {
        if (on_copy)
            w->disks[volume].used = false;
        return;
    }
    w->copied |= on_copy;
    if (!on_copy && one_in(w, 2)) {
        old->detached = true;
        if (w->disks[volume].locked_by == old_index)
            w->disks[volume].locked_by = -1;
    }
}

static inline void restore_etcd(struct world *w)
{
    int64_t version = w->api.version, slice_version = w->api.slice_version;
    w->api = w->saved;
    w->restored = true;
    /* Restored as it is documented: revisions go on from beyond the old ones. */
    w->api.version = version + 1000;
    w->api.slice_version = slice_version + 1000;
    changed(w);
    for (int i = 0; i < PODS; i++)
        w->pods[i].cursor = 0;
}

static inline void disturb(struct world *w)
{
    struct pod *p = &w->pods[choice_below(w->choice, PODS)];
    int instance = (int)choice_below(w->choice, INSTANCES);
    switch (choice_below(w->choice, 13)) {
    case 0:
        p->frozen = !p->frozen; /* the agent alone */
        break;
    case 1:
        p->paused = !p->paused; /* the whole pod */
        break;
    case 2:
        p->cut_off = !p->cut_off;
        p->cursor = 0;
        break;
    case 3:
        if (p->used && p->alive)
            end_process(w, p);
        break;
    case 4:
    case 5:
        if (p->used && !p->alive && (!p->detached || one_in(w, 2)))
            start_process(w, p);
        break;
    case 6:
        p->stopping = p->used && p->alive;
        break;
    case 7:
        replace(w, instance, false);
        break;
    case 8:
        if (p->used && !p->alive && w->newest[p->instance] != (int)(p - w->pods))
            p->used = false;
        break;
    case 9:
        if (w->has_saved && one_in(w, 3) && !w->copied)
            restore_etcd(w);
        else
            w->saved = w->api, w->has_saved = true;
        break;
    case 10:
        if (one_in(w, 4) && !w->copied && w->api.exists) { /* a person deletes the lease */
            w->api.exists = false;
            w->api.lease = (struct lease_object){.epoch = 0};
            w->deleted = true;
            changed(w);
        }
        break;
    case 11:
        w->snapshot = w->disks[w->pods[w->newest[instance]].disk];
        w->snapshot_of = instance;
        w->has_snapshot = w->snapshot.data;
        break;
    default:
        if (!w->deleted && !w->restored)
            replace(w, instance, true);
        break;
    }
}

static inline void happen(struct world *w)
{
    static const int64_t pauses_ms[] = {1, 40, 500, TERM_MS / 6, TERM_MS / 3, TERM_MS};
    static const uint32_t kinds[] = {10, 6, 5, 2, 2, 2, 1, 1};
    uint32_t messages = 0;
    for (int i = 0; i < MESSAGES; i++)
        messages += w->messages[i].used;
    switch (choice_of(w->choice, kinds, w->gentle ? 7 : 8)) {
    case 0:
        if (messages > 0) {
            uint32_t at = w->gentle ? 0 : choice_below(w->choice, messages);
            int i = 0;
            while (!w->messages[i].used || at-- > 0)
                i++;
            deliver(w, &w->messages[i], !w->gentle && one_in(w, 8));
        }
        break;
    case 1:
        watch(w, &w->pods[choice_below(w->choice, PODS)]);
        break;
    case 2:
        w->true_ms += pauses_ms[choice_below(w->choice, w->gentle ? 3 : 6)];
        break;
    case 3:
        client(w);
        break;
    case 4:
        stream(w);
        break;
    case 5:
        report(w, (int)choice_below(w->choice, INSTANCES));
        break;
    case 6:
        operator_pass(w);
        break;
    default:
        disturb(w);
        break;
    }
    fire(w);
}

static inline void world_init(struct world *w, struct choice *choice, enum plant plant)
{
    memset(w, 0, sizeof *w);
    w->choice = choice;
    w->plant = plant;
    w->true_ms = 1000000;
    w->api = (struct api){.granted = -1, .lead_instance = -1, .slice_pod = -1};
    for (int i = 0; i < INSTANCES; i++) {
        w->disks[i] = (struct disk){.used = true, .locked_by = -1};
        new_pod(w, i, i);
    }
}

/* Nothing bad happens any more, and the kubelets end what they were told to end. */
static inline void heal(struct world *w)
{
    w->gentle = true;
    for (int i = 0; i < PODS; i++) {
        struct pod *p = &w->pods[i];
        if (!p->used)
            continue;
        p->frozen = p->paused = p->cut_off = false;
        p->cursor = 0;
        if (w->newest[p->instance] != i) {
            end_process(w, p);
            p->used = false;
        } else if (!p->alive || p->stopping) {
            end_process(w, p);
            p->detached = false;
            start_process(w, p);
        } else {
            p->detached = false;
        }
    }
}
