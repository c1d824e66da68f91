/*
 * Metrics as a table of rows: the page that a Prometheus scrapes and the manual (docs/metrics.md)
 * are both printed from it. The page is the text format 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * A row's series keep their order and their labels from one scrape to the next; one without a value
 * has no line. Pure: readers read everything from `arg`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

#define METRICS_TYPE "text/plain; version=0.0.4" /* of the page, for HTTP */

enum metric_type { METRIC_GAUGE, METRIC_COUNTER };

struct metrics_page;

struct metric {
    const char *name; /* in base units, with the unit last; a counter ends in _total */
    enum metric_type type;
    const char *help;                                         /* a sentence */
    const char *labels[4];                                    /* names; NULL after the last */
    void (*read)(struct metrics_page *page, const void *arg); /* by metrics_add() */
};

/* One series of the row that is being read; a value for each of its labels, in their order. They
 * may contain any text. */
void metrics_add(struct metrics_page *page, int64_t value, const char *const *label_values);

/* Rows until one without a name. */
void metrics_print(const struct metric *rows, const void *arg, struct buffer *out);
/* The same rows as a Markdown table; `more` continues the table before it. */
void metrics_document(const struct metric *rows, bool more, struct buffer *out);
