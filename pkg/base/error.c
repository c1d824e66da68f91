#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct err_policy policies[] = {
    [-ERR_OK] = {"ok", false, 0, "debug"},
    [-ERR_NOT_FOUND] = {"not_found", true, 500, "info"},
    [-ERR_CONFLICT] = {"conflict", true, 100, "info"},
    [-ERR_GONE] = {"gone", true, 0, "info"},
    [-ERR_INVALID] = {"invalid", false, 30000, "error"},
    [-ERR_FORBIDDEN] = {"forbidden", true, 10000, "error"},
    [-ERR_TIMEOUT] = {"timeout", true, 1000, "warning"},
    [-ERR_TRANSPORT] = {"transport", true, 1000, "warning"},
    [-ERR_OVERLOADED] = {"overloaded", true, 2000, "info"},
    [-ERR_DATABASE] = {"database", true, 1000, "warning"},
    [-ERR_IO] = {"io", true, 1000, "error"},
    [-ERR_UNREADABLE] = {"unreadable", false, 30000, "error"},
    [-ERR_INTERNAL] = {"internal", true, 5000, "error"},
};

const struct err_policy *err_policy(int class)
{
    size_t index = (size_t)(class <= 0 ? -class : 0);
    if (index >= sizeof policies / sizeof policies[0])
        index = -ERR_INTERNAL;
    return &policies[index];
}

static void mark_cut(char *text, size_t size, int wanted)
{
    if (wanted >= (int)size)
        memcpy(text + size - 4, "...", 4);
}

static int fill(struct error *err, int class, const char *format, va_list args)
{
    memset(err, 0, sizeof *err);
    err->class = class;
    int wanted = vsnprintf(err->text, sizeof err->text, format, args);
    mark_cut(err->text, sizeof err->text, wanted);
    return class;
}

int err_set(struct error *err, int class, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, class, format, args);
    va_end(args);
    return class;
}

int err_set_reason(struct error *err, int class, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, class, format, args);
    va_end(args);
    snprintf(err->reason, sizeof err->reason, "%s", reason);
    return class;
}

static int class_of_errno(int errno_value)
{
    switch (errno_value) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_FORBIDDEN;
    default:
        return ERR_IO;
    }
}

int err_errno(struct error *err, int errno_value, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, class_of_errno(errno_value), format, args);
    va_end(args);
    size_t used = strlen(err->text);
    int wanted = snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(errno_value));
    mark_cut(err->text, sizeof err->text, (int)used + wanted);
    return err->class;
}

int err_wrap(struct error *err, const char *format, ...)
{
    char inner[sizeof err->text];
    memcpy(inner, err->text, sizeof inner);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (used < (int)sizeof err->text)
        used += snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", inner);
    mark_cut(err->text, sizeof err->text, used);
    return err->class;
}
