/* The walk over spec along the table of its fields. */
#include "spec/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void shape_fault(struct shape_faults *faults, const char *path, const char *format, ...)
{
    struct spec_faults *list = faults->faults;
    list->items =
        arena_room(faults->arena, list->items, list->count, &faults->capacity, sizeof *list->items);
    va_list args;
    va_start(args, format);
    list->items[list->count++] = (struct spec_fault){
        .path = arena_strdup(faults->arena, path),
        .message = arena_vprintf(faults->arena, format, args),
    };
    va_end(args);
}

char *shape_key(struct arena *arena, const char *path, const char *key)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (*key == '\0' || strspn(key, plain) != strlen(key))
        return arena_printf(arena, "%s[\"%s\"]", path, key);
    return arena_printf(arena, "%s%s%s", path, *path ? "." : "", key);
}

char *shape_found(struct arena *arena, const cJSON *node)
{
    if (cJSON_IsString(node))
        return arena_printf(arena, "the string \"%.80s\"", node->valuestring);
    if (cJSON_IsNumber(node))
        return arena_printf(arena, "the number %s", json_compact(arena, node));
    if (cJSON_IsBool(node))
        return arena_strdup(arena, cJSON_IsTrue(node) ? "the boolean true" : "the boolean false");
    return arena_strdup(arena, cJSON_IsArray(node)    ? "a list"
                               : cJSON_IsObject(node) ? "a mapping"
                                                      : "null");
}

/* Three rows of the table are enough: a swap of two letters looks back two rows. */
size_t shape_distance(const char *a, const char *b)
{
    enum { MAX = 48 };
    size_t n = strlen(a), m = strlen(b), rows[3][MAX + 1];
    if (n > MAX || m > MAX)
        return MAX;
    for (size_t i = 0; i <= n; i++) {
        size_t *row = rows[i % 3], *before = rows[(i + 2) % 3], *swap = rows[(i + 1) % 3];
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                row[j] = i + j;
                continue;
            }
            size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);
            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = swap[j - 2] + 1 < best ? swap[j - 2] + 1 : best;
            row[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *shape_suggest(const char *name, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t bound = strlen(name) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t d = shape_distance(name, names[i]);
        if (d < bound) {
            bound = d;
            nearest = names[i];
        }
    }
    return nearest;
}

static const struct shape_field *find(const char *path)
{
    size_t count;
    const struct shape_field *fields = shape_fields(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].path, path) == 0)
            return &fields[i];
    return NULL;
}

/* The name of a direct member of `parent`, or NULL. */
static const char *member_of(const char *parent, const struct shape_field *field)
{
    size_t length = strlen(parent);
    if (strncmp(field->path, parent, length) != 0)
        return NULL;
    const char *name = field->path + length;
    if (length > 0 && *name++ != '.')
        return NULL;
    return *name && strpbrk(name, ".[{") == NULL ? name : NULL;
}

/* A typing error is the usual cause, so that all names are listed only when none is near. */
static void unknown_field(struct shape_faults *faults, const char *parent, const char *path,
                          const char *key)
{
    size_t field_count, count = 0;
    const struct shape_field *fields = shape_fields(&field_count);
    const char **names = arena_alloc(faults->arena, field_count * sizeof *names);
    for (size_t i = 0; i < field_count; i++)
        if (member_of(parent, &fields[i]))
            names[count++] = member_of(parent, &fields[i]);
    const char *near = shape_suggest(key, names, count);
    if (near) {
        shape_fault(faults, path, "unknown field (did you mean '%s'?)", near);
        return;
    }
    char *list = "";
    for (size_t i = 0; i < count; i++)
        list = arena_printf(faults->arena, "%s%s%s", list, i ? ", " : "", names[i]);
    shape_fault(faults, path, "unknown field (known fields: %s)", list);
}

/* cJSON has only doubles: an integer is a number without a fraction. */
static bool has_type(const cJSON *node, enum shape_type type)
{
    switch (type) {
    case SHAPE_OBJECT:
    case SHAPE_MAP:
        return cJSON_IsObject(node);
    case SHAPE_LIST:
        return cJSON_IsArray(node);
    case SHAPE_STRING:
        return cJSON_IsString(node);
    case SHAPE_BOOLEAN:
        return cJSON_IsBool(node);
    case SHAPE_QUANTITY:
        if (cJSON_IsString(node))
            return true;
        __attribute__((fallthrough));
    case SHAPE_INTEGER:
        return cJSON_IsNumber(node) && node->valuedouble == (double)(int64_t)node->valuedouble;
    }
    return false;
}

static const char *const type_names[] = {
    [SHAPE_OBJECT] = "a mapping",    [SHAPE_LIST] = "a list",
    [SHAPE_MAP] = "a mapping",       [SHAPE_STRING] = "a string",
    [SHAPE_INTEGER] = "an integer",  [SHAPE_BOOLEAN] = "true or false",
    [SHAPE_QUANTITY] = "a quantity",
};

