#include "postgres/roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "api/reasons.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/log.h"

enum { CONNECT_TIMEOUT_MS = 5000, QUERY_TIMEOUT_MS = 30000 };

struct roles {
    struct pg *pg;
    struct roles_handlers handlers;
    struct arena *arena; /* the input */
    struct role_want *wanted;
    size_t count;
    const char *instance, *database, *owner;
    struct cluster_config config;
    struct error unreadable; /* class 0, or why the verifiers cannot be used: told at the end */
};

/* Nothing of this session may be written anywhere: neither by the server nor by extensions that
 * record statements. Waiting for a synchronous standby would be waiting for one that cannot log in
 * before its role is there. */
static const char session_options[] =
    "-c log_statement=none -c log_min_error_statement=panic -c log_min_duration_statement=-1"
    " -c log_min_duration_sample=-1 -c log_transaction_sample_rate=0 -c log_duration=off"
    " -c debug_print_parse=off -c debug_print_rewritten=off -c debug_print_plan=off"
    " -c pg_stat_statements.track=none -c pgaudit.log=none -c auto_explain.log_min_duration=-1"
    " -c synchronous_commit=local -c statement_timeout=25000 -c lock_timeout=10000"
    " -c search_path=pg_catalog -c default_transaction_read_only=off";

static bool is_verifier(const char *text)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                   "+/=:$-";
    return strncmp(text, "SCRAM-SHA-256$", 14) == 0 && text[strspn(text, alphabet)] == '\0';
}

int roles_parse(struct arena *arena, const char *json, struct role_want **ret_roles,
                size_t *ret_count, struct error *err)
{
    cJSON *tree;
    if (json_parse(arena, json, strlen(json), &tree, err) < 0)
        return err_wrap(err, "key '%s' of the verifiers' Secret", VERIFIERS_KEY);
    size_t count = (size_t)cJSON_GetArraySize(tree), i = 0;
    struct role_want *roles = arena_alloc(arena, (count + 1) * sizeof *roles);
    for (const cJSON *item = cJSON_IsArray(tree) ? tree->child : NULL; item; item = item->next) {
        struct role_want *role = &roles[i++];
        *role = (struct role_want){.name = json_str(item, "name", ""),
                                   .verifier = json_str(item, "verifier", ""),
                                   .superuser = json_bool(item, "superuser", false),
                                   .replication = json_bool(item, "replication", false),
                                   .login = json_bool(item, "login", true)};
        if (role->name[0] == '\0' || !is_verifier(role->verifier))
            return err_set(err, ERR_INVALID,
                           "key '%s' of the verifiers' Secret: entry %zu ('%s') "
                           "has no name or no SCRAM-SHA-256 verifier",
                           VERIFIERS_KEY, i - 1, role->name);
    }
    *ret_roles = roles;
    *ret_count = i;
    return 0;
}

char *roles_query(struct arena *arena, const struct role_want *wanted, size_t count)
{
    AUTO_BUFFER sql = {0};
    buffer_puts(&sql, "select rolname, coalesce(rolpassword, '') as password, rolsuper,"
                      " rolreplication, rolcanlogin from pg_authid where rolname in (''");
    for (size_t i = 0; i < count; i++)
        buffer_printf(&sql, ", %s", pg_literal(arena, wanted[i].name));
    buffer_puts(&sql, ")");
    return arena_strndup(arena, buffer_text(&sql), sql.length);
}

static int find_row(const PGresult *have, const char *name)
{
    for (int row = 0; row < PQntuples(have); row++)
        if (strcmp(pg_text(have, row, "rolname"), name) == 0)
            return row;
    return -1;
}

static bool has(const PGresult *have, int row, const char *attribute)
{
    return *pg_text(have, row, attribute) == 't';
}

/* Only what is declared is corrected: that a role logs in with its password, and what pgkeel's
 * own two roles must be able to do. The rest of a role belongs to the administrator, and nothing
 * is taken away. */
