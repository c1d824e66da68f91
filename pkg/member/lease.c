#include "member/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "api/reports.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/bucket.h"
#include "loop/timer.h"

enum { RETRY_MS = 500, BURST = 6, REFILL_MS = 500, TAKE_BURST = 3, TAKE_REFILL_MS = 2000 };
/* The maximum of spec.failover.leaseSeconds: no text makes a pod wait longer. */
enum { TERM_MAX_S = 120 };

struct lease {
    struct kube *kube;
    struct kube_watch *watch;
    struct kube_call *call;
    struct event *renew;
    struct lease_handlers handlers;
    char namespace[256], name[256], instance[64], identity[128], pod_uid[64];
    int seconds;
    struct bucket bucket, takes;
    struct lease_view view;
    int64_t unchanged_since_ms, held_epoch, seen_epoch;
    int64_t recorded;   /* see lease_set_recorded() */
    int64_t heard_ms;   /* when what had an outcome last was sent, or it became ours */
    int64_t sent_ms;    /* when the write under way, or the last one, was sent */
    bool unanswered;    /* it was not answered: the connection it took may be stalled */
    bool listing, seen; /* between begin and synced; and whether it came up in the list */
    bool again;         /* renew once more when the write under way has ended */
    bool taking;        /* a take was asked for since the timer rang last: its pause holds it up */
    bool failing;       /* renewals fail: said once */
    bool leaving;       /* it is to be given back, not renewed */
    bool refused;       /* we may not write it (any more) */
};

static const struct kube_kind *lease_kind(void)
{
    return kube_kind_find("coordination.k8s.io/v1", "Lease");
}

static void read_slot(const struct primary_report *report, const char *instance,
                      struct lease_view *view)
{
    for (size_t i = 0; i < report->replica_count; i++) {
        const struct replica_report *replica = &report->replicas[i];
        if (strcmp(replica->name, instance) != 0)
            continue;
        snprintf(view->slot_status, sizeof view->slot_status, "%s", replica->slot_wal_status);
        snprintf(view->slot_restart, sizeof view->slot_restart, "%s", replica->slot_restart_lsn);
        view->slot_ready = view->slot_status[0] != '\0' && strcmp(view->slot_status, "lost") != 0;
    }
}

static void read_status(const cJSON *object, const char *instance, struct lease_view *view)
{
    AUTO_ARENA arena = arena_new();
    struct primary_report report = {0};
    struct error ignored; /* what cannot be read shows nothing */
    const char *text = json_str(object, "metadata.annotations[\"" ANN_PRIMARY_STATUS "\"]", NULL);
    if (text == NULL || report_primary_decode(arena, text, &report, &ignored) < 0)
        return;
    read_slot(&report, instance, view);
    snprintf(view->primary_address, sizeof view->primary_address, "%s", report.address);
}

/* A lease that was restored may be behind; one that is behind its own annotation was not written by
 * an agent. */
static void read_lead(const cJSON *object, const char *instance, struct lease_view *view)
{
    AUTO_ARENA arena = arena_new();
    struct lead_report lead = {0};
    struct error ignored; /* what cannot be read tells nothing */
    const char *text = json_str(object, "metadata.annotations[\"" ANN_LEAD "\"]", NULL);
    if (text != NULL && report_lead_decode(arena, text, &lead, &ignored) == 0 &&
        strcmp(lead.instance, instance) == 0 && lead.epoch > 0 && lead.epoch <= view->epoch)
        view->led_epoch = lead.epoch;
}

