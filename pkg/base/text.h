/* Texts that may be NULL, which counts as empty. */
#pragma once

#include <stdbool.h>
#include <string.h>

static inline const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static inline bool text_given(const char *text)
{
    return text && *text;
}

static inline bool text_same(const char *a, const char *b)
{
    return strcmp(text_or_empty(a), text_or_empty(b)) == 0;
}

/* Blanks instead of line breaks and other control characters: others' words within ours. */
void text_one_line(char *text);

/* What a structure that outlives a pass keeps: a copy takes the place of the old text, which may be
 * what `text` is part of. NULL only frees. */
void text_replace(char **place, const char *text);