static void put_right(struct buffer *sql, struct arena *arena, const PGresult *have, int row,
                      const struct role_want *role)
{
    AUTO_BUFFER options = {0};
    if (role->superuser && !has(have, row, "rolsuper"))
        buffer_puts(&options, " superuser");
    if (role->replication && !has(have, row, "rolreplication"))
        buffer_puts(&options, " replication");
    if (role->login && !has(have, row, "rolcanlogin"))
        buffer_puts(&options, " login");
    if (strcmp(pg_text(have, row, "password"), role->verifier) != 0)
        buffer_printf(&options, " password %s", pg_literal(arena, role->verifier));
    if (options.length > 0)
        buffer_printf(sql, "alter role %s with%s; ", pg_identifier(arena, role->name),
                      buffer_text(&options));
}

static void make(struct buffer *sql, struct arena *arena, const struct role_want *role)
{
    buffer_printf(sql, "create role %s with %s %s %s password %s; ",
                  pg_identifier(arena, role->name), role->superuser ? "superuser" : "nosuperuser",
                  role->replication || role->superuser ? "replication" : "noreplication",
                  role->login ? "login" : "nologin", pg_literal(arena, role->verifier));
}

char *roles_statements(struct arena *arena, const PGresult *have, const struct role_want *wanted,
                       size_t count)
{
    AUTO_BUFFER sql = {0};
    for (size_t i = 0; i < count; i++) {
        int row = find_row(have, wanted[i].name);
        if (row < 0)
            make(&sql, arena, &wanted[i]);
        else
            put_right(&sql, arena, have, row, &wanted[i]);
    }
    buffer_puts(&sql, "select pg_current_xact_id()");
    return arena_strndup(arena, buffer_text(&sql), sql.length);
}

static bool is_member(const struct cluster_config *config, const char *name)
{
    for (size_t i = 0; i < config->member_count; i++)
        if (strcmp(config->members[i].name, name) == 0)
            return true;
    return false;
}

/* Slots that carry the name of an instance of this cluster are ours to drop: those of members that
 * left, our own from when we were a replica, and invalidated ones, which serve no replica any more.
 */
char *roles_slots_sql(struct arena *arena, const struct cluster_config *config,
                      const char *instance)
{
    AUTO_BUFFER drop = {0}, create = {0};
    for (int ordinal = 1; ordinal <= INSTANCES_MAX; ordinal++) {
        const char *name = name_instance(arena, config->cluster, ordinal);
        const char *slot = pg_literal(arena, name_slot(arena, name));
        bool wanted = is_member(config, name) && strcmp(name, instance) != 0;
        buffer_printf(&drop, "%s(slot_name = %s%s)", drop.length ? " or " : "", slot,
                      wanted ? " and wal_status = 'lost'" : "");
        if (wanted)
            buffer_printf(&create,
                          "; select pg_create_physical_replication_slot(%s, true)"
                          " where not exists (select from pg_replication_slots"
                          " where slot_name = %s)",
                          slot, slot);
    }
    return arena_printf(arena,
                        "select pg_drop_replication_slot(slot_name) from"
                        " pg_replication_slots where slot_type = 'physical' and not active and"
                        " (%s)%s",
                        buffer_text(&drop), buffer_text(&create));
}

static void end(struct roles *roles, const struct error *err, const char *context)
{
    struct error told = *err;
    if (told.class != 0)
        err_wrap(&told, "%s", context);
    else
        told = roles->unreadable;
    if (told.class != 0)
        snprintf(told.reason, sizeof told.reason, REASON_ROLES_FAILED);
    roles->handlers.done(roles->handlers.arg, &told);
}

static void on_database_made(void *arg, const PGresult *result, const struct error *err)
{
    (void)result;
    struct roles *roles = arg;
    struct error none = {0};
    bool made_by_another = strcmp(err->sqlstate, "42P04") == 0;
    AUTO_ARENA arena = arena_new();
    if (err->class == 0)
        log_info("database created", "database", roles->database, "owner", roles->owner, NULL);
    end(roles, made_by_another ? &none : err,
        arena_printf(arena, "create database '%s'", roles->database));
}

static void on_database_known(void *arg, const PGresult *result, const struct error *err)
{
    struct roles *roles = arg;
    AUTO_ARENA arena = arena_new();
    if (err->class != 0 || PQntuples(result) > 0) {
        end(roles, err, "look for the application's database");
        return;
    }
    const char *sql =
        arena_printf(arena, "create database %s owner %s", pg_identifier(arena, roles->database),
                     pg_identifier(arena, roles->owner));
    pg_query(roles->pg, sql, QUERY_TIMEOUT_MS, on_database_made, roles);
}

