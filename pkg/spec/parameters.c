/*
 * What spec.postgres.parameters may contain. PostgreSQL does not start with a file that it cannot
 * read, and some parameters belong to pgkeel: both are found here, before a server sees them.
 */
#include "spec/shape.h"

#include <stdlib.h>
#include <string.h>

#define FILES    "pgkeel decides where files live"
#define ADDRESS  "Services, probes and replicas rely on the address and port that pgkeel sets"
#define SOCKET   "the Unix socket belongs to the agent"
#define TLS      "certificates come from the cluster's own authority and are renewed by pgkeel"
#define ROLES    "the agent decides which instance is primary and which server a replica follows"
#define RECOVERY "the agent runs recovery and restore"
#define ARCHIVE  "this version does not support WAL archiving"
#define LOGS     "the agent writes PostgreSQL's log lines to the container's log"
#define NODE     "each instance needs its own value"
#define SYNC     "this version does not support synchronous replication"
#define INCLUDE  "include files are not supported: write every parameter here"
#define DURABLE  "switching it off loses or corrupts data when a server crashes"

struct refused {
    const char *name; /* a prefix when it ends with '*' */
    const char *reason;
};

static const struct refused refused[] = {
    {"allow_alter_system", "ALTER SYSTEM would make instances differ from this spec"},
    {"archive_*", ARCHIVE},
    {"bonjour*", ADDRESS},
    {"cluster_name", NODE},
    {"config_file", FILES},
    {"data_directory", FILES},
    {"data_sync_retry", DURABLE},
    {"default_transaction_read_only", "the primary would refuse all writes, even those of pgkeel: "
                                      "use ALTER ROLE or ALTER DATABASE ... SET"},
    {"event_source", LOGS},
    {"external_pid_file", FILES},
    {"hba_file", FILES},
    {"hot_standby*", "replicas serve reads and report their oldest query to the primary"},
    {"ident_file", FILES},
    {"include*", INCLUDE},
    {"listen_addresses", ADDRESS},
    {"log_destination", LOGS},
    {"log_directory", LOGS},
    {"log_file*", LOGS},
    {"log_line_prefix", LOGS},
    {"log_rotation*", LOGS},
    {"log_timezone", "times in the log are UTC"},
    {"log_truncate_on_rotation", LOGS},
    {"logging_collector", LOGS},
    {"max_slot_wal_keep_size", "use spec.replication.maxSlotWalKeepSize instead"},
    {"password_encryption", "it is always scram-sha-256"},
    {"port", ADDRESS},
    {"primary_conninfo", ROLES},
    {"primary_slot_name", ROLES},
    {"promote_trigger_file", ROLES},
    {"recovery_end_command", RECOVERY},
    {"recovery_min_apply_delay", "a delayed replica would never be ready"},
    {"recovery_target*", RECOVERY},
    {"restart_after_crash", "the agent decides what happens after a crash"},
    {"restore_command", RECOVERY},
    {"ssl", TLS},
    {"ssl_ca_file", TLS},
    {"ssl_cert_file", TLS},
    {"ssl_crl*", TLS},
    {"ssl_key_file", TLS},
    {"ssl_passphrase*", TLS},
    {"sync_replication_slots", "this version does not support failover slots"},
    {"synchronous_standby_names", SYNC},
    {"synchronized_standby_slots", SYNC},
    {"syslog_*", LOGS},
    {"unix_socket_*", SOCKET},
    {"wal_log_hints", "it is always on, so that a former primary can rejoin"},
};

static bool matches(const char *pattern, const char *name)
{
    size_t length = strlen(pattern);
    if (pattern[length - 1] == '*')
        return strncmp(pattern, name, length - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static const char *refusal(const char *name)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (matches(refused[i].name, name))
            return refused[i].reason;
    return NULL;
}

/* name or extension.name, in lower case. */
static bool is_name(const char *text)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz_";
    static const char others[] = "abcdefghijklmnopqrstuvwxyz_0123456789$";
    for (int parts = 0;; parts++) {
        if (*text == '\0' || strchr(first, *text) == NULL)
            return false;
        text += strspn(text, others);
        if (*text == '\0')
            return true;
        if (*text++ != '.' || parts > 0)
            return false;
    }
}

static void check_name(struct shape_faults *faults, const char *path, const char *name)
{
    if (strlen(name) > 63 || !is_name(name)) {
        shape_fault(faults, path,
                    "is not a parameter name (lower-case letters, digits and '_'; for extensions "
                    "also one '.')");
        return;
    }
    const char *reason = refusal(name);
    if (reason)
        shape_fault(faults, path, "is set by pgkeel: %s", reason);
}

