#include "credentials/secret.h"

#include <stdarg.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/hash.h"

struct wiped {
    char *data;
    size_t length;
};

static void wipe(void *arg)
{
    struct wiped *wiped = arg;
    OPENSSL_cleanse(wiped->data, wiped->length);
}

void secret_wipe_later(struct arena *arena, char *data, size_t length)
{
    struct wiped *wiped = arena_alloc(arena, sizeof *wiped);
    *wiped = (struct wiped){data, length};
    arena_defer(arena, wipe, wiped);
}

static void wipe_members(cJSON *object)
{
    for (cJSON *item = object ? object->child : NULL; item; item = item->next)
        if (cJSON_IsString(item))
            OPENSSL_cleanse(item->valuestring, strlen(item->valuestring));
}

void credentials_wipe(cJSON *secret)
{
    wipe_members(json_get(secret, "data"));
    wipe_members(json_get(secret, "stringData"));
}

static void wipe_tree(void *tree)
{
    credentials_wipe(tree);
}

enum secret_owner secret_owner(const struct check *check, const cJSON *secret)
{
    if (secret == NULL)
        return SECRET_ABSENT;
    const cJSON *labels = json_get(secret, "metadata.labels");
    const cJSON *manager = cJSON_GetObjectItemCaseSensitive(labels, LABEL_MANAGED_BY);
    if (!cJSON_IsString(manager) || strcmp(manager->valuestring, LABEL_MANAGED_BY_VALUE) != 0)
        return SECRET_USERS;
    const cJSON *cluster = cJSON_GetObjectItemCaseSensitive(labels, LABEL_CLUSTER);
    bool ours = cJSON_IsString(cluster) && strcmp(cluster->valuestring, check->spec->name) == 0;
    return ours ? SECRET_OURS : SECRET_OTHERS;
}

