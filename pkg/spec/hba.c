/*
 * What the lines of spec.postgres.hba may contain. PostgreSQL refuses to start with a pg_hba.conf
 * it cannot parse, so a line is read here as the server reads it
 * (https://www.postgresql.org/docs/current/auth-pg-hba-conf.html).
 */
#include "spec/shape.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 64 };

struct line {
    struct shape_faults *faults;
    const char *path;
    char *fields[FIELDS_MAX]; /* a comma list is one field, quotes are removed */
    size_t count;
};

static const char *const types[] = {"host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"};
static const char *const methods[] = {"scram-sha-256", "md5",  "password", "reject",
                                      "cert",          "ldap", "radius",   "pam",
                                      "gss",           "bsd",  "sspi",     "oauth"};

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}
#define IS_ONE_OF(text, words) is_one_of(text, words, sizeof words / sizeof words[0])

/* Reads one field: tokens joined by commas, blanks after a comma included. Returns the rest of the
 * line; NULL when a quote is not closed. */
static const char *take_field(struct line *line, const char *p)
{
    char *field = arena_alloc(line->faults->arena, strlen(p) + 1), *out = field;
    bool quoted = false, comma = false;
    for (; *p; p++) {
        bool blank = !quoted && (*p == ' ' || *p == '\t');
        if (blank && comma)
            continue;
        if (blank)
            break;
        comma = !quoted && *p == ',';
        if (*p == '"')
            quoted = !quoted;
        else
            *out++ = *p;
    }
    line->fields[line->count++] = field;
    return quoted ? NULL : p;
}

static bool split(struct line *line, const char *text)
{
    for (const char *p = text;;) {
        p += strspn(p, " \t");
        if (*p == '\0')
            return true;
        if (line->count == FIELDS_MAX) {
            shape_fault(line->faults, line->path, "has more than %d fields", FIELDS_MAX);
            return false;
        }
        p = take_field(line, p);
        if (p == NULL) {
            shape_fault(line->faults, line->path, "has a quote that is not closed");
            return false;
        }
    }
}

static int family_of(const char *address)
{
    unsigned char buffer[16];
    if (inet_pton(AF_INET, address, buffer) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, address, buffer) == 1 ? AF_INET6 : 0;
}

static bool is_prefix_length(const char *text, int family)
{
    size_t length = strlen(text);
    return length > 0 && length <= 3 && strspn(text, "0123456789") == length &&
           strtol(text, NULL, 10) <= (family == AF_INET ? 32 : 128);
}

static bool is_host_name(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    return *text && strspn(text, allowed) == strlen(text) && strlen(text) <= 253;
}

/* Returns how many fields the address takes: 1, or 2 with a separate mask; 0 after a fault. */
static size_t check_address(struct line *line, size_t at)
{
    const char *text = line->fields[at];
    if (strcmp(text, "all") == 0 || strcmp(text, "samehost") == 0 || strcmp(text, "samenet") == 0)
        return 1;
    const char *slash = strchr(text, '/');
    char *address =
        arena_strndup(line->faults->arena, text, slash ? (size_t)(slash - text) : strlen(text));
    int family = family_of(address);
    if (slash && family && is_prefix_length(slash + 1, family))
        return 1;
    if (!slash && !family && is_host_name(text))
        return 1;
    if (!slash && family && at + 1 < line->count && family_of(line->fields[at + 1]) == family)
        return 2;
    if (!slash && family)
        shape_fault(line->faults, line->path, "address %s needs a prefix length, such as %s/%d",
                    text, text, family == AF_INET ? 32 : 128);
    else
        shape_fault(
            line->faults, line->path,
            "\"%.80s\" is not an address: all, samehost, samenet, a host name or a network such "
            "as 10.0.0.0/8",
            text);
    return 0;
}

static bool has_option(const struct line *line, size_t from, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = from; i < line->count; i++)
        if (strncmp(line->fields[i], name, length) == 0 && line->fields[i][length] == '=')
            return true;
    return false;
}

