#include "member/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/log.h"
#include "loop/pause.h"
#include "member/lease.h"

enum { FIRST_PAUSE_MS = 200, LONGEST_PAUSE_MS = 5000 };

struct slice {
    struct kube *kube;
    struct event_base *loop;
    struct kube_watch *watch;
    struct kube_call *call;
    struct event *retry;
    void (*changed)(void *arg);
    void *arg;
    char namespace[256], name[256], ips[256], pod[256], pod_uid[64];
    char ip[64]; /* the one of them that the slice takes */
    enum slice_want want;
    int64_t epoch;       /* in whose name */
    struct arena *arena; /* of `seen` */
    cJSON *seen;         /* the slice as last seen; NULL when absent or unknown */
    int failures;        /* in a row */
    bool settled;
    bool outranked; /* as logged last */
};

bool slice_matches(const cJSON *object, enum slice_want want, const char *ip)
{
    const cJSON *endpoints = json_get(object, "endpoints");
    int count = cJSON_GetArraySize(endpoints);
    if (want != SLICE_SELF)
        return count == 0;
    const cJSON *only = cJSON_GetArrayItem(endpoints, 0);
    return count == 1 && cJSON_GetArraySize(json_get(only, "addresses")) == 1 &&
           strcmp(json_str(only, "addresses[0]", ""), ip) == 0 &&
           json_bool(only, "conditions.ready", true);
}

/* leaseTransitions is an int32 that must have room for the next one. */
int64_t slice_epoch(const cJSON *object)
{
    const char *text = json_str(object, "metadata.annotations[\"" ANN_EPOCH "\"]", "");
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 10 || text[digits] != '\0')
        return 0;
    int64_t epoch = strtoll(text, NULL, 10);
    return epoch < INT32_MAX ? epoch : 0;
}

const char *slice_address(struct arena *arena, const cJSON *object, const char *ips)
{
    bool want_ipv6 = strcmp(json_str(object, "addressType", "IPv4"), "IPv6") == 0;
    for (const char *at = ips; *at; at += *at == ',') {
        size_t length = strcspn(at, ",");
        if ((memchr(at, ':', length) != NULL) == want_ipv6)
            return arena_strndup(arena, at, length);
        at += length;
    }
    return "";
}

cJSON *slice_body(struct arena *arena, const cJSON *object, enum slice_want want, int64_t epoch,
                  const struct slice_options *options)
{
    cJSON *body = json_object(arena);
    cJSON *metadata = json_add_object(body, "metadata");
    json_set_str(metadata, "resourceVersion", json_str(object, "metadata.resourceVersion", NULL));
    json_set_str(json_add_object(metadata, "annotations"), ANN_EPOCH,
                 arena_printf(arena, "%lld", (long long)epoch));
    cJSON *endpoints = json_add_array(body, "endpoints");
    if (want != SLICE_SELF)
        return body;
    cJSON *self = json_push_object(endpoints);
    json_push_str(json_add_array(self, "addresses"), slice_address(arena, object, options->ips));
    cJSON *conditions = json_add_object(self, "conditions");
    json_set_bool(conditions, "ready", true);
    json_set_bool(conditions, "serving", true);
    json_set_bool(conditions, "terminating", false);
    cJSON *target = json_add_object(self, "targetRef");
    json_set_str(target, "kind", "Pod");
    json_set_str(target, "namespace", options->namespace);
    json_set_str(target, "name", options->pod);
    json_set_str(target, "uid", options->pod_uid);
    return body;
}

static uint64_t version_of(const cJSON *object)
{
    return strtoull(json_str(object, "metadata.resourceVersion", "0"), NULL, 10);
}

/* Only what decides is kept: the rest is memory that every agent would hold for nothing. */
static void see(struct slice *slice, const cJSON *object)
{
    arena_free(slice->arena);
    slice->arena = arena_new();
    slice->seen = NULL;
    if (object == NULL)
        return;
    snprintf(slice->ip, sizeof slice->ip, "%s", slice_address(slice->arena, object, slice->ips));
    if (slice->ip[0] == '\0' && slice->want == SLICE_SELF)
        log_error("this pod has no IP address of the family that the read-write endpoint uses; "
                  "configure the nodes so that pods get one",
                  "slice", slice->name, "wanted", json_str(object, "addressType", ""), "addresses",
                  slice->ips, NULL);
    slice->seen = json_object(slice->arena);
    json_set_str(slice->seen, "addressType", json_str(object, "addressType", ""));
    cJSON *metadata = json_add_object(slice->seen, "metadata");
    json_set_str(metadata, "resourceVersion", json_str(object, "metadata.resourceVersion", ""));
    json_set_copy(metadata, "annotations", json_get(object, "metadata.annotations"));
    json_set_copy(slice->seen, "endpoints", json_get(object, "endpoints"));
}

static void on_written(void *arg, const cJSON *body, const struct error *err)
{
    struct slice *slice = arg;
    slice->call = NULL;
    if (err->class == 0) {
        slice->failures = 0;
        /* The watch may have told what somebody wrote since. */
        if (version_of(body) > version_of(slice->seen))
            see(slice, body);
        slice->changed(slice->arg);
        return;
    }
    /* On a conflict the watch brings the newer one; the pause is for a watch that is late. */
    if (err->class != ERR_CONFLICT)
        log_failure(err, "the read-write endpoint cannot be written", "slice", slice->name, NULL);
    kube_timer_set(slice->kube, slice->retry,
                   pause_doubled_ms(FIRST_PAUSE_MS, LONGEST_PAUSE_MS, slice->failures++));
}

