/* A CA and certificates made on the spot, for tests that speak TLS. */
#pragma once

#include "test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/arena.h"

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
    char *certificate_pem, *key_pem; /* of the arena */
};

static void free_identity(void *thing)
{
    struct identity *identity = thing;
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

static char *bio_text(struct arena *arena, BIO *bio)
{
    char *data;
    long length = BIO_get_mem_data(bio, &data);
    char *text = arena_strndup(arena, data, (size_t)length);
    BIO_free(bio);
    return text;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* names like "DNS:api.example,IP:127.0.0.1"; NULL makes a CA. issuer NULL: signed by itself. */
static struct identity *identity_new(struct arena *arena, const char *common_name,
                                     const char *names, const struct identity *issuer, long seconds)
{
    static long serial = 1;
    struct identity *made = arena_alloc(arena, sizeof *made);
    made->key = EVP_EC_gen("P-256");
    X509 *x = made->certificate = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), seconds);
    X509_set_pubkey(x, made->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509 *signer = issuer ? issuer->certificate : x;
    X509_set_issuer_name(x, X509_get_subject_name(signer));
    add_extension(x, signer, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
    if (names != NULL && names[0] != '\0')
        add_extension(x, signer, NID_subject_alt_name, names);
    assert_true(X509_sign(x, issuer ? issuer->key : made->key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, x);
    made->certificate_pem = bio_text(arena, bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, made->key, NULL, NULL, 0, NULL, NULL);
    made->key_pem = bio_text(arena, bio);
    arena_defer(arena, free_identity, made);
    return made;
}

/* A server's context; clients must show a certificate of client_ca unless it is NULL. */
static SSL_CTX *tls_server(const struct identity *identity, const struct identity *client_ca)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, identity->certificate);
    SSL_CTX_use_PrivateKey(context, identity->key);
    if (client_ca != NULL) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), client_ca->certificate);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return context;
}
