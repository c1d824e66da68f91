/* UNIQUE or PRIMARY KEY added without USING INDEX */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddConstraint || command->def == NULL)
        return;
    const Constraint *constraint = (const Constraint *)command->def;
    bool primary = constraint->contype == CONSTR_PRIMARY;
    if ((primary || constraint->contype == CONSTR_UNIQUE) && constraint->indexname == NULL)
        lint_report(pass, constraint->location, "%s builds its index while nothing can use '%s'%s",
                    primary ? "PRIMARY KEY" : "UNIQUE", lint_table(pass, alter->relation),
                    lint_cost(pass, alter->relation, WORK_INDEX, "reads and writes"));
}

const struct lint_rule rule_mig011 = {
    .id = "MIG011",
    .name = "unique-builds-index",
    .title = "UNIQUE or PRIMARY KEY added without USING INDEX",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for the index build",
    .recipe = "CREATE UNIQUE INDEX CONCURRENTLY in a file of its own, then ADD CONSTRAINT "
              "... USING INDEX. For a PRIMARY KEY make the columns NOT NULL before "
              "(MIG012).",
    .flagged = "ALTER TABLE orders ADD CONSTRAINT number_once UNIQUE (number);",
    .safe = "ALTER TABLE orders ADD CONSTRAINT number_once UNIQUE USING INDEX "
            "orders_number;",
    .lengthy = true,
    .command = check,
};
