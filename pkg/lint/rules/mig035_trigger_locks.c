/* CREATE or DROP TRIGGER on a live table */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (IsA(statement, CreateTrigStmt)) {
        const CreateTrigStmt *create = (const CreateTrigStmt *)statement;
        if (!lint_is_new(pass, create->relation))
            lint_report(pass, create->relation->location, "CREATE TRIGGER blocks writes to '%s'",
                        lint_table(pass, create->relation));
        return;
    }
    if (!IsA(statement, DropStmt) || ((const DropStmt *)statement)->removeType != OBJECT_TRIGGER)
        return;
    const List *name = LIST_AT(List, ((const DropStmt *)statement)->objects, 0);
    List table = *name; /* the trigger's own name comes last */
    table.length--;
    if (table.length > 0 && !lint_is_new_name(pass, &table))
        lint_report(pass, 0, "DROP TRIGGER blocks reads and writes of '%s'",
                    lint_name_text(pass, &table));
}

const struct lint_rule rule_mig035 = {
    .id = "MIG035",
    .name = "trigger-locks",
    .title = "CREATE or DROP TRIGGER on a live table",
    .level = LINT_WARNING,
    .blocks = "writes (CREATE) or reads and writes (DROP)",
    .duration = "for an instant, after waiting for every write (CREATE) or query (DROP) "
                "under way",
    .recipe = "Set lock_timeout; CREATE OR REPLACE the trigger's function rather than the "
              "trigger.",
    .flagged = "CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION "
               "touch();",
    .safe = "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RETURN NEW; END';",
    .statement = check,
};
