/* What rules can ask about types and expressions. */
#include "lint/internal.h"

#include <string.h>

/* Deeper than people write; a long chain of operators nests without bound. */
enum { DEPTH_MAX = 500 };

const char *lint_type(const TypeName *type)
{
    int count = list_count(type->names);
    return count ? strVal(LIST_AT(Node, type->names, count - 1)) : "";
}

int lint_type_modifier(const TypeName *type, int n)
{
    if (n >= list_count(type->typmods) || !IsA(LIST_AT(Node, type->typmods, n), A_Const))
        return -1;
    const A_Const *value = LIST_AT(A_Const, type->typmods, n);
    return IsA(&value->val, Integer) ? value->val.ival.ival : -1;
}

bool lint_is_serial(const TypeName *type)
{
    static const char *const names[] = {"serial",  "bigserial", "smallserial",
                                        "serial2", "serial4",   "serial8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(lint_type(type), names[i]) == 0)
            return true;
    return false;
}

/* Functions with pg_proc.provolatile i or s: as a default they are evaluated once and stored,
 * without a rewrite. Casts are missing here, because they are not calls by name. */
static const char *const steady[] = {
    "abs",
    "age",
    "array_append",
    "array_fill",
    "array_to_string",
    "btrim",
    "ceil",
    "ceiling",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "convert_from",
    "convert_to",
    "current_database",
    "current_schema",
    "current_setting",
    "date",
    "date_part",
    "date_trunc",
    "decode",
    "encode",
    "extract",
    "floor",
    "format",
    "greatest",
    "hashtext",
    "inet_client_addr",
    "initcap",
    "int4range",
    "int8range",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "least",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "make_timestamptz",
    "md5",
    "mod",
    "now",
    "numrange",
    "overlay",
    "position",
    "quote_ident",
    "quote_literal",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sha256",
    "split_part",
    "statement_timestamp",
    "strpos",
    "substr",
    "substring",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsvector",
    "transaction_timestamp",
    "translate",
    "trim",
    "trunc",
    "tsrange",
    "tstzrange",
    "txid_current",
    "unistr",
    "upper",
};
static const char *const restless[] = {
    "clock_timestamp",  "currval",          "gen_random_bytes",
    "gen_random_uuid",  "lastval",          "nextval",
    "pg_advisory_lock", "pg_sleep",         "random",
    "random_normal",    "setseed",          "setval",
    "timeofday",        "uuid_generate_v1", "uuid_generate_v1mc",
    "uuid_generate_v4", "uuidv4",           "uuidv7",
};

static bool is_in(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

struct walk {
    struct lint_pass *pass;
    const char *found;
    bool (*visit)(const char *value, void *arg);
    void *arg;
    bool known;
    int depth;
};

/* Only PostgreSQL's own functions are known. Any other one counts as volatile. */
static bool volatile_walker(Node *node, struct walk *walk)
{
    if (node == NULL)
        return false;
    if (walk->depth >= DEPTH_MAX) {
        walk->found = "an expression this deep";
        return true;
    }
    if (IsA(node, FuncCall)) {
        const List *names = ((FuncCall *)node)->funcname;
        const char *name = strVal(LIST_AT(Node, names, list_count(names) - 1));
        walk->known = is_in(restless, sizeof restless / sizeof restless[0], name);
        bool own =
            list_count(names) == 1 || strcmp(strVal(LIST_AT(Node, names, 0)), "pg_catalog") == 0;
        if (walk->known || !own || !is_in(steady, sizeof steady / sizeof steady[0], name)) {
            walk->found = arena_printf(lint_arena(walk->pass), "%s()", name);
            return true;
        }
    }
    walk->depth++;
    bool stop = raw_expression_tree_walker(node, volatile_walker, walk);
    walk->depth--;
    return stop;
}

const char *lint_volatile(struct lint_pass *pass, const Node *expression, bool *ret_known)
{
    struct walk walk = {.pass = pass, .known = true};
    volatile_walker((Node *)expression, &walk); /* only reads */
    *ret_known = walk.known;
    return walk.found;
}

static bool string_walker(Node *node, struct walk *walk)
{
    if (node == NULL || walk->depth >= DEPTH_MAX)
        return false;
    if (IsA(node, A_Const)) {
        const A_Const *value = (const A_Const *)node;
        return !value->isnull && IsA(&value->val, String) &&
               walk->visit(value->val.sval.sval, walk->arg);
    }
    walk->depth++;
    bool stop = raw_expression_tree_walker(node, string_walker, walk);
    walk->depth--;
    return stop;
}

/* The walker takes queries and expressions; of other statements, only their parts of these
 * kinds. */
void lint_each_string(const Node *statement, bool (*visit)(const char *value, void *arg), void *arg)
{
    struct walk walk = {.visit = visit, .arg = arg};
    switch (nodeTag(statement)) {
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
        string_walker((Node *)statement, &walk); /* only reads */
        break;
    case T_ViewStmt:
        string_walker(((const ViewStmt *)statement)->query, &walk);
        break;
    case T_CreateTableAsStmt:
        string_walker(((const CreateTableAsStmt *)statement)->query, &walk);
        break;
    case T_IndexStmt:
        string_walker(((const IndexStmt *)statement)->whereClause, &walk);
        break;
    default:
        break;
    }
}

const Constraint *lint_constraint(const List *constraints, ConstrType type)
{
    for (int i = 0; i < list_count(constraints); i++)
        if (IsA(LIST_AT(Node, constraints, i), Constraint) &&
            LIST_AT(Constraint, constraints, i)->contype == type)
            return LIST_AT(Constraint, constraints, i);
    return NULL;
}

const char *lint_not_null_column(const Node *expression)
{
    if (expression == NULL || !IsA(expression, NullTest))
        return NULL;
    const NullTest *test = (const NullTest *)expression;
    if (test->nulltesttype != IS_NOT_NULL || !IsA(test->arg, ColumnRef))
        return NULL;
    const List *fields = ((const ColumnRef *)test->arg)->fields;
    const Node *last = LIST_AT(Node, fields, list_count(fields) - 1);
    return IsA(last, String) ? strVal(last) : NULL;
}

/* An option without a value is on, as in VACUUM (FULL). What is not one of PostgreSQL's words for
 * false counts as true. */
bool lint_option(const List *options, const char *name)
{
    for (int i = 0; i < list_count(options); i++) {
        const DefElem *option = LIST_AT(DefElem, options, i);
        if (strcmp(option->defname, name) != 0)
            continue;
        if (option->arg == NULL)
            return true;
        if (IsA(option->arg, Integer))
            return ((const Integer *)option->arg)->ival != 0;
        if (IsA(option->arg, Boolean))
            return ((const Boolean *)option->arg)->boolval;
        const char *text = IsA(option->arg, String) ? strVal(option->arg) : "true";
        return strcmp(text, "off") != 0 && strcmp(text, "false") != 0 && strcmp(text, "0") != 0;
    }
    return false;
}

static void visit_column(struct lint_pass *pass, const Node *element, lint_column_visit visit)
{
    if (element == NULL || !IsA(element, ColumnDef))
        return;
    const ColumnDef *column = (const ColumnDef *)element;
    if (column->typeName)
        visit(pass, column);
}

void lint_new_columns(struct lint_pass *pass, const Node *statement, lint_column_visit visit)
{
    if (IsA(statement, CreateStmt)) {
        const CreateStmt *create = (const CreateStmt *)statement;
        for (int i = 0; i < list_count(create->tableElts); i++)
            visit_column(pass, LIST_AT(Node, create->tableElts, i), visit);
    } else if (IsA(statement, AlterTableStmt)) {
        const AlterTableStmt *alter = (const AlterTableStmt *)statement;
        for (int i = 0; i < list_count(alter->cmds); i++)
            if (LIST_AT(AlterTableCmd, alter->cmds, i)->subtype == AT_AddColumn)
                visit_column(pass, LIST_AT(AlterTableCmd, alter->cmds, i)->def, visit);
    }
}
