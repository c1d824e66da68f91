#include "base/hash.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

static void or_die(bool done)
{
    if (done)
        return;
    fprintf(stderr, "pgkeel: libcrypto cannot compute a hash; is the machine out of memory?\n");
    abort();
}

void hash_sha256(const void *data, size_t length, unsigned char ret_digest[HASH_SHA256_BYTES])
{
    or_die(EVP_Digest(data, length, ret_digest, NULL, EVP_sha256(), NULL) == 1);
}

void hash_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                      unsigned char ret_digest[HASH_SHA256_BYTES])
{
    or_die(HMAC(EVP_sha256(), key, (int)key_length, data, length, ret_digest, NULL) != NULL);
}

char *hash_hex(struct arena *arena, const void *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    char *text = arena_alloc(arena, 2 * length + 1);
    for (size_t i = 0; i < length; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return text;
}

char *hash_hex16(struct arena *arena, const void *data, size_t length)
{
    unsigned char digest[HASH_SHA256_BYTES];
    hash_sha256(data, length, digest);
    return hash_hex(arena, digest, 8);
}

char *hash_base64(struct arena *arena, const void *data, size_t length)
{
    char *text = arena_alloc(arena, (length + 2) / 3 * 4 + 1);
    EVP_EncodeBlock((unsigned char *)text, data, (int)length);
    return text;
}

/* Checked here because libcrypto reads '=' as zero anywhere, and ignores white space at both
 * ends. */
static bool is_base64(const char *text, size_t length, size_t padding)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return length % 4 == 0 && padding <= 2 && strspn(text, alphabet) == length - padding;
}

char *hash_unbase64(struct arena *arena, const char *text, size_t *ret_length)
{
    size_t length = strlen(text), padding = 0;
    while (padding < length && text[length - 1 - padding] == '=')
        padding++;
    if (!is_base64(text, length, padding))
        return NULL;
    unsigned char *data = arena_alloc(arena, length / 4 * 3 + 1);
    int decoded = EVP_DecodeBlock(data, (const unsigned char *)text, (int)length);
    if (decoded < 0)
        return NULL;
    *ret_length = (size_t)decoded - padding;
    data[*ret_length] = '\0';
    return (char *)data;
}
