/* What a statement creates, drops and renames, so that rules can judge later ones. */
#include "lint/internal.h"

#include <string.h>

static void created(struct lint_pass *pass, const RangeVar *table)
{
    if (table)
        lint_remember(pass, KIND_RELATION, lint_key(pass, table), NULL);
}

/* IF NOT EXISTS creates nothing if the statistics know the table: then it stays a live one. */
static void perhaps_created(struct lint_pass *pass, const RangeVar *table, bool if_not_exists)
{
    if (!if_not_exists || !lint_live(pass, table))
        created(pass, table);
}

static void dropped(struct lint_pass *pass, const DropStmt *drop)
{
    for (int i = 0; i < list_count(drop->objects); i++)
        if (IsA(LIST_AT(Node, drop->objects, i), List))
            lint_forget(pass, KIND_RELATION,
                        lint_key_of_name(pass, LIST_AT(List, drop->objects, i)));
}

static void renamed(struct lint_pass *pass, const RangeVar *relation, const char *schema,
                    const char *name)
{
    if (relation == NULL || !lint_is_new(pass, relation))
        return;
    RangeVar changed = *relation;
    if (schema)
        changed.schemaname = (char *)schema; /* only read */
    if (name)
        changed.relname = (char *)name;
    lint_forget(pass, KIND_RELATION, lint_key(pass, relation));
    created(pass, &changed);
}

static const char *member_key(struct lint_pass *pass, const RangeVar *table, const char *member)
{
    return arena_printf(lint_arena(pass), "%s.%s", lint_key(pass, table), member);
}

/* VALIDATE needs a name. Without one in the statement, PostgreSQL names a CHECK of one column
 * table_column_check. */
static void added_constraint(struct lint_pass *pass, const RangeVar *table,
                             const Constraint *constraint)
{
    const char *column =
        constraint->contype == CONSTR_CHECK ? lint_not_null_column(constraint->raw_expr) : NULL;
    if (!constraint->skip_validation) {
        if (constraint->contype == CONSTR_CHECK)
            lint_remember(pass, KIND_CHECK, lint_key(pass, table), NULL);
        if (column)
            lint_remember(pass, KIND_NOT_NULL, member_key(pass, table, column), NULL);
        return;
    }
    const char *name = constraint->conname;
    if (name == NULL && column)
        name = arena_printf(lint_arena(pass), "%s_%s_check", table->relname, column);
    const char *proves = column ? column : "";
    if (name)
        lint_remember(pass, KIND_NOT_VALID, member_key(pass, table, name),
                      constraint->contype == CONSTR_CHECK ? proves : NULL);
}

/* A constraint that these files did not add may be a CHECK. VALIDATE counts it as one, so that
 * MIG027 does not report a scan which the CHECK avoids. */
static void altered(struct lint_pass *pass, const AlterTableStmt *alter)
{
    for (int i = 0; i < list_count(alter->cmds); i++) {
        const AlterTableCmd *command = LIST_AT(AlterTableCmd, alter->cmds, i);
        if (command->subtype == AT_AddConstraint && command->def)
            added_constraint(pass, alter->relation, (const Constraint *)command->def);
        if (command->subtype == AT_ValidateConstraint) {
            const char *key = member_key(pass, alter->relation, command->name);
            const struct lint_memory_entry *entry = lint_recall(pass, KIND_NOT_VALID, key);
            if (entry == NULL || entry->value)
                lint_remember(pass, KIND_CHECK, lint_key(pass, alter->relation), NULL);
            entry = lint_recall(pass, KIND_NOT_VALID, key); /* lint_remember() may have moved it */
            if (entry && entry->value && entry->value[0])
                lint_remember(pass, KIND_NOT_NULL, member_key(pass, alter->relation, entry->value),
                              NULL);
            lint_forget(pass, KIND_NOT_VALID, key);
        }
    }
}

static void created_index(struct lint_pass *pass, const IndexStmt *index)
{
    if (index->idxname == NULL)
        return;
    RangeVar name = *index->relation;
    name.relname = index->idxname;
    created(pass, &name);
}

/* The index of a constraint is not tracked: it cannot be dropped without the constraint. */
void track(struct lint_pass *pass, const Node *statement)
{
    switch (nodeTag(statement)) {
    case T_CreateStmt:
        perhaps_created(pass, ((const CreateStmt *)statement)->relation,
                        ((const CreateStmt *)statement)->if_not_exists);
        break;
    case T_CreateForeignTableStmt:
        perhaps_created(pass, ((const CreateForeignTableStmt *)statement)->base.relation,
                        ((const CreateForeignTableStmt *)statement)->base.if_not_exists);
        break;
    case T_CreateTableAsStmt:
        perhaps_created(pass, ((const CreateTableAsStmt *)statement)->into->rel,
                        ((const CreateTableAsStmt *)statement)->if_not_exists);
        break;
    case T_ViewStmt:
        created(pass, ((const ViewStmt *)statement)->view);
        break;
    case T_SelectStmt:
        if (((const SelectStmt *)statement)->intoClause)
            created(pass, ((const SelectStmt *)statement)->intoClause->rel);
        break;
    case T_IndexStmt:
        created_index(pass, (const IndexStmt *)statement);
        break;
    case T_DropStmt:
        dropped(pass, (const DropStmt *)statement);
        break;
    case T_RenameStmt:
        if (((const RenameStmt *)statement)->renameType == OBJECT_TABLE)
            renamed(pass, ((const RenameStmt *)statement)->relation, NULL,
                    ((const RenameStmt *)statement)->newname);
        break;
    case T_AlterObjectSchemaStmt:
        renamed(pass, ((const AlterObjectSchemaStmt *)statement)->relation,
                ((const AlterObjectSchemaStmt *)statement)->newschema, NULL);
        break;
    case T_AlterTableStmt:
        altered(pass, (const AlterTableStmt *)statement);
        break;
    case T_AlterEnumStmt:
        if (((const AlterEnumStmt *)statement)->oldVal == NULL)
            lint_remember(pass, KIND_ENUM_VALUE, ((const AlterEnumStmt *)statement)->newVal,
                          ((const AlterEnumStmt *)statement)->newVal);
        break;
    case T_CreateSchemaStmt:
        for (int i = 0; i < list_count(((const CreateSchemaStmt *)statement)->schemaElts); i++) {
            Node *element = LIST_AT(Node, ((const CreateSchemaStmt *)statement)->schemaElts, i);
            if (IsA(element, CreateStmt)) {
                RangeVar table = *((CreateStmt *)element)->relation;
                if (table.schemaname == NULL)
                    table.schemaname = ((const CreateSchemaStmt *)statement)->schemaname;
                created(pass, &table);
            }
        }
        break;
    default:
        break;
    }
}
