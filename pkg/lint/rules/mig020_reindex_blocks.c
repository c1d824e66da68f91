/* REINDEX without CONCURRENTLY */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (!IsA(statement, ReindexStmt))
        return;
    const ReindexStmt *reindex = (const ReindexStmt *)statement;
    if (lint_option(reindex->params, "concurrently") || lint_is_new(pass, reindex->relation))
        return;
    const char *name = reindex->relation ? lint_table(pass, reindex->relation) : reindex->name;
    lint_report(pass, 0, "REINDEX of '%s' blocks writes, and reads by the index, until it is built",
                name ? name : "the database");
}

const struct lint_rule rule_mig020 = {
    .id = "MIG020",
    .name = "reindex-blocks",
    .title = "REINDEX without CONCURRENTLY",
    .level = LINT_ERROR,
    .blocks = "writes (and reads that could use the index)",
    .duration = "for the index build",
    .recipe = "REINDEX ... CONCURRENTLY, alone in its file.",
    .flagged = "REINDEX INDEX orders_amount;",
    .safe = "REINDEX INDEX CONCURRENTLY orders_amount;",
    .lengthy = true,
    .statement = check,
};
