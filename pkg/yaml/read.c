/* libyaml's events -> cJSON trees, without recursion: a stack of open collections. */
#include "yaml/lines.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

/* A finished or open anchor; later ones of the same name win. */
struct anchor {
    char *name;
    const cJSON *node;
    bool finished; /* an alias into an open collection would be endless */
    size_t nodes, bytes;
    int height;
};

struct frame {
    cJSON *node;
    char *key; /* mapping: the key that waits for its value */
    yaml_mark_t key_mark;
    bool merging;  /* the key that waits is << */
    cJSON *merges; /* array of what << named; deleted with the frame */
    size_t anchor; /* index + 1 of the anchor on this collection */
    size_t nodes_before, bytes_before;
    int height;              /* of the tallest child */
    struct yaml_place *keys; /* mapping: children with the lines of their keys */
    size_t key_count, key_capacity;
};

struct reader {
    struct arena *arena;
    struct error *err;
    yaml_parser_t parser;
    yaml_mark_t mark; /* of the current event */
    struct yaml_lines *lines;
    struct anchor *anchors;
    size_t anchor_count, anchor_capacity;
    struct frame frames[YAML_MAX_DEPTH];
    int depth;
    size_t nodes, bytes;
    cJSON *root;
    int root_line;
};

static int fail_at(struct reader *reader, yaml_mark_t mark, const char *what, const char *detail)
{
    return err_set(reader->err, ERR_UNREADABLE, "line %zu, column %zu: %s%s", mark.line + 1,
                   mark.column + 1, what, detail);
}

static int fail(struct reader *reader, const char *what)
{
    return fail_at(reader, reader->mark, what, "");
}

static int fail_parser(struct reader *reader)
{
    yaml_mark_t mark = reader->parser.problem_mark;
    const char *problem = reader->parser.problem ? reader->parser.problem : "cannot be read";
    if (reader->parser.error == YAML_READER_ERROR)
        return err_set(reader->err, ERR_UNREADABLE, "line %zu, column %zu: byte %zu: %s",
                       reader->parser.mark.line + 1, reader->parser.mark.column + 1,
                       reader->parser.problem_offset, problem);
    return fail_at(reader, mark, problem, "");
}

static void *grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? *capacity * 2 : 16;
    return xrealloc(items, *capacity * size);
}

static int count_node(struct reader *reader, size_t nodes, size_t bytes)
{
    reader->nodes += nodes;
    reader->bytes += bytes;
    if (reader->nodes > YAML_MAX_NODES)
        return fail(reader, "more than 1000000 values in one file (aliases expanded)");
    if (reader->bytes > JSON_MAX_BYTES)
        return fail(reader, "more than 64 MiB of text in one file (aliases expanded)");
    return 0;
}

static struct yaml_place place_at(const cJSON *node, yaml_mark_t mark)
{
    return (struct yaml_place){node, (int)mark.line + 1, (int)mark.column + 1};
}

static void note_line(struct reader *reader, const cJSON *node, yaml_mark_t mark)
{
    yaml_lines_add(reader->lines, place_at(node, mark));
}

static struct frame *top(struct reader *reader)
{
    return reader->depth > 0 ? &reader->frames[reader->depth - 1] : NULL;
}

/* Adds a scalar, or a collection that was just opened, to the innermost open one, which then owns
 * it. */
static int attach(struct reader *reader, cJSON *node)
{
    struct frame *frame = top(reader);
    if (frame == NULL) {
        reader->root = node;
        reader->root_line = (int)reader->mark.line + 1;
        note_line(reader, node, reader->mark);
        return 0;
    }
    if (cJSON_IsArray(frame->node)) {
        cJSON_AddItemToArray(frame->node, node);
        note_line(reader, node, reader->mark);
        return 0;
    }
    if (frame->merging) {
        if (frame->merges == NULL)
            frame->merges = cJSON_CreateArray();
        cJSON_AddItemToArray(frame->merges, node);
        frame->merging = false;
        return 0;
    }
    cJSON_AddItemToObject(frame->node, frame->key, node);
    note_line(reader, node, frame->key_mark);
    frame->keys = grow(frame->keys, frame->key_count, &frame->key_capacity, sizeof *frame->keys);
    frame->keys[frame->key_count++] = place_at(node, frame->key_mark);
    free(frame->key);
    frame->key = NULL;
    return 0;
}

