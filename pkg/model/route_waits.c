/* What leads Service -rw elsewhere than to the primary, beside the slice that its agent writes. */
#include "model/internal.h"

#include "api/names.h"

static const struct seen_object *find_service(const struct snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->object_count; i++)
        if (text_same(snapshot->objects[i].kind, "Service") &&
            text_same(snapshot->objects[i].name, name))
            return &snapshot->objects[i];
    return NULL;
}

void route_waits(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    const char *name = name_child(work->arena, text_or_empty(snapshot->spec.name), "rw");
    const struct seen_object *service = find_service(snapshot, name);
    const char *found = "";
    if (service != NULL && text_given(service->foreign))
        found = arena_printf(work->arena, "somebody added %s to the Service", service->foreign);
    for (size_t i = 0; i < snapshot->stray_count; i++)
        found = arena_printf(work->arena, "%s%s%s '%s' is not pgkeel's", found, *found ? "; " : "",
                             snapshot->strays[i].kind, snapshot->strays[i].name);
    if (*found == '\0' || work->frozen)
        return;
    struct model_wait *wait = wait_add(work, CONCERN_PRIMARY, REASON_ENDPOINT_FOREIGN,
                                       "Service '%s' leads only to the primary", name);
    wait_say(work, wait, "%s; new connections may reach another server until it is removed", found);
    wait_fault(wait, false);
}
