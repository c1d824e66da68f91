/* RENAME COLUMN */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (!IsA(statement, RenameStmt))
        return;
    const RenameStmt *rename = (const RenameStmt *)statement;
    if (rename->renameType == OBJECT_COLUMN && rename->relationType == OBJECT_TABLE &&
        !lint_is_new(pass, rename->relation))
        lint_report(pass, 0, "renaming column '%s' of '%s' to '%s' breaks programs that use '%s'",
                    rename->subname, lint_table(pass, rename->relation), rename->newname,
                    rename->subname);
}

const struct lint_rule rule_mig006 = {
    .id = "MIG006",
    .name = "rename-column",
    .title = "RENAME COLUMN",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for an instant; programs that use the old name fail from then on",
    .recipe = "Expand and contract: add a column of the new name, write both, fill old "
              "rows, read the new one, drop the old one.",
    .flagged = "ALTER TABLE orders RENAME COLUMN note TO remark;",
    .safe = "ALTER TABLE orders ADD COLUMN remark text;",
    .statement = check,
};
