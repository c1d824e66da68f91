#include "yaml/lines.h"

#include <stdlib.h>
#include <string.h>

struct yaml_lines {
    struct yaml_place *places; /* sorted by address once the stream is read */
    size_t count, capacity;
};

static void free_lines(void *lines)
{
    free(((struct yaml_lines *)lines)->places);
}

struct yaml_lines *yaml_lines_new(struct arena *arena)
{
    struct yaml_lines *lines = arena_alloc(arena, sizeof *lines);
    arena_defer(arena, free_lines, lines);
    return lines;
}

void yaml_lines_add(struct yaml_lines *lines, struct yaml_place place)
{
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity ? lines->capacity * 2 : 64;
        lines->places = xrealloc(lines->places, lines->capacity * sizeof *lines->places);
    }
    lines->places[lines->count++] = place;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct yaml_place *)a)->node;
    uintptr_t y = (uintptr_t)((const struct yaml_place *)b)->node;
    return (x > y) - (x < y);
}

void yaml_lines_finish(struct yaml_lines *lines)
{
    if (lines->count > 1)
        qsort(lines->places, lines->count, sizeof *lines->places, by_address);
}

static int line_of_node(const struct yaml_lines *lines, const cJSON *node)
{
    struct yaml_place wanted = {.node = node};
    if (lines->count == 0)
        return 0;
    const struct yaml_place *place =
        bsearch(&wanted, lines->places, lines->count, sizeof wanted, by_address);
    return place ? place->line : 0;
}

/* Cuts the last step off a path; false when nothing is left. */
static bool cut_step(char *path)
{
    size_t length = strlen(path);
    if (length == 0)
        return false;
    char *cut = path + length - 1;
    bool quoted = length > 2 && strcmp(cut - 1, "\"]") == 0;
    while (cut > path && (quoted ? strncmp(cut, "[\"", 2) != 0 : *cut != '.' && *cut != '['))
        cut--;
    *cut = '\0';
    return true;
}

int yaml_line_of(const struct yaml_document *document, const char *path)
{
    char *rest = xstrdup(path);
    int line = 0;
    do {
        const cJSON *node = json_get(document->tree, rest);
        line = node ? line_of_node(document->lines, node) : 0;
    } while (line == 0 && cut_step(rest));
    free(rest);
    return line ? line : document->line;
}
