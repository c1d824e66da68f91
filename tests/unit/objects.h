/* Wanted objects in miniature, and worlds that hold them as they were last applied. */
#pragma once

#include "world.h"

#include "plan/plan.h"

enum { OBJECTS_MAX = 64 };

struct objects {
    struct arena *arena;
    struct desired desired;
    cJSON *room[OBJECTS_MAX];
};

UNUSED static void objects_init(struct objects *objects, struct arena *arena)
{
    memset(objects, 0, sizeof *objects);
    objects->arena = arena;
    objects->desired.objects = objects->room;
}

UNUSED static cJSON *objects_add(struct objects *objects, const char *kind, const char *name)
{
    assert_true(objects->desired.count < OBJECTS_MAX);
    cJSON *object = json_object(objects->arena);
    json_set_str(object, "apiVersion", "v1");
    json_set_str(object, "kind", kind);
    cJSON *metadata = json_add_object(object, "metadata");
    json_set_str(metadata, "name", name);
    json_set_str(json_add_object(metadata, "labels"), LABEL_CLUSTER, "a");
    json_add_object(metadata, "annotations");
    objects->room[objects->desired.count++] = object;
    return object;
}

UNUSED static cJSON *objects_add_pvc(struct objects *objects, const char *name, const char *size)
{
    cJSON *object = objects_add(objects, "PersistentVolumeClaim", name);
    cJSON *requests =
        json_add_object(json_add_object(json_add_object(object, "spec"), "resources"), "requests");
    json_set_str(requests, "storage", size);
    return object;
}

/* The object is there as it is wanted, by an earlier pass. */
UNUSED static struct seen_object *objects_applied(struct objects *objects, struct world *world,
                                                  const cJSON *object)
{
    struct seen_object *seen =
        world_object(world, json_str(object, "kind", ""), json_str(object, "metadata.name", ""));
    seen->applied = json_hash(objects->arena, object);
    return seen;
}

UNUSED static struct plan *objects_plan(struct objects *objects, struct world *world)
{
    return plan_diff(objects->arena, world_model(world), &objects->desired);
}