void lease_read(const cJSON *object, const char *instance, const char *pod_uid,
                struct lease_view *ret_view)
{
    AUTO_ARENA arena = arena_new();
    struct lease_view view = {0};
    struct bootstrap_grant grant = {0};
    struct error ignored; /* an annotation that cannot be read grants nothing */
    const char *holder = json_str(object, "spec.holderIdentity", "");
    const char *grant_text = json_str(object, "metadata.annotations[\"" ANN_BOOTSTRAP "\"]", NULL);
    int64_t epoch = json_int(object, "spec.leaseTransitions", 0);
    if (epoch >= 0 && epoch <= EPOCH_BELIEVED_MAX)
        view.epoch = epoch;
    else
        view.odd_epoch = epoch;
    snprintf(view.holder, sizeof view.holder, "%.*s", (int)strcspn(holder, "/"), holder);
    snprintf(view.identity, sizeof view.identity, "%s", holder);
    snprintf(view.renewed, sizeof view.renewed, "%s", json_str(object, "spec.renewTime", ""));
    view.seconds = (int)json_int(object, "spec.leaseDurationSeconds", 0);
    snprintf(view.resource_version, sizeof view.resource_version, "%s",
             json_str(object, "metadata.resourceVersion", ""));
    if (grant_text != NULL && report_grant_decode(arena, grant_text, &grant, &ignored) == 0 &&
        strcmp(grant.instance, instance) == 0) {
        view.granted = true;
        view.grant_initdb = grant.initdb;
    }
    read_status(object, instance, &view);
    read_lead(object, instance, &view);
    const char *uid = strchr(holder, '/');
    if (holder[0] == '\0')
        view.state = epoch == 0 ? LEASE_FREE : LEASE_RELEASED;
    else if (strcmp(view.holder, instance) != 0)
        view.state = LEASE_OTHER;
    else
        view.state = uid != NULL && strcmp(uid + 1, pod_uid) == 0 ? LEASE_HELD : LEASE_MINE;
    view.given_back = view.state == LEASE_MINE && uid == NULL;
    *ret_view = view;
}

cJSON *lease_take_body(struct arena *arena, const struct lease_view *view, const char *identity,
                       const cJSON *status, int seconds, int64_t epoch, int64_t wall_ms)
{
    cJSON *body = json_object(arena);
    cJSON *metadata = json_add_object(body, "metadata");
    json_set_str(metadata, "resourceVersion", view->resource_version);
    json_set_str(json_add_object(metadata, "annotations"), ANN_PRIMARY_STATUS,
                 json_compact(arena, status));
    cJSON *spec = json_add_object(body, "spec");
    const char *now = clock_rfc3339_micro(arena, wall_ms);
    json_set_str(spec, "holderIdentity", identity);
    json_set_int(spec, "leaseDurationSeconds", seconds);
    json_set_str(spec, "acquireTime", now);
    json_set_str(spec, "renewTime", now);
    json_set_int(spec, "leaseTransitions", epoch);
    return body;
}

cJSON *lease_give_back_body(struct arena *arena, const struct lease_view *view,
                            const char *instance, int64_t wall_ms)
{
    cJSON *body = json_object(arena);
    json_set_str(json_add_object(body, "metadata"), "resourceVersion", view->resource_version);
    cJSON *spec = json_add_object(body, "spec");
    json_set_str(spec, "holderIdentity", instance);
    json_set_str(spec, "renewTime", clock_rfc3339_micro(arena, wall_ms));
    return body;
}

cJSON *lease_renew_body(struct arena *arena, const struct lease_view *view, const cJSON *status,
                        int seconds, int64_t wall_ms)
{
    cJSON *body = json_object(arena);
    cJSON *metadata = json_add_object(body, "metadata");
    json_set_str(metadata, "resourceVersion", view->resource_version);
    if (status != NULL)
        json_set_str(json_add_object(metadata, "annotations"), ANN_PRIMARY_STATUS,
                     json_compact(arena, status));
    cJSON *spec = json_add_object(body, "spec");
    json_set_str(spec, "renewTime", clock_rfc3339_micro(arena, wall_ms));
    json_set_int(spec, "leaseDurationSeconds", seconds);
    return body;
}

void lease_add_lead(struct arena *arena, cJSON *body, const struct lead_report *lead)
{
    json_set_str(json_add_object(json_add_object(body, "metadata"), "annotations"), ANN_LEAD,
                 json_compact(arena, report_lead_encode(arena, lead)));
}

static bool lead_is_untold(const struct lease *lease)
{
    const struct lease_view *view = &lease->view;
    return view->state == LEASE_HELD && lease->recorded >= view->epoch &&
           view->led_epoch != view->epoch;
}

static void tell(struct lease *lease)
{
    lease->handlers.changed(lease->handlers.arg);
}

/* Until the next renewal of a lease whose last one was sent at sent_ms: the term counts from there,
 * not from the answer. */
static int rest_ms(const struct lease *lease)
{
    int64_t rest = lease->sent_ms + lease->seconds * 1000 / 3 - clock_boot_ms();
    return rest > 0 ? (int)rest : 0;
}

/* An object's version also grows when the operator writes its annotation: only what the holder
 * writes tells that it lives. */
