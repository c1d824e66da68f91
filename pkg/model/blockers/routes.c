/* What leads the Services elsewhere than their selectors, or -rw elsewhere than the slice of the
 * primary's agent. */
#include "model/internal.h"

#include "api/names.h"

static const char *words_of(struct work *work, const char *suffix, const char *service)
{
    const struct snapshot *snapshot = work->snapshot;
    const struct seen_object *object =
        snapshot_object(snapshot, api_child_infos[CHILD_SERVICE].kind, service);
    const char *found = "";
    /* Fields that are added to the other Services are removed with only an Event: our selector
     * decides where these lead. */
    if (text_same(suffix, "rw") && object != NULL && text_given(object->foreign))
        found = arena_printf(work->arena, "somebody added %s to the Service", object->foreign);
    for (size_t i = 0; i < snapshot->stray_count; i++) {
        const struct seen_stray *stray = &snapshot->strays[i];
        if (text_same(stray->service, suffix))
            found = arena_printf(
                work->arena, "%s%s%s '%s' was not created by pgkeel%s", found, *found ? "; " : "",
                stray->kind, stray->name,
                stray->deleting ? " and is being deleted, but its finalizers hold it up" : "");
    }
    return found;
}

static void one_service(struct work *work, const char *suffix)
{
    const char *name = name_child(work->arena, text_or_empty(work->snapshot->spec.name), suffix);
    const char *found = words_of(work, suffix, name);
    bool primary = text_same(suffix, "rw");
    if (*found == '\0')
        return;
    struct model_blocker *blocker =
        blocker_add(work, primary ? AFFECTS_PRIMARY : AFFECTS_REPLICAS, REASON_ENDPOINT_FOREIGN,
                    primary ? "Service '%s' leads only to the primary"
                            : "Service '%s' leads only to the pods that it selects",
                    name);
    blocker_say(work, blocker, "%s%s; new connections may reach another server until %s", found,
                work->snapshot->strays_more ? "; there are more" : "",
                work->snapshot->strays_more ? "all of it is removed" : "it is removed");
    blocker_fault(blocker, false);
}

void blockers_of_routes(struct work *work)
{
    for (size_t i = 0; i < SERVICES && !work->frozen; i++)
        one_service(work, name_services[i]);
}
