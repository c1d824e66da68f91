/*
 * When another program undoes every repair of an object, the repairs become less frequent: after
 * some rounds each one waits, longer every time, and status names the program. Only where waiting
 * is safe: a StatefulSet takes effect when its pod ends, a PodDisruptionBudget when a node is
 * drained. Services, RBAC and configuration are always repaired at once, and so is a StatefulSet
 * whose change removes pods. Rounds are counted in memory: after a restart the operator counts from
 * zero.
 */
#include "control/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "loop/pause.h"

enum {
    ROUNDS_FREE = 8, /* so many repairs happen at once */
    PAUSE_FIRST_MS = 5000,
    PAUSE_LONGEST_MS = 300000,
    CALM_MS = 30000, /* the contest is over when a repair lasts so long after the pause */
};

struct contest {
    struct contest *next;
    char *kind, *name, *by; /* by: the last other writer, and what it set */
    int rounds;
    bool at_once;        /* as last seen, it cannot wait */
    int64_t repaired_ms; /* boot */
};

static bool may_pause(const struct plan_action *action)
{
    const struct child_info *child = api_child_info_of(action->kind);
    return (action->drift || action->verb == PLAN_MEND) && child != NULL && child->repair_may_wait;
}

static int64_t pause_ms(const struct contest *contest)
{
    if (contest->rounds < ROUNDS_FREE || contest->at_once)
        return 0;
    return pause_doubled_ms(PAUSE_FIRST_MS, PAUSE_LONGEST_MS, contest->rounds - ROUNDS_FREE);
}

static int64_t over_ms(const struct contest *contest)
{
    return contest->repaired_ms + pause_ms(contest) + CALM_MS;
}

static struct contest *find(const struct history *history, const struct plan_action *action)
{
    for (struct contest *contest = history->contests; contest; contest = contest->next)
        if (text_same(contest->kind, action->kind) && text_same(contest->name, action->name))
            return contest;
    return NULL;
}

static void drop(struct contest **at)
{
    struct contest *contest = *at;
    *at = contest->next;
    free(contest->kind);
    free(contest->name);
    free(contest->by);
    free(contest);
}

void contests_forget(struct history *history)
{
    while (history->contests != NULL)
        drop(&history->contests);
}

static char *who(struct arena *arena, const struct snapshot *snapshot,
                 const struct plan_action *action)
{
    const struct seen_object *object = snapshot_object(snapshot, action->kind, action->name);
    if (object == NULL)
        return arena_strdup(arena, "somebody changes it");
    return arena_printf(
        arena, "%s%s%s changes %s", text_given(object->foreign_manager) ? "'" : "somebody",
        text_or_empty(object->foreign_manager), text_given(object->foreign_manager) ? "'" : "",
        text_given(object->foreign) ? object->foreign : "it");
}

static bool ends_pods(const struct snapshot *snapshot, const struct plan_action *action)
{
    if (api_child_kind_of(action->kind) != CHILD_STATEFUL_SET)
        return false;
    for (size_t i = 0; i < snapshot->instance_count; i++)
        if (text_same(snapshot->instances[i].name, action->name))
            return snapshot->instances[i].set_ends_pods;
    return false;
}

bool contests_holds(struct pass *pass, const struct plan_action *action)
{
    struct contest *contest = may_pause(action) ? find(pass->history, action) : NULL;
    if (contest == NULL)
        return false;
    free(contest->by);
    contest->by = xstrdup(who(pass->arena, &pass->snapshot, action));
    contest->at_once = ends_pods(&pass->snapshot, action);
    return clock_boot_ms() < contest->repaired_ms + pause_ms(contest);
}

/* To repair a field that someone else owns takes two actions: it is taken from them, then applied.
 * Together they are one round. */
static bool is_counted(const struct pass *pass, const struct plan_action *action)
{
    for (size_t i = 0; &pass->plan->actions[i] != action; i++)
        if (text_same(pass->plan->actions[i].kind, action->kind) &&
            text_same(pass->plan->actions[i].name, action->name) && pass->steps[i].tried &&
            pass->steps[i].err.class == 0)
            return true;
    return false;
}

void contests_note(struct pass *pass, const struct plan_action *action)
{
    struct history *history = pass->history;
    if (!may_pause(action) || is_counted(pass, action))
        return;
    struct contest *contest = find(history, action);
    if (contest == NULL) {
        contest = xcalloc(1, sizeof *contest);
        contest->kind = xstrdup(action->kind);
        contest->name = xstrdup(action->name);
        contest->by = xstrdup(who(pass->arena, &pass->snapshot, action));
        contest->next = history->contests;
        history->contests = contest;
    }
    contest->rounds++;
    contest->repaired_ms = clock_boot_ms();
}

static void report_one(struct pass *pass, const struct contest *contest)
{
    struct error err = {0};
    err_set_reason(&err, ERR_INVALID, REASON_OBJECT_CONTESTED,
                   contest->at_once ? "%s again each time it is set back; it is set back at once "
                                      "each time, because the change removes pods"
                                    : "%s again each time it is set back, so it is set back only "
                                      "after a pause, which grows to five minutes",
                   contest->by);
    pass_add_outcome(pass, contest->kind, contest->name, &err);
}

void contests_report(struct pass *pass)
{
    struct history *history = pass->history;
    for (struct contest **at = &history->contests; *at;) {
        if (clock_boot_ms() >= over_ms(*at)) {
            drop(at);
            continue;
        }
        if ((*at)->rounds >= ROUNDS_FREE)
            report_one(pass, *at);
        at = &(*at)->next;
    }
}

size_t contests_count(const struct history *history)
{
    size_t count = 0;
    for (const struct contest *contest = history->contests; contest; contest = contest->next)
        count++;
    return count;
}

int64_t contests_next_ms(const struct history *history)
{
    int64_t next_ms = INT64_MAX;
    for (const struct contest *contest = history->contests; contest; contest = contest->next) {
        int64_t held_ms = contest->repaired_ms + pause_ms(contest);
        int64_t due_ms = clock_boot_ms() < held_ms ? held_ms : over_ms(contest);
        if (contest->rounds >= ROUNDS_FREE && due_ms < next_ms)
            next_ms = due_ms;
    }
    return next_ms;
}
