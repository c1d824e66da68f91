/* PostgresCluster -> struct cluster_spec: defaults, and the rules that relate fields. */
#include "api/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/hash.h"
#include "spec/shape.h"

enum { MIB = 1024 * 1024, SMALLEST_VOLUME = 100 * MIB, WORD_MAX = 200 };

static const char *text_or(const cJSON *spec, const char *path, const char *fallback)
{
    const char *text = json_str(spec, path, NULL);
    return text && *text ? text : fallback;
}

/* The mapping there, or NULL when it is missing or of another type. */
static const cJSON *object_at(const cJSON *node, const char *path)
{
    const cJSON *object = json_get(node, path);
    return cJSON_IsObject(object) ? object : NULL;
}

/* "%d" in the pattern is the major version. */
static const char *default_image(struct arena *arena, const char *pattern, int version)
{
    const char *place = strstr(pattern, "%d");
    if (place == NULL)
        return arena_strdup(arena, pattern);
    return arena_printf(arena, "%.*s%d%s", (int)(place - pattern), pattern, version, place + 2);
}

static int64_t wal_volume_bytes(const struct cluster_spec *spec)
{
    return spec->wal_storage.size ? spec->wal_storage.size_bytes : spec->storage.size_bytes;
}

/* Half of the volume that holds pg_wal, so that a replica that stays away cannot fill it, and no
 * more than 4 GB. */
static const char *default_slot_wal(struct arena *arena, const struct cluster_spec *spec)
{
    int64_t megabytes = wal_volume_bytes(spec) / 2 / MIB;
    if (megabytes > 4096)
        megabytes = 4096;
    return arena_printf(arena, "%dMB", (int)megabytes);
}

static void decode_volume(struct arena *arena, const cJSON *spec, const char *field,
                          struct volume_spec *ret_volume)
{
    const char *size = json_str(spec, arena_printf(arena, "%s.size", field), NULL);
    const char *class = json_str(spec, arena_printf(arena, "%s.storageClass", field), NULL);
    ret_volume->size = size ? arena_strdup(arena, size) : NULL;
    ret_volume->size_bytes = size ? quantity_bytes(size) : 0;
    ret_volume->storage_class = class ? arena_strdup(arena, class) : NULL;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct key_value *)a)->key, ((const struct key_value *)b)->key);
}

static void decode_parameters(struct arena *arena, const cJSON *parameters,
                              struct cluster_spec *spec)
{
    const cJSON *item;
    size_t count = (size_t)cJSON_GetArraySize(parameters);
    spec->parameters = arena_alloc(arena, (count + 1) * sizeof *spec->parameters);
    cJSON_ArrayForEach (item, parameters) {
        if (cJSON_IsString(item) && item->string)
            spec->parameters[spec->parameter_count++] = (struct key_value){
                arena_strdup(arena, item->string), arena_strdup(arena, item->valuestring)};
    }
    qsort(spec->parameters, spec->parameter_count, sizeof *spec->parameters, by_key);
}

/* The texts of a list, or of one member of each of its objects. */
static const char **decode_texts(struct arena *arena, const cJSON *list, const char *member,
                                 size_t *ret_count)
{
    const cJSON *item;
    const char **texts = arena_alloc(arena, ((size_t)cJSON_GetArraySize(list) + 1) * sizeof *texts);
    *ret_count = 0;
    cJSON_ArrayForEach (item, list) {
        const char *text = json_str(item, member, NULL);
        if (text)
            texts[(*ret_count)++] = arena_strdup(arena, text);
    }
    return texts;
}

