/* REFRESH MATERIALIZED VIEW without CONCURRENTLY */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (!IsA(statement, RefreshMatViewStmt))
        return;
    const RefreshMatViewStmt *refresh = (const RefreshMatViewStmt *)statement;
    if (!refresh->concurrent && !lint_is_new(pass, refresh->relation))
        lint_report(pass, refresh->relation->location, "REFRESH blocks reads of '%s'%s",
                    lint_table(pass, refresh->relation),
                    lint_cost(pass, refresh->relation, WORK_REWRITE, "reads"));
}

const struct lint_rule rule_mig026 = {
    .id = "MIG026",
    .name = "refresh-blocks-reads",
    .title = "REFRESH MATERIALIZED VIEW without CONCURRENTLY",
    .level = LINT_ERROR,
    .blocks = "reads of the view",
    .duration = "for as long as its query runs",
    .recipe = "REFRESH MATERIALIZED VIEW CONCURRENTLY; the view needs a unique index "
              "without WHERE.",
    .flagged = "REFRESH MATERIALIZED VIEW totals;",
    .safe = "REFRESH MATERIALIZED VIEW CONCURRENTLY totals;",
    .lengthy = true,
    .statement = check,
};
