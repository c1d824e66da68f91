/*
 * One pass over one cluster: observe, model, desired, plan, apply, status. Nothing here decides
 * anything about PostgreSQL; this file only calls the rooms in order.
 */
#include "control/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/pause.h"

enum { TERMINATING_MS = 60000 };

/* -- observe ----------------------------------------------------------------------------------- */

/* False when the cluster does not exist. Another uid under the same name is another cluster, so
 * that nothing that was remembered applies to it. */
static bool pass_observe(struct pass *pass)
{
    struct control *control = pass->control;
    const struct queue_key *key = pass->key;
    struct snapshot *snapshot = &pass->snapshot;
    pass->there = observe_snapshot(control->observe, pass->arena, key->namespace, key->name,
                                   &control->options->defaults, snapshot);
    if (!pass->there)
        return false;
    pass->digest = observe_digest(control->observe, key->namespace, key->name);
    pass->history = history_of(pass->key);
    if (pass->history->uid == NULL || strcmp(pass->history->uid, snapshot->spec.uid) != 0)
        history_reset(pass->history, snapshot->spec.uid);
    pass->owner = (struct apply_owner){key->namespace, key->name, snapshot->spec.uid};
    snapshot->namespace_terminating = clock_boot_ms() < pass->history->terminating_until_ms;
    snapshot->ipv6 = platform_ipv6(control->options->config->server);
    snapshot->image_volumes = control->image_volumes;
    snapshot->agent_image = control->agent_image;
    observe_diagnose(control->observe, key->namespace, key->name);
    return true;
}

/* -- model, desired, plan ---------------------------------------------------------------------- */

static struct model *build_model(struct pass *pass)
{
    struct snapshot *snapshot = &pass->snapshot;
    struct arena *arena = pass->arena;
    if (snapshot->faults.count > 0)
        return model_build(arena, snapshot, NULL, NULL, clock_wall_ms());
    const char **hashes = arena_alloc(arena, (snapshot->instance_count + 1) * sizeof *hashes);
    for (size_t i = 0; i < snapshot->instance_count; i++)
        hashes[i] = desired_template_hash(arena, snapshot, snapshot->instances[i].name);
    return model_build(arena, snapshot, hashes, desired_config_hash(arena, snapshot),
                       clock_wall_ms());
}

/* Decides everything, from the snapshot. While the state of the Secrets is unknown, nothing is
 * written: objects that depend on it would be incomplete. */
static void decide(struct pass *pass)
{
    if (pass->history->credentials_known)
        pass->snapshot.credentials = pass->history->credentials;
    pass->model = build_model(pass);
    if (pass->snapshot.faults.count > 0 || !pass->history->credentials_known) {
        pass->plan = arena_alloc(pass->arena, sizeof *pass->plan);
        return;
    }
    pass->desired = desired_build(pass->arena, pass->model);
    pass->plan = plan_diff(pass->arena, pass->model, &pass->desired);
}

/* -- status ------------------------------------------------------------------------------------ */

static struct apply_step status_step(struct pass *pass, const cJSON *status, int wave)
{
    cJSON *object = json_object(pass->arena);
    json_set_str(object, "apiVersion", API_VERSION);
    json_set_str(object, "kind", API_KIND);
    json_set_str(json_add_object(object, "metadata"), "name", pass->key->name);
    json_set_str(json_add_object(object, "metadata"), "namespace", pass->key->namespace);
    json_set_copy(object, "status", status);
    return (struct apply_step){.verb = APPLY_STATUS,
                               .api_version = API_VERSION,
                               .kind = API_KIND,
                               .name = pass->key->name,
                               .uid = pass->snapshot.spec.uid,
                               .object = object,
                               .wave = wave};
}

static void emit_events(struct pass *pass, const struct status_result *result, bool written)
{
    for (size_t i = 0; i < result->event_count; i++)
        if (written || result->events[i].done)
            emit_event(pass->control, &pass->owner, &result->events[i]);
}

