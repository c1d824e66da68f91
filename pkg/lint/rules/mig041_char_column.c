/* A column of type char(n) (style) */
#include "lint/rules/rules.h"

#include <string.h>

static void look(struct lint_pass *pass, const ColumnDef *column)
{
    if (strcmp(lint_type(column->typeName), "bpchar") == 0)
        lint_report(pass, column->typeName->location,
                    "column '%s' is char(n), which is padded with blanks: use text",
                    column->colname);
}

static void check(struct lint_pass *pass, const Node *statement)
{
    lint_new_columns(pass, statement, look);
}

const struct lint_rule rule_mig041 = {
    .id = "MIG041",
    .name = "char-column",
    .title = "A column of type char(n) (style)",
    .level = LINT_WARNING,
    .blocks = "nothing",
    .duration = "",
    .recipe = "text, with a CHECK on its length where that matters.",
    .flagged = "CREATE TABLE a (code char(3));",
    .safe = "CREATE TABLE a (code text CHECK (length(code) = 3));",
    .off = true,
    .new_too = true,
    .statement = check,
};
