#include "api/snapshot.h"

#include "base/text.h"

const struct seen_object *snapshot_object(const struct snapshot *snapshot, const char *kind,
                                          const char *name)
{
    for (size_t i = 0; i < snapshot->object_count; i++)
        if (text_same(snapshot->objects[i].kind, kind) &&
            text_same(snapshot->objects[i].name, name))
            return &snapshot->objects[i];
    return NULL;
}
