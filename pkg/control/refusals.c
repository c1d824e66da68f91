/*
 * A write that the API server refused is not repeated in every pass. It is repeated after a pause
 * that grows, or at once when the object or the intent changed. Until then status keeps showing the
 * refusal. Refusals are kept in memory: after a restart the operator tries again.
 */
#include "control/internal.h"

#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/clock.h"
#include "base/text.h"

struct refusal {
    struct refusal *next;
    char *key; /* the action, with what it would write */
    int times;
    int64_t until_ms; /* boot */
    bool wanted;      /* still part of the plan */
    struct error err;
};

static char *key_of(struct arena *arena, const struct plan_action *action)
{
    return arena_printf(arena, "%d %s %s %s %s", (int)action->verb, action->kind, action->name,
                        action->uid,
                        json_str(action->object, "metadata.annotations[\"" ANN_APPLIED "\"]", ""));
}

static struct refusal *find(const struct history *history, const char *key)
{
    for (struct refusal *refusal = history->refusals; refusal; refusal = refusal->next)
        if (strcmp(refusal->key, key) == 0)
            return refusal;
    return NULL;
}

static void drop(struct refusal **at)
{
    struct refusal *refusal = *at;
    *at = refusal->next;
    free(refusal->key);
    free(refusal);
}

void refusals_forget(struct history *history)
{
    while (history->refusals != NULL)
        drop(&history->refusals);
}

static void drop_unwanted(struct history *history)
{
    for (struct refusal **at = &history->refusals; *at;) {
        bool wanted = (*at)->wanted;
        (*at)->wanted = false;
        if (wanted)
            at = &(*at)->next;
        else
            drop(at);
    }
}

static bool may_pause(const struct plan_action *action)
{
    const struct child_info *child = api_child_info_of(action->kind);
    return child == NULL || !child->pods_wait;
}

/* Those that wait go behind the others; both keep their order. */
size_t refusals_hold(struct pass *pass)
{
    struct plan *plan = pass->plan;
    struct history *history = pass->history;
    const size_t size = sizeof *plan->actions;
    struct plan_action *sorted = arena_alloc(pass->arena, (plan->count + 1) * size);
    struct refusal **held = arena_alloc(pass->arena, (plan->count + 1) * sizeof(struct refusal *));
    size_t sent = 0, waiting = 0;
    if (history->refused_digest != pass->digest)
        refusals_forget(history);
    history->refused_digest = pass->digest;
    for (size_t i = 0; i < plan->count; i++) {
        struct refusal *refusal = find(history, key_of(pass->arena, &plan->actions[i]));
        bool paused = refusal != NULL && clock_boot_ms() < refusal->until_ms;
        if (refusal != NULL)
            refusal->wanted = true;
        held[i] = paused ? refusal : NULL;
        if (!paused && !contests_holds(pass, &plan->actions[i]))
            sorted[sent++] = plan->actions[i];
    }
    for (size_t i = 0; i < plan->count; i++) {
        if (held[i] == NULL) /* sent, or contested, which contests_report() reports */
            continue;
        struct plan_action *action = &sorted[sent + waiting++];
        *action = plan->actions[i];
        pass->outcomes[pass->outcome_count++] = (struct status_outcome){action, held[i]->err};
    }
    drop_unwanted(history);
    plan->actions = sorted;
    plan->count = sent + waiting;
    return sent;
}

void refusals_note(struct pass *pass, const struct plan_action *action, const struct error *err)
{
    struct history *history = pass->history;
    if ((err->class != ERR_INVALID && err->class != ERR_FORBIDDEN) || !may_pause(action))
        return;
    const char *key = key_of(pass->arena, action);
    struct refusal *refusal = find(history, key);
    if (refusal == NULL) {
        refusal = xcalloc(1, sizeof *refusal);
        refusal->key = xstrdup(key);
        refusal->next = history->refusals;
        history->refusals = refusal;
    }
    refusal->err = *err;
    refusal->until_ms = clock_boot_ms() + queue_backoff_ms(err->class, ++refusal->times);
}

void refusals_end_pause(struct history *history, const struct plan_action *done)
{
    AUTO_ARENA arena = arena_new();
    const char *object = arena_printf(arena, " %s %s ", done->kind, done->name);
    for (struct refusal *refusal = history->refusals; refusal; refusal = refusal->next)
        if (strncmp(refusal->key + strcspn(refusal->key, " "), object, strlen(object)) == 0)
            refusal->until_ms = 0;
}

int64_t refusals_next_ms(const struct history *history)
{
    int64_t next_ms = INT64_MAX;
    for (const struct refusal *refusal = history->refusals; refusal; refusal = refusal->next)
        if (refusal->until_ms < next_ms)
            next_ms = refusal->until_ms;
    return next_ms;
}

/* A failure is logged once, until all works again or another failure comes. */
bool refusals_is_news(struct history *history, const struct error *err)
{
    if (err->class == 0 && history->refusals == NULL) {
        free(history->logged_failure);
        history->logged_failure = NULL;
    }
    if (err->class == 0 ||
        (history->logged_failure && strcmp(history->logged_failure, err->text) == 0))
        return false;
    free(history->logged_failure);
    history->logged_failure = xstrdup(err->text);
    return true;
}
