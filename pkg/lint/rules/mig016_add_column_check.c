/* ADD COLUMN with CHECK */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddColumn)
        return;
    const ColumnDef *column = (const ColumnDef *)command->def;
    const Constraint *found = lint_constraint(column->constraints, CONSTR_CHECK);
    if (found)
        lint_report(pass, found->location,
                    "column '%s' adds a CHECK that scans '%s' while nothing can use it%s",
                    column->colname, lint_table(pass, alter->relation),
                    lint_cost(pass, alter->relation, WORK_SCAN, "reads and writes"));
}

const struct lint_rule rule_mig016 = {
    .id = "MIG016",
    .name = "add-column-check",
    .title = "ADD COLUMN with CHECK",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for a scan of the table",
    .recipe = "Add the column alone, then the CHECK NOT VALID, then VALIDATE it in another "
              "file.",
    .flagged = "ALTER TABLE orders ADD COLUMN size int CHECK (size > 0);",
    .safe = "ALTER TABLE orders ADD COLUMN size int;",
    .lengthy = true,
    .command = check,
};
