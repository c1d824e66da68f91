/* A column of type timestamp without time zone (style) */
#include "lint/rules/rules.h"

#include <string.h>

static void look(struct lint_pass *pass, const ColumnDef *column)
{
    if (strcmp(lint_type(column->typeName), "timestamp") == 0)
        lint_report(
            pass, column->typeName->location,
            "column '%s' has no time zone: timestamptz is the same moment in every time zone",
            column->colname);
}

static void check(struct lint_pass *pass, const Node *statement)
{
    lint_new_columns(pass, statement, look);
}

const struct lint_rule rule_mig040 = {
    .id = "MIG040",
    .name = "timestamp-without-zone",
    .title = "A column of type timestamp without time zone (style)",
    .level = LINT_WARNING,
    .blocks = "nothing",
    .duration = "",
    .recipe = "timestamptz: it means the same moment whatever the session's time zone.",
    .flagged = "CREATE TABLE a (at timestamp);",
    .safe = "CREATE TABLE a (at timestamptz);",
    .off = true,
    .new_too = true,
    .statement = check,
};