static void note_life(struct lease *lease, const struct lease_view *view)
{
    const struct lease_view *before = &lease->view;
    if (before->state == LEASE_UNKNOWN || view->epoch != before->epoch ||
        strcmp(view->identity, before->identity) != 0 ||
        strcmp(view->renewed, before->renewed) != 0)
        lease->unchanged_since_ms = clock_boot_ms();
    if (view->state == LEASE_HELD && view->epoch > lease->held_epoch)
        lease->held_epoch = view->epoch;
    if (view->epoch > lease->seen_epoch)
        lease->seen_epoch = view->epoch;
}

static void set_view(struct lease *lease, const struct lease_view *view)
{
    bool held_before = lease->view.state == LEASE_HELD;
    if (view->odd_epoch != 0 && view->odd_epoch != lease->view.odd_epoch) {
        AUTO_ARENA arena = arena_new();
        log_warning(
            "the lease has an impossible number of transitions, so somebody edited it: the number "
            "is ignored, and the holder takes the lease with the epoch after its own",
            "lease", lease->name, "leaseTransitions",
            arena_printf(arena, "%lld", (long long)view->odd_epoch), NULL);
    }
    note_life(lease, view);
    bool differs =
        view->state != lease->view.state || view->epoch != lease->view.epoch ||
        view->given_back != lease->view.given_back || view->led_epoch != lease->view.led_epoch ||
        view->granted != lease->view.granted || view->grant_initdb != lease->view.grant_initdb ||
        view->slot_ready != lease->view.slot_ready;
    bool same = strcmp(view->resource_version, lease->view.resource_version) == 0;
    int64_t read_ms = same ? lease->view.read_ms : clock_boot_ms();
    lease->view = *view;
    lease->view.read_ms = read_ms;
    if (view->state == LEASE_HELD && !held_before) {
        /* Maybe from an earlier container of this pod, and about to run out. */
        lease->heard_ms = clock_boot_ms();
        timer_arm(lease->renew, lease->call == NULL ? 0 : rest_ms(lease));
    }
    if (view->state != LEASE_HELD)
        event_del(lease->renew);
    if (differs)
        tell(lease);
}

/* resourceVersions of one object grow: what the watch delivers late must not undo what a write's
 * own answer has told already, nor the other way round. A list starts afresh: the server's history
 * may be another one. */
static bool is_stale(const struct lease *lease, const struct lease_view *view)
{
    return !lease->listing && strtoull(view->resource_version, NULL, 10) <
                                  strtoull(lease->view.resource_version, NULL, 10);
}

static void on_upsert(void *arg, const cJSON *object)
{
    struct lease *lease = arg;
    struct lease_view view;
    lease_read(object, lease->instance, lease->pod_uid, &view);
    lease->seen = true;
    if (!is_stale(lease, &view))
        set_view(lease, &view);
}

static void set_absent(struct lease *lease)
{
    struct lease_view absent = {.state = LEASE_ABSENT};
    set_view(lease, &absent);
}

static void on_remove(void *arg, const cJSON *object)
{
    (void)object;
    set_absent(arg);
}

static void on_begin(void *arg)
{
    struct lease *lease = arg;
    lease->listing = true;
    lease->seen = false;
}

static void on_synced(void *arg)
{
    struct lease *lease = arg;
    lease->listing = false;
    if (!lease->seen)
        set_absent(lease);
}

static void on_trouble(void *arg, const struct error *err)
{
    struct lease *lease = arg;
    log_failure(err, "watching the lease", "lease", lease->name, NULL);
}

/* Short, so that a term has room for several attempts; what is refused is tried again by us, since
 * a pause that the server asks for may be longer than the term. */
static void ask(struct lease *lease, struct kube_request *request, kube_done done)
{
    AUTO_ARENA arena = arena_new();
    request->path = kube_path(arena, lease_kind(), lease->namespace, lease->name, NULL);
    request->timeout_ms = lease->seconds * 1000 / 6;
    request->urgent = true;
    request->apart = lease->unanswered;
    lease->sent_ms = clock_boot_ms();
    lease->call = kube_call_start(lease->kube, request, done, lease);
}

static void ended(struct lease *lease, const struct error *err)
{
    lease->call = NULL;
    lease->heard_ms = lease->sent_ms;
    lease->unanswered = err->class == ERR_TIMEOUT || err->class == ERR_TRANSPORT;
}