static void decode_postgres(struct arena *arena, const cJSON *node, const char *image_pattern,
                            struct cluster_spec *spec)
{
    spec->postgres_version = (int)json_int(node, "postgres.version", 0);
    spec->image = text_or(node, "postgres.image", NULL);
    spec->image = spec->image ? arena_strdup(arena, spec->image)
                              : default_image(arena, image_pattern, spec->postgres_version);
    spec->image_pull_policy =
        arena_strdup(arena, text_or(node, "postgres.imagePullPolicy", "IfNotPresent"));
    spec->image_pull_secrets = decode_texts(arena, json_get(node, "postgres.imagePullSecrets"),
                                            "name", &spec->image_pull_secret_count);
    decode_parameters(arena, json_get(node, "postgres.parameters"), spec);
    spec->hba = decode_texts(arena, json_get(node, "postgres.hba"), "", &spec->hba_count);
}

/* In PostgreSQL's spelling: its MB is Kubernetes' Mi. */
static char *wal_size(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    size_t length = strlen(copy);
    if (length > 0 && copy[length - 1] == 'i')
        copy[length - 1] = 'B';
    return copy;
}

static void decode_storage(struct arena *arena, const cJSON *node, struct cluster_spec *spec)
{
    decode_volume(arena, node, "storage", &spec->storage);
    decode_volume(arena, node, "walStorage", &spec->wal_storage);
    spec->retain = json_bool(node, "storage.retain", true);
    const char *keep = json_str(node, "replication.maxSlotWalKeepSize", NULL);
    spec->max_slot_wal_keep_size = keep ? wal_size(arena, keep) : default_slot_wal(arena, spec);
    spec->max_lag_bytes =
        syntax_postgres_bytes(wal_size(arena, text_or(node, "replication.maxLag", "64MB")), 1);
    spec->lease_seconds = (int)json_int(node, "failover.leaseSeconds", 8);
    spec->ca_overlap = arena_strdup(arena, text_or(node, "tls.caOverlap", "7d"));
    spec->ca_overlap_ms = syntax_duration_ms(spec->ca_overlap);
}

static void decode_names(struct arena *arena, const cJSON *node, struct cluster_spec *spec)
{
    const cJSON *bootstrap = json_get(node, "bootstrap.initdb"),
                *secrets = json_get(node, "secrets");
    spec->database = arena_strdup(arena, text_or(bootstrap, "database", "app"));
    spec->owner = arena_strdup(arena, text_or(bootstrap, "owner", "app"));
    spec->encoding = arena_strdup(arena, text_or(bootstrap, "encoding", "UTF8"));
    spec->locale = arena_strdup(arena, text_or(bootstrap, "locale", "C.UTF-8"));
    spec->superuser_secret = arena_strdup(
        arena, text_or(secrets, "superuser", name_child(arena, spec->name, "superuser")));
    spec->app_secret =
        arena_strdup(arena, text_or(secrets, "app", name_child(arena, spec->name, "app")));
    spec->replication_secret = arena_strdup(
        arena, text_or(secrets, "replication", name_child(arena, spec->name, "replication")));
}

/* Quantities as text, so that 2 and "2" are one intent. */
static const cJSON *decode_resources(struct arena *arena, const cJSON *node)
{
    cJSON *copy = json_copy(arena, node), *list, *item;
    cJSON_ArrayForEach (list, copy) {
        for (item = list->child; item; item = item->next)
            if (cJSON_IsNumber(item)) {
                char *text = json_compact(arena, item);
                item->type = cJSON_String;
                item->valuestring = cJSON_malloc(strlen(text) + 1);
                memcpy(item->valuestring, text, strlen(text) + 1);
            }
    }
    return copy;
}

static void decode_scheduling(struct arena *arena, const cJSON *node, struct cluster_spec *spec)
{
    spec->resources = decode_resources(arena, json_get(node, "resources"));
    spec->scheduling.node_selector = json_copy(arena, json_get(node, "scheduling.nodeSelector"));
    spec->scheduling.tolerations = json_copy(arena, json_get(node, "scheduling.tolerations"));
    spec->scheduling.anti_affinity_required =
        strcmp(text_or(node, "scheduling.antiAffinity", "preferred"), "required") == 0;
    spec->scheduling.topology_key =
        arena_strdup(arena, text_or(node, "scheduling.topologyKey", "kubernetes.io/hostname"));
    const char *priority = json_str(node, "scheduling.priorityClassName", NULL);
    spec->scheduling.priority_class = priority ? arena_strdup(arena, priority) : NULL;
    spec->termination_grace_seconds = (int)json_int(node, "terminationGracePeriodSeconds", 180);
    spec->allow_eviction = json_bool(node, "maintenance.allowEviction", false);
}

