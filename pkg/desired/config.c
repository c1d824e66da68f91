/*
 * ConfigMap <cluster>-config: what all instances share. What differs between them (addresses,
 * sockets, TLS files, logging, whom to follow) is added by each agent.
 */
#include "desired/internal.h"

#include <stdlib.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/hash.h"

enum { MIB = 1024 * 1024, SENDERS = 16, BUFFERS_DEFAULT_MB = 128 };
_Static_assert(SENDERS >= INSTANCES_MAX + 4, "scaling up must never need a restart");

struct settings {
    struct arena *arena;
    struct key_value items[40];
    size_t count;
};

static void set(struct settings *settings, const char *name, const char *value)
{
    settings->items[settings->count++] = (struct key_value){name, value};
}

static void set_mb(struct settings *settings, const char *name, int64_t megabytes)
{
    set(settings, name, arena_printf(settings->arena, "%lldMB", (long long)megabytes));
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The container's limit, else its request; 0 without either. */
static int64_t memory_bytes(const struct cluster_spec *spec)
{
    const char *text = json_str(spec->resources, "limits.memory", NULL);
    if (text == NULL)
        text = json_str(spec->resources, "requests.memory", NULL);
    return text && quantity_bytes(text) > 0 ? quantity_bytes(text) : 0;
}

static bool has_huge_pages(const struct cluster_spec *spec)
{
    const cJSON *item, *limits = json_get(spec->resources, "limits");
    cJSON_ArrayForEach (item, limits) {
        if (strncmp(item->string, "hugepages-", 10) == 0)
            return true;
    }
    return false;
}

static void set_memory(struct settings *settings, const struct cluster_spec *spec)
{
    int64_t megabytes = memory_bytes(spec) / MIB;
    set_mb(settings, "shared_buffers",
           megabytes > 0 ? clamp(megabytes / 4, 16, INT32_MAX) : BUFFERS_DEFAULT_MB);
    if (megabytes > 0)
        set_mb(settings, "effective_cache_size", clamp(megabytes * 3 / 4, 16, INT32_MAX));
    /* On a node with huge pages that the pod did not ask for, taking them ends in SIGBUS. */
    set(settings, "huge_pages", has_huge_pages(spec) ? "try" : "off");
}

/* A quarter of the volume at most goes to WAL between checkpoints, so that a small volume does not
 * fill up by itself. */
static void set_wal(struct settings *settings, const struct cluster_spec *spec)
{
    int64_t bytes =
        spec->wal_storage.size ? spec->wal_storage.size_bytes : spec->storage.size_bytes;
    int64_t largest = clamp(bytes / 4 / MIB, 32, 1024);
    set(settings, "wal_level", "replica");
    set_mb(settings, "max_wal_size", largest);
    set_mb(settings, "min_wal_size", clamp(largest, 32, 80));
    set(settings, "max_wal_senders", arena_printf(settings->arena, "%d", SENDERS));
    set(settings, "max_replication_slots", arena_printf(settings->arena, "%d", SENDERS));
    /* With the default of five seconds, a promotion or a restart of the primary would wait as
     * long. */
    set(settings, "wal_retrieve_retry_interval", "100ms");
    /* A peer that vanished silently is noticed soon. */
    set(settings, "wal_sender_timeout", "15s");
    set(settings, "wal_receiver_timeout", "15s");
    set(settings, "tcp_keepalives_idle", "60");
    set(settings, "tcp_keepalives_interval", "10");
    set(settings, "tcp_keepalives_count", "3");
}

/* What initdb would have written into the file that is not used. */
static void set_locale(struct settings *settings, const struct cluster_spec *spec)
{
    static const char *const names[] = {"lc_monetary", "lc_numeric", "lc_time"};
    /* C.UTF-8 says nothing beyond C here, and C is there in every image. */
    bool plain =
        strcasecmp(spec->locale, "C.UTF-8") == 0 || strcasecmp(spec->locale, "C.UTF8") == 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        set(settings, names[i], plain ? "C" : spec->locale);
    set(settings, "default_text_search_config", "pg_catalog.english");
    set(settings, "timezone", "UTC");
}

static void set_defaults(struct settings *settings, const struct cluster_spec *spec)
{
    set(settings, "max_connections", "100");
    set_memory(settings, spec);
    set_wal(settings, spec);
    set_locale(settings, spec);
    set(settings, "log_checkpoints", "on");
    set(settings, "log_lock_waits", "on");
}

static void set_fixed(struct settings *settings, const struct cluster_spec *spec)
{
    set(settings, "hot_standby", "on");
    set(settings, "hot_standby_feedback", "on");
    set(settings, "max_slot_wal_keep_size", spec->max_slot_wal_keep_size);
    set(settings, "password_encryption", "scram-sha-256");
    set(settings, "wal_log_hints", "on");
    if (spec->postgres_version >= 17)
        set(settings, "allow_alter_system", "off");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct key_value *)a)->key, ((const struct key_value *)b)->key);
}

/* name = 'value': quotes are doubled, and backslashes too, for the server reads escapes. */
static void write_setting(struct buffer *out, const struct key_value *setting)
{
    buffer_printf(out, "%s = '", setting->key);
    for (const char *p = setting->value; *p; p++) {
        if (*p == '\'' || *p == '\\')
            buffer_append(out, p, 1);
        buffer_append(out, p, 1);
    }
    buffer_puts(out, "'\n");
}