void pass_failed(struct pass *pass, const struct error *err)
{
    bool away =
        err->class == ERR_TRANSPORT || err->class == ERR_TIMEOUT || err->class == ERR_OVERLOADED;
    if (err->class < 0 && (pass->worst.class == 0 || away))
        pass->worst = *err;
}

/* -- apply ------------------------------------------------------------------------------------- */

static void log_done(const struct pass *pass, const struct plan_action *action)
{
    static const char *const verbs[] = {"created", "applied", "restored", "mended", "deleted"};
    (action->verb == PLAN_CREATE ? log_debug : log_info)(
        verbs[action->verb], "namespace", pass->key->namespace, "cluster", pass->key->name, "kind",
        action->kind, "name", action->name, "why", action->reason, NULL);
}

/* A step that was not tried has no outcome: status must not report what did not happen. */
static void on_applied(void *arg)
{
    struct pass *pass = arg;
    pass->run = NULL;
    for (size_t i = 0; i < pass->sent; i++) {
        const struct apply_step *step = &pass->steps[i];
        if (!step->tried)
            continue;
        pass->outcomes[pass->outcome_count++] =
            (struct status_outcome){&pass->plan->actions[i], step->err};
        pass_failed(pass, &step->err);
        refusals_note(pass, &pass->plan->actions[i], &step->err);
        if (step->err.class == 0) {
            log_done(pass, &pass->plan->actions[i]);
            refusals_end_pause(pass->history, &pass->plan->actions[i]);
            contests_note(pass, &pass->plan->actions[i]);
        }
    }
    const struct apply_step *early = &pass->steps[pass->sent];
    if (pass->step_count > pass->sent && early->tried && early->err.class == 0) {
        pass->snapshot.status = pass->early.status;
        emit_events(pass, &pass->early, true);
    }
    reconcile_once(pass);
}

/* A new generation is announced in status (Ready=False) together with its first writes, not after
 * all of them. When there is nothing to write, or no status yet that could say Ready, the report at
 * the end is early enough. */
static bool needs_announcement(struct pass *pass)
{
    int64_t observed = json_int(pass->snapshot.status, "observedGeneration", 0);
    if (pass->snapshot.status == NULL || observed >= pass->snapshot.spec.generation)
        return false;
    pass->early = status_build(pass->arena, pass->model, pass->plan, NULL, 0, clock_wall_ms());
    return pass->early.changed;
}

static void pass_apply(struct pass *pass)
{
    pass->steps = apply_steps(pass->arena, pass->plan);
    pass->step_count = pass->sent;
    if (needs_announcement(pass))
        pass->steps[pass->step_count++] =
            status_step(pass, pass->early.status, pass->steps[0].wave);
    pass->run = apply_start(pass->control->apply, &pass->owner, pass->steps, pass->step_count,
                            on_applied, pass);
}

/* -- a namespace that is being deleted --------------------------------------------------------- */

static void on_namespace(void *arg, const cJSON *body, const struct error *err)
{
    struct pass *pass = arg;
    (void)err; /* without the right to read Namespaces, the refusal itself is reported */
    pass->namespace_call = NULL;
    if (json_get(body, "metadata.deletionTimestamp") != NULL) {
        pass->history->terminating_until_ms = clock_boot_ms() + TERMINATING_MS;
        pass->snapshot.namespace_terminating = true;
        pass->outcome_count = 0; /* the one cause is reported, not each consequence */
        pass->plan = arena_alloc(pass->arena, sizeof *pass->plan);
        pass->model = build_model(pass);
        pass->worst = (struct error){0};
    }
    reconcile_once(pass);
}

void pass_add_outcome(struct pass *pass, const char *kind, const char *name,
                      const struct error *err)
{
    struct plan_action *action = arena_alloc(pass->arena, sizeof *action);
    *action = (struct plan_action){.verb = PLAN_MEND,
                                   .kind = arena_strdup(pass->arena, kind),
                                   .name = arena_strdup(pass->arena, name),
                                   .effect = ""};
    pass->outcomes[pass->outcome_count++] = (struct status_outcome){action, *err};
}