/* Returns index + 1, or 0 for no anchor. */
static size_t add_anchor(struct reader *reader, const unsigned char *name, const cJSON *node)
{
    if (name == NULL)
        return 0;
    reader->anchors = grow(reader->anchors, reader->anchor_count, &reader->anchor_capacity,
                           sizeof *reader->anchors);
    reader->anchors[reader->anchor_count] =
        (struct anchor){.name = xstrdup((const char *)name), .node = node};
    return ++reader->anchor_count;
}

static void finish_anchor(struct reader *reader, size_t anchor, size_t nodes, size_t bytes,
                          int height)
{
    if (anchor == 0)
        return;
    struct anchor *a = &reader->anchors[anchor - 1];
    a->finished = true;
    a->nodes = nodes;
    a->bytes = bytes;
    a->height = height;
}

static int take_key(struct reader *reader, struct frame *frame, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    double number;
    enum yaml_kind kind = plain ? yaml_resolve(text, &number) : YAML_STRING;
    if (kind == YAML_NULL)
        return fail(reader, "a key is missing before ':' (quote it if it is meant to be empty)");
    if (plain && strcmp(text, "<<") == 0) {
        frame->merging = true;
        return 0;
    }
    /* As kubectl converts such keys. */
    if (kind == YAML_TRUE || kind == YAML_FALSE)
        text = kind == YAML_TRUE ? "true" : "false";
    frame->key = xstrdup(text);
    frame->key_mark = event->start_mark;
    return count_node(reader, 0, strlen(text));
}

static enum yaml_kind scalar_kind(const yaml_event_t *event, double *ret_number)
{
    const char *tag = (const char *)event->data.scalar.tag;
    const char *text = (const char *)event->data.scalar.value;
    if (tag == NULL)
        return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? yaml_resolve(text, ret_number)
                                                                   : YAML_STRING;
    if (strcmp(tag, YAML_STR_TAG) == 0 || strcmp(tag, "!") == 0)
        return YAML_STRING;
    enum yaml_kind kind = yaml_resolve(text, ret_number);
    bool fits = (strcmp(tag, YAML_BOOL_TAG) == 0 && (kind == YAML_TRUE || kind == YAML_FALSE)) ||
                (strcmp(tag, YAML_NULL_TAG) == 0 && kind == YAML_NULL) ||
                ((strcmp(tag, YAML_INT_TAG) == 0 || strcmp(tag, YAML_FLOAT_TAG) == 0) &&
                 kind == YAML_NUMBER);
    return fits ? kind : YAML_NO_JSON;
}

static cJSON *scalar_node(const yaml_event_t *event)
{
    double number = 0;
    switch (scalar_kind(event, &number)) {
    case YAML_STRING:
        return cJSON_CreateString((const char *)event->data.scalar.value);
    case YAML_NULL:
        return cJSON_CreateNull();
    case YAML_TRUE:
        return cJSON_CreateTrue();
    case YAML_FALSE:
        return cJSON_CreateFalse();
    case YAML_NUMBER:
        return cJSON_CreateNumber(number);
    case YAML_NO_JSON:
        break;
    }
    return NULL;
}

/* Every alias copies its node, so that the size of each anchor is kept: the limits count copies. */
static int on_scalar(struct reader *reader, const yaml_event_t *event)
{
    struct frame *frame = top(reader);
    size_t length = event->data.scalar.length;
    if (memchr(event->data.scalar.value, 0, length) != NULL)
        return fail(reader, "a NUL character cannot be part of a value");
    if (frame && cJSON_IsObject(frame->node) && frame->key == NULL && !frame->merging)
        return take_key(reader, frame, event);
    if (count_node(reader, 1, length) < 0)
        return reader->err->class;
    cJSON *node = scalar_node(event);
    if (node == NULL)
        return fail_at(reader, reader->mark, "a value that JSON cannot represent: ",
                       (const char *)event->data.scalar.value);
    size_t anchor = add_anchor(reader, event->data.scalar.anchor, node);
    finish_anchor(reader, anchor, 1, length, 0);
    return attach(reader, node);
}

