/* A column of type timestamp without time zone (style) */
#include "lint/rules/rules.h"

#include <string.h>

static bool is_bad(const ColumnDef *column)
{
    return strcmp(lint_type(column->typeName), "timestamp") == 0;
}

static void look(struct lint_pass *pass, const Node *element)
{
    if (element == NULL || !IsA(element, ColumnDef))
        return;
    const ColumnDef *column = (const ColumnDef *)element;
    if (column->typeName && is_bad(column))
        lint_report(pass, column->typeName->location,
                    "column '%s' holds no moment: timestamptz means the same in every time zone",
                    column->colname);
}

static void check(struct lint_pass *pass, const Node *statement)
{
    if (IsA(statement, CreateStmt)) {
        const CreateStmt *create = (const CreateStmt *)statement;
        for (int i = 0; i < list_count(create->tableElts); i++)
            look(pass, LIST_AT(Node, create->tableElts, i));
    } else if (IsA(statement, AlterTableStmt)) {
        const AlterTableStmt *alter = (const AlterTableStmt *)statement;
        for (int i = 0; i < list_count(alter->cmds); i++)
            if (LIST_AT(AlterTableCmd, alter->cmds, i)->subtype == AT_AddColumn)
                look(pass, LIST_AT(AlterTableCmd, alter->cmds, i)->def);
    }
}

const struct lint_rule rule_mig040 = {
    .id = "MIG040",
    .name = "timestamp-without-zone",
    .title = "A column of type timestamp without time zone (style)",
    .level = LINT_WARNING,
    .blocks = "nothing",
    .duration = "never",
    .recipe = "timestamptz: it means the same moment whatever the session's time zone.",
    .flagged = "CREATE TABLE a (at timestamp);",
    .safe = "CREATE TABLE a (at timestamptz);",
    .off = true,
    .new_too = true,
    .statement = check,
};
