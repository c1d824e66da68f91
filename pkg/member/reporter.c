#include "member/reporter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/bucket.h"
#include "loop/pause.h"

enum { BURST = 12, REFILL_MS = 1000, FIRST_PAUSE_MS = 500, LONGEST_PAUSE_MS = 10000 };
enum { HOLD_MS = 300 };

/* A write without an answer may be stored long after it was given up, and over a newer one: what
 * was written after it is written again when it may have arrived, and once more when an API server
 * has given it up, too (its own bound is 60 s). */
static const int confirm_after_ms[] = {5000, 65000};
enum { CONFIRMATIONS = sizeof confirm_after_ms / sizeof confirm_after_ms[0] };

struct reporter {
    struct kube *kube;
    struct kube_call *call;
    struct event *timer, *confirm;
    void (*settled)(void *arg);
    void *arg;
    char namespace[256], pod[256], pod_uid[64];
    char *wanted, *sent, *written; /* canonical bodies; NULL before the first */
    struct bucket bucket;
    int failures;                           /* in a row */
    int64_t paused_until_ms, held_since_ms; /* held_since_ms 0: nothing waits */
    bool hurry, failing, refused;
    bool uncertain;    /* a write was given up without an answer */
    int confirmations; /* still to come */
};

cJSON *reporter_body(struct arena *arena, const char *report, const char *role, const char *pod_uid)
{
    cJSON *body = json_object(arena);
    cJSON *metadata = json_add_object(body, "metadata");
    /* A precondition: a later pod of the same name is not ours to write to. */
    if (pod_uid[0] != '\0')
        json_set_str(metadata, "uid", pod_uid);
    json_set_str(json_add_object(metadata, "annotations"), ANN_REPORT, report);
    if (role[0] != '\0')
        json_set_str(json_add_object(metadata, "labels"), LABEL_ROLE, role);
    return body;
}

static void write_when_due(struct reporter *reporter);

static void plan_confirmation(struct reporter *reporter)
{
    if (reporter->uncertain)
        reporter->confirmations = CONFIRMATIONS;
    reporter->uncertain = false;
    if (reporter->confirmations == 0 || kube_timer_is_set(reporter->kube, reporter->confirm))
        return;
    kube_timer_set(reporter->kube, reporter->confirm,
                   confirm_after_ms[CONFIRMATIONS - reporter->confirmations--]);
}

static void on_confirm(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct reporter *reporter = arg;
    text_replace(&reporter->written, NULL);
    write_when_due(reporter);
}

/* A refusal (the pod is gone, or the right is) counts as settled, so that the end of the agent does
 * not wait for what cannot be written. Without an answer it may have been written or not: it is
 * written again. The log has one line for a row of failures. */
static void on_written(void *arg, const cJSON *body, const struct error *err)
{
    (void)body;
    struct reporter *reporter = arg;
    reporter->call = NULL;
    reporter->refused = err->class == ERR_FORBIDDEN || err->class == ERR_NOT_FOUND;
    reporter->uncertain |= err->class == ERR_TIMEOUT || err->class == ERR_TRANSPORT;
    if (err->class == 0) {
        reporter->failures = 0;
        reporter->failing = false;
        text_replace(&reporter->written, reporter->sent);
        plan_confirmation(reporter);
        write_when_due(reporter);
        if (reporter_settled(reporter))
            reporter->settled(reporter->arg);
        return;
    }
    if (!reporter->failing)
        log_failure(err, "the pod's report cannot be written", "pod", reporter->pod, NULL);
    reporter->failing = true;
    reporter->paused_until_ms =
        kube_now_ms(reporter->kube) +
        pause_doubled_ms(FIRST_PAUSE_MS, LONGEST_PAUSE_MS, reporter->failures++);
    write_when_due(reporter);
    if (reporter->refused)
        reporter->settled(reporter->arg);
}

