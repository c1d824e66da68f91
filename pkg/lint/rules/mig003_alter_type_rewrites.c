/* ALTER COLUMN TYPE that rewrites or rechecks the table */
#include "lint/rules/rules.h"

#include <stdlib.h>
#include <string.h>

struct type {
    char name[64];
    int first, second; /* modifiers, or -1 */
    bool array;
};

/* The names that format_type() writes, and those that the parser gives. */
static const char *const same[][2] = {
    {"character varying", "varchar"},
    {"character", "bpchar"},
    {"integer", "int4"},
    {"bigint", "int8"},
    {"smallint", "int2"},
    {"boolean", "bool"},
    {"timestamp without time zone", "timestamp"},
    {"timestamp with time zone", "timestamptz"},
    {"time without time zone", "time"},
    {"time with time zone", "timetz"},
    {"bit varying", "varbit"},
};

/* "character varying(20)", "numeric(10,2)", "timestamp(3) without time zone", "integer[]" */
static struct type read_type(const char *text)
{
    struct type type = {.first = -1, .second = -1};
    size_t n = 0;
    for (const char *at = text; *at && n + 1 < sizeof type.name; at++) {
        if (*at == '(') {
            char *end;
            type.first = (int)strtol(at + 1, &end, 10);
            if (*end == ',')
                type.second = (int)strtol(end + 1, &end, 10);
            at = *end == ')' ? end : strchr(at, '\0') - 1;
        } else if (*at == '[') {
            type.array = true;
            break;
        } else {
            type.name[n++] = *at;
        }
    }
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (strcmp(type.name, same[i][0]) == 0)
            memcpy(type.name, same[i][1], strlen(same[i][1]) + 1);
    return type;
}

static bool grows(int from, int to)
{
    return to < 0 || (from >= 0 && to >= from);
}

/* Measured: tests/lint proves each of these on a server. */
static bool is_free(const struct type *from, const struct type *to)
{
    bool same_name = strcmp(from->name, to->name) == 0;
    if (from->array != to->array)
        return false;
    if (strcmp(to->name, "text") == 0)
        return same_name || strcmp(from->name, "varchar") == 0;
    if (strcmp(to->name, "varchar") == 0)
        return (same_name && grows(from->first, to->first)) ||
               (strcmp(from->name, "text") == 0 && to->first < 0);
    if (!same_name)
        return false;
    if (strcmp(to->name, "numeric") == 0)
        return to->first < 0 ||
               (from->first >= 0 && to->first >= from->first &&
                (to->second < 0 ? 0 : to->second) == (from->second < 0 ? 0 : from->second));
    if (strcmp(to->name, "bpchar") == 0 || strcmp(to->name, "bit") == 0)
        return from->first == to->first;
    if (strcmp(to->name, "interval") == 0)
        return to->first < 0;
    return grows(from->first, to->first);
}

static struct type new_type(const TypeName *name)
{
    struct type type = {.first = lint_type_modifier(name, 0),
                        .second = lint_type_modifier(name, 1),
                        .array = list_count(name->arrayBounds) > 0};
    size_t length = strlen(lint_type(name));
    if (length < sizeof type.name)
        memcpy(type.name, lint_type(name), length + 1);
    return type;
}

/* Without statistics the present type is unknown, so that every change is reported. */
static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AlterColumnType)
        return;
    const ColumnDef *column = (const ColumnDef *)command->def;
    const char *live = lint_live_type(pass, alter->relation, command->name);
    if (live && column->raw_default == NULL && column->collClause == NULL) {
        struct type from = read_type(live), to = new_type(column->typeName);
        if (is_free(&from, &to))
            return;
        lint_report(pass, column->typeName->location,
                    "changing '%s' from %s to %s rewrites or rechecks '%s' while nothing can use "
                    "it%s",
                    command->name, live, lint_type(column->typeName),
                    lint_table(pass, alter->relation),
                    lint_cost(pass, alter->relation, WORK_REWRITE, "reads and writes"));
        return;
    }
    lint_report(pass, column->typeName->location,
                "changing the type of '%s' rewrites or rechecks '%s' while nothing can use it, "
                "unless it only widens a varchar or numeric; --schema-stats tells lint%s",
                command->name, lint_table(pass, alter->relation),
                lint_cost(pass, alter->relation, WORK_REWRITE, "reads and writes"));
}

const struct lint_rule rule_mig003 = {
    .id = "MIG003",
    .name = "alter-type-rewrites",
    .title = "ALTER COLUMN TYPE that rewrites or rechecks the table",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for a rewrite or scan of the table and its indexes",
    .recipe = "Add a column of the new type, write both (trigger or application), fill old "
              "rows in batches, read the new one, drop the old one in a later release.",
    .flagged = "ALTER TABLE orders ALTER COLUMN amount TYPE bigint;",
    .safe = "ALTER TABLE orders ADD COLUMN amount_new bigint;",
    .lengthy = true,
    .command = check,
};
