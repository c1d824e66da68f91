#include "kube/call.h"

#include <stdlib.h>
#include <string.h>

#include "kube/transfer.h"
#include "loop/pause.h"

enum { TRIES = 4 }; /* the first and three more after 429 */

struct kube_call {
    TAILQ_ENTRY(kube_call) link;
    struct kube *kube;
    struct arena *arena; /* owns the texts of the request */
    struct kube_transfer_request request;
    struct kube_transfer *transfer; /* NULL while it pauses, and once it ended */
    struct event *pause;
    int tries;
    bool ended; /* done is running: too late to cancel */
    kube_done done;
    void *arg;
};

#define AS_METADATA ";g=meta.k8s.io;v=v1,application/json"

/* A path below /api/v1 or /apis/group/version ends in the plural for a list, in a name for an
 * object; "/api/v1/namespaces/x" is an object and "/api/v1/namespaces/x/pods" a list. */
static bool is_list(const char *path)
{
    const char *parts[12];
    size_t count = 0;
    for (const char *p = path; p != NULL && count < 12; p = strchr(p + 1, '/'))
        parts[count++] = p + 1;
    size_t skip = strncmp(path, "/apis/", 6) == 0 ? 3 : 2;
    if (count > skip + 2 && strncmp(parts[skip], "namespaces/", 11) == 0)
        skip += 2;
    return count == skip + 1;
}

static const char *accept_of(const struct kube_request *request)
{
    if (!request->metadata_only)
        return "Accept: application/json";
    if (request->method == KUBE_GET && is_list(request->path))
        return "Accept: application/json;as=PartialObjectMetadataList" AS_METADATA;
    return "Accept: application/json;as=PartialObjectMetadata" AS_METADATA;
}

static void discard(struct kube_call *call)
{
    TAILQ_REMOVE(&call->kube->calls, call, link);
    kube_transfer_cancel(call->transfer);
    kube_timer_free(call->kube, call->pause);
    arena_free(call->arena);
    free(call);
}

void kube_call_cancel(struct kube_call *call)
{
    if (call != NULL && !call->ended)
        discard(call);
}

void kube_calls_free(struct kube *kube)
{
    struct kube_call *call;
    while ((call = TAILQ_FIRST(&kube->calls)) != NULL)
        discard(call);
}

static void deliver(struct kube_call *call, const cJSON *body, const struct error *err)
{
    call->ended = true;
    call->done(call->arg, body, err);
    discard(call);
}

static void parse_and_deliver(struct kube_call *call, const struct buffer *body)
{
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    cJSON *tree = NULL;
    if (json_parse(arena, buffer_text(body), body->length, &tree, &err) < 0) {
        err_wrap(&err, "the API server's answer to %s", call->request.path);
        err.class = ERR_INTERNAL;
    }
    deliver(call, tree, &err);
}

static void send_again(evutil_socket_t fd, short what, void *arg);

static bool may_repeat(const struct kube_call *call, int status, const struct error *err)
{
    return status == 429 && err->retry_after_ms > 0 && call->tries < TRIES &&
           !call->request.urgent && err->retry_after_ms <= call->kube->timing.retry_after_max_ms;
}

static void on_answer(void *arg, int status, const struct buffer *body, const struct error *err)
{
    struct kube_call *call = arg;
    call->transfer = NULL;
    if (may_repeat(call, status, err)) {
        if (call->pause == NULL)
            call->pause = evtimer_new(call->kube->loop, send_again, call);
        kube_timer_set(call->kube, call->pause,
                       pause_jittered_ms(err->retry_after_ms, err->retry_after_ms * INT64_C(5) / 4,
                                         arc4random()));
        return;
    }
    if (err->class < 0)
        deliver(call, NULL, err);
    else
        parse_and_deliver(call, body);
}

static void send_now(struct kube_call *call)
{
    call->tries++;
    call->transfer = kube_transfer_start(call->kube, &call->request);
}

static void send_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    send_now(arg);
}

struct kube_call *kube_call_start(struct kube *kube, const struct kube_request *request,
                                  kube_done done, void *arg)
{
    struct kube_call *call = xcalloc(1, sizeof *call);
    call->kube = kube;
    call->arena = arena_new();
    call->done = done;
    call->arg = arg;
    call->request = (struct kube_transfer_request){
        .method = request->method,
        .path = arena_strdup(call->arena, request->path),
        .query = request->query ? arena_strdup(call->arena, request->query) : NULL,
        .accept = accept_of(request),
        .body = request->body ? json_compact(call->arena, request->body) : NULL,
        .timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : kube->timing.call_ms,
        .urgent = request->urgent,
        .apart = request->apart,
        .done = on_answer,
        .arg = call,
    };
    TAILQ_INSERT_TAIL(&kube->calls, call, link);
    send_now(call);
    return call;
}

char *kube_apply_query(struct arena *arena, const char *manager, bool force)
{
    return arena_printf(arena, "fieldManager=%s%s", kube_escape(arena, manager),
                        force ? "&force=true" : "");
}

cJSON *kube_delete_options(struct arena *arena, const char *uid, int grace_seconds_or_minus_1)
{
    cJSON *options = json_object(arena);
    json_set_str(options, "apiVersion", "v1");
    json_set_str(options, "kind", "DeleteOptions");
    json_set_str(options, "propagationPolicy", "Background");
    if (grace_seconds_or_minus_1 >= 0)
        json_set_int(options, "gracePeriodSeconds", grace_seconds_or_minus_1);
    if (uid != NULL)
        json_set_str(json_add_object(options, "preconditions"), "uid", uid);
    return options;
}
