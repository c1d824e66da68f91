/* A lock is taken without lock_timeout */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    struct lint_effect effect = lint_effect_of(pass, statement);
    if (effect.lock > LOCK_SHARE_UPDATE_EXCLUSIVE && effect.table && lint_wants_timeout(pass))
        lint_report(pass, 0,
                    "no lock_timeout is set: while this waits for '%s', all later queries of it "
                    "wait behind it",
                    lint_table(pass, effect.table));
}

const struct lint_rule rule_mig032 = {
    .id = "MIG032",
    .name = "no-lock-timeout",
    .title = "A lock is taken without lock_timeout",
    .level = LINT_WARNING,
    .blocks = "everything that queues behind the waiting statement",
    .duration = "for as long as the oldest query runs",
    .recipe = "SET lock_timeout = '2s' at the top of the file, and try again when it fails.",
    .flagged = "ALTER TABLE orders ADD COLUMN a int;",
    .safe = "SET lock_timeout = '2s';\n"
            "ALTER TABLE orders ADD COLUMN a int;",
    .statement = check,
};
