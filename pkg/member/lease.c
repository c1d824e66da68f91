#include "member/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "api/reports.h"
#include "base/clock.h"
#include "base/log.h"
#include "lease/object.h"

/* The maximum of spec.failover.leaseSeconds: no text makes a pod wait longer. */
enum { TERM_MAX_MS = 120 * 1000 };

struct lease {
    struct kube *kube;
    struct kube_watch *watch;
    struct kube_call *call;
    struct event *timer;
    struct lease_handlers handlers;
    char namespace[256], name[256], instance[64], identity[128];
    struct lease_engine engine;
    struct lease_view view;
    int64_t recorded;   /* see member_lease_set_recorded() */
    bool listing, seen; /* between begin and synced; and whether it came up in the list */
    bool failing;       /* renewals fail: said once */
};

static const struct kube_kind *lease_kind(void)
{
    return kube_kind_find("coordination.k8s.io/v1", "Lease");
}

static void copy_instance(char *ret_instance, size_t size, const char *identity)
{
    snprintf(ret_instance, size, "%.*s", (int)strcspn(identity, "/"), identity);
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

void member_lease_read(const cJSON *object, const char *identity, struct lease_view *ret_view)
{
    AUTO_ARENA arena = arena_new();
    struct lease_view view = {0};
    struct bootstrap_grant grant = {0};
    struct error ignored; /* an annotation that cannot be read grants nothing */
    char instance[sizeof view.holder];
    const char *grant_text = json_str(object, "metadata.annotations[\"" ANN_BOOTSTRAP "\"]", NULL);
    lease_object_read(object, &view.object, &view.odd_epoch);
    copy_instance(instance, sizeof instance, identity);
    copy_instance(view.holder, sizeof view.holder, view.object.holder);
    view.epoch = view.object.epoch;
    view.state = lease_state_of(&view.object, identity);
    view.given_back = view.state == LEASE_MINE && lease_is_given_back(&view.object);
    if (grant_text != NULL && report_grant_decode(arena, grant_text, &grant, &ignored) == 0 &&
        strcmp(grant.instance, instance) == 0) {
        view.granted = true;
        view.grant_initdb = grant.initdb;
    }
    read_status(object, instance, &view);
    read_lead(object, instance, &view);
    *ret_view = view;
}

cJSON *member_lease_take_body(struct arena *arena, const struct lease_view *view,
                              const char *identity, const cJSON *status, int seconds, int64_t epoch,
                              int64_t wall_ms)
{
    cJSON *body = json_object(arena);
    cJSON *metadata = json_add_object(body, "metadata");
    json_set_str(metadata, "resourceVersion", view->object.version);
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

cJSON *member_lease_give_back_body(struct arena *arena, const struct lease_view *view,
                                   const char *instance, int64_t wall_ms)
{
    cJSON *body = json_object(arena);
    json_set_str(json_add_object(body, "metadata"), "resourceVersion", view->object.version);
    cJSON *spec = json_add_object(body, "spec");
    json_set_str(spec, "holderIdentity", instance);
    json_set_str(spec, "renewTime", clock_rfc3339_micro(arena, wall_ms));
    return body;
}

cJSON *member_lease_renew_body(struct arena *arena, const struct lease_view *view,
                               const cJSON *status, int seconds, int64_t wall_ms)
{
    cJSON *body = json_object(arena);
    cJSON *metadata = json_add_object(body, "metadata");
    json_set_str(metadata, "resourceVersion", view->object.version);
    if (status != NULL)
        json_set_str(json_add_object(metadata, "annotations"), ANN_PRIMARY_STATUS,
                     json_compact(arena, status));
    cJSON *spec = json_add_object(body, "spec");
    json_set_str(spec, "renewTime", clock_rfc3339_micro(arena, wall_ms));
    json_set_int(spec, "leaseDurationSeconds", seconds);
    return body;
}

void member_lease_add_lead(struct arena *arena, cJSON *body, const struct lead_report *lead)
{
    json_set_str(json_add_object(json_add_object(body, "metadata"), "annotations"), ANN_LEAD,
                 json_compact(arena, report_lead_encode(arena, lead)));
}

static bool lead_is_unannounced(const struct lease *lease)
{
    const struct lease_view *view = &lease->view;
    return view->state == LEASE_HELD && lease->recorded >= view->epoch &&
           view->led_epoch != view->epoch;
}

static void notify(struct lease *lease)
{
    lease->handlers.changed(lease->handlers.arg);
}

static void send_due(struct lease *lease);

/* What was seen by lease_engine_see() or lease_engine_answer(). */
static void set_view(struct lease *lease, const struct lease_view *view)
{
    if (view->odd_epoch != 0 && view->odd_epoch != lease->view.odd_epoch) {
        AUTO_ARENA arena = arena_new();
        log_warning(
            "the lease has an impossible number of transitions, so somebody edited it: the number "
            "is ignored, and the holder takes the lease with the epoch after its own",
            "lease", lease->name, "leaseTransitions",
            arena_printf(arena, "%lld", (long long)view->odd_epoch), NULL);
    }
    bool differs =
        view->state != lease->view.state || view->epoch != lease->view.epoch ||
        view->given_back != lease->view.given_back || view->led_epoch != lease->view.led_epoch ||
        view->granted != lease->view.granted || view->grant_initdb != lease->view.grant_initdb ||
        view->slot_ready != lease->view.slot_ready;
    bool same = strcmp(view->object.version, lease->view.object.version) == 0;
    int64_t read_ms = same ? lease->view.read_ms : kube_now_ms(lease->kube);
    lease->view = *view;
    lease->view.read_ms = read_ms;
    if (differs)
        notify(lease);
}

static void see(struct lease *lease, const struct lease_view *view)
{
    if (lease_engine_see(&lease->engine, view->state == LEASE_ABSENT ? NULL : &view->object,
                         lease->listing, kube_now_ms(lease->kube)))
        set_view(lease, view);
    send_due(lease);
}

static void on_upsert(void *arg, const cJSON *object)
{
    struct lease *lease = arg;
    struct lease_view view;
    member_lease_read(object, lease->identity, &view);
    lease->seen = true;
    see(lease, &view);
}

static void see_absent(struct lease *lease)
{
    see(lease, &(struct lease_view){.state = LEASE_ABSENT});
}

static void on_remove(void *arg, const cJSON *object)
{
    (void)object;
    see_absent(arg);
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
        see_absent(lease);
}

static void on_trouble(void *arg, const struct error *err)
{
    struct lease *lease = arg;
    log_failure(err, "the watch of the lease failed", "lease", lease->name, NULL);
}

/* The holder goes on while the API server is away: that alone is no reason to fail over. */
static void note_outcome(struct lease *lease, enum lease_action done, const struct error *err)
{
    if (done == LEASE_DO_READ || err->class == ERR_CONFLICT || err->class == ERR_NOT_FOUND)
        return;
    if (err->class != 0 && !lease->failing)
        log_failure(err, "the lease cannot be written; the holder continues in the meantime",
                    "lease", lease->name, NULL);
    if (err->class == 0 && lease->failing)
        log_info("the lease can be written again", "lease", lease->name, NULL);
    lease->failing = err->class != 0;
}

static void on_answer(void *arg, const cJSON *body, const struct error *err)
{
    struct lease *lease = arg;
    enum lease_action done = lease->engine.doing;
    enum lease_outcome outcome = lease_outcome_of(err);
    struct lease_view view = {.state = LEASE_ABSENT};
    lease->call = NULL;
    note_outcome(lease, done, err);
    if (outcome == LEASE_DONE)
        member_lease_read(body, lease->identity, &view);
    bool news = lease_engine_answer(&lease->engine, outcome, &view.object, err->retry_after_ms,
                                    kube_now_ms(lease->kube));
    if (news && (outcome == LEASE_DONE || (outcome == LEASE_MISSING && done == LEASE_DO_READ)))
        set_view(lease, &view);
    send_due(lease);
    notify(lease);
}

static void send_request(struct lease *lease, struct kube_request *request)
{
    AUTO_ARENA arena = arena_new();
    request->path = kube_path(arena, lease_kind(), lease->namespace, lease->name, NULL);
    request->timeout_ms = (int)lease_engine_timeout_ms(&lease->engine);
    request->urgent = true;
    request->apart = lease->engine.unanswered;
    lease->call = kube_call_start(lease->kube, request, on_answer, lease);
}

static cJSON *body_of(struct lease *lease, struct arena *arena, enum lease_action action)
{
    const struct lease_view *view = &lease->view;
    int64_t wall_ms = clock_wall_ms();
    if (action == LEASE_DO_GIVE_BACK) {
        log_info("giving the lease back", "lease", lease->name, NULL);
        return member_lease_give_back_body(arena, view, lease->instance, wall_ms);
    }
    cJSON *status = lease->handlers.status(lease->handlers.arg, arena, action == LEASE_DO_TAKE);
    int seconds = (int)(lease->engine.options.term_ms / 1000);
    if (action == LEASE_DO_RENEW)
        return member_lease_renew_body(arena, view, status, seconds, wall_ms);
    int64_t epoch = lease_engine_next_epoch(&lease->engine);
    log_info("taking the lease", "lease", lease->name, "epoch",
             arena_printf(arena, "%lld", (long long)epoch), NULL);
    return member_lease_take_body(arena, view, lease->identity, status, seconds, epoch, wall_ms);
}

static void do_write(struct lease *lease, enum lease_action action)
{
    AUTO_ARENA arena = arena_new();
    cJSON *body = body_of(lease, arena, action);
    if (action != LEASE_DO_TAKE && lead_is_unannounced(lease)) /* a take is before the record */
        member_lease_add_lead(arena, body,
                              &(struct lead_report){lease->instance, lease->view.epoch});
    send_request(lease, &(struct kube_request){.method = KUBE_PATCH_MERGE,
                                               .query = "fieldManager=" AGENT_MANAGER,
                                               .body = body});
}

/* Sends what is due, and sets the timer for what comes next. */
static void send_due(struct lease *lease)
{
    int64_t now_ms = kube_now_ms(lease->kube);
    enum lease_action action = lease_engine_next(&lease->engine, now_ms);
    if (action == LEASE_DO_READ)
        send_request(lease, &(struct kube_request){.method = KUBE_GET});
    else if (action != LEASE_DO_NOTHING)
        do_write(lease, action);
    int64_t due_ms = lease_engine_due_ms(&lease->engine);
    if (due_ms < 0)
        kube_timer_set(lease->kube, lease->timer, -1);
    else
        kube_timer_set(lease->kube, lease->timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct lease *lease = arg;
    send_due(lease);
    if (lease->view.state != LEASE_HELD)
        notify(lease); /* the pause after a failed attempt to take it is over */
}

struct lease *member_lease_new(struct event_base *loop, struct kube *kube,
                               const struct lease_options *options,
                               const struct lease_handlers *handlers)
{
    struct lease *lease = xcalloc(1, sizeof *lease);
    lease->kube = kube;
    lease->handlers = *handlers;
    snprintf(lease->namespace, sizeof lease->namespace, "%s", options->namespace);
    snprintf(lease->name, sizeof lease->name, "%s", options->name);
    snprintf(lease->instance, sizeof lease->instance, "%s", options->instance);
    snprintf(lease->identity, sizeof lease->identity, "%s/%s", lease->instance, options->pod_uid);
    struct lease_engine_options engine = {.identity = lease->identity,
                                          .term_ms = options->seconds * 1000,
                                          .term_max_ms = TERM_MAX_MS,
                                          .second_ms = 1000};
    lease_engine_init(&lease->engine, &engine, kube_now_ms(kube));
    lease->timer = evtimer_new(loop, on_timer, lease);
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

void member_lease_free(struct lease *lease)
{
    if (lease == NULL)
        return;
    if (lease->call != NULL)
        kube_call_cancel(lease->call);
    kube_watch_free(lease->watch);
    kube_timer_free(lease->kube, lease->timer);
    free(lease);
}

const struct lease_view *member_lease_view(const struct lease *lease)
{
    return &lease->view;
}

const struct lease_engine *member_lease_engine(const struct lease *lease)
{
    return &lease->engine;
}

void member_lease_set_seconds(struct lease *lease, int seconds)
{
    lease_engine_set_term(&lease->engine, seconds * 1000);
}

void member_lease_take(struct lease *lease, int64_t at_least)
{
    lease_engine_take(&lease->engine, at_least);
    send_due(lease);
}

void member_lease_renew_now(struct lease *lease)
{
    lease_engine_renew_soon(&lease->engine, kube_now_ms(lease->kube));
    send_due(lease);
}

void member_lease_set_recorded(struct lease *lease, int64_t epoch)
{
    if (epoch == lease->recorded)
        return;
    lease->recorded = epoch;
    if (lead_is_unannounced(lease))
        member_lease_renew_now(lease);
}

bool member_lease_give_back(struct lease *lease, int64_t last_epoch)
{
    lease_engine_leave(&lease->engine, last_epoch, kube_now_ms(lease->kube));
    send_due(lease);
    return lease_engine_has_left(&lease->engine);
}
