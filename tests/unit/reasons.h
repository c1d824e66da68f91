/* The reasons of pkg/api/reasons.h, as a test reads them. */
#pragma once

#include "test.h"

#include <ctype.h>

#include "base/file.h"
#include "world.h"

enum { NAMES_MAX = 200, FILE_MAX = 1024 * 1024 };

struct names {
    const char *items[NAMES_MAX];
    size_t count;
};

UNUSED static char *reasons_read_text(struct arena *arena, const char *path)
{
    char *text = NULL;
    struct error err;
    if (file_read(arena, path, FILE_MAX, &text, NULL, &err) < 0)
        fail_msg("%s (tests run in the top folder)", err.text);
    return text;
}

UNUSED static bool reasons_has(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

UNUSED static void reasons_put(struct names *names, const char *name)
{
    assert_true(names->count < NAMES_MAX);
    names->items[names->count++] = name;
}

UNUSED static bool reasons_is_name(const char *name)
{
    if (!isupper((unsigned char)*name))
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name))
            return false;
    return true;
}

UNUSED static struct names reasons_defined(struct arena *arena)
{
    struct names names = {.count = 0};
    char *save, *text = reasons_read_text(arena, "pkg/api/reasons.h");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *open = strchr(line, '"');
        if (strncmp(line, "#define REASON_", 15) == 0 && open != NULL) {
            *strchr(open + 1, '"') = '\0';
            reasons_put(&names, open + 1);
        }
    }
    return names;
}
