/* SET TABLESPACE, ACCESS METHOD, LOGGED or UNLOGGED */
#include "lint/rules/rules.h"

static const char *name_of(AlterTableType type)
{
    switch (type) {
    case AT_SetTableSpace:
        return "SET TABLESPACE";
    case AT_SetAccessMethod:
        return "SET ACCESS METHOD";
    case AT_SetLogged:
        return "SET LOGGED";
    case AT_SetUnLogged:
        return "SET UNLOGGED";
    default:
        return NULL;
    }
}

static void check(struct lint_pass *pass, const AlterTableStmt *alter, const AlterTableCmd *command)
{
    const char *what = name_of(command->subtype);
    if (what)
        lint_report(pass, lint_command_location(pass, alter, command),
                    "%s copies '%s' while nothing can use it%s", what,
                    lint_table(pass, alter->relation),
                    lint_cost(pass, alter->relation, WORK_REWRITE, "reads and writes"));
}

const struct lint_rule rule_mig036 = {
    .id = "MIG036",
    .name = "storage-change-rewrites",
    .title = "SET TABLESPACE, ACCESS METHOD, LOGGED or UNLOGGED",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for a copy of the whole table",
    .recipe = "Create a new table there, copy the rows in batches and swap the tables; or use a "
              "maintenance window.",
    .flagged = "ALTER TABLE orders SET UNLOGGED;",
    .safe = "CREATE UNLOGGED TABLE scratch (id int);",
    .lengthy = true,
    .command = check,
};
