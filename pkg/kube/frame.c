#include "kube/frame.h"

#include <string.h>

static size_t limit_of(size_t limit)
{
    return limit ? limit : KUBE_OBJECT_MAX_BYTES;
}

static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

/* Drops what was handed out. Called only when more bytes are needed, so that each byte is moved at
 * most once. */
static int lines_need_more(struct kube_lines *lines, struct buffer *in)
{
    if (lines->skipping)
        lines->taken = lines->scanned = in->length;
    buffer_consume(in, lines->taken);
    lines->scanned -= lines->taken;
    lines->taken = 0;
    return KUBE_FRAME_MORE;
}

static ERR_CHECKED int over_limit(struct kube_lines *lines, struct error *err)
{
    lines->skipping = true;
    lines->taken = lines->scanned;
    return err_set(err, ERR_INVALID, "an object of more than %zu bytes was skipped",
                   limit_of(lines->limit));
}

int kube_lines_next(struct kube_lines *lines, struct buffer *in, const char **ret_text,
                    size_t *ret_length, struct error *err)
{
    for (;;) {
        const char *from = buffer_text(in) + lines->scanned;
        const char *newline = memchr(from, '\n', in->length - lines->scanned);
        size_t end = newline ? (size_t)(newline - in->data) : in->length;
        if (!lines->skipping && end - lines->taken > limit_of(lines->limit)) {
            lines->scanned = end;
            return over_limit(lines, err);
        }
        lines->scanned = end;
        if (newline == NULL)
            return lines_need_more(lines, in);
        const char *line = in->data + lines->taken;
        size_t length = end - lines->taken;
        bool skipped = lines->skipping;
        lines->taken = lines->scanned = end + 1;
        lines->skipping = false;
        if (skipped || is_blank(line, length))
            continue;
        *ret_text = line;
        *ret_length = length;
        return KUBE_FRAME_FOUND;
    }
}

/* Where the scanner is between the strings of depth 1: this tells which member's value begins. */
enum { BETWEEN, AFTER_KEY, BEFORE_VALUE };

static bool is_items_key(const struct kube_items *items)
{
    return items->key_length == 5 && memcmp(items->key, "items", 5) == 0;
}

static void string_byte(struct kube_items *items, char c)
{
    if (items->escaped) {
        items->escaped = false;
    } else if (c == '\\') {
        items->escaped = true;
    } else if (c == '"') {
        items->in_string = false;
        if (items->depth == 1 && items->state == BETWEEN)
            items->state = AFTER_KEY;
        return;
    }
    if (items->depth == 1 && items->key_length < sizeof items->key)
        items->key[items->key_length++] = (unsigned char)c;
}

/* True when this byte ends an item. */
static bool structure_byte(struct kube_items *items, char c, size_t at)
{
    switch (c) {
    case '"':
        items->in_string = true;
        if (items->depth == 1)
            items->key_length = 0;
        break;
    case ':':
        if (items->depth == 1 && items->state == AFTER_KEY)
            items->state = BEFORE_VALUE;
        break;
    case ',':
        if (items->depth == 1)
            items->state = BETWEEN;
        break;
    case '{':
    case '[':
        if (c == '{' && items->depth == 2 && items->in_items && !items->in_item) {
            items->in_item = true;
            items->item_start = at;
        }
        if (c == '[' && items->depth == 1 && items->state == BEFORE_VALUE && is_items_key(items))
            items->in_items = true;
        items->depth++;
        break;
    case '}':
    case ']':
        items->depth--;
        if (items->in_item && items->depth == 2) {
            items->in_item = false;
            return true;
        }
        if (items->depth <= 1)
            items->in_items = false;
        if (items->depth <= 0)
            items->complete = true;
        break;
    }
    return false;
}

/* Copies the bytes of the envelope, but not the commas between items: without the items they would
 * not parse. */
static void keep_envelope(struct kube_items *items, char c)
{
    bool between_items = items->in_items && items->depth == 2 && c == ',' && !items->in_string;
    if (!between_items)
        buffer_append(&items->envelope, &c, 1);
}

static int items_need_more(struct kube_items *items, struct buffer *in)
{
    size_t done = items->in_item ? items->item_start : items->scanned;
    buffer_consume(in, done);
    items->scanned -= done;
    items->item_start = 0;
    return KUBE_FRAME_MORE;
}

static ERR_CHECKED int check_limits(const struct kube_items *items, struct error *err)
{
    if (items->in_item && items->scanned - items->item_start > limit_of(items->limit))
        return err_set(err, ERR_INVALID, "an item of the list is over the limit of %zu bytes",
                       limit_of(items->limit));
    if (items->envelope.length > KUBE_ENVELOPE_MAX_BYTES)
        return err_set(err, ERR_INVALID, "a list's metadata is over the limit of %d bytes",
                       KUBE_ENVELOPE_MAX_BYTES);
    return 0;
}

int kube_items_next(struct kube_items *items, struct buffer *in, const char **ret_text,
                    size_t *ret_length, struct error *err)
{
    while (items->scanned < in->length) {
        size_t at = items->scanned++;
        char c = in->data[at];
        bool item_before = items->in_item, ends = false;
        if (items->in_string)
            string_byte(items, c);
        else if (!items->complete)
            ends = structure_byte(items, c, at);
        if (ends) {
            *ret_text = in->data + items->item_start;
            *ret_length = at + 1 - items->item_start;
            return KUBE_FRAME_FOUND;
        }
        if (!item_before && !items->in_item)
            keep_envelope(items, c);
        if (check_limits(items, err) < 0)
            return err->class;
    }
    return items_need_more(items, in);
}