static void on_slots_made(void *arg, const PGresult *result, const struct error *err)
{
    (void)result;
    struct roles *roles = arg;
    struct error none = {0};
    AUTO_ARENA arena = arena_new();
    if (err->class != 0 || roles->count == 0 || roles->database[0] == '\0') {
        end(roles, err->class != 0 ? err : &none, "create the replicas' slots");
        return;
    }
    roles->handlers.slots(roles->handlers.arg);
    const char *sql = arena_printf(arena, "select from pg_database where datname = %s",
                                   pg_literal(arena, roles->database));
    pg_query(roles->pg, sql, QUERY_TIMEOUT_MS, on_database_known, roles);
}

static void on_written(void *arg, const PGresult *result, const struct error *err)
{
    (void)result;
    struct roles *roles = arg;
    if (err->class != 0) {
        end(roles, err, "set the roles");
        return;
    }
    AUTO_ARENA arena = arena_new();
    pg_query(roles->pg, roles_slots_sql(arena, &roles->config, roles->instance), QUERY_TIMEOUT_MS,
             on_slots_made, roles);
    roles->handlers.wrote(roles->handlers.arg);
}

static void on_roles_known(void *arg, const PGresult *result, const struct error *err)
{
    struct roles *roles = arg;
    AUTO_ARENA arena = arena_new();
    if (err->class != 0) {
        end(roles, err, "read the roles");
        return;
    }
    pg_query(roles->pg, roles_statements(arena, result, roles->wanted, roles->count),
             QUERY_TIMEOUT_MS, on_written, roles);
}

static void on_opened(void *arg, const struct error *err)
{
    struct roles *roles = arg;
    if (err->class != 0) {
        end(roles, err, "connect to set the roles");
        return;
    }
    AUTO_ARENA arena = arena_new();
    pg_query(roles->pg, roles_query(arena, roles->wanted, roles->count), QUERY_TIMEOUT_MS,
             on_roles_known, roles);
}

static void copy_config(struct roles *roles, const struct cluster_config *config)
{
    struct arena *arena = roles->arena;
    roles->config.cluster = arena_strdup(arena, config->cluster);
    roles->config.member_count = config->member_count;
    roles->config.members =
        arena_alloc(arena, (config->member_count + 1) * sizeof *config->members);
    for (size_t i = 0; i < config->member_count; i++)
        roles->config.members[i].name = arena_strdup(arena, config->members[i].name);
    roles->database = arena_strdup(arena, config->database ? config->database : "");
    roles->owner = arena_strdup(arena, config->owner ? config->owner : "");
}

struct roles *roles_start(struct event_base *loop, const struct roles_input *input,
                          const struct roles_handlers *handlers)
{
    struct roles *roles = xcalloc(1, sizeof *roles);
    char port[16];
    roles->handlers = *handlers;
    roles->arena = arena_new();
    roles->instance = arena_strdup(roles->arena, input->instance);
    copy_config(roles, input->config);
    if (input->verifiers[0] != '\0')
        err_ignore(roles_parse(roles->arena, arena_strdup(roles->arena, input->verifiers),
                               &roles->wanted, &roles->count, &roles->unreadable));
    snprintf(port, sizeof port, "%d", input->port);
    static const char *const keywords[] = {
        "host",    "port",       "user",     "dbname",  "application_name",
        "sslmode", "gssencmode", "passfile", "options", NULL};
    const char *values[] = {input->socket_dir, port,      ROLE_SUPERUSER, "postgres",
                            "pgkeel-roles",    "disable", "disable",      "/dev/null/none",
                            session_options,   NULL};
    struct pg_options options = {keywords, values, CONNECT_TIMEOUT_MS};
    roles->pg = pg_open(loop, &options, on_opened, roles);
    return roles;
}

void roles_free(struct roles *roles)
{
    if (roles == NULL)
        return;
    pg_close(roles->pg);
    arena_free(roles->arena);
    free(roles);
}
