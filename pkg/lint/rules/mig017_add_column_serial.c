/* ADD COLUMN of type serial or as identity */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddColumn)
        return;
    const ColumnDef *column = (const ColumnDef *)command->def;
    if (lint_is_serial(column->typeName) || lint_constraint(column->constraints, CONSTR_IDENTITY))
        lint_report(
            pass, column->location,
            "adding serial or identity column '%s' rewrites '%s' while nothing can use it%s",
            column->colname, lint_table(pass, alter->relation),
            lint_cost(pass, alter->relation, WORK_REWRITE, "reads and writes"));
}

const struct lint_rule rule_mig017 = {
    .id = "MIG017",
    .name = "add-column-serial",
    .title = "ADD COLUMN of type serial or as identity",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for a rewrite of the table",
    .recipe = "Add a nullable bigint, create a sequence and set nextval() as default in a second "
              "statement, fill old rows in batches.",
    .flagged = "ALTER TABLE orders ADD COLUMN line bigserial;",
    .safe = "ALTER TABLE orders ADD COLUMN line bigint;",
    .lengthy = true,
    .command = check,
};
