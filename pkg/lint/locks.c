/*
 * The strongest lock that a statement takes on a live table, and whether the statement takes longer
 * on a larger table. https://www.postgresql.org/docs/17/explicit-locking.html; tests/lint proves
 * it.
 */
#include "lint/internal.h"

/* As AlterTableGetLockLevel() of PostgreSQL. Commands that are not listed count as ACCESS
 * EXCLUSIVE. */
static enum lint_lock command_lock(struct lint_pass *pass, const AlterTableCmd *command)
{
    switch (command->subtype) {
    case AT_ValidateConstraint:
    case AT_SetStatistics:
    case AT_SetOptions:
    case AT_ResetOptions:
    case AT_SetRelOptions:
    case AT_ResetRelOptions:
    case AT_ClusterOn:
    case AT_DropCluster:
    case AT_AttachPartition:
        return LOCK_SHARE_UPDATE_EXCLUSIVE;
    case AT_EnableTrig:
    case AT_EnableAlwaysTrig:
    case AT_EnableReplicaTrig:
    case AT_DisableTrig:
    case AT_EnableTrigAll:
    case AT_DisableTrigAll:
    case AT_EnableTrigUser:
    case AT_DisableTrigUser:
        return LOCK_SHARE_ROW_EXCLUSIVE;
    case AT_AddConstraint:
        return command->def && ((const Constraint *)command->def)->contype == CONSTR_FOREIGN
                   ? LOCK_SHARE_ROW_EXCLUSIVE
                   : LOCK_ACCESS_EXCLUSIVE;
    case AT_DetachPartition:
        return command->def && ((const PartitionCmd *)command->def)->concurrent &&
                       lint_version(pass) >= 14
                   ? LOCK_SHARE_UPDATE_EXCLUSIVE
                   : LOCK_ACCESS_EXCLUSIVE;
    default:
        return LOCK_ACCESS_EXCLUSIVE;
    }
}

static void take(struct lint_pass *pass, struct lint_effect *effect, const RangeVar *table,
                 enum lint_lock lock)
{
    if (table && lock > effect->lock && !lint_is_new(pass, table)) {
        effect->lock = lock;
        effect->table = table;
    }
}

static void take_list(struct lint_pass *pass, struct lint_effect *effect, const List *tables,
                      enum lint_lock lock)
{
    for (int i = 0; i < list_count(tables); i++)
        take(pass, effect, LIST_AT(RangeVar, tables, i), lock);
}

static void alter(struct lint_pass *pass, struct lint_effect *effect, const AlterTableStmt *alter)
{
    if (alter->objtype != OBJECT_TABLE && alter->objtype != OBJECT_MATVIEW)
        return;
    for (int i = 0; i < list_count(alter->cmds); i++) {
        const AlterTableCmd *command = LIST_AT(AlterTableCmd, alter->cmds, i);
        take(pass, effect, alter->relation, command_lock(pass, command));
        effect->slow |= command->subtype == AT_ValidateConstraint && effect->table != NULL;
    }
}

static void dml(struct lint_pass *pass, struct lint_effect *effect, const RangeVar *table,
                const Node *source)
{
    bool many = source == NULL || IsA(source, SelectStmt);
    if (source && IsA(source, SelectStmt))
        many = ((const SelectStmt *)source)->valuesLists == NIL &&
               list_count(((const SelectStmt *)source)->fromClause) > 0;
    effect->slow = many && !lint_is_new(pass, table);
}

static void drop(struct lint_pass *pass, struct lint_effect *effect, const DropStmt *drop)
{
    if (drop->removeType != OBJECT_TABLE || list_count(drop->objects) == 0)
        return;
    for (int i = 0; i < list_count(drop->objects); i++)
        if (!lint_is_new_name(pass, LIST_AT(List, drop->objects, i))) {
            const List *name = LIST_AT(List, drop->objects, i);
            RangeVar *table = arena_alloc(lint_arena(pass), sizeof *table);
            table->type = T_RangeVar;
            table->relname = strVal(LIST_AT(Node, name, list_count(name) - 1));
            if (list_count(name) > 1)
                table->schemaname = strVal(LIST_AT(Node, name, list_count(name) - 2));
            take(pass, effect, table, LOCK_ACCESS_EXCLUSIVE);
        }
}

/* Only what blocks all readers or writers of a live table counts. The row locks of UPDATE, DELETE
 * and INSERT do not, but these statements may be slow while an earlier lock is held. */
static struct lint_effect find_effect(struct lint_pass *pass, const Node *statement)
{
    struct lint_effect effect = {0};
    switch (nodeTag(statement)) {
    case T_AlterTableStmt:
        alter(pass, &effect, (const AlterTableStmt *)statement);
        break;
    case T_IndexStmt:
        effect.slow = !lint_is_new(pass, ((const IndexStmt *)statement)->relation);
        if (!((const IndexStmt *)statement)->concurrent)
            take(pass, &effect, ((const IndexStmt *)statement)->relation, LOCK_SHARE);
        break;
    case T_CreateTrigStmt:
        take(pass, &effect, ((const CreateTrigStmt *)statement)->relation,
             LOCK_SHARE_ROW_EXCLUSIVE);
        break;
    case T_RenameStmt:
        if (((const RenameStmt *)statement)->renameType == OBJECT_TABLE ||
            ((const RenameStmt *)statement)->renameType == OBJECT_COLUMN)
            take(pass, &effect, ((const RenameStmt *)statement)->relation, LOCK_ACCESS_EXCLUSIVE);
        break;
    case T_TruncateStmt:
        take_list(pass, &effect, ((const TruncateStmt *)statement)->relations,
                  LOCK_ACCESS_EXCLUSIVE);
        break;
    case T_LockStmt:
        take_list(pass, &effect, ((const LockStmt *)statement)->relations,
                  ((const LockStmt *)statement)->mode >= 8 ? LOCK_ACCESS_EXCLUSIVE : LOCK_SHARE);
        break;
    case T_CreateStmt:
        if (((const CreateStmt *)statement)->partbound)
            take_list(pass, &effect, ((const CreateStmt *)statement)->inhRelations,
                      LOCK_ACCESS_EXCLUSIVE);
        break;
    case T_ClusterStmt:
        take(pass, &effect, ((const ClusterStmt *)statement)->relation, LOCK_ACCESS_EXCLUSIVE);
        break;
    case T_RefreshMatViewStmt:
        if (!((const RefreshMatViewStmt *)statement)->concurrent)
            take(pass, &effect, ((const RefreshMatViewStmt *)statement)->relation,
                 LOCK_ACCESS_EXCLUSIVE);
        break;
    case T_DropStmt:
        drop(pass, &effect, (const DropStmt *)statement);
        break;
    case T_UpdateStmt:
        dml(pass, &effect, ((const UpdateStmt *)statement)->relation, NULL);
        break;
    case T_DeleteStmt:
        dml(pass, &effect, ((const DeleteStmt *)statement)->relation, NULL);
        break;
    case T_InsertStmt:
        if (((const InsertStmt *)statement)->selectStmt)
            dml(pass, &effect, ((const InsertStmt *)statement)->relation,
                ((const InsertStmt *)statement)->selectStmt);
        break;
    default:
        break;
    }
    return effect;
}

struct lint_effect lint_effect_of(struct lint_pass *pass, const Node *statement)
{
    if (!pass->effect_known)
        pass->effect = find_effect(pass, statement);
    pass->effect_known = true;
    struct lint_effect effect = pass->effect;
    effect.slow |= pass->lengthy_found; /* found by rules with smaller ids */
    return effect;
}
