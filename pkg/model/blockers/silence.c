/*
 * What status says of an instance that is not heard of. It may be dead, cut off, or locked out, and
 * a primary may still acknowledge writes of clients that reach it. So its state is called unknown,
 * and the message says what is known, since when, and what helps.
 */
#include "model/internal.h"

#include "api/names.h"
#include "base/clock.h"

/* By then the node controller would have reported a node that does not answer. */
enum { NODE_REPORT_MS = 60 * 1000 };

/* Since when the primary is not heard of. The time in status stays, even when the cause becomes
 * clearer: an operator that has just started knows less than the one before it. */
static int64_t silent_since(const struct work *work, const char *what)
{
    static const char *const reasons[] = {REASON_LEASE_OVERDUE, REASON_NODE_UNREACHABLE,
                                          REASON_API_UNREACHABLE};
    const cJSON *blocker;
    cJSON_ArrayForEach (blocker, json_get(work->snapshot->status, "waitingFor")) {
        for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
            int64_t since = clock_parse_rfc3339(json_str(blocker, "since", ""));
            if (since >= 0 && text_same(json_str(blocker, "what", ""), what) &&
                text_same(json_str(blocker, "reason", ""), reasons[i]))
                return since;
        }
    }
    return work->model->now_ms - work->lease->silent_ms;
}

/* A pod's token becomes invalid when its ServiceAccount is deleted, and the kubelet may keep the
 * old one for most of an hour. Both times are the API server's. */
static bool is_locked_out(const struct work *work, const struct model_instance *instance)
{
    const struct seen_pod *pod = &instance->seen->pod;
    return pod->there && !pod->deleting && pod->created_ms > 0 &&
           work->snapshot->account_created_ms > pod->created_ms;
}

/* "kubectl -n n delete pod a-2-0 && kubectl -n n delete pod a-1-0", the primary last. */
static const char *delete_locked_out(const struct work *work)
{
    const struct model *model = work->model;
    const char *text = "";
    for (int turn = 0; turn < 2; turn++)
        for (size_t i = model->instance_count; i-- > 0;) {
            const struct model_instance *instance = &model->instances[i];
            if (instance->primary == (turn == 1) && is_locked_out(work, instance))
                text =
                    arena_printf(work->arena, "%s%skubectl -n %s delete pod %s", text,
                                 *text ? " && " : "", text_or_empty(work->snapshot->spec.namespace),
                                 name_pod(work->arena, instance->name));
        }
    return text;
}

static void unblock_node(struct work *work, struct model_blocker *blocker,
                         const struct model_instance *instance)
{
    const char *node = instance->seen->pod.node;
    blocker_unblock(
        work, blocker,
        "bring node '%s' back: %s then continues; or, if the node is gone for good, make "
        "sure that it is switched off, then: kubectl taint node %s "
        "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
        node, instance->name, node);
}

static void primary_node_blocker(struct work *work, const struct model_instance *primary,
                                 struct model_blocker *blocker, const char *since)
{
    const char *news = work->lease->pulse == PULSE_OVERDUE
                           ? arena_printf(work->arena, "has not renewed its lease since %s", since)
                           : "has not been seen to renew its lease";
    blocker_say(work, blocker,
                "node '%s' does not answer Kubernetes, and %s %s; whether it accepts writes is not "
                "known",
                primary->seen->pod.node, primary->name, news);
    unblock_node(work, blocker, primary);
}

static void locked_out_blocker(struct work *work, const struct model_instance *primary,
                               struct model_blocker *blocker, const char *since)
{
    const char *account = text_or_empty(work->snapshot->spec.name);
    blocker_say(
        work, blocker,
        "ServiceAccount '%s' was deleted and created again after pod '%s' had started: the API "
        "server refuses the pod's token, and %s has not renewed its lease since %s; whether "
        "it accepts writes is not known",
        account, name_pod(work->arena, primary->name), primary->name, since);
    blocker_unblock(work, blocker, "new pods get valid tokens, replicas first: %s",
                    delete_locked_out(work));
}

static void no_api_blocker(struct work *work, const struct model_instance *primary,
                           struct model_blocker *blocker, const char *since)
{
    const char *ns = text_or_empty(work->snapshot->spec.namespace);
    const char *pod = name_pod(work->arena, primary->name);
    blocker_say(
        work, blocker,
        "%s has not renewed its lease since %s, although its node '%s' answers Kubernetes: its "
        "agent cannot reach the API server, or is refused; whether it accepts writes is not known",
        primary->name, since, primary->seen->pod.node);
    blocker_unblock(work, blocker,
                    "see why: kubectl -n %s logs %s; check the network from the node to the API "
                    "server; if the API server refuses the agent's token, a new pod gets a new one "
                    "(no writes until it runs): kubectl -n %s delete pod %s",
                    ns, pod, ns, pod);
}

