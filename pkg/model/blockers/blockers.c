#include "model/internal.h"

#include <stdarg.h>

#include "base/clock.h"

/* Since when this has been waited for, according to the current status. */
static int64_t waiting_since(const cJSON *list, const char *what, const char *reason,
                             int64_t now_ms)
{
    const cJSON *blocker;
    cJSON_ArrayForEach (blocker, list) {
        if (!text_same(json_str(blocker, "what", ""), what) ||
            !text_same(json_str(blocker, "reason", ""), reason))
            continue;
        int64_t since = clock_parse_rfc3339(json_str(blocker, "since", ""));
        return since >= 0 ? since : now_ms;
    }
    return now_ms;
}

/* Appends to one of the model's lists; `member` is the same list in status. */
static struct model_blocker *append(struct arena *arena, const struct model *model,
                                    const char *member, struct model_blocker **list, size_t *count,
                                    const char *what, const char *reason)
{
    const size_t size = sizeof **list;
    *list = arena_grow(arena, *list, *count * size, (*count + 1) * size);
    struct model_blocker *blocker = &(*list)[(*count)++];
    *blocker = (struct model_blocker){.what = what, .reason = reason, .message = "", .unblock = ""};
    blocker->since_ms =
        waiting_since(json_get(model->snapshot->status, member), what, reason, model->now_ms);
    return blocker;
}

struct model_blocker *model_blocker_add(struct arena *arena, struct model *model, const char *what,
                                        const char *reason)
{
    return append(arena, model, "waitingFor", &model->blockers, &model->blocker_count, what,
                  reason);
}

struct model_blocker *model_warning_add(struct arena *arena, struct model *model, const char *what,
                                        const char *reason)
{
    return append(arena, model, "warnings", &model->warnings, &model->warning_count, what, reason);
}

struct model_blocker *blocker_add(struct work *work, unsigned affects, const char *reason,
                                  const char *what_format, ...)
{
    va_list args;
    va_start(args, what_format);
    const char *what = arena_vprintf(work->arena, what_format, args);
    va_end(args);
    struct model_blocker *blocker = model_blocker_add(work->arena, work->model, what, reason);
    blocker->affects = affects;
    return blocker;
}

void blocker_say(struct work *work, struct model_blocker *blocker, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    blocker->message = arena_vprintf(work->arena, format, args);
    va_end(args);
}

void blocker_unblock(struct work *work, struct model_blocker *blocker, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    blocker->unblock = arena_vprintf(work->arena, format, args);
    va_end(args);
}

void blockers_are_about(struct work *work, size_t first, const struct model_instance *instance)
{
    for (size_t i = first; i < work->model->blocker_count; i++)
        work->model->blockers[i].instance = instance->name;
}

void blocker_fault(struct model_blocker *blocker, bool stalled)
{
    blocker->fault = true;
    blocker->stalled = stalled;
}

void blocker_unblock_by_instances(struct work *work, struct model_blocker *blocker, int least)
{
    const struct cluster_spec *spec = &work->snapshot->spec;
    blocker_unblock(work, blocker,
                    "set spec.instances to at least %d: kubectl -n %s scale pgc %s --replicas=%d",
                    least, text_or_empty(spec->namespace), text_or_empty(spec->name), least);
}

void blocker_unblock_by_spec(struct work *work, struct model_blocker *blocker, const char *what)
{
    const struct cluster_spec *spec = &work->snapshot->spec;
    blocker_unblock(work, blocker, "%s: kubectl -n %s edit pgc %s", what,
                    text_or_empty(spec->namespace), text_or_empty(spec->name));
}

static int rank(const struct model_blocker *blocker)
{
    return blocker->stalled ? 0 : blocker->fault ? 1 : 2;
}

