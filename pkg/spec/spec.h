/*
 * What the spec of a PostgresCluster may contain: the shape of its fields, the syntax of names, and
 * quantities of Kubernetes and sizes and durations as PostgreSQL and people write them. `api`
 * decodes it into a struct and fills in defaults.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

struct spec_fault {
    const char *path;    /* "spec.storage.size" */
    const char *message; /* what is wrong and what would be right */
};

struct spec_faults {
    struct spec_fault *items;
    size_t count;
};

/* Names longer than this would overflow the labels that Kubernetes derives from them. */
enum { CLUSTER_NAME_MAX = 48, INSTANCES_MAX = 9 };

/* "7d", "12h", "30m", "45s" -> milliseconds; -1 when it is not one, or more than 30 days. */
int64_t syntax_duration_ms(const char *text);
/* PostgreSQL's own sizes: "64MB", "16384" in units of `unit` bytes. -1 when it is not one. */
int64_t syntax_postgres_bytes(const char *text, int64_t unit);
/* "20Gi" -> bytes; Kubernetes quantity syntax. -1 when it is not one, or not whole bytes. */
int64_t quantity_bytes(const char *text);
/* The reverse, exact, in the largest binary unit that fits: "16Mi", "1500". */
char *quantity_text(struct arena *arena, int64_t bytes);
/* For people: whole MiB, from 10 GiB on GiB with one decimal. It is still a quantity. */
char *quantity_short(struct arena *arena, int64_t bytes);
/* Any quantity that is not negative: "500m", "1.5", "2Gi". */
bool quantity_valid(const char *text);
/* -1, 0, 1; a text that is not a quantity counts as zero. */
int quantity_compare(const char *a, const char *b);
/* The smallest max_wal_senders and max_replication_slots for that many instances. */
int parameters_least_senders(int instances);

/* Every path that the decoder reads below spec, "[]" for list items, "{}" for maps. */
const char *const *spec_fields(size_t *ret_count);
