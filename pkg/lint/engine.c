/* File -> statements -> rules -> findings. */
#include "lint/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An arena per statement would cost as much as its rules do. */
enum { ARENA_KEPT_BYTES = 64 * 1024 };

static const struct lint_rule *directive_rule, *skipped_rule;

const char *lint_level_name(enum lint_level level)
{
    static const char *const names[] = {"note", "warning", "error"};
    return names[level];
}

static int enable(struct lint *lint, const char *list, struct error *err)
{
    for (size_t i = 0; i < lint->rule_count; i++)
        lint->enabled[i] = list == NULL ? !lint->rules[i]->off : strcmp(list, "all") == 0;
    if (list == NULL || strcmp(list, "all") == 0)
        return 0;
    while (*list) {
        size_t length = strcspn(list, ", ");
        const struct lint_rule *rule = lint_rule_find(list, length);
        if (length > 0 && rule == NULL)
            return err_set(err, ERR_INVALID,
                           "there is no rule '%.*s'; 'pgkeel lint --list' tells which there are",
                           (int)length, list);
        for (size_t i = 0; i < lint->rule_count; i++)
            lint->enabled[i] |= lint->rules[i] == rule;
        list += length;
        list += strspn(list, ", ");
    }
    return 0;
}

int lint_new(const struct lint_options *options, struct lint **ret_lint, struct error *err)
{
    int version = options->pg_version ? options->pg_version : LINT_PG_DEFAULT;
    if (version < LINT_PG_OLDEST || version > LINT_PG_NEWEST)
        return err_set(err, ERR_INVALID, "PostgreSQL version %d is not one of %d to %d", version,
                       LINT_PG_OLDEST, LINT_PG_NEWEST);
    struct lint *lint = xcalloc(1, sizeof *lint);
    lint->options = *options;
    lint->options.pg_version = version;
    lint->rules = lint_rules(&lint->rule_count);
    directive_rule = lint_rule_find("MIG000", 6);
    skipped_rule = lint_rule_find("MIG043", 6);
    int class = enable(lint, options->rules, err);
    if (class < 0) {
        free(lint);
        return class;
    }
    lint->memory = memory_new();
    *ret_lint = lint;
    return 0;
}

void lint_free(struct lint *lint)
{
    if (lint == NULL)
        return;
    memory_free(lint->memory);
    buffer_free(&lint->statement);
    free(lint);
}

const struct lint_counts *lint_counts(const struct lint *lint)
{
    return &lint->counts;
}

/* -- saying ----------------------------------------------------------------------------------- */