static bool is_users(const struct cluster_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->parameter_count; i++)
        if (strcmp(spec->parameters[i].key, name) == 0)
            return true;
    return false;
}

char *desired_config_postgresql(struct arena *arena, const struct cluster_spec *spec)
{
    struct settings defaults = {.arena = arena}, fixed = {.arena = arena};
    AUTO_BUFFER out = {0};
    set_defaults(&defaults, spec);
    set_fixed(&fixed, spec);
    qsort(defaults.items, defaults.count, sizeof defaults.items[0], by_name);
    qsort(fixed.items, fixed.count, sizeof fixed.items[0], by_name);
    buffer_puts(&out, "# Written by pgkeel, shared by all instances. Edits here are undone:\n"
                      "# change spec.postgres.parameters of the PostgresCluster.\n"
                      "\n# Defaults of pgkeel\n");
    for (size_t i = 0; i < defaults.count; i++)
        if (!is_users(spec, defaults.items[i].key))
            write_setting(&out, &defaults.items[i]);
    if (spec->parameter_count > 0)
        buffer_puts(&out, "\n# spec.postgres.parameters\n");
    for (size_t i = 0; i < spec->parameter_count; i++)
        write_setting(&out, &spec->parameters[i]);
    buffer_puts(&out, "\n# Set by pgkeel whatever the spec says\n");
    for (size_t i = 0; i < fixed.count; i++)
        write_setting(&out, &fixed.items[i]);
    return arena_strndup(arena, buffer_text(&out), out.length);
}

char *desired_config_hba(struct arena *arena, const struct cluster_spec *spec)
{
    AUTO_BUFFER out = {0};
    buffer_puts(&out, "# Written by pgkeel, shared by all instances. Edits here are undone:\n"
                      "# change spec.postgres.hba of the PostgresCluster.\n"
                      "\n# The agent, over its own socket\n"
                      "local all all trust\n"
                      "# Replicas\n"
                      "hostssl replication " ROLE_REPLICATION " all scram-sha-256\n");
    if (spec->hba_count > 0)
        buffer_puts(&out, "# spec.postgres.hba\n");
    for (size_t i = 0; i < spec->hba_count; i++)
        buffer_printf(&out, "%s\n", spec->hba[i]);
    buffer_puts(&out, "# Everybody else: TLS and a password\n"
                      "hostssl all all all scram-sha-256\n");
    return arena_strndup(arena, buffer_text(&out), out.length);
}

char *desired_config_hash(struct arena *arena, const struct snapshot *snapshot)
{
    char *text = arena_printf(arena, "%s\n%s", desired_config_postgresql(arena, &snapshot->spec),
                              desired_config_hba(arena, &snapshot->spec));
    return hash_hex16(arena, text, strlen(text));
}

static struct member_config *members(const struct build *build, size_t *ret_count)
{
    const struct model *model = build->model;
    struct member_config *list =
        arena_alloc(build->arena, (model->instance_count + 1) * sizeof *list);
    *ret_count = 0;
    for (size_t i = 0; i < model->instance_count; i++)
        if (model->instances[i].wanted)
            list[(*ret_count)++] =
                (struct member_config){model->instances[i].name, model->instances[i].restart_token};
    return list;
}

static char *cluster_json(const struct build *build)
{
    const struct cluster_spec *spec = build->spec;
    struct cluster_config config = {
        .cluster = spec->name,
        .namespace = spec->namespace,
        .postgres_version = spec->postgres_version,
        .lease_seconds = spec->lease_seconds,
        .termination_grace_seconds = spec->termination_grace_seconds,
        .database = spec->database,
        .owner = spec->owner,
        .encoding = spec->encoding,
        .locale = spec->locale,
        .max_slot_wal_keep_size = spec->max_slot_wal_keep_size,
        .config_hash = desired_config_hash(build->arena, build->snapshot),
        .verifiers_hash = build->snapshot->credentials.verifiers_hash,
    };
    config.members = members(build, &config.member_count);
    return json_compact(build->arena, report_config_encode(build->arena, &config));
}

void build_config(struct build *build)
{
    cJSON *map = build_object(build, CHILD_CONFIG_MAP, build_child(build, "config"), OWNED);
    cJSON *data = json_add_object(map, "data");
    json_set_str(data, CONFIG_KEY_CLUSTER, cluster_json(build));
    /* initdb, and libpq's programs, refuse to run as a uid that has no name. */
    json_set_str(data, CONFIG_KEY_PASSWD,
                 arena_printf(build->arena,
                              "root:x:0:0:root:/:/sbin/nologin\n"
                              "postgres:x:%d:%d:PostgreSQL:" POD_RUN_DIR ":/bin/sh\n",
                              POD_UID_NUMBER, POD_UID_NUMBER));
    json_set_str(data, CONFIG_KEY_HBA, desired_config_hba(build->arena, build->spec));
    json_set_str(data, CONFIG_KEY_POSTGRESQL, desired_config_postgresql(build->arena, build->spec));
}
