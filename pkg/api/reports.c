/* One table per document: member, type, offset. Members that hold the zero value are left out. */
#include "api/reports.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

enum field_type { FIELD_TEXT, FIELD_INT, FIELD_INT64, FIELD_BOOL, FIELD_END };

struct field {
    const char *member;
    enum field_type type;
    size_t offset;
};

#define TEXT(s, name, field)                                                                       \
    {                                                                                              \
        name, FIELD_TEXT, offsetof(struct s, field)                                                \
    }
#define INT(s, name, field)                                                                        \
    {                                                                                              \
        name, FIELD_INT, offsetof(struct s, field)                                                 \
    }
#define INT64(s, name, field)                                                                      \
    {                                                                                              \
        name, FIELD_INT64, offsetof(struct s, field)                                               \
    }
#define BOOL(s, name, field)                                                                       \
    {                                                                                              \
        name, FIELD_BOOL, offsetof(struct s, field)                                                \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, FIELD_END, 0                                                                         \
    }

static const struct field instance_fields[] = {
    TEXT(instance_report, "instance", instance),
    TEXT(instance_report, "role", role),
    TEXT(instance_report, "phase", phase),
    TEXT(instance_report, "reason", reason),
    TEXT(instance_report, "message", message),
    TEXT(instance_report, "systemIdentifier", system_identifier),
    TEXT(instance_report, "postgresVersion", postgres_version),
    INT(instance_report, "timeline", timeline),
    INT64(instance_report, "epoch", epoch),
    INT64(instance_report, "seenEpoch", seen_epoch),
    TEXT(instance_report, "configHash", config_hash),
    TEXT(instance_report, "verifiersHash", verifiers_hash),
    TEXT(instance_report, "restartToken", restart_token),
    TEXT(instance_report, "restartedFor", restarted_for),
    BOOL(instance_report, "pendingRestart", pending_restart),
    TEXT(instance_report, "pendingParameters", pending_parameters),
    INT(instance_report, "crashes", crashes),
    TEXT(instance_report, "lastCrashTime", last_crash_time),
    TEXT(instance_report, "lastCrash", last_crash),
    BOOL(instance_report, "bootstrapped", bootstrapped),
    BOOL(instance_report, "ready", ready),
    END,
};

static const struct field volume_fields[] = {
    TEXT(volume_report, "room", room),
    INT64(volume_report, "capacityBytes", capacity_bytes),
    INT64(volume_report, "usedBytes", used_bytes),
    INT64(volume_report, "availableBytes", available_bytes),
    TEXT(volume_report, "words", words),
    END,
};

static const struct field replica_fields[] = {
    TEXT(replica_report, "name", name),
    TEXT(replica_report, "state", state),
    INT64(replica_report, "lagBytes", lag_bytes),
    TEXT(replica_report, "slotWalStatus", slot_wal_status),
    TEXT(replica_report, "slotRestartLsn", slot_restart_lsn),
    END,
};

static const struct field primary_fields[] = {
    INT(primary_report, "timeline", timeline),
    TEXT(primary_report, "address", address),
    TEXT(primary_report, "lsn", lsn),
    END,
};

static const struct field member_fields[] = {
    TEXT(member_config, "name", name),
    TEXT(member_config, "restartToken", restart_token),
    END,
};

static const struct field lead_fields[] = {
    TEXT(lead_report, "instance", instance),
    INT64(lead_report, "epoch", epoch),
    END,
};

static const struct field config_fields[] = {
    TEXT(cluster_config, "cluster", cluster),
    TEXT(cluster_config, "namespace", namespace),
    INT(cluster_config, "postgresVersion", postgres_version),
    INT(cluster_config, "leaseSeconds", lease_seconds),
    INT(cluster_config, "terminationGraceSeconds", termination_grace_seconds),
    TEXT(cluster_config, "database", database),
    TEXT(cluster_config, "owner", owner),
    TEXT(cluster_config, "encoding", encoding),
    TEXT(cluster_config, "locale", locale),
    TEXT(cluster_config, "maxSlotWalKeepSize", max_slot_wal_keep_size),
    TEXT(cluster_config, "configHash", config_hash),
    TEXT(cluster_config, "verifiersHash", verifiers_hash),
    END,
};

static void encode(cJSON *object, const struct field *fields, const void *record)
{
    for (const struct field *field = fields; field->member; field++) {
        const void *value = (const char *)record + field->offset;
        const char *text = NULL;
        int64_t number = 0;
        switch (field->type) {
        case FIELD_TEXT:
            text = *(const char *const *)value;
            if (text && *text)
                json_set_str(object, field->member, text);
            break;
        case FIELD_INT:
        case FIELD_INT64:
            number = field->type == FIELD_INT ? *(const int *)value : *(const int64_t *)value;
            if (number != 0)
                json_set_int(object, field->member, number);
            break;
        case FIELD_BOOL:
            if (*(const bool *)value)
                json_set_bool(object, field->member, true);
            break;
        case FIELD_END:
            break;
        }
    }
}

/* Members are looked up as literal keys; texts live as long as the arena. */
static void decode(struct arena *arena, const cJSON *object, const struct field *fields,
                   void *record)
{
    for (const struct field *field = fields; field->member; field++) {
        void *value = (char *)record + field->offset;
        int64_t number = json_int(object, field->member, 0);
        switch (field->type) {
        case FIELD_TEXT:
            *(const char **)value = arena_strdup(arena, json_str(object, field->member, ""));
            break;
        case FIELD_INT:
            *(int *)value = number >= INT_MIN && number <= INT_MAX ? (int)number : 0;
            break;
        case FIELD_INT64:
            *(int64_t *)value = number;
            break;
        case FIELD_BOOL:
            *(bool *)value = json_bool(object, field->member, false);
            break;
        case FIELD_END:
            break;
        }
    }
}

