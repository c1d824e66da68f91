/* DETACH PARTITION without CONCURRENTLY */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_DetachPartition)
        return;
    const PartitionCmd *detach = (const PartitionCmd *)command->def;
    if (!detach->concurrent)
        lint_report(pass, lint_command_location(pass, alter, command),
                    "detaching '%s' blocks reads and writes of '%s'",
                    lint_table(pass, detach->name), lint_table(pass, alter->relation));
}

const struct lint_rule rule_mig028 = {
    .id = "MIG028",
    .name = "detach-blocks",
    .title = "DETACH PARTITION without CONCURRENTLY",
    .level = LINT_ERROR,
    .blocks = "reads and writes of the whole partitioned table",
    .duration = "for an instant, after waiting for every query under way",
    .recipe = "DETACH PARTITION ... CONCURRENTLY, alone in its file (not possible while "
              "there is a default partition).",
    .flagged = "ALTER TABLE events DETACH PARTITION events_2029;",
    .safe = "ALTER TABLE events DETACH PARTITION events_2029 CONCURRENTLY;",
    .since = 14,
    .command = check,
};