/* Options without which the server refuses the whole file. */
static void check_options(struct line *line, const char *method, size_t from)
{
    for (size_t i = from; i < line->count; i++)
        if (strchr(line->fields[i], '=') == NULL || line->fields[i][0] == '=') {
            shape_fault(line->faults, line->path,
                        "\"%.80s\" is not an option of the form name=value", line->fields[i]);
            return;
        }
    if (strcmp(method, "ldap") == 0 && !has_option(line, from, "ldapserver") &&
        !has_option(line, from, "ldapurl"))
        shape_fault(line->faults, line->path, "method ldap needs ldapserver= or ldapurl=");
    if (strcmp(method, "radius") == 0 &&
        !(has_option(line, from, "radiusservers") && has_option(line, from, "radiussecrets")))
        shape_fault(line->faults, line->path,
                    "method radius needs radiusservers= and "
                    "radiussecrets=");
    if (strcmp(method, "oauth") == 0 &&
        !(has_option(line, from, "issuer") && has_option(line, from, "scope")))
        shape_fault(line->faults, line->path, "method oauth needs issuer= and scope=");
}

/* Stricter than the server: what lets in anyone, or cannot work in a pod, is refused. */
static void check_method(struct line *line, size_t at, int version)
{
    const char *method = line->fields[at], *type = line->fields[0];
    if (strcmp(method, "trust") == 0)
        shape_fault(line->faults, line->path,
                    "method trust would let anyone in without a password: use scram-sha-256");
    else if (strcmp(method, "ident") == 0 || strcmp(method, "peer") == 0)
        shape_fault(line->faults, line->path,
                    "method %s needs an operating-system user, which "
                    "pods do not have: use scram-sha-256",
                    method);
    else if (!IS_ONE_OF(method, methods))
        shape_fault(line->faults, line->path,
                    "\"%.80s\" is not an authentication method (common ones: scram-sha-256, cert, "
                    "ldap, reject)",
                    method);
    else if (strcmp(method, "cert") == 0 && strcmp(type, "hostssl") != 0)
        shape_fault(line->faults, line->path, "method cert works only with type hostssl");
    else if (strcmp(method, "oauth") == 0 && version < 18)
        shape_fault(line->faults, line->path, "method oauth needs PostgreSQL 18");
    else
        check_options(line, method, at + 1);
}

/* local and include are valid for the server, but the Unix socket belongs to the agent, and there
 * are no files to include. */
static bool check_type(struct line *line)
{
    const char *type = line->fields[0];
    if (strcmp(type, "local") == 0)
        shape_fault(line->faults, line->path,
                    "type local is not supported: the Unix socket belongs to the agent");
    else if (strncmp(type, "include", 7) == 0)
        shape_fault(line->faults, line->path,
                    "include lines are not supported: write every line here");
    else if (!IS_ONE_OF(type, types))
        shape_fault(line->faults, line->path,
                    "begins with \"%.80s\", not with a type (hostssl, "
                    "host, hostnossl, hostgssenc, hostnogssenc)",
                    type);
    else
        return true;
    return false;
}

/* One text must be one line and name no files: it goes into pg_hba.conf as it is. */
static void check_line(struct shape_faults *faults, const char *path, const char *text, int version)
{
    struct line line = {.faults = faults, .path = path};
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f) {
            shape_fault(faults, path, "must be one line without control characters");
            return;
        }
    if (strpbrk(text, "#\\@")) {
        shape_fault(faults, path,
                    "must not contain '#', '\\' or '@': comments, continuation lines and files of "
                    "names are not supported");
        return;
    }
    if (!split(&line, text))
        return;
    if (line.count == 0) {
        shape_fault(faults, path, "is blank");
        return;
    }
    if (!check_type(&line))
        return;
    if (line.count < 5) {
        shape_fault(faults, path,
                    "has %zu fields, but a line needs at least five: type database user address "
                    "method [options]",
                    line.count);
        return;
    }
    size_t taken = check_address(&line, 3);
    if (taken == 0)
        return;
    if (3 + taken >= line.count)
        shape_fault(faults, path, "ends before the authentication method");
    else
        check_method(&line, 3 + taken, version);
}

void hba_check(struct shape_faults *faults, const cJSON *spec)
{
    const cJSON *lines = json_get(spec, "postgres.hba"), *item;
    int index = 0;
    if (!cJSON_IsArray(lines))
        return;
    cJSON_ArrayForEach (item, lines) {
        char *path = arena_printf(faults->arena, "spec.postgres.hba[%d]", index++);
        if (cJSON_IsString(item) && *item->valuestring)
            check_line(faults, path, item->valuestring,
                       (int)json_int(spec, "postgres.version", 17));
    }
}
