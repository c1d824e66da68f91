/* A growable byte buffer with a NUL after its last byte. The zero value is empty. */
#pragma once

#include <stddef.h>

struct buffer {
    char *data; /* NULL until the first append */
    size_t length, capacity;
};

void buffer_append(struct buffer *buffer, const void *data, size_t length);
void buffer_puts(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Drops the first `count` bytes. */
void buffer_consume(struct buffer *buffer, size_t count);
/* Never NULL. */
const char *buffer_text(const struct buffer *buffer);
void buffer_free(struct buffer *buffer);
#define AUTO_BUFFER __attribute__((cleanup(buffer_free))) struct buffer
