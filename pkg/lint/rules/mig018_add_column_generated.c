/* ADD COLUMN GENERATED ... STORED */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddColumn)
        return;
    const ColumnDef *column = (const ColumnDef *)command->def;
    const Constraint *generated = lint_constraint(column->constraints, CONSTR_GENERATED);
    if (generated)
        lint_report(pass, generated->location,
                    "adding generated column '%s' rewrites '%s' while nothing can use it%s",
                    column->colname, lint_table(pass, alter->relation),
                    lint_cost(pass, alter->relation, WORK_REWRITE, "reads and writes"));
}

const struct lint_rule rule_mig018 = {
    .id = "MIG018",
    .name = "add-column-generated",
    .title = "ADD COLUMN GENERATED ... STORED",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for a rewrite of the table",
    .recipe = "Add a plain column, maintain it with a trigger, fill old rows in batches; or index "
              "the expression instead.",
    .flagged = "ALTER TABLE orders ADD COLUMN gross int GENERATED ALWAYS AS (amount * 2) "
               "STORED;",
    .safe = "ALTER TABLE orders ADD COLUMN gross int;",
    .lengthy = true,
    .command = check,
};
