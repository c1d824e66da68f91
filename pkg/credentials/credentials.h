/*
 * Secrets of a cluster: passwords from OpenSSL's RNG when absent, SCRAM-SHA-256 verifiers computed
 * here so that no password reaches a server or its log, the cluster's own CA and server certificate
 * with renewal. No I/O: the caller reads and writes the Secrets; randomness is an argument (private
 * keys and signatures always take OpenSSL's own).
 *
 * Secrets: <superuser>, <app>, <replication> (spec.secrets names), <c>-ca (ca.crt, ca.key),
 * <c>-server (tls.crt, tls.key, ca.crt), <c>-verifiers (roles.json). Those without our label
 * managed-by are the user's: they need `password` (or the certificate keys) and are never written.
 * In ours `password` is the user's to change: everything else is derived from it again. Passwords
 * and the CA belong to the data: with spec.storage.retain they have no owner and outlive the
 * cluster object, and a later cluster of that name takes them up.
 *
 * A CA is never replaced without a word. Asked for (ANN_REPLACE_CA), or made because its Secret was
 * deleted, a new one overlaps with the old: ca.crt of <c>-server and of the app's Secret holds both
 * while the old certificate is shown for spec.tls.caOverlap, and for as long again afterwards. A CA
 * of ours that is damaged is a fault until somebody asks for a new one.
 *
 * Nothing here logs, but for the failure of the random generator, which ends the program. No
 * message holds a password. Every copy that this code makes is wiped when the arena goes; what was
 * read is the caller's: credentials_wipe().
 */
#pragma once

#include "api/snapshot.h"

struct credentials_input { /* Secrets as read from the API; NULL when absent */
    const cJSON *superuser, *app, *replication, *ca, *server, *verifiers;
};

struct credentials_write {
    const char *name;   /* of the Secret */
    bool create;        /* POST: must not exist yet; else a JSON merge patch that carries the
                           resourceVersion that was read, so that no newer password is lost */
    int wave;           /* 0 before 1 before 2: the CA, the passwords, and what follows from them */
    cJSON *object;      /* the whole Secret, or the patch */
    const char *reason; /* for the log */
};

struct credentials_result {
    struct seen_credentials seen; /* as it will be when all writes are done */
    struct credentials_write *writes;
    size_t write_count;
    int64_t next_ms; /* wall time of the next renewal, or of the next expiry of a user's own */
};

/* Fills buffer with n random bytes; the real one is credentials_rand(), which never fails. */
typedef void (*credentials_random)(void *arg, unsigned char *buffer, size_t n);
void credentials_rand(void *arg, unsigned char *buffer, size_t n);

/* Reasons in ret_result->seen.reason: SecretMissing, SecretKeyMissing, NameCollision,
 * SecretUsernameMismatch, PasswordInvalid, CertificateInvalid, CertificateExpired; its message
 * names the Secret, the key and the remedy. Such faults are no failure: what else is due is still
 * written. Fails with ERR_INTERNAL when OpenSSL does. */
int credentials_check(struct arena *arena, const struct cluster_spec *spec,
                      const struct credentials_input *input, int64_t now_ms,
                      credentials_random random, void *random_arg,
                      struct credentials_result *ret_result, struct error *err) ERR_CHECKED;

/* Overwrites what a Secret holds (data and stringData). NULL is fine. */
void credentials_wipe(cJSON *secret);

/* ERR_INVALID with a remedy when a password cannot serve: empty, or not printable ASCII (SASLprep
 * is the identity there; elsewhere clients differ). */
int credentials_password_usable(const char *password, struct error *err) ERR_CHECKED;
/* "SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>" as PostgreSQL stores it
 * (https://www.postgresql.org/docs/current/catalog-pg-authid.html). */
int credentials_scram(struct arena *arena, const char *password, const unsigned char salt[16],
                      char **ret_verifier, struct error *err) ERR_CHECKED;
bool credentials_scram_matches(const char *verifier, const char *password);