/* A silent node explains the silence of its pod. If the node answers, the fault is between the
 * agent and the API server; that is certain only after NODE_REPORT_MS, or if the pod's token is
 * invalid. */
static void primary_blocker(struct work *work, const struct model_instance *primary,
                            unsigned affects, const char *what)
{
    const struct seen_pod *pod = &primary->seen->pod;
    int64_t since_ms = silent_since(work, what), node_report_ms = since_ms + NODE_REPORT_MS;
    const char *since = clock_rfc3339(work->arena, since_ms);
    bool locked_out = !pod->node_silent && is_locked_out(work, primary);
    const char *reason = pod->node_silent ? REASON_NODE_UNREACHABLE
                         : locked_out || work->model->now_ms >= node_report_ms
                             ? REASON_API_UNREACHABLE
                             : REASON_LEASE_OVERDUE;
    struct model_blocker *blocker = blocker_add(work, affects, reason, "%s", what);
    blocker->since_ms = since_ms;
    blocker->unknown = true;
    blocker_fault(blocker, false);
    if (pod->node_silent) {
        primary_node_blocker(work, primary, blocker, since);
    } else if (locked_out) {
        locked_out_blocker(work, primary, blocker, since);
    } else if (work->model->now_ms >= node_report_ms) {
        no_api_blocker(work, primary, blocker, since);
    } else {
        blocker->next_ms = node_report_ms;
        blocker_say(work, blocker,
                    "%s has not renewed its lease since %s: its node '%s' does not answer, or its "
                    "agent cannot reach the API server; whether it accepts writes is not known",
                    primary->name, since, pod->node);
    }
}

/* Only the primary can tell whether a replica streams. Its silence alone is no fault of the
 * replica. */
static void replica_blocker(struct work *work, const struct model_instance *replica,
                            unsigned affects, const char *what)
{
    const struct model_instance *primary = work->model->primary;
    const struct seen_pod *pod = &replica->seen->pod;
    struct model_blocker *blocker =
        blocker_add(work, affects,
                    pod->node_silent ? REASON_NODE_UNREACHABLE : REASON_LEASE_OVERDUE, "%s", what);
    blocker->unknown = replica->unknown;
    if (pod->node_silent) {
        blocker_say(work, blocker, "node '%s' does not answer Kubernetes%s", pod->node,
                    replica->unknown ? "; whether the replica streams is not known"
                                     : ", and the replica does not stream");
        unblock_node(work, blocker, replica);
        blocker_fault(blocker, false);
    } else {
        blocker_say(
            work, blocker,
            "it is not known whether the replica streams: only %s can tell, and %s does not report",
            primary->name, primary->name);
    }
}

bool blocker_of_silence(struct work *work, const struct model_instance *instance, unsigned affects,
                        const char *what)
{
    const struct seen_pod *pod = &instance->seen->pod;
    if (instance->primary && instance->unknown)
        primary_blocker(work, instance, affects, what);
    else if (!instance->primary && (instance->unknown || (pod->node_silent && !pod->deleting)))
        replica_blocker(work, instance, affects, what);
    else
        return false;
    return true;
}

/* It works, but Kubernetes removes it from the Services that select it. */
static void not_offered_blocker(struct work *work, const struct model_instance *instance)
{
    const char *name = text_or_empty(work->snapshot->spec.name);
    const struct seen_pod *pod = &instance->seen->pod;
    struct model_blocker *blocker = blocker_add(
        work, 0, REASON_NODE_UNREACHABLE, "the node of %s answers Kubernetes", instance->name);
    blocker_say(work, blocker,
                "node '%s' does not answer Kubernetes, although %s %s: until it does, %s '%s-r' %s "
                "not lead to it",
                pod->node, instance->name,
                !instances_pulse_is_steady(work) ? "worked when it last reported"
                : instance->primary              ? "renews its lease"
                                                 : "streams",
                instance->primary ? "Service"
                                  : arena_printf(work->arena, "Services '%s-ro' and", name),
                name, instance->primary ? "does" : "do");
    blocker_unblock(work, blocker, "kubectl describe node %s; look at its kubelet", pod->node);
    blocker_fault(blocker, false);
}

static void unseen_blocker(struct work *work)
{
    const char *name = name_child(work->arena, text_or_empty(work->snapshot->spec.name), "primary");
    struct model_blocker *blocker =
        blocker_add(work, AFFECTS_PRIMARY | AFFECTS_REPLICAS, REASON_LEASE_UNSEEN,
                    "a renewal of the lease is seen");
    blocker_say(
        work, blocker,
        "the operator has not watched Lease '%s' for long enough to tell whether the primary "
        "renews it",
        name);
    blocker->unknown = blocker->provisional = true;
}

void blocker_note_silence(struct work *work, const struct model_instance *instance)
{
    if (instance->seen->pod.node_silent)
        not_offered_blocker(work, instance);
    if (instance->primary && !instances_pulse_is_steady(work))
        unseen_blocker(work);
}
