/*
 * What libpq and the programs of PostgreSQL say of a connection that failed, in one sentence. They
 * repeat host, address and port for each address that was tried, and add a question to the reader:
 *
 *     could not connect to the primary server: connection to server at "a-rw" (10.0.0.1), port 5432
 *     failed: Connection refused
 *             Is the server running on that host and accepting TCP/IP connections?
 *
 * Sources, of PostgreSQL 14 to 18: fe-connect.c (emitHostIdentityInfo, connectFailureMessage,
 * "timeout expired"), fe-misc.c ("server closed the connection unexpectedly"), walreceiver.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "pg/pg.h"

#define ATTEMPT "connection to server "
#define FAILED  " failed: "

/* Lines with hints for the reader. */
static const char *const asides[] = {
    "Is the server running ",
    "This probably means the server terminated abnormally",
    "before or while processing the request.",
};

static const struct {
    const char *said, *told;
} reasons[] = {
    {"Connection refused", "connection refused"},
    {"timeout expired", "no answer in time"},
    {"", "no reason given"},
};

/* The part that could not reach the primary, where the line names it; later versions name the
 * receiver. */
static const char to_the_primary[] = "could not connect to the primary server: ";

enum { REASONS_MAX = 8 };

static size_t line_length(const char *at)
{
    return strcspn(at, "\r\n");
}

static bool is_aside(const char *line)
{
    for (size_t i = 0; i < sizeof asides / sizeof asides[0]; i++)
        if (strncmp(line, asides[i], strlen(asides[i])) == 0)
            return true;
    return false;
}

/* All lines but asides on one line, blanks at the ends of each gone. */
static void join_lines(struct buffer *out, const char *text, size_t length)
{
    for (const char *end = text + length; text < end;) {
        text += strspn(text, " \t\r\n");
        if (text >= end)
            break;
        size_t line = line_length(text);
        line = line > (size_t)(end - text) ? (size_t)(end - text) : line;
        const char *next = text + line;
        while (line > 0 && (text[line - 1] == ' ' || text[line - 1] == '\t'))
            line--;
        if (!is_aside(text)) {
            if (out->length > 0)
                buffer_puts(out, " ");
            buffer_append(out, text, line);
        }
        text = next;
    }
}

struct reason {
    const char *text;
    size_t length;
};

static void note_reason(struct reason *list, size_t *count, const char *text)
{
    if (strncmp(text, "FATAL:  ", 8) == 0)
        text += 8;
    struct reason reason = {text, line_length(text)};
    while (reason.length > 0 && text[reason.length - 1] == ' ')
        reason.length--;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (strlen(reasons[i].said) == reason.length &&
            memcmp(text, reasons[i].said, reason.length) == 0)
            reason = (struct reason){reasons[i].told, strlen(reasons[i].told)};
    for (size_t i = 0; i < *count; i++)
        if (list[i].length == reason.length &&
            memcmp(list[i].text, reason.text, reason.length) == 0)
            return;
    if (*count < REASONS_MAX)
        list[(*count)++] = reason;
}

/* The host, or the socket's path, between the first quotes of an attempt's line; and why it failed.
 * False when the line is not as libpq writes it. */
static bool read_attempt(const char *at, struct reason *ret_host, const char **ret_why)
{
    const char *end = at + line_length(at);
    const char *open = memchr(at, '"', (size_t)(end - at));
    const char *close = open ? memchr(open + 1, '"', (size_t)(end - open - 1)) : NULL;
    const char *failed = close ? strstr(close, FAILED) : NULL;
    if (failed == NULL || failed >= end)
        return false;
    *ret_host = (struct reason){open + 1, (size_t)(close - open - 1)};
    *ret_why = failed + strlen(FAILED);
    return true;
}

static void put_failed_attempts(struct buffer *out, const char *text, const char *first)
{
    struct reason host = {"", 0}, list[REASONS_MAX], other;
    size_t count = 0;
    const char *primary = strstr(text, to_the_primary), *why;
    bool is_primary = primary != NULL && primary < first;
    if (!is_primary)
        join_lines(out, text, (size_t)(first - text));
    for (const char *at = first; at != NULL; at = strstr(at + strlen(ATTEMPT), ATTEMPT))
        if (read_attempt(at, &other, &why)) {
            host = host.length ? host : other;
            note_reason(list, &count, why);
        }
    buffer_printf(out, "%scannot connect to the %s at %.*s: ", out->length ? " " : "",
                  is_primary ? "primary" : "server", (int)host.length, host.text);
    for (size_t i = 0; i < count; i++)
        buffer_printf(out, "%s%.*s", i ? "; " : "", (int)list[i].length, list[i].text);
}

void pg_sentence(char *place, size_t size, const char *text)
{
    AUTO_BUFFER out = {0};
    struct reason host;
    const char *first = strstr(text, ATTEMPT), *why;
    if (first != NULL && read_attempt(first, &host, &why))
        put_failed_attempts(&out, text, first);
    else
        join_lines(&out, text, strlen(text));
    snprintf(place, size, "%s", buffer_text(&out));
}
