/* EXCLUDE constraint on a live table */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddConstraint || command->def == NULL)
        return;
    const Constraint *constraint = (const Constraint *)command->def;
    if (constraint->contype == CONSTR_EXCLUSION)
        lint_report(pass, constraint->location,
                    "EXCLUDE builds its index while nothing can use '%s'%s",
                    lint_table(pass, alter->relation),
                    lint_cost(pass, alter->relation, WORK_INDEX, "reads and writes"));
}

const struct lint_rule rule_mig034 = {
    .id = "MIG034",
    .name = "exclude-builds-index",
    .title = "EXCLUDE constraint on a live table",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for the index build; there is no other way to build it",
    .recipe = "Make it part of a new table and copy the rows over, or add it in a maintenance "
              "window with lock_timeout.",
    .flagged = "ALTER TABLE orders ADD CONSTRAINT once EXCLUDE (number WITH =);",
    .safe = "CREATE TABLE bookings (room int, EXCLUDE (room WITH =));",
    .lengthy = true,
    .command = check,
};
