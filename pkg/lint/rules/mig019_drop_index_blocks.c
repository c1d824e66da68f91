/* DROP INDEX without CONCURRENTLY */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (!IsA(statement, DropStmt))
        return;
    const DropStmt *drop = (const DropStmt *)statement;
    if (drop->removeType != OBJECT_INDEX || drop->concurrent)
        return;
    for (int i = 0; i < list_count(drop->objects); i++)
        if (!lint_is_new_name(pass, LIST_AT(List, drop->objects, i)))
            lint_report(pass, 0, "DROP INDEX '%s' locks its table against reads and writes",
                        lint_name_text(pass, LIST_AT(List, drop->objects, i)));
}

const struct lint_rule rule_mig019 = {
    .id = "MIG019",
    .name = "drop-index-blocks",
    .title = "DROP INDEX without CONCURRENTLY",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for an instant, after waiting for every query under way",
    .recipe = "DROP INDEX CONCURRENTLY, alone in its file.",
    .flagged = "DROP INDEX orders_amount;",
    .safe = "DROP INDEX CONCURRENTLY orders_amount;",
    .statement = check,
};
