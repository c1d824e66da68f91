#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"

static void delete_tree(void *tree)
{
    cJSON_Delete(tree);
}

cJSON *json_adopt(struct arena *arena, cJSON *tree)
{
    if (tree != NULL)
        arena_defer(arena, delete_tree, tree);
    return tree;
}

int json_parse(struct arena *arena, const char *text, size_t length, cJSON **ret_tree,
               struct error *err)
{
    if (length > JSON_MAX_BYTES)
        return err_set(err, ERR_UNREADABLE, "JSON of %zu bytes is over the limit of %d", length,
                       JSON_MAX_BYTES);
    const char *end = text;
    cJSON *tree = cJSON_ParseWithLengthOpts(text, length, &end, false);
    if (tree == NULL)
        return err_set(err, ERR_UNREADABLE, "invalid JSON at byte %zu of %zu",
                       end ? (size_t)(end - text) : 0, length);
    size_t used = (size_t)(end - text);
    while (used < length && memchr(" \t\r\n", text[used], 4) != NULL)
        used++; /* not strspn(): text need not end in NUL */
    if (used < length) {
        cJSON_Delete(tree);
        return err_set(err, ERR_UNREADABLE, "invalid JSON: more text at byte %zu of %zu", used,
                       length);
    }
    *ret_tree = json_adopt(arena, tree);
    return 0;
}

cJSON *json_copy(struct arena *arena, const cJSON *tree)
{
    return tree ? json_adopt(arena, cJSON_Duplicate(tree, true)) : NULL;
}

/* Takes one step of a path: a key up to '.' or '[', ["key"], or [n]. Returns the rest of the
 * path. */
static const char *step(const cJSON **node, const char *path)
{
    if (*path == '[' && path[1] == '"') {
        const char *end = strchr(path + 2, '"');
        if (end == NULL || end[1] != ']')
            return *node = NULL, "";
        const cJSON *child = (*node)->child;
        size_t length = (size_t)(end - path - 2);
        while (child && !(child->string && strlen(child->string) == length &&
                          memcmp(child->string, path + 2, length) == 0))
            child = child->next;
        *node = child;
        return end + 2;
    }
    if (*path == '[') {
        char *end;
        long index = strtol(path + 1, &end, 10);
        *node = *end == ']' ? cJSON_GetArrayItem(*node, (int)index) : NULL;
        return *end == ']' ? end + 1 : "";
    }
    size_t length = strcspn(path, ".[");
    const cJSON *child = cJSON_IsObject(*node) ? (*node)->child : NULL;
    while (child && !(strlen(child->string) == length && memcmp(child->string, path, length) == 0))
        child = child->next;
    *node = child;
    return path + length;
}

cJSON *json_get(const cJSON *root, const char *path)
{
    const cJSON *node = root;
    while (node != NULL && *path != '\0') {
        if (*path == '.')
            path++;
        path = step(&node, path);
    }
    return (cJSON *)node;
}

const char *json_str(const cJSON *root, const char *path, const char *fallback)
{
    const cJSON *node = json_get(root, path);
    return cJSON_IsString(node) ? node->valuestring : fallback;
}

int64_t json_int(const cJSON *root, const char *path, int64_t fallback)
{
    const cJSON *node = json_get(root, path);
    if (!cJSON_IsNumber(node) || node->valuedouble != floor(node->valuedouble) ||
        fabs(node->valuedouble) > 9007199254740992.0)
        return fallback;
    return (int64_t)node->valuedouble;
}

bool json_bool(const cJSON *root, const char *path, bool fallback)
{
    const cJSON *node = json_get(root, path);
    return cJSON_IsBool(node) ? (bool)cJSON_IsTrue(node) : fallback;
}

const cJSON *json_item(const cJSON *list, const char *member, const char *value)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(item, member);
        if (cJSON_IsString(text) && strcmp(text->valuestring, value) == 0)
            return item;
    }
    return NULL;
}

cJSON *json_object(struct arena *arena)
{
    return json_adopt(arena, cJSON_CreateObject());
}

