/* LOCK TABLE */
#include "lint/rules/rules.h"

/* Only SHARE and stronger modes make writes wait. */
static void check(struct lint_pass *pass, const Node *statement)
{
    static const char *const modes[] = {
        "",      "ACCESS SHARE",        "ROW SHARE", "ROW EXCLUSIVE",   "SHARE UPDATE EXCLUSIVE",
        "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"};
    if (!IsA(statement, LockStmt))
        return;
    const LockStmt *lock = (const LockStmt *)statement;
    if (lock->mode < 5 || lock->mode > 8)
        return;
    for (int i = 0; i < list_count(lock->relations); i++) {
        const RangeVar *table = LIST_AT(RangeVar, lock->relations, i);
        if (!lint_is_new(pass, table))
            lint_report(pass, table->location,
                        "%s on '%s' is held until the transaction ends: %s wait", modes[lock->mode],
                        lint_table(pass, table), lock->mode == 8 ? "reads and writes" : "writes");
    }
}

const struct lint_rule rule_mig008 = {
    .id = "MIG008",
    .name = "lock-table",
    .title = "LOCK TABLE",
    .level = LINT_WARNING,
    .blocks = "what its mode conflicts with (without a mode: reads and writes)",
    .duration = "until the transaction ends",
    .recipe = "Set lock_timeout first, and name the narrowest mode that serves: SHARE ROW "
              "EXCLUSIVE lets reads pass.",
    .flagged = "LOCK TABLE orders;",
    .safe = "LOCK TABLE orders IN ROW SHARE MODE;",
    .statement = check,
};