/* Line and column of an offset, from the place of the item at hand where it lies behind it. */
static void locate(const struct lint_pass *pass, size_t offset, struct lint_finding *finding)
{
    const char *text = pass->input->text;
    size_t line_start = pass->item.line_start;
    int line = pass->item.line;
    if (offset < line_start || line == 0) {
        line_start = 0;
        line = 1;
    }
    for (const char *at; offset > line_start &&
                         (at = memchr(text + line_start, '\n', offset - line_start)) != NULL;) {
        line_start = (size_t)(at - text) + 1;
        line++;
    }
    if (line_start == 0 && pass->input->length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        line_start = offset >= 3 ? 3 : 0;
    int column = 1;
    for (size_t i = line_start; i < offset && i < pass->input->length; i++)
        column += ((unsigned char)text[i] & 0xC0) != 0x80;
    const char *end = memchr(text + line_start, '\n', pass->input->length - line_start);
    size_t stop = end ? (size_t)(end - text) : pass->input->length;
    while (stop > line_start && text[stop - 1] == '\r')
        stop--;
    finding->file = pass->input->name;
    finding->line = line;
    finding->column = column;
    finding->source = text + line_start;
    finding->source_length = stop - line_start;
}

static void hand_over(struct lint *lint, const struct lint_finding *finding)
{
    if (finding->rule == NULL)
        lint->counts.unreadable++;
    else if (finding->level == LINT_ERROR)
        lint->counts.errors++;
    else if (finding->level == LINT_WARNING)
        lint->counts.warnings++;
    else
        lint->counts.notes++;
    if (lint->options.report)
        lint->options.report(lint->options.arg, finding);
}

void pass_trouble(struct lint_pass *pass, size_t offset, const char *message)
{
    struct lint_finding finding = {.level = LINT_ERROR, .message = message};
    locate(pass, offset < pass->input->length ? offset : pass->input->length, &finding);
    hand_over(pass->lint, &finding);
}

void lint_unreadable(struct lint *lint, const char *name, const char *message)
{
    hand_over(lint, &(struct lint_finding){
                        .level = LINT_ERROR, .file = name, .message = message, .source = ""});
}

bool pass_enabled(const struct lint_pass *pass, const struct lint_rule *rule)
{
    for (size_t i = 0; i < pass->lint->rule_count; i++)
        if (pass->lint->rules[i] == rule)
            return pass->lint->enabled[i];
    return false;
}

void pass_report(struct lint_pass *pass, const struct lint_rule *rule, size_t offset,
                 const char *message)
{
    if (!pass_enabled(pass, rule))
        return;
    bool ignored = false;
    for (size_t i = 0; i < pass->ignore_count; i++)
        if (pass->ignores[i].rule == rule)
            ignored = pass->ignores[i].used = true;
    if (ignored) {
        pass->lint->counts.suppressed++;
        return;
    }
    if (pass->found_count == pass->found_capacity) {
        pass->found_capacity = pass->found_capacity ? pass->found_capacity * 2 : 16;
        pass->found = xrealloc(pass->found, pass->found_capacity * sizeof *pass->found);
    }
    pass->found[pass->found_count++] =
        (struct found){rule, offset, arena_strdup(lint_arena(pass), message)};
}

void lint_report(struct lint_pass *pass, int location, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = arena_vprintf(lint_arena(pass), format, args);
    va_end(args);
    pass->lengthy_found |= pass->rule->lengthy;
    pass_report(pass, pass->rule, pass->item.start + (location > 0 ? (size_t)location : 0),
                message);
}

static int by_place(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return strcmp(x->rule->id, y->rule->id);
}

static void end_statement(struct lint_pass *pass)
{
    if (pass->found_count > 1)
        qsort(pass->found, pass->found_count, sizeof *pass->found, by_place);
    for (size_t i = 0; i < pass->found_count; i++) {
        struct lint_finding finding = {.rule = pass->found[i].rule,
                                       .level = pass->found[i].rule->level,
                                       .message = pass->found[i].message};
        locate(pass, pass->found[i].offset, &finding);
        hand_over(pass->lint, &finding);
    }
    pass->found_count = 0;
    if (pass->arena == NULL || arena_used_bytes(pass->arena) < ARENA_KEPT_BYTES)
        return;
    arena_free(pass->arena);
    pass->arena = NULL;
}

/* -- reading ---------------------------------------------------------------------------------- */

/* Offset of the first byte that is no UTF-8 or is NUL, or SIZE_MAX. */
static size_t encoding_fault(const char *text, size_t length)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t i = 0;
    while (i < length) {
        unsigned char c = s[i];
        if (c < 0x80) {
            if (c == 0)
                return i;
            i++;
            continue;
        }
        size_t n = c < 0xC2 || c > 0xF4 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
        if (n == 0 || i + n >= length)
            return i;
        for (size_t k = 1; k <= n; k++)
            if ((s[i + k] & 0xC0) != 0x80)
                return i;
        if ((c == 0xE0 && s[i + 1] < 0xA0) || (c == 0xED && s[i + 1] > 0x9F) ||
            (c == 0xF0 && s[i + 1] < 0x90) || (c == 0xF4 && s[i + 1] > 0x8F))
            return i;
        i += n + 1;
    }
    return SIZE_MAX;
}

static void tell_encoding(struct lint_pass *pass, size_t offset)
{
    const unsigned char *bytes = (const unsigned char *)pass->input->text + offset;
    char message[160];
    if (offset < 2 && pass->input->length >= 2 && (bytes[0] == 0xFF || bytes[0] == 0xFE))
        snprintf(message, sizeof message, "the file looks like UTF-16; convert it to UTF-8");
    else if (*bytes == 0)
        snprintf(message, sizeof message, "a NUL byte; SQL text cannot hold one");
    else
        snprintf(message, sizeof message, "invalid byte sequence for encoding \"UTF8\": 0x%02x",
                 *bytes);
    pass_trouble(pass, offset, message);
}

