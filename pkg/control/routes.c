/*
 * Strays: does another object lead a Service of ours elsewhere? -rw has no selector, and the
 * primary's agent writes its one EndpointSlice. But Kubernetes uses every slice whose label has the
 * Service's name, and mirrors an Endpoints object of that name into such slices. Its own
 * controllers create and keep them once someone has put a selector on the Service, even after the
 * selector is gone. The slices of the other Services are created by Kubernetes from their
 * selectors, and are labelled as managed by its controller, which corrects them if someone changes
 * them.
 *
 * A stray need not have a label of ours, so that our watches do not see it, and a watch on the
 * slices of all Services would bring those of every other application. Two small requests look for
 * strays as often as recheck.c looks at the Secrets, and every second for a while after one was
 * found. Anyone who may create slices decides how many there are and how large: each request asks
 * for so few that the answer stays small.
 */
#include "control/internal.h"

#include <limits.h>
#include <string.h>

#include "api/names.h"
#include "base/clock.h"
#include "base/text.h"

enum {
    WARY_MS = 15000,
    WARY_PERIOD_MS = 1000,
    STRAYS_MAX = 32, /* in one pass; the next one, soon after, finds the rest */
    HELD_MAX = 8,    /* of those that are already being deleted, which are only reported */
    PAGE = 8,
    PAGES_MAX = 32, /* in one pass */
};

static const struct seen_object *service(const struct pass *pass)
{
    const struct snapshot *snapshot = &pass->snapshot;
    const char *name = name_child(pass->arena, snapshot->spec.name, "rw");
    const struct seen_object *object =
        snapshot_object(snapshot, api_child_infos[CHILD_SERVICE].kind, name);
    return object != NULL && text_same(object->owner_uid, snapshot->spec.uid) ? object : NULL;
}

/* Without a Service of ours there can be no strays. */
int64_t routes_next_ms(const struct pass *pass)
{
    const struct history *history = pass->history;
    const struct snapshot *snapshot = &pass->snapshot;
    if (snapshot->faults.count > 0 || snapshot->spec.deleting || snapshot->namespace_terminating ||
        service(pass) == NULL)
        return INT64_MAX;
    if (clock_boot_ms() < history->routes_often_until_ms)
        return history->routed_ms + WARY_PERIOD_MS;
    return history->routed_ms + recheck_period_ms(observe_clusters(pass->control->observe),
                                                  pass->control->options->resync_seconds);
}

bool routes_due(const struct pass *pass)
{
    const struct seen_object *object = service(pass);
    bool changed = object != NULL && (object->drifted || text_given(object->foreign));
    int64_t next_ms = routes_next_ms(pass);
    if (changed && next_ms != INT64_MAX)
        pass->history->routes_often_until_ms = clock_boot_ms() + WARY_MS;
    return next_ms != INT64_MAX && (changed || clock_boot_ms() >= next_ms);
}

static size_t count_strays(const struct snapshot *snapshot, bool deleting)
{
    size_t count = 0;
    for (size_t i = 0; i < snapshot->stray_count; i++)
        count += snapshot->strays[i].deleting == deleting;
    return count;
}

/* One that is being deleted counts only if a finalizer holds it, and has a limit of its own: such
 * objects must not crowd out those that can be deleted. */
static void add_stray(struct pass *pass, const char *api_version, const char *kind,
                      const char *service, const cJSON *object)
{
    struct snapshot *snapshot = &pass->snapshot;
    const size_t size = sizeof *snapshot->strays;
    bool deleting = json_get(object, "metadata.deletionTimestamp") != NULL;
    bool held = cJSON_GetArraySize(json_get(object, "metadata.finalizers")) > 0;
    if (deleting && !held)
        return; /* it will be gone soon */
    if (count_strays(snapshot, deleting) >= (deleting ? HELD_MAX : STRAYS_MAX)) {
        snapshot->strays_more = true;
        return;
    }
    snapshot->strays = arena_grow(pass->arena, snapshot->strays, snapshot->stray_count * size,
                                  (snapshot->stray_count + 1) * size);
    snapshot->strays[snapshot->stray_count++] = (struct seen_stray){
        .api_version = api_version,
        .kind = kind,
        .name = arena_strdup(pass->arena, json_str(object, "metadata.name", "")),
        .uid = arena_strdup(pass->arena, json_str(object, "metadata.uid", "")),
        .service = service,
        .deleting = deleting,
    };
}

