#include "instance/logs.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/arena.h"
#include "base/clock.h"

enum { RECORD_MARK = 0x1e, FIELD_MARK = 0x1f, NAME_MAX_BYTES = 64 };

/* In the order of CONF_LOG_LINE_PREFIX. */
enum field {
    FIELD_TIME,
    FIELD_PID,
    FIELD_BACKEND,
    FIELD_USER,
    FIELD_DB,
    FIELD_APP,
    FIELD_SQLSTATE,
    FIELDS
};
static const char *const field_names[FIELDS] = {"time", "pid", "backend", "user",
                                                "db",   "app", "sqlstate"};

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

struct logs {
    struct logs_handlers handlers;
    const char *logger;
    struct buffer line; /* not ended yet */
    bool cut;           /* the beginning of this line went out already */
    /* the message in the making */
    bool open;
    int number; /* of its part, from 1 once it was too long for one */
    char fields[FIELDS][NAME_MAX_BYTES * 2];
    char severity[16];
    enum part current;
    struct buffer texts[PARTS];
    size_t bytes;
};

struct logs *logs_new(const char *logger, const struct logs_handlers *handlers)
{
    struct logs *logs = xcalloc(1, sizeof *logs);
    logs->handlers = *handlers;
    logs->logger = logger;
    return logs;
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
    if (logs->number == 0 && logs->handlers.message != NULL) {
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

/* Takes the fields off a line that begins with RECORD_MARK; returns what is behind them. */
static const char *split_fields(const char *line, size_t length,
                                char fields[FIELDS][NAME_MAX_BYTES * 2])
{
    const char *at = line + 1, *end = line + length;
    for (int i = 0; i < FIELDS; i++) {
        const char *mark = memchr(at, FIELD_MARK, (size_t)(end - at));
        if (mark == NULL)
            return NULL;
        size_t n = (size_t)(mark - at);
        if (n >= NAME_MAX_BYTES * 2)
            n = NAME_MAX_BYTES * 2 - 1;
        memcpy(fields[i], at, n);
        fields[i][n] = '\0';
        at = mark + 1;
    }
    return at;
}

static void take_record(struct logs *logs, const char *line, size_t length)
{
    char fields[FIELDS][NAME_MAX_BYTES * 2];
    const char *text = split_fields(line, length, fields);
    size_t left = text ? (size_t)(line + length - text) : 0;
    size_t label = text ? label_length(text, left) : 0;
    if (label == 0) { /* the mark stood in somebody's own text */
        begin_message(logs, "LOG", 3);
        append_text(logs, line, length);
        return;
    }
    enum part part = part_of(text, label);
    bool joins = part != PART_MESSAGE && logs->open &&
                 strcmp(fields[FIELD_PID], logs->fields[FIELD_PID]) == 0;
    if (!joins) {
        bool known = is_severity(text, label);
        begin_message(logs, known ? text : "LOG", known ? label : 3);
        memcpy(logs->fields, fields, sizeof fields);
    }
    logs->current = part;
    append_text(logs, text + label + 3, left - label - 3);
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

static void take_line(struct logs *logs, const char *line, size_t length)
{
    if (logs->cut) {
        append_text(logs, line, length);
    } else if (length > 0 && line[0] == RECORD_MARK) {
        take_record(logs, line, length);
    } else if (logs->open && length > 0 && line[0] == '\t') {
        append_text(logs, "\n", 1);
        append_text(logs, line + 1, length - 1);
    } else if (length > 0) {
        take_plain(logs, line, length);
    }
    logs->cut = false;
}

void logs_feed(struct logs *logs, const char *data, size_t length)
{
    while (length > 0) {
        const char *end = memchr(data, '\n', length);
        size_t n = end ? (size_t)(end - data) : length;
        if (end != NULL && logs->line.length == 0) {
            take_line(logs, data, n);
        } else {
            buffer_append(&logs->line, data, n);
            if (end != NULL || logs->line.length > LOGS_PART_BYTES) {
                take_line(logs, logs->line.data, logs->line.length);
                logs->line.length = 0;
                logs->cut = end == NULL;
            }
        }
        data += n + (end != NULL);
        length -= n + (end != NULL);
    }
    if (logs->line.length == 0 && logs->line.capacity > 4096)
        buffer_free(&logs->line);
}

bool logs_pending(const struct logs *logs)
{
    return logs->open || logs->line.length > 0;
}

void logs_settle(struct logs *logs)
{
    if (logs->line.length == 0 && !logs->cut)
        end_message(logs);
}

void logs_flush(struct logs *logs)
{
    if (logs->line.length > 0) {
        take_line(logs, logs->line.data, logs->line.length);
        logs->line.length = 0;
    }
    logs->cut = false;
    end_message(logs);
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
