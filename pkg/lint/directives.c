/* `-- migration-lint: ignore=MIG001,MIG004 reason="..."`, for the next statement only. */
#include "lint/internal.h"

#include <string.h>

static const char head[] = "migration-lint:";

static void fault(struct lint_pass *pass, size_t offset, const char *message)
{
    say_report(pass, lint_rule_find("MIG000", 6), offset, message);
}

/* The value after name=, quoted or not; NULL when it is missing. */
static const char *value_of(const char *text, size_t length, const char *name, size_t *ret_length)
{
    size_t n = strlen(name);
    for (size_t i = 0; i + n < length; i++) {
        if (strncmp(text + i, name, n) != 0 || (i > 0 && text[i - 1] != ' ' && text[i - 1] != '\t'))
            continue;
        const char *value = text + i + n, *end = text + length;
        const char *stop = value;
        if (*value == '"') {
            value++;
            stop = memchr(value, '"', (size_t)(end - value));
            if (stop == NULL)
                return NULL;
        } else {
            while (stop < end && *stop != ' ' && *stop != '\t' && *stop != '\r' && *stop != '*')
                stop++;
        }
        *ret_length = (size_t)(stop - value);
        return value;
    }
    return NULL;
}

static void add(struct lint_pass *pass, const struct lint_rule *rule, size_t offset)
{
    if (pass->ignore_count < LINT_IGNORES_MAX)
        pass->ignores[pass->ignore_count++] = (struct ignore){rule, offset, false};
    else
        fault(pass, offset, "more directives than one statement can have");
}

/* A rule that is not known does not spoil the others of the list. */
static void add_all(struct lint_pass *pass, const char *list, size_t length, size_t offset)
{
    size_t at = 0;
    while (at < length) {
        size_t n = 0;
        while (at + n < length && list[at + n] != ',')
            n++;
        const struct lint_rule *rule = lint_rule_find(list + at, n);
        if (rule == NULL) {
            fault(pass, offset,
                  arena_printf(lint_arena(pass),
                               "the directive names an unknown rule '%.*s'; 'pgkeel lint --list' "
                               "lists the rules",
                               (int)(n < 40 ? n : 40), list + at));
        } else {
            add(pass, rule, offset);
        }
        at += n + 1;
    }
}

void directives_comment(struct lint_pass *pass, const struct split_item *item)
{
    const char *comment = pass->input->text + item->start;
    size_t length = item->end - item->start, list_length = 0, reason_length = 0;
    const char *found = memmem(comment, length, head, sizeof head - 1);
    if (pass->ignore_count > 0 && flow_is_boundary(comment, length))
        directives_end(pass, false);
    if (found == NULL)
        return;
    /* Text that merely mentions a directive is not one: only comment marks and blanks may precede
     * it. */
    for (const char *at = comment; at < found; at++)
        if (*at != '-' && *at != ' ' && *at != '\t' && *at != '/' && *at != '*')
            return;
    const char *text = found + sizeof head - 1;
    size_t left = length - (size_t)(text - comment);
    const char *list = value_of(text, left, "ignore=", &list_length);
    const char *reason = value_of(text, left, "reason=", &reason_length);
    if (list == NULL || list_length == 0) {
        fault(pass, item->start, "the directive has no ignore=RULE[,RULE]");
        return;
    }
    size_t blank = 0;
    while (reason && blank < reason_length && (reason[blank] == ' ' || reason[blank] == '\t'))
        blank++;
    if (reason == NULL || blank == reason_length) {
        fault(pass, item->start, "the directive has no reason=\"...\" and is not applied");
        return;
    }
    add_all(pass, list, list_length, item->start);
}

void directives_end(struct lint_pass *pass, bool statement_seen)
{
    size_t count = pass->ignore_count;
    pass->ignore_count = 0; /* the findings below cannot be ignored */
    for (size_t i = 0; i < count; i++) {
        if (pass->ignores[i].used || !say_enabled(pass, pass->ignores[i].rule) || pass->flow.down)
            continue;
        fault(
            pass, pass->ignores[i].offset,
            arena_printf(
                lint_arena(pass),
                statement_seen
                    ? "the directive ignores %s, which the next statement does not break: remove it"
                    : "no statement follows the directive that ignores %s",
                pass->ignores[i].rule->id));
    }
}
