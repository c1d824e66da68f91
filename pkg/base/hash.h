/* SHA-256, HMAC and base64 by libcrypto, in the forms that the rooms need. They fail only when
 * libcrypto has no memory; then the process ends, as everywhere (arena.h). */
#pragma once

#include <stddef.h>

#include "base/arena.h"

enum { HASH_SHA256_BYTES = 32 };

/* FIPS 180-4 */
void hash_sha256(const void *data, size_t length, unsigned char ret_digest[HASH_SHA256_BYTES]);
/* RFC 2104 with SHA-256 */
void hash_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                      unsigned char ret_digest[HASH_SHA256_BYTES]);
/* Two lower-case hex characters for each byte. */
char *hash_hex(struct arena *arena, const void *data, size_t length);
/* The first 16 hex characters of SHA-256: it identifies a content and is short enough for
 * annotations. */
char *hash_hex16(struct arena *arena, const void *data, size_t length);
/* RFC 4648, section 4, without line breaks, as in Secret.data. */
char *hash_base64(struct arena *arena, const void *data, size_t length);
/* Decodes base64; NULL unless the whole text is base64, without white space. The result has a NUL
 * after its ret_length bytes. */
char *hash_unbase64(struct arena *arena, const char *text, size_t *ret_length);
