/* A default is stored once when it is evaluated once: now() is, random() is not. */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddColumn)
        return;
    const ColumnDef *column = (const ColumnDef *)command->def;
    const Constraint *value = lint_constraint(column->constraints, CONSTR_DEFAULT);
    bool known;
    const char *call = value ? lint_volatile(pass, value->raw_expr, &known) : NULL;
    if (call)
        lint_report(pass, value->location,
                    "%s %s volatile: adding column '%s' rewrites '%s' while nothing can use it%s",
                    call, known ? "is" : "may be", column->colname,
                    lint_table(pass, alter->relation),
                    lint_cost(pass, alter->relation, WORK_REWRITE, "reads and writes"));
}

const struct lint_rule rule_mig002 = {
    .id = "MIG002",
    .name = "volatile-default-rewrites",
    .title = "ADD COLUMN with a volatile default",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for a rewrite of the table",
    .recipe = "Add the column without a default, set the default for new rows in a second "
              "statement, fill old rows in batches, then add NOT NULL by the recipe of "
              "MIG012.",
    .flagged = "ALTER TABLE orders ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid();",
    .safe = "ALTER TABLE orders ADD COLUMN token uuid;\n"
            "ALTER TABLE orders ALTER COLUMN token SET DEFAULT gen_random_uuid();",
    .lengthy = true,
    .command = check,
};