/* True when the namespace is being read: something was forbidden, and a namespace that is being
 * deleted would explain it. */
static bool pass_judge(struct pass *pass)
{
    if (pass->credentials_err.class < 0) {
        pass->outcomes[pass->outcome_count++] =
            (struct status_outcome){NULL, pass->credentials_err};
        pass_failed(pass, &pass->credentials_err);
    }
    /* Unlike other failures of that search, this one does not pass by itself. */
    if (pass->routes_err.class == ERR_FORBIDDEN)
        pass_add_outcome(pass, api_child_infos[CHILD_SERVICE].kind,
                         name_child(pass->arena, pass->key->name, "rw"), &pass->routes_err);
    pass_failed(pass, &pass->routes_err);
    contests_report(pass);
    bool forbidden = false;
    for (size_t i = 0; i < pass->outcome_count; i++)
        forbidden = forbidden || pass->outcomes[i].err.class == ERR_FORBIDDEN;
    if (!forbidden)
        return false;
    const struct kube_request request = {.method = KUBE_GET,
                                         .path = kube_path(pass->arena,
                                                           kube_kind_find("v1", "Namespace"), NULL,
                                                           pass->key->namespace, NULL),
                                         .metadata_only = true};
    pass->namespace_call = kube_call_start(pass->control->kube, &request, on_namespace, pass);
    return true;
}

/* -- report ------------------------------------------------------------------------------------ */

static void on_reported(void *arg)
{
    struct pass *pass = arg;
    pass->run = NULL;
    pass_failed(pass, &pass->steps[0].err);
    emit_events(pass, &pass->late, pass->steps[0].tried && pass->steps[0].err.class == 0);
    reconcile_once(pass);
}

/* True when the status is being written. */
static bool pass_report(struct pass *pass)
{
    if (pass->worst.class == ERR_TRANSPORT || pass->worst.class == ERR_TIMEOUT)
        return false; /* the API server cannot be reached: nothing can be written */
    pass->late = status_build(pass->arena, pass->model, pass->plan, pass->outcomes,
                              pass->outcome_count, clock_wall_ms());
    if (!pass->late.changed) {
        emit_events(pass, &pass->late, true);
        return false;
    }
    pass->steps = arena_alloc(pass->arena, sizeof *pass->steps);
    pass->steps[0] = status_step(pass, pass->late.status, 0);
    pass->run = apply_start(pass->control->apply, &pass->owner, pass->steps, 1, on_reported, pass);
    return true;
}

/* -- the end ----------------------------------------------------------------------------------- */

static int64_t wall_to_boot(int64_t wall_ms)
{
    int64_t away = wall_ms - clock_wall_ms();
    return clock_boot_ms() + (away > 0 ? away : 0);
}

/* When the next pass starts without an event. */
static int64_t next_look(const struct pass *pass)
{
    int64_t resync_ms = pass->control->options->resync_seconds * INT64_C(1000);
    int64_t next_ms =
        clock_boot_ms() + pause_jittered_ms(resync_ms * 9 / 10, resync_ms * 11 / 10, arc4random());
    int64_t due[] = {INT64_MAX,
                     INT64_MAX,
                     INT64_MAX,
                     INT64_MAX,
                     recheck_next_ms(pass),
                     routes_next_ms(pass),
                     refusals_next_ms(pass->history),
                     contests_next_ms(pass->history)};
    if (pass->model && pass->model->next_ms > 0)
        due[0] = wall_to_boot(pass->model->next_ms);
    if (pass->history->renew_ms > 0)
        due[1] = wall_to_boot(pass->history->renew_ms);
    if (pass->history->credentials_known &&
        (!pass->history->credentials.complete || secrets_missed(pass)))
        due[2] = clock_boot_ms() + CREDENTIALS_RETRY_MS;
    if (pass->history->terminating_until_ms > clock_boot_ms())
        due[3] = pass->history->terminating_until_ms;
    /* With jitter, so that clusters of one burst spread out. */
    for (int i = 4; i < 6; i++) {
        int64_t left_ms = due[i] - clock_boot_ms();
        if (due[i] != INT64_MAX && left_ms > 0)
            due[i] += pause_jittered_ms(0, left_ms * 2 / 9, arc4random());
    }
    for (size_t i = 0; i < sizeof due / sizeof due[0]; i++)
        next_ms = due[i] < next_ms ? due[i] : next_ms;
    /* A millisecond later, so that the due time is past by then. */
    return next_ms + 1;
}

