/* What earlier statements did, by name: a hash table whose entries know their transaction. */
#include "lint/internal.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    char *key; /* kind, then name; NULL is free */
    char *value;
    struct lint_memory_entry entry;
};

struct lint_memory {
    struct slot *slots;
    size_t count, capacity; /* a power of two */
    size_t *journal;        /* slots put in the newest transaction */
    size_t journal_count, journal_capacity;
    int journal_transaction;
    bool kinds[128];
};

struct lint_memory *lint_memory_new(void)
{
    struct lint_memory *memory = xcalloc(1, sizeof *memory);
    memory->capacity = 64;
    memory->slots = xcalloc(memory->capacity, sizeof *memory->slots);
    return memory;
}

void lint_memory_free(struct lint_memory *memory)
{
    if (memory == NULL)
        return;
    for (size_t i = 0; i < memory->capacity; i++) {
        free(memory->slots[i].key);
        free(memory->slots[i].value);
    }
    free(memory->slots);
    free(memory->journal);
    free(memory);
}

static uint64_t hash_of(int kind, const char *key)
{
    uint64_t hash = 1469598103934665603u ^ (uint64_t)kind;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return hash ^ (hash >> 29);
}

static size_t find(const struct lint_memory *memory, int kind, const char *key)
{
    size_t mask = memory->capacity - 1, i = hash_of(kind, key) & mask;
    for (; memory->slots[i].key; i = (i + 1) & mask)
        if (memory->slots[i].key[0] == kind && strcmp(memory->slots[i].key + 1, key) == 0)
            break;
    return i;
}

static void grow(struct lint_memory *memory)
{
    struct slot *old = memory->slots;
    size_t old_capacity = memory->capacity;
    memory->capacity *= 2;
    memory->slots = xcalloc(memory->capacity, sizeof *memory->slots);
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].key)
            memory->slots[find(memory, old[i].key[0], old[i].key + 1)] = old[i];
    free(old);
    memory->journal_count = 0; /* the slots that it names have moved */
    for (size_t i = 0; i < memory->capacity; i++)
        if (memory->slots[i].key &&
            memory->slots[i].entry.transaction == memory->journal_transaction)
            memory->journal_count++;
    memory->journal_capacity = memory->journal_count + 16;
    memory->journal = xrealloc(memory->journal, memory->journal_capacity * sizeof *memory->journal);
    for (size_t i = 0, n = 0; i < memory->capacity; i++)
        if (memory->slots[i].key &&
            memory->slots[i].entry.transaction == memory->journal_transaction)
            memory->journal[n++] = i;
}

static void note(struct lint_memory *memory, size_t slot, int transaction)
{
    if (memory->journal_transaction != transaction) {
        memory->journal_transaction = transaction;
        memory->journal_count = 0;
    }
    if (memory->journal_count == memory->journal_capacity) {
        memory->journal_capacity = memory->journal_capacity ? memory->journal_capacity * 2 : 16;
        memory->journal =
            xrealloc(memory->journal, memory->journal_capacity * sizeof *memory->journal);
    }
    memory->journal[memory->journal_count++] = slot;
}

/* An entry that was put again belongs to the newer transaction: rolling that back forgets it. */
void lint_memory_put(struct lint_memory *memory, int kind, const char *key, const char *value,
                     int transaction, int line)
{
    if (memory->count * 2 >= memory->capacity)
        grow(memory);
    memory->kinds[kind] = true;
    size_t i = find(memory, kind, key);
    struct slot *slot = &memory->slots[i];
    if (slot->key == NULL) {
        size_t length = strlen(key);
        slot->key = xcalloc(length + 2, 1);
        slot->key[0] = (char)kind;
        memcpy(slot->key + 1, key, length);
        memory->count++;
    }
    free(slot->value);
    slot->value = value ? xstrdup(value) : NULL;
    slot->entry = (struct lint_memory_entry){transaction, line, slot->value, true};
    note(memory, i, transaction);
}

void lint_memory_drop(struct lint_memory *memory, int kind, const char *key)
{
    size_t i = find(memory, kind, key);
    if (memory->slots[i].key)
        memory->slots[i].entry.alive = false;
}

const struct lint_memory_entry *lint_memory_get(const struct lint_memory *memory, int kind,
                                                const char *key)
{
    const struct slot *slot = &memory->slots[find(memory, kind, key)];
    return slot->key && slot->entry.alive ? &slot->entry : NULL;
}

void lint_memory_rollback(struct lint_memory *memory, int transaction)
{
    if (memory->journal_transaction != transaction)
        return;
    for (size_t i = 0; i < memory->journal_count; i++)
        memory->slots[memory->journal[i]].entry.alive = false;
    memory->journal_count = 0;
}

bool lint_memory_has(const struct lint_memory *memory, int kind)
{
    return memory->kinds[kind];
}
