/* DROP COLUMN */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    if (command->subtype == AT_DropColumn)
        lint_report(pass, lint_command_location(pass, alter, command),
                    "dropping column '%s' of '%s' breaks programs that still name it",
                    command->name, lint_table(pass, alter->relation));
}

const struct lint_rule rule_mig005 = {
    .id = "MIG005",
    .name = "drop-column",
    .title = "DROP COLUMN",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for an instant; programs that still name the column fail from then on",
    .recipe = "First release: stop reading and writing it. Second release: drop it, with a "
              "directive that says so.",
    .flagged = "ALTER TABLE orders DROP COLUMN note;",
    .safe = "-- migration-lint: ignore=MIG005 reason=\"nothing reads it since the last "
            "release\"\n"
            "ALTER TABLE orders DROP COLUMN note;",
    .command = check,
};
