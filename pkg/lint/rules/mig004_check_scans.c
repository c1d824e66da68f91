/* ADD CHECK without NOT VALID */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddConstraint || command->def == NULL)
        return;
    const Constraint *constraint = (const Constraint *)command->def;
    if (constraint->contype == CONSTR_CHECK && !constraint->skip_validation)
        lint_report(pass, constraint->location,
                    "adding a CHECK scans '%s' while nothing can use it%s",
                    lint_table(pass, alter->relation),
                    lint_cost(pass, alter->relation, WORK_SCAN, "reads and writes"));
}

const struct lint_rule rule_mig004 = {
    .id = "MIG004",
    .name = "check-scans",
    .title = "ADD CHECK without NOT VALID",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for a scan of the table",
    .recipe = "Add it NOT VALID, then VALIDATE CONSTRAINT in another file: that scan lets "
              "reads and writes pass.",
    .flagged = "ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount > 0);",
    .safe = "ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID;",
    .lengthy = true,
    .command = check,
};
