/*
 * Who may take a lease that was never held. This is decided once in a cluster's life, and again
 * when a new cluster object of the same name adopts its volumes. A wrong decision then loses
 * everything written since, so a person decides what cannot be decided safely.
 */
#include "model/internal.h"

#include "api/names.h"

const struct seen_lease *model_bootstrap_lease(struct arena *arena, const struct snapshot *snapshot)
{
    static const struct seen_lease absent = {.holder = ""};
    const char *name = name_child(arena, text_or_empty(snapshot->spec.name), "primary");
    const struct seen_object *object =
        snapshot_object(snapshot, api_child_infos[CHILD_LEASE].kind, name);
    bool others =
        object != NULL &&
        ((text_given(object->owner_uid) && !text_same(object->owner_uid, snapshot->spec.uid)) ||
         !text_same(object->cluster, snapshot->spec.name));
    return others ? &absent : &snapshot->lease;
}

struct survey {
    bool any_data;
    size_t winners; /* volumes last used by the primary of the highest epoch */
    const struct model_instance *winner, *unknown, *leaving, *first_wanted;
    const struct model_instance *best; /* highest epoch whatever its role */
};

static void survey_data(struct survey *survey, const struct model_instance *instance)
{
    survey->any_data = true;
    if (survey->best == NULL || instance->epoch > survey->best->epoch) {
        survey->best = instance;
        survey->winners = 0;
        survey->winner = NULL;
    }
    if (instance->epoch == survey->best->epoch && text_same(instance->last_role, "primary")) {
        survey->winners++;
        survey->winner = instance;
    }
}

/* Volumes of instances that are no longer wanted count, too: they may have the newest data. One
 * that is unwanted and being deleted was given up on purpose, and holds nothing up. */
static struct survey survey_volumes(const struct work *work)
{
    struct survey survey = {0};
    for (size_t i = 0; i < work->model->instance_count; i++) {
        const struct model_instance *instance = &work->model->instances[i];
        if (instance->wanted && survey.first_wanted == NULL)
            survey.first_wanted = instance;
        enum volume_content content = model_instance_volume(instance);
        if (content == VOLUME_DATA)
            survey_data(&survey, instance);
        else if (content == VOLUME_UNKNOWN && survey.unknown == NULL)
            survey.unknown = instance;
        else if (content == VOLUME_LEAVING && instance->wanted)
            survey.leaving = instance;
    }
    return survey;
}

static const struct model_instance *find(const struct work *work, const char *name)
{
    for (size_t i = 0; i < work->model->instance_count; i++)
        if (text_same(work->model->instances[i].name, name))
            return &work->model->instances[i];
    return NULL;
}

static void decide_by_data(struct work *work, const struct survey *survey)
{
    struct model *model = work->model;
    if (survey->winners != 1 || !survey->winner->wanted) {
        model->grant_blocked = true;
        return;
    }
    model->grant = (struct bootstrap_grant){survey->winner->name, false};
}

/* Once given, a grant to initialise stays with its instance, because initdb may be running; it ends
 * when any volume is known to have data. A new one is given only after an agent has looked into
 * every volume. */
static void decide_by_emptiness(struct work *work, const struct survey *survey)
{
    const struct seen_lease *lease = work->lease;
    if (lease->there && lease->granted && lease->grant.initdb) {
        const struct model_instance *holder = find(work, lease->grant.instance);
        if (holder != NULL && holder->wanted) {
            work->model->grant = lease->grant;
            return;
        }
    }
    if (survey->unknown == NULL && survey->first_wanted != NULL)
        work->model->grant = (struct bootstrap_grant){survey->first_wanted->name, true};
}

void model_bootstrap_decide(struct work *work)
{
    struct model *model = work->model;
    const struct seen_lease *lease = work->lease;
    struct survey survey = survey_volumes(work);
    model->grant = (struct bootstrap_grant){"", false};
    if (model->ever_held) {
        if (lease->granted)
            model->grant = (struct bootstrap_grant){text_or_empty(lease->grant.instance),
                                                    lease->grant.initdb && !survey.any_data};
        return;
    }
    if (work->frozen) {
        if (lease->there && lease->granted)
            model->grant = lease->grant;
        return;
    }
    if (survey.leaving != NULL)
        return; /* it may have the newest data: nothing is granted until it is gone */
    if (survey.any_data)
        decide_by_data(work, &survey);
    else
        decide_by_emptiness(work, &survey);
}

const char *model_bootstrap_manual_way(const struct work *work)
{
    struct survey survey = survey_volumes(work);
    if (survey.best == NULL)
        return "restore the cluster from a backup";
    return arena_printf(work->arena,
                        "bring the last primary's volume back; or, to continue with the data of %s "
                        "(what its primary had not sent to it is lost): kubectl -n %s annotate pvc "
                        "%s-data --overwrite " ANN_LAST_ROLE "=primary",
                        survey.best->name, text_or_empty(work->snapshot->spec.namespace),
                        survey.best->name);
}

/* When the lease of a bootstrapped cluster was deleted, only a primary is missing. */
static unsigned affects_of(const struct work *work)
{
    return AFFECTS_PRIMARY | (model_was_bootstrapped(work->model) ? 0 : AFFECTS_BOOTSTRAP);
}

