/* Two hash tables: records by kind, namespace and name, and clusters by namespace and name. */
#include "observe/internal.h"

#include <stdlib.h>
#include <string.h>

#include "api/foreign.h"

enum { FIRST_BUCKETS = 64 };

static size_t hash_of(const char *namespace, const char *name, int kind)
{
    uint64_t hash = fields_digest(namespace, strlen(namespace) + 1, (uint64_t)kind + 1);
    return (size_t)fields_digest(name, strlen(name), hash);
}

const char *record_field(const struct record *record, int field)
{
    const char *text = record->text;
    for (int i = 0; i < field; i++)
        text += strlen(text) + 1;
    return text;
}

/* If this process has not written the object, a foreign manager's later write is the only evidence
 * of drift: one apply then settles it. */
bool record_drifted(const struct record *record)
{
    return record->applied_fields ? record->fields != record->applied_fields
                                  : record->foreign_wrote_last;
}

/* -- clusters ---------------------------------------------------------------------------------- */

static void grow_clusters(struct observe *observe)
{
    size_t count = observe->cluster_buckets ? observe->cluster_buckets * 2 : FIRST_BUCKETS;
    struct cluster **buckets = xcalloc(count, sizeof *buckets);
    for (size_t i = 0; i < observe->cluster_buckets; i++)
        for (struct cluster *c = observe->clusters[i], *next; c; c = next) {
            struct cluster **bucket = &buckets[hash_of(c->namespace, c->name, -1) % count];
            next = c->next;
            c->next = *bucket;
            *bucket = c;
        }
    free(observe->clusters);
    observe->clusters = buckets;
    observe->cluster_buckets = count;
}

struct cluster *cache_cluster(struct observe *observe, const char *namespace, const char *name,
                              bool make)
{
    if (make && observe->cluster_count >= observe->cluster_buckets)
        grow_clusters(observe);
    if (observe->cluster_buckets == 0)
        return NULL;
    struct cluster **at =
        &observe->clusters[hash_of(namespace, name, -1) % observe->cluster_buckets];
    for (struct cluster *c = *at; c; c = c->next)
        if (strcmp(c->name, name) == 0 && strcmp(c->namespace, namespace) == 0)
            return c;
    if (!make)
        return NULL;
    struct cluster *cluster = xcalloc(1, sizeof *cluster);
    cluster->namespace = xstrdup(namespace);
    cluster->name = xstrdup(name);
    cluster->max_lag_bytes = INT64_MAX;
    cluster->next = *at;
    *at = cluster;
    observe->cluster_count++;
    return cluster;
}

static void free_cluster(struct cluster *cluster)
{
    diagnosis_forget(cluster);
    free(cluster->namespace);
    free(cluster->name);
    free(cluster->uid);
    free(cluster->object);
    free(cluster->status);
    free(cluster);
}

void cache_drop_cluster_if_empty(struct observe *observe, struct cluster *cluster)
{
    if (cluster->uid != NULL || cluster->records != NULL)
        return;
    size_t index = hash_of(cluster->namespace, cluster->name, -1) % observe->cluster_buckets;
    struct cluster **at = &observe->clusters[index];
    while (*at != cluster)
        at = &(*at)->next;
    *at = cluster->next;
    observe->cluster_count--;
    free_cluster(cluster);
}

/* -- records ----------------------------------------------------------------------------------- */

static size_t bucket_of(const struct observe *observe, const struct record *record)
{
    return hash_of(record->cluster->namespace, record->text, record->kind) %
           observe->record_buckets;
}

static void grow_records(struct observe *observe)
{
    size_t old = observe->record_buckets;
    struct record **buckets = observe->by_name;
    observe->record_buckets = old ? old * 2 : FIRST_BUCKETS;
    observe->by_name = xcalloc(observe->record_buckets, sizeof *observe->by_name);
    for (size_t i = 0; i < old; i++)
        for (struct record *r = buckets[i], *next; r; r = next) {
            struct record **bucket = &observe->by_name[bucket_of(observe, r)];
            next = r->next_by_name;
            r->next_by_name = *bucket;
            *bucket = r;
        }
    free(buckets);
}

struct record *cache_find(const struct observe *observe, int kind, const char *namespace,
                          const char *name)
{
    if (observe->record_buckets == 0)
        return NULL;
    size_t index = hash_of(namespace, name, kind) % observe->record_buckets;
    for (struct record *r = observe->by_name[index]; r; r = r->next_by_name)
        if (r->kind == kind && strcmp(r->text, name) == 0 &&
            strcmp(r->cluster->namespace, namespace) == 0)
            return r;
    return NULL;
}

