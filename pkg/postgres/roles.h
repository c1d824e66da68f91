/*
 * What a primary must hold inside PostgreSQL: roles with their verifiers, a slot for each other
 * member, the application's database. Idempotent: only what differs is written, so that at rest
 * nothing is. No verifier reaches a log: the session logs no statement, also when the
 * server's settings ask for it, and neither do the usual extensions.
 */
#pragma once

#include "api/reports.h"
#include "pg/pg.h"

struct roles_input {
    const char *socket_dir;
    int port;
    const char *instance; /* ourselves: no slot of our own */
    const struct cluster_config *config;
    const char *verifiers; /* roles.json; "" leaves the roles alone */
};

struct roles_handlers {
    /* A transaction of ours is committed and durable: the server accepts writes. */
    void (*wrote)(void *arg);
    /* The replicas' slots are there, the database perhaps not yet. */
    void (*slots)(void *arg);
    /* The last call. Class 0: all of it is there. err->reason is RolesFailed otherwise. */
    void (*done)(void *arg, const struct error *err);
    void *arg;
};

struct roles;

/* The input is copied. */
struct roles *roles_start(struct event_base *loop, const struct roles_input *input,
                          const struct roles_handlers *handlers);
/* Allowed in `done` and before it; NULL is fine. */
void roles_free(struct roles *roles);

struct role_want {
    const char *name, *verifier;
    bool superuser, replication, login;
};

/* Pure, for tests. roles.json -> wanted roles; ERR_INVALID names the entry. */
int roles_parse(struct arena *arena, const char *json, struct role_want **ret_roles,
                size_t *ret_count, struct error *err) ERR_CHECKED;
/* The statements that turn what is there (a result of roles_query()) into what is wanted; always
 * ends with one that needs a transaction id, so that the commit is a write. */
char *roles_statements(struct arena *arena, const PGresult *have, const struct role_want *wanted,
                       size_t count);
char *roles_query(struct arena *arena, const struct role_want *wanted, size_t count);
char *roles_slots_sql(struct arena *arena, const struct cluster_config *config,
                      const char *instance);
