/* File -> statements -> rules -> findings. */
#include "lint/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct lint_rule *directive_rule, *skipped_rule;

/* Rules of style (`off`) run only if the list names them, or says all. */
static ERR_CHECKED int enable(struct lint *lint, const char *list, struct error *err)
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
                           "unknown rule '%.*s'; 'pgkeel lint --list' lists the rules", (int)length,
                           list);
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
    lint->memory = lint_memory_new();
    *ret_lint = lint;
    return 0;
}

void lint_free(struct lint *lint)
{
    if (lint == NULL)
        return;
    lint_memory_free(lint->memory);
    buffer_free(&lint->statement);
    free(lint);
}

const struct lint_counts *lint_counts(const struct lint *lint)
{
    return &lint->counts;
}

/* -- reading ---------------------------------------------------------------------------------- */

/* Offset of the first byte that is NUL or not UTF-8; SIZE_MAX: none. */
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

static void report_encoding(struct lint_pass *pass, size_t offset)
{
    const unsigned char *bytes = (const unsigned char *)pass->input->text + offset;
    char message[160];
    if (offset < 2 && pass->input->length >= 2 && (bytes[0] == 0xFF || bytes[0] == 0xFE))
        snprintf(message, sizeof message, "the file looks like UTF-16; convert it to UTF-8");
    else if (*bytes == 0)
        snprintf(message, sizeof message, "a NUL byte, which SQL text cannot contain");
    else
        snprintf(message, sizeof message, "invalid byte sequence for encoding \"UTF8\": 0x%02x",
                 *bytes);
    say_trouble(pass, offset, message);
}

/* Turns psql's variables into what they most often stand for: a name, or a string. */
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

/* An INSERT of this size is data and only reported as skipped; anything else is a fault of the
 * file. */
static bool is_too_large(struct lint_pass *pass)
{
    size_t length = pass->item.end - pass->item.start;
    if (length <= LINT_STATEMENT_MAX_BYTES)
        return false;
    char message[160];
    snprintf(message, sizeof message, "statement of %zu bytes was not analysed: the limit is %d",
             length, LINT_STATEMENT_MAX_BYTES);
    if (strncasecmp(pass->input->text + pass->item.start, "insert", 6) == 0)
        say_report(pass, skipped_rule, pass->item.start, message);
    else
        say_trouble(pass, pass->item.start, message);
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

/* Remembers the transaction's first ACCESS EXCLUSIVE lock, for rules about later statements. */
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
    pass->asked = NULL;
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

/* psql's variables are blanked only if the text does not parse as it is: the same colon can be a
 * cast or a slice of an array. The fault that is reported is that of the text as it was written. */
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
    say_trouble(pass, pass->item.start + offset, err.text);
    return ERR_UNREADABLE;
}

/* What undoes a migration is not judged, nor what cannot be read. A statement that the parser
 * refuses counts all the same: it is part of the file. */
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
        say_report(pass, lint_rule_find("MIG042", 6), pass->item.start,
                   "\\gexec runs what this statement returns, which cannot be analysed");
    if (pass->item.has_comments &&
        memmem(pass->lint->statement.data, pass->lint->statement.length, "migration-lint:", 15))
        say_report(pass, directive_rule, pass->item.start,
                   "a directive inside a statement has no effect; write it above the statement");
    parse_end(&parsed);
}

/* A file with psql's commands is run by psql, which decides about its transactions (flow.c). */
static void take_meta(struct lint_pass *pass)
{
    const char *text = pass->input->text + pass->item.start;
    size_t length = pass->item.end - pass->item.start;
    unsigned char next = length > 1 ? (unsigned char)text[1] : 0;
    flow_comment(pass, text, length);
    if (!((next | 32u) - 'a' < 26u) && next != '!' && next != '?' && next != '\\') {
        say_trouble(pass, pass->item.start, "syntax error at or near \"\\\"");
        return;
    }
    size_t word = 1;
    while (word < length && text[word] != ' ' && text[word] != '\t' && word < 24)
        word++;
    char message[120];
    bool include = word >= 2 && (memcmp(text, "\\i", 2) == 0);
    snprintf(message, sizeof message,
             include ? "psql's %.*s was skipped: lint the file that it includes as well"
                     : "psql's %.*s was skipped",
             (int)word, text);
    say_report(pass, skipped_rule, pass->item.start, message);
}

/* A comment may hold a directive or a tool's marker; a directive ends with the statement after it,
 * or with the file. */
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
        say_trouble(pass, pass->item.unfinished_at, message);
        break;
    case SPLIT_META:
        take_meta(pass);
        break;
    case SPLIT_DATA:
        say_report(pass, skipped_rule, pass->item.start, "data for COPY was skipped");
        break;
    case SPLIT_END:
        directives_end(pass, false);
        break;
    }
    say_findings(pass);
}

/* Only the first fault of a file is reported; statements with later ones are not parsed. */
static void check_encoding(struct lint_pass *pass, size_t from)
{
    if (pass->encoding_fault != SIZE_MAX)
        return;
    size_t fault = encoding_fault(pass->input->text + from, pass->split.at - from);
    if (fault == SIZE_MAX)
        return;
    pass->encoding_fault = from + fault;
    report_encoding(pass, from + fault);
}

/* The caller is told after each MiB that was read, so that it can release the pages of a large
 * file. */
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
