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
                 struct error *err) ERR_CHECKED;
/* A server certificate with a new key for these DNS names: 90 days, but never longer than the CA.
 */
int x509_issue(struct arena *arena, const struct x509_pair *ca, const struct x509_subject *subject,
               const char *const *names, size_t name_count, int64_t now_ms,
               struct x509_random random, struct x509_pair *ret_pair,
               struct error *err) ERR_CHECKED;
/* Parses both and checks that the key belongs to the certificate: ERR_INVALID says what is wrong.
 */
int x509_read(const char *cert_pem, const char *key_pem, struct x509_pair *ret_pair,
              struct error *err) ERR_CHECKED;
/* When two thirds of its life are over. */
int64_t x509_renew_ms(const struct x509_pair *pair);
/* Until when a certificate that x509_issue() makes now would last. */
int64_t x509_would_last_ms(const struct x509_pair *ca, int64_t now_ms);
/* "4f6a…": the SHA-256 of the first certificate in hexadecimal, as `openssl x509 -fingerprint
 * -sha256` has it but for the colons; "" when there is none. */
const char *x509_fingerprint(struct arena *arena, const char *cert_pem);
bool x509_signed_by(const char *cert_pem, const char *ca_pem);
/* The first certificate may sign others (basicConstraints). */
bool x509_may_sign(const char *cert_pem);
/* The first certificate of cert_pem is one for a server and leads to a root in ca_pem, by way of
 * the other ones of cert_pem if need be, as libpq asks for. Times are not looked at. ERR_INVALID
 * says why not. */
int x509_chain_holds(const char *cert_pem, const char *ca_pem, struct error *err) ERR_CHECKED;
/* A client that connects to `name` would take this certificate for its server's. */
bool x509_serves(const char *cert_pem, const char *name);
/* The certificate names exactly these DNS names, in any order. */
bool x509_names_are(const char *cert_pem, const char *const *names, size_t name_count);

/* One text of PEM may hold several certificates: what clients trust while a CA is replaced. */
enum { X509_BUNDLE_MAX = 16 };

struct x509_bundle {
    const char **certs; /* each as PEM of its own */
    int64_t *not_after_ms;
    size_t count;
};

/* What cannot be read ends the list; more than X509_BUNDLE_MAX are left out. */
struct x509_bundle x509_bundle(struct arena *arena, const char *pem);
bool x509_bundle_has(const struct x509_bundle *bundle, const char *cert_pem);
