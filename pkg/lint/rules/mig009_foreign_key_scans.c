/* FOREIGN KEY added without NOT VALID */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AddConstraint || command->def == NULL)
        return;
    const Constraint *constraint = (const Constraint *)command->def;
    if (constraint->contype == CONSTR_FOREIGN && !constraint->skip_validation)
        lint_report(pass, constraint->location,
                    "adding a foreign key checks each row of '%s'; writes to it and to '%s' wait%s",
                    lint_table(pass, alter->relation), lint_table(pass, constraint->pktable),
                    lint_cost(pass, alter->relation, WORK_SCAN, "writes"));
}

const struct lint_rule rule_mig009 = {
    .id = "MIG009",
    .name = "foreign-key-scans",
    .title = "FOREIGN KEY added without NOT VALID",
    .level = LINT_ERROR,
    .blocks = "writes to both tables",
    .duration = "for a scan of the referencing table",
    .recipe = "Add it NOT VALID, then VALIDATE CONSTRAINT in another file.",
    .flagged = "ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (customer) REFERENCES "
               "customers (id);",
    .safe = "ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (customer) REFERENCES "
            "customers (id) NOT VALID;",
    .lengthy = true,
    .command = check,
};
