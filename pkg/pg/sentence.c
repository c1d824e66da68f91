/*
 * What libpq and the programs of PostgreSQL say of a connection that failed, in one sentence. They
 * repeat host, address and port for each address that was tried, and add a question to the reader:
 *
 *     could not connect to the primary server: connection to server at "a-rw" (10.0.0.1), port 5432
 *     failed: Connection refused
 *             Is the server running on that host and accepting TCP/IP connections?
 */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "pg/pg.h"
#include "phrase/phrase.h"

enum { REASONS_MAX = 8 };

static size_t line_length(const char *at)
{
    return strcspn(at, "\r\n");
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
        if (!phrase_is_in(PHRASE_ASIDE, text)) {
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

static struct reason reason_of(const char *text)
{
    return (struct reason){text, strlen(text)};
}

/* The phrase, and nothing else. */
static bool is_whole(enum phrase phrase, const struct reason *reason)
{
    return phrase_after(phrase, reason->text) == reason->text + reason->length;
}

/* libpq repeats one reason for every address of a host: each is kept once, in plain words. */
static void note_reason(struct reason *list, size_t *count, const char *text)
{
    if (phrase_is_in(PHRASE_FATAL, text))
        text = phrase_after(PHRASE_FATAL, text);
    struct reason reason = {text, line_length(text)};
    while (reason.length > 0 && text[reason.length - 1] == ' ')
        reason.length--;
    if (reason.length == 0)
        reason = reason_of("no reason given");
    else if (is_whole(PHRASE_REFUSED, &reason))
        reason = reason_of("connection refused");
    else if (is_whole(PHRASE_CONNECT_TIMEOUT, &reason))
        reason = reason_of("no answer in time");
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
    const char *failed = phrase_find(PHRASE_ATTEMPT_FAILED, close);
    if (failed == NULL || failed >= end)
        return false;
    *ret_host = (struct reason){open + 1, (size_t)(close - open - 1)};
    *ret_why = phrase_after(PHRASE_ATTEMPT_FAILED, close);
    return true;
}

/* One sentence for all attempts: where it tried to connect, and each reason once. */
static void put_failed_attempts(struct buffer *out, const char *text, const char *first)
{
    struct reason host = {"", 0}, list[REASONS_MAX], other;
    size_t count = 0;
    const char *primary = phrase_find(PHRASE_PRIMARY_UNREACHABLE, text), *why;
    bool is_primary = primary != NULL && primary < first;
    if (!is_primary)
        join_lines(out, text, (size_t)(first - text));
    for (const char *at = first; at != NULL;
         at = phrase_find(PHRASE_ATTEMPT, phrase_after(PHRASE_ATTEMPT, at)))
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
    const char *first = phrase_find(PHRASE_ATTEMPT, text), *why;
    if (first != NULL && read_attempt(first, &host, &why))
        put_failed_attempts(&out, text, first);
    else
        join_lines(&out, text, strlen(text));
    snprintf(place, size, "%s", buffer_text(&out));
}
