/* RENAME of a table, or SET SCHEMA */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (IsA(statement, RenameStmt)) {
        const RenameStmt *rename = (const RenameStmt *)statement;
        if (rename->renameType == OBJECT_TABLE && !lint_is_new(pass, rename->relation))
            lint_report(pass, rename->relation->location,
                        "renaming '%s' to '%s' breaks programs that use the old name",
                        lint_table(pass, rename->relation), rename->newname);
    } else if (IsA(statement, AlterObjectSchemaStmt)) {
        const AlterObjectSchemaStmt *move = (const AlterObjectSchemaStmt *)statement;
        if (move->objectType == OBJECT_TABLE && !lint_is_new(pass, move->relation))
            lint_report(pass, move->relation->location,
                        "moving '%s' to schema '%s' breaks programs that use the old name",
                        lint_table(pass, move->relation), move->newschema);
    }
}

const struct lint_rule rule_mig022 = {
    .id = "MIG022",
    .name = "rename-table",
    .title = "RENAME of a table, or SET SCHEMA",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for an instant; programs that use the old name fail from then on",
    .recipe = "Leave a view of the old name in the same transaction, or keep the name.",
    .flagged = "ALTER TABLE notes RENAME TO remarks;",
    .safe = "CREATE VIEW remarks AS SELECT * FROM notes;",
    .statement = check,
};