static bool is_off(const char *value)
{
    static const char *const words[] = {"off", "false", "no", "0",   "f",
                                        "n",   "of",    "fa", "fal", "fals"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

static void check_durable(struct shape_faults *faults, const char *path, const char *value,
                          const cJSON *spec)
{
    (void)spec;
    if (is_off(value))
        shape_fault(faults, path, "must stay on: " DURABLE);
}

static void check_wal_level(struct shape_faults *faults, const char *path, const char *value,
                            const cJSON *spec)
{
    (void)spec;
    if (strcmp(value, "replica") != 0 && strcmp(value, "logical") != 0)
        shape_fault(faults, path,
                    "must be replica or logical, not \"%.80s\": replicas need the WAL", value);
}

int parameters_least_senders(int instances)
{
    return instances + 4;
}

static void check_at_least(struct shape_faults *faults, const char *path, const char *value,
                           int least, const char *why)
{
    char *end;
    long number = strtol(value, &end, 10);
    if (*value == '\0' || *end != '\0' || number < least)
        shape_fault(faults, path, "must be a number of at least %d, not \"%.80s\": %s", least,
                    value, why);
}

static void check_senders(struct shape_faults *faults, const char *path, const char *value,
                          const cJSON *spec)
{
    check_at_least(faults, path, value,
                   parameters_least_senders((int)json_int(spec, "instances", 1)),
                   "each instance needs one, clones and backups need 4");
}

static void check_connections(struct shape_faults *faults, const char *path, const char *value,
                              const cJSON *spec)
{
    (void)spec;
    check_at_least(faults, path, value, 10, "PostgreSQL reserves 3, and pgkeel uses some");
}

static long number_in(const cJSON *spec, const char *name, long otherwise)
{
    const char *value = json_str(json_get(spec, "postgres.parameters"), name, NULL);
    return value ? strtol(value, NULL, 10) : otherwise;
}

/* PostgreSQL compares them only when it starts; that is too late. */
static void check_room(struct shape_faults *faults, const char *path, const cJSON *spec,
                       const char *other, long other_number)
{
    long superusers = number_in(spec, "superuser_reserved_connections", 3);
    long reserved = number_in(spec, "reserved_connections", 0);
    long all = number_in(spec, "max_connections", 100);
    if (superusers + reserved >= all)
        shape_fault(faults, path,
                    "with %s = %ld and max_connections = %ld it leaves no connections for clients, "
                    "and PostgreSQL does not start: lower it, or raise max_connections",
                    other, other_number, all);
}

static void check_superuser_reserved(struct shape_faults *faults, const char *path,
                                     const char *value, const cJSON *spec)
{
    size_t before = faults->faults->count;
    long reserved = number_in(spec, "reserved_connections", 0);
    check_at_least(faults, path, value, 3,
                   "the agent needs three connections even when clients use all others");
    /* If both are set, check_reserved() reports it. */
    if (faults->faults->count == before &&
        json_get(spec, "postgres.parameters.reserved_connections") == NULL)
        check_room(faults, path, spec, "reserved_connections", reserved);
}

static void check_reserved(struct shape_faults *faults, const char *path, const char *value,
                           const cJSON *spec)
{
    size_t before = faults->faults->count;
    long superusers = number_in(spec, "superuser_reserved_connections", 3);
    check_at_least(faults, path, value, 0, "that many connections are reserved for some roles");
    if (faults->faults->count == before)
        check_room(faults, path, spec, "superuser_reserved_connections", superusers);
}

static void check_buffers(struct shape_faults *faults, const char *path, const char *value,
                          const cJSON *spec)
{
    int64_t bytes = syntax_postgres_bytes(value, 8192);
    const char *limit = json_str(spec, "resources.limits.memory", NULL);
    if (bytes < 128 * 1024)
        shape_fault(faults, path, "must be a size of at least 128kB, such as 512MB, not \"%.80s\"",
                    value);
    else if (limit && quantity_bytes(limit) > 0 && bytes >= quantity_bytes(limit))
        shape_fault(faults, path,
                    "%s uses up spec.resources.limits.memory (%s): set a quarter of that", value,
                    limit);
}

static void check_max_wal(struct shape_faults *faults, const char *path, const char *value,
                          const cJSON *spec)
{
    const char *field = json_get(spec, "walStorage.size") ? "walStorage.size" : "storage.size";
    const char *size = json_str(spec, field, NULL);
    int64_t bytes = syntax_postgres_bytes(value, 1024 * 1024);
    if (bytes < 0)
        shape_fault(faults, path, "must be a size such as 1GB, not \"%.80s\"", value);
    else if (size && quantity_bytes(size) > 0 && bytes >= quantity_bytes(size))
        shape_fault(faults, path, "%s would fill the volume: spec.%s is %s", value, field, size);
}

static const struct {
    const char *name;
    void (*check)(struct shape_faults *faults, const char *path, const char *value,
                  const cJSON *spec);
} value_rules[] = {
    {"fsync", check_durable},
    {"full_page_writes", check_durable},
    {"max_connections", check_connections},
    {"max_replication_slots", check_senders},
    {"max_wal_senders", check_senders},
    {"max_wal_size", check_max_wal},
    {"reserved_connections", check_reserved},
    {"shared_buffers", check_buffers},
    {"superuser_reserved_connections", check_superuser_reserved},
    {"wal_level", check_wal_level},
};

static void check_value(struct shape_faults *faults, const char *path, const char *name,
                        const char *value, const cJSON *spec)
{
    for (const unsigned char *p = (const unsigned char *)value; *p; p++)
        if (*p < 0x20 || *p == 0x7f) {
            shape_fault(faults, path, "must be one line without control characters");
            return;
        }
    size_t before = faults->faults->count;
    parameters_check_known(faults, path, name, value, (int)json_int(spec, "postgres.version", 18));
    if (faults->faults->count > before)
        return;
    for (size_t i = 0; i < sizeof value_rules / sizeof value_rules[0]; i++)
        if (strcmp(value_rules[i].name, name) == 0)
            value_rules[i].check(faults, path, value, spec);
}

void parameters_check(struct shape_faults *faults, const cJSON *spec)
{
    const cJSON *parameters = json_get(spec, "postgres.parameters"), *item;
    if (!cJSON_IsObject(parameters))
        return;
    cJSON_ArrayForEach (item, parameters) {
        char *path = shape_key(faults->arena, "spec.postgres.parameters", item->string);
        size_t before = faults->faults->count;
        check_name(faults, path, item->string);
        if (faults->faults->count == before && cJSON_IsString(item))
            check_value(faults, path, item->string, item->valuestring, spec);
    }
}