static cJSON *attach(cJSON *object, const char *key, cJSON *item)
{
    if (cJSON_GetObjectItemCaseSensitive(object, key))
        cJSON_ReplaceItemInObjectCaseSensitive(object, key, item);
    else
        cJSON_AddItemToObject(object, key, item);
    return item;
}

cJSON *json_add_object(cJSON *object, const char *key)
{
    cJSON *there = cJSON_GetObjectItemCaseSensitive(object, key);
    return there ? there : attach(object, key, cJSON_CreateObject());
}

cJSON *json_add_array(cJSON *object, const char *key)
{
    cJSON *there = cJSON_GetObjectItemCaseSensitive(object, key);
    return there ? there : attach(object, key, cJSON_CreateArray());
}

void json_set_str(cJSON *object, const char *key, const char *text)
{
    if (text != NULL)
        attach(object, key, cJSON_CreateString(text));
}

void json_set_int(cJSON *object, const char *key, int64_t number)
{
    attach(object, key, cJSON_CreateNumber((double)number));
}

void json_set_bool(cJSON *object, const char *key, bool value)
{
    attach(object, key, cJSON_CreateBool(value));
}

void json_set_copy(cJSON *object, const char *key, const cJSON *tree)
{
    if (tree != NULL)
        attach(object, key, cJSON_Duplicate(tree, true));
}

cJSON *json_push_object(cJSON *array)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(array, item);
    return item;
}

void json_push_str(cJSON *array, const char *text)
{
    cJSON_AddItemToArray(array, cJSON_CreateString(text));
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(cJSON *const *)a)->string, (*(cJSON *const *)b)->string);
}

/* Most strings need no escapes; these are copied without the detour over cJSON. */
static bool write_plain_string(struct buffer *out, const char *text)
{
    size_t length = 0;
    for (; text[length]; length++)
        if ((unsigned char)text[length] < 0x20 || text[length] == '"' || text[length] == '\\')
            return false;
    buffer_append(out, "\"", 1);
    buffer_append(out, text, length);
    buffer_append(out, "\"", 1);
    return true;
}

static void write_scalar(struct buffer *out, const cJSON *node)
{
    if (cJSON_IsString(node) && write_plain_string(out, node->valuestring))
        return;
    char *text = cJSON_PrintUnformatted(node);
    buffer_puts(out, text ? text : "null");
    cJSON_free(text);
}

static void write_key(struct buffer *out, const char *key)
{
    cJSON name = {.type = cJSON_String, .valuestring = (char *)key};
    write_scalar(out, &name);
    buffer_puts(out, ":");
}

/* Not cJSON's own printing, which keeps the order of members: equal trees must give equal text. */
static void write_canonical(struct buffer *out, const cJSON *node)
{
    if (!cJSON_IsObject(node) && !cJSON_IsArray(node)) {
        write_scalar(out, node);
        return;
    }
    bool object = cJSON_IsObject(node);
    size_t count = (size_t)cJSON_GetArraySize(node), i = 0;
    const cJSON **items = xcalloc(count, sizeof *items);
    for (const cJSON *child = node->child; child; child = child->next)
        items[i++] = child;
    if (object)
        qsort(items, count, sizeof *items, by_name);
    buffer_puts(out, object ? "{" : "[");
    for (i = 0; i < count; i++) {
        if (i > 0)
            buffer_puts(out, ",");
        if (object)
            write_key(out, items[i]->string);
        write_canonical(out, items[i]);
    }
    buffer_puts(out, object ? "}" : "]");
    free(items);
}

char *json_canonical(struct arena *arena, const cJSON *tree)
{
    AUTO_BUFFER out = {0};
    write_canonical(&out, tree);
    return arena_strndup(arena, buffer_text(&out), out.length);
}

char *json_compact(struct arena *arena, const cJSON *tree)
{
    char *text = cJSON_PrintUnformatted(tree);
    char *copy = arena_strdup(arena, text ? text : "null");
    cJSON_free(text);
    return copy;
}

bool json_equal(const cJSON *a, const cJSON *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return cJSON_Compare(a, b, true);
}

char *json_hash(struct arena *arena, const cJSON *tree)
{
    AUTO_BUFFER out = {0};
    write_canonical(&out, tree);
    return hash_hex16(arena, buffer_text(&out), out.length);
}