static int pause_ms(const struct lease *lease, const struct error *err)
{
    int least = lease->seconds * 1000 / 15, most = lease->seconds * 1000 / 6;
    int pause = least < RETRY_MS ? least : RETRY_MS;
    int asked = err->retry_after_ms < most ? err->retry_after_ms : most;
    return asked > pause ? asked : pause;
}

static void on_reread(void *arg, const cJSON *body, const struct error *err)
{
    struct lease *lease = arg;
    ended(lease, err);
    struct lease_view view;
    if (err->class == ERR_NOT_FOUND) {
        set_absent(lease);
    } else if (err->class == 0) {
        lease_read(body, lease->instance, lease->pod_uid, &view);
        set_view(lease, &view);
    }
    if (lease->view.state == LEASE_HELD)
        timer_arm(lease->renew, err->class == 0 ? 0 : pause_ms(lease, err));
    tell(lease);
}

static void reread(struct lease *lease)
{
    struct kube_request request = {.method = KUBE_GET};
    ask(lease, &request, on_reread);
}

/* The holder goes on while the API server is away: that alone is no reason to fail over. */
static void note_failure(struct lease *lease, const struct error *err)
{
    if (!lease->failing)
        log_failure(err, "the lease cannot be written; the holder continues in the meantime",
                    "lease", lease->name, NULL);
    lease->failing = true;
}

static void on_written(void *arg, const cJSON *body, const struct error *err)
{
    struct lease *lease = arg;
    ended(lease, err);
    if (err->class == ERR_CONFLICT || err->class == ERR_NOT_FOUND) {
        reread(lease);
        return;
    }
    lease->refused = err->class == ERR_FORBIDDEN || err->class == ERR_INVALID;
    if (err->class != 0) {
        note_failure(lease, err);
        timer_arm(lease->renew, pause_ms(lease, err));
        tell(lease);
        return;
    }
    if (lease->failing)
        log_info("the lease can be written again", "lease", lease->name, NULL);
    lease->failing = lease->taking = false;
    struct lease_view view;
    lease_read(body, lease->instance, lease->pod_uid, &view);
    if (!is_stale(lease, &view))
        set_view(lease, &view);
    if (lease->view.state == LEASE_HELD)
        timer_arm(lease->renew, lease->leaving ? 0
                                : lease->again ? bucket_wait_ms(&lease->bucket, clock_boot_ms())
                                               : rest_ms(lease));
    lease->again = false;
    tell(lease);
}

static void patch(struct lease *lease, const cJSON *body)
{
    struct kube_request request = {
        .method = KUBE_PATCH_MERGE, .query = "fieldManager=" AGENT_MANAGER, .body = body};
    bucket_spend(&lease->bucket);
    ask(lease, &request, on_written);
}

/* Of a lease that is held: a take is before the record. */
static void patch_held(struct lease *lease, struct arena *arena, cJSON *body)
{
    if (lead_is_untold(lease))
        lease_add_lead(arena, body, &(struct lead_report){lease->instance, lease->view.epoch});
    patch(lease, body);
}

static void renew(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct lease *lease = arg;
    lease->taking = false;
    if (lease->view.state != LEASE_HELD) {
        tell(lease); /* the pause after a failed attempt to take it is over */
        return;
    }
    if (lease->call != NULL) {
        lease->again = true;
        return;
    }
    AUTO_ARENA arena = arena_new();
    if (lease->leaving) {
        log_info("giving the lease back", "lease", lease->name, NULL);
        patch_held(lease, arena,
                   lease_give_back_body(arena, &lease->view, lease->instance, clock_wall_ms()));
        return;
    }
    cJSON *status = lease->handlers.status(lease->handlers.arg, arena, false);
    patch_held(lease, arena,
               lease_renew_body(arena, &lease->view, status, lease->seconds, clock_wall_ms()));
}

