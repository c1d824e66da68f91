/* CLUSTER */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (!IsA(statement, ClusterStmt))
        return;
    const ClusterStmt *cluster = (const ClusterStmt *)statement;
    if (cluster->relation == NULL)
        lint_report(pass, 0, "CLUSTER rewrites every clustered table while nothing can use it");
    else if (!lint_is_new(pass, cluster->relation))
        lint_report(pass, cluster->relation->location,
                    "CLUSTER rewrites '%s' while nothing can use it%s",
                    lint_table(pass, cluster->relation),
                    lint_cost(pass, cluster->relation, WORK_REWRITE, "reads and writes"));
}

const struct lint_rule rule_mig025 = {
    .id = "MIG025",
    .name = "cluster",
    .title = "CLUSTER",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for a rewrite of the table and its indexes",
    .recipe =
        "A tool that rewrites the table online (pg_repack), or an index that covers the query.",
    .flagged = "CLUSTER orders USING orders_pkey;",
    .safe = "ALTER TABLE orders CLUSTER ON orders_pkey;",
    .lengthy = true,
    .statement = check,
};
