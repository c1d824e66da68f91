/*
 * YAML (libyaml) read into cJSON trees and written from them. Reading follows what Kubernetes' own
 * tools do with a manifest, so that a file means the same to pgkeel and to kubectl: plain scalars
 * yes/no/on/off are booleans, 0x1f, 0o17, 017 and 1_000 are numbers, quoted ones stay strings,
 * merge keys (<<) are merged. Anchors and aliases have a bound on expansion; duplicate keys, keys
 * that are not scalars, infinities and NUL bytes are refused.
 */
#pragma once

#include <stddef.h>

#include "base/buffer.h"
#include "base/json.h"

enum { YAML_MAX_DEPTH = 100, YAML_MAX_NODES = 1000000, YAML_MAX_DOCUMENTS = 10000 };

struct yaml_lines; /* where each node was written */

struct yaml_document {
    cJSON *tree; /* owned by the arena */
    int line;    /* of its first node, from 1 */
    const struct yaml_lines *lines;
};

/* All documents of a stream; empty ones are left out. Errors are ERR_UNREADABLE and begin with
 * "line L, column C". JSON is YAML, so JSON input works too. */
int yaml_parse(struct arena *arena, const char *text, size_t length,
               struct yaml_document **ret_documents, size_t *ret_count,
               struct error *err) ERR_CHECKED;
/* The line of the node at a json.h path or, when there is none, of the nearest node above it. */
int yaml_line_of(const struct yaml_document *document, const char *path);
/* Appends one document without a "---" line, block style, members in the tree's order. */
void yaml_write(struct buffer *out, const cJSON *tree);

enum yaml_kind {
    YAML_STRING,
    YAML_NULL,
    YAML_TRUE,
    YAML_FALSE,
    YAML_NUMBER,
    YAML_NO_JSON, /* .inf and .nan, which JSON cannot represent */
};

/* What a plain scalar means. ret_number is set for YAML_NUMBER only. */
enum yaml_kind yaml_resolve(const char *text, double *ret_number);
