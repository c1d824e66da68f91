/* What keeps the volumes from being what the spec asks for. */
#include "model/internal.h"

#include "api/names.h"
#include "phrase/phrase.h"

struct volume {
    struct work *work;
    const struct model_instance *instance;
    const struct seen_pvc *pvc;
    const struct volume_spec *spec;
    const char *field, *name; /* "spec.storage", "a-1-data" */
};

static const char *namespace_of(const struct volume *volume)
{
    return text_or_empty(volume->work->snapshot->spec.namespace);
}

static struct model_blocker *volume_blocker(const struct volume *volume, const char *reason,
                                            const char *state)
{
    unsigned role = volume->instance->healthy ? 0 : blocker_affects(volume->work, volume->instance);
    return blocker_add(volume->work, AFFECTS_STORAGE | role, reason, "volume %s %s", volume->name,
                       state);
}

/* Both volumes together: the agent does not touch WAL without the data that it belongs to. */
void blocker_unblock_by_cloning(struct work *work, struct model_blocker *blocker,
                                const struct model_instance *instance, const char *condition)
{
    const char *ns = text_or_empty(work->snapshot->spec.namespace);
    const char *wal = instance->seen->wal.there ? name_wal_pvc(work->arena, instance->name) : "";
    blocker_unblock(
        work, blocker,
        "%skubectl -n %s delete pvc %s%s%s --wait=false; kubectl -n %s delete pod %s; the "
        "replica is then cloned again",
        condition, ns, name_data_pvc(work->arena, instance->name), *wal ? " " : "", wal, ns,
        name_pod(work->arena, instance->name));
}

/* How to get a new volume when the old one goes: a replica is cloned again; a primary's data is the
 * only copy that is known to be complete. */
static void say_how_to_replace(const struct volume *volume, struct model_blocker *blocker)
{
    const char *pod = name_pod(volume->work->arena, volume->instance->name);
    if (!volume->instance->primary)
        blocker_unblock_by_cloning(volume->work, blocker, volume->instance, "");
    else if (volume->pvc->deleting)
        blocker_unblock(
            volume->work, blocker,
            "this is the primary's data: dump it before pod '%s' stops, because the "
            "volume is deleted then: kubectl -n %s exec %s -- pg_dumpall -h " POD_RUN_DIR
            " -U postgres > %s.sql",
            pod, namespace_of(volume), pod, text_or_empty(volume->work->snapshot->spec.name));
    else
        blocker_unblock_by_successor(
            volume->work, blocker, volume->instance,
            arena_printf(volume->work->arena, "bring the volume of %s back; or ", volume->name));
}

/* Without a message it is no fault: a volume may be created only once its pod is scheduled. */
static void pending_blocker(const struct volume *volume)
{
    const char *said = text_or_empty(volume->pvc->pending_message);
    const char *class = text_given(volume->spec->storage_class)
                            ? volume->spec->storage_class
                            : text_or_empty(volume->pvc->storage_class);
    bool no_class =
        phrase_is_in(PHRASE_K8S_STORAGE_CLASS, said) && phrase_is_in(PHRASE_K8S_NOT_FOUND, said);
    bool no_default = phrase_is_in(PHRASE_K8S_NO_DEFAULT_CLASS, said);
    struct model_blocker *blocker = volume_blocker(
        volume, no_class ? REASON_STORAGE_CLASS_MISSING : REASON_VOLUME_PENDING, "is bound");
    if (volume->pvc->pending_since_ms > 0)
        blocker->since_ms = volume->pvc->pending_since_ms;
    blocker_say(volume->work, blocker, "%s",
                text_given(said)
                    ? said
                    : "it is bound once its pod is scheduled and the volume is created");
    if (text_given(said))
        blocker_fault(blocker, no_class || no_default);
    if (no_class)
        blocker_unblock(
            volume->work, blocker,
            "create StorageClass '%s', or delete the cluster and PVC '%s' and apply the cluster "
            "again with another %s.storageClass; list the existing ones: kubectl get storageclass",
            class, volume->name, volume->field);
    else if (no_default)
        blocker_unblock(volume->work, blocker,
                        "mark a StorageClass as default, or set %s.storageClass in a new cluster; "
                        "list the existing ones: kubectl get storageclass",
                        volume->field);
    else if (text_given(said))
        blocker_unblock(volume->work, blocker, "kubectl -n %s describe pvc %s",
                        namespace_of(volume), volume->name);
}

