/*
 * Where an image keeps its PostgreSQL server. Debian and Ubuntu: /usr/lib/postgresql/N/bin; PGDG's
 * RPMs: /usr/pgsql-N/bin; the official and Alpine images: /usr/local/bin on PATH; anything else:
 * what pg_config says.
 */
#pragma once

#include "loop/child.h"

enum { BINARIES_PATH_MAX = 512 };

struct binaries {
    char dir[BINARIES_PATH_MAX]; /* holds postgres, initdb, pg_basebackup, pg_controldata */
    int major;
    char version[32]; /* "17.11" */
};

/* Called once. On failure binaries is NULL and err has the reason NoPostgres or VersionMismatch and
 * says what was found where. */
typedef void (*binaries_found)(void *arg, const struct binaries *binaries, const struct error *err);

/* Asks the candidates for their version, those first that a look at the path recommends. `root` is
 * put before absolute folders (tests); normally "". */
int binaries_find(struct children *children, const char *root, int wanted_major,
                  binaries_found found, void *arg, struct error *err) ERR_CHECKED;

/* "postgres (PostgreSQL) 17.11 (Debian 17.11-1)" -> 17 and "17.11"; also "18beta1", "16devel".
 * false when it is none. */
bool binaries_parse_version(const char *text, int *ret_major, char *ret_version, size_t size);
