/* https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ in exact
 * arithmetic: billionths in 128 bits, finer than anything the API server keeps. */
#include "spec/spec.h"

#include <ctype.h>
#include <string.h>

typedef unsigned __int128 nano;

static const struct {
    const char *suffix;
    int exponent10, exponent2;
} suffixes[] = {
    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},  {"", 0, 0},    {"k", 3, 0},   {"M", 6, 0},
    {"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20},
    {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60},
};

/* e3, E-3, or a suffix of the table. */
static bool parse_suffix(const char *text, int *ret_exponent10, int *ret_exponent2)
{
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (strcmp(text, suffixes[i].suffix) == 0) {
            *ret_exponent10 = suffixes[i].exponent10;
            *ret_exponent2 = suffixes[i].exponent2;
            return true;
        }
    if (*text != 'e' && *text != 'E')
        return false;
    bool negative = text[1] == '-';
    const char *digits = text + 1 + (text[1] == '-' || text[1] == '+');
    size_t count = strlen(digits);
    if (count < 1 || count > 2 || strspn(digits, "0123456789") != count)
        return false;
    int exponent = count == 2 ? (digits[0] - '0') * 10 + digits[1] - '0' : digits[0] - '0';
    *ret_exponent10 = negative ? -exponent : exponent;
    *ret_exponent2 = 0;
    return true;
}

/* What does not fit, or has a fraction of a billionth, is refused and not rounded. */
static bool parse_nano(const char *text, nano *ret_value)
{
    enum { DIGITS_MAX = 19 };
    const nano limit = ~(nano)0;
    nano value = 0;
    int digits = 0, exponent10 = 9, given10, given2;
    const char *p = text + (*text == '+');
    for (bool fraction = false; isdigit((unsigned char)*p) || (*p == '.' && !fraction); p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        value = value * 10 + (unsigned)(*p - '0');
        exponent10 -= fraction;
        if (++digits > DIGITS_MAX)
            return false;
    }
    if (digits == 0 || !parse_suffix(p, &given10, &given2))
        return false;
    exponent10 += given10;
    if (value == 0)
        exponent10 = 0, given2 = 0;
    if (value > limit >> given2)
        return false;
    value <<= given2;
    for (; exponent10 > 0; exponent10--) {
        if (value > limit / 10)
            return false;
        value *= 10;
    }
    for (; exponent10 < 0; exponent10++) {
        if (value % 10 != 0)
            return false;
        value /= 10;
    }
    *ret_value = value;
    return true;
}

int64_t quantity_bytes(const char *text)
{
    const nano billion = 1000000000;
    nano value;
    if (!parse_nano(text, &value) || value % billion != 0 || value / billion > INT64_MAX)
        return -1;
    return (int64_t)(value / billion);
}

bool quantity_valid(const char *text)
{
    nano value;
    return parse_nano(text, &value);
}

int quantity_compare(const char *a, const char *b)
{
    nano x = 0, y = 0;
    (void)parse_nano(a, &x); /* what is not a quantity counts as zero */
    (void)parse_nano(b, &y);
    return (x > y) - (x < y);
}

char *quantity_text(struct arena *arena, int64_t bytes)
{
    static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    size_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    return arena_printf(arena, "%lld%s", (long long)bytes, units[unit]);
}

char *quantity_short(struct arena *arena, int64_t bytes)
{
    const int64_t mib = 1024 * 1024, gib = 1024 * mib;
    int64_t tenths = bytes / (gib / 10);
    if (bytes < 10 * gib)
        return arena_printf(arena, "%lldMi", (long long)(bytes / mib));
    return tenths % 10 ? arena_printf(arena, "%lld.%lldGi", (long long)(tenths / 10),
                                      (long long)(tenths % 10))
                       : arena_printf(arena, "%lldGi", (long long)(tenths / 10));
}
