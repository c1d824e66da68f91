/* The PostgresCluster objects: kept as compact JSON, because a pass decodes them anyway. */
#include "observe/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void signal_change(struct observe *observe, const struct cluster *cluster)
{
    if (observe->options.changed)
        observe->options.changed(observe->options.arg, cluster->namespace, cluster->name);
}

/* Everything but status and the server's bookkeeping. Labels and annotations are kept, too: people
 * ask for another pass by changing them. */
static char *essence(struct arena *scratch, const cJSON *object)
{
    static const char *const kept[] = {
        "name", "namespace", "uid", "generation", "labels", "annotations", "deletionTimestamp"};
    cJSON *copy = json_object(scratch);
    json_set_str(copy, "apiVersion", API_VERSION);
    json_set_str(copy, "kind", API_KIND);
    cJSON *metadata = json_add_object(copy, "metadata");
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        json_set_copy(metadata, kept[i],
                      cJSON_GetObjectItemCaseSensitive(json_get(object, "metadata"), kept[i]));
    cJSON *annotations = json_get(metadata, "annotations");
    cJSON_DeleteItemFromObjectCaseSensitive(annotations,
                                            "kubectl.kubernetes.io/last-applied-configuration");
    json_set_copy(copy, "spec", json_get(object, "spec"));
    return json_compact(scratch, copy);
}

static int64_t max_lag(const cJSON *object)
{
    int64_t bytes = syntax_postgres_bytes(json_str(object, "spec.replication.maxLag", "64MB"), 1);
    return bytes > 0 ? bytes : INT64_MAX;
}

void clusters_upsert(struct observe *observe, const struct feed *feed, const cJSON *object,
                     bool own)
{
    AUTO_ARENA scratch = arena_new();
    uint64_t version = strtoull(json_str(object, "metadata.resourceVersion", "0"), NULL, 10);
    /* The answer to a write of ours may arrive after the object's deletion. It must not bring the
     * cluster back, because the deletion would not be reported again. */
    struct cluster *cluster = cache_cluster(observe, json_str(object, "metadata.namespace", ""),
                                            json_str(object, "metadata.name", ""), !own);
    bool listed = feed && feed->listing;
    if (own && (cluster == NULL || cluster->uid == NULL ||
                strcmp(cluster->uid, json_str(object, "metadata.uid", "")) != 0))
        return;
    if (feed)
        cluster->epoch = feed->epoch;
    if (cluster->uid && !listed && version != 0 && cluster->version >= version)
        return;
    const char *text = essence(scratch, object);
    const cJSON *status = json_get(object, "status");
    const char *status_text = status ? json_compact(scratch, status) : NULL;
    bool same_status = status_text && cluster->status && strcmp(status_text, cluster->status) == 0;
    uint64_t digest = fields_digest(text, strlen(text), 0);
    bool changed = cluster->uid == NULL || digest != cluster->digest ||
                   (!same_status && (status_text || cluster->status));
    text_replace(&cluster->uid, json_str(object, "metadata.uid", ""));
    if (digest != cluster->digest)
        text_replace(&cluster->object, text);
    if (!same_status)
        text_replace(&cluster->status, status_text);
    cluster->version = version;
    cluster->digest = digest;
    cluster->max_lag_bytes = max_lag(object);
    if (changed && !own)
        signal_change(observe, cluster);
}

static void forget(struct observe *observe, struct cluster *cluster)
{
    text_replace(&cluster->uid, NULL);
    text_replace(&cluster->object, NULL);
    text_replace(&cluster->status, NULL);
    cluster->version = cluster->digest = 0;
    signal_change(observe, cluster);
    cache_drop_cluster_if_empty(observe, cluster);
}

void clusters_remove(struct observe *observe, const cJSON *object)
{
    struct cluster *cluster = cache_cluster(observe, json_str(object, "metadata.namespace", ""),
                                            json_str(object, "metadata.name", ""), false);
    if (cluster && cluster->uid && strcmp(cluster->uid, json_str(object, "metadata.uid", "")) == 0)
        forget(observe, cluster);
}

void clusters_swept(struct feed *feed)
{
    struct observe *observe = feed->observe;
    for (size_t i = 0; i < observe->cluster_buckets; i++)
        for (struct cluster *c = observe->clusters[i], *next; c; c = next) {
            next = c->next;
            if (c->uid && c->epoch != feed->epoch &&
                (!feed->namespace || strcmp(feed->namespace, c->namespace) == 0))
                forget(observe, c);
        }
    feed->listing = false;
}