/* psql's variables as what they stand for most often: a name, or a string. */
static void blank_variables(char *text)
{
    for (char *at = text; *at; at++) {
        if (*at != ':' || (at > text && at[-1] == ':') || at[1] == ':')
            continue;
        unsigned char next = (unsigned char)at[1];
        if (next == '\'' || next == '"' || next == '_' || next >= 0x80 || (next | 32u) - 'a' < 26u)
            *at = ' ';
    }
}

/* The server never sees a statement as large as this from a tool that works. */
static bool is_too_large(struct lint_pass *pass)
{
    size_t length = pass->item.end - pass->item.start;
    if (length <= LINT_STATEMENT_MAX_BYTES)
        return false;
    char message[160];
    snprintf(message, sizeof message, "statement of %zu bytes was not analysed: the limit is %d",
             length, LINT_STATEMENT_MAX_BYTES);
    if (strncasecmp(pass->input->text + pass->item.start, "insert", 6) == 0)
        pass_report(pass, skipped_rule, pass->item.start, message);
    else
        pass_trouble(pass, pass->item.start, message);
    return true;
}

static void run_rule(struct lint_pass *pass, const struct lint_rule *rule, const Node *statement)
{
    pass->rule = rule;
    if (rule->statement)
        rule->statement(pass, statement);
    if (rule->command == NULL || !IsA(statement, AlterTableStmt))
        return;
    const AlterTableStmt *alter = (const AlterTableStmt *)statement;
    if (!rule->new_too && lint_is_new(pass, alter->relation))
        return;
    for (int i = 0; i < list_count(alter->cmds); i++)
        rule->command(pass, alter, LIST_AT(AlterTableCmd, alter->cmds, i));
}

/* The first of the transaction's ACCESS EXCLUSIVE locks, for what comes after it. */
static void check_effects(struct lint_pass *pass, const Node *statement)
{
    struct lint_effect effect = lint_effect_of(pass, statement);
    if (effect.lock != LOCK_ACCESS_EXCLUSIVE || effect.table == NULL ||
        pass->flow.exclusive_id == pass->flow.id)
        return;
    pass->flow.exclusive_id = pass->flow.id;
    pass->flow.exclusive_line = pass->item.line;
    snprintf(pass->flow.exclusive, sizeof pass->flow.exclusive, "%s", lint_key(pass, effect.table));
}

static void check(struct lint_pass *pass, const Node *statement)
{
    const struct lint *lint = pass->lint;
    pass->lengthy_found = pass->effect_known = false;
    flow_before(pass, statement);
    for (size_t i = 0; i < lint->rule_count; i++)
        if (lint->enabled[i] && lint->options.pg_version >= lint->rules[i]->since &&
            (lint->rules[i]->until == 0 || lint->options.pg_version <= lint->rules[i]->until))
            run_rule(pass, lint->rules[i], statement);
    check_effects(pass, statement);
    track(pass, statement);
    flow_after(pass, statement);
}

static void copy_statement(struct lint_pass *pass)
{
    struct buffer *copy = &pass->lint->statement;
    if (copy->capacity > 1 << 20)
        buffer_free(copy);
    copy->length = 0;
    buffer_append(copy, pass->input->text + pass->item.start, pass->item.end - pass->item.start);
}

static bool has_fault(struct lint_pass *pass)
{
    if (pass->encoding_fault >= pass->item.end)
        return false;
    return encoding_fault(pass->input->text + pass->item.start,
                          pass->item.end - pass->item.start) != SIZE_MAX;
}

static int parse(struct lint_pass *pass, struct parsed *ret_parsed)
{
    struct error err = {0}, again = {0};
    size_t offset = 0, other = 0;
    copy_statement(pass);
    char *text = pass->lint->statement.data;
    if (parse_begin(text, ret_parsed, &offset, &err) == 0)
        return 0;
    if (pass->item.has_variables) {
        blank_variables(text);
        if (parse_begin(text, ret_parsed, &other, &again) == 0)
            return 0;
    }
    pass_trouble(pass, pass->item.start + offset, err.text);
    return ERR_UNREADABLE;
}

