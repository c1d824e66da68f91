#include "credentials/x509.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "credentials/secret.h"

#define DAY_MS         (24 * 3600 * INT64_C(1000))
#define CA_LIFE_MS     (3653 * DAY_MS)
#define SERVER_LIFE_MS (90 * DAY_MS)
/* Clocks of nodes differ a little: a certificate that begins now is refused by one that is behind.
 */
#define BACKDATE_MS (5 * 60 * INT64_C(1000))

static void free_cert(X509 **cert)
{
    X509_free(*cert);
}

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void free_bio(BIO **bio)
{
    BIO_free_all(*bio);
}

#define AUTO_X509 __attribute__((cleanup(free_cert))) X509 *
#define AUTO_PKEY __attribute__((cleanup(free_key))) EVP_PKEY *
#define AUTO_BIO  __attribute__((cleanup(free_bio))) BIO *

static ERR_CHECKED int openssl_failed(struct error *err, const char *what)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return err_set(err, ERR_INTERNAL, "%s: %s", what, text);
}

/* There is no one to ask for a passphrase: an encrypted key cannot be used. */
static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
    (void)buffer, (void)size, (void)writing, (void)arg;
    return -1;
}

static X509 *cert_of(const char *pem)
{
    AUTO_BIO bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    ERR_clear_error();
    return cert;
}

static EVP_PKEY *key_of(const char *pem)
{
    AUTO_BIO bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    ERR_clear_error();
    return key;
}

static char *text_of_bio(struct arena *arena, BIO *bio)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);
    return arena_strndup(arena, data, (size_t)length);
}

static const char *pem_of_cert(struct arena *arena, X509 *cert)
{
    AUTO_BIO bio = BIO_new(BIO_s_mem());
    return bio && PEM_write_bio_X509(bio, cert) == 1 ? text_of_bio(arena, bio) : NULL;
}

static const char *pem_of_key(struct arena *arena, EVP_PKEY *key)
{
    AUTO_BIO bio = BIO_new(BIO_s_secmem());
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return NULL;
    char *text = text_of_bio(arena, bio);
    secret_wipe_later(arena, text, strlen(text));
    return text;
}

static int64_t ms_of(const ASN1_TIME *when)
{
    struct tm tm;
    return ASN1_TIME_to_tm(when, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static void read_life(X509 *cert, struct x509_pair *ret_pair)
{
    ret_pair->not_before_ms = ms_of(X509_get0_notBefore(cert));
    ret_pair->not_after_ms = ms_of(X509_get0_notAfter(cert));
}

/* 127 random bits: positive, and within the 20 octets that RFC 5280 allows. */
static bool set_serial(X509 *cert, struct x509_random random)
{
    unsigned char bytes[16];
    random.fill(random.arg, bytes, sizeof bytes);
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return done;
}

static bool set_life(X509 *cert, int64_t now_ms, int64_t end_ms)
{
    return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)((now_ms - BACKDATE_MS) / 1000)) &&
           ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(end_ms / 1000));
}

static bool set_subject(X509 *cert, const struct x509_subject *subject)
{
    X509_NAME *name = X509_get_subject_name(cert);
    const unsigned char *organisation = (const unsigned char *)subject->organisation;
    const unsigned char *common_name = (const unsigned char *)subject->common_name;
    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, organisation, -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, common_name, -1, -1, 0) == 1;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool done = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

/* Everything that CA and server certificates have in common; the caller adds extensions and signs.
 */
static X509 *begin_cert(const struct x509_subject *subject, EVP_PKEY *key, int64_t now_ms,
                        int64_t end_ms, struct x509_random random)
{
    X509 *cert = X509_new();
    if (cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert, random) &&
        set_life(cert, now_ms, end_ms) && set_subject(cert, subject) &&
        X509_set_pubkey(cert, key) == 1)
        return cert;
    X509_free(cert);
    return NULL;
}

/* With pathlen:0 it can sign servers, but no other CA. */
int x509_make_ca(struct arena *arena, const struct x509_subject *subject, const char *key_pem,
                 int64_t now_ms, struct x509_random random, struct x509_pair *ret_pair,
                 struct error *err)
{
    AUTO_PKEY key = key_pem ? key_of(key_pem) : EVP_EC_gen("P-256");
    AUTO_X509 cert = key ? begin_cert(subject, key, now_ms, now_ms + CA_LIFE_MS, random) : NULL;
    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        !add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(cert, cert, NID_subject_key_identifier, "hash") ||
        X509_sign(cert, key, EVP_sha256()) == 0)
        return openssl_failed(err, "create the cluster's CA");
    struct x509_pair pair = {.cert_pem = pem_of_cert(arena, cert),
                             .key_pem = pem_of_key(arena, key)};
    if (!pair.cert_pem || !pair.key_pem)
        return openssl_failed(err, "write the cluster's CA as PEM");
    read_life(cert, &pair);
    *ret_pair = pair;
    return 0;
}

