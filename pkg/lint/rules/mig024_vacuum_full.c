/* VACUUM FULL */
#include "lint/rules/rules.h"

/* Without a list of tables it is about all of them. */
static void check(struct lint_pass *pass, const Node *statement)
{
    if (!IsA(statement, VacuumStmt))
        return;
    const VacuumStmt *vacuum = (const VacuumStmt *)statement;
    if (!vacuum->is_vacuumcmd || !lint_option(vacuum->options, "full"))
        return;
    if (list_count(vacuum->rels) == 0)
        lint_report(pass, 0, "VACUUM FULL rewrites every table while nothing can use it");
    for (int i = 0; i < list_count(vacuum->rels); i++) {
        const RangeVar *table = LIST_AT(VacuumRelation, vacuum->rels, i)->relation;
        if (!lint_is_new(pass, table))
            lint_report(
                pass, table->location, "VACUUM FULL rewrites '%s' while nothing can use it%s",
                lint_table(pass, table), lint_cost(pass, table, WORK_REWRITE, "reads and writes"));
    }
}

const struct lint_rule rule_mig024 = {
    .id = "MIG024",
    .name = "vacuum-full",
    .title = "VACUUM FULL",
    .level = LINT_ERROR,
    .blocks = "reads and writes",
    .duration = "for a rewrite of the table and its indexes",
    .recipe = "Plain VACUUM; to return space to the system, a tool that rewrites the table online "
              "(pg_repack).",
    .flagged = "VACUUM FULL orders;",
    .safe = "VACUUM orders;",
    .lengthy = true,
    .statement = check,
};