static void free_pass(struct pass *pass)
{
    TAILQ_REMOVE(&pass->control->passes, pass, link);
    pass->control->active--;
    arena_free(pass->arena);
    free(pass);
}

/* The key of a cluster that is gone is removed, unless there was a change during this pass: the
 * cluster may have been created again. */
static void pass_end(struct pass *pass)
{
    struct control *control = pass->control;
    struct queue_key *key = pass->key;
    int64_t now_ms = clock_boot_ms();
    control->passes_done++;
    if (!pass->there) {
        bool again = key->again;
        queue_done(control->queue, key, &(struct queue_verdict){.next_ms = INT64_MAX}, now_ms);
        if (!again)
            queue_remove(control->queue, key, history_free);
    } else {
        control->passes_failed += pass->worst.class < 0;
        if (refusals_is_news(pass->history, &pass->worst)) {
            log_failure(&pass->worst, "pass failed", "namespace", key->namespace, "cluster",
                        key->name, NULL);
        }
        queue_done(control->queue, key,
                   &(struct queue_verdict){.next_ms = next_look(pass),
                                           .class = pass->worst.class,
                                           .retry_after_ms = pass->worst.retry_after_ms},
                   now_ms);
    }
    free_pass(pass);
    control_pass_ended(control);
}

void pass_cancel(struct pass *pass)
{
    secrets_cancel(pass);
    control_lease_cancel(pass);
    kube_call_cancel(pass->namespace_call);
    apply_cancel(pass->run);
    queue_return(pass->control->queue, pass->key, clock_boot_ms());
    free_pass(pass);
}

/* The steps of a pass in order. A step that waits for the API server returns; its answer calls this
 * again, which continues with the next step. */
void reconcile_once(void *arg)
{
    struct pass *pass = arg;
    switch (pass->step) {
    case PASS_OBSERVE:
        pass->step = PASS_ROUTES;
        if (!pass_observe(pass))
            break;
        if (control_lease_due(pass)) {
            control_lease_start(pass);
            return;
        }
        if (secrets_due(pass)) {
            secrets_start(pass);
            return;
        }
        if (recheck_due(pass)) {
            recheck_start(pass);
            return;
        }
        /* fall through */
    case PASS_ROUTES:
        pass->step = PASS_DECIDE;
        if (routes_due(pass)) {
            routes_start(pass);
            return;
        }
        /* fall through */
    case PASS_DECIDE:
        pass->step = PASS_JUDGE;
        decide(pass); /* model, desired, plan */
        /* Besides the outcomes of the plan: one of the Secrets, one of the routes, and one for each
         * contest, including those that begin in this pass. */
        pass->outcomes =
            arena_alloc(pass->arena, (2 * pass->plan->count + contests_count(pass->history) + 2) *
                                         sizeof *pass->outcomes);
        pass->sent = refusals_hold(pass);
        if (pass->sent > 0) {
            pass_apply(pass);
            return;
        }
        /* fall through */
    case PASS_JUDGE:
        pass->step = PASS_REPORT;
        if (pass_judge(pass))
            return;
        /* fall through */
    case PASS_REPORT:
        pass->step = PASS_END;
        if (pass_report(pass))
            return;
        break;
    case PASS_END:
        break;
    }
    pass_end(pass);
}

void reconcile_start(struct control *control, struct queue_key *key)
{
    struct pass *pass = xcalloc(1, sizeof *pass);
    *pass = (struct pass){.control = control, .key = key, .arena = arena_new()};
    TAILQ_INSERT_TAIL(&control->passes, pass, link);
    control->active++;
    reconcile_once(pass);
}