/* The syntax comes before "must not be empty", because it says what is expected. */
static void check_string(struct shape_faults *faults, const struct shape_field *field,
                         const char *path, const char *text)
{
    size_t length = strlen(text);
    if (field->options) {
        char *list = "";
        for (size_t i = 0; field->options[i]; i++) {
            if (strcmp(field->options[i], text) == 0)
                return;
            list = arena_printf(faults->arena, "%s%s%s", list, i ? ", " : "", field->options[i]);
        }
        shape_fault(faults, path, "must be one of %s, not \"%.80s\"", list, text);
    } else if (length > (size_t)field->max) {
        shape_fault(faults, path, "must not be longer than %d characters (it has %zu)",
                    (int)field->max, length);
    } else if (field->valid && !field->valid(text)) {
        shape_fault(faults, path, "must be %s, not \"%.80s\"", field->expected, text);
    } else if (length < (size_t)field->min) {
        shape_fault(faults, path, "must not be empty");
    }
}

static void check_count(struct shape_faults *faults, const struct shape_field *field,
                        const char *path, const cJSON *node)
{
    int count = cJSON_GetArraySize(node);
    if (count > field->max)
        shape_fault(faults, path, "must not have more than %d entries (it has %d)", (int)field->max,
                    count);
}

static void check_integer(struct shape_faults *faults, const struct shape_field *field,
                          const char *path, const cJSON *node)
{
    if (node->valuedouble < (double)field->min || node->valuedouble > (double)field->max)
        shape_fault(faults, path, "must be from %d to %d, not %s (%s)", (int)field->min,
                    (int)field->max, json_compact(faults->arena, node), field->expected);
}

static void check_value(struct shape_faults *faults, const struct shape_field *field,
                        const char *path, const cJSON *node);

/* What is written is looked up in the table, and what the table requires is looked up in what is
 * written. */
static void check_object(struct shape_faults *faults, const char *pattern, const char *path,
                         const cJSON *node)
{
    const cJSON *child;
    cJSON_ArrayForEach (child, node) {
        char *child_path = shape_key(faults->arena, path, child->string);
        const struct shape_field *field = find(shape_key(faults->arena, pattern, child->string));
        if (field)
            check_value(faults, field, child_path, child);
        else
            unknown_field(faults, pattern, child_path, child->string);
    }
    size_t count;
    const struct shape_field *fields = shape_fields(&count);
    for (size_t i = 0; i < count; i++) {
        const char *name = fields[i].required ? member_of(pattern, &fields[i]) : NULL;
        if (name && !cJSON_GetObjectItemCaseSensitive(node, name))
            shape_fault(faults, shape_key(faults->arena, path, name), "is required%s%s",
                        fields[i].expected ? ": " : "",
                        fields[i].expected ? fields[i].expected : "");
    }
}

static void check_items(struct shape_faults *faults, const struct shape_field *field,
                        const char *path, const cJSON *node)
{
    bool list = field->type == SHAPE_LIST;
    char *pattern = arena_printf(faults->arena, "%s%s", field->path, list ? "[]" : "{}");
    const struct shape_field *item_field = find(pattern);
    const cJSON *child;
    int index = 0;
    check_count(faults, field, path, node);
    cJSON_ArrayForEach (child, node) {
        char *child_path = list ? arena_printf(faults->arena, "%s[%d]", path, index++)
                                : shape_key(faults->arena, path, child->string);
        check_value(faults, item_field, child_path, child);
    }
}

/* What is of the wrong type is not looked into: its fields would only give faults that follow from
 * that. */
static void check_value(struct shape_faults *faults, const struct shape_field *field,
                        const char *path, const cJSON *node)
{
    if (!has_type(node, field->type)) {
        const char *expected =
            field->expected && field->type != SHAPE_INTEGER ? field->expected : "";
        shape_fault(faults, path, "must be %s%s%s, not %s", type_names[field->type],
                    *expected ? ", " : "", expected, shape_found(faults->arena, node));
        return;
    }
    switch (field->type) {
    case SHAPE_OBJECT:
        check_object(faults, field->path, path, node);
        break;
    case SHAPE_LIST:
    case SHAPE_MAP:
        check_items(faults, field, path, node);
        break;
    case SHAPE_INTEGER:
        check_integer(faults, field, path, node);
        break;
    case SHAPE_STRING:
        check_string(faults, field, path, node->valuestring);
        break;
    case SHAPE_QUANTITY:
        check_string(faults, field, path,
                     cJSON_IsString(node) ? node->valuestring : json_compact(faults->arena, node));
        break;
    case SHAPE_BOOLEAN:
        break;
    }
}

void shape_check(struct shape_faults *faults, const cJSON *spec)
{
    if (spec == NULL)
        shape_fault(faults, "spec", "is required");
    else if (!cJSON_IsObject(spec))
        shape_fault(faults, "spec", "must be a mapping, not %s", shape_found(faults->arena, spec));
    else
        check_object(faults, "", "spec", spec);
}
