/* The only file that calls libpg_query. */
#include "sql/parse.h"

#include <stdlib.h>

/* The parser counts characters from 1. */
static size_t byte_offset(const char *text, int characters)
{
    size_t at = 0;
    for (int n = 1; n < characters && text[at] != '\0'; n++) {
        at++;
        while (((unsigned char)text[at] & 0xC0) == 0x80)
            at++;
    }
    return at;
}

int parse_begin(const char *text, struct parsed *ret_parsed, size_t *ret_offset, struct error *err)
{
    MemoryContext context = pg_query_enter_memory_context();
    PgQueryInternalParsetreeAndError result = pg_query_raw_parse(text, PG_QUERY_PARSE_DEFAULT);
    free(result.stderr_buffer);
    if (result.error == NULL) {
        *ret_parsed = (struct parsed){result.tree, context};
        return 0;
    }
    *ret_offset = byte_offset(text, result.error->cursorpos);
    int class = err_set(err, ERR_UNREADABLE, "%s", result.error->message);
    pg_query_free_error(result.error);
    pg_query_exit_memory_context(context);
    return class;
}

void parse_end(struct parsed *parsed)
{
    pg_query_exit_memory_context(parsed->context);
    *parsed = (struct parsed){0};
}
