/* psql's own commands and COPY data, which lint skips */
#include "lint/rules/rules.h"

/* Found by engine.c, which reads what is not SQL. */

const struct lint_rule rule_mig043 = {
    .id = "MIG043",
    .name = "skipped",
    .title = "psql's own commands and COPY data, which lint skips",
    .level = LINT_NOTE,
    .blocks = "unknown",
    .duration = "",
    .recipe = "Nothing to do; lint the files that \\i includes as well.",
    .flagged = "\\set ON_ERROR_STOP on",
    .safe = "SELECT 1;",
    .new_too = true,
};
