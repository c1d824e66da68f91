/* What a rule may ask and say about the current statement. For pkg/lint and its rules only. */
#pragma once

#include "lint/lint.h"
#include "sql/nodes.h"

/* In the order of strength. https://www.postgresql.org/docs/17/explicit-locking.html */
enum lint_lock {
    LOCK_NONE,
    LOCK_SHARE_UPDATE_EXCLUSIVE, /* neither reads nor writes wait */
    LOCK_SHARE,                  /* writes wait */
    LOCK_SHARE_ROW_EXCLUSIVE,
    LOCK_EXCLUSIVE,
    LOCK_ACCESS_EXCLUSIVE, /* reads and writes wait */
};

/* What a statement does to the live tables that it names. */
struct lint_effect {
    enum lint_lock lock;
    const RangeVar *table; /* the one with the strongest lock */
    bool slow;             /* takes longer on a larger table */
};
struct lint_effect lint_effect_of(struct lint_pass *pass, const Node *statement);

/* -- saying ----------------------------------------------------------------------------------- */
/* `location` is an offset in the statement; negative means its beginning. */
void lint_report(struct lint_pass *pass, int location, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* -- asking ----------------------------------------------------------------------------------- */
struct arena *lint_arena(struct lint_pass *pass); /* lives as long as the statement */
int lint_version(const struct lint_pass *pass);
/* Created earlier in the same files, or temporary. NULL is not new. */
bool lint_is_new(struct lint_pass *pass, const RangeVar *table);
bool lint_is_new_name(struct lint_pass *pass, const List *name);
/* "schema.table" with the search path's first schema filled in. */
const char *lint_key(struct lint_pass *pass, const RangeVar *table);
const char *lint_key_of_name(struct lint_pass *pass, const List *name);
/* "table" or "schema.table", as it was written. */
const char *lint_table(struct lint_pass *pass, const RangeVar *table);
const char *lint_name_text(struct lint_pass *pass, const List *name);
/* Where a command of this ALTER TABLE was written. */
int lint_command_location(struct lint_pass *pass, const AlterTableStmt *alter,
                          const AlterTableCmd *command);
/* Does this statement run in a transaction with others, or in one that the tool opens? */
bool lint_in_transaction(struct lint_pass *pass);
/* The current transaction; differs from every other one of the run. */
int lint_transaction_id(const struct lint_pass *pass);

/* -- remembered between statements ------------------------------------------------------------ */
enum lint_kind {
    KIND_RELATION = 'r',   /* table, view, index created in this run: schema.name */
    KIND_NOT_VALID = 'n',  /* constraint added NOT VALID: schema.table.name -> its column, if a
                              CHECK (column IS NOT NULL); "" for others; NULL if no CHECK */
    KIND_NOT_NULL = 'p',   /* column that a validated CHECK proves: schema.table.column */
    KIND_ENUM_VALUE = 'e', /* value added: the value */
    KIND_CHECK = 'c',      /* table with a validated CHECK: schema.table */
};
struct lint_memory_entry {
    int transaction, line;
    const char *value;
    bool alive;
};
void lint_remember(struct lint_pass *pass, enum lint_kind kind, const char *key, const char *value);
void lint_forget(struct lint_pass *pass, enum lint_kind kind, const char *key);
const struct lint_memory_entry *lint_recall(struct lint_pass *pass, enum lint_kind kind,
                                            const char *key);

bool lint_has_memory(const struct lint_pass *pass, enum lint_kind kind);
/* The key of the table that this transaction has locked ACCESS EXCLUSIVE, and the line that did it;
 * NULL when there is none. */
const char *lint_exclusive(const struct lint_pass *pass, int *ret_line);
/* True when no lock_timeout is set and this was not reported in this file yet. It counts as
 * reported from now on. */
bool lint_wants_timeout(struct lint_pass *pass);

/* -- live tables, as --schema-stats describes them -------------------------------------------- */
/* Is the table among them? */
bool lint_live(struct lint_pass *pass, const RangeVar *table);
/* The type as format_type() writes it; NULL when it is not known. */
const char *lint_live_type(struct lint_pass *pass, const RangeVar *table, const char *column);
/* Is there a valid CHECK (column IS NOT NULL), or is the column NOT NULL already? */
bool lint_live_not_null(struct lint_pass *pass, const RangeVar *table, const char *column);
/* Is there a valid CHECK at all? */
bool lint_live_has_check(struct lint_pass *pass, const RangeVar *table);
enum lint_work { WORK_REWRITE, WORK_SCAN, WORK_INDEX };
/* ": rewrite of 48 GB, about 6 min of blocked writes", or "". */
const char *lint_cost(struct lint_pass *pass, const RangeVar *table, enum lint_work work,
                      const char *blocked);
const char *lint_cost_of(struct arena *arena, const struct lint_stats *stats, const char *key,
                         enum lint_work work, const char *blocked);

/* -- types and expressions -------------------------------------------------------------------- */
/* Without pg_catalog: "int4", "varchar", "text", "geometry". Never NULL. */
const char *lint_type(const TypeName *type);
/* The n-th modifier, or -1. */
int lint_type_modifier(const TypeName *type, int n);
bool lint_is_serial(const TypeName *type);
/* A function in the expression that may be evaluated for each row; NULL: none, so that ADD COLUMN
 * needs no rewrite. *ret_known is false when it is not known whether the function is volatile. */
const char *lint_volatile(struct lint_pass *pass, const Node *expression, bool *ret_known);
/* The constraint of that type in a list of Constraint, or NULL. */
const Constraint *lint_constraint(const List *constraints, ConstrType type);
/* The column of an expression `column IS NOT NULL`, or NULL. */
const char *lint_not_null_column(const Node *expression);
/* The value of a boolean option: (FULL), (CONCURRENTLY off). */
bool lint_option(const List *options, const char *name);
/* Calls visit(value, arg) for each string constant of a query until it returns true. */
void lint_each_string(const Node *statement, bool (*visit)(const char *value, void *arg),
                      void *arg);

/* Visits each column with a type that CREATE TABLE or ADD COLUMN creates. */
typedef void (*lint_column_visit)(struct lint_pass *pass, const ColumnDef *column);
void lint_new_columns(struct lint_pass *pass, const Node *statement, lint_column_visit visit);
