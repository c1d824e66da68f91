#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log_writer.h"

enum { COPY_WAIT_MS = 20 };

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static enum log_level lowest = LOG_INFO;
static const char *logger = NULL;
static int out_fd = 2;

static int level_of(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (strcmp(level_names[i], name) == 0)
            return i;
    return -1;
}

void log_set_level(const char *name)
{
    int level = level_of(name);
    if (level >= 0)
        lowest = (enum log_level)level;
}

void log_set_name(const char *name)
{
    logger = name;
}

void log_set_fd(int fd)
{
    out_fd = fd;
}

static void put_string(struct buffer *out, const char *text)
{
    buffer_puts(out, "\"");
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            buffer_printf(out, "\\%c", *p);
        else if (*p == '\n')
            buffer_puts(out, "\\n");
        else if (*p < 0x20 || *p == 0x7f)
            buffer_printf(out, "\\u%04x", *p);
        else
            buffer_append(out, p, 1);
    }
    buffer_puts(out, "\"");
}

static void put_field(struct buffer *out, const char *name, const char *text)
{
    buffer_puts(out, ",");
    put_string(out, name);
    buffer_puts(out, ":");
    put_string(out, text ? text : "");
}

/* True when write(2) could block. A pipe that is writable takes PIPE_BUF bytes without blocking. */
static bool would_wait(void)
{
    struct pollfd waits = {.fd = out_fd, .events = POLLOUT};
    return poll(&waits, 1, COPY_WAIT_MS) != 1;
}

/* A forked copy has no writer thread: it writes itself, but never waits long for the reader. */
static void write_all(const char *data, size_t length)
{
    bool copy = log_writer_is_copy();
    while (length > 0) {
        if (copy && would_wait())
            return;
        ssize_t written = write(out_fd, data, copy && length > PIPE_BUF ? PIPE_BUF : length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* nothing reads the log; there is no place to say so */
        data += written;
        length -= (size_t)written;
    }
}

static void begin(struct buffer *out, enum log_level level, const char *message)
{
    struct arena *arena = arena_new();
    buffer_printf(out, "{\"ts\":\"%s\",\"level\":\"%s\"",
                  clock_rfc3339_micro(arena, clock_wall_ms()), level_names[level]);
    arena_free(arena);
    if (logger != NULL)
        put_field(out, "logger", logger);
    put_field(out, "msg", message);
}

static void put_pairs(struct buffer *out, va_list args)
{
    const char *name;
    while ((name = va_arg(args, const char *)) != NULL)
        put_field(out, name, va_arg(args, const char *));
}

static void put_line(const struct buffer *out, bool own)
{
    if (!log_writer_put(out->data, out->length, own))
        write_all(out->data, out->length);
}

static void finish(struct buffer *out)
{
    buffer_puts(out, "}\n");
    put_line(out, true);
}

static void log_at(enum log_level level, const char *message, va_list args)
{
    if (level < lowest)
        return;
    AUTO_BUFFER out = {0};
    begin(&out, level, message);
    put_pairs(&out, args);
    finish(&out);
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *message, ...)                                                            \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, message);                                                                   \
        log_at(level, message, args);                                                              \
        va_end(args);                                                                              \
    }

LOG_FUNCTION(log_debug, LOG_DEBUG)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_warning, LOG_WARNING)
LOG_FUNCTION(log_error, LOG_ERROR)

void log_failure(const struct error *err, const char *message, ...)
{
    const struct err_policy *policy = err_policy(err->class);
    int level = level_of(policy->log);
    if (level < (int)lowest)
        return;
    AUTO_BUFFER out = {0};
    begin(&out, (enum log_level)level, message);
    put_field(&out, "error", err->text);
    put_field(&out, "class", policy->name);
    if (err->reason[0] != '\0')
        put_field(&out, "reason", err->reason);
    va_list args;
    va_start(args, message);
    put_pairs(&out, args);
    va_end(args);
    finish(&out);
}

void log_raw_line(const char *json, size_t length)
{
    AUTO_BUFFER out = {0};
    buffer_append(&out, json, length);
    buffer_puts(&out, "\n");
    put_line(&out, false);
}
