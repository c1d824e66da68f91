#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK_BYTES = 4096, LARGEST_BLOCK_BYTES = 256 * 1024 };

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(max_align_t) unsigned char data[];
};

struct deferred {
    struct deferred *next;
    void (*destroy)(void *thing);
    void *thing;
};

struct arena {
    struct block *blocks; /* the newest first; only it is filled */
    struct deferred *deferred;
    size_t next_block_bytes, handed_out;
};

static void *or_die(void *memory, size_t size)
{
    if (memory == NULL) {
        fprintf(stderr, "pgkeel: out of memory asking for %zu bytes\n", size);
        abort();
    }
    return memory;
}

void *xcalloc(size_t count, size_t size)
{
    return or_die(calloc(count ? count : 1, size ? size : 1), count * size);
}

void *xrealloc(void *old, size_t size)
{
    return or_die(realloc(old, size ? size : 1), size);
}

char *xstrdup(const char *text)
{
    return or_die(strdup(text), strlen(text) + 1);
}

struct arena *arena_new(void)
{
    struct arena *arena = xcalloc(1, sizeof *arena);
    arena->next_block_bytes = FIRST_BLOCK_BYTES;
    return arena;
}

void arena_free(struct arena *arena)
{
    if (arena == NULL)
        return;
    for (struct deferred *d = arena->deferred; d != NULL; d = d->next)
        d->destroy(d->thing);
    for (struct block *block = arena->blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

static size_t round_up(size_t size)
{
    const size_t align = _Alignof(max_align_t);
    return (size + align - 1) / align * align;
}

static struct block *add_block(struct arena *arena, size_t at_least)
{
    size_t size = arena->next_block_bytes;
    if (size < at_least)
        size = at_least;
    if (arena->next_block_bytes < LARGEST_BLOCK_BYTES)
        arena->next_block_bytes *= 2;
    struct block *block = or_die(malloc(sizeof *block + size), size);
    block->size = size;
    block->used = 0;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        or_die(NULL, size);
    size_t rounded = round_up(size ? size : 1);
    struct block *block = arena->blocks;
    if (block == NULL || block->size - block->used < rounded)
        block = add_block(arena, rounded);
    void *memory = block->data + block->used;
    block->used += rounded;
    arena->handed_out += rounded;
    return memset(memory, 0, rounded);
}

void *arena_grow(struct arena *arena, void *old, size_t old_size, size_t new_size)
{
    struct block *block = arena->blocks;
    size_t old_rounded = round_up(old_size ? old_size : 1);
    size_t new_rounded = round_up(new_size ? new_size : 1);
    if (old != NULL && new_rounded <= old_rounded)
        return old;
    if (old != NULL && (unsigned char *)old + old_rounded == block->data + block->used &&
        block->size - block->used >= new_rounded - old_rounded) {
        memset(block->data + block->used, 0, new_rounded - old_rounded);
        block->used += new_rounded - old_rounded;
        arena->handed_out += new_rounded - old_rounded;
        return old;
    }
    void *grown = arena_alloc(arena, new_size);
    return old == NULL ? grown : memcpy(grown, old, old_size);
}

void *arena_room(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
    enum { FIRST = 8 };
    if (count < *capacity)
        return items;
    *capacity = *capacity ? *capacity * 2 : FIRST;
    return arena_grow(arena, items, count * size, *capacity * size);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    size_t have = strnlen(text, length);
    return memcpy(arena_alloc(arena, have + 1), text, have);
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, args);
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

void arena_defer(struct arena *arena, void (*destroy)(void *thing), void *thing)
{
    struct deferred *d = arena_alloc(arena, sizeof *d);
    *d = (struct deferred){arena->deferred, destroy, thing};
    arena->deferred = d;
}

size_t arena_used_bytes(const struct arena *arena)
{
    return arena->handed_out;
}
