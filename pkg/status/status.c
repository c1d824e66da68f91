#include "status/internal.h"

#include "base/clock.h"

enum { BLOCKERS_SHOWN = 32 };

static void write_blockers(struct making *making, const char *member,
                           const struct model_blocker *blockers, size_t count)
{
    for (size_t i = 0; i < count && i < BLOCKERS_SHOWN; i++) {
        const struct model_blocker *blocker = &blockers[i];
        cJSON *node = json_push_object(json_add_array(making->result.status, member));
        json_set_str(node, "what", blocker->what);
        json_set_str(node, "reason", blocker->reason);
        json_set_str(node, "message", blocker->message);
        json_set_str(node, "since", clock_rfc3339(making->arena, blocker->since_ms));
        if (blocker->next_ms > 0)
            json_set_str(node, "next", clock_rfc3339(making->arena, blocker->next_ms));
        if (text_given(blocker->unblock))
            json_set_str(node, "unblock", blocker->unblock);
    }
}

/* Times alone are no reason to write. */
static cJSON *without_times(struct arena *arena, const cJSON *status)
{
    cJSON *copy = json_copy(arena, status), *node;
    cJSON_ArrayForEach (node, json_get(copy, "conditions"))
        cJSON_DeleteItemFromObjectCaseSensitive(node, "lastTransitionTime");
    static const char *const lists[] = {"waitingFor", "warnings"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        cJSON_ArrayForEach (node, json_get(copy, lists[i])) {
            cJSON_DeleteItemFromObjectCaseSensitive(node, "since");
            cJSON_DeleteItemFromObjectCaseSensitive(node, "next");
        }
    return copy;
}

static bool differs(const struct making *making)
{
    return making->old == NULL || !json_equal(without_times(making->arena, making->old),
                                              without_times(making->arena, making->result.status));
}

/* The model is shared with others of the pass: blockers are added to a copy. */
static struct model *copy_model(struct arena *arena, const struct model *model, int64_t now_ms)
{
    struct model *copy = arena_alloc(arena, sizeof *copy);
    *copy = *model;
    copy->now_ms = now_ms;
    copy->blockers = arena_alloc(arena, model->blocker_count * sizeof *model->blockers);
    if (model->blocker_count > 0)
        memcpy(copy->blockers, model->blockers, model->blocker_count * sizeof *model->blockers);
    return copy;
}

static size_t drop_provisional(struct model *model)
{
    size_t kept = 0, count = model->blocker_count;
    for (size_t i = 0; i < count; i++)
        if (!model->blockers[i].provisional)
            model->blockers[kept++] = model->blockers[i];
    model->blocker_count = kept;
    return count - kept;
}

/* The API server refuses the whole status when one condition is longer than 32768 characters. Cuts
 * between characters. */
static const char *bounded(struct arena *arena, const char *text)
{
    enum { LONGEST = 8192 };
    size_t length = LONGEST;
    if (strlen(text_or_empty(text)) <= LONGEST)
        return text;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return arena_printf(arena, "%.*s...", (int)length, text);
}

static void bound_texts(struct arena *arena, struct model_blocker *blockers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        blockers[i].message = bounded(arena, blockers[i].message);
        blockers[i].unblock = bounded(arena, blockers[i].unblock);
    }
}

static struct status_result build(struct making making)
{
    making.result.status = json_object(making.arena);
    status_outcome_blockers(&making);
    model_remedies(making.arena, making.model);
    model_blockers_sort(making.model);
    bound_texts(making.arena, making.model->blockers, making.model->blocker_count);
    bound_texts(making.arena, making.model->warnings, making.model->warning_count);
    making.model->phase = model_phase(making.model);
    status_summary(&making);
    status_effective(&making);
    write_blockers(&making, "waitingFor", making.model->blockers, making.model->blocker_count);
    write_blockers(&making, "warnings", making.model->warnings, making.model->warning_count);
    status_conditions(&making);
    status_events(&making);
    making.result.changed = differs(&making);
    return making.result;
}

/* An operator that has just started does not know everything yet. If only its own doubt would
 * change the status, it leaves the status as it is; it claims nothing before it knows. */
struct status_result status_build(struct arena *arena, const struct model *model,
                                  const struct plan *plan, const struct status_outcome *outcomes,
                                  size_t outcome_count, int64_t now_ms)
{
    struct making making = {
        .arena = arena,
        .model = copy_model(arena, model, now_ms),
        .plan = plan,
        .outcomes = outcomes,
        .outcome_count = outcome_count,
        .old = model->snapshot->status,
    };
    if (drop_provisional(making.model) > 0) {
        struct status_result result = build(making);
        if (!result.changed)
            return result;
        making.model = copy_model(arena, model, now_ms);
    }
    return build(making);
}
