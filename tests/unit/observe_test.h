/* What the tests of observe share: caches fed by hand, and the changes they told. */
#pragma once

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "observe/internal.h"

struct world {
    struct arena *arena;
    struct observe *observe;
    int changes;
    char last[128]; /* "n/a" */
};

static inline void note_change(void *arg, const char *namespace, const char *name)
{
    struct world *w = arg;
    w->changes++;
    snprintf(w->last, sizeof w->last, "%s/%s", namespace, name);
}

static inline int make_world(void **state)
{
    struct arena *arena = arena_new();
    struct world *w = arena_alloc(arena, sizeof *w);
    w->arena = arena;
    w->observe = observe_new(&(struct observe_options){.changed = note_change, .arg = w});
    *state = w;
    return 0;
}

static inline int drop_world(void **state)
{
    struct world *w = *state;
    observe_free(w->observe);
    arena_free(w->arena);
    return 0;
}

static inline struct feed *feed_of(struct world *w, int kind)
{
    return &w->observe->feeds[kind + 1];
}

static inline cJSON *parse(struct world *w, const char *json)
{
    struct error err = {0};
    cJSON *tree = NULL;
    if (json_parse(w->arena, json, strlen(json), &tree, &err) < 0)
        fail_msg("%s in %s", err.text, json);
    return tree;
}

/* An object of cluster 'a' in namespace 'n'; `rest` is further members, e.g. ",\"spec\":{}". */
static inline cJSON *object(struct world *w, const char *name, const char *uid, int version,
                            const char *annotations, const char *rest)
{
    return parse(w,
                 arena_printf(w->arena,
                              "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"n\",\"uid\":\"%s\","
                              "\"resourceVersion\":\"%d\",\"creationTimestamp\":"
                              "\"2026-03-01T12:00:00Z\",\"labels\":{\"" LABEL_CLUSTER
                              "\":\"a\",\"controller-revision-hash\":\"rev-1\"},"
                              "\"annotations\":{%s}}%s}",
                              name, uid, version, annotations, rest));
}

static inline void see(struct world *w, int kind, const cJSON *seen)
{
    if (kind < 0)
        clusters_upsert(w->observe, feed_of(w, kind), seen, false);
    else
        cache_upsert(w->observe, feed_of(w, kind), kind, seen, false);
}

static inline const struct record *kept(struct world *w, int kind, const char *name)
{
    return cache_find(w->observe, kind, "n", name);
}