static ERR_CHECKED int parse_object(struct arena *arena, const char *json, cJSON **ret_tree,
                                    struct error *err)
{
    cJSON *tree;
    if (json_parse(arena, json, strlen(json), &tree, err) < 0)
        return err->class;
    if (!cJSON_IsObject(tree))
        return err_set(err, ERR_UNREADABLE, "not a JSON object");
    *ret_tree = tree;
    return 0;
}

static void encode_volume(cJSON *object, const char *member, const struct volume_report *volume)
{
    if (volume->room && *volume->room)
        encode(json_add_object(object, member), volume_fields, volume);
}

cJSON *report_instance_encode(struct arena *arena, const struct instance_report *report)
{
    cJSON *object = json_object(arena);
    encode(object, instance_fields, report);
    encode_volume(object, "dataVolume", &report->data_volume);
    encode_volume(object, "walVolume", &report->wal_volume);
    return object;
}

int report_instance_decode(struct arena *arena, const char *json,
                           struct instance_report *ret_report, struct error *err)
{
    cJSON *tree;
    if (parse_object(arena, json, &tree, err) < 0)
        return err_wrap(err, "read the report of an instance");
    decode(arena, tree, instance_fields, ret_report);
    decode(arena, json_get(tree, "dataVolume"), volume_fields, &ret_report->data_volume);
    decode(arena, json_get(tree, "walVolume"), volume_fields, &ret_report->wal_volume);
    return 0;
}

cJSON *report_primary_encode(struct arena *arena, const struct primary_report *report)
{
    cJSON *object = json_object(arena);
    encode(object, primary_fields, report);
    cJSON *replicas = json_add_array(object, "replicas");
    for (size_t i = 0; i < report->replica_count; i++)
        encode(json_push_object(replicas), replica_fields, &report->replicas[i]);
    return object;
}

int report_primary_decode(struct arena *arena, const char *json, struct primary_report *ret_report,
                          struct error *err)
{
    cJSON *tree;
    if (parse_object(arena, json, &tree, err) < 0)
        return err_wrap(err, "read the report of the primary");
    decode(arena, tree, primary_fields, ret_report);
    const cJSON *replicas = json_get(tree, "replicas"), *item;
    size_t count = 0;
    struct replica_report *list =
        arena_alloc(arena, ((size_t)cJSON_GetArraySize(replicas) + 1) * sizeof *list);
    cJSON_ArrayForEach (item, replicas) {
        decode(arena, item, replica_fields, &list[count++]);
    }
    ret_report->replicas = list;
    ret_report->replica_count = count;
    return 0;
}

cJSON *report_lead_encode(struct arena *arena, const struct lead_report *lead)
{
    cJSON *object = json_object(arena);
    encode(object, lead_fields, lead);
    return object;
}

int report_lead_decode(struct arena *arena, const char *json, struct lead_report *ret_lead,
                       struct error *err)
{
    cJSON *tree;
    if (parse_object(arena, json, &tree, err) < 0)
        return err_wrap(err, "read which instance led last");
    decode(arena, tree, lead_fields, ret_lead);
    return 0;
}

cJSON *report_config_encode(struct arena *arena, const struct cluster_config *config)
{
    cJSON *object = json_object(arena);
    encode(object, config_fields, config);
    cJSON *members = json_add_array(object, "members");
    for (size_t i = 0; i < config->member_count; i++)
        encode(json_push_object(members), member_fields, &config->members[i]);
    return object;
}

int report_config_decode(struct arena *arena, const char *json, struct cluster_config *ret_config,
                         struct error *err)
{
    cJSON *tree;
    if (parse_object(arena, json, &tree, err) < 0)
        return err_wrap(err, "read cluster.json");
    decode(arena, tree, config_fields, ret_config);
    const cJSON *members = json_get(tree, "members"), *item;
    size_t count = 0;
    struct member_config *list =
        arena_alloc(arena, ((size_t)cJSON_GetArraySize(members) + 1) * sizeof *list);
    cJSON_ArrayForEach (item, members) {
        decode(arena, item, member_fields, &list[count++]);
    }
    ret_config->members = list;
    ret_config->member_count = count;
    return 0;
}

cJSON *report_grant_encode(struct arena *arena, const struct bootstrap_grant *grant)
{
    cJSON *object = json_object(arena);
    json_set_str(object, "instance", grant->instance);
    json_set_str(object, "mode", grant->initdb ? "initdb" : "existing");
    return object;
}

int report_grant_decode(struct arena *arena, const char *json, struct bootstrap_grant *ret_grant,
                        struct error *err)
{
    cJSON *tree;
    if (parse_object(arena, json, &tree, err) < 0)
        return err_wrap(err, "read the bootstrap grant");
    const char *mode = json_str(tree, "mode", ""), *instance = json_str(tree, "instance", "");
    /* A grant decides who may initialise a volume: nothing in it is guessed. */
    if (*instance == '\0' || (strcmp(mode, "initdb") != 0 && strcmp(mode, "existing") != 0))
        return err_set(err, ERR_INVALID,
                       "the bootstrap grant has no instance or an unknown mode: %s", json);
    ret_grant->instance = arena_strdup(arena, instance);
    ret_grant->initdb = strcmp(mode, "initdb") == 0;
    return 0;
}