static void check_name(struct shape_faults *faults, const cJSON *node)
{
    const char *name = cJSON_GetStringValue(node);
    if (node == NULL || (name && *name == '\0'))
        shape_fault(faults, "metadata.name", "is required");
    else if (name == NULL)
        shape_fault(faults, "metadata.name", "must be a string, not %s (quote it)",
                    shape_found(faults->arena, node));
    else if (strlen(name) > CLUSTER_NAME_MAX)
        shape_fault(faults, "metadata.name",
                    "must not be longer than %d characters (it has %zu): pod names derive from it",
                    CLUSTER_NAME_MAX, strlen(name));
    else if (!syntax_dns_label(name))
        shape_fault(faults, "metadata.name",
                    "must be a valid Service name (lower-case letters, digits and '-', starting "
                    "with a letter, not ending with '-'), not \"%.80s\"",
                    name);
}

static bool is_namespace(const char *text)
{
    return *text && strlen(text) <= 63 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

/* The API server checks these, too, but `render` reads files that no server has seen. */
static void check_metadata(struct shape_faults *faults, const cJSON *object)
{
    static const char *const known[] = {"apiVersion", "kind", "metadata", "spec", "status"};
    const cJSON *child;
    cJSON_ArrayForEach (child, object_at(object, "")) {
        const char *near = shape_suggest(child->string, known, 5);
        bool found = false;
        for (size_t i = 0; i < 5; i++)
            found = found || strcmp(child->string, known[i]) == 0;
        if (!found)
            shape_fault(faults, shape_key(faults->arena, "", child->string), "unknown field%s%s%s",
                        near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    }
    if (strcmp(json_str(object, "apiVersion", ""), API_VERSION) != 0)
        shape_fault(faults, "apiVersion", "must be " API_VERSION ", not \"%.80s\"",
                    json_str(object, "apiVersion", ""));
    if (strcmp(json_str(object, "kind", ""), API_KIND) != 0)
        shape_fault(faults, "kind", "must be " API_KIND ", not \"%.80s\"",
                    json_str(object, "kind", ""));
    check_name(faults, json_get(object, "metadata.name"));
    const cJSON *namespace = json_get(object, "metadata.namespace");
    if (namespace && (!cJSON_IsString(namespace) || !is_namespace(namespace->valuestring)))
        shape_fault(faults, "metadata.namespace", "must be the name of a namespace, not %s",
                    shape_found(faults->arena, namespace));
}

/* For status: an annotation may have 256 KiB, so that a long one is repeated as its hash. */
static char *word_of(struct arena *arena, const char *text)
{
    size_t length = strlen(text);
    return length <= WORD_MAX ? arena_strdup(arena, text)
                              : arena_printf(arena, "hash:%s", hash_hex16(arena, text, length));
}

static void decode_metadata(struct arena *arena, const cJSON *object, struct cluster_spec *spec)
{
    spec->name = arena_strdup(arena, json_str(object, "metadata.name", ""));
    spec->namespace = arena_strdup(arena, text_or(object, "metadata.namespace", "default"));
    spec->uid = arena_strdup(arena, json_str(object, "metadata.uid", ""));
    spec->generation = json_int(object, "metadata.generation", 0);
    spec->deleting = json_get(object, "metadata.deletionTimestamp") != NULL;
    spec->replace_ca =
        arena_strdup(arena, json_str(object, "metadata.annotations[\"" ANN_REPLACE_CA "\"]", ""));
    spec->reread_credentials =
        word_of(arena, json_str(object, "metadata.annotations[\"" ANN_REREAD "\"]", ""));
}

static void check_volume(struct shape_faults *faults, const struct volume_spec *volume,
                         const char *path)
{
    if (volume->size && volume->size_bytes > 0 && volume->size_bytes < SMALLEST_VOLUME)
        shape_fault(faults, path,
                    "must be 100Mi or more, not %s: an empty PostgreSQL needs most of "
                    "that",
                    volume->size);
}

static void check_slot_wal(struct shape_faults *faults, const cJSON *node,
                           const struct cluster_spec *spec)
{
    const char *keep = json_str(node, "replication.maxSlotWalKeepSize", NULL);
    int64_t volume = wal_volume_bytes(spec);
    if (keep && syntax_wal_size(keep) && volume > 0 &&
        syntax_postgres_bytes(spec->max_slot_wal_keep_size, 1) >= volume)
        shape_fault(faults, "spec.replication.maxSlotWalKeepSize",
                    "%s would let a disconnected replica fill the volume: spec.%s is %s", keep,
                    spec->wal_storage.size ? "walStorage.size" : "storage.size",
                    spec->wal_storage.size ? spec->wal_storage.size : spec->storage.size);
}

static void check_secrets(struct shape_faults *faults, const struct cluster_spec *spec)
{
    static const char *const own[] = {"ca", "server", "verifiers"};
    const struct key_value names[] = {{"spec.secrets.superuser", spec->superuser_secret},
                                      {"spec.secrets.app", spec->app_secret},
                                      {"spec.secrets.replication", spec->replication_secret}};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[i].value, names[j].value) == 0)
                shape_fault(faults, names[i].key,
                            "names the same Secret as %s ('%s'): each role needs its own",
                            names[j].key, names[i].value);
        for (size_t j = 0; j < 3; j++)
            if (strcmp(names[i].value, name_child(faults->arena, spec->name, own[j])) == 0)
                shape_fault(faults, names[i].key, "%s is the name of a Secret that pgkeel writes",
                            names[i].value);
    }
}

