/* ADD COLUMN with REFERENCES */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddColumn)
        return;
    const ColumnDef *column = (const ColumnDef *)command->def;
    const Constraint *foreign = lint_constraint(column->constraints, CONSTR_FOREIGN);
    if (foreign)
        lint_report(pass, foreign->location,
                    "column '%s' adds a foreign key: '%s' and '%s' are locked together",
                    column->colname, lint_table(pass, alter->relation),
                    lint_table(pass, foreign->pktable));
}

const struct lint_rule rule_mig015 = {
    .id = "MIG015",
    .name = "add-column-references",
    .title = "ADD COLUMN with REFERENCES",
    .level = LINT_WARNING,
    .blocks = "reads and writes here and writes to the referenced table",
    .duration = "until the transaction ends, and for a scan if the column has a default",
    .recipe = "Add the column alone, then the foreign key NOT VALID, then VALIDATE it in "
              "another file.",
    .flagged = "ALTER TABLE orders ADD COLUMN shop bigint REFERENCES customers (id);",
    .safe = "ALTER TABLE orders ADD COLUMN shop bigint;",
    .command = check,
};
