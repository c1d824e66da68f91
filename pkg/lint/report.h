/* Findings as text, JSON, SARIF 2.1.0, GitLab Code Quality and GitHub annotations. Streams: what
 * was appended may be written out and dropped between two calls. */
#pragma once

#include "base/buffer.h"
#include "lint/lint.h"

struct lint_format {
    const char *name;
    void (*begin)(struct buffer *out);
    void (*finding)(struct buffer *out, const struct lint_finding *finding, bool first);
    void (*end)(struct buffer *out, const struct lint_counts *counts);
};

/* NULL when there is none of that name. */
const struct lint_format *lint_format_find(const char *name);
/* What --list and --explain print. */
void lint_list(struct buffer *out);
void lint_explain(struct buffer *out, const struct lint_rule *rule);
/* All rules as JSON: what the documentation is checked against. */
void lint_list_json(struct buffer *out);
