/* The watches, and what arrives through them. */
#include "observe/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define OURS LABEL_MANAGED_BY "=" LABEL_MANAGED_BY_VALUE

static void on_begin(void *arg)
{
    cache_begin(arg);
}

static void on_upsert(void *arg, const cJSON *object)
{
    struct feed *feed = arg;
    if (feed->kind < 0)
        clusters_upsert(feed->observe, feed, object, false);
    else
        cache_upsert(feed->observe, feed, feed->kind, object, false);
}

static void on_remove(void *arg, const cJSON *object)
{
    struct feed *feed = arg;
    if (feed->kind < 0)
        clusters_remove(feed->observe, object);
    else
        cache_remove(feed->observe, feed->kind, object);
}

/* Reported once all caches are complete: before, a snapshot could lack objects that exist. */
static void on_synced(void *arg)
{
    struct feed *feed = arg;
    struct observe *observe = feed->observe;
    if (feed->kind < 0)
        clusters_swept(feed);
    else
        cache_swept(feed);
    feed->synced = true;
    if (observe->synced)
        return;
    for (size_t i = 0; i < observe->feed_count; i++)
        if (!observe->feeds[i].synced)
            return;
    observe->synced = true;
    if (observe->options.synced)
        observe->options.synced(observe->options.arg);
}

static void on_trouble(void *arg, const struct error *err)
{
    struct feed *feed = arg;
    struct error told = *err;
    if (feed->namespace)
        err_wrap(&told, "namespace '%s'", feed->namespace);
    if (feed->observe->options.trouble)
        feed->observe->options.trouble(feed->observe->options.arg, &told);
}

static void start_watch(struct feed *feed)
{
    static const struct kube_watch_handlers handlers = {.begin = on_begin,
                                                        .upsert = on_upsert,
                                                        .remove = on_remove,
                                                        .synced = on_synced,
                                                        .trouble = on_trouble};
    AUTO_ARENA scratch = arena_new();
    struct kube_watch_options options = {.namespace = feed->namespace};
    if (feed->kind < 0) {
        options.kind = kube_kind_find(API_VERSION, API_KIND);
    } else {
        const struct seen_info *info = &seen_infos[feed->kind];
        const struct child_info *child = &api_child_infos[feed->kind];
        options.kind = kube_kind_find(child->api_version, child->kind);
        options.label_selector =
            arena_printf(scratch, "%s%s", OURS, info->selector ? info->selector : "");
        options.metadata_only = info->metadata_only;
    }
    feed->watch = kube_watch_new(feed->observe->options.kube, &options, &handlers, feed);
}

struct observe *observe_new(const struct observe_options *options)
{
    struct observe *observe = xcalloc(1, sizeof *observe);
    observe->options = *options;
    observe->patience_ms = DIAGNOSIS_DELAY_MS;
    observe->boot_ms = clock_boot_ms;
    size_t places = options->namespace_count ? options->namespace_count : 1;
    observe->feed_count = places * (CHILD_WATCHED + 1);
    observe->feeds = xcalloc(observe->feed_count, sizeof *observe->feeds);
    struct feed *feed = observe->feeds;
    for (size_t i = 0; i < places; i++)
        for (int kind = -1; kind < CHILD_WATCHED; kind++, feed++)
            *feed =
                (struct feed){.observe = observe,
                              .namespace = options->namespace_count ? options->namespaces[i] : NULL,
                              .kind = kind};
    for (size_t i = 0; options->kube && i < observe->feed_count; i++)
        start_watch(&observe->feeds[i]);
    return observe;
}

void observe_free(struct observe *observe)
{
    if (observe == NULL)
        return;
    for (size_t i = 0; i < observe->feed_count; i++)
        kube_watch_free(observe->feeds[i].watch);
    diagnosis_free(observe);
    pulse_free(observe);
    cache_free(observe);
    free(observe->feeds);
    free(observe);
}

bool observe_synced(const struct observe *observe)
{
    return observe->synced;
}

void observe_each(const struct observe *observe,
                  void (*each)(void *arg, const char *namespace, const char *name), void *arg)
{
    for (size_t i = 0; i < observe->cluster_buckets; i++)
        for (const struct cluster *c = observe->clusters[i]; c; c = c->next)
            if (c->uid)
                each(arg, c->namespace, c->name);
}

static void count_one(void *arg, const char *namespace, const char *name)
{
    (void)namespace, (void)name;
    ++*(size_t *)arg;
}

size_t observe_clusters(const struct observe *observe)
{
    size_t count = 0;
    observe_each(observe, count_one, &count);
    return count;
}

size_t observe_records(const struct observe *observe)
{
    return observe->record_count;
}

const char *observe_uid(struct observe *observe, const char *namespace, const char *name)
{
    const struct cluster *cluster = cache_cluster(observe, namespace, name, false);
    return cluster ? cluster->uid : NULL;
}

uint64_t observe_digest(struct observe *observe, const char *namespace, const char *name)
{
    const struct cluster *cluster = cache_cluster(observe, namespace, name, false);
    return cluster ? cluster->digest : 0;
}

void observe_written(struct observe *observe, const char *kind, const cJSON *object)
{
    int index = seen_kind_find(kind);
    if (index >= 0)
        cache_upsert(observe, NULL, index, object, true);
}

void observe_mended(struct observe *observe, const char *kind, const cJSON *object)
{
    int index = seen_kind_find(kind);
    struct record *record =
        index < 0 ? NULL
                  : cache_find(observe, index, json_str(object, "metadata.namespace", ""),
                               json_str(object, "metadata.name", ""));
    if (record == NULL)
        return;
    cache_upsert(observe, NULL, index, object, false);
    /* This process has not applied the object yet, so that the other manager's write was the only
     * evidence of drift. It stays drift until we apply. */
    if (record->applied_fields == 0)
        record->applied_fields = ~record->fields;
}

void observe_deleted(struct observe *observe, const char *kind, const char *namespace,
                     const char *name, const char *uid, const cJSON *object)
{
    int index = seen_kind_find(kind);
    struct record *record = index < 0 ? NULL : cache_find(observe, index, namespace, name);
    if (record == NULL || strcmp(record_field(record, FIELD_UID), uid) != 0)
        return;
    if (object != NULL && json_get(object, "metadata.deletionTimestamp") != NULL) {
        cache_upsert(observe, NULL, index, object, true);
        return;
    }
    struct cluster *cluster = record->cluster;
    cache_drop_record(observe, record);
    cache_drop_cluster_if_empty(observe, cluster);
}

void observe_status_written(struct observe *observe, const cJSON *object)
{
    clusters_upsert(observe, NULL, object, true);
}
