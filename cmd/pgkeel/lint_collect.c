/* pgkeel lint --collect-stats: what --schema-stats reads, from a live database. */
#include <stdio.h>

#include <libpq-fe.h>

#include "base/json.h"
#include "pgkeel/lint_files.h"
#include "pgkeel/verb.h"

static const char sizes[] =
    "SELECT n.nspname || '.' || c.relname, pg_table_size(c.oid), "
    "greatest(c.reltuples, 0)::bigint, EXISTS (SELECT 1 FROM pg_constraint k WHERE "
    "k.conrelid = c.oid AND k.contype = 'c' AND k.convalidated) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' AND "
    "n.nspname <> 'information_schema' ORDER BY 1";

/* A column counts as NOT NULL, too, if it has a validated CHECK that says exactly that. */
static const char columns[] =
    "SELECT n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod), "
    "a.attnotnull OR EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND "
    "k.contype = 'c' AND k.convalidated AND pg_get_constraintdef(k.oid) = "
    "format('CHECK ((%I IS NOT NULL))', a.attname)) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' AND "
    "n.nspname <> 'information_schema' ORDER BY 1, a.attnum";

static int failed(PGconn *connection, PGresult *result)
{
    fprintf(stderr, "pgkeel lint: --collect-stats: %s", PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
    return EXIT_UNREADABLE;
}

static bool is_true(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] == 't';
}

static void add_tables(cJSON *tables, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        cJSON *table = json_add_object(tables, PQgetvalue(result, row, 0));
        cJSON_AddItemToObject(table, "bytes", cJSON_CreateRaw(PQgetvalue(result, row, 1)));
        cJSON_AddItemToObject(table, "rows", cJSON_CreateRaw(PQgetvalue(result, row, 2)));
        json_set_bool(table, "has_check", is_true(result, row, 3));
    }
}

static void add_columns(cJSON *tables, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        cJSON *table = cJSON_GetObjectItemCaseSensitive(tables, PQgetvalue(result, row, 0));
        if (table == NULL) /* created between the two queries */
            continue;
        cJSON *list = cJSON_GetObjectItemCaseSensitive(table, "columns");
        if (list == NULL)
            list = json_add_object(table, "columns");
        cJSON *column = json_add_object(list, PQgetvalue(result, row, 1));
        json_set_str(column, "type", PQgetvalue(result, row, 2));
        json_set_bool(column, "not_null", is_true(result, row, 3));
    }
}

/* Two queries, without a common snapshot: a table that is created between them is left out, and one
 * that is dropped has no columns. */
int lint_collect(struct arena *arena, const char *dsn)
{
    PGconn *connection = PQconnectdb(dsn);
    if (PQstatus(connection) != CONNECTION_OK)
        return failed(connection, NULL);
    cJSON *root = json_object(arena), *tables;
    json_set_int(root, "postgres", PQserverVersion(connection) / 10000);
    tables = json_add_object(root, "tables");
    PGresult *result = PQexec(connection, sizes);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return failed(connection, result);
    add_tables(tables, result);
    PQclear(result);
    result = PQexec(connection, columns);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return failed(connection, result);
    add_columns(tables, result);
    PQclear(result);
    PQfinish(connection);
    puts(json_compact(arena, root));
    return EXIT_DONE;
}
