/* The cluster's CA and server certificates, as PEM texts. Part of the room credentials only. */
#pragma once

#include "credentials/credentials.h"

struct x509_pair {
    const char *cert_pem, *key_pem;
    int64_t not_before_ms, not_after_ms; /* wall */
};

struct x509_random { /* where serial numbers come from */
    credentials_random fill;
    void *arg;
};

/* Name of the subject: CN=<common_name>, O=<organisation>, each at most 64 bytes. */
struct x509_subject {
    const char *common_name, *organisation;
};

/* A self-signed CA, EC P-256, 10 years. key_pem: the key to keep at a renewal, so that everything
 * it signed stays valid under the new certificate; NULL makes a new one. */
int x509_make_ca(struct arena *arena, const struct x509_subject *subject, const char *key_pem,
                 int64_t now_ms, struct x509_random random, struct x509_pair *ret_pair,
                 struct error *err);
/* A server certificate with a new key, 90 days, for these DNS names. */
int x509_issue(struct arena *arena, const struct x509_pair *ca, const struct x509_subject *subject,
               const char *const *names, size_t name_count, int64_t now_ms,
               struct x509_random random, struct x509_pair *ret_pair, struct error *err);
/* Parses both and checks that the key belongs to the certificate: ERR_INVALID says what is wrong.
 */
int x509_read(const char *cert_pem, const char *key_pem, struct x509_pair *ret_pair,
              struct error *err);
/* When two thirds of its life are over. */
int64_t x509_renew_ms(const struct x509_pair *pair);
bool x509_signed_by(const char *cert_pem, const char *ca_pem);
/* The certificate names exactly these DNS names, in any order. */
bool x509_names_are(const char *cert_pem, const char *const *names, size_t name_count);