static void patch(struct reporter *reporter)
{
    AUTO_ARENA arena = arena_new();
    cJSON *body;
    struct error err;
    if (json_parse(arena, reporter->wanted, strlen(reporter->wanted), &body, &err) < 0)
        return; /* cannot be: it is our own text */
    struct kube_request request = {.method = KUBE_PATCH_MERGE,
                                   .path = kube_path(arena, kube_kind_find("v1", "Pod"),
                                                     reporter->namespace, reporter->pod, "status"),
                                   .query = "fieldManager=" AGENT_MANAGER,
                                   .body = body,
                                   .timeout_ms = 5000};
    bucket_spend(&reporter->bucket);
    reporter->hurry = false;
    reporter->held_since_ms = 0;
    text_replace(&reporter->sent, reporter->wanted);
    reporter->call = kube_call_start(reporter->kube, &request, on_written, reporter);
}

static int wait_ms(struct reporter *reporter, int64_t now_ms)
{
    int64_t wait = bucket_wait_ms(&reporter->bucket, now_ms);
    int64_t pause = reporter->paused_until_ms - now_ms;
    int64_t hold = reporter->hurry ? 0 : reporter->held_since_ms + HOLD_MS - now_ms;
    wait = pause > wait ? pause : wait;
    return (int)(hold > wait ? hold : wait);
}

/* One call at a time, with the newest report: what came in between was never needed. */
static void write_when_due(struct reporter *reporter)
{
    int64_t now_ms = kube_now_ms(reporter->kube);
    if (reporter->wanted == NULL || reporter->call != NULL)
        return;
    if (text_same(reporter->wanted, reporter->written)) {
        kube_timer_set(reporter->kube, reporter->timer, -1);
        reporter->held_since_ms = 0;
        return;
    }
    if (reporter->held_since_ms == 0)
        reporter->held_since_ms = now_ms;
    int wait = wait_ms(reporter, now_ms);
    if (wait > 0)
        kube_timer_set(reporter->kube, reporter->timer, wait);
    else
        patch(reporter);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    write_when_due(arg);
}

struct reporter *reporter_new(struct event_base *loop, struct kube *kube,
                              const struct reporter_options *options, void (*settled)(void *arg),
                              void *arg)
{
    struct reporter *reporter = xcalloc(1, sizeof *reporter);
    reporter->kube = kube;
    reporter->settled = settled;
    reporter->arg = arg;
    reporter->bucket = (struct bucket){BURST, REFILL_MS, BURST, kube_now_ms(kube)};
    reporter->timer = evtimer_new(loop, on_timer, reporter);
    reporter->confirm = evtimer_new(loop, on_confirm, reporter);
    snprintf(reporter->namespace, sizeof reporter->namespace, "%s", options->namespace);
    snprintf(reporter->pod, sizeof reporter->pod, "%s", options->pod);
    snprintf(reporter->pod_uid, sizeof reporter->pod_uid, "%s", options->pod_uid);
    return reporter;
}

void reporter_free(struct reporter *reporter)
{
    if (reporter == NULL)
        return;
    if (reporter->call != NULL)
        kube_call_cancel(reporter->call);
    kube_timer_free(reporter->kube, reporter->timer);
    kube_timer_free(reporter->kube, reporter->confirm);
    free(reporter->wanted);
    free(reporter->sent);
    free(reporter->written);
    free(reporter);
}

void reporter_set(struct reporter *reporter, const char *report, const char *role, bool hurry)
{
    AUTO_ARENA arena = arena_new();
    const char *text = json_canonical(arena, reporter_body(arena, report, role, reporter->pod_uid));
    if (text_same(text, reporter->wanted))
        return;
    text_replace(&reporter->wanted, text);
    reporter->hurry = reporter->hurry || hurry;
    write_when_due(reporter);
}

bool reporter_settled(const struct reporter *reporter)
{
    return reporter->wanted == NULL || text_same(reporter->wanted, reporter->written);
}

bool reporter_refused(const struct reporter *reporter)
{
    return reporter->refused;
}
