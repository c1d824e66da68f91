#include "model/internal.h"

#include <stdarg.h>

#include "base/clock.h"

/* Since when this has been waited for, according to the current status. */
static int64_t waiting_since(const cJSON *list, const char *what, const char *reason,
                             int64_t now_ms)
{
    const cJSON *wait;
    cJSON_ArrayForEach (wait, list) {
        if (!text_same(json_str(wait, "what", ""), what) ||
            !text_same(json_str(wait, "reason", ""), reason))
            continue;
        int64_t since = clock_parse_rfc3339(json_str(wait, "since", ""));
        return since >= 0 ? since : now_ms;
    }
    return now_ms;
}

static struct model_wait *append(struct arena *arena, struct model_wait **list, size_t *count,
                                 const char *what, const char *reason)
{
    const size_t size = sizeof **list;
    *list = arena_grow(arena, *list, *count * size, (*count + 1) * size);
    struct model_wait *wait = &(*list)[(*count)++];
    *wait = (struct model_wait){.what = what, .reason = reason, .message = "", .unblock = ""};
    return wait;
}

struct model_wait *model_wait_add(struct arena *arena, struct model *model, const char *what,
                                  const char *reason)
{
    struct model_wait *wait = append(arena, &model->waits, &model->wait_count, what, reason);
    wait->since_ms =
        waiting_since(json_get(model->snapshot->status, "waitingFor"), what, reason, model->now_ms);
    return wait;
}

struct model_wait *model_warning_add(struct arena *arena, struct model *model, const char *what,
                                     const char *reason)
{
    struct model_wait *wait = append(arena, &model->warnings, &model->warning_count, what, reason);
    wait->since_ms =
        waiting_since(json_get(model->snapshot->status, "warnings"), what, reason, model->now_ms);
    return wait;
}

struct model_wait *wait_add(struct work *work, unsigned concerns, const char *reason,
                            const char *what_format, ...)
{
    va_list args;
    va_start(args, what_format);
    const char *what = arena_vprintf(work->arena, what_format, args);
    va_end(args);
    struct model_wait *wait = model_wait_add(work->arena, work->model, what, reason);
    wait->concerns = concerns;
    return wait;
}

void wait_say(struct work *work, struct model_wait *wait, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    wait->message = arena_vprintf(work->arena, format, args);
    va_end(args);
}

void wait_unblock(struct work *work, struct model_wait *wait, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    wait->unblock = arena_vprintf(work->arena, format, args);
    va_end(args);
}

void waits_are_about(struct work *work, size_t first, const struct model_instance *instance)
{
    for (size_t i = first; i < work->model->wait_count; i++)
        work->model->waits[i].instance = instance->name;
}

void wait_fault(struct model_wait *wait, bool stalled)
{
    wait->fault = true;
    wait->stalled = stalled;
}

void wait_unblock_by_instances(struct work *work, struct model_wait *wait, int least)
{
    const struct cluster_spec *spec = &work->snapshot->spec;
    wait_unblock(work, wait,
                 "set spec.instances to at least %d: kubectl -n %s scale pgc %s --replicas=%d",
                 least, text_or_empty(spec->namespace), text_or_empty(spec->name), least);
}

void wait_unblock_by_spec(struct work *work, struct model_wait *wait, const char *what)
{
    const struct cluster_spec *spec = &work->snapshot->spec;
    wait_unblock(work, wait, "%s: kubectl -n %s edit pgc %s", what, text_or_empty(spec->namespace),
                 text_or_empty(spec->name));
}

static int rank(const struct model_wait *wait)
{
    return wait->stalled ? 0 : wait->fault ? 1 : 2;
}

void model_waits_sort(struct model *model)
{
    for (size_t i = 1; i < model->wait_count; i++)
        for (size_t j = i; j > 0 && rank(&model->waits[j]) < rank(&model->waits[j - 1]); j--) {
            struct model_wait moved = model->waits[j];
            model->waits[j] = model->waits[j - 1];
            model->waits[j - 1] = moved;
        }
}

/* A path can contain keys of maps, which users choose, and people paste it together with the
 * command that follows. */
static bool is_plain(const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._[]";
    return path[strspn(path, plain)] == '\0';
}

static void invalid_wait(struct work *work)
{
    enum { SHOWN = 20 };
    const struct spec_faults *faults = &work->snapshot->faults;
    struct model_wait *wait = wait_add(work, 0, REASON_INVALID_SPEC, "the spec is valid");
    wait_fault(wait, true);
    const char *text = "";
    for (size_t i = 0; i < faults->count && i < SHOWN; i++)
        text = arena_printf(work->arena, "%s%s%s: %s", text, i ? "; " : "", faults->items[i].path,
                            faults->items[i].message);
    if (faults->count > SHOWN)
        text = arena_printf(work->arena, "%s; and %zu more", text, faults->count - SHOWN);
    wait_say(work, wait, "%s", text);
    wait_unblock(work, wait,
                 "correct %s: kubectl -n %s edit pgc %s; until then nothing in the cluster changes",
                 faults->count > 1                 ? "these fields"
                 : is_plain(faults->items[0].path) ? faults->items[0].path
                                                   : "this field",
                 text_or_empty(work->snapshot->spec.namespace),
                 text_or_empty(work->snapshot->spec.name));
}

