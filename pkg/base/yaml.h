/*
 * YAML (libyaml) read into cJSON trees and written from them. Reading follows what Kubernetes
 * accepts: the JSON schema of YAML 1.2 for scalars (true/false/null, integers, floats; quoted
 * scalars stay strings), anchors and aliases with a bound on expansion, duplicate keys refused.
 */
#pragma once

#include <stddef.h>

#include "base/buffer.h"
#include "base/json.h"

enum { YAML_MAX_DEPTH = 100, YAML_MAX_NODES = 1000000, YAML_MAX_DOCUMENTS = 10000 };

struct yaml_document {
    cJSON *tree; /* owned by the arena */
    int line;    /* of its first node, from 1 */
};

/* All documents of a stream; empty ones are left out. Errors are ERR_UNREADABLE and begin with
 * "line L, column C". JSON is YAML, so JSON input works too. */
int yaml_parse(struct arena *arena, const char *text, size_t length,
               struct yaml_document **ret_documents, size_t *ret_count, struct error *err);
/* Appends one document without a "---" line, block style, members in the tree's order. */
void yaml_write(struct buffer *out, const cJSON *tree);
