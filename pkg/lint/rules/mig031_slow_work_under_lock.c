/* Slow work after an ACCESS EXCLUSIVE lock in one transaction */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    struct lint_effect effect = lint_effect_of(pass, statement);
    int line;
    const char *held = lint_exclusive(pass, &line);
    if (held && effect.slow)
        lint_report(
            pass, 0,
            "this can take long, and '%s' has been locked against reads and writes since line %d",
            held, line);
}

const struct lint_rule rule_mig031 = {
    .id = "MIG031",
    .name = "slow-work-under-lock",
    .title = "Slow work after an ACCESS EXCLUSIVE lock in one transaction",
    .level = LINT_ERROR,
    .blocks = "reads and writes of the table that is already locked",
    .duration = "for as long as the slow work takes",
    .recipe = "Do the slow work in a file of its own, before or after the one that locks.",
    .flagged = "ALTER TABLE customers ADD COLUMN a int;\n"
               "UPDATE orders SET note = '' WHERE note IS NULL;",
    .safe = "ALTER TABLE customers ADD COLUMN a int;",
    .statement = check,
};