/* Name and text belong to the list once they are in it; what did not get there is freed here. */
static bool add_names(X509 *cert, const char *const *names, size_t count)
{
    GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
    bool done = list != NULL;
    for (size_t i = 0; done && i < count; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();
        done = name && text && ASN1_STRING_set(text, names[i], -1) == 1 &&
               sk_GENERAL_NAME_push(list, name) > 0;
        if (done) {
            GENERAL_NAME_set0_value(name, GEN_DNS, text);
        } else {
            GENERAL_NAME_free(name);
            ASN1_IA5STRING_free(text);
        }
    }
    done = done && X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, 0) == 1;
    GENERAL_NAMES_free(list);
    return done;
}

/* The key is new each time. The certificate is good for nothing but a server: it neither signs
 * others nor proves who a client is. */
int x509_issue(struct arena *arena, const struct x509_pair *ca, const struct x509_subject *subject,
               const char *const *names, size_t name_count, int64_t now_ms,
               struct x509_random random, struct x509_pair *ret_pair, struct error *err)
{
    AUTO_X509 ca_cert = cert_of(ca->cert_pem);
    AUTO_PKEY ca_key = key_of(ca->key_pem);
    AUTO_PKEY key = EVP_EC_gen("P-256");
    int64_t end_ms = x509_would_last_ms(ca, now_ms);
    AUTO_X509 cert =
        ca_cert && ca_key && key ? begin_cert(subject, key, now_ms, end_ms, random) : NULL;
    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(ca_cert)) != 1 ||
        !add_extension(cert, ca_cert, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(cert, ca_cert, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(cert, ca_cert, NID_ext_key_usage, "serverAuth") ||
        !add_extension(cert, ca_cert, NID_subject_key_identifier, "hash") ||
        !add_extension(cert, ca_cert, NID_authority_key_identifier, "keyid") ||
        !add_names(cert, names, name_count) || X509_sign(cert, ca_key, EVP_sha256()) == 0)
        return openssl_failed(err, "issue the server certificate");
    struct x509_pair pair = {.cert_pem = pem_of_cert(arena, cert),
                             .key_pem = pem_of_key(arena, key)};
    if (!pair.cert_pem || !pair.key_pem)
        return openssl_failed(err, "write the server certificate as PEM");
    read_life(cert, &pair);
    *ret_pair = pair;
    return 0;
}

/* A key with a passphrase counts as unreadable: there is nothing that could be asked for it. */
int x509_read(const char *cert_pem, const char *key_pem, struct x509_pair *ret_pair,
              struct error *err)
{
    AUTO_X509 cert = cert_of(cert_pem);
    if (!cert)
        return err_set(err, ERR_INVALID, "the certificate is not PEM");
    AUTO_PKEY key = key_of(key_pem);
    if (!key)
        return err_set(err, ERR_INVALID, "the private key is not PEM without a passphrase");
    if (X509_check_private_key(cert, key) != 1) {
        ERR_clear_error();
        return err_set(err, ERR_INVALID, "the private key does not belong to the certificate");
    }
    struct x509_pair pair = {.cert_pem = cert_pem, .key_pem = key_pem};
    read_life(cert, &pair);
    *ret_pair = pair;
    return 0;
}

int64_t x509_renew_ms(const struct x509_pair *pair)
{
    return pair->not_before_ms + (pair->not_after_ms - pair->not_before_ms) / 3 * 2;
}

bool x509_signed_by(const char *cert_pem, const char *ca_pem)
{
    AUTO_X509 cert = cert_of(cert_pem);
    AUTO_X509 ca = cert_of(ca_pem);
    bool is = cert && ca && X509_verify(cert, X509_get0_pubkey(ca)) == 1 &&
              X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(ca)) == 0;
    ERR_clear_error();
    return is;
}

int64_t x509_would_last_ms(const struct x509_pair *ca, int64_t now_ms)
{
    int64_t end_ms = (now_ms + SERVER_LIFE_MS) / 1000 * 1000;
    return end_ms < ca->not_after_ms ? end_ms : ca->not_after_ms;
}

const char *x509_fingerprint(struct arena *arena, const char *cert_pem)
{
    AUTO_X509 cert = cert_of(cert_pem);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!cert || X509_digest(cert, EVP_sha256(), digest, &length) != 1)
        return "";
    char *text = arena_alloc(arena, 2 * (size_t)length + 1);
    for (unsigned i = 0; i < length; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
    return text;
}

bool x509_may_sign(const char *cert_pem)
{
    AUTO_X509 cert = cert_of(cert_pem);
    bool may = cert && X509_check_ca(cert) != 0;
    ERR_clear_error();
    return may;
}