static void credentials_waits(struct work *work)
{
    const struct seen_credentials *credentials = &work->snapshot->credentials;
    const struct model_instance *primary = work->model->primary;
    if (!credentials->complete) {
        struct model_wait *wait = wait_add(
            work, CONCERN_CREDENTIALS,
            text_given(credentials->reason) ? credentials->reason : REASON_CREDENTIALS_INCOMPLETE,
            "every Secret of the cluster is complete");
        wait_say(work, wait, "%s", text_or_empty(credentials->message));
        wait->unblock = text_or_empty(credentials->unblock);
        if (text_given(credentials->reason)) /* without a reason they are only being created */
            wait_fault(wait, true);
        return;
    }
    if (credentials->certificate_expires_ms > 0 &&
        credentials->certificate_expires_ms <= work->model->now_ms) {
        struct model_wait *wait = wait_add(work, CONCERN_CREDENTIALS, REASON_CERTIFICATE_EXPIRED,
                                           "the server certificate is valid");
        const char *name = text_or_empty(work->snapshot->spec.name);
        wait_say(work, wait, "the certificate in Secret '%s-server' expired at %s", name,
                 clock_rfc3339(work->arena, credentials->certificate_expires_ms));
        wait_unblock(work, wait, "kubectl -n %s delete secret %s-server; it is recreated",
                     text_or_empty(work->snapshot->spec.namespace), name);
        wait_fault(wait, false);
    }
    if (primary != NULL && primary->healthy &&
        !text_same(primary->seen->report.verifiers_hash, credentials->verifiers_hash)) {
        struct model_wait *wait = wait_add(work, CONCERN_CREDENTIALS, REASON_CREDENTIALS_PENDING,
                                           "%s has the current passwords", primary->name);
        wait_say(work, wait, "its agent has not applied Secret '%s-verifiers' yet",
                 text_or_empty(work->snapshot->spec.name));
    }
}

/* Scaling down never removes the primary: spec.instances has to include it while it leads. */
static void surplus_wait(struct work *work, const struct model_instance *instance)
{
    const struct cluster_spec *spec = &work->snapshot->spec;
    const struct seen_instance *seen = instance->seen;
    if (instance->primary) {
        struct model_wait *wait = wait_add(work, 0, REASON_PRIMARY_ABOVE_INSTANCES,
                                           "the primary is one of %d instances", spec->instances);
        wait_say(work, wait, "%s is the primary, but spec.instances is %d; it is never removed",
                 instance->name, spec->instances);
        wait_unblock_by_instances(work, wait, seen->ordinal);
        wait_fault(wait, true);
    } else if (seen->set_there || seen->pod.there) {
        struct model_wait *wait =
            wait_add(work, 0, REASON_SCALING_DOWN, "%s is removed", instance->name);
        if (instance->wanted)
            wait_say(work, wait,
                     "its volume would go with it (spec.storage.retain is false); it "
                     "stays until the primary is healthy");
        else
            wait_say(work, wait, "spec.instances is %d", spec->instances);
    }
}

void waits_of_cluster(struct work *work)
{
    const struct cluster_spec *spec = &work->snapshot->spec;
    if (spec->deleting) {
        struct model_wait *wait = wait_add(work, 0, REASON_DELETING, "the cluster is deleted");
        wait_say(work, wait,
                 spec->retain ? "its volumes and credentials stay (spec.storage.retain)"
                              : "its volumes go with it (spec.storage.retain is false)");
    }
    if (work->snapshot->namespace_terminating) {
        struct model_wait *wait =
            wait_add(work, 0, REASON_NAMESPACE_TERMINATING, "the namespace is gone");
        wait_say(work, wait, "namespace '%s' is being deleted with everything in it",
                 text_or_empty(spec->namespace));
        wait_fault(wait, false);
    }
    if (work->snapshot->faults.count > 0)
        invalid_wait(work);
    credentials_waits(work);
    if (work->snapshot->faults.count == 0)
        for (size_t i = work->model->instance_count; i-- > 0;)
            if (work->model->instances[i].surplus) {
                size_t first = work->model->wait_count;
                surplus_wait(work, &work->model->instances[i]);
                waits_are_about(work, first, &work->model->instances[i]);
            }
}
