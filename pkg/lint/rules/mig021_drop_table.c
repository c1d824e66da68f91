/* DROP TABLE */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (!IsA(statement, DropStmt))
        return;
    const DropStmt *drop = (const DropStmt *)statement;
    if (drop->removeType != OBJECT_TABLE)
        return;
    for (int i = 0; i < list_count(drop->objects); i++)
        if (!lint_is_new_name(pass, LIST_AT(List, drop->objects, i)))
            lint_report(pass, 0, "DROP TABLE '%s' breaks programs that use it%s",
                        lint_name_text(pass, LIST_AT(List, drop->objects, i)),
                        drop->behavior == DROP_CASCADE ? ", and CASCADE drops what depends on it"
                                                       : "");
}

const struct lint_rule rule_mig021 = {
    .id = "MIG021",
    .name = "drop-table",
    .title = "DROP TABLE",
    .level = LINT_ERROR,
    .blocks = "reads and writes of it and of the tables that its foreign keys name",
    .duration = "for an instant; programs that still use it fail from then on",
    .recipe = "First release: stop using it. Second release: drop it, with a directive "
              "that says so.",
    .flagged = "DROP TABLE notes;",
    .safe = "-- migration-lint: ignore=MIG021 reason=\"unused since the last release\"\n"
            "DROP TABLE notes;",
    .statement = check,
};
