/*
 * How the statements of a file reach the server: which of them share a transaction. Migration tools
 * decide that by the name of the file and by comments in it.
 */
#include "lint/internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum mark { MARK_NONE, MARK_UP, MARK_DOWN, MARK_CHANGESET, MARK_SETTING };

struct marker {
    const char *text; /* what the comment begins with, after its dashes */
    enum mark mark;
    enum lint_transaction mode;
};

/* The first that matches counts, so that a longer text comes before a shorter one. */
static const struct marker markers[] = {
    {"atlas:txmode none", MARK_SETTING, LINT_NEVER},
    {"+goose no transaction", MARK_SETTING, LINT_NEVER},
    {"+goose up", MARK_UP, LINT_ALWAYS},
    {"+goose down", MARK_DOWN, LINT_ALWAYS},
    {"migrate:up", MARK_UP, LINT_ALWAYS},
    {"migrate:down", MARK_DOWN, LINT_ALWAYS},
    {"no-transaction", MARK_SETTING, LINT_TOGETHER},
    {"sqlx: split", MARK_UP, LINT_TOGETHER},
    {"liquibase formatted sql", MARK_SETTING, LINT_ALWAYS},
    {"changeset ", MARK_CHANGESET, LINT_ALWAYS},
};

static const char *comment_body(const char *text, size_t *length)
{
    size_t skip = 0;
    while (skip < *length && (text[skip] == '-' || text[skip] == '/' || text[skip] == '*' ||
                              text[skip] == ' ' || text[skip] == '\t'))
        skip++;
    *length -= skip;
    return text + skip;
}

static const struct marker *find_marker(const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof markers / sizeof markers[0]; i++) {
        size_t n = strlen(markers[i].text);
        if (length >= n && strncasecmp(text, markers[i].text, n) == 0)
            return &markers[i];
    }
    return NULL;
}

static bool contains(const char *text, size_t length, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= length; i++)
        if (strncasecmp(text + i, word, n) == 0)
            return true;
    return false;
}

static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcasecmp(text + n - m, end) == 0;
}

bool lint_is_down(const char *name)
{
    const char *last = last_part(name);
    const char *two = strstr(last, "__");
    bool undo = last[0] == 'U' && isdigit((unsigned char)last[1]) && two != NULL;
    return undo || ends_with(last, ".down.sql") || ends_with(last, "_down.sql") ||
           strcasecmp(last, "down.sql") == 0;
}

static void next_transaction(struct lint_pass *pass)
{
    pass->flow.id = ++pass->lint->next_transaction;
}

/* Django's sqlmigrate writes three comment lines above each operation, and BEGIN itself. */
static bool is_sqlmigrate(const char *text, size_t length)
{
    static const char *const heads[] = {"BEGIN;\n--\n-- ", "--\n-- "};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(heads[i]);
        if (length >= n && memcmp(text, heads[i], n) == 0)
            return true;
    }
    return false;
}

static enum lint_transaction asked_for(const struct lint_pass *pass)
{
    if (pass->lint->options.transaction != LINT_AUTO)
        return pass->lint->options.transaction;
    return pass->input->transaction;
}

void flow_begin_file(struct lint_pass *pass)
{
    pass->flow = (struct flow){.mode = asked_for(pass)};
    if (pass->flow.mode == LINT_AUTO)
        pass->flow.mode =
            is_sqlmigrate(pass->input->text, pass->input->length) ? LINT_NEVER : LINT_TOGETHER;
    next_transaction(pass);
}

bool flow_is_boundary(const char *text, size_t length)
{
    const char *body = comment_body(text, &length);
    const struct marker *marker = find_marker(body, length);
    return marker && marker->mark != MARK_SETTING;
}

void flow_comment(struct lint_pass *pass, const char *text, size_t length)
{
    if (length >= 2 && text[0] == '\\') { /* only psql has meta-commands */
        if (asked_for(pass) == LINT_AUTO)
            pass->flow.mode = LINT_NEVER;
        return;
    }
    const char *body = comment_body(text, &length);
    const struct marker *marker = find_marker(body, length);
    if (marker == NULL)
        return;
    if (marker->mark != MARK_SETTING) {
        bool timeout = pass->flow.timeout;
        enum lint_transaction mode = pass->flow.mode;
        pass->flow = (struct flow){.mode = mode, .timeout = timeout};
        pass->flow.down = marker->mark == MARK_DOWN;
        next_transaction(pass);
    }
    if (asked_for(pass) != LINT_AUTO)
        return;
    /* goose's NO TRANSACTION is written above Up and applies to the whole file. */
    if (pass->flow.mode != LINT_NEVER || marker->mark == MARK_CHANGESET)
        pass->flow.mode = marker->mode;
    if (contains(body, length, "transaction:false"))
        pass->flow.mode = marker->mark == MARK_CHANGESET ? LINT_NEVER : LINT_TOGETHER;
}