/* Until it is attached, the node is ours to free. */
static int on_open(struct reader *reader, cJSON *node, const unsigned char *anchor)
{
    size_t nodes = reader->nodes, bytes = reader->bytes;
    struct frame *frame = top(reader);
    int refused = 0;
    if (frame && cJSON_IsObject(frame->node) && frame->key == NULL && !frame->merging)
        refused = fail(reader, "a key must be a plain value, not a mapping or a list");
    else if (reader->depth == YAML_MAX_DEPTH)
        refused = fail(reader, "nested more than 100 levels deep");
    else
        refused = count_node(reader, 1, 0);
    if (refused < 0) {
        cJSON_Delete(node);
        return refused;
    }
    size_t index = add_anchor(reader, anchor, node);
    if (attach(reader, node) < 0)
        return reader->err->class;
    reader->frames[reader->depth++] =
        (struct frame){.node = node, .anchor = index, .nodes_before = nodes, .bytes_before = bytes};
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct yaml_place *x = a, *y = b;
    int order = strcmp(x->node->string, y->node->string);
    if (order == 0)
        order = x->line != y->line ? x->line - y->line : x->column - y->column;
    return order;
}

static int refuse_duplicates(struct reader *reader, struct frame *frame)
{
    if (frame->key_count > 1)
        qsort(frame->keys, frame->key_count, sizeof *frame->keys, by_key);
    for (size_t i = 1; i < frame->key_count; i++) {
        const struct yaml_place *place = &frame->keys[i], *before = place - 1;
        if (strcmp(place->node->string, before->node->string) == 0)
            return err_set(reader->err, ERR_UNREADABLE,
                           "line %d, column %d: key '%s' was already given on line %d", place->line,
                           place->column, place->node->string, before->line);
    }
    return 0;
}

/* Adds the members of `from` that are missing: what is written out wins over what is merged. */
static int merge(struct reader *reader, cJSON *into, const cJSON *from)
{
    if (cJSON_IsArray(from)) {
        const cJSON *item;
        cJSON_ArrayForEach (item, from) {
            if (cJSON_IsArray(item) || merge(reader, into, item) < 0)
                return fail(reader, "<< takes a mapping or a list of mappings");
        }
        return 0;
    }
    if (!cJSON_IsObject(from))
        return fail(reader, "<< takes a mapping or a list of mappings");
    const cJSON *member;
    cJSON_ArrayForEach (member, from) {
        if (!cJSON_GetObjectItemCaseSensitive(into, member->string))
            cJSON_AddItemToObject(into, member->string, cJSON_Duplicate(member, true));
    }
    return 0;
}

static void drop_frame(struct frame *frame)
{
    free(frame->key);
    free(frame->keys);
    cJSON_Delete(frame->merges);
    memset(frame, 0, sizeof *frame);
}

/* Keys are checked for duplicates before <<: a written key may replace a merged one. */
static int on_close(struct reader *reader)
{
    struct frame *frame = top(reader);
    if (frame == NULL)
        return fail(reader, "the end of a collection that has no start");
    if (refuse_duplicates(reader, frame) < 0)
        return reader->err->class;
    const cJSON *merged;
    cJSON_ArrayForEach (merged, frame->merges) {
        if (merge(reader, frame->node, merged) < 0)
            return reader->err->class;
    }
    int height = frame->height + 1;
    finish_anchor(reader, frame->anchor, reader->nodes - frame->nodes_before,
                  reader->bytes - frame->bytes_before, height);
    drop_frame(frame);
    reader->depth--;
    struct frame *above = top(reader);
    if (above && above->height < height)
        above->height = height;
    return 0;
}

