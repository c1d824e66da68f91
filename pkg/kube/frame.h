/*
 * Cuts a server's stream into objects, at whatever bytes it arrives split: the lines of a watch,
 * and the items of a list. Neither is ever in memory as a whole.
 *
 * Both read from a buffer that the caller fills. When they need more bytes, they remove from its
 * front what they have handed out. A found text points into the buffer and is valid until the next
 * call. Sources:
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

enum { KUBE_OBJECT_MAX_BYTES = 8 * 1024 * 1024, KUBE_ENVELOPE_MAX_BYTES = 1024 * 1024 };

enum { KUBE_FRAME_MORE = 0, KUBE_FRAME_FOUND = 1 };

/* Zero value is ready; limit 0 means KUBE_OBJECT_MAX_BYTES. */
struct kube_lines {
    size_t limit;
    size_t taken;   /* handed out already */
    size_t scanned; /* up to here there is no newline */
    bool skipping;  /* within a line that is over the limit */
};

/* KUBE_FRAME_FOUND with the next line that is not blank, KUBE_FRAME_MORE when bytes are missing, or
 * ERR_INVALID once for a line over the limit, which is skipped: reading continues after it. */
int kube_lines_next(struct kube_lines *lines, struct buffer *in, const char **ret_text,
                    size_t *ret_length, struct error *err) ERR_CHECKED;

/* Splits {"metadata": {...}, "items": [{...}, ...]}. Zero value is ready. */
struct kube_items {
    size_t limit;           /* of one item; 0: KUBE_OBJECT_MAX_BYTES */
    struct buffer envelope; /* the document without the items; free it with buffer_free() */
    size_t scanned, item_start;
    int depth;
    unsigned char state;  /* of the scanner: see frame.c */
    unsigned char key[8]; /* the first bytes of the last string at depth 1 */
    size_t key_length;
    bool in_string, escaped, in_items, in_item, complete;
};

/* KUBE_FRAME_FOUND with the next item; KUBE_FRAME_MORE when bytes are missing, or when `complete`
 * says that the document ended and `envelope` can be parsed; ERR_INVALID when an item or the
 * envelope is over its limit, after which nothing more can be read. */
int kube_items_next(struct kube_items *items, struct buffer *in, const char **ret_text,
                    size_t *ret_length, struct error *err) ERR_CHECKED;