static const char *set_name(const Node *statement, bool *ret_local, const List **ret_args)
{
    if (!IsA(statement, VariableSetStmt))
        return NULL;
    const VariableSetStmt *set = (const VariableSetStmt *)statement;
    *ret_local = set->is_local;
    *ret_args = set->args;
    return set->kind == VAR_SET_VALUE ? set->name : NULL;
}

static bool is_zero(const List *args)
{
    if (list_count(args) != 1 || !IsA(LIST_AT(Node, args, 0), A_Const))
        return false;
    const A_Const *value = LIST_AT(A_Const, args, 0);
    if (IsA(&value->val, Integer))
        return value->val.ival.ival == 0;
    return IsA(&value->val, String) && strcmp(value->val.sval.sval, "0") == 0;
}

/* A timeout of 0 is none. SET LOCAL counts only for its transaction. */
static void follow_set(struct lint_pass *pass, const Node *statement)
{
    bool local = false;
    const List *args = NULL;
    const char *name = set_name(statement, &local, &args);
    if (name == NULL)
        return;
    if (strcmp(name, "lock_timeout") == 0 || strcmp(name, "statement_timeout") == 0) {
        if (local)
            pass->flow.timeout_local_id = is_zero(args) ? 0 : pass->flow.id;
        else
            pass->flow.timeout = !is_zero(args);
    }
    if (strcmp(name, "search_path") == 0 && list_count(args) > 0 &&
        IsA(LIST_AT(Node, args, 0), A_Const)) {
        const A_Const *first = LIST_AT(A_Const, args, 0);
        if (IsA(&first->val, String) && strlen(first->val.sval.sval) < sizeof pass->schema)
            memcpy(pass->schema, first->val.sval.sval, strlen(first->val.sval.sval) + 1);
    }
}

/* Without a transaction of the file or of the tool each statement is one of its own. COMMIT AND
 * CHAIN, and ROLLBACK AND CHAIN, begin the next one at once. */
void flow_before(struct lint_pass *pass, const Node *statement)
{
    if (pass->flow.mode == LINT_NEVER && !pass->flow.open)
        next_transaction(pass);
    if (!IsA(statement, TransactionStmt))
        return;
    TransactionStmtKind kind = ((const TransactionStmt *)statement)->kind;
    if (kind == TRANS_STMT_BEGIN || kind == TRANS_STMT_START) {
        next_transaction(pass);
        pass->flow.open = true;
    } else if (kind == TRANS_STMT_COMMIT || kind == TRANS_STMT_ROLLBACK ||
               kind == TRANS_STMT_PREPARE) {
        if (kind == TRANS_STMT_ROLLBACK)
            lint_memory_rollback(pass->lint->memory, pass->flow.id);
        pass->flow.open = ((const TransactionStmt *)statement)->chain;
        next_transaction(pass);
    }
}

void flow_after(struct lint_pass *pass, const Node *statement)
{
    follow_set(pass, statement);
    pass->flow.in_section++;
}

/* Is there another statement in this section? Read ahead only when a rule asks. */
static bool more_follow(const struct lint_pass *pass)
{
    struct split ahead = pass->split;
    for (;;) {
        struct split_item item = split_next(&ahead);
        if (item.kind == SPLIT_STATEMENT || item.kind == SPLIT_OPEN)
            return true;
        if (item.kind == SPLIT_END)
            return false;
        if (item.kind == SPLIT_COMMENT &&
            flow_is_boundary(ahead.text + item.start, item.end - item.start))
            return false;
    }
}

bool lint_in_transaction(struct lint_pass *pass)
{
    if (pass->flow.open || pass->flow.mode == LINT_ALWAYS)
        return true;
    if (pass->flow.mode == LINT_NEVER)
        return false;
    return pass->flow.in_section > 0 || more_follow(pass);
}

int lint_transaction_id(const struct lint_pass *pass)
{
    return pass->flow.id;
}

const char *lint_exclusive(const struct lint_pass *pass, int *ret_line)
{
    *ret_line = pass->flow.exclusive_line;
    return pass->flow.exclusive_id == pass->flow.id ? pass->flow.exclusive : NULL;
}

bool lint_wants_timeout(struct lint_pass *pass)
{
    if (pass->flow.timeout || pass->flow.timeout_local_id == pass->flow.id ||
        pass->flow.timeout_reported)
        return false;
    pass->flow.timeout_reported = true;
    return true;
}
