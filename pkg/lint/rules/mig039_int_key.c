/* A key of type integer or smaller (style) */
#include "lint/rules/rules.h"

#include <string.h>

static bool is_bad(const ColumnDef *column)
{
    static const char *const small[] = {"int4",    "int2",        "serial",
                                        "serial4", "smallserial", "serial2"};
    if (lint_constraint(column->constraints, CONSTR_PRIMARY) == NULL)
        return false;
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
        if (strcmp(lint_type(column->typeName), small[i]) == 0)
            return true;
    return false;
}

static void look(struct lint_pass *pass, const ColumnDef *column)
{
    if (is_bad(column))
        lint_report(pass, column->typeName->location,
                    "key '%s' ends at 2147483647 or earlier; widening it later rewrites the table",
                    column->colname);
}

static void check(struct lint_pass *pass, const Node *statement)
{
    lint_new_columns(pass, statement, look);
}

const struct lint_rule rule_mig039 = {
    .id = "MIG039",
    .name = "int-key",
    .title = "A key of type integer or smaller (style)",
    .level = LINT_WARNING,
    .blocks = "nothing at first; when it is used up, all writes",
    .duration = "until it is widened, which rewrites the table",
    .recipe = "bigint: widening later rewrites the table (MIG003).",
    .flagged = "CREATE TABLE a (id serial PRIMARY KEY);",
    .safe = "CREATE TABLE a (id bigserial PRIMARY KEY);",
    .off = true,
    .new_too = true,
    .statement = check,
};