static void check_bootstrap(struct shape_faults *faults, const struct cluster_spec *spec)
{
    if (strcmp(spec->database, "template0") == 0 || strcmp(spec->database, "template1") == 0)
        shape_fault(faults, "spec.bootstrap.initdb.database",
                    "%s is one of PostgreSQL's template databases", spec->database);
    if (strcmp(spec->owner, ROLE_SUPERUSER) == 0)
        shape_fault(faults, "spec.bootstrap.initdb.owner",
                    "the superuser cannot be the application's role");
    if (strncmp(spec->owner, "pg_", 3) == 0 || strncmp(spec->owner, "pgkeel_", 7) == 0 ||
        strcmp(spec->owner, "public") == 0 || strcmp(spec->owner, "none") == 0)
        shape_fault(faults, "spec.bootstrap.initdb.owner", "\"%s\" is a reserved role name",
                    spec->owner);
}

static bool is_container_resource(const char *name)
{
    return strcmp(name, "cpu") == 0 || strcmp(name, "memory") == 0 ||
           strcmp(name, "ephemeral-storage") == 0 || strncmp(name, "hugepages-", 10) == 0 ||
           (strchr(name, '/') && syntax_label_key(name));
}

/* The schema in crds/ does not check this; the API server would refuse only the StatefulSet. */
static void check_resources(struct shape_faults *faults, const cJSON *resources)
{
    static const char *const lists[] = {"requests", "limits"};
    const cJSON *item;
    for (size_t i = 0; i < 2; i++)
        cJSON_ArrayForEach (item, object_at(resources, lists[i])) {
            char *path =
                shape_key(faults->arena, arena_printf(faults->arena, "spec.resources.%s", lists[i]),
                          item->string);
            const cJSON *limits = object_at(resources, "limits");
            const char *limit =
                i == 0
                    ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(limits, item->string))
                    : NULL;
            if (!is_container_resource(item->string))
                shape_fault(faults, path,
                            "is not a container resource: cpu, memory, "
                            "ephemeral-storage, hugepages-<size> or vendor/name");
            else if (limit && cJSON_IsString(item) &&
                     quantity_compare(item->valuestring, limit) > 0)
                shape_fault(faults, path, "%s is more than the limit of %s", item->valuestring,
                            limit);
        }
}

