/* The obstacles that plan and apply met, as blockers, and what helps. */
#include "status/internal.h"
#include "phrase/phrase.h"

static struct model_blocker *add(struct making *making, unsigned affects, const char *reason,
                                 const char *what)
{
    struct model_blocker *blocker = model_blocker_add(making->arena, making->model, what, reason);
    blocker->affects = affects;
    return blocker;
}

/* `name` is NULL where it is not known. */
static const char *collision_advice(struct making *making, const char *kind, const char *name)
{
    if (name == NULL)
        return "delete or rename that object, or give this cluster another name; it is never "
               "touched";
    return arena_printf(making->arena,
                        "give this cluster another name; or, if that object is not needed (pgkeel "
                        "never touches it): kubectl -n %s delete %s %s",
                        text_or_empty(making->model->snapshot->spec.namespace), kind, name);
}

static unsigned affects_of(const char *kind)
{
    const struct child_info *child = api_child_info_of(kind);
    return child ? child->affects : 0;
}

static void collision_blockers(struct making *making)
{
    for (size_t i = 0; i < making->plan->collision_count; i++) {
        const struct plan_collision *collision = &making->plan->collisions[i];
        struct model_blocker *blocker =
            add(making, affects_of(collision->kind), REASON_NAME_COLLISION,
                arena_printf(making->arena, "%s '%s' belongs to this cluster", collision->kind,
                             collision->name));
        blocker->message = arena_printf(making->arena, "the name is taken by %s", collision->owner);
        blocker->unblock = collision_advice(making, collision->kind, collision->name);
        blocker->fault = true;
        blocker->stalled = !collision->passing;
    }
}

static void held_blockers(struct making *making)
{
    for (size_t i = 0; i < making->plan->held_count; i++) {
        const struct seen_object *object = making->plan->held[i];
        const struct child_info *child = api_child_info_of(object->kind);
        if (child != NULL && child->model_explains)
            continue;
        struct model_blocker *blocker =
            add(making, 0, REASON_OBJECT_DELETING,
                arena_printf(making->arena, "%s '%s' exists", object->kind, object->name));
        blocker->message = "it is being deleted, and is recreated once it is gone";
        blocker->object = arena_printf(making->arena, "%s/%s", object->kind, object->name);
    }
}

/* What a refusal means. The first row that matches counts; PHRASE_NONE, CHILD_NONE and class 0
 * match everything. */
static const struct refusal {
    int class;
    enum child_kind kind; /* CHILD_NONE: any */
    enum phrase said;     /* PHRASE_NONE: anything */
    const char *reason;
    bool fault, stalled;
    const char *unblock;
} refusals[] = {
    {ERR_FORBIDDEN, CHILD_NONE, PHRASE_K8S_QUOTA_EXCEEDED, REASON_QUOTA_EXCEEDED, true, true,
     "raise the namespace's ResourceQuota, or ask for less (spec.instances, spec.storage.size, "
     "spec.resources); see what is used: kubectl -n {ns} describe resourcequota"},
    {ERR_FORBIDDEN, CHILD_NONE, PHRASE_K8S_QUOTA_UNSPECIFIED, REASON_QUOTA_EXCEEDED, true, true,
     "set the limits and requests that the message names in spec.resources: kubectl -n {ns} edit "
     "pgc "
     "{cluster}"},
    {ERR_FORBIDDEN, CHILD_NONE, PHRASE_K8S_NAMESPACE_TERMINATING, REASON_NAMESPACE_TERMINATING,
     true, false, ""},
    {0, CHILD_CLAIM, PHRASE_K8S_VOLUME_SHRINKS, REASON_SHRINK_REFUSED, true, true,
     "set the size back to what the PersistentVolumeClaim asks for; this version of Kubernetes "
     "cannot take a growth back"},
    {0, CHILD_CLAIM, PHRASE_K8S_VOLUME_RESIZE, REASON_EXPANSION_REFUSED, true, true,
     "set allowVolumeExpansion: true on the volume's StorageClass, if its provisioner can grow "
     "volumes; else restore into a cluster with larger volumes"},
    {0, CHILD_CLAIM, PHRASE_K8S_VOLUME_EXPANSION, REASON_EXPANSION_REFUSED, true, true,
     "set allowVolumeExpansion: true on the volume's StorageClass, if its provisioner can grow "
     "volumes; else restore into a cluster with larger volumes"},
    {ERR_FORBIDDEN, CHILD_NONE, PHRASE_NONE, REASON_FORBIDDEN, true, true,
     "grant the operator what the message names (its ClusterRole comes with the manifests of its "
     "version)"},
    {ERR_INVALID, CHILD_NONE, PHRASE_NONE, REASON_APPLY_REFUSED, true, true,
     "correct the part of the spec that the message is about: kubectl -n {ns} edit pgc {cluster}"},
    {ERR_INTERNAL, CHILD_NONE, PHRASE_NONE, REASON_APPLY_FAILED, true, false, ""},
    {0, CHILD_NONE, PHRASE_NONE, REASON_APPLY_FAILED, false, false, ""},
};

