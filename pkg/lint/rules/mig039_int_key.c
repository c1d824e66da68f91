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

static void look(struct lint_pass *pass, const Node *element)
{
    if (element == NULL || !IsA(element, ColumnDef))
        return;
    const ColumnDef *column = (const ColumnDef *)element;
    if (column->typeName && is_bad(column))
        lint_report(pass, column->typeName->location,
                    "key '%s' ends at 2147483647 or before; widening it later rewrites the table",
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

const struct lint_rule rule_mig039 = {
    .id = "MIG039",
    .name = "int-key",
    .title = "A key of type integer or smaller (style)",
    .level = LINT_WARNING,
    .blocks = "nothing at first; all writes when it is used up",
    .duration = "until it is widened, which rewrites the table",
    .recipe = "bigint: widening later rewrites the table (MIG003).",
    .flagged = "CREATE TABLE a (id serial PRIMARY KEY);",
    .safe = "CREATE TABLE a (id bigserial PRIMARY KEY);",
    .off = true,
    .new_too = true,
    .statement = check,
};
