/*
 * Does anything else lead Service -rw somewhere? It has no selector, and its one EndpointSlice is
 * written by the primary's agent. But every slice that bears the Service's name in a label counts,
 * and an Endpoints object of that name is mirrored into such slices: Kubernetes' own controllers
 * make and keep them once somebody has put a selector on the Service, even when it is gone again.
 *
 * They need not carry a label of ours, so that no watch of ours sees them, and a watch on all
 * slices of all Services would bring every other application's. They are asked for: two small
 * reads, as often as the Secrets' versions, and every second for a while after something was found.
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
    STRAYS_MAX = 32, /* in one pass; the next one, a moment later, finds the rest */
};

static const struct seen_object *service(const struct pass *pass)
{
    const struct snapshot *snapshot = &pass->snapshot;
    const char *name = name_child(pass->arena, snapshot->spec.name, "rw");
    for (size_t i = 0; i < snapshot->object_count; i++) {
        const struct seen_object *object = &snapshot->objects[i];
        if (text_same(object->kind, "Service") && text_same(object->name, name) &&
            text_same(object->owner_uid, snapshot->spec.uid))
            return object;
    }
    return NULL;
}

/* Without a Service of ours there is nothing to lead astray. */
int64_t routes_next_ms(const struct pass *pass)
{
    const struct known *known = pass->known;
    const struct snapshot *snapshot = &pass->snapshot;
    size_t clusters, records;
    if (snapshot->faults.count > 0 || snapshot->spec.deleting || snapshot->namespace_terminating ||
        service(pass) == NULL)
        return INT64_MAX;
    if (clock_boot_ms() < known->wary_ms)
        return known->routed_ms + WARY_PERIOD_MS;
    observe_count(pass->control->observe, &clusters, &records);
    return known->routed_ms + peek_period_ms(clusters, pass->control->options->resync_seconds);
}

bool routes_due(const struct pass *pass)
{
    const struct seen_object *object = service(pass);
    bool changed = object != NULL && (object->drifted || text_given(object->foreign));
    int64_t next_ms = routes_next_ms(pass);
    if (changed && next_ms != INT64_MAX)
        pass->known->wary_ms = clock_boot_ms() + WARY_MS;
    return next_ms != INT64_MAX && (changed || clock_boot_ms() >= next_ms);
}

static void add_stray(struct pass *pass, const char *api_version, const char *kind,
                      const cJSON *object)
{
    struct snapshot *snapshot = &pass->snapshot;
    const size_t size = sizeof *snapshot->strays;
    if (json_get(object, "metadata.deletionTimestamp") != NULL ||
        snapshot->stray_count >= STRAYS_MAX)
        return;
    snapshot->strays = arena_grow(pass->arena, snapshot->strays, snapshot->stray_count * size,
                                  (snapshot->stray_count + 1) * size);
    snapshot->strays[snapshot->stray_count++] = (struct seen_stray){
        .api_version = api_version,
        .kind = kind,
        .name = arena_strdup(pass->arena, json_str(object, "metadata.name", "")),
        .uid = arena_strdup(pass->arena, json_str(object, "metadata.uid", "")),
    };
}

static void end_read(struct pass *pass, const struct error *err)
{
    if (err->class < 0 && err->class != ERR_NOT_FOUND && pass->routes_err.class == 0) {
        pass->routes_err = *err;
        err_wrap(&pass->routes_err, "look for other objects that lead Service '%s-rw' elsewhere",
                 pass->key->name);
    }
    if (--pass->reads_open > 0)
        return;
    pass->known->routed_ms = clock_boot_ms();
    if (pass->snapshot.stray_count > 0)
        pass->known->wary_ms = clock_boot_ms() + WARY_MS;
    reconcile_once(pass);
}

static void on_slices(void *arg, const cJSON *body, const struct error *err)
{
    struct pass *pass = arg;
    const char *own = name_child(pass->arena, pass->key->name, "rw");
    const cJSON *item;
    pass->calls[0] = NULL;
    cJSON_ArrayForEach(item, json_get(body, "items"))
    {
        if (!text_same(json_str(item, "metadata.name", own), own))
            add_stray(pass, "discovery.k8s.io/v1", "EndpointSlice", item);
    }
    end_read(pass, err);
}

static void on_endpoints(void *arg, const cJSON *body, const struct error *err)
{
    struct pass *pass = arg;
    pass->calls[1] = NULL;
    if (err->class == 0)
        add_stray(pass, "v1", "Endpoints", body);
    end_read(pass, err);
}

void routes_start(struct pass *pass)
{
    struct kube *kube = pass->control->kube;
    const char *own = name_child(pass->arena, pass->key->name, "rw");
    const struct kube_request slices = {
        .method = KUBE_GET,
        .path = kube_path(pass->arena, kube_kind_find("discovery.k8s.io/v1", "EndpointSlice"),
                          pass->key->namespace, NULL, NULL),
        .query = arena_printf(pass->arena,
                              "labelSelector=kubernetes.io%%2Fservice-name%%3D%s&resourceVersion=0",
                              kube_escape(pass->arena, own)),
        .metadata_only = true};
    const struct kube_request endpoints = {.method = KUBE_GET,
                                           .path = kube_path(pass->arena,
                                                             kube_kind_find("v1", "Endpoints"),
                                                             pass->key->namespace, own, NULL),
                                           .metadata_only = true};
    pass->reads_open = 2;
    pass->calls[0] = kube_call_start(kube, &slices, on_slices, pass);
    pass->calls[1] = kube_call_start(kube, &endpoints, on_endpoints, pass);
}