static void take_statement(struct lint_pass *pass)
{
    struct parsed parsed;
    if (pass->flow.down || is_too_large(pass) || has_fault(pass))
        return;
    pass->lint->counts.statements++;
    if (parse(pass, &parsed) < 0)
        return;
    for (int i = 0; i < list_count(parsed.statements); i++)
        check(pass, LIST_AT(RawStmt, parsed.statements, i)->stmt);
    if (pass->item.sent_by_gexec)
        pass_report(pass, lint_rule_find("MIG042", 6), pass->item.start,
                    "\\gexec runs what this statement returns, which cannot be analysed");
    if (pass->item.has_comments &&
        memmem(pass->lint->statement.data, pass->lint->statement.length, "migration-lint:", 15))
        pass_report(pass, directive_rule, pass->item.start,
                    "a directive inside a statement has no effect; write it above the statement");
    parse_end(&parsed);
}

static void take_meta(struct lint_pass *pass)
{
    const char *text = pass->input->text + pass->item.start;
    size_t length = pass->item.end - pass->item.start;
    unsigned char next = length > 1 ? (unsigned char)text[1] : 0;
    flow_comment(pass, text, length);
    if (!((next | 32u) - 'a' < 26u) && next != '!' && next != '?' && next != '\\') {
        pass_trouble(pass, pass->item.start, "syntax error at or near \"\\\"");
        return;
    }
    size_t word = 1;
    while (word < length && text[word] != ' ' && text[word] != '\t' && word < 24)
        word++;
    char message[120];
    bool include = word >= 2 && (memcmp(text, "\\i", 2) == 0);
    snprintf(message, sizeof message,
             include ? "psql's %.*s was skipped: give the file that it includes to lint as well"
                     : "psql's %.*s was skipped",
             (int)word, text);
    pass_report(pass, skipped_rule, pass->item.start, message);
}

static void take_item(struct lint_pass *pass)
{
    char message[160];
    switch (pass->item.kind) {
    case SPLIT_COMMENT:
        directives_comment(pass, &pass->item);
        flow_comment(pass, pass->input->text + pass->item.start, pass->item.end - pass->item.start);
        break;
    case SPLIT_STATEMENT:
        take_statement(pass);
        directives_end(pass, true);
        break;
    case SPLIT_OPEN:
        snprintf(message, sizeof message, "unterminated %s", pass->item.unfinished);
        pass_trouble(pass, pass->item.unfinished_at, message);
        break;
    case SPLIT_META:
        take_meta(pass);
        break;
    case SPLIT_DATA:
        pass_report(pass, skipped_rule, pass->item.start, "data for COPY were skipped");
        break;
    case SPLIT_END:
        directives_end(pass, false);
        break;
    }
    end_statement(pass);
}

/* The first fault of a file is told; later ones only keep their statements from being parsed. */
static void check_encoding(struct lint_pass *pass, size_t from)
{
    if (pass->encoding_fault != SIZE_MAX)
        return;
    size_t fault = encoding_fault(pass->input->text + from, pass->split.at - from);
    if (fault == SIZE_MAX)
        return;
    pass->encoding_fault = from + fault;
    tell_encoding(pass, from + fault);
}

void lint_file(struct lint *lint, const struct lint_input *input)
{
    struct lint_pass pass = {.lint = lint, .input = input, .schema = "public"};
    lint->counts.files++;
    pass.item.line = 1;
    pass.encoding_fault = SIZE_MAX;
    split_start(&pass.split, input->text, input->length);
    flow_begin_file(&pass);
    size_t told = 0;
    do {
        size_t from = pass.split.at;
        pass.item = split_next(&pass.split);
        check_encoding(&pass, from);
        take_item(&pass);
        if (input->passed && pass.item.line_start - told >= 1 << 20) {
            told = pass.item.line_start;
            input->passed(input->arg, told);
        }
    } while (pass.item.kind != SPLIT_END);
    free(pass.found);
    arena_free(pass.arena);
}