bool x509_serves(const char *cert_pem, const char *name)
{
    AUTO_X509 cert = cert_of(cert_pem);
    bool serves = cert && X509_check_host(cert, name, strlen(name), 0, NULL) == 1;
    ERR_clear_error();
    return serves;
}

static void free_certs(STACK_OF(X509) * *certs)
{
    sk_X509_pop_free(*certs, X509_free);
}

static void free_store(X509_STORE **store)
{
    X509_STORE_free(*store);
}

static void free_context(X509_STORE_CTX **context)
{
    X509_STORE_CTX_free(*context);
}

#define AUTO_CERTS   __attribute__((cleanup(free_certs))) STACK_OF(X509) *
#define AUTO_STORE   __attribute__((cleanup(free_store))) X509_STORE *
#define AUTO_CONTEXT __attribute__((cleanup(free_context))) X509_STORE_CTX *

/* Every certificate up to the first thing that is not one. */
static STACK_OF(X509) * certs_of(const char *pem)
{
    AUTO_BIO bio = BIO_new_mem_buf(pem, -1);
    STACK_OF(X509) *certs = sk_X509_new_null();
    X509 *cert;
    while (bio && certs && sk_X509_num(certs) < X509_BUNDLE_MAX &&
           (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
        if (sk_X509_push(certs, cert) <= 0)
            X509_free(cert);
    ERR_clear_error();
    return certs;
}

int x509_chain_holds(const char *cert_pem, const char *ca_pem, struct error *err)
{
    AUTO_CERTS chain = certs_of(cert_pem);
    AUTO_CERTS anchors = certs_of(ca_pem);
    AUTO_STORE store = X509_STORE_new();
    AUTO_CONTEXT context = X509_STORE_CTX_new();
    if (!chain || !anchors || !store || !context)
        return openssl_failed(err, "prepare to verify a certificate");
    for (int i = 0; i < sk_X509_num(anchors); i++)
        (void)X509_STORE_add_cert(store, sk_X509_value(anchors, i)); /* one twice is no fault */
    ERR_clear_error();
    if (X509_STORE_CTX_init(context, store, sk_X509_value(chain, 0), chain) != 1 ||
        X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER) != 1)
        return openssl_failed(err, "prepare to verify a certificate");
    X509_STORE_CTX_set_flags(context, X509_V_FLAG_NO_CHECK_TIME);
    bool holds = X509_verify_cert(context) == 1;
    ERR_clear_error();
    if (holds)
        return 0;
    int why = X509_STORE_CTX_get_error(context);
    return err_set(err, ERR_INVALID, "%s", X509_verify_cert_error_string(why));
}

/* A certificate that cannot be written back as PEM is left out. */
struct x509_bundle x509_bundle(struct arena *arena, const char *pem)
{
    AUTO_CERTS certs = certs_of(pem);
    struct x509_bundle bundle = {
        .certs = arena_alloc(arena, X509_BUNDLE_MAX * sizeof *bundle.certs),
        .not_after_ms = arena_alloc(arena, X509_BUNDLE_MAX * sizeof *bundle.not_after_ms),
    };
    for (int i = 0; certs && i < sk_X509_num(certs); i++) {
        X509 *cert = sk_X509_value(certs, i);
        const char *text = pem_of_cert(arena, cert);
        if (text == NULL)
            continue;
        bundle.certs[bundle.count] = text;
        bundle.not_after_ms[bundle.count++] = ms_of(X509_get0_notAfter(cert));
    }
    return bundle;
}

bool x509_bundle_has(const struct x509_bundle *bundle, const char *cert_pem)
{
    AUTO_X509 wanted = cert_of(cert_pem);
    for (size_t i = 0; wanted && i < bundle->count; i++) {
        AUTO_X509 cert = cert_of(bundle->certs[i]);
        if (cert && X509_cmp(cert, wanted) == 0)
            return true;
    }
    return false;
}

static bool holds(const GENERAL_NAMES *list, const char *name)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
        int type;
        const ASN1_STRING *text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(list, i), &type);
        if (type == GEN_DNS && (size_t)ASN1_STRING_length(text) == strlen(name) &&
            memcmp(ASN1_STRING_get0_data(text), name, strlen(name)) == 0)
            return true;
    }
    return false;
}

bool x509_names_are(const char *cert_pem, const char *const *names, size_t name_count)
{
    AUTO_X509 cert = cert_of(cert_pem);
    GENERAL_NAMES *list = cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;
    bool same = list && (size_t)sk_GENERAL_NAME_num(list) == name_count;
    for (size_t i = 0; same && i < name_count; i++)
        same = holds(list, names[i]);
    GENERAL_NAMES_free(list);
    return same;
}