struct lease *lease_new(struct event_base *loop, struct kube *kube,
                        const struct lease_options *options, const struct lease_handlers *handlers)
{
    struct lease *lease = xcalloc(1, sizeof *lease);
    lease->kube = kube;
    lease->handlers = *handlers;
    lease->seconds = options->seconds;
    lease->bucket = (struct bucket){BURST, REFILL_MS, BURST, clock_boot_ms()};
    lease->takes = (struct bucket){TAKE_BURST, TAKE_REFILL_MS, TAKE_BURST, clock_boot_ms()};
    snprintf(lease->namespace, sizeof lease->namespace, "%s", options->namespace);
    snprintf(lease->name, sizeof lease->name, "%s", options->name);
    snprintf(lease->instance, sizeof lease->instance, "%s", options->instance);
    snprintf(lease->pod_uid, sizeof lease->pod_uid, "%s", options->pod_uid);
    snprintf(lease->identity, sizeof lease->identity, "%s/%s", lease->instance, lease->pod_uid);
    lease->renew = evtimer_new(loop, renew, lease);
    AUTO_ARENA arena = arena_new();
    struct kube_watch_options watch = {.kind = lease_kind(),
                                       .namespace = lease->namespace,
                                       .field_selector =
                                           arena_printf(arena, "metadata.name=%s", lease->name)};
    struct kube_watch_handlers watch_handlers = {.begin = on_begin,
                                                 .upsert = on_upsert,
                                                 .remove = on_remove,
                                                 .synced = on_synced,
                                                 .trouble = on_trouble};
    lease->watch = kube_watch_new(kube, &watch, &watch_handlers, lease);
    return lease;
}

void lease_free(struct lease *lease)
{
    if (lease == NULL)
        return;
    if (lease->call != NULL)
        kube_call_cancel(lease->call);
    kube_watch_free(lease->watch);
    event_free(lease->renew);
    free(lease);
}

const struct lease_view *lease_view(const struct lease *lease)
{
    return &lease->view;
}

void lease_set_seconds(struct lease *lease, int seconds)
{
    lease->seconds = seconds;
}

void lease_take(struct lease *lease, int64_t at_least)
{
    if (lease->call != NULL)
        return;
    lease->taking = true;
    int wait_ms = bucket_wait_ms(&lease->takes, clock_boot_ms());
    if (wait_ms > 0) {
        timer_arm(lease->renew, wait_ms); /* that asks again */
        return;
    }
    bucket_spend(&lease->takes);
    AUTO_ARENA arena = arena_new();
    int64_t epoch = (at_least > lease->view.epoch ? at_least : lease->view.epoch) + 1;
    log_info("taking the lease", "lease", lease->name, "epoch",
             arena_printf(arena, "%lld", (long long)epoch), NULL);
    cJSON *status = lease->handlers.status(lease->handlers.arg, arena, true);
    patch(lease, lease_take_body(arena, &lease->view, lease->identity, status, lease->seconds,
                                 epoch, clock_wall_ms()));
}

void lease_renew_now(struct lease *lease)
{
    if (lease->call != NULL) /* its end sets the timer anew */
        lease->again = true;
    else if (lease->view.state == LEASE_HELD)
        timer_arm(lease->renew, bucket_wait_ms(&lease->bucket, clock_boot_ms()));
}

void lease_set_recorded(struct lease *lease, int64_t epoch)
{
    if (epoch == lease->recorded)
        return;
    lease->recorded = epoch;
    if (lead_is_untold(lease))
        lease_renew_now(lease);
}

bool lease_give_back(struct lease *lease)
{
    if (lease->view.state != LEASE_HELD || lease->refused)
        return true;
    if (!lease->leaving && lease->call == NULL)
        timer_arm(lease->renew, 0);
    lease->leaving = true; /* a write under way is waited for: it could land after this one */
    return false;
}

int64_t lease_rests_at_ms(const struct lease *lease)
{
    int seconds = lease->view.seconds > lease->seconds ? lease->view.seconds : lease->seconds;
    return lease->unchanged_since_ms +
           (int64_t)(seconds > TERM_MAX_S ? TERM_MAX_S : seconds) * 1000;
}

bool lease_is_doubtful(const struct lease *lease)
{
    return lease->view.state == LEASE_HELD &&
           clock_boot_ms() - lease->heard_ms > (int64_t)lease->seconds * 1000;
}

int64_t lease_held_epoch(const struct lease *lease)
{
    return lease->held_epoch;
}

int64_t lease_seen_epoch(const struct lease *lease)
{
    return lease->seen_epoch;
}

bool lease_writing(const struct lease *lease)
{
    bool pauses = lease->view.state != LEASE_HELD || lease->taking;
    return lease->call != NULL || (pauses && evtimer_pending(lease->renew, NULL));
}