static const char *data_of(const cJSON *secret, const char *key)
{
    const cJSON *item =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(secret, "data"), key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

struct secret_value secret_value(struct check *check, const cJSON *secret, const char *key)
{
    struct secret_value value = {0};
    const char *encoded = data_of(secret, key);
    if (encoded == NULL)
        return value;
    value.text = hash_unbase64(check->arena, encoded, &value.length);
    if (value.text != NULL)
        secret_wipe_later(check->arena, value.text, value.length);
    return value;
}

char *secret_printf(struct check *check, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(check->arena, format, args);
    va_end(args);
    secret_wipe_later(check->arena, text, strlen(text));
    return text;
}

bool secret_fault(struct check *check, const char *reason, const char *format, ...)
{
    struct seen_credentials *seen = &check->result.seen;
    seen->complete = false;
    if (*seen->reason != '\0')
        return false;
    va_list args;
    va_start(args, format);
    seen->reason = reason;
    seen->message = arena_vprintf(check->arena, format, args);
    va_end(args);
    return true;
}

void secret_unblock(struct check *check, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    check->result.seen.unblock = arena_vprintf(check->arena, format, args);
    va_end(args);
}

void secret_notice(struct check *check, const char *reason, const char *format, ...)
{
    struct seen_credentials *seen = &check->result.seen;
    if (*seen->notice_reason != '\0')
        return;
    va_list args;
    va_start(args, format);
    seen->notice_reason = reason;
    seen->notice = arena_vprintf(check->arena, format, args);
    va_end(args);
}

const char *secret_countdown(struct check *check, int64_t until_ms)
{
    const int64_t hours = (until_ms - check->now_ms) / 3600000;
    if (hours >= 48)
        return arena_printf(check->arena, "in %lld days", (long long)(hours + 1) / 24);
    if (hours >= 2)
        return arena_printf(check->arena, "in %lld hours", (long long)hours);
    return hours >= 1 ? "in one hour" : "within the hour";
}

void secret_due(struct check *check, int64_t at_ms)
{
    if (at_ms <= check->now_ms) /* or there would be no rest */
        return;
    if (check->result.next_ms == 0 || at_ms < check->result.next_ms)
        check->result.next_ms = at_ms;
}

static struct credentials_write *add_write(struct check *check)
{
    struct credentials_result *result = &check->result;
    result->writes = arena_room(check->arena, result->writes, result->write_count,
                                &check->write_room, sizeof *result->writes);
    return &result->writes[result->write_count++];
}

static void put_value(struct check *check, cJSON *data, const struct key_value *item)
{
    char *encoded = hash_base64(check->arena, item->value, strlen(item->value));
    secret_wipe_later(check->arena, encoded, strlen(encoded));
    json_set_str(data, item->key, encoded);
}

static bool value_is(struct check *check, const cJSON *secret, const struct key_value *item)
{
    struct secret_value value = secret_value(check, secret, item->key);
    return value.text && value.length == strlen(item->value) &&
           CRYPTO_memcmp(value.text, item->value, value.length) == 0;
}

static void put_labels(cJSON *metadata, const struct check *check)
{
    cJSON *labels = json_add_object(metadata, "labels");
    json_set_str(labels, LABEL_APP_NAME, "postgresql");
    json_set_str(labels, LABEL_MANAGED_BY, LABEL_MANAGED_BY_VALUE);
    json_set_str(labels, LABEL_CLUSTER, check->spec->name);
}

static void push_owner(cJSON *owners, const struct check *check)
{
    cJSON *owner = json_push_object(owners);
    json_set_str(owner, "apiVersion", API_VERSION);
    json_set_str(owner, "kind", API_KIND);
    json_set_str(owner, "name", check->spec->name);
    json_set_str(owner, "uid", check->spec->uid);
    json_set_bool(owner, "controller", true);
    json_set_bool(owner, "blockOwnerDeletion", true);
}

/* Whether the cluster object is among the owners as the intent wants it. A reference to an earlier
 * cluster object of the same name would have the garbage collector remove the Secret. */
static bool owners_fit(const struct check *check, const cJSON *secret, bool keep)
{
    size_t current = 0, earlier = 0;
    const cJSON *owner;
    cJSON_ArrayForEach (owner, json_get(secret, "metadata.ownerReferences")) {
        if (strcmp(json_str(owner, "kind", ""), API_KIND) != 0)
            continue;
        bool same = strcmp(json_str(owner, "uid", ""), check->spec->uid) == 0;
        current += same, earlier += !same;
    }
    return earlier == 0 && current == (keep ? 0u : 1u);
}

static void put_owners(cJSON *metadata, const struct check *check, const cJSON *secret, bool keep)
{
    cJSON *owners = json_add_array(metadata, "ownerReferences");
    const cJSON *owner;
    cJSON_ArrayForEach (owner, json_get(secret, "metadata.ownerReferences")) {
        if (strcmp(json_str(owner, "kind", ""), API_KIND) != 0)
            cJSON_AddItemToArray(owners, cJSON_Duplicate(owner, true));
    }
    if (!keep)
        push_owner(owners, check);
}

static cJSON *new_object(struct check *check)
{
    cJSON *object = json_object(check->arena);
    arena_defer(check->arena, wipe_tree, object);
    return object;
}

static bool annotation_is(const cJSON *secret, const struct key_value *item)
{
    const cJSON *present =
        cJSON_GetObjectItemCaseSensitive(json_get(secret, "metadata.annotations"), item->key);
    const char *text = cJSON_GetStringValue(present);
    return strcmp(text ? text : "", item->value) == 0;
}

static void put_annotation(cJSON *metadata, const struct key_value *item)
{
    cJSON *annotations = json_add_object(metadata, "annotations");
    if (*item->value != '\0')
        json_set_str(annotations, item->key, item->value);
    else
        cJSON_AddNullToObject(annotations, item->key);
}

/* An annotation with an empty value is one to take off: a new Secret has nothing to take off. */
static void create(struct check *check, const struct secret_intent *intent)
{
    cJSON *object = new_object(check);
    json_set_str(object, "apiVersion", "v1");
    json_set_str(object, "kind", "Secret");
    json_set_str(object, "type", intent->type);
    cJSON *metadata = json_add_object(object, "metadata");
    json_set_str(metadata, "name", intent->name);
    json_set_str(metadata, "namespace", check->spec->namespace);
    put_labels(metadata, check);
    for (size_t i = 0; i < intent->annotation_count; i++)
        if (*intent->annotations[i].value != '\0')
            put_annotation(metadata, &intent->annotations[i]);
    if (!intent->keep)
        push_owner(json_add_array(metadata, "ownerReferences"), check);
    cJSON *data = json_add_object(object, "data");
    for (size_t i = 0; i < intent->data_count; i++)
        put_value(check, data, &intent->data[i]);
    *add_write(check) = (struct credentials_write){.name = intent->name,
                                                   .create = true,
                                                   .wave = intent->wave,
                                                   .object = object,
                                                   .reason = "it does not exist"};
}

/* The patch carries uid and resourceVersion: it fails if somebody has written a newer password in
 * the meantime, or has made another Secret of that name. The reason of the data comes first,
 * because they are what people look for in the log. */
void secret_ensure(struct check *check, const cJSON *present, const struct secret_intent *intent)
{
    if (present == NULL) {
        create(check, intent);
        return;
    }
    cJSON *patch = new_object(check);
    const char *reason = NULL;
    for (size_t i = 0; i < intent->data_count; i++) {
        if (value_is(check, present, &intent->data[i]))
            continue;
        put_value(check, json_add_object(patch, "data"), &intent->data[i]);
        reason = intent->reason;
    }
    cJSON *metadata = json_add_object(patch, "metadata");
    for (size_t i = 0; i < intent->annotation_count; i++) {
        if (annotation_is(present, &intent->annotations[i]))
            continue;
        put_annotation(metadata, &intent->annotations[i]);
        reason = reason ? reason : "the progress of its CA's replacement is recorded";
    }
    if (!owners_fit(check, present, intent->keep)) {
        put_owners(metadata, check, present, intent->keep);
        reason = reason ? reason : "spec.storage.retain decides whether it outlives the cluster";
    }
    if (reason == NULL)
        return;
    json_set_str(metadata, "uid", json_str(present, "metadata.uid", NULL));
    json_set_str(metadata, "resourceVersion", json_str(present, "metadata.resourceVersion", NULL));
    *add_write(check) = (struct credentials_write){
        .name = intent->name, .wave = intent->wave, .object = patch, .reason = reason};
}
