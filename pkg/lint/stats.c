/* What --schema-stats says of live tables, and what work on them costs. */
#include "lint/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

struct lint_stats {
    const cJSON *tables; /* "schema.table" -> {bytes, columns, not_null_checks, has_check} */
};

/* Bytes per second of a machine with a cloud provider's SSD; docs/lint.md says so. */
static const double speed[] = {[WORK_REWRITE] = 130e6, [WORK_SCAN] = 500e6, [WORK_INDEX] = 100e6};

int lint_stats_parse(struct arena *arena, const char *text, size_t length,
                     struct lint_stats **ret_stats, struct error *err)
{
    cJSON *tree;
    if (json_parse(arena, text, length, &tree, err) < 0)
        return err->class;
    const cJSON *tables = json_get(tree, "tables");
    if (!cJSON_IsObject(tables))
        return err_set(err, ERR_UNREADABLE,
                       "the object 'tables' is missing; write the file with 'pgkeel lint "
                       "--collect-stats DSN'");
    struct lint_stats *stats = arena_alloc(arena, sizeof *stats);
    stats->tables = tables;
    *ret_stats = stats;
    return 0;
}

static const cJSON *table_of(const struct lint_stats *stats, const char *key)
{
    return stats ? cJSON_GetObjectItemCaseSensitive(stats->tables, key) : NULL;
}

static const cJSON *column_of(struct lint_pass *pass, const RangeVar *table, const char *column)
{
    if (pass->lint->options.stats == NULL)
        return NULL;
    const cJSON *found = table_of(pass->lint->options.stats, lint_key(pass, table));
    const cJSON *columns = cJSON_GetObjectItemCaseSensitive(found, "columns");
    return columns ? cJSON_GetObjectItemCaseSensitive(columns, column) : NULL;
}

bool lint_live(struct lint_pass *pass, const RangeVar *table)
{
    return pass->lint->options.stats &&
           table_of(pass->lint->options.stats, lint_key(pass, table)) != NULL;
}

const char *lint_live_type(struct lint_pass *pass, const RangeVar *table, const char *column)
{
    const cJSON *found = column_of(pass, table, column);
    return found ? json_str(found, "type", NULL) : NULL;
}

bool lint_live_not_null(struct lint_pass *pass, const RangeVar *table, const char *column)
{
    const cJSON *found = column_of(pass, table, column);
    return found && json_bool(found, "not_null", false);
}

bool lint_live_has_check(struct lint_pass *pass, const RangeVar *table)
{
    if (pass->lint->options.stats == NULL)
        return false;
    const cJSON *found = table_of(pass->lint->options.stats, lint_key(pass, table));
    return found && json_bool(found, "has_check", false);
}

static void put_size(char *out, size_t size, double bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    int unit = 0;
    while (bytes >= 1000 && unit < 4) {
        bytes /= 1000;
        unit++;
    }
    snprintf(out, size, bytes >= 10 || unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

static void put_time(char *out, size_t size, double seconds)
{
    if (seconds < 1)
        snprintf(out, size, "less than 1 s");
    else if (seconds < 90)
        snprintf(out, size, "about %.0f s", seconds);
    else if (seconds < 5400)
        snprintf(out, size, "about %.0f min", seconds / 60);
    else
        snprintf(out, size, "about %.1f h", seconds / 3600);
}

const char *lint_cost_of(struct arena *arena, const struct lint_stats *stats, const char *key,
                         enum lint_work work, const char *blocked)
{
    static const char *const works[] = {
        [WORK_REWRITE] = "rewrite", [WORK_SCAN] = "scan", [WORK_INDEX] = "index build over"};
    const cJSON *table = table_of(stats, key);
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(table, "bytes");
    if (!cJSON_IsNumber(bytes) || bytes->valuedouble < 0)
        return "";
    char amount[40], time[40];
    put_size(amount, sizeof amount, bytes->valuedouble);
    put_time(time, sizeof time, bytes->valuedouble / speed[work]);
    return arena_printf(arena, ": %s%s %s, %s of blocked %s", works[work],
                        work == WORK_INDEX ? "" : " of", amount, time, blocked);
}

const char *lint_cost(struct lint_pass *pass, const RangeVar *table, enum lint_work work,
                      const char *blocked)
{
    if (pass->lint->options.stats == NULL)
        return "";
    return lint_cost_of(lint_arena(pass), pass->lint->options.stats, lint_key(pass, table), work,
                        blocked);
}
