/* Prints what the table says about the rules. */
#include "lint/report.h"

#include <string.h>

void lint_list(struct buffer *out)
{
    size_t count;
    const struct lint_rule *const *rules = lint_rules(&count);
    for (size_t i = 0; i < count; i++)
        buffer_printf(out, "%s  %-8s %-28s %s%s\n", rules[i]->id, lint_level_name(rules[i]->level),
                      rules[i]->name, rules[i]->title,
                      rules[i]->off ? " [off unless named by --rules]" : "");
}

static void put_versions(struct buffer *out, const struct lint_rule *rule)
{
    int since = rule->since ? rule->since : LINT_PG_OLDEST;
    int until = rule->until ? rule->until : LINT_PG_NEWEST;
    buffer_printf(out, "%d to %d", since, until);
}

/* "Blocks writes for the index build.", as runbooks/migrations.md has it. */
static void put_effect(struct buffer *out, const struct lint_rule *rule)
{
    if (strcmp(rule->blocks, "unknown") == 0)
        buffer_puts(out, "What it blocks is not known.");
    else
        buffer_printf(out, "Blocks %s%s%s.", rule->blocks, *rule->duration ? " " : "",
                      rule->duration);
}

static void put_indented(struct buffer *out, const char *text)
{
    buffer_puts(out, "    ");
    for (; *text; text++) {
        buffer_append(out, text, 1);
        if (*text == '\n')
            buffer_puts(out, "    ");
    }
    buffer_puts(out, "\n");
}

void lint_explain(struct buffer *out, const struct lint_rule *rule)
{
    buffer_printf(out, "%s %s (%s)\n%s.\n\n", rule->id, rule->name, lint_level_name(rule->level),
                  rule->title);
    put_effect(out, rule);
    buffer_puts(out, "\nPostgreSQL ");
    put_versions(out, rule);
    buffer_puts(out, ".\n\nFound:\n");
    put_indented(out, rule->flagged);
    buffer_printf(out, "\nInstead: %s\n", rule->recipe);
    put_indented(out, rule->safe);
    buffer_printf(out,
                  "\nTo keep it anyway, write right above the statement:\n    -- migration-lint: "
                  "ignore=%s reason=\"...\"\n",
                  rule->id);
}

static void put_quoted(struct buffer *out, const char *name, const char *text)
{
    buffer_printf(out, ",\"%s\":\"", name);
    for (; *text; text++)
        if (*text == '\n')
            buffer_puts(out, "\\n");
        else if (*text == '"' || *text == '\\')
            buffer_printf(out, "\\%c", *text);
        else
            buffer_append(out, text, 1);
    buffer_puts(out, "\"");
}

void lint_list_json(struct buffer *out)
{
    size_t count;
    const struct lint_rule *const *rules = lint_rules(&count);
    buffer_puts(out, "[");
    for (size_t i = 0; i < count; i++) {
        const struct lint_rule *rule = rules[i];
        buffer_printf(out, "%s\n{\"id\":\"%s\",\"level\":\"%s\",\"off\":%s", i ? "," : "", rule->id,
                      lint_level_name(rule->level), rule->off ? "true" : "false");
        put_quoted(out, "name", rule->name);
        put_quoted(out, "title", rule->title);
        put_quoted(out, "blocks", rule->blocks);
        put_quoted(out, "duration", rule->duration);
        buffer_puts(out, ",\"effect\":\"");
        put_effect(out, rule);
        buffer_puts(out, "\"");
        put_quoted(out, "recipe", rule->recipe);
        put_quoted(out, "flagged", rule->flagged);
        put_quoted(out, "safe", rule->safe);
        buffer_puts(out, ",\"versions\":\"");
        put_versions(out, rule);
        buffer_puts(out, "\"}");
    }
    buffer_puts(out, "\n]\n");
}
