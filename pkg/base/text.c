#include "base/text.h"

#include <stdlib.h>

#include "base/arena.h"

void text_replace(char **place, const char *text)
{
    char *copy = text ? xstrdup(text) : NULL;
    free(*place);
    *place = copy;
}
