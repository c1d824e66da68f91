/* UPDATE or DELETE without WHERE */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    const RangeVar *table = NULL;
    const Node *where = NULL;
    if (IsA(statement, UpdateStmt)) {
        table = ((const UpdateStmt *)statement)->relation;
        where = ((const UpdateStmt *)statement)->whereClause;
    } else if (IsA(statement, DeleteStmt)) {
        table = ((const DeleteStmt *)statement)->relation;
        where = ((const DeleteStmt *)statement)->whereClause;
    }
    if (table && where == NULL && !lint_is_new(pass, table))
        lint_report(pass, table->location,
                    "%s of every row of '%s' locks the rows until the transaction ends%s",
                    IsA(statement, UpdateStmt) ? "UPDATE" : "DELETE", lint_table(pass, table),
                    lint_cost(pass, table, WORK_REWRITE, "writes of the same rows"));
}

const struct lint_rule rule_mig033 = {
    .id = "MIG033",
    .name = "update-all-rows",
    .title = "UPDATE or DELETE without WHERE",
    .level = LINT_WARNING,
    .blocks = "writes to the same rows",
    .duration = "for the whole statement; dead rows stay until VACUUM",
    .recipe = "Change rows in batches by key, each in a transaction of its own.",
    .flagged = "UPDATE orders SET note = 'none';",
    .safe = "UPDATE orders SET note = 'none' WHERE id BETWEEN 1 AND 1000;",
    .statement = check,
};
