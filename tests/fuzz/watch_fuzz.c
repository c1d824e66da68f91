/*
 * What a server streams: lines of a watch, pages of a list, refusals. Beyond not crashing: it makes
 * no difference how the bytes are cut, and a list splits into exactly the items that it holds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kube/frame.h"
#include "kube/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 4096 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Lengths of pieces come from the data, so that a corpus covers many ways of cutting. */
static size_t piece(const uint8_t *data, size_t size, size_t at, bool whole)
{
    size_t length = whole ? size : (size_t)(data[at] % 13) + 1;
    return length < size - at ? length : size - at;
}

static void put_found(struct buffer *out, int found, const char *text, size_t length)
{
    if (found == KUBE_FRAME_FOUND)
        buffer_append(out, text, length);
    buffer_puts(out, found == KUBE_FRAME_FOUND ? "\x01" : "\x02");
}

static void read_lines(const uint8_t *data, size_t size, bool whole, struct buffer *out)
{
    struct kube_lines lines = {.limit = LIMIT};
    AUTO_BUFFER in = {0};
    for (size_t at = 0, length; at < size; at += length) {
        const char *text;
        size_t text_length;
        struct error err;
        int found;
        length = piece(data, size, at, whole);
        buffer_append(&in, data + at, length);
        while ((found = kube_lines_next(&lines, &in, &text, &text_length, &err)) != KUBE_FRAME_MORE)
            put_found(out, found, text, text_length);
        require(in.length <= LIMIT + length);
    }
}

/* Returns how many items there were, or -1 when the list was refused or cut off. */
static int read_items(const uint8_t *data, size_t size, bool whole, struct buffer *out)
{
    struct kube_items items = {.limit = LIMIT};
    AUTO_BUFFER in = {0};
    int count = 0, found = 0;
    for (size_t at = 0, length; at < size && found >= 0; at += length) {
        const char *text;
        size_t text_length;
        struct error err;
        length = piece(data, size, at, whole);
        buffer_append(&in, data + at, length);
        while ((found = kube_items_next(&items, &in, &text, &text_length, &err)) > 0) {
            put_found(out, found, text, text_length);
            count++;
        }
    }
    buffer_append(out, buffer_text(&items.envelope), items.envelope.length);
    bool good = found == 0 && items.complete;
    buffer_free(&items.envelope);
    return good ? count : -1;
}

/* What a parser of the whole finds. A key may be written with escapes,
 * or end at a NUL as cJSON keeps it: those are left out. */
static void compare_items(const uint8_t *data, size_t size, int count)
{
    if (count < 0 || memchr(data, '\\', size) != NULL || memchr(data, '\0', size) != NULL)
        return;
    cJSON *tree = cJSON_ParseWithLength((const char *)data, size);
    int wanted = 0;
    if (cJSON_IsObject(tree)) {
        for (const cJSON *member = tree->child; member != NULL; member = member->next)
            if (strcmp(member->string, "items") == 0 && cJSON_IsArray(member))
                for (const cJSON *item = member->child; item != NULL; item = item->next)
                    wanted += cJSON_IsObject(item);
        require(count == wanted);
    }
    cJSON_Delete(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUFFER lines = {0}, cut_lines = {0}, items = {0}, cut_items = {0};
    struct error err = {0};
    if (size == 0)
        return 0;
    read_lines(data, size, true, &lines);
    read_lines(data, size, false, &cut_lines);
    require(lines.length == cut_lines.length &&
            memcmp(buffer_text(&lines), buffer_text(&cut_lines), lines.length) == 0);
    int count = read_items(data, size, true, &items);
    int cut_count = read_items(data, size, false, &cut_items);
    require(count == cut_count);
    if (count >= 0)
        require(strcmp(buffer_text(&items), buffer_text(&cut_items)) == 0);
    compare_items(data, size, count);
    require(kube_reply_error(500, 0, (const char *)data, size, &err) < 0);
    return 0;
}
