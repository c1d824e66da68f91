#include "base/text.h"

#include <stdlib.h>

#include "base/arena.h"

void text_replace(char **place, const char *text)
{
    char *copy = text ? xstrdup(text) : NULL;
    free(*place);
    *place = copy;
}

void text_one_line(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = ' ';
}
