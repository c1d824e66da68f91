/* SET NOT NULL without a validated CHECK */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_SetNotNull)
        return;
    const char *key =
        arena_printf(lint_arena(pass), "%s.%s", lint_key(pass, alter->relation), command->name);
    if (!lint_recall(pass, KIND_NOT_NULL, key) &&
        !lint_live_not_null(pass, alter->relation, command->name))
        lint_report(pass, lint_command_location(pass, alter, command),
                    "SET NOT NULL on '%s' scans '%s' while nothing can use it: no validated CHECK "
                    "(%s IS NOT NULL) is known%s",
                    command->name, lint_table(pass, alter->relation), command->name,
                    lint_cost(pass, alter->relation, WORK_SCAN, "reads and writes"));
}

const struct lint_rule rule_mig012 = {
    .id = "MIG012",
    .name = "set-not-null-scans",
    .title = "SET NOT NULL without a validated CHECK",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for a scan of the table",
    .recipe = "Add CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in another file, then "
              "SET NOT NULL: the scan is skipped; drop the CHECK.",
    .flagged = "ALTER TABLE orders ALTER COLUMN amount SET NOT NULL;",
    .safe = "ALTER TABLE orders ADD CONSTRAINT amount_there CHECK (amount IS NOT NULL) "
            "NOT VALID;",
    .lengthy = true,
    .command = check,
};