static const struct refusal *classify(const struct error *err, const char *kind)
{
    const struct refusal *refusal = refusals;
    while ((refusal->class && refusal->class != err->class) ||
           (refusal->kind != CHILD_NONE && refusal->kind != api_child_kind_of(kind)) ||
           (refusal->said != PHRASE_NONE && !phrase_is_in(refusal->said, err->text)))
        refusal++;
    return refusal;
}

/* A reason of our own rooms is passed on; one of the API server ("Invalid") or of a failed
 * connection says less than the table above. */
static bool has_own_reason(const struct error *err)
{
    return text_same(err->reason, REASON_NAME_COLLISION) ||
           (text_given(err->reason) && err->http_status == 0 && !err_policy(err->class)->retry);
}

/* The server's refusal does not name the StorageClass. */
static void name_class(struct making *making, const char *claim, struct model_blocker *blocker)
{
    const char *class = "";
    for (size_t i = 0; i < making->model->instance_count; i++) {
        const struct seen_instance *seen = making->model->instances[i].seen;
        if (text_same(seen->data.name, claim))
            class = text_or_empty(seen->data.storage_class);
        else if (text_same(seen->wal.name, claim))
            class = text_or_empty(seen->wal.storage_class);
    }
    if (!text_given(class))
        return;
    blocker->message = arena_printf(making->arena, "StorageClass '%s' does not allow expansion: %s",
                                    class, blocker->message);
    blocker->unblock =
        arena_printf(making->arena,
                     "set allowVolumeExpansion: true on StorageClass '%s', if its provisioner can "
                     "grow volumes: kubectl patch storageclass %s -p "
                     "'{\"allowVolumeExpansion\":true}'; else restore into a "
                     "cluster with larger volumes",
                     class, class);
}

/* A failure with a reason of our own (has_own_reason()) does not pass by itself. */
static void failure_blocker(struct making *making, const struct status_outcome *outcome)
{
    const struct plan_action *action = outcome->action;
    const char *kind = action ? action->kind : api_child_infos[CHILD_SECRET].kind;
    const struct refusal *refusal = classify(&outcome->err, kind);
    bool own = has_own_reason(&outcome->err);
    const char *what = action ? arena_printf(making->arena, "%s '%s' is %s", kind, action->name,
                                             action->verb == PLAN_DELETE ? "removed" : "as wanted")
                              : "the cluster's Secrets are up to date";
    struct model_blocker *blocker =
        add(making, affects_of(kind),
            own ? arena_strdup(making->arena, outcome->err.reason) : refusal->reason, what);
    blocker->message = arena_strdup(making->arena, outcome->err.text);
    blocker->unblock = model_fill_in(making->arena, making->model, blocker, refusal->unblock);
    blocker->fault = own || refusal->fault;
    blocker->stalled = own || refusal->stalled;
    if (action && text_same(blocker->reason, REASON_OBJECT_CONTESTED))
        blocker->unblock = arena_printf(
            making->arena,
            "stop what changes it, or make it leave this object alone; managedFields has its name: "
            "kubectl -n %s get %s %s -o yaml --show-managed-fields",
            text_or_empty(making->model->snapshot->spec.namespace), kind, action->name);
    if (text_same(blocker->reason, REASON_NAME_COLLISION))
        blocker->unblock = collision_advice(making, kind, action ? action->name : NULL);
    if (action && text_same(blocker->reason, REASON_EXPANSION_REFUSED))
        name_class(making, action->name, blocker);
}

static bool is_tried(const struct making *making, const struct plan_action *action)
{
    for (size_t i = 0; i < making->outcome_count; i++)
        if (making->outcomes[i].action == action)
            return true;
    return false;
}

/* An action without an outcome counts as not done: Ready is False until it is (status.h). */
static void pending_blocker(struct making *making)
{
    const struct plan *plan = making->plan;
    const struct plan_action *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (!is_tried(making, &plan->actions[i])) {
            first = first ? first : &plan->actions[i];
            count++;
        }
    if (first == NULL)
        return;
    struct model_blocker *blocker =
        add(making, 0, REASON_APPLY_PENDING,
            arena_printf(making->arena, "the objects of generation %lld are written",
                         (long long)making->model->snapshot->spec.generation));
    blocker->message = arena_printf(making->arena, "%s '%s'", first->kind, first->name);
    if (count > 1)
        blocker->message =
            arena_printf(making->arena, "%s and %zu more", blocker->message, count - 1);
}

void status_outcome_blockers(struct making *making)
{
    collision_blockers(making);
    held_blockers(making);
    for (size_t i = 0; i < making->outcome_count; i++)
        if (making->outcomes[i].err.class != 0)
            failure_blocker(making, &making->outcomes[i]);
    pending_blocker(making);
}