/* A copy counts like its original: aliases of aliases would otherwise grow without bound. */
static int on_alias(struct reader *reader, const char *name)
{
    struct frame *frame = top(reader);
    if (frame && cJSON_IsObject(frame->node) && frame->key == NULL && !frame->merging)
        return fail(reader, "a key must be a plain value, not an alias");
    const struct anchor *anchor = NULL;
    for (size_t i = reader->anchor_count; i > 0 && anchor == NULL; i--)
        if (strcmp(reader->anchors[i - 1].name, name) == 0)
            anchor = &reader->anchors[i - 1];
    if (anchor == NULL)
        return fail_at(reader, reader->mark, "an alias to an undefined anchor: ", name);
    if (!anchor->finished)
        return fail_at(reader, reader->mark, "an alias inside its own anchor: ", name);
    if (reader->depth + anchor->height > YAML_MAX_DEPTH)
        return fail(reader, "nested more than 100 levels deep");
    if (count_node(reader, anchor->nodes, anchor->bytes) < 0)
        return reader->err->class;
    if (frame && frame->height < anchor->height)
        frame->height = anchor->height;
    cJSON *copy = cJSON_Duplicate(anchor->node, true);
    if (copy->string) {
        cJSON_free(copy->string);
        copy->string = NULL;
    }
    return attach(reader, copy);
}

static void drop_document(struct reader *reader)
{
    while (reader->depth > 0)
        drop_frame(&reader->frames[--reader->depth]);
    for (size_t i = 0; i < reader->anchor_count; i++)
        free(reader->anchors[i].name);
    reader->anchor_count = 0;
}

static int on_event(struct reader *reader, const yaml_event_t *event)
{
    reader->mark = event->start_mark;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(reader, event);
    case YAML_MAPPING_START_EVENT:
        return on_open(reader, cJSON_CreateObject(), event->data.mapping_start.anchor);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(reader, cJSON_CreateArray(), event->data.sequence_start.anchor);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return on_close(reader);
    case YAML_ALIAS_EVENT:
        return on_alias(reader, (const char *)event->data.alias.anchor);
    default:
        return 0;
    }
}

struct documents {
    struct yaml_document *items;
    size_t count, capacity;
};

/* A document without content ("---" alone, or only comments) is read as a plain null. */
static int on_document_end(struct reader *reader, struct documents *documents)
{
    cJSON *root = reader->root;
    reader->root = NULL;
    drop_document(reader);
    if (root == NULL || cJSON_IsNull(root)) {
        cJSON_Delete(root);
        return 0;
    }
    json_adopt(reader->arena, root);
    if (documents->count == YAML_MAX_DOCUMENTS)
        return fail(reader, "more than 10000 documents in one file");
    documents->items =
        grow(documents->items, documents->count, &documents->capacity, sizeof *documents->items);
    documents->items[documents->count++] =
        (struct yaml_document){.tree = root, .line = reader->root_line, .lines = reader->lines};
    return 0;
}

static int read_stream(struct reader *reader, struct documents *documents)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reader->parser, &event))
            return fail_parser(reader);
        int class = on_event(reader, &event);
        if (class == 0 && event.type == YAML_DOCUMENT_END_EVENT)
            class = on_document_end(reader, documents);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (class < 0)
            return class;
    }
    return 0;
}

int yaml_parse(struct arena *arena, const char *text, size_t length,
               struct yaml_document **ret_documents, size_t *ret_count, struct error *err)
{
    if (length > JSON_MAX_BYTES)
        return err_set(err, ERR_UNREADABLE, "line 1, column 1: %zu bytes are over the limit of %d",
                       length, JSON_MAX_BYTES);
    struct reader *reader = xcalloc(1, sizeof *reader);
    struct documents documents = {0};
    reader->arena = arena;
    reader->err = err;
    reader->lines = yaml_lines_new(arena);
    if (!yaml_parser_initialize(&reader->parser))
        abort(); /* out of memory */
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, length);
    int class = read_stream(reader, &documents);
    if (class == 0) {
        yaml_lines_finish(reader->lines);
        size_t bytes = documents.count * sizeof *documents.items;
        *ret_documents = arena_alloc(arena, bytes ? bytes : 1);
        if (bytes)
            memcpy(*ret_documents, documents.items, bytes);
        *ret_count = documents.count;
    }
    drop_document(reader);
    cJSON_Delete(reader->root);
    yaml_parser_delete(&reader->parser);
    free(reader->anchors);
    free(documents.items);
    free(reader);
    return class;
}
