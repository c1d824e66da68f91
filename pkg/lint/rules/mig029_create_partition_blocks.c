/* CREATE TABLE ... PARTITION OF a live table */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (!IsA(statement, CreateStmt))
        return;
    const CreateStmt *create = (const CreateStmt *)statement;
    if (create->partbound == NULL || list_count(create->inhRelations) == 0)
        return;
    const RangeVar *parent = LIST_AT(RangeVar, create->inhRelations, 0);
    if (!lint_is_new(pass, parent))
        lint_report(pass, parent->location,
                    "a new partition of '%s' locks it, and its default partition, against reads "
                    "and writes: create the table alone and ATTACH it",
                    lint_table(pass, parent));
}

const struct lint_rule rule_mig029 = {
    .id = "MIG029",
    .name = "create-partition-blocks",
    .title = "CREATE TABLE ... PARTITION OF a live table",
    .level = LINT_ERROR,
    .blocks = "reads and writes of the whole partitioned table and of its default partition",
    .duration = "for an instant, after waiting for every query under way, and for a scan of the "
                "default partition",
    .recipe = "CREATE TABLE ... (LIKE parent INCLUDING ALL), then ATTACH PARTITION: that "
              "lets reads and writes of the parent pass.",
    .flagged = "CREATE TABLE events_2033 PARTITION OF events FOR VALUES FROM (2033) TO "
               "(2034);",
    .safe = "CREATE TABLE events_2033 (LIKE events INCLUDING ALL);\n"
            "ALTER TABLE events ATTACH PARTITION events_2033 FOR VALUES FROM (2033) TO "
            "(2034);",
    .statement = check,
};
