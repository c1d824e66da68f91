/* CREATE INDEX without CONCURRENTLY */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (!IsA(statement, IndexStmt))
        return;
    const IndexStmt *index = (const IndexStmt *)statement;
    if (!index->concurrent && !lint_is_new(pass, index->relation))
        lint_report(pass, 0, "CREATE INDEX on '%s' blocks writes until it is built%s",
                    lint_table(pass, index->relation),
                    lint_cost(pass, index->relation, WORK_INDEX, "writes"));
}

const struct lint_rule rule_mig001 = {
    .id = "MIG001",
    .name = "create-index-blocks-writes",
    .title = "CREATE INDEX without CONCURRENTLY",
    .level = LINT_ERROR,
    .blocks = "writes",
    .duration = "for the index build",
    .recipe = "Build it CONCURRENTLY, alone in its file. If the build fails, drop the "
              "invalid index CONCURRENTLY and build again.",
    .flagged = "CREATE INDEX orders_note ON orders (note);",
    .safe = "CREATE INDEX CONCURRENTLY orders_note ON orders (note);",
    .lengthy = true,
    .statement = check,
};
