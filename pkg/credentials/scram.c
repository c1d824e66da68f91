#include "credentials/credentials.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/hash.h"

enum {
    ITERATIONS = 4096,
    KEY_BYTES = HASH_SHA256_BYTES,
    SALT_MAX_BYTES = 64,
    ITERATIONS_MAX = 1000000,
};

struct keys {
    unsigned char stored[KEY_BYTES], server[KEY_BYTES];
};

/* RFC 5802, section 3: StoredKey = H(HMAC(SaltedPassword, "Client Key")), ServerKey likewise. */
static bool derive(const char *password, const unsigned char *salt, size_t salt_length,
                   int iterations, struct keys *ret_keys)
{
    unsigned char salted[KEY_BYTES], client[KEY_BYTES];
    if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, (int)salt_length, iterations,
                          EVP_sha256(), KEY_BYTES, salted) != 1)
        return false;
    hash_hmac_sha256(salted, KEY_BYTES, "Client Key", 10, client);
    hash_sha256(client, KEY_BYTES, ret_keys->stored);
    hash_hmac_sha256(salted, KEY_BYTES, "Server Key", 10, ret_keys->server);
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client, sizeof client);
    return true;
}

int credentials_password_usable(const char *password, struct error *err)
{
    if (*password == '\0')
        return err_set_reason(err, ERR_INVALID, "PasswordInvalid", "the password is empty");
    for (const char *p = password; *p; p++)
        if (*p == '\n' || *p == '\r')
            return err_set_reason(err, ERR_INVALID, "PasswordInvalid",
                                  "the password contains a line break: write it without one, e.g. "
                                  "with printf %%s instead of echo");
        else if (*p < 0x20 || *p > 0x7e)
            return err_set_reason(err, ERR_INVALID, "PasswordInvalid",
                                  "the password contains characters other than printable ASCII, "
                                  "which clients normalise differently: use ASCII only");
    return 0;
}

int credentials_scram(struct arena *arena, const char *password, const unsigned char salt[16],
                      char **ret_verifier, struct error *err)
{
    struct keys keys;
    if (credentials_password_usable(password, err) < 0)
        return err->class;
    if (!derive(password, salt, 16, ITERATIONS, &keys))
        return err_set(err, ERR_INTERNAL, "OpenSSL cannot derive SCRAM-SHA-256 keys");
    *ret_verifier = arena_printf(
        arena, "SCRAM-SHA-256$%d:%s$%s:%s", ITERATIONS, hash_base64(arena, salt, 16),
        hash_base64(arena, keys.stored, KEY_BYTES), hash_base64(arena, keys.server, KEY_BYTES));
    return 0;
}

/* The verifier's parts: iterations, salt, StoredKey, ServerKey. False when it is none. */
static bool take_apart(struct arena *arena, const char *verifier, int *ret_iterations,
                       unsigned char **ret_salt, size_t *ret_salt_length, struct keys *ret_keys)
{
    char salt[128], stored[64], server[64];
    int iterations = 0, end = 0;
    if (sscanf(verifier, "SCRAM-SHA-256$%7d:%127[^$]$%63[^:]:%63s%n", &iterations, salt, stored,
               server, &end) != 4 ||
        verifier[end] != '\0' || iterations < 1 || iterations > ITERATIONS_MAX)
        return false;
    size_t salt_length = 0, stored_length = 0, server_length = 0;
    char *salt_bytes = hash_unbase64(arena, salt, &salt_length);
    char *stored_bytes = hash_unbase64(arena, stored, &stored_length);
    char *server_bytes = hash_unbase64(arena, server, &server_length);
    if (salt_bytes == NULL || salt_length == 0 || salt_length > SALT_MAX_BYTES ||
        stored_bytes == NULL || stored_length != KEY_BYTES || server_bytes == NULL ||
        server_length != KEY_BYTES)
        return false;
    *ret_iterations = iterations;
    *ret_salt = (unsigned char *)salt_bytes;
    *ret_salt_length = salt_length;
    memcpy(ret_keys->stored, stored_bytes, KEY_BYTES);
    memcpy(ret_keys->server, server_bytes, KEY_BYTES);
    return true;
}

bool credentials_scram_matches(const char *verifier, const char *password)
{
    AUTO_ARENA arena = arena_new();
    int iterations;
    unsigned char *salt;
    size_t salt_length;
    struct keys wanted, got;
    return take_apart(arena, verifier, &iterations, &salt, &salt_length, &wanted) &&
           derive(password, salt, salt_length, iterations, &got) &&
           CRYPTO_memcmp(&wanted, &got, sizeof got) == 0;
}