static struct record *add_record(struct observe *observe, struct cluster *cluster, int kind,
                                 const char *name)
{
    if (observe->record_count >= observe->record_buckets)
        grow_records(observe);
    struct record *record = xcalloc(1, sizeof *record);
    record->kind = (uint8_t)kind;
    record->cluster = cluster;
    record->text = xstrdup(name); /* its first field; the rest comes with store() */
    record->next = cluster->records;
    cluster->records = record;
    struct record **bucket = &observe->by_name[bucket_of(observe, record)];
    record->next_by_name = *bucket;
    *bucket = record;
    observe->record_count++;
    return record;
}

static void unlink_record(struct observe *observe, struct record *record)
{
    struct record **at = &observe->by_name[bucket_of(observe, record)];
    while (*at != record)
        at = &(*at)->next_by_name;
    *at = record->next_by_name;
    at = &record->cluster->records;
    while (*at != record)
        at = &(*at)->next;
    *at = record->next;
    observe->record_count--;
}

void cache_drop_record(struct observe *observe, struct record *record)
{
    pulse_note(observe, NULL, record, NULL);
    unlink_record(observe, record);
    free(record->text);
    free(record);
}

void cache_free(struct observe *observe)
{
    for (size_t i = 0; i < observe->cluster_buckets; i++)
        for (struct cluster *c = observe->clusters[i], *next; c; c = next) {
            next = c->next;
            while (c->records)
                cache_drop_record(observe, c->records);
            free_cluster(c);
        }
    free(observe->clusters);
    free(observe->by_name);
}

/* -- what the API says ------------------------------------------------------------------------- */

static void signal_change(struct observe *observe, const struct cluster *cluster)
{
    if (observe->options.changed)
        observe->options.changed(observe->options.arg, cluster->namespace, cluster->name);
}

static const char *controller_uid(const cJSON *object)
{
    const cJSON *owner;
    cJSON_ArrayForEach (owner, json_get(object, "metadata.ownerReferences")) {
        if (json_bool(owner, "controller", false))
            return json_str(owner, "uid", "");
    }
    return "";
}

static void take_fields(const cJSON *object, int kind, const struct cluster *cluster,
                        struct fields *fields)
{
    const cJSON *annotations = json_get(object, "metadata.annotations");
    const cJSON *applied = cJSON_GetObjectItemCaseSensitive(annotations, ANN_APPLIED);
    fields->text[FIELD_NAME] = json_str(object, "metadata.name", "");
    fields->text[FIELD_UID] = json_str(object, "metadata.uid", "");
    fields->text[FIELD_OWNER] = controller_uid(object);
    fields->text[FIELD_APPLIED] = cJSON_IsString(applied) ? applied->valuestring : "";
    char *foreign = api_foreign_fields(fields->scratch, api_child_infos[kind].kind, object);
    fields->text[FIELD_FOREIGN] = strlen(foreign) <= MESSAGE_MAX
                                      ? foreign
                                      : arena_strndup(fields->scratch, foreign, MESSAGE_MAX);
    fields->text[FIELD_FOREIGN_MANAGER] = api_foreign_manager(api_child_infos[kind].kind, object);
    fields->count = FIELD_COMMON;
    if (seen_infos[kind].take)
        seen_infos[kind].take(object, cluster, fields);
}

/* Packs the fields into the record; true when one of those that count has changed. */
static bool store(struct record *record, const struct fields *fields)
{
    size_t sizes[FIELDS_MAX], total = 0, quiet_at = 0;
    int quiet = seen_infos[record->kind].quiet;
    for (size_t i = 0; i < fields->count; i++) {
        if (quiet && i == (size_t)quiet)
            quiet_at = total;
        sizes[i] = strlen(fields->text[i]) + 1;
        total += sizes[i];
    }
    quiet_at = quiet ? quiet_at : total;
    char *text = xcalloc(total, 1), *out = text;
    for (size_t i = 0; i < fields->count; out += sizes[i++])
        memcpy(out, fields->text[i], sizes[i]);
    bool changed = record->quiet_at != quiet_at || memcmp(record->text, text, quiet_at) != 0;
    free(record->text);
    record->text = text;
    record->text_bytes = (uint32_t)total;
    record->quiet_at = (uint32_t)quiet_at;
    return changed;
}

static uint64_t version_of(const cJSON *object)
{
    return strtoull(json_str(object, "metadata.resourceVersion", "0"), NULL, 10);
}

static const char *cluster_label(const cJSON *object)
{
    const cJSON *labels = json_get(object, "metadata.labels");
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(labels, LABEL_CLUSTER);
    return cJSON_IsString(item) && *item->valuestring ? item->valuestring : NULL;
}

static void forget(struct observe *observe, struct record *record)
{
    struct cluster *cluster = record->cluster;
    cache_drop_record(observe, record);
    signal_change(observe, cluster);
    cache_drop_cluster_if_empty(observe, cluster);
}

/* resourceVersions are compared as numbers, which the API guarantees since Kubernetes 1.35 and kept
 * before. A list counts even with older versions (etcd may have been restored from a backup),
 * unless we wrote since it began. */
