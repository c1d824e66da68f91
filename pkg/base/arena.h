/*
 * One arena per reconcile pass, request or file. A function that returns memory takes it as its
 * first parameter; nothing in it is freed singly. Foreign trees (cJSON, PGresult) register with it.
 * The process ends with a message when it is out of memory; limits on input prevent that.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
/* Runs the registered destructors, last first, then frees everything. NULL is fine. */
void arena_free(struct arena *arena);
/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);
/* Grows an array, in place if possible; old may be NULL. New space is zeroed. */
void *arena_grow(struct arena *arena, void *old, size_t old_size, size_t new_size);
/* Makes room for one more item behind `count` of that size: the array, in place if possible. A full
 * one doubles; *capacity is in items, 0 at first. */
void *arena_room(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args);
/* destroy(thing) is called by arena_free(). */
void arena_defer(struct arena *arena, void (*destroy)(void *thing), void *thing);
/* Bytes handed out, for tests and budgets. */
size_t arena_used_bytes(const struct arena *arena);

/* calloc and friends that end the process instead of returning NULL, for what outlives a pass. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);

static inline void arena_freep(struct arena **arena)
{
    arena_free(*arena);
}
#define AUTO_ARENA __attribute__((cleanup(arena_freep))) struct arena *