void model_blockers_sort(struct model *model)
{
    for (size_t i = 1; i < model->blocker_count; i++)
        for (size_t j = i; j > 0 && rank(&model->blockers[j]) < rank(&model->blockers[j - 1]);
             j--) {
            struct model_blocker moved = model->blockers[j];
            model->blockers[j] = model->blockers[j - 1];
            model->blockers[j - 1] = moved;
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

/* The message also becomes that of a condition, which people read: the first SHOWN faults are
 * enough to begin with. */
static void invalid_blocker(struct work *work)
{
    enum { SHOWN = 20 };
    const struct spec_faults *faults = &work->snapshot->faults;
    struct model_blocker *blocker = blocker_add(work, 0, REASON_INVALID_SPEC, "the spec is valid");
    blocker_fault(blocker, true);
    const char *text = "";
    for (size_t i = 0; i < faults->count && i < SHOWN; i++)
        text = arena_printf(work->arena, "%s%s%s: %s", text, i ? "; " : "", faults->items[i].path,
                            faults->items[i].message);
    if (faults->count > SHOWN)
        text = arena_printf(work->arena, "%s; and %zu more", text, faults->count - SHOWN);
    blocker_say(work, blocker, "%s", text);
    blocker_unblock(
        work, blocker,
        "correct %s: kubectl -n %s edit pgc %s; until then nothing in the cluster changes",
        faults->count > 1                 ? "these fields"
        : is_plain(faults->items[0].path) ? faults->items[0].path
                                          : "this field",
        text_or_empty(work->snapshot->spec.namespace), text_or_empty(work->snapshot->spec.name));
}

static void credentials_blockers(struct work *work)
{
    const struct seen_credentials *credentials = &work->snapshot->credentials;
    const struct model_instance *primary = work->model->primary;
    if (!credentials->complete) {
        struct model_blocker *blocker = blocker_add(
            work, AFFECTS_CREDENTIALS,
            text_given(credentials->reason) ? credentials->reason : REASON_CREDENTIALS_INCOMPLETE,
            "every Secret of the cluster is complete");
        blocker_say(work, blocker, "%s", text_or_empty(credentials->message));
        blocker->unblock = text_or_empty(credentials->unblock);
        if (text_given(credentials->reason)) /* without a reason they are only being created */
            blocker_fault(blocker, true);
        return;
    }
    if (credentials->certificate_expires_ms > 0 &&
        credentials->certificate_expires_ms <= work->model->now_ms) {
        struct model_blocker *blocker =
            blocker_add(work, AFFECTS_CREDENTIALS, REASON_CERTIFICATE_EXPIRED,
                        "the server certificate is valid");
        const char *name = text_or_empty(work->snapshot->spec.name);
        blocker_say(work, blocker, "the certificate in Secret '%s-server' expired at %s", name,
                    clock_rfc3339(work->arena, credentials->certificate_expires_ms));
        blocker_unblock(work, blocker, "kubectl -n %s delete secret %s-server; it is recreated",
                        text_or_empty(work->snapshot->spec.namespace), name);
        blocker_fault(blocker, false);
    }
    if (primary != NULL && primary->healthy &&
        !text_same(primary->seen->report.verifiers_hash, credentials->verifiers_hash)) {
        struct model_blocker *blocker =
            blocker_add(work, AFFECTS_CREDENTIALS, REASON_CREDENTIALS_PENDING,
                        "%s has the current passwords", primary->name);
        blocker_say(work, blocker, "its agent has not applied Secret '%s-verifiers' yet",
                    text_or_empty(work->snapshot->spec.name));
    }
}

/* Scaling down never removes the primary: spec.instances has to include it while it leads. */
static void surplus_blocker(struct work *work, const struct model_instance *instance)
{
    const struct cluster_spec *spec = &work->snapshot->spec;
    const struct seen_instance *seen = instance->seen;
    if (instance->primary) {
        struct model_blocker *blocker =
            blocker_add(work, 0, REASON_PRIMARY_ABOVE_INSTANCES,
                        "the primary is one of %d instances", spec->instances);
        blocker_say(work, blocker,
                    "%s is the primary, but spec.instances is %d; it is never removed",
                    instance->name, spec->instances);
        blocker_unblock_by_instances(work, blocker, seen->ordinal);
        blocker_fault(blocker, true);
    } else if (seen->set_there || seen->pod.there) {
        struct model_blocker *blocker =
            blocker_add(work, 0, REASON_SCALING_DOWN, "%s is removed", instance->name);
        if (instance->wanted)
            blocker_say(work, blocker,
                        "its volume would be deleted with it (spec.storage.retain is false); both "
                        "stay until the primary is healthy");
        else
            blocker_say(work, blocker, "spec.instances is %d", spec->instances);
    }
}

/* spec.instances of an invalid spec decides nothing: then no instance counts as one too many. */
void blockers_of_cluster(struct work *work)
{
    const struct cluster_spec *spec = &work->snapshot->spec;
    if (spec->deleting) {
        struct model_blocker *blocker =
            blocker_add(work, 0, REASON_DELETING, "the cluster is deleted");
        blocker_say(work, blocker,
                    spec->retain
                        ? "its volumes and credentials stay (spec.storage.retain)"
                        : "its volumes are deleted with it (spec.storage.retain is false)");
    }
    if (work->snapshot->namespace_terminating) {
        struct model_blocker *blocker =
            blocker_add(work, 0, REASON_NAMESPACE_TERMINATING, "the namespace is gone");
        blocker_say(work, blocker, "namespace '%s' is being deleted with everything in it",
                    text_or_empty(spec->namespace));
        blocker_fault(blocker, false);
    }
    if (work->snapshot->faults.count > 0)
        invalid_blocker(work);
    credentials_blockers(work);
    if (work->snapshot->faults.count == 0)
        for (size_t i = work->model->instance_count; i-- > 0;)
            if (work->model->instances[i].surplus) {
                size_t first = work->model->blocker_count;
                surplus_blocker(work, &work->model->instances[i]);
                blockers_are_about(work, first, &work->model->instances[i]);
            }
}