static void write_slice(struct slice *slice)
{
    AUTO_ARENA arena = arena_new();
    struct slice_options options = {slice->namespace, slice->name, slice->ips, slice->pod,
                                    slice->pod_uid};
    const struct kube_kind *kind = kube_kind_find("discovery.k8s.io/v1", "EndpointSlice");
    struct kube_request request = {
        .method = KUBE_PATCH_MERGE,
        .path = kube_path(arena, kind, slice->namespace, slice->name, NULL),
        .query = "fieldManager=" AGENT_MANAGER,
        .body = slice_body(arena, slice->seen, slice->want, slice->epoch, &options),
        .timeout_ms = 5000};
    log_info("pointing read-write traffic", "slice", slice->name, "to",
             slice->want == SLICE_SELF ? slice->ip : "none", NULL);
    slice->call = kube_call_start(slice->kube, &request, on_written, slice);
}

static bool is_outranked(struct slice *slice)
{
    int64_t theirs = slice_seen_epoch(slice);
    bool outranked = slice->want != SLICE_LEAVE && theirs > slice->epoch;
    if (outranked && !slice->outranked)
        log_warning("the read-write endpoint has a later epoch than this holder: it is left alone",
                    "slice", slice->name, NULL);
    slice->outranked = outranked;
    return outranked;
}

static void write_if_needed(struct slice *slice)
{
    bool outranked = is_outranked(slice);
    bool settled = slice->want == SLICE_LEAVE || outranked ||
                   (slice->seen != NULL && slice_epoch(slice->seen) == slice->epoch &&
                    slice_matches(slice->seen, slice->want, slice->ip));
    bool was_settled = slice->settled;
    slice->settled = settled;
    bool possible = slice->want != SLICE_SELF || slice->ip[0] != '\0';
    if (!settled && possible && slice->seen != NULL && slice->call == NULL &&
        !kube_timer_is_set(slice->kube, slice->retry))
        write_slice(slice);
    if (settled != was_settled)
        slice->changed(slice->arg);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct slice *slice = arg;
    slice->changed(slice->arg);
}

static void on_upsert(void *arg, const cJSON *object)
{
    struct slice *slice = arg;
    see(slice, object);
    slice->changed(slice->arg);
}

static void on_remove(void *arg, const cJSON *object)
{
    (void)object;
    struct slice *slice = arg;
    see(slice, NULL); /* the operator makes it again, and the watch will tell */
    slice->changed(slice->arg);
}

static void on_trouble(void *arg, const struct error *err)
{
    struct slice *slice = arg;
    log_failure(err, "the watch of the read-write endpoint failed", "slice", slice->name, NULL);
}

struct slice *slice_new(struct event_base *loop, struct kube *kube,
                        const struct slice_options *options, void (*changed)(void *arg), void *arg)
{
    struct slice *slice = xcalloc(1, sizeof *slice);
    slice->loop = loop;
    slice->kube = kube;
    slice->changed = changed;
    slice->arg = arg;
    slice->settled = true;
    slice->retry = evtimer_new(loop, on_retry, slice);
    snprintf(slice->namespace, sizeof slice->namespace, "%s", options->namespace);
    snprintf(slice->name, sizeof slice->name, "%s", options->name);
    snprintf(slice->ips, sizeof slice->ips, "%s", options->ips);
    snprintf(slice->pod, sizeof slice->pod, "%s", options->pod);
    snprintf(slice->pod_uid, sizeof slice->pod_uid, "%s", options->pod_uid);
    return slice;
}

void slice_free(struct slice *slice)
{
    if (slice == NULL)
        return;
    if (slice->call != NULL)
        kube_call_cancel(slice->call);
    kube_watch_free(slice->watch);
    kube_timer_free(slice->kube, slice->retry);
    arena_free(slice->arena);
    free(slice);
}

static void begin_watch(struct slice *slice)
{
    AUTO_ARENA arena = arena_new();
    struct kube_watch_options options = {
        .kind = kube_kind_find("discovery.k8s.io/v1", "EndpointSlice"),
        .namespace = slice->namespace,
        .field_selector = arena_printf(arena, "metadata.name=%s", slice->name)};
    struct kube_watch_handlers handlers = {
        .upsert = on_upsert, .remove = on_remove, .trouble = on_trouble};
    slice->watch = kube_watch_new(slice->kube, &options, &handlers, slice);
}

void slice_set(struct slice *slice, enum slice_want want, int64_t epoch)
{
    slice->want = want;
    slice->epoch = epoch;
    if (slice->watch == NULL && want != SLICE_LEAVE)
        begin_watch(slice);
    write_if_needed(slice);
}

int64_t slice_seen_epoch(const struct slice *slice)
{
    int64_t epoch = slice->seen != NULL ? slice_epoch(slice->seen) : 0;
    return epoch <= LEASE_EPOCH_MAX ? epoch : 0;
}

bool slice_settled(const struct slice *slice)
{
    return slice->settled;
}
