/* What rules can ask about names, places and earlier statements. */
#include "lint/internal.h"

#include <stdio.h>
#include <string.h>

struct arena *lint_arena(struct lint_pass *pass)
{
    if (pass->arena == NULL)
        pass->arena = arena_new();
    return pass->arena;
}

int lint_version(const struct lint_pass *pass)
{
    return pass->lint->options.pg_version;
}

const char *lint_key(struct lint_pass *pass, const RangeVar *table)
{
    const char *schema = table->schemaname ? table->schemaname : pass->schema;
    if (table->schemaname == NULL && table->relpersistence == RELPERSISTENCE_TEMP)
        schema = "pg_temp";
    return arena_printf(lint_arena(pass), "%s.%s", schema, table->relname);
}

static const char *part(const List *name, int n)
{
    return strVal(LIST_AT(Node, name, n));
}

const char *lint_key_of_name(struct lint_pass *pass, const List *name)
{
    int count = list_count(name);
    return arena_printf(lint_arena(pass), "%s.%s", count > 1 ? part(name, count - 2) : pass->schema,
                        part(name, count - 1));
}

const char *lint_name_text(struct lint_pass *pass, const List *name)
{
    int count = list_count(name);
    return count > 1 ? arena_printf(lint_arena(pass), "%s.%s", part(name, count - 2),
                                    part(name, count - 1))
                     : part(name, count - 1);
}

const char *lint_table(struct lint_pass *pass, const RangeVar *table)
{
    if (table->schemaname == NULL)
        return table->relname;
    return arena_printf(lint_arena(pass), "%s.%s", table->schemaname, table->relname);
}

static bool is_new_here(struct lint_pass *pass, const char *schema, const char *name)
{
    char key[2 * NAMEDATALEN + 2];
    if (!lint_memory_has(pass->lint->memory, KIND_RELATION))
        return false;
    snprintf(key, sizeof key, "%s.%s", schema, name);
    return lint_memory_get(pass->lint->memory, KIND_RELATION, key) != NULL;
}

static bool find_new(struct lint_pass *pass, const RangeVar *table)
{
    if (table->schemaname)
        return strncmp(table->schemaname, "pg_temp", 7) == 0 ||
               is_new_here(pass, table->schemaname, table->relname);
    return table->relpersistence == RELPERSISTENCE_TEMP ||
           is_new_here(pass, "pg_temp", table->relname) ||
           is_new_here(pass, pass->schema, table->relname);
}

bool lint_is_new(struct lint_pass *pass, const RangeVar *table)
{
    if (table == NULL)
        return false;
    if (table != pass->asked) {
        pass->asked_new = find_new(pass, table);
        pass->asked = table;
    }
    return pass->asked_new;
}

bool lint_is_new_name(struct lint_pass *pass, const List *name)
{
    int count = list_count(name);
    const char *last = part(name, count - 1);
    if (count > 1)
        return is_new_here(pass, part(name, count - 2), last);
    return is_new_here(pass, "pg_temp", last) || is_new_here(pass, pass->schema, last);
}

/* The offset of the n-th command: commands are parted by commas, in the order of the list. */
static size_t nth_command(const char *text, size_t from, size_t length, int n)
{
    int depth = 0;
    for (size_t i = from; i < length && n > 0; i++) {
        char c = text[i];
        if (c == '\'' || c == '"') {
            while (++i < length && text[i] != c)
                ;
        } else if (c == '(' || c == '[') {
            depth++;
        } else if (c == ')' || c == ']') {
            depth--;
        } else if (c == ',' && depth == 0 && --n == 0) {
            from = i + 1;
        }
    }
    while (from < length && (text[from] == ' ' || (text[from] >= '\t' && text[from] <= '\r')))
        from++;
    return n == 0 && from < length ? from : 0;
}

int lint_command_location(struct lint_pass *pass, const AlterTableStmt *alter,
                          const AlterTableCmd *command)
{
    const struct buffer *text = &pass->lint->statement;
    int n = 0;
    while (n < list_count(alter->cmds) && LIST_AT(AlterTableCmd, alter->cmds, n) != command)
        n++;
    size_t from = alter->relation->location > 0 ? (size_t)alter->relation->location : 0;
    if (from >= text->length)
        return 0;
    /* The table's name, with its schema and quotes, comes before the first command. */
    bool quoted = false;
    while (from < text->length && (quoted || strchr(" \t\r\n", text->data[from]) == NULL))
        quoted ^= text->data[from++] == '"';
    while (from < text->length && strchr(" \t\r\n*", text->data[from]))
        from++;
    return (int)nth_command(text->data, from, text->length, n);
}

void lint_remember(struct lint_pass *pass, enum lint_kind kind, const char *key, const char *value)
{
    pass->asked = NULL;
    lint_memory_put(pass->lint->memory, kind, key, value, pass->flow.id, pass->item.line);
}

void lint_forget(struct lint_pass *pass, enum lint_kind kind, const char *key)
{
    pass->asked = NULL;
    lint_memory_drop(pass->lint->memory, kind, key);
}

const struct lint_memory_entry *lint_recall(struct lint_pass *pass, enum lint_kind kind,
                                            const char *key)
{
    return lint_memory_get(pass->lint->memory, kind, key);
}

bool lint_has_memory(const struct lint_pass *pass, enum lint_kind kind)
{
    return lint_memory_has(pass->lint->memory, kind);
}
