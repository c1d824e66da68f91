/* A statement's parse tree, from PostgreSQL's own parser. */
#pragma once

#include "base/error.h"
#include "sql/nodes.h"

struct parsed {
    const List *statements; /* RawStmt */
    void *context;
};

/* The tree lives until parse_end(). Errors: *ret_offset is where the server would point. */
int parse_begin(const char *text, struct parsed *ret_parsed, size_t *ret_offset,
                struct error *err) ERR_CHECKED;
void parse_end(struct parsed *parsed);