/* Any of the volumes that are marked as the last primary's may be the right one: a person
 * chooses. */
static const char *keep_one_way(const struct work *work, const struct survey *survey)
{
    const char *ns = text_or_empty(work->snapshot->spec.namespace);
    char *others = arena_strdup(work->arena, ""), *text = arena_strdup(work->arena, "");
    for (size_t i = 0; i < work->model->instance_count; i++) {
        const struct model_instance *instance = &work->model->instances[i];
        if (model_instance_volume(instance) != VOLUME_DATA ||
            instance->epoch != survey->best->epoch || !text_same(instance->last_role, "primary"))
            continue;
        text = arena_printf(work->arena,
                            "%s%s%s-data: kubectl -n %s annotate pvc %s-data "
                            "--overwrite " ANN_LAST_ROLE "=replica",
                            text, *text ? "; " : "", instance->name, ns, instance->name);
        others =
            arena_printf(work->arena, "%s%s%s-data", others, *others ? " or " : "", instance->name);
    }
    return arena_printf(
        work->arena, "decide which of %s to keep, and mark each of the others as a replica's; %s",
        others, text);
}

/* The primary's volume is known but not wanted, or there are several, or there is none. */
static void blocked_blocker(struct work *work, const struct survey *survey)
{
    struct model_blocker *blocker = blocker_add(work, affects_of(work), REASON_BOOTSTRAP_BLOCKED,
                                                "it is clear whose data is newest");
    blocker_fault(blocker, true);
    if (survey->winners == 1) {
        blocker_say(work, blocker,
                    "volume %s-data belongs to the last primary, but spec.instances is %d",
                    survey->winner->name, work->snapshot->spec.instances);
        blocker_unblock_by_instances(work, blocker, survey->winner->seen->ordinal);
    } else if (survey->winners > 1) {
        blocker_say(work, blocker, "%zu volumes are marked as the primary's at epoch %lld",
                    survey->winners, (long long)survey->best->epoch);
        blocker->unblock = keep_one_way(work, survey);
    } else {
        blocker_say(work, blocker,
                    "only volumes of replicas are left (the newest is %s-data, epoch %lld); the "
                    "primary's is gone and may have held newer data",
                    survey->best->name, (long long)survey->best->epoch);
        blocker->unblock = model_bootstrap_manual_way(work);
    }
}

/* A volume that is being deleted has a blocker of its own (blockers/volumes.c). An unknown volume
 * that no instance uses needs a person: no agent will look into it. */
static void not_held_blocker(struct work *work, const struct survey *survey)
{
    const struct bootstrap_grant *grant = &work->model->grant;
    if (text_given(grant->instance)) {
        struct model_blocker *blocker =
            blocker_add(work, affects_of(work), REASON_LEASE_NOT_HELD, "a primary holds the lease");
        blocker_say(work, blocker, "%s may take it and %s", grant->instance,
                    grant->initdb ? "initialise its empty volume" : "start the data on its volume");
    } else if (survey->unknown != NULL && survey->leaving == NULL) {
        const char *name = survey->unknown->name;
        struct model_blocker *blocker =
            blocker_add(work, affects_of(work), REASON_VOLUME_UNKNOWN,
                        "it is known whether volume %s-data holds data", name);
        blocker_say(work, blocker, "the volume is older than this cluster object; %s",
                    survey->unknown->wanted ? "its agent inspects it once its pod runs"
                                            : "no instance uses it");
        if (!survey->unknown->wanted)
            blocker_unblock(work, blocker,
                            "set spec.instances to at least %d; or, if its data is not needed: "
                            "kubectl -n %s delete pvc %s-data",
                            survey->unknown->seen->ordinal,
                            text_or_empty(work->snapshot->spec.namespace), name);
        blocker_fault(blocker, !survey->unknown->wanted);
        blocker->fault = !survey->unknown->wanted;
    }
}

/* An instance that gave the lease up takes it again by itself; one that no longer exists never
 * will. */
static void holder_blocker(struct work *work)
{
    const struct seen_lease *lease = work->lease;
    const char *ns = text_or_empty(work->snapshot->spec.namespace);
    const char *name = name_child(work->arena, text_or_empty(work->snapshot->spec.name), "primary");
    bool held = text_given(lease->holder);
    struct model_blocker *blocker =
        blocker_add(work, AFFECTS_PRIMARY, held ? REASON_LEASE_HOLDER_GONE : REASON_LEASE_RELEASED,
                    "a primary holds the lease");
    blocker_fault(blocker, held);
    if (!held) {
        blocker_say(work, blocker,
                    "the last primary released Lease '%s' and takes it again when it runs", name);
        return;
    }
    blocker_say(work, blocker,
                "Lease '%s' is held by '%s', which is not an instance of this cluster", name,
                lease->holder);
    blocker_unblock(work, blocker,
                    "bring that instance's volume back; or, if it is gone for good: kubectl -n %s "
                    "delete lease %s; the remaining volumes then decide which instance leads",
                    ns, name);
}

void blockers_of_bootstrap(struct work *work)
{
    struct survey survey = survey_volumes(work);
    if (work->model->primary != NULL)
        return;
    if (work->model->ever_held)
        holder_blocker(work);
    else if (work->model->grant_blocked)
        blocked_blocker(work, &survey);
    else
        not_held_blocker(work, &survey);
}
