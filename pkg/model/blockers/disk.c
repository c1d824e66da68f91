/*
 * A pod whose volumes are on a disk of one node can run only there. When the node is gone for good,
 * so is its disk: a replica is cloned again, and a person decides about the primary's data.
 */
#include "model/internal.h"

#include "api/names.h"
#include "phrase/phrase.h"

static const char *add_claim(struct work *work, const char *text, const struct seen_pvc *pvc,
                             const char *node)
{
    if (!pvc->there || !text_same(pvc->node, node))
        return text;
    return arena_printf(work->arena, "%s%s'%s' (volume '%s')", text, *text ? ", " : "", pvc->name,
                        text_or_empty(pvc->volume));
}

/* While there is no primary, any volume may have the newest data: only the data of a replica of a
 * known primary is cloned again without a decision. */
static void gone_blocker(struct work *work, const struct model_instance *instance, unsigned affects,
                         const char *what, const char *node)
{
    const struct seen_instance *seen = instance->seen;
    struct model_blocker *blocker =
        blocker_add(work, affects | AFFECTS_STORAGE, REASON_VOLUME_NODE_GONE, "%s", what);
    const char *claims = add_claim(work, "", &seen->data, node);
    blocker_say(
        work, blocker,
        "pod '%s' can only run on node '%s', which has the volumes of its claims %s, but that "
        "node is no longer part of Kubernetes",
        name_pod(work->arena, instance->name), node, add_claim(work, claims, &seen->wal, node));
    blocker_fault(blocker, true);
    if (instance->primary || work->model->primary == NULL)
        blocker_unblock_by_successor(
            work, blocker, instance,
            arena_printf(work->arena, "bring node '%s' back; or, if its disk is lost, ", node));
    else
        blocker_unblock_by_cloning(
            work, blocker, instance,
            arena_printf(work->arena, "bring node '%s' back; or, if its disk is lost: ", node));
}

/* A node that is gone is named before the scheduler's words: no room elsewhere would help. A pod
 * that finds no node for another reason is left to the caller. */
bool blocker_of_disk(struct work *work, const struct model_instance *instance, unsigned affects,
                     const char *what)
{
    const struct seen_instance *seen = instance->seen;
    const struct seen_pvc *pvc = seen->wal.node_gone ? &seen->wal : &seen->data;
    if (!phrase_is_in(PHRASE_K8S_VOLUME_NODE_AFFINITY, seen->pod.unschedulable_message))
        return false;
    if (pvc->node_gone) {
        gone_blocker(work, instance, affects, what, pvc->node);
        return true;
    }
    struct model_blocker *blocker = blocker_add(work, affects, REASON_UNSCHEDULABLE, "%s", what);
    blocker_say(work, blocker, "pod '%s' can only run where its volumes are: %s",
                name_pod(work->arena, instance->name), seen->pod.unschedulable_message);
    if (text_given(pvc->node))
        blocker_unblock(
            work, blocker,
            "its volumes were created for node '%s': kubectl get node %s; let the pod run "
            "there (uncordon the node, make room on it)",
            pvc->node, pvc->node);
    else
        blocker_unblock(work, blocker,
                        "kubectl -n %s describe pvc %s; the claim names its volume, and the volume "
                        "names its nodes; let the pod run on one of them",
                        text_or_empty(work->snapshot->spec.namespace), seen->data.name);
    blocker_fault(blocker, true);
    return true;
}
