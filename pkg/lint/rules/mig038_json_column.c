/* A column of type json (style) */
#include "lint/rules/rules.h"

#include <string.h>

static bool is_bad(const ColumnDef *column)
{
    return strcmp(lint_type(column->typeName), "json") == 0;
}

static void look(struct lint_pass *pass, const Node *element)
{
    if (element == NULL || !IsA(element, ColumnDef))
        return;
    const ColumnDef *column = (const ColumnDef *)element;
    if (column->typeName && is_bad(column))
        lint_report(pass, column->typeName->location,
                    "column '%s' is json: jsonb can be compared and indexed", column->colname);
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

const struct lint_rule rule_mig038 = {
    .id = "MIG038",
    .name = "json-column",
    .title = "A column of type json (style)",
    .level = LINT_WARNING,
    .blocks = "nothing",
    .duration = "never",
    .recipe = "jsonb: it can be compared, indexed and used in SELECT DISTINCT.",
    .flagged = "CREATE TABLE a (body json);",
    .safe = "CREATE TABLE a (body jsonb);",
    .off = true,
    .new_too = true,
    .statement = check,
};
