/* TRUNCATE of a live table */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (!IsA(statement, TruncateStmt))
        return;
    const TruncateStmt *truncate = (const TruncateStmt *)statement;
    for (int i = 0; i < list_count(truncate->relations); i++) {
        const RangeVar *table = LIST_AT(RangeVar, truncate->relations, i);
        if (!lint_is_new(pass, table))
            lint_report(
                pass, table->location, "TRUNCATE empties '%s'%s and blocks reads and writes",
                lint_table(pass, table),
                truncate->behavior == DROP_CASCADE ? " and, by CASCADE, all tables that refer to it"
                                                   : "");
    }
}

const struct lint_rule rule_mig023 = {
    .id = "MIG023",
    .name = "truncate",
    .title = "TRUNCATE of a live table",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for an instant; all rows are gone, and CASCADE empties the tables that "
                "refer to it",
    .recipe = "To remove rows from a table in use, DELETE in batches.",
    .flagged = "TRUNCATE notes;",
    .safe = "DELETE FROM notes WHERE id <= 1000;",
    .statement = check,
};
