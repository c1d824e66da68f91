/* ATTACH PARTITION without a CHECK that proves its bounds */
#include "lint/rules/rules.h"

/* Only the server can tell whether a CHECK implies the bounds; lint asks only that there is one. */
static bool has_check(struct lint_pass *pass, const RangeVar *table)
{
    return lint_recall(pass, KIND_CHECK, lint_key(pass, table)) || lint_live_has_check(pass, table);
}

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype != AT_AttachPartition)
        return;
    const PartitionCmd *attach = (const PartitionCmd *)command->def;
    if (attach->name && !lint_is_new(pass, attach->name) && !has_check(pass, attach->name))
        lint_report(pass, attach->name->location,
                    "attaching '%s' to '%s' scans it while nothing can use it: no validated CHECK "
                    "on it is known%s",
                    lint_table(pass, attach->name), lint_table(pass, alter->relation),
                    lint_cost(pass, attach->name, WORK_SCAN, "reads and writes"));
}

const struct lint_rule rule_mig027 = {
    .id = "MIG027",
    .name = "attach-scans",
    .title = "ATTACH PARTITION without a CHECK that proves its bounds",
    .level = LINT_WARNING,
    .blocks = "reads and writes of the new partition and of the default one",
    .duration = "for a scan of them",
    .recipe = "Add a CHECK that implies the bounds NOT VALID, VALIDATE it in another file, "
              "then attach: the scan is skipped.",
    .flagged = "ALTER TABLE events ATTACH PARTITION events_2031 FOR VALUES FROM (2031) TO "
               "(2032);",
    .safe = "ALTER TABLE events_2031 ADD CONSTRAINT bounds CHECK (year IS NOT NULL AND "
            "year >= 2031 AND year < 2032) NOT VALID;",
    .lengthy = true,
    .command = check,
};
