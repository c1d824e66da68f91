/* Why a pod does not run, in the words of scheduler and kubelet, and what helps. */
#include "model/internal.h"

#include "api/names.h"
#include "base/clock.h"
#include "phrase/phrase.h"

#define PULL_ADVICE                                                                                \
    "correct spec.postgres.image, or name credentials for its registry in "                        \
    "spec.postgres.imagePullSecrets"

/* The kubelet's reasons for a container that does not start. They are prefixes, because new
 * versions add reasons; the first row that matches counts. */
static const struct cause {
    const char *kubelet, *reason;
    bool stalled;
    const char *advice; /* "": there is none but to look */
    const char *look;   /* kubectl's arguments before the pod's name; "" */
} causes[] = {
    {"InvalidImageName", REASON_INVALID_IMAGE_NAME, true, "correct spec.postgres.image", ""},
    {"ErrImage", REASON_IMAGE_PULL_FAILED, true, PULL_ADVICE, ""},
    {"ImagePull", REASON_IMAGE_PULL_FAILED, true, PULL_ADVICE, ""},
    {"ImageInspectError", REASON_IMAGE_PULL_FAILED, true, PULL_ADVICE, ""},
    {"RegistryUnavailable", REASON_IMAGE_PULL_FAILED, false, "", "describe pod"},
    {"CreateContainerConfigError", REASON_CONTAINER_CONFIG_INVALID, true,
     "create what the message names", "describe pod"},
    {"CrashLoopBackOff", REASON_CRASH_LOOPING, false, "", "logs --all-containers --previous"},
    {"", REASON_CONTAINER_FAILED, false, "", "describe pod"},
};

struct looked_at {
    struct work *work;
    const struct model_instance *instance;
    unsigned affects;
    const char *what;
    const char *ns, *pod; /* names for commands */
};

static struct model_blocker *pod_blocker_add(const struct looked_at *at, const char *reason)
{
    return blocker_add(at->work, at->affects, reason, "%s", at->what);
}

/* The image is named by us, because the kubelet's message may leave it out. */
static void container_blocker(const struct looked_at *at)
{
    const struct seen_pod *pod = &at->instance->seen->pod;
    const struct cause *cause = causes;
    while (strncmp(pod->waiting_reason, cause->kubelet, strlen(cause->kubelet)) != 0)
        cause++;
    struct model_blocker *blocker = pod_blocker_add(at, cause->reason);
    bool image = text_same(cause->reason, REASON_IMAGE_PULL_FAILED) ||
                 text_same(cause->reason, REASON_INVALID_IMAGE_NAME);
    blocker_say(at->work, blocker, "pod '%s': %s%s%s%s%s", at->pod, pod->waiting_reason,
                image ? " for image " : "",
                image ? text_or_empty(at->work->snapshot->spec.image) : "",
                text_given(pod->waiting_message) ? ": " : "", text_or_empty(pod->waiting_message));
    blocker_fault(blocker, cause->stalled);
    if (text_given(cause->look))
        blocker_unblock(at->work, blocker, "%s%skubectl -n %s %s %s", cause->advice,
                        text_given(cause->advice) ? "; " : "", at->ns, cause->look, at->pod);
    else
        blocker_unblock_by_spec(at->work, blocker, cause->advice);
}

/* What removed the earlier pod may be why no node takes this one (disruption.c): both are named. */
static void unscheduled_blocker(const struct looked_at *at)
{
    const struct cluster_spec *spec = &at->work->snapshot->spec;
    if (blocker_of_disk(at->work, at->instance, at->affects, at->what))
        return;
    struct model_blocker *blocker = pod_blocker_add(at, REASON_UNSCHEDULABLE);
    const char *disruption = at->instance->disruption;
    const char *remedy = disruption_remedy(disruption);
    blocker_say(at->work, blocker, "no node can take pod '%s': %s%s%s", at->pod,
                at->instance->seen->pod.unschedulable_message,
                text_given(disruption) ? "; its earlier pod was " : "", disruption);
    blocker_unblock(
        at->work, blocker,
        "add a node or free capacity on one, or relax %s: kubectl -n %s edit pgc %s%s%s",
        spec->scheduling.anti_affinity_required
            ? "spec.scheduling.antiAffinity, spec.scheduling or spec.resources"
            : "spec.scheduling or spec.resources",
        at->ns, text_or_empty(spec->name), text_given(remedy) ? "; or " : "", remedy);
    blocker_fault(blocker, true);
}

/* A pod on a node that is gone stays "terminating" until a person declares the node switched off:
 * only a person can know that, and Kubernetes must not start a second PostgreSQL before. */