static void end_read(struct pass *pass, const struct error *err)
{
    if (err->class < 0 && err->class != ERR_NOT_FOUND && pass->routes_err.class == 0) {
        pass->routes_err = *err;
        err_wrap(&pass->routes_err,
                 "look for other objects that lead the Services of '%s' elsewhere",
                 pass->key->name);
    }
    if (--pass->reads_open > 0)
        return;
    pass->history->routed_ms = clock_boot_ms();
    if (count_strays(&pass->snapshot, false) > 0)
        pass->history->routes_often_until_ms = clock_boot_ms() + WARY_MS;
    reconcile_once(pass);
}

/* The suffix of the Service that the slice leads elsewhere; NULL when the slice is as it should
 * be. */
static const char *astray(const struct pass *pass, const cJSON *slice)
{
    const char *service = json_str(slice, "metadata.labels[\"kubernetes.io/service-name\"]", "");
    const char *keeper =
        json_str(slice, "metadata.labels[\"endpointslice.kubernetes.io/managed-by\"]", "");
    for (size_t i = 0; i < SERVICES; i++) {
        const char *name = name_child(pass->arena, pass->key->name, name_services[i]);
        if (!text_same(service, name))
            continue;
        bool right = i == 0 ? text_same(json_str(slice, "metadata.name", name), name)
                            : text_same(keeper, "endpointslice-controller.k8s.io");
        return right ? NULL : name_services[i];
    }
    return NULL;
}

static void ask_for_slices(struct pass *pass, const char *after);

/* Stops after enough strays or pages: others decide how many slices there are. */
static void on_slices(void *arg, const cJSON *body, const struct error *err)
{
    struct pass *pass = arg;
    const char *after = json_str(body, "metadata.continue", "");
    const cJSON *item;
    pass->calls[0] = NULL;
    cJSON_ArrayForEach (item, json_get(body, "items")) {
        const char *service = astray(pass, item);
        if (service != NULL)
            add_stray(pass, "discovery.k8s.io/v1", "EndpointSlice", service, item);
    }
    bool full = count_strays(&pass->snapshot, false) >= STRAYS_MAX;
    if (*after != '\0' && !full && pass->slice_pages < PAGES_MAX) {
        ask_for_slices(pass, after);
        return;
    }
    pass->snapshot.strays_more = pass->snapshot.strays_more || *after != '\0';
    end_read(pass, err);
}

/* Not with resourceVersion=0: a server that answers from its watch cache then ignores the limit. */
static void ask_for_slices(struct pass *pass, const char *after)
{
    struct arena *arena = pass->arena;
    const char *names = name_child(arena, pass->key->name, name_services[0]);
    for (size_t i = 1; i < SERVICES; i++)
        names = arena_printf(arena, "%s,%s", names,
                             name_child(arena, pass->key->name, name_services[i]));
    const char *selector = arena_printf(arena, "kubernetes.io/service-name in (%s)", names);
    const struct kube_request slices = {
        .method = KUBE_GET,
        .path = kube_path(arena, kube_kind_find("discovery.k8s.io/v1", "EndpointSlice"),
                          pass->key->namespace, NULL, NULL),
        .query = arena_printf(arena, "labelSelector=%s&limit=%d%s%s", kube_escape(arena, selector),
                              PAGE, *after ? "&continue=" : "", kube_escape(arena, after)),
        .metadata_only = true};
    pass->slice_pages++;
    pass->calls[0] = kube_call_start(pass->control->kube, &slices, on_slices, pass);
}

static void on_endpoints(void *arg, const cJSON *body, const struct error *err)
{
    struct pass *pass = arg;
    pass->calls[1] = NULL;
    if (err->class == 0)
        add_stray(pass, "v1", "Endpoints", "rw", body);
    end_read(pass, err);
}

void routes_start(struct pass *pass)
{
    struct kube *kube = pass->control->kube;
    const char *own = name_child(pass->arena, pass->key->name, "rw");
    const struct kube_request endpoints = {.method = KUBE_GET,
                                           .path = kube_path(pass->arena,
                                                             kube_kind_find("v1", "Endpoints"),
                                                             pass->key->namespace, own, NULL),
                                           .metadata_only = true};
    pass->reads_open = 2;
    ask_for_slices(pass, "");
    pass->calls[1] = kube_call_start(kube, &endpoints, on_endpoints, pass);
}
