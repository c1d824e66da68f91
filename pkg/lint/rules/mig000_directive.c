/* A lint directive has no reason, names no known rule, or ignores nothing */
#include "lint/rules/rules.h"

/* Found by directives.c, which reads comments. */

const struct lint_rule rule_mig000 = {
    .id = "MIG000",
    .name = "directive",
    .title = "A lint directive has no reason, names an unknown rule, or ignores nothing",
    .level = LINT_ERROR,
    .blocks = "nothing",
    .duration = "",
    .recipe = "Write the rule and a reason right above the statement; remove directives that are "
              "not needed.",
    .flagged = "-- migration-lint: ignore=MIG005\n"
               "ALTER TABLE orders DROP COLUMN note;",
    .safe = "-- migration-lint: ignore=MIG005 reason=\"unread since release 41\"\n"
            "ALTER TABLE orders DROP COLUMN note;",
    .new_too = true,
};
