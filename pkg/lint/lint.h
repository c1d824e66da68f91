/*
 * The migration linter: SQL text in, findings out. No I/O: the verb reads files and prints reports.
 *
 * A file is split by psql's rules, each statement is parsed by PostgreSQL's own parser
 * (libpg_query) and shown to every rule, then forgotten: memory follows the largest statement, not
 * the file. Findings of one statement are handed over before the next one is read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

enum {
    LINT_PG_OLDEST = 12,
    LINT_PG_NEWEST = 18,
    LINT_PG_DEFAULT = 17,
    LINT_STATEMENT_MAX_BYTES = 32 * 1024 * 1024,
};

enum lint_level { LINT_NOTE, LINT_WARNING, LINT_ERROR };
const char *lint_level_name(enum lint_level level);

/* How the statements of a file reach the server. */
enum lint_transaction {
    LINT_AUTO,     /* by the tool, which name and markers of the file show */
    LINT_ALWAYS,   /* all of them in one BEGIN ... COMMIT that the tool adds */
    LINT_TOGETHER, /* sent as one message: one alone runs outside, several in one transaction */
    LINT_NEVER,    /* each by itself */
};

struct lint_pass;
struct AlterTableStmt;
struct AlterTableCmd;
struct Node;

/* One kind of danger, with everything that people read about it: --list, --explain, docs/lint.md
 * and runbooks/migrations.md are checked against this table. */
struct lint_rule {
    const char *id;    /* "MIG001" */
    const char *name;  /* "create-index-blocks-writes" */
    const char *title; /* one sentence: what it finds */
    enum lint_level level;
    const char *blocks;   /* what waits: "writes", "reads and writes"; "nothing", "unknown" */
    const char *duration; /* for how long: "for the index build"; "" for nothing and unknown */
    const char *recipe;   /* what to do instead */
    const char *flagged;  /* an example that is found */
    const char *safe;     /* what to write instead */
    int since, until;     /* PostgreSQL majors; 0 means no bound */
    bool off;             /* off unless named: style */
    bool new_too;         /* applies also to tables that the same batch created */
    bool lengthy;         /* the lock lasts longer on a larger table */
    /* Either may be NULL. `command` is called for each command of an ALTER TABLE. */
    void (*statement)(struct lint_pass *pass, const struct Node *statement);
    void (*command)(struct lint_pass *pass, const struct AlterTableStmt *alter,
                    const struct AlterTableCmd *command);
};

/* All rules, in the order of their ids. */
const struct lint_rule *const *lint_rules(size_t *ret_count);
const struct lint_rule *lint_rule_find(const char *id, size_t length);

struct lint_finding {
    const struct lint_rule *rule; /* NULL: the file cannot be read or parsed there */
    enum lint_level level;
    const char *file;
    int line, column; /* from 1; column counts characters */
    const char *message;
    const char *source; /* the line, not terminated */
    size_t source_length;
};

struct lint_stats; /* sizes, types and constraints of live tables */

/* What `lint --collect-stats` wrote. Fails with ERR_UNREADABLE. */
int lint_stats_parse(struct arena *arena, const char *text, size_t length,
                     struct lint_stats **ret_stats, struct error *err) ERR_CHECKED;

struct lint_options {
    int pg_version; /* 0: LINT_PG_DEFAULT */
    enum lint_transaction transaction;
    const char *rules;              /* "MIG001,MIG004", "all", or NULL: those that are on */
    const struct lint_stats *stats; /* may be NULL */
    void (*report)(void *arg, const struct lint_finding *finding); /* valid during the call only */
    void *arg;
};

struct lint_input {
    const char *name; /* as it was given; its last part can show the tool */
    const char *text;
    size_t length;
    enum lint_transaction transaction; /* set next to the file (Flyway, sqlx); else LINT_AUTO */
    /* Called now and then: nothing before `offset` is read any more; may be NULL. */
    void (*passed)(void *arg, size_t offset);
    void *arg;
};

struct lint_counts {
    size_t files, statements, errors, warnings, notes, suppressed, unreadable;
};

struct lint;

/* Fails with ERR_INVALID on an unknown rule or version. */
int lint_new(const struct lint_options *options, struct lint **ret_lint,
             struct error *err) ERR_CHECKED;
/* Files are linted in order: what one creates is new to the later ones. */
void lint_file(struct lint *lint, const struct lint_input *input);
/* A file that could not be read at all. */
void lint_unreadable(struct lint *lint, const char *name, const char *message);
const struct lint_counts *lint_counts(const struct lint *lint);
/* NULL is fine. */
void lint_free(struct lint *lint);

/* Does it revert another migration (name.down.sql, Flyway's U1__name.sql)? */
bool lint_is_down(const char *name);
