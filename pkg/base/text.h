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

/* Replaces line breaks and other control characters by blanks, so that foreign text fits into a
 * message. */
void text_one_line(char *text);

/* For a structure that outlives a pass: replaces the text by a copy and frees the old one. `text`
 * may point into the old one. NULL only frees. */
void text_replace(char **place, const char *text);
