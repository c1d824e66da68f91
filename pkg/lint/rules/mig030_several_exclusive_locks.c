/* Several tables locked ACCESS EXCLUSIVE in one transaction */
#include "lint/rules/rules.h"

#include <string.h>

static void check(struct lint_pass *pass, const Node *statement)
{
    struct lint_effect effect = lint_effect_of(pass, statement);
    int line;
    const char *held = lint_exclusive(pass, &line);
    if (held == NULL || effect.lock != LOCK_ACCESS_EXCLUSIVE || effect.table == NULL)
        return;
    if (strcmp(held, lint_key(pass, effect.table)) != 0)
        lint_report(pass, 0, "'%s' is locked ACCESS EXCLUSIVE while '%s' still is, since line %d",
                    lint_table(pass, effect.table), held, line);
}

const struct lint_rule rule_mig030 = {
    .id = "MIG030",
    .name = "several-exclusive-locks",
    .title = "Several tables locked ACCESS EXCLUSIVE in one transaction",
    .level = LINT_WARNING,
    .blocks = "reads and writes of all of them",
    .duration = "until the transaction ends; two such transactions can deadlock",
    .recipe = "One table per file, so that each lock is released before the next one is requested.",
    .flagged = "ALTER TABLE orders ADD COLUMN a int;\n"
               "ALTER TABLE customers ADD COLUMN a int;",
    .safe = "ALTER TABLE orders ADD COLUMN a int;",
    .statement = check,
};
