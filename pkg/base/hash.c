#include "base/hash.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

char *hash_hex16(struct arena *arena, const void *data, size_t length)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_Digest(data, length, digest, NULL, EVP_sha256(), NULL);
    char *text = arena_alloc(arena, 17);
    for (int i = 0; i < 8; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

char *hash_base64(struct arena *arena, const void *data, size_t length)
{
    char *text = arena_alloc(arena, (length + 2) / 3 * 4 + 1);
    EVP_EncodeBlock((unsigned char *)text, data, (int)length);
    return text;
}

char *hash_unbase64(struct arena *arena, const char *text, size_t *ret_length)
{
    size_t length = strlen(text);
    if (length % 4 != 0)
        return NULL;
    unsigned char *data = arena_alloc(arena, length / 4 * 3 + 1);
    int decoded = EVP_DecodeBlock(data, (const unsigned char *)text, (int)length);
    if (decoded < 0)
        return NULL;
    size_t padding = length > 0 && text[length - 1] == '=' ? 1 : 0;
    if (padding == 1 && text[length - 2] == '=')
        padding = 2;
    *ret_length = (size_t)decoded - padding;
    data[*ret_length] = '\0';
    return (char *)data;
}
