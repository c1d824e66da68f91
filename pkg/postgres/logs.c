#include "postgres/logs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/buffer.h"
#include "base/clock.h"

/* PostgreSQL cuts names to 63 bytes (NAMEDATALEN), so that one in a field of 64 has a blank behind
 * it. Fields of the server's own, which end at a mark, are shorter than 128. */
enum { RECORD_MARK = 0x1e, FIELD_MARK = 0x1f, NAME_WIDTH = 64, FIELD_MAX_BYTES = 128 };

/* In the order of logs_line_prefix(): what clients choose freely comes last. PostgreSQL lets
 * nothing but printable ASCII into an application_name. */
enum field {
    FIELD_TIME,
    FIELD_PID,
    FIELD_BACKEND,
    FIELD_SQLSTATE,
    FIELD_APP,
    FIELD_USER,
    FIELD_DB,
    FIELDS
};
static const char *const field_names[FIELDS] = {"time", "pid",  "backend", "sqlstate",
                                                "app",  "user", "db"};

/* What joins the message before it, and under which name. */
enum part {
    PART_MESSAGE,
    PART_DETAIL,
    PART_HINT,
    PART_QUERY,
    PART_CONTEXT,
    PART_STATEMENT,
    PART_LOCATION,
    PART_BACKTRACE,
    PARTS
};
static const struct {
    const char *label, *name;
} parts[PARTS] = {
    [PART_MESSAGE] = {"", "msg"},
    [PART_DETAIL] = {"DETAIL", "detail"},
    [PART_HINT] = {"HINT", "hint"},
    [PART_QUERY] = {"QUERY", "query"},
    [PART_CONTEXT] = {"CONTEXT", "context"},
    [PART_STATEMENT] = {"STATEMENT", "statement"},
    [PART_LOCATION] = {"LOCATION", "location"},
    [PART_BACKTRACE] = {"BACKTRACE", "backtrace"},
};

static const struct {
    const char *severity, *level;
} severities[] = {
    {"DEBUG", "debug"},  {"DEBUG1", "debug"},    {"DEBUG2", "debug"}, {"DEBUG3", "debug"},
    {"DEBUG4", "debug"}, {"DEBUG5", "debug"},    {"INFO", "info"},    {"NOTICE", "info"},
    {"LOG", "info"},     {"WARNING", "warning"}, {"ERROR", "error"},  {"FATAL", "error"},
    {"PANIC", "error"},
};

struct head {
    char fields[FIELDS][FIELD_MAX_BYTES];
    size_t length; /* of the bytes that it took */
    bool whole;    /* the names had their place: what follows is the text */
};

struct logs {
    struct logs_handlers handlers;
    const char *logger;
    char mark[LOGS_MARK_LENGTH + 1];
    bool apart;         /* writes come one by one */
    bool goes_on;       /* what comes next belongs to the write that came last */
    bool begins;        /* nothing of this write was taken yet */
    bool had_head;      /* since the start */
    struct buffer line; /* not ended yet */
    bool cut;           /* the beginning of this line went out already */
    /* the message in the making */
    bool open, headed;
    int number; /* of its part, from 1 once it was too long for one */
    char fields[FIELDS][FIELD_MAX_BYTES];
    char severity[16];
    enum part current;
    struct buffer texts[PARTS];
    size_t bytes;
};

