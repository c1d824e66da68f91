/*
 * What happens next in a simulation: drawn by a seed, or, for exhaustive runs, each of the possible
 * choices in turn (the first `depth` of a run; 0 from there on).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "test.h"

enum { CHOICE_DEPTH_MAX = 64 };

struct choice {
    uint64_t random; /* 0: exhaustive */
    int depth, made;
    uint32_t taken[CHOICE_DEPTH_MAX], of[CHOICE_DEPTH_MAX];
    char text[400];
};

static inline struct choice choice_by_seed(uint64_t seed)
{
    return (struct choice){.random = seed * 0x9E3779B97F4A7C15u + 1};
}

static inline struct choice choice_of_all(int depth)
{
    return (struct choice){.depth = depth < CHOICE_DEPTH_MAX ? depth : CHOICE_DEPTH_MAX};
}

static inline uint32_t choice_below(struct choice *choice, uint32_t below)
{
    if (choice->random != 0) {
        choice->random ^= choice->random << 13;
        choice->random ^= choice->random >> 7;
        choice->random ^= choice->random << 17;
        return (uint32_t)(choice->random >> 33) % below;
    }
    if (choice->made >= choice->depth)
        return 0;
    choice->of[choice->made] = below;
    return choice->taken[choice->made++];
}

/* One of several kinds of things, which a seed draws by weight. */
static inline uint32_t choice_of(struct choice *choice, const uint32_t *weights, uint32_t count)
{
    uint32_t sum = 0, at = 0;
    if (choice->random == 0)
        return choice_below(choice, count);
    for (uint32_t i = 0; i < count; i++)
        sum += weights[i];
    for (uint32_t drawn = choice_below(choice, sum); drawn >= weights[at]; at++)
        drawn -= weights[at];
    return at;
}

/* To the next run of an exhaustive exploration; false when all were made. */
static inline bool choice_next(struct choice *choice)
{
    int at = choice->made - 1;
    while (at >= 0 && choice->taken[at] + 1 >= choice->of[at])
        at--;
    if (at < 0)
        return false;
    choice->taken[at]++;
    for (int i = at + 1; i < CHOICE_DEPTH_MAX; i++)
        choice->taken[i] = 0;
    choice->made = 0;
    return true;
}

static inline const char *choice_text(struct choice *choice)
{
    size_t used = 0;
    choice->text[0] = '\0';
    for (int i = 0; i < choice->made && used < sizeof choice->text - 8; i++)
        used += (size_t)snprintf(choice->text + used, sizeof choice->text - used, "%u ",
                                 choice->taken[i]);
    return choice->text;
}

/* PGKEEL_SEED=N begins with that one. */
static inline uint64_t choice_first_seed(void)
{
    const char *seed = getenv("PGKEEL_SEED");
    return seed != NULL && *seed ? strtoull(seed, NULL, 10) : 1;
}

/* PGKEEL_SEEDS=N: so many of them, instead of `seeds`. */
static inline uint64_t choice_seeds(uint64_t seeds)
{
    const char *wanted = getenv("PGKEEL_SEEDS");
    return wanted != NULL && *wanted ? strtoull(wanted, NULL, 10) : seeds;
}

/* PGKEEL_DEEPER=N: so many choices more. */
static inline int choice_depth(int depth)
{
    const char *deeper = getenv("PGKEEL_DEEPER");
    return deeper != NULL && *deeper ? depth + (int)strtol(deeper, NULL, 10) : depth;
}