/* As for resources: otherwise the API server would refuse only the StatefulSet. */
static void check_tolerations(struct shape_faults *faults, const cJSON *tolerations)
{
    const cJSON *item;
    int index = 0;
    if (!cJSON_IsArray(tolerations))
        return;
    cJSON_ArrayForEach (item, tolerations) {
        char *path = arena_printf(faults->arena, "spec.scheduling.tolerations[%d]", index++);
        const char *key = json_str(item, "key", ""), *operator= json_str(item, "operator", "Equal");
        if (*key == '\0' && strcmp(operator, "Exists") != 0)
            shape_fault(faults, path, "must have operator Exists when it has no key");
        if (*key && !syntax_label_key(key))
            shape_fault(faults, arena_printf(faults->arena, "%s.key", path),
                        "\"%.80s\" is not a valid taint key", key);
        if (*json_str(item, "value", "") && strcmp(operator, "Exists") == 0)
            shape_fault(faults, arena_printf(faults->arena, "%s.value", path),
                        "must be empty with operator Exists");
        if (json_get(item, "tolerationSeconds") &&
            strcmp(json_str(item, "effect", ""), "NoExecute") != 0)
            shape_fault(faults, arena_printf(faults->arena, "%s.tolerationSeconds", path),
                        "works only with effect NoExecute");
    }
}

static void check_node_selector(struct shape_faults *faults, const cJSON *selector)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, object_at(selector, "")) {
        if (!syntax_label_key(item->string))
            shape_fault(faults,
                        shape_key(faults->arena, "spec.scheduling.nodeSelector", item->string),
                        "is not a valid label key");
    }
}

static ERR_CHECKED int report_faults(const struct spec_faults *faults, struct error *err)
{
    if (faults->count == 0)
        return 0;
    const struct spec_fault *first = &faults->items[0];
    if (faults->count == 1)
        return err_set_reason(err, ERR_INVALID, "InvalidSpec", "%s: %s", first->path,
                              first->message);
    return err_set_reason(err, ERR_INVALID, "InvalidSpec", "%s: %s (and %zu more)", first->path,
                          first->message, faults->count - 1);
}

int api_decode(struct arena *arena, const cJSON *object, const struct api_defaults *defaults,
               struct cluster_spec *ret_spec, struct spec_faults *ret_faults, struct error *err)
{
    const char *pattern =
        defaults && defaults->image_pattern ? defaults->image_pattern : "postgres:%d";
    struct shape_faults faults = {.arena = arena, .faults = ret_faults};
    const cJSON *spec = cJSON_GetObjectItemCaseSensitive(object, "spec");
    *ret_faults = (struct spec_faults){0};
    memset(ret_spec, 0, sizeof *ret_spec);
    check_metadata(&faults, object);
    decode_metadata(arena, object, ret_spec);
    shape_check(&faults, spec);
    ret_spec->instances = (int)json_int(spec, "instances", 0);
    decode_postgres(arena, spec, pattern, ret_spec);
    decode_storage(arena, spec, ret_spec);
    decode_names(arena, spec, ret_spec);
    decode_scheduling(arena, spec, ret_spec);
    parameters_check(&faults, spec);
    hba_check(&faults, spec);
    check_volume(&faults, &ret_spec->storage, "spec.storage.size");
    check_volume(&faults, &ret_spec->wal_storage, "spec.walStorage.size");
    check_slot_wal(&faults, spec, ret_spec);
    check_bootstrap(&faults, ret_spec);
    check_secrets(&faults, ret_spec);
    check_resources(&faults, ret_spec->resources);
    check_node_selector(&faults, ret_spec->scheduling.node_selector);
    check_tolerations(&faults, ret_spec->scheduling.tolerations);
    return report_faults(ret_faults, err);
}
