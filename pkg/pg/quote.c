#include <stdbool.h>
#include <string.h>

#include "base/buffer.h"
#include "pg/pg.h"

static char *quote(struct arena *arena, const char *text, char mark, const char *prefix)
{
    AUTO_BUFFER out = {0};
    buffer_puts(&out, prefix);
    buffer_append(&out, &mark, 1);
    for (const char *p = text; *p; p++) {
        if (*p == mark || (*p == '\\' && mark == '\''))
            buffer_append(&out, p, 1);
        buffer_append(&out, p, 1);
    }
    buffer_append(&out, &mark, 1);
    return arena_strndup(arena, buffer_text(&out), out.length);
}

char *pg_literal(struct arena *arena, const char *text)
{
    /* E'' means the same whatever standard_conforming_strings says. */
    return quote(arena, text, '\'', strchr(text, '\\') ? "E" : "");
}

char *pg_identifier(struct arena *arena, const char *name)
{
    return quote(arena, name, '"', "");
}