bool model_may_take_back(const struct seen_pvc *seen, int64_t bytes)
{
    return text_same(seen->phase, "Bound") && seen->capacity_bytes > 0 &&
           bytes > seen->capacity_bytes && bytes < seen->requested_bytes;
}

static void take_back_blocker(const struct volume *volume)
{
    struct model_blocker *blocker =
        volume_blocker(volume, REASON_VOLUME_RESIZING, "has the requested size");
    blocker->affects = AFFECTS_STORAGE;
    blocker_say(volume->work, blocker,
                "the request for %s is taken back to %s, because the volume has %s",
                quantity_text(volume->work->arena, volume->pvc->requested_bytes),
                text_or_empty(volume->spec->size),
                quantity_text(volume->work->arena, volume->pvc->capacity_bytes));
}

/* A growth was requested and did not happen, and now the spec asks for no more than the volume
 * has. */
static void not_grown_blocker(const struct volume *volume, struct model_blocker *blocker)
{
    const char *has = quantity_text(volume->work->arena, volume->pvc->capacity_bytes);
    const char *asked = quantity_text(volume->work->arena, volume->pvc->requested_bytes);
    blocker_say(volume->work, blocker,
                "the volume has %s and was growing to %s, but %s.size now asks for %s; Kubernetes "
                "accepts only a size above %s",
                has, asked, volume->field, text_or_empty(volume->spec->size), has);
    blocker_unblock(volume->work, blocker, "set %s.size to more than %s, or to %s", volume->field,
                    has, asked);
}

/* A growth that did not happen can still be taken back, so that its remedy is another one. */
static void shrink_blocker(const struct volume *volume)
{
    struct model_blocker *blocker =
        volume_blocker(volume, REASON_SHRINK_REFUSED, "has the requested size");
    blocker->affects = AFFECTS_STORAGE;
    blocker_fault(blocker, true);
    if (text_same(volume->pvc->phase, "Bound") && volume->pvc->capacity_bytes > 0 &&
        volume->pvc->capacity_bytes < volume->pvc->requested_bytes) {
        not_grown_blocker(volume, blocker);
        return;
    }
    const char *size = quantity_text(volume->work->arena, volume->pvc->requested_bytes);
    blocker_say(volume->work, blocker,
                "the volume has %s, but %s.size asks for %s; a volume never shrinks", size,
                volume->field, text_or_empty(volume->spec->size));
    const char *field = strchr(volume->field, '.') + 1;
    blocker_unblock(volume->work, blocker,
                    "set %s.size to %s: kubectl -n %s patch pgc %s --type merge -p "
                    "'{\"spec\":{\"%s\":{\"size\":\"%s\"}}}'",
                    volume->field, size, namespace_of(volume),
                    text_or_empty(volume->work->snapshot->spec.name), field, size);
}

static void growing_blocker(const struct volume *volume)
{
    const struct seen_pvc *pvc = volume->pvc;
    struct model_blocker *blocker =
        volume_blocker(volume, REASON_VOLUME_RESIZING, "has the requested size");
    blocker->affects = AFFECTS_STORAGE; /* the server keeps running meanwhile */
    blocker_say(volume->work, blocker, "it grows from %s to %s%s%s",
                quantity_text(volume->work->arena, pvc->capacity_bytes),
                text_or_empty(volume->spec->size), text_given(pvc->resize_message) ? ": " : "",
                text_or_empty(pvc->resize_message));
    if (phrase_is_in(PHRASE_K8S_RESIZE_ERROR, pvc->resize_message)) {
        blocker_unblock(volume->work, blocker, "kubectl -n %s describe pvc %s",
                        namespace_of(volume), volume->name);
        blocker_fault(blocker, false);
    }
}

/* The CRD refuses to change a class. So the volumes are mostly older than the cluster object, which
 * then has to be applied again. */