static void terminating_blocker(const struct looked_at *at)
{
    const struct seen_pod *pod = &at->instance->seen->pod;
    const char *reason = text_same(pod->disruption, "PreemptionByScheduler") ? REASON_POD_PREEMPTED
                         : text_given(pod->disruption)                       ? REASON_POD_EVICTED
                                                       : REASON_POD_TERMINATING;
    struct model_blocker *blocker = pod_blocker_add(at, reason);
    int64_t grace_ms = (at->work->snapshot->spec.termination_grace_seconds + 60) * 1000LL;
    blocker_say(at->work, blocker, "pod '%s' is stopping%s%s", at->pod,
                text_given(at->instance->disruption) ? ": it was " : "", at->instance->disruption);
    if (at->work->model->now_ms < blocker->since_ms + grace_ms) {
        blocker->next_ms = blocker->since_ms + grace_ms;
        blocker->unblock = disruption_remedy(at->instance->disruption);
        return;
    }
    blocker->reason = REASON_POD_TERMINATING;
    blocker_say(at->work, blocker, "pod '%s' should have stopped by now; node '%s' does not answer",
                at->pod, text_or_empty(pod->node));
    blocker_unblock(at->work, blocker,
                    "make sure that node '%s' is switched off, then: kubectl taint node %s "
                    "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
                    text_or_empty(pod->node), text_or_empty(pod->node));
    blocker_fault(blocker, false);
}

/* A missing pod is a fault only if the StatefulSet controller says why it cannot create one. */
static void missing_pod_blocker(const struct looked_at *at)
{
    const struct seen_instance *seen = at->instance->seen;
    bool refused = text_given(seen->set_message);
    struct model_blocker *blocker =
        pod_blocker_add(at, refused ? REASON_POD_CREATE_FAILED : REASON_POD_MISSING);
    if (!refused) {
        blocker_say(at->work, blocker, "StatefulSet '%s' is creating pod '%s'", seen->name,
                    at->pod);
        return;
    }
    blocker_say(at->work, blocker, "StatefulSet '%s' cannot create pod '%s': %s", seen->name,
                at->pod, seen->set_message);
    if (phrase_is_in(PHRASE_K8S_QUOTA_UNSPECIFIED, seen->set_message))
        blocker_unblock_by_spec(
            at->work, blocker,
            "set the limits and requests that the message names in spec.resources");
    else if (phrase_is_in(PHRASE_K8S_QUOTA, seen->set_message))
        blocker_unblock(
            at->work, blocker,
            "raise the namespace's ResourceQuota or lower spec.resources: kubectl -n %s "
            "describe resourcequota",
            at->ns);
    else
        blocker_unblock(at->work, blocker,
                        "allow what the message names in the namespace: kubectl -n %s describe "
                        "statefulset %s",
                        at->ns, seen->name);
    blocker_fault(blocker, false);
}

/* Counts from the creation of the pod, so that a restart of the operator does not prolong it. */
static void starting_blocker(const struct looked_at *at, const char *reason, const char *doing)
{
    const struct seen_pod *pod = &at->instance->seen->pod;
    struct model_blocker *blocker = pod_blocker_add(at, reason);
    blocker_say(at->work, blocker, "pod '%s' %s%s%s", at->pod, doing,
                text_given(pod->waiting_message) ? ": " : "", text_or_empty(pod->waiting_message));
    int64_t patience_ends = pod->created_ms + AGENT_SILENCE_MS;
    if (pod->created_ms <= 0)
        return;
    blocker->since_ms = pod->created_ms;
    if (at->work->model->now_ms < patience_ends) {
        blocker->next_ms = patience_ends;
        return;
    }
    blocker_unblock(at->work, blocker, "kubectl -n %s describe pod %s; kubectl -n %s logs %s",
                    at->ns, at->pod, at->ns, at->pod);
    blocker_fault(blocker, false);
}

static void missing_set_blocker(const struct looked_at *at)
{
    bool deleting = at->instance->seen->set_there;
    struct model_blocker *blocker =
        pod_blocker_add(at, deleting ? REASON_OBJECT_DELETING : REASON_INSTANCE_MISSING);
    blocker->object = arena_printf(at->work->arena, "statefulset/%s", at->instance->name);
    blocker_say(at->work, blocker,
                deleting ? "StatefulSet '%s' is being deleted; it is recreated once it is gone"
                         : "StatefulSet '%s' is being created",
                at->instance->name);
}

/* From the outside in: the first thing that is missing explains the rest. An agent that has
 * reported a failure says more than the kubelet, which only sees that its container ends. */
bool blocker_of_pod(struct work *work, const struct model_instance *instance, unsigned affects,
                    const char *what)
{
    const struct seen_instance *seen = instance->seen;
    const struct looked_at at = {work,
                                 instance,
                                 affects,
                                 what,
                                 text_or_empty(work->snapshot->spec.namespace),
                                 name_pod(work->arena, instance->name)};
    if (seen->pod.there && seen->pod.deleting)
        terminating_blocker(&at);
    else if (!seen->set_there || seen->set_deleting)
        missing_set_blocker(&at);
    else if (!seen->pod.there)
        missing_pod_blocker(&at);
    else if (text_given(seen->pod.unschedulable_message))
        unscheduled_blocker(&at);
    else if (text_same(seen->pod.phase, "Failed") || text_same(seen->pod.phase, "Succeeded"))
        starting_blocker(&at, REASON_POD_FAILED, "has ended and is being recreated");
    else if (text_given(seen->pod.waiting_reason) && model_instance_pod_broken(instance) &&
             !model_instance_phase_is(instance, "Failed"))
        container_blocker(&at);
    else if (text_same(seen->pod.phase, "Pending"))
        starting_blocker(&at, REASON_POD_STARTING, "is being started by its node");
    else if (!seen->reported)
        starting_blocker(&at, REASON_AGENT_STARTING, "runs; its agent has not reported yet");
    else
        return false;
    return true;
}
