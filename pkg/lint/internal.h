/* The engine's own state. */
#pragma once

#include "base/buffer.h"
#include "lint/pass.h"
#include "sql/parse.h"
#include "sql/split.h"

enum { LINT_RULES_MAX = 64, LINT_IGNORES_MAX = 64 };

struct lint_memory; /* memory.c */
struct lint_memory *lint_memory_new(void);
void lint_memory_free(struct lint_memory *memory);
void lint_memory_put(struct lint_memory *memory, int kind, const char *key, const char *value,
                     int transaction, int line);
void lint_memory_drop(struct lint_memory *memory, int kind, const char *key);
const struct lint_memory_entry *lint_memory_get(const struct lint_memory *memory, int kind,
                                                const char *key);
/* Was anything of the kind ever put? */
bool lint_memory_has(const struct lint_memory *memory, int kind);
/* Drops what was put since the transaction began. */
void lint_memory_rollback(struct lint_memory *memory, int transaction);

struct ignore { /* one rule of a directive */
    const struct lint_rule *rule;
    size_t offset;
    bool used;
};

struct found { /* a finding of the current statement */
    const struct lint_rule *rule;
    size_t offset;
    const char *message;
};

/* How the file's statements reach the server, and where in it we are. */
struct flow {
    enum lint_transaction mode;
    bool down;            /* in a section that reverts the migration */
    bool open;            /* after BEGIN */
    int id;               /* of the current transaction */
    size_t in_section;    /* statements since the file or section began */
    bool timeout;         /* SET lock_timeout */
    int timeout_local_id; /* SET LOCAL lock_timeout in this transaction */
    bool timeout_reported;
    int exclusive_id; /* the transaction that holds ACCESS EXCLUSIVE ... */
    int exclusive_line;
    char exclusive[160]; /* ... on this table: schema.name */
};

struct lint {
    struct lint_options options;
    bool enabled[LINT_RULES_MAX];
    const struct lint_rule *const *rules;
    size_t rule_count;
    struct lint_counts counts;
    struct lint_memory *memory;
    struct buffer statement; /* NUL-terminated copy for the parser */
    int next_transaction;
};

struct lint_pass {
    struct lint *lint;
    const struct lint_input *input;
    struct split split;
    struct split_item item;
    struct flow flow;
    const struct lint_rule *rule; /* the current one */
    struct arena *arena;          /* of the statement; created when first needed */
    char schema[64];              /* first of the search path */
    struct ignore ignores[LINT_IGNORES_MAX];
    size_t ignore_count;
    struct found *found;
    size_t found_count, found_capacity;
    bool lengthy_found;
    bool effect_known; /* several rules ask for it; computed once */
    struct lint_effect effect;
    const RangeVar *asked; /* many rules ask one after the other whether the same table is new */
    bool asked_new;
    size_t encoding_fault; /* offset of the first bytes that are not UTF-8; SIZE_MAX: none */
};

/* say.c */
/* Reports at an offset of the file, with directives applied. */
void say_report(struct lint_pass *pass, const struct lint_rule *rule, size_t offset,
                const char *message);
void say_trouble(struct lint_pass *pass, size_t offset, const char *message);
bool say_enabled(const struct lint_pass *pass, const struct lint_rule *rule);
/* Passes on the findings of the current item, in the order of the text. */
void say_findings(struct lint_pass *pass);
/* Reports directives that ignored nothing, and forgets all of them. */
void directives_end(struct lint_pass *pass, bool statement_seen);
/* A comment between statements: directive, or marker of a tool. */
void directives_comment(struct lint_pass *pass, const struct split_item *item);

/* flow.c */
void flow_begin_file(struct lint_pass *pass);
void flow_comment(struct lint_pass *pass, const char *text, size_t length);
void flow_before(struct lint_pass *pass, const Node *statement);
void flow_after(struct lint_pass *pass, const Node *statement);
/* Is it a marker that begins another section or change set? */
bool flow_is_boundary(const char *text, size_t length);

/* track.c: what the statement creates, drops, renames. */
void track(struct lint_pass *pass, const Node *statement);

/* stats.c */
struct lint_stats;