static void class_blocker(const struct volume *volume)
{
    struct model_blocker *blocker =
        volume_blocker(volume, REASON_STORAGE_CLASS_IMMUTABLE, "has the requested class");
    blocker->affects = AFFECTS_STORAGE;
    blocker_say(volume->work, blocker,
                "the volume is of StorageClass '%s', but %s.storageClass is '%s'; the class of a "
                "volume cannot be changed",
                volume->pvc->storage_class, volume->field, volume->spec->storage_class);
    const char *class = text_or_empty(volume->pvc->storage_class);
    blocker_unblock(
        volume->work, blocker,
        "set %s.storageClass to '%s'; if the API server refuses that, delete the cluster while "
        "spec.storage.retain is true (its volumes stay), and apply it again with that class",
        volume->field, class);
    blocker_fault(blocker, true);
}

/* Size and class, which only a valid spec says. */
static void bound_blockers(const struct volume *volume)
{
    const struct seen_pvc *pvc = volume->pvc;
    if (text_given(volume->spec->storage_class) && text_given(pvc->storage_class) &&
        !text_same(volume->spec->storage_class, pvc->storage_class))
        class_blocker(volume);
    if (model_may_take_back(pvc, volume->spec->size_bytes))
        take_back_blocker(volume);
    else if (pvc->requested_bytes > volume->spec->size_bytes)
        shrink_blocker(volume);
    else if (pvc->requested_bytes < volume->spec->size_bytes ||
             (text_same(pvc->phase, "Bound") && pvc->capacity_bytes < pvc->requested_bytes))
        growing_blocker(volume);
}

/* The size and class of a volume that is lost or being deleted no longer matter: only a volume that
 * stays is compared with the spec. */
static void look_at_volume(const struct volume *volume)
{
    const struct seen_pvc *pvc = volume->pvc;
    struct model_blocker *blocker;
    if (!pvc->there) {
        blocker = volume_blocker(volume, REASON_VOLUME_MISSING, "is there");
        blocker_say(volume->work, blocker, "PersistentVolumeClaim '%s' is being created",
                    volume->name);
    } else if (pvc->deleting) {
        blocker = volume_blocker(volume, REASON_VOLUME_DELETING, "is kept");
        blocker_say(
            volume->work, blocker,
            "PersistentVolumeClaim '%s' is being deleted; it is removed once no pod uses it, "
            "and is then recreated, empty",
            volume->name);
        say_how_to_replace(volume, blocker);
        blocker_fault(blocker, volume->instance->primary);
    } else if (text_same(pvc->phase, "Lost")) {
        blocker = volume_blocker(volume, REASON_VOLUME_LOST, "is there");
        blocker_say(volume->work, blocker,
                    "the PersistentVolume behind PersistentVolumeClaim '%s' no longer exists",
                    volume->name);
        say_how_to_replace(volume, blocker);
        blocker_fault(blocker, true);
    } else {
        if (!text_same(pvc->phase, "Bound"))
            pending_blocker(volume);
        if (volume->work->snapshot->faults.count == 0)
            bound_blockers(volume);
    }
}

static void one_volume(const struct volume *volume)
{
    struct model *model = volume->work->model;
    size_t first = model->blocker_count;
    look_at_volume(volume);
    blockers_are_about(volume->work, first, volume->instance);
    for (size_t i = first; i < model->blocker_count; i++)
        model->blockers[i].object = arena_printf(volume->work->arena, "pvc/%s", volume->name);
}

/* While the spec is invalid it does not say whether there is to be a WAL volume: then only one that
 * exists is looked at. */
void blockers_of_volumes(struct work *work)
{
    const struct cluster_spec *spec = &work->snapshot->spec;
    for (size_t i = 0; i < work->model->instance_count; i++) {
        const struct model_instance *instance = &work->model->instances[i];
        if (!instance->wanted)
            continue;
        struct volume data = {
            work,           instance,       &instance->seen->data,
            &spec->storage, "spec.storage", name_data_pvc(work->arena, instance->name)};
        struct volume wal = {work,
                             instance,
                             &instance->seen->wal,
                             &spec->wal_storage,
                             "spec.walStorage",
                             name_wal_pvc(work->arena, instance->name)};
        one_volume(&data);
        bool has_wal = spec->wal_storage.size_bytes > 0 || work->snapshot->faults.count > 0;
        if (has_wal && (instance->seen->wal.there || work->snapshot->faults.count == 0))
            one_volume(&wal);
    }
}
