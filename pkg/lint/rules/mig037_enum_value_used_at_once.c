/* An enum value is added and used in one transaction */
#include "lint/rules/rules.h"

struct search {
    struct lint_pass *pass;
    const char *found;
};

static bool is_fresh(const char *value, void *arg)
{
    struct search *search = arg;
    const struct lint_memory_entry *added = lint_recall(search->pass, KIND_ENUM_VALUE, value);
    if (added && added->transaction == lint_transaction_id(search->pass))
        search->found = added->value;
    return search->found != NULL;
}

static void check(struct lint_pass *pass, const Node *statement)
{
    struct search search = {.pass = pass};
    if (lint_has_memory(pass, KIND_ENUM_VALUE))
        lint_each_string(statement, is_fresh, &search);
    if (search.found)
        lint_report(pass, 0,
                    "enum value '%s' is used in the transaction that adds it, which the server "
                    "refuses",
                    search.found);
}

const struct lint_rule rule_mig037 = {
    .id = "MIG037",
    .name = "enum-value-used-at-once",
    .title = "An enum value is added and used in one transaction",
    .level = LINT_ERROR,
    .blocks = "nothing; the server refuses the statement at once",
    .duration = "",
    .recipe = "Add the value in a file of its own.",
    .flagged = "ALTER TYPE mood ADD VALUE 'fine';\n"
               "UPDATE people SET mood = 'fine' WHERE id = 1;",
    .safe = "ALTER TYPE mood ADD VALUE 'fine';",
    .since = 12,
    .new_too = true,
    .statement = check,
};
