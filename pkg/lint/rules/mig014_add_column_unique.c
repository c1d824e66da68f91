/* ADD COLUMN with UNIQUE or PRIMARY KEY */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddColumn)
        return;
    const ColumnDef *column = (const ColumnDef *)command->def;
    const Constraint *unique = lint_constraint(column->constraints, CONSTR_UNIQUE);
    if (unique == NULL)
        unique = lint_constraint(column->constraints, CONSTR_PRIMARY);
    if (unique)
        lint_report(pass, unique->location,
                    "column '%s' needs an index, which is built while nothing can use '%s'%s",
                    column->colname, lint_table(pass, alter->relation),
                    lint_cost(pass, alter->relation, WORK_INDEX, "reads and writes"));
}

const struct lint_rule rule_mig014 = {
    .id = "MIG014",
    .name = "add-column-unique",
    .title = "ADD COLUMN with UNIQUE or PRIMARY KEY",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for the index build",
    .recipe = "Add the column alone, then build the index CONCURRENTLY and add the "
              "constraint USING INDEX.",
    .flagged = "ALTER TABLE orders ADD COLUMN code text UNIQUE;",
    .safe = "ALTER TABLE orders ADD COLUMN code text;",
    .lengthy = true,
    .command = check,
};
