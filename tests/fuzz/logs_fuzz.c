/*
 * What postgres and those who talk to it write into its log. Beyond not crashing: each line is
 * JSON, no byte of UTF-8 is lost on the way to a message that is cut otherwise, and where writes
 * come one by one, none of them makes more than one record: what does not begin with this start's
 * head has no process.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "postgres/logs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char mark[] = "0123456789abcdef0123456789abcdef";

struct seen {
    struct buffer lines;
    int records; /* lines with a process */
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void on_line(void *arg, const char *json, size_t length)
{
    struct seen *seen = arg;
    AUTO_ARENA arena = arena_new();
    struct error err;
    cJSON *tree;
    require(json_parse(arena, json, length, &tree, &err) == 0);
    require(memchr(json, '\n', length) == NULL);
    seen->records += *json_str(tree, "backend", "") != '\0';
    /* Without its time, which may be now. */
    size_t skip = sizeof "{\"ts\":\"2026-01-31T23:59:59.123000Z\"," - 1;
    require(length > skip);
    buffer_append(&seen->lines, json + skip, length - skip);
    buffer_puts(&seen->lines, "\n");
}

static void on_message(void *arg, const struct logs_message *message)
{
    (void)arg;
    require(strlen(message->severity) < 16 && strlen(message->backend) < 128);
}

static struct logs *start(struct seen *seen, bool apart)
{
    struct logs_handlers handlers = {on_line, on_message, seen};
    struct logs *logs = logs_new("postgres", mark, &handlers);
    logs_in_writes(logs, apart);
    return logs;
}

/* Lengths of pieces come from the data, so that a corpus covers many ways of cutting. */
static void as_a_stream(const char *data, size_t size, bool whole, struct buffer *out)
{
    struct seen seen = {0};
    struct logs *logs = start(&seen, false);
    for (size_t at = 0, length; at < size; at += length) {
        length = whole ? size : (size_t)((unsigned char)data[at] % 13) + 1;
        length = length < size - at ? length : size - at;
        logs_feed(logs, data + at, length);
    }
    logs_free(logs);
    *out = seen.lines;
}

/* Writes end at each 0x01. */
static void as_writes(const char *data, size_t size)
{
    struct seen seen = {0};
    struct logs *logs = start(&seen, true);
    int writes = 0;
    for (size_t at = 0, length; at < size; at += length + 1, writes++) {
        const char *end = memchr(data + at, 1, size - at);
        length = end != NULL ? (size_t)(end - data) - at : size - at;
        for (size_t part = 0, n; part < length; part += n) {
            n = length - part < LOGS_WRITE_BYTES ? length - part : LOGS_WRITE_BYTES;
            logs_feed(logs, data + at + part, n);
        }
        int before = seen.records;
        logs_settle(logs);
        require(seen.records - before <= 1);
    }
    logs_free(logs);
    /* One that is too long for a line comes in parts. */
    require(seen.records <= writes + (int)(size / LOGS_PART_BYTES) + 1);
    buffer_free(&seen.lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct buffer whole, cut;
    if (size == 0)
        return 0;
    as_a_stream(text, size, true, &whole);
    as_a_stream(text, size, false, &cut);
    require(size > LOGS_PART_BYTES || strcmp(buffer_text(&whole), buffer_text(&cut)) == 0);
    buffer_free(&whole);
    buffer_free(&cut);
    as_writes(text, size);
    return 0;
}
