/* SHA-256 (OpenSSL) in the forms that the rooms need. */
#pragma once

#include <stddef.h>

#include "base/arena.h"

/* The first 16 hex characters of SHA-256: a name for a content, short enough for annotations. */
char *hash_hex16(struct arena *arena, const void *data, size_t length);
/* Base64 without line breaks, as Secret.data wants it. */
char *hash_base64(struct arena *arena, const void *data, size_t length);
/* Decodes base64; NULL when it is not base64. The result is NUL-terminated behind ret_length. */
char *hash_unbase64(struct arena *arena, const char *text, size_t *ret_length);
