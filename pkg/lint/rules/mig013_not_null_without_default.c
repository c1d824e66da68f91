/* ADD COLUMN NOT NULL without a default */
#include "lint/rules/rules.h"

/* A column that is filled by itself (identity, generated, serial) has a value in every row. */
static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddColumn)
        return;
    const ColumnDef *column = (const ColumnDef *)command->def;
    bool filled = lint_constraint(column->constraints, CONSTR_DEFAULT) ||
                  lint_constraint(column->constraints, CONSTR_IDENTITY) ||
                  lint_constraint(column->constraints, CONSTR_GENERATED) ||
                  lint_is_serial(column->typeName);
    const Constraint *strict = lint_constraint(column->constraints, CONSTR_NOTNULL);
    if (strict == NULL)
        strict = lint_constraint(column->constraints, CONSTR_PRIMARY);
    if (strict && !filled)
        lint_report(pass, strict->location,
                    "adding column '%s' NOT NULL without a default fails when '%s' has rows",
                    column->colname, lint_table(pass, alter->relation));
}

const struct lint_rule rule_mig013 = {
    .id = "MIG013",
    .name = "not-null-without-default",
    .title = "ADD COLUMN NOT NULL without a default",
    .level = LINT_ERROR,
    .blocks = "nothing; the statement fails at once if the table has rows",
    .duration = "",
    .recipe = "Give a constant default, which costs nothing, or add the column nullable, "
              "fill it, and follow MIG012.",
    .flagged = "ALTER TABLE orders ADD COLUMN state text NOT NULL;",
    .safe = "ALTER TABLE orders ADD COLUMN state text NOT NULL DEFAULT 'new';",
    .command = check,
};
