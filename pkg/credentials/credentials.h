/*
 * Secrets of a cluster: passwords from OpenSSL's RNG when absent, SCRAM-SHA-256 verifiers computed
 * here so that no password reaches a server or its log, the cluster's own CA and server certificate
 * with renewal. No I/O: the caller reads and writes the Secrets; randomness is an argument.
 *
 * Secrets: <superuser>, <app>, <replication> (spec.secrets names; user-made ones are respected and
 * only `password` is required of them), <c>-ca (ca.crt, ca.key), <c>-server (tls.crt, tls.key,
 * ca.crt), <c>-verifiers (roles.json).
 */
#pragma once

#include "api/snapshot.h"

struct credentials_input { /* Secrets as read from the API; NULL when absent */
    const cJSON *superuser, *app, *replication, *ca, *server, *verifiers;
};

struct credentials_write {
    cJSON *object;  /* the Secret */
    bool create;    /* POST: must not exist yet; else server-side apply */
    const char *reason;
};

struct credentials_result {
    struct seen_credentials seen; /* as it will be when all writes are done */
    struct credentials_write *writes;
    size_t write_count;
    int64_t next_ms; /* wall time of the next renewal */
};

/* Fills buffer with n random bytes; the real one is RAND_bytes. */
typedef void (*credentials_random)(void *arg, unsigned char *buffer, size_t n);

int credentials_check(struct arena *arena, const struct cluster_spec *spec,
                      const struct credentials_input *input, int64_t now_ms,
                      credentials_random random, void *random_arg,
                      struct credentials_result *ret_result, struct error *err);

/* "SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>" as PostgreSQL stores it. The password is
 * taken as UTF-8 bytes; SASLprep is the identity on what we make, and others' passwords that are
 * not plain ASCII are refused with a remedy. */
int credentials_scram(struct arena *arena, const char *password, const unsigned char salt[16],
                      char **ret_verifier, struct error *err);
bool credentials_scram_matches(const char *verifier, const char *password);
