/* Syntax of the names and sizes in a spec. Hand-written: no regex engine in a hot or pure path. */
#include "spec/shape.h"

#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Only characters of `set`, at least one, at most max. */
static bool only(const char *text, size_t length, const char *set, size_t max)
{
    return length > 0 && length <= max && strspn(text, set) >= length;
}

static bool begins_and_ends(const char *text, size_t length, const char *set)
{
    return strchr(set, text[0]) && strchr(set, text[length - 1]);
}

bool syntax_dns_label(const char *text)
{
    size_t length = strlen(text);
    return only(text, length, LOWER DIGITS "-", 63) && strchr(LOWER, text[0]) &&
           text[length - 1] != '-';
}

static bool dns_subdomain(const char *text, size_t length)
{
    if (length == 0 || length > 253)
        return false;
    for (const char *end = text + length;;) {
        size_t part = strcspn(text, "./");
        if (!only(text, part, LOWER DIGITS "-", 63) || !begins_and_ends(text, part, LOWER DIGITS))
            return false;
        if (text + part == end)
            return true;
        text += part + 1;
    }
}

bool syntax_dns_subdomain(const char *text)
{
    return strchr(text, '/') == NULL && dns_subdomain(text, strlen(text));
}

bool syntax_label_value(const char *text)
{
    size_t length = strlen(text);
    return length == 0 || (only(text, length, LOWER UPPER DIGITS "-_.", 63) &&
                           begins_and_ends(text, length, LOWER UPPER DIGITS));
}

bool syntax_label_key(const char *text)
{
    const char *slash = strchr(text, '/');
    if (slash && !dns_subdomain(text, (size_t)(slash - text)))
        return false;
    const char *name = slash ? slash + 1 : text;
    return *name != '\0' && syntax_label_value(name);
}

bool syntax_image(const char *text)
{
    size_t length = strlen(text);
    return only(text, length, LOWER UPPER DIGITS "-_./:@", 512) &&
           begins_and_ends(text, length, LOWER UPPER DIGITS);
}

bool syntax_identifier(const char *text)
{
    return only(text, strlen(text), LOWER UPPER DIGITS "_-", 63) &&
           strchr(DIGITS "-", *text) == NULL;
}

bool syntax_encoding(const char *text)
{
    return only(text, strlen(text), LOWER UPPER DIGITS "_", 32);
}

bool syntax_locale(const char *text)
{
    size_t length = strlen(text);
    return only(text, length, LOWER UPPER DIGITS "_.@-", 64) && strchr(LOWER UPPER, text[0]);
}

bool syntax_volume_size(const char *text)
{
    return quantity_bytes(text) > 0;
}

static const struct {
    const char *suffix;
    int shift;
} postgres_units[] = {{"B", 0}, {"kB", 10}, {"MB", 20}, {"GB", 30}, {"TB", 40}};

/* A number without a suffix counts in the unit of its parameter. */
int64_t syntax_postgres_bytes(const char *text, int64_t unit)
{
    int64_t value = 0;
    size_t digits = strspn(text, DIGITS);
    if (digits == 0 || digits > 15)
        return -1;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (text[i] - '0');
    const char *suffix = text + digits + strspn(text + digits, " ");
    for (size_t i = 0; *suffix && i < sizeof postgres_units / sizeof postgres_units[0]; i++)
        if (strcmp(suffix, postgres_units[i].suffix) == 0) {
            unit = (int64_t)1 << postgres_units[i].shift;
            suffix = "";
        }
    return *suffix || value > INT64_MAX / unit ? -1 : value * unit;
}

bool syntax_wal_size(const char *text)
{
    size_t digits = strspn(text, DIGITS);
    if (digits == 0 || digits > 6 || text[0] == '0' || text[digits] == '\0' ||
        strchr("MGT", text[digits]) == NULL)
        return false;
    return strcmp(text + digits + 1, "B") == 0 || strcmp(text + digits + 1, "i") == 0;
}

static const struct {
    char unit;
    int64_t ms;
} duration_units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};

int64_t syntax_duration_ms(const char *text)
{
    const int64_t longest_ms = 30 * INT64_C(86400000);
    int64_t value = 0;
    size_t digits = strspn(text, DIGITS);
    if (digits == 0 || digits > 7 || text[digits] == '\0' || text[digits + 1] != '\0')
        return -1;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (text[i] - '0');
    for (size_t i = 0; i < sizeof duration_units / sizeof duration_units[0]; i++)
        if (text[digits] == duration_units[i].unit)
            return value * duration_units[i].ms <= longest_ms ? value * duration_units[i].ms : -1;
    return -1;
}

bool syntax_overlap(const char *text)
{
    return syntax_duration_ms(text) >= 0;
}
