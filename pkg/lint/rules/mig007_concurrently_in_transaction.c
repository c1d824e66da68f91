/* CONCURRENTLY in a transaction, or mixed with other statements */
#include "lint/rules/rules.h"

/* All that the server refuses in a transaction block; VACUUM is one, too. */
static const char *concurrent(const Node *statement)
{
    switch (nodeTag(statement)) {
    case T_IndexStmt:
        return ((const IndexStmt *)statement)->concurrent ? "CREATE INDEX CONCURRENTLY" : NULL;
    case T_DropStmt:
        return ((const DropStmt *)statement)->concurrent ? "DROP INDEX CONCURRENTLY" : NULL;
    case T_ReindexStmt:
        return lint_option(((const ReindexStmt *)statement)->params, "concurrently")
                   ? "REINDEX CONCURRENTLY"
                   : NULL;
    case T_VacuumStmt:
        return ((const VacuumStmt *)statement)->is_vacuumcmd ? "VACUUM" : NULL;
    case T_AlterTableStmt:
        for (int i = 0; i < list_count(((const AlterTableStmt *)statement)->cmds); i++) {
            const AlterTableCmd *command =
                LIST_AT(AlterTableCmd, ((const AlterTableStmt *)statement)->cmds, i);
            if (command->subtype == AT_DetachPartition &&
                ((const PartitionCmd *)command->def)->concurrent)
                return "DETACH PARTITION CONCURRENTLY";
        }
        return NULL;
    default:
        return NULL;
    }
}

static void check(struct lint_pass *pass, const Node *statement)
{
    const char *what = concurrent(statement);
    if (what && lint_in_transaction(pass))
        lint_report(pass, 0,
                    "%s fails in a transaction, and this file runs in one: move it to a file of "
                    "its own that runs without one",
                    what);
}

const struct lint_rule rule_mig007 = {
    .id = "MIG007",
    .name = "concurrently-in-transaction",
    .title = "CONCURRENTLY in a transaction, or mixed with other statements",
    .level = LINT_ERROR,
    .blocks = "nothing; the server refuses the statement at once",
    .duration = "",
    .recipe = "Put it into a file of its own, and tell the tool to run that file without a "
              "transaction.",
    .flagged = "CREATE INDEX CONCURRENTLY orders_note ON orders (note);\n"
               "CREATE INDEX CONCURRENTLY orders_amount ON orders (amount);",
    .safe = "CREATE INDEX CONCURRENTLY orders_note ON orders (note);",
    .new_too = true,
    .statement = check,
};