static bool is_old_news(const struct record *record, uint64_t version, const struct feed *feed)
{
    if (feed && feed->listing && record->epoch != feed->epoch)
        return record->version == version && version != 0;
    return record->version >= version && version != 0;
}

/* The record of this object, created if needed; NULL when the object is older than what is
 * known. */
static struct record *record_for(struct observe *observe, int kind, const cJSON *object,
                                 const struct feed *feed)
{
    const char *namespace = json_str(object, "metadata.namespace", "");
    const char *name = json_str(object, "metadata.name", "");
    const char *label = cluster_label(object);
    struct record *record = cache_find(observe, kind, namespace, name);
    if (record && is_old_news(record, version_of(object), feed)) {
        if (feed)
            record->epoch = feed->epoch;
        return NULL;
    }
    if (record && (label == NULL || strcmp(record->cluster->name, label) != 0)) {
        forget(observe, record);
        record = NULL;
    }
    if (label == NULL)
        return NULL;
    struct cluster *cluster = cache_cluster(observe, namespace, label, true);
    return record || cluster == NULL ? record : add_record(observe, cluster, kind, name);
}

static uint8_t epoch_of(const struct observe *observe, int kind, const char *namespace)
{
    for (size_t i = 0; i < observe->feed_count; i++) {
        const struct feed *feed = &observe->feeds[i];
        if (feed->kind == kind && (!feed->namespace || strcmp(feed->namespace, namespace) == 0))
            return feed->epoch;
    }
    return 0;
}

/* The answer to a write of ours shows which fields are ours now, even if it arrives late: a write
 * that changed nothing even has the version that is known already. */
static void note_applied(struct observe *observe, int kind, const cJSON *object)
{
    struct record *record = cache_find(observe, kind, json_str(object, "metadata.namespace", ""),
                                       json_str(object, "metadata.name", ""));
    bool foreign_wrote_last;
    if (record &&
        strcmp(record_field(record, FIELD_UID), json_str(object, "metadata.uid", "")) == 0)
        fields_owned(object, &record->applied_fields, &foreign_wrote_last);
}

static void refresh(struct record *record, const cJSON *object, const struct fields *fields)
{
    if (record->version != 0 &&
        strcmp(record_field(record, FIELD_UID), fields->text[FIELD_UID]) != 0)
        record->applied_fields = 0; /* another object of that name */
    record->version = version_of(object);
    record->deleting = json_get(object, "metadata.deletionTimestamp") != NULL;
    fields_owned(object, &record->fields, &record->foreign_wrote_last);
}

void cache_upsert(struct observe *observe, const struct feed *feed, int kind, const cJSON *object,
                  bool own)
{
    AUTO_ARENA scratch = arena_new();
    struct record *record = record_for(observe, kind, object, feed);
    if (record != NULL) {
        struct fields fields = {.scratch = scratch};
        take_fields(object, kind, record->cluster, &fields);
        pulse_note(observe, feed, record, &fields);
        bool drifted = record_drifted(record), deleting = record->deleting;
        refresh(record, object, &fields);
        record->epoch = feed ? feed->epoch : epoch_of(observe, kind, record->cluster->namespace);
        bool changed = store(record, &fields);
        if (own)
            record->applied_fields = record->fields;
        changed = changed || drifted != record_drifted(record) || deleting != record->deleting;
        if (changed) /* our own too: an answer may contain what others wrote meanwhile */
            signal_change(observe, record->cluster);
    } else if (own) {
        note_applied(observe, kind, object);
    }
}

void cache_remove(struct observe *observe, int kind, const cJSON *object)
{
    struct record *record = cache_find(observe, kind, json_str(object, "metadata.namespace", ""),
                                       json_str(object, "metadata.name", ""));
    if (record &&
        strcmp(record_field(record, FIELD_UID), json_str(object, "metadata.uid", "")) == 0 &&
        record->version <= version_of(object))
        forget(observe, record);
}

/* -- lists ------------------------------------------------------------------------------------- */

void cache_begin(struct feed *feed)
{
    feed->listing = true;
    feed->epoch++;
}

void cache_swept(struct feed *feed)
{
    struct observe *observe = feed->observe;
    struct record **gone = NULL;
    size_t count = 0;
    for (size_t i = 0; i < observe->record_buckets; i++)
        for (struct record *r = observe->by_name[i]; r; r = r->next_by_name) {
            if (r->kind != feed->kind || r->epoch == feed->epoch ||
                (feed->namespace && strcmp(feed->namespace, r->cluster->namespace) != 0))
                continue;
            gone = xrealloc(gone, (count + 1) * sizeof *gone);
            gone[count++] = r;
        }
    for (size_t i = 0; i < count; i++)
        forget(observe, gone[i]);
    free(gone);
    feed->listing = false;
}
