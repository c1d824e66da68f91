/* A DO block, EXECUTE or \gexec: dynamic SQL that lint cannot see */
#include "lint/rules/rules.h"

static void check(struct lint_pass *pass, const Node *statement)
{
    if (IsA(statement, DoStmt))
        lint_report(pass, 0, "what a DO block runs cannot be analysed");
    else if (IsA(statement, ExecuteStmt))
        lint_report(pass, 0, "what EXECUTE runs cannot be analysed");
    else if (IsA(statement, CallStmt))
        lint_report(pass, 0, "what a procedure runs cannot be analysed");
}

const struct lint_rule rule_mig042 = {
    .id = "MIG042",
    .name = "not-analysable",
    .title = "A DO block, EXECUTE or \\gexec: dynamic SQL that lint cannot see",
    .level = LINT_WARNING,
    .blocks = "unknown",
    .duration = "",
    .recipe = "Write the statements out; or look at each by hand and say so in a directive.",
    .flagged = "DO $$ BEGIN EXECUTE 'ALTER TABLE orders ADD COLUMN a int'; END $$;",
    .safe = "ALTER TABLE orders ADD COLUMN a int;",
    .new_too = true,
    .statement = check,
};
