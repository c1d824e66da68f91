/* A column of type json (style) */
#include "lint/rules/rules.h"

#include <string.h>

static void look(struct lint_pass *pass, const ColumnDef *column)
{
    if (strcmp(lint_type(column->typeName), "json") == 0)
        lint_report(pass, column->typeName->location,
                    "column '%s' is json: jsonb can be compared and indexed", column->colname);
}

static void check(struct lint_pass *pass, const Node *statement)
{
    lint_new_columns(pass, statement, look);
}

const struct lint_rule rule_mig038 = {
    .id = "MIG038",
    .name = "json-column",
    .title = "A column of type json (style)",
    .level = LINT_WARNING,
    .blocks = "nothing",
    .duration = "",
    .recipe = "jsonb: it can be compared, indexed and used in SELECT DISTINCT.",
    .flagged = "CREATE TABLE a (body json);",
    .safe = "CREATE TABLE a (body jsonb);",
    .off = true,
    .new_too = true,
    .statement = check,
};