int logs_new_mark(char ret_mark[LOGS_MARK_LENGTH + 1], struct error *err)
{
    unsigned char random[LOGS_MARK_LENGTH / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_errno(err, errno, "getrandom");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(ret_mark + 2 * i, 3, "%02x", random[i]);
    return 0;
}

char *logs_line_prefix(struct arena *arena, const char *mark)
{
    return arena_printf(arena, "\036%s\037%%m\037%%p\037%%b\037%%e\037%%a\037%%-%du\037%%-%dd\037",
                        mark, NAME_WIDTH, NAME_WIDTH);
}

struct logs *logs_new(const char *logger, const char *mark, const struct logs_handlers *handlers)
{
    struct logs *logs = xcalloc(1, sizeof *logs);
    logs->handlers = *handlers;
    logs->logger = logger;
    snprintf(logs->mark, sizeof logs->mark, "%s", mark);
    return logs;
}

void logs_in_writes(struct logs *logs, bool apart)
{
    logs->apart = apart;
}

/* The length of the UTF-8 sequence at p, or 0 when it is none (RFC 3629). */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    if (*p < 0x80)
        return 1;
    size_t length = *p >= 0xf0 && *p < 0xf5 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc2 ? 2 : 0;
    if (*p >= 0xf5 || length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

/* Databases may hold any encoding and log it: what is not UTF-8 becomes U+FFFD. */
static void put_string(struct buffer *out, const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    buffer_puts(out, "\"");
    for (size_t i = 0; i < length;) {
        size_t sequence = utf8_length(p + i, length - i);
        if (sequence == 0)
            buffer_puts(out, "\xef\xbf\xbd");
        else if (p[i] == '"' || p[i] == '\\')
            buffer_printf(out, "\\%c", p[i]);
        else if (p[i] == '\n')
            buffer_puts(out, "\\n");
        else if (p[i] == '\t')
            buffer_puts(out, "\\t");
        else if (p[i] < 0x20 || p[i] == 0x7f)
            buffer_printf(out, "\\u%04x", p[i]);
        else
            buffer_append(out, p + i, sequence);
        i += sequence ? sequence : 1;
    }
    buffer_puts(out, "\"");
}

static void put_field(struct buffer *out, const char *name, const char *text, size_t length)
{
    if (out->length > 1)
        buffer_puts(out, ",");
    put_string(out, name, strlen(name));
    buffer_puts(out, ":");
    put_string(out, text, length);
}

static const char *level_of(const char *severity)
{
    for (size_t i = 0; i < sizeof severities / sizeof severities[0]; i++)
        if (strcmp(severities[i].severity, severity) == 0)
            return severities[i].level;
    return NULL;
}

/* "2026-01-31 23:59:59.123 UTC" -> "2026-01-31T23:59:59.123000Z"; our own clock otherwise. */
static char *timestamp(struct arena *arena, const char *time)
{
    if (strlen(time) == 27 && strcmp(time + 23, " UTC") == 0)
        return arena_printf(arena, "%.10sT%.12s000Z", time, time + 11);
    return clock_rfc3339_micro(arena, clock_wall_ms());
}

/* What says nothing is left out: a background process has no user and no database ("[unknown]"),
 * and 00000 is the code of success. Text that is no record of the server's has no severity. */
static void emit(struct logs *logs)
{
    AUTO_ARENA arena = arena_new();
    AUTO_BUFFER out = {0};
    const char *severity = logs->severity[0] ? logs->severity : "LOG";
    const char *level = level_of(severity) ? level_of(severity) : "info";
    const char *ts = timestamp(arena, logs->fields[FIELD_TIME]);
    buffer_puts(&out, "{");
    put_field(&out, "ts", ts, strlen(ts));
    put_field(&out, "level", level, strlen(level));
    put_field(&out, "logger", logs->logger, strlen(logs->logger));
    put_field(&out, "msg", buffer_text(&logs->texts[PART_MESSAGE]),
              logs->texts[PART_MESSAGE].length);
    if (logs->severity[0])
        put_field(&out, "severity", severity, strlen(severity));
    for (int i = FIELD_PID; i < FIELDS; i++)
        if (logs->fields[i][0] && strcmp(logs->fields[i], "[unknown]") != 0 &&
            !(i == FIELD_SQLSTATE && strcmp(logs->fields[i], "00000") == 0))
            put_field(&out, field_names[i], logs->fields[i], strlen(logs->fields[i]));
    for (int i = PART_DETAIL; i < PARTS; i++)
        if (logs->texts[i].length > 0)
            put_field(&out, parts[i].name, logs->texts[i].data, logs->texts[i].length);
    if (logs->number > 0)
        put_field(&out, "part", arena_printf(arena, "%d", logs->number),
                  strlen(arena_printf(arena, "%d", logs->number)));
    buffer_puts(&out, "}");
    logs->handlers.line(logs->handlers.arg, out.data, out.length);
}

static void clear_texts(struct logs *logs)
{
    for (int i = 0; i < PARTS; i++) {
        logs->texts[i].length = 0;
        if (logs->texts[i].capacity > 4096)
            buffer_free(&logs->texts[i]); /* one huge statement must not stay in memory */
    }
    logs->bytes = 0;
}

static void end_message(struct logs *logs)
{
    if (!logs->open)
        return;
    if (logs->number > 0)
        logs->number++;
    if (logs->number == 0 && logs->handlers.message != NULL && (logs->headed || !logs->had_head)) {
        struct logs_message message = {logs->severity, logs->fields[FIELD_BACKEND],
                                       logs->fields[FIELD_SQLSTATE],
                                       buffer_text(&logs->texts[PART_MESSAGE])};
        logs->handlers.message(logs->handlers.arg, &message);
    }
    emit(logs);
    clear_texts(logs);
    logs->open = false;
}

static void append_text(struct logs *logs, const char *text, size_t length)
{
    while (length > 0) {
        size_t room = LOGS_PART_BYTES - logs->bytes, take = length < room ? length : room;
        /* Not through the middle of a character. */
        while (take < length && take > 1 && ((unsigned char)text[take] & 0xc0) == 0x80)
            take--;
        buffer_append(&logs->texts[logs->current], text, take);
        logs->bytes += take;
        text += take;
        length -= take;
        if (length > 0) {
            logs->number++;
            emit(logs);
            clear_texts(logs);
        }
    }
}

static void begin_message(struct logs *logs, const char *severity, size_t length)
{
    end_message(logs);
    logs->open = true;
    logs->headed = false;
    logs->number = 0;
    logs->current = PART_MESSAGE;
    memcpy(logs->severity, severity, length);
    logs->severity[length] = '\0';
}

/* "LOG:  text" -> length of "LOG", or 0. */
static size_t label_length(const char *text, size_t length)
{
    size_t n = 0;
    while (n < length && n < 15 &&
           ((text[n] >= 'A' && text[n] <= 'Z') || (n > 0 && text[n] >= '0' && text[n] <= '9')))
        n++;
    return n > 0 && n + 3 <= length && memcmp(text + n, ":  ", 3) == 0 ? n : 0;
}

static enum part part_of(const char *label, size_t length)
{
    for (int i = PART_DETAIL; i < PARTS; i++)
        if (strlen(parts[i].label) == length && memcmp(parts[i].label, label, length) == 0)
            return (enum part)i;
    return PART_MESSAGE;
}

static bool is_severity(const char *label, size_t length)
{
    char name[16] = "";
    memcpy(name, label, length);
    return level_of(name) != NULL;
}

/* ---- heads ---- */

enum found { FOUND_NOT, FOUND_MORE, FOUND_HEAD }; /* MORE: more bytes are needed to tell */

static enum found take_field(const char **at, const char *end, char *ret_field)
{
    for (size_t i = 0; i < FIELD_MAX_BYTES; i++) {
        if (*at + i == end)
            return FOUND_MORE;
        char c = (*at)[i];
        ret_field[i] = c == FIELD_MARK ? '\0' : c;
        if (c == FIELD_MARK) {
            *at += i + 1;
            return FOUND_HEAD;
        }
        if (c == '\n' || c == '\0')
            return FOUND_NOT;
    }
    return FOUND_NOT;
}

static enum found take_name(const char **at, const char *end, char *ret_field)
{
    if (end - *at < NAME_WIDTH + 1)
        return FOUND_MORE;
    const char *name = *at;
    if (name[NAME_WIDTH] != FIELD_MARK || name[NAME_WIDTH - 1] != ' ')
        return FOUND_NOT;
    size_t length = NAME_WIDTH;
    while (length > 0 && name[length - 1] == ' ')
        length--;
    memcpy(ret_field, name, length);
    ret_field[length] = '\0';
    *at = name + NAME_WIDTH + 1;
    return FOUND_HEAD;
}

/* A name that is longer than its field is one of a start-up packet that was refused before names
 * are cut: all that follows is taken for text. */
static enum found take_names(struct head *head, const char *at, const char *end, const char *line)
{
    head->length = (size_t)(at - line);
    for (int i = FIELD_USER; i < FIELDS; i++) {
        enum found found = take_name(&at, end, head->fields[i]);
        if (found == FOUND_MORE)
            return found;
        if (found == FOUND_NOT) {
            snprintf(head->fields[FIELD_USER], FIELD_MAX_BYTES, "[unknown]");
            head->fields[FIELD_DB][0] = '\0';
            return FOUND_HEAD;
        }
    }
    head->whole = true;
    head->length = (size_t)(at - line);
    return FOUND_HEAD;
}

static enum found find_head(const struct logs *logs, const char *line, size_t length,
                            struct head *ret_head)
{
    char mark[FIELD_MAX_BYTES];
    const char *at = line + 1, *end = line + length;
    if (length == 0 || line[0] != RECORD_MARK)
        return FOUND_NOT;
    enum found found = take_field(&at, end, mark);
    if (found == FOUND_HEAD && strcmp(mark, logs->mark) != 0)
        return FOUND_NOT;
    *ret_head = (struct head){0};
    for (int i = FIELD_TIME; found == FOUND_HEAD && i < FIELD_USER; i++)
        found = take_field(&at, end, ret_head->fields[i]);
    return found == FOUND_HEAD ? take_names(ret_head, at, end, line) : found;
}

/* ---- lines ---- */

static void take_record(struct logs *logs, const struct head *head, const char *line, size_t length)
{
    const char *text = line + head->length;
    size_t left = length - head->length;
    size_t label = head->whole ? label_length(text, left) : 0;
    bool known = label > 0 && is_severity(text, label);
    begin_message(logs, known ? text : "LOG", known ? label : 3);
    memcpy(logs->fields, head->fields, sizeof head->fields);
    logs->headed = logs->had_head = true;
    if (!known && label > 0)
        logs->current = part_of(text, label);
    size_t skip = known || logs->current != PART_MESSAGE ? label + 3 : 0;
    append_text(logs, text + skip, left - skip);
}

/* DETAIL and the like, of the process whose message is open. */
static bool join(struct logs *logs, const struct head *head, const char *line, size_t length)
{
    const char *text = line + head->length;
    size_t left = length - head->length;
    size_t label = head->whole ? label_length(text, left) : 0;
    enum part part = label > 0 ? part_of(text, label) : PART_MESSAGE;
    if (part == PART_MESSAGE || !logs->open || !logs->headed ||
        strcmp(head->fields[FIELD_PID], logs->fields[FIELD_PID]) != 0)
        return false;
    logs->current = part;
    append_text(logs, text + label + 3, left - label - 3);
    return true;
}

/* "2026-01-31 23:59:59 UTC [71] FATAL:  text" from before the configuration was read. */
static void take_plain(struct logs *logs, const char *line, size_t length)
{
    size_t label = 0, at = 0;
    for (at = 0; at < length; at++) {
        if ((at == 0 || line[at - 1] == ' ') && (label = label_length(line + at, length - at)) > 0)
            break;
    }
    bool known = label > 0 && is_severity(line + at, label);
    enum part part = label > 0 ? part_of(line + at, label) : PART_MESSAGE;
    if (part != PART_MESSAGE && logs->open && logs->fields[FIELD_PID][0] == '\0') {
        logs->current = part;
    } else {
        begin_message(logs, known ? line + at : "LOG", known ? label : 3);
        memset(logs->fields, 0, sizeof logs->fields);
    }
    size_t skip = known || part != PART_MESSAGE ? at + label + 3 : 0;
    append_text(logs, line + skip, length - skip);
}

/* `head` is NULL when the line has none. */
static void take_line(struct logs *logs, const struct head *head, const char *line, size_t length)
{
    bool inside = logs->apart && !logs->begins; /* of a write that has begun otherwise */
    logs->begins = false;
    if (logs->cut) {
        append_text(logs, line, length);
    } else if (head != NULL && join(logs, head, line, length)) {
        ;
    } else if (head != NULL && !inside) {
        take_record(logs, head, line, length);
    } else if (logs->open && length > 0 && (line[0] == '\t' || (inside && logs->headed))) {
        append_text(logs, "\n", 1);
        append_text(logs, line + (line[0] == '\t'), length - (line[0] == '\t'));
    } else if (length > 0) {
        take_plain(logs, line, length);
    }
    logs->cut = false;
}

/* Takes the line that begins what is held back at `at`, and returns what it took, line break
 * included; 0 when its end is not there. `whole`: what is there is all of it. */
static size_t take_next(struct logs *logs, size_t at, bool whole)
{
    struct head head;
    const char *line = logs->line.data + at;
    size_t left = logs->line.length - at, skip = 0;
    enum found found = logs->cut ? FOUND_NOT : find_head(logs, line, left, &head);
    if (found == FOUND_MORE && !whole)
        return 0; /* a line break may stand in a name */
    if (found == FOUND_HEAD && head.whole)
        skip = head.length;
    const char *end = memchr(line + skip, '\n', left - skip);
    if (end == NULL && !whole)
        return 0;
    size_t length = end != NULL ? (size_t)(end - line) : left;
    take_line(logs, found == FOUND_HEAD ? &head : NULL, line, length);
    return length + (end != NULL);
}

static void take_lines(struct logs *logs, bool whole)
{
    size_t at = 0, took = 1;
    while (at < logs->line.length && took > 0) {
        took = take_next(logs, at, whole);
        at += took;
    }
    buffer_consume(&logs->line, at);
    if (logs->line.length == 0 && logs->line.capacity > 4096)
        buffer_free(&logs->line);
}

/* Between two writes nothing is left open. */
static void end_write(struct logs *logs)
{
    take_lines(logs, true);
    logs->cut = false;
    end_message(logs);
    logs->begins = true;
}

void logs_feed(struct logs *logs, const char *data, size_t length)
{
    if (logs->apart && !logs->goes_on)
        end_write(logs);
    logs->goes_on = logs->apart && length == LOGS_WRITE_BYTES;
    buffer_append(&logs->line, data, length);
    take_lines(logs, false);
    if (logs->apart && !logs->goes_on)
        end_write(logs);
    if (logs->line.length > LOGS_PART_BYTES) {
        take_lines(logs, true);
        logs->cut = true;
    }
}

bool logs_pending(const struct logs *logs)
{
    return logs->open || logs->line.length > 0;
}

void logs_settle(struct logs *logs)
{
    if (logs->line.length > 0 || logs->cut)
        return;
    end_message(logs);
    logs->goes_on = false;
}

void logs_flush(struct logs *logs)
{
    end_write(logs);
    logs->goes_on = false;
}

void logs_free(struct logs *logs)
{
    if (logs == NULL)
        return;
    logs_flush(logs);
    for (int i = 0; i < PARTS; i++)
        buffer_free(&logs->texts[i]);
    buffer_free(&logs->line);
    free(logs);
}
