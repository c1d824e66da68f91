/* What plain scalars mean: the rules of Kubernetes' YAML reader (YAML 1.1 words, Go's numbers). */
#include "yaml/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word;
    enum yaml_kind kind;
} words[] = {
    {"", YAML_NULL},        {"~", YAML_NULL},       {"null", YAML_NULL},    {"Null", YAML_NULL},
    {"NULL", YAML_NULL},    {"true", YAML_TRUE},    {"True", YAML_TRUE},    {"TRUE", YAML_TRUE},
    {"y", YAML_TRUE},       {"Y", YAML_TRUE},       {"yes", YAML_TRUE},     {"Yes", YAML_TRUE},
    {"YES", YAML_TRUE},     {"on", YAML_TRUE},      {"On", YAML_TRUE},      {"ON", YAML_TRUE},
    {"false", YAML_FALSE},  {"False", YAML_FALSE},  {"FALSE", YAML_FALSE},  {"n", YAML_FALSE},
    {"N", YAML_FALSE},      {"no", YAML_FALSE},     {"No", YAML_FALSE},     {"NO", YAML_FALSE},
    {"off", YAML_FALSE},    {"Off", YAML_FALSE},    {"OFF", YAML_FALSE},    {".nan", YAML_NO_JSON},
    {".NaN", YAML_NO_JSON}, {".NAN", YAML_NO_JSON}, {".inf", YAML_NO_JSON}, {".Inf", YAML_NO_JSON},
    {".INF", YAML_NO_JSON},
};

/* Longer texts are not meant as numbers. */
enum { NUMBER_MAX = 64 };

/* Bases as in Go's ParseInt(text, 0, 64), which Kubernetes' YAML reader uses. */
static bool parse_whole(const char *digits, bool negative, double *ret_number)
{
    int base = 10;
    if (digits[0] == '0' && digits[1] != '\0') {
        base = 8;
        digits++;
        if (*digits == 'x' || *digits == 'X')
            base = 16, digits++;
        else if (*digits == 'b' || *digits == 'B')
            base = 2, digits++;
        else if (*digits == 'o' || *digits == 'O')
            digits++;
    }
    if (*digits == '\0' || strspn(digits, "0123456789abcdefABCDEF") != strlen(digits))
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(digits, &end, base);
    if (*end != '\0' || errno != 0)
        return false;
    *ret_number = negative ? -(double)value : (double)value;
    return true;
}

/* [0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)? or \.[0-9]+(...)? */
static bool parse_float(const char *text, bool negative, double *ret_number)
{
    const char *digits = "0123456789";
    size_t whole = strspn(text, digits), fraction = 0;
    const char *p = text + whole;
    if (*p == '.') {
        fraction = strspn(p + 1, digits);
        p += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        size_t exponent = strspn(p, digits);
        if (exponent == 0)
            return false;
        p += exponent;
    }
    if (*p != '\0')
        return false;
    double value = strtod(text, NULL);
    *ret_number = negative ? -value : value;
    return true;
}

enum yaml_kind yaml_resolve(const char *text, double *ret_number)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i].word) == 0)
            return words[i].kind;
    if (strchr("+-.0123456789", text[0]) == NULL || strlen(text) > NUMBER_MAX)
        return YAML_STRING;
    bool negative = text[0] == '-';
    const char *unsigned_text = text + (text[0] == '-' || text[0] == '+');
    if (unsigned_text != text && unsigned_text[0] == '.' &&
        yaml_resolve(unsigned_text, ret_number) == YAML_NO_JSON)
        return YAML_NO_JSON;
    char plain[NUMBER_MAX + 1];
    size_t length = 0;
    for (const char *p = unsigned_text; *p; p++)
        if (*p != '_')
            plain[length++] = *p;
    plain[length] = '\0';
    if (parse_whole(plain, negative, ret_number))
        return YAML_NUMBER;
    if (!parse_float(unsigned_text, negative, ret_number))
        return YAML_STRING;
    /* 1e999 */
    return *ret_number - *ret_number == 0 ? YAML_NUMBER : YAML_NO_JSON;
}
