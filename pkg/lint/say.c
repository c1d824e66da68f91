/* What is found in a statement: its place in the file, and the order of the report. */
#include "lint/internal.h"

#include <stdlib.h>
#include <string.h>

/* Statements share an arena up to this size: one for each would cost as much as the rules do. */
enum { ARENA_KEPT_BYTES = 64 * 1024 };

const char *lint_level_name(enum lint_level level)
{
    static const char *const names[] = {"note", "warning", "error"};
    return names[level];
}

/* Line and column of an offset, counted from the current item, or from the start of the file if the
 * offset is before it. */
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

void say_trouble(struct lint_pass *pass, size_t offset, const char *message)
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

bool say_enabled(const struct lint_pass *pass, const struct lint_rule *rule)
{
    for (size_t i = 0; i < pass->lint->rule_count; i++)
        if (pass->lint->rules[i] == rule)
            return pass->lint->enabled[i];
    return false;
}

/* A directive is used up by whatever it suppresses, so that one that suppresses nothing can be
 * reported. */
void say_report(struct lint_pass *pass, const struct lint_rule *rule, size_t offset,
                const char *message)
{
    if (!say_enabled(pass, rule))
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
    say_report(pass, pass->rule, pass->item.start + (location > 0 ? (size_t)location : 0), message);
}

static int by_place(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return strcmp(x->rule->id, y->rule->id);
}

/* Sorted by place: rules find what they find in the order of their ids. The arena is kept for the
 * next statement unless this one made it large. */
void say_findings(struct lint_pass *pass)
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
