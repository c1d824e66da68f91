/*
 * How a person continues without the primary's data. pgkeel never does this by itself: what the
 * primary had committed and no replica had received is then lost.
 */
#include "model/internal.h"

#include "api/names.h"

/* The replica with the newest data, according to the claims. */
static const struct model_instance *successor(const struct work *work,
                                              const struct model_instance *primary)
{
    const struct model_instance *best = NULL;
    for (size_t i = 0; i < work->model->instance_count; i++) {
        const struct model_instance *other = &work->model->instances[i];
        if (other != primary && model_instance_volume(other) == VOLUME_DATA &&
            !other->seen->data.node_gone && (best == NULL || other->epoch > best->epoch))
            best = other;
    }
    return best;
}

/* First both claims, because their annotations mark them as the primary's. Then the lease: while it
 * is held, the operator overwrites the annotation that follows with what the agent reports. */
void blocker_unblock_by_successor(struct work *work, struct model_blocker *blocker,
                                  const struct model_instance *primary, const char *before)
{
    const struct model_instance *next = successor(work, primary);
    const char *ns = text_or_empty(work->snapshot->spec.namespace);
    const char *wal = primary->seen->wal.there ? name_wal_pvc(work->arena, primary->name) : "";
    if (next == NULL) {
        blocker_unblock(
            work, blocker,
            "%srestore a backup into a new cluster: no other volume of the cluster holds "
            "its data",
            before);
        return;
    }
    blocker_unblock(
        work, blocker,
        "%scontinue with the data of %s (what %s committed and %s had not received is then lost): "
        "kubectl -n %s delete pvc %s%s%s --wait=false && kubectl -n %s delete pod %s && kubectl -n "
        "%s delete lease %s && kubectl -n %s annotate pvc %s --overwrite " ANN_LAST_ROLE "=primary",
        before, next->name, primary->name, next->name, ns,
        name_data_pvc(work->arena, primary->name), *wal ? " " : "", wal, ns,
        name_pod(work->arena, primary->name), ns,
        name_child(work->arena, text_or_empty(work->snapshot->spec.name), "primary"), ns,
        name_data_pvc(work->arena, next->name));
}
