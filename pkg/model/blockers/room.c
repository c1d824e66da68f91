/*
 * Volumes that fill: a warning while there is still space, which makes only StorageHealthy False,
 * and a blocker once there is none. The agent decides how full is full, with hysteresis
 * (volume/room.h).
 */
#include "model/internal.h"

#include "api/names.h"

struct volume {
    struct work *work;
    const struct model_instance *instance;
    const struct seen_pvc *pvc;
    const struct volume_spec *spec;
    const char *field, *name; /* "storage", "a-1-data" */
    const struct volume_report *report;
};

/* Some provisioners hand out folders of one large file system: growing the claim then adds no
 * space. */
static bool is_shared(const struct volume *volume)
{
    int64_t capacity = volume->pvc->capacity_bytes;
    return capacity > 0 && volume->report->capacity_bytes > capacity + capacity / 4;
}

static bool is_growing(const struct volume *volume)
{
    const struct seen_pvc *pvc = volume->pvc;
    return !is_shared(volume) && (pvc->requested_bytes < volume->spec->size_bytes ||
                                  pvc->capacity_bytes < pvc->requested_bytes);
}

static const char *figures(const struct volume *volume)
{
    struct arena *arena = volume->work->arena;
    return arena_printf(arena, "%d %% of %s are used, %s are available",
                        model_used_percent(volume->report),
                        quantity_short(arena, volume->report->capacity_bytes),
                        quantity_short(arena, volume->report->available_bytes));
}

/* One and a half times the size, in whole GiB. */
static const char *next_size(const struct volume *volume)
{
    const int64_t gib = (int64_t)1 << 30;
    int64_t size = volume->spec->size_bytes > volume->pvc->requested_bytes
                       ? volume->spec->size_bytes
                       : volume->pvc->requested_bytes;
    return arena_printf(volume->work->arena, "%lldGi",
                        (long long)((size + size / 2 + gib - 1) / gib));
}

static void advise(const struct volume *volume, struct model_blocker *blocker)
{
    const struct cluster_spec *spec = &volume->work->snapshot->spec;
    if (is_shared(volume))
        blocker_unblock(volume->work, blocker, "free space on that disk of node '%s'",
                        text_or_empty(volume->instance->seen->pod.node));
    else if (!is_growing(volume))
        blocker_unblock(volume->work, blocker,
                        "kubectl -n %s patch pgc %s --type merge -p "
                        "'{\"spec\":{\"%s\":{\"size\":\"%s\"}}}'",
                        text_or_empty(spec->namespace), text_or_empty(spec->name), volume->field,
                        next_size(volume));
}

/* What to do, in terms of the spec. */
static const char *remedy(const struct volume *volume)
{
    struct arena *arena = volume->work->arena;
    if (is_shared(volume))
        return arena_printf(arena,
                            "its claim is a part of a larger disk that also holds other data: a "
                            "larger spec.%s.size adds no space",
                            volume->field);
    return is_growing(volume) ? "it is being grown"
                              : arena_printf(arena, "raise spec.%s.size", volume->field);
}

static void full_blocker(const struct volume *volume)
{
    const struct model_instance *instance = volume->instance;
    unsigned role = instance->healthy ? 0 : blocker_affects(volume->work, instance);
    struct model_blocker *blocker =
        blocker_add(volume->work, AFFECTS_STORAGE | role, REASON_VOLUME_FULL,
                    "volume %s has free space", volume->name);
    const char *words = text_or_empty(volume->report->words);
    blocker_say(volume->work, blocker, "it is full: %s; %s%s%s", figures(volume), remedy(volume),
                *words ? "; postgres says: " : "", words);
    advise(volume, blocker);
    blocker_fault(blocker, !is_growing(volume));
}

static void filling_warning(const struct volume *volume)
{
    struct model_blocker *warning =
        model_warning_add(volume->work->arena, volume->work->model,
                          arena_printf(volume->work->arena, "volume %s is filling", volume->name),
                          REASON_VOLUME_FILLING);
    warning->affects = AFFECTS_STORAGE;
    blocker_say(volume->work, warning, "%s; postgres stops when it is full: %s", figures(volume),
                remedy(volume));
    advise(volume, warning);
    blocker_fault(warning, false);
}

static void one_volume(const struct volume *volume)
{
    if (text_same(volume->report->room, REPORT_ROOM_FULL))
        full_blocker(volume);
    else if (text_same(volume->report->room, REPORT_ROOM_FILLING))
        filling_warning(volume);
}

int model_used_percent(const struct volume_report *report)
{
    int64_t all = report->used_bytes + report->available_bytes;
    if (all <= 0 || report->used_bytes < 0 || report->available_bytes < 0)
        return 0;
    /* Like df: what is reserved for root is not available, and the percentage is rounded up. */
    double percent = (double)report->used_bytes * 100.0 / (double)all;
    return (int)percent + (percent > (int)percent);
}

void blockers_of_room(struct work *work)
{
    const struct cluster_spec *spec = &work->snapshot->spec;
    for (size_t i = 0; i < work->model->instance_count; i++) {
        const struct model_instance *instance = &work->model->instances[i];
        const struct seen_instance *seen = instance->seen;
        if (!instance->wanted || !seen->reported || seen->pod.deleting)
            continue;
        struct volume data = {work,
                              instance,
                              &seen->data,
                              &spec->storage,
                              "storage",
                              name_data_pvc(work->arena, instance->name),
                              &seen->report.data_volume};
        struct volume wal = {work,
                             instance,
                             &seen->wal,
                             &spec->wal_storage,
                             "walStorage",
                             name_wal_pvc(work->arena, instance->name),
                             &seen->report.wal_volume};
        one_volume(&wal); /* first, because a full WAL volume always stops the server */
        one_volume(&data);
    }
}
