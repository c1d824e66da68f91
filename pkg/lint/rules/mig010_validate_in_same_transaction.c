/* NOT VALID and VALIDATE CONSTRAINT in one transaction */
#include "lint/rules/rules.h"

#include <string.h>

static bool added_here(const AlterTableStmt *alter, const AlterTableCmd *before)
{
    for (int i = 0; i < list_count(alter->cmds); i++) {
        const AlterTableCmd *command = LIST_AT(AlterTableCmd, alter->cmds, i);
        if (command == before)
            return false;
        const Constraint *constraint = (const Constraint *)command->def;
        if (command->subtype == AT_AddConstraint && constraint && constraint->conname &&
            strcmp(constraint->conname, before->name) == 0)
            return true;
    }
    return false;
}

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_ValidateConstraint)
        return;
    const char *key =
        arena_printf(lint_arena(pass), "%s.%s", lint_key(pass, alter->relation), command->name);
    const struct lint_memory_entry *added = lint_recall(pass, KIND_NOT_VALID, key);
    if (added_here(alter, command) || (added && added->transaction == lint_transaction_id(pass)))
        lint_report(pass, lint_command_location(pass, alter, command),
                    "'%s' was added in the same transaction: its lock on '%s' is held while the "
                    "rows are checked%s",
                    command->name, lint_table(pass, alter->relation),
                    lint_cost(pass, alter->relation, WORK_SCAN, "writes"));
}

const struct lint_rule rule_mig010 = {
    .id = "MIG010",
    .name = "validate-in-same-transaction",
    .title = "NOT VALID and VALIDATE CONSTRAINT in one transaction",
    .level = LINT_ERROR,
    .blocks = "what the ADD blocks (reads and writes for a CHECK, writes for a foreign key)",
    .duration = "for a scan of the table",
    .recipe = "Validate in another file, so that the lock of ADD CONSTRAINT is released before the "
              "scan starts.",
    .flagged = "ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID;\n"
               "ALTER TABLE orders VALIDATE CONSTRAINT positive;",
    .safe = "ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID;",
    .lengthy = true,
    .command = check,
};
