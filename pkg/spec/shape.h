/*
 * The shape of spec: one row per field, with what it may contain. The walk over it finds unknown
 * fields, wrong types, missing ones and values out of range, all at once; rules that relate fields
 * to each other are in parameters.c, hba.c and api/decode.c. For these and for tests, which compare
 * the rows with crds/.
 */
#pragma once

#include "spec/spec.h"

enum shape_type {
    SHAPE_OBJECT,
    SHAPE_LIST,
    SHAPE_MAP, /* any keys, values of one shape */
    SHAPE_STRING,
    SHAPE_INTEGER,
    SHAPE_BOOLEAN,
    SHAPE_QUANTITY, /* string or integer */
};

struct shape_field {
    const char *path; /* below spec; "[]" list items, "{}" map values */
    enum shape_type type;
    int64_t min, max;           /* integers: value; strings: characters; lists and maps: items */
    bool required;              /* if the object that contains it is there */
    const char *const *options; /* ended by NULL; NULL: any text */
    bool (*valid)(const char *text);
    const char *expected; /* what is right, for messages */
};

const struct shape_field *shape_fields(size_t *ret_count);

/* Where faults go; `path` and `message` are formatted into the arena. */
struct shape_faults {
    struct arena *arena;
    struct spec_faults *faults;
    size_t capacity;
};

void shape_fault(struct shape_faults *faults, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* path + one key, quoted as ["a.b"] where it needs to be. */
char *shape_key(struct arena *arena, const char *path, const char *key);
/* "the string \"x\"", "the number 3", "a list", "null" ... */
char *shape_found(struct arena *arena, const cJSON *node);
/* Walks spec. */
void shape_check(struct shape_faults *faults, const cJSON *spec);
/* The nearest of `names`, if it is near enough for a typing error; else NULL. */
const char *shape_suggest(const char *name, const char *const *names, size_t count);
/* The number of letters to change, add, drop or swap to turn a into b. */
size_t shape_distance(const char *a, const char *b);

/* Syntax of names; each says whether the whole text is one. */
bool syntax_dns_label(const char *text);     /* RFC 1035: [a-z]([-a-z0-9]*[a-z0-9])? up to 63 */
bool syntax_dns_subdomain(const char *text); /* RFC 1123, up to 253 */
bool syntax_label_key(const char *text);     /* [prefix/]name */
bool syntax_label_value(const char *text);   /* may be empty */
bool syntax_image(const char *text);
bool syntax_identifier(const char *text); /* of a database or role, plain ASCII */
bool syntax_encoding(const char *text);
bool syntax_locale(const char *text);
bool syntax_volume_size(const char *text); /* a quantity of whole bytes */
bool syntax_wal_size(const char *text);    /* 64MB, 4GB, or 64Mi, 4Gi, which is the same */
bool syntax_overlap(const char *text);     /* 7d, 12h, 30m, 45s; at most 30 days */

/* Rules of spec.postgres.parameters and spec.postgres.hba; shapes were checked before. */
void parameters_check(struct shape_faults *faults, const cJSON *spec);
/* Name, version and kind of value of PostgreSQL's own parameters. */
void parameters_check_known(struct shape_faults *faults, const char *path, const char *name,
                            const char *value, int version);
void hba_check(struct shape_faults *faults, const cJSON *spec);
