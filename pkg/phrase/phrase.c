#include "phrase/phrase.h"

#include <string.h>

static const char *place_of(const struct phrase_row *row, const char *text)
{
    switch (row->place) {
    case PHRASE_AT_BEGIN:
        return strncmp(text, row->text, strlen(row->text)) == 0 ? text : NULL;
    case PHRASE_ANY_CASE:
        return strcasestr(text, row->text);
    default:
        return strstr(text, row->text);
    }
}

/* The first of its rows that is in the text. */
static const struct phrase_row *row_in(enum phrase phrase, const char *text, const char **ret_at)
{
    const struct phrase_row *const tables[] = {phrase_postgres, phrase_kubernetes};
    for (size_t i = 0; text != NULL && i < sizeof tables / sizeof tables[0]; i++)
        for (const struct phrase_row *row = tables[i]; row->phrase != PHRASE_NONE; row++)
            if (row->phrase == phrase && (*ret_at = place_of(row, text)) != NULL)
                return row;
    *ret_at = NULL;
    return NULL;
}

const char *phrase_find(enum phrase phrase, const char *text)
{
    const char *at;
    (void)row_in(phrase, text, &at);
    return at;
}

const char *phrase_after(enum phrase phrase, const char *text)
{
    const char *at;
    const struct phrase_row *row = row_in(phrase, text, &at);
    return row != NULL ? at + strlen(row->text) : NULL;
}

bool phrase_is_in(enum phrase phrase, const char *text)
{
    return phrase_find(phrase, text) != NULL;
}
