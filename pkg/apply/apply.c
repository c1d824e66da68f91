#include "apply/apply.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "api/foreign.h"
#include "api/names.h"
#include "loop/pause.h"
#include "loop/timer.h"
#include "phrase/phrase.h"

enum {
    TRIES = 3, /* of a vital write, in one run */
    REPEAT_FIRST_MS = 200,
    REPEAT_LONGEST_MS = 800,
};

struct job {
    TAILQ_ENTRY(job) link; /* in apply->waiting while it is queued */
    struct apply_run *run;
    struct apply_step *step;
    struct kube_call *call;
    struct event *pause; /* before a repeat; NULL until there is one */
    int tries;
    bool queued, running;
    char *uid; /* of the object that was found, malloced; NULL: the step's own */
};

struct apply_run {
    TAILQ_ENTRY(apply_run) link;
    struct apply *apply;
    const struct apply_owner *owner;
    struct apply_step *steps;
    size_t count;
    struct job *jobs;
    size_t open;     /* jobs of the current wave that have not ended */
    int wave;        /* the current one */
    bool cut_off;    /* the server cannot be reached, or we may not write */
    bool pods_stay;  /* what pods are made from could not be written */
    bool ended;      /* a vital step failed: nothing of a later wave is begun */
    int ended_after; /* the wave of that step */
    void (*done)(void *arg);
    void *arg;
};

struct apply {
    struct apply_options options;
    struct event *tick; /* everything starts and ends through the loop, so that nothing recurses */
    int in_flight;
    int64_t writes;
    TAILQ_HEAD(, job) waiting;
    TAILQ_HEAD(, apply_run) runs;
};

static void on_tick(evutil_socket_t fd, short what, void *arg);

struct apply *apply_new(const struct apply_options *options)
{
    struct apply *apply = xcalloc(1, sizeof *apply);
    apply->options = *options;
    apply->tick = evtimer_new(options->loop, on_tick, apply);
    TAILQ_INIT(&apply->waiting);
    TAILQ_INIT(&apply->runs);
    return apply;
}

void apply_free(struct apply *apply)
{
    if (apply == NULL)
        return;
    event_free(apply->tick);
    free(apply);
}

int apply_in_flight(const struct apply *apply)
{
    return apply->in_flight;
}

int64_t apply_writes(const struct apply *apply)
{
    return apply->writes;
}

static void kick(struct apply *apply)
{
    event_active(apply->tick, EV_TIMEOUT, 0);
}

static void free_run(struct apply_run *run)
{
    TAILQ_REMOVE(&run->apply->runs, run, link);
    for (size_t i = 0; i < run->count; i++) {
        free(run->jobs[i].uid);
        timer_freep(&run->jobs[i].pause);
    }
    free(run->jobs);
    free(run);
}

static const char *verb_text(const struct apply_step *step)
{
    static const char *const texts[] = {
        [APPLY_CREATE] = "create", [APPLY_UPDATE] = "apply", [APPLY_POST] = "create",
        [APPLY_MEND] = "mend",     [APPLY_MERGE] = "patch",  [APPLY_STATUS] = "write status of",
        [APPLY_DELETE] = "delete"};
    return texts[step->verb];
}

/* A refusal of one object does not affect the others; an API server that does not answer does. */
static bool is_cut_off(int class)
{
    return class == ERR_TRANSPORT || class == ERR_TIMEOUT || class == ERR_OVERLOADED;
}

/* Server-side apply with the uid of an object that was replaced meanwhile is refused as a change of
 * an immutable field (422). It only means that the object must be read again. */
static bool is_replaced(const struct error *err)
{
    return err->class == ERR_INVALID && phrase_is_in(PHRASE_K8S_UID_CHANGED, err->text);
}

static void enqueue(struct job *job)
{
    job->queued = true;
    TAILQ_INSERT_TAIL(&job->run->apply->waiting, job, link);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct job *job = arg;
    enqueue(job);
    kick(job->run->apply);
}

/*
 * A later wave depends on a vital write, so a hiccup there would cost a whole pass and its pause.
 * It is not repeated when the object must be read again first, or when the server asked us to wait.
 */
static bool may_repeat(const struct job *job, const struct error *err)
{
    return job->step->vital && job->tries < TRIES && err->retry_after_ms == 0 &&
           (err->class == ERR_INTERNAL || err->class == ERR_OVERLOADED);
}

static void repeat_later(struct job *job)
{
    struct apply *apply = job->run->apply;
    if (job->pause == NULL)
        job->pause = evtimer_new(apply->options.loop, on_pause_over, job);
    timer_arm(job->pause,
              (int)pause_doubled_ms(REPEAT_FIRST_MS, REPEAT_LONGEST_MS, 2 * (job->tries - 1)));
    kick(apply);
}

/* A failure stops only what depends on it: everything while the server is away, pods after a failed
 * StatefulSet, later waves after a vital step. */
static void end_job(struct job *job, const struct error *err)
{
    struct apply_run *run = job->run;
    struct apply *apply = run->apply;
    struct apply_step *step = job->step;
    job->call = NULL;
    job->running = false;
    apply->in_flight--;
    job->tries++;
    if (may_repeat(job, err)) {
        repeat_later(job);
        return;
    }
    step->tried = true;
    step->err = *err;
    if (err->class < 0) {
        err_wrap(&step->err, "%s %s '%s/%s'", verb_text(step), step->kind, run->owner->namespace,
                 step->name);
        if (is_replaced(err))
            step->err.class = ERR_CONFLICT;
        run->cut_off = run->cut_off || is_cut_off(err->class);
        const struct child_info *child = api_child_info_of(step->kind);
        run->pods_stay = run->pods_stay || (child != NULL && child->pods_wait);
        if (step->vital) {
            run->ended = true;
            run->ended_after = run->wave;
        }
    }
    run->open--;
    kick(apply);
}

static void on_written(void *arg, const cJSON *body, const struct error *err)
{
    struct job *job = arg;
    const struct apply_options *options = &job->run->apply->options;
    if (err->class == 0) {
        job->run->apply->writes++;
        if (options->written)
            options->written(options->arg, job->step->verb, job->step->kind, body);
    }
    end_job(job, err);
}

static void on_deleted(void *arg, const cJSON *body, const struct error *err)
{
    struct job *job = arg;
    const struct apply_options *options = &job->run->apply->options;
    static const struct error fine;
    bool gone = err->class == ERR_NOT_FOUND;
    bool whole = strcmp(json_str(body, "kind", "Status"), "Status") != 0;
    if (err->class == 0 || gone) {
        job->run->apply->writes++;
        if (options->deleted)
            options->deleted(options->arg, job->step->kind, job->run->owner->namespace,
                             job->step->name, job->step->uid ? job->step->uid : "",
                             whole ? body : NULL);
    }
    end_job(job, gone ? &fine : err);
}

/* True when we may; else the job is over. */
static bool allowed(struct job *job)
{
    const struct apply_options *options = &job->run->apply->options;
    if (options->may_write == NULL || options->may_write(options->arg))
        return true;
    struct error err = {0};
    err_set(&err, ERR_CONFLICT, "another operator leads");
    job->run->cut_off = true;
    end_job(job, &err);
    return false;
}

static const cJSON *body_of(struct arena *scratch, const struct job *job)
{
    const struct apply_step *step = job->step;
    const char *uid = job->uid ? job->uid : step->uid;
    if (step->verb == APPLY_DELETE)
        return kube_delete_options(scratch, uid && *uid ? uid : NULL, -1);
    if (step->verb == APPLY_POST || step->verb == APPLY_MERGE || uid == NULL || *uid == '\0')
        return step->object;
    cJSON *body = json_copy(scratch, step->object);
    json_set_str(json_add_object(body, "metadata"), "uid", uid);
    return body;
}

/* A kind whose row says so is created by POST, so that a write never takes over an existing object.
 */
static void send_write(struct job *job)
{
    const struct apply_step *step = job->step;
    const struct apply_run *run = job->run;
    if (!allowed(job))
        return;
    AUTO_ARENA scratch = arena_new();
    const struct kube_kind *kind = kube_kind_find(step->api_version, step->kind);
    const struct child_info *child = api_child_info_of(step->kind);
    bool create = step->verb == APPLY_POST || (step->verb == APPLY_CREATE && job->uid == NULL &&
                                               child != NULL && child->created_by_post);
    struct kube_request request = {.method = KUBE_PATCH_APPLY,
                                   .path = kube_path(scratch, kind, run->owner->namespace,
                                                     create ? NULL : step->name,
                                                     step->verb == APPLY_STATUS ? "status" : NULL),
                                   .query = kube_apply_query(scratch, FIELD_MANAGER, true),
                                   .body = body_of(scratch, job)};
    if (create || step->verb == APPLY_MERGE) {
        request.method = create ? KUBE_POST : KUBE_PATCH_MERGE;
        request.query = "fieldManager=" FIELD_MANAGER;
    } else if (step->verb == APPLY_DELETE) {
        request.method = KUBE_DELETE;
        request.query = NULL;
    }
    job->call = kube_call_start(run->apply->options.kube, &request,
                                step->verb == APPLY_DELETE ? on_deleted : on_written, job);
}

static void on_looked(void *arg, const cJSON *body, const struct error *err)
{
    struct job *job = arg;
    struct error mine = *err;
    job->call = NULL;
    if (err->class == 0 && apply_may_take(job->run->owner, job->step->kind, body, &mine) == 0)
        job->uid = xstrdup(json_str(body, "metadata.uid", ""));
    else if (err->class != ERR_NOT_FOUND) {
        end_job(job, &mine);
        return;
    }
    send_write(job);
}

static void look_first(struct job *job)
{
    AUTO_ARENA scratch = arena_new();
    const struct apply_step *step = job->step;
    const struct kube_request request = {
        .method = KUBE_GET,
        .path = kube_path(scratch, kube_kind_find(step->api_version, step->kind),
                          job->run->owner->namespace, step->name, NULL),
        .metadata_only = true};
    job->call = kube_call_start(job->run->apply->options.kube, &request, on_looked, job);
}

/* The patch is computed from the object as it is now, and carries its uid and resourceVersion: it
 * removes nothing that changed in between. */
static void on_mend(void *arg, const cJSON *body, const struct error *err)
{
    struct job *job = arg;
    const struct apply_step *step = job->step;
    const struct apply_run *run = job->run;
    struct error mine = *err;
    AUTO_ARENA scratch = arena_new();
    job->call = NULL;
    if (err->class == 0 && strcmp(json_str(body, "metadata.uid", ""), step->uid) != 0)
        err_set(&mine, ERR_CONFLICT, "an object of the same name has replaced it");
    const cJSON *patch =
        mine.class < 0 ? NULL : api_foreign_patch(scratch, step->kind, step->object, body);
    if (patch == NULL) {
        end_job(job, &mine);
        return;
    }
    if (!allowed(job))
        return;
    const struct kube_request request = {
        .method = KUBE_PATCH_MERGE,
        .path = kube_path(scratch, kube_kind_find(step->api_version, step->kind),
                          run->owner->namespace, step->name, NULL),
        .query = "fieldManager=" FIELD_MANAGER,
        .body = patch};
    job->call = kube_call_start(run->apply->options.kube, &request, on_written, job);
}

static void read_and_mend(struct job *job)
{
    AUTO_ARENA scratch = arena_new();
    const struct apply_step *step = job->step;
    const struct kube_request request = {
        .method = KUBE_GET,
        .path = kube_path(scratch, kube_kind_find(step->api_version, step->kind),
                          job->run->owner->namespace, step->name, NULL)};
    job->call = kube_call_start(job->run->apply->options.kube, &request, on_mend, job);
}

static bool held_back(const struct apply_run *run, const struct apply_step *step)
{
    const struct child_info *child = api_child_info_of(step->kind);
    return run->cut_off || (run->ended && step->wave > run->ended_after) ||
           (run->pods_stay && step->verb == APPLY_DELETE && child != NULL && child->recreated);
}

/* Starts what waits, as far as the bound allows. */
static void pump(struct apply *apply)
{
    struct job *job;
    while (apply->in_flight < apply->options.max_in_flight &&
           (job = TAILQ_FIRST(&apply->waiting)) != NULL) {
        TAILQ_REMOVE(&apply->waiting, job, link);
        job->queued = false;
        if (held_back(job->run, job->step)) { /* since it was queued */
            job->run->open--;
            kick(apply);
            continue;
        }
        job->running = true;
        apply->in_flight++;
        if (job->step->verb == APPLY_CREATE)
            look_first(job);
        else if (job->step->verb == APPLY_MEND)
            read_and_mend(job);
        else
            send_write(job);
    }
}

/* The lowest wave above the current one; false when there is none. */
static bool next_wave(const struct apply_run *run, int *ret_wave)
{
    bool found = false;
    for (size_t i = 0; i < run->count; i++) {
        int wave = run->steps[i].wave;
        if (wave > run->wave && (!found || wave < *ret_wave)) {
            *ret_wave = wave;
            found = true;
        }
    }
    return found;
}

/* Queues the next wave that has something to do; false when there is none. */
static bool queue_wave(struct apply_run *run)
{
    int wave = 0;
    while (run->open == 0 && next_wave(run, &wave)) {
        run->wave = wave;
        for (size_t i = 0; i < run->count; i++) {
            struct job *job = &run->jobs[i];
            if (job->step->wave != wave || held_back(run, job->step))
                continue;
            run->open++;
            enqueue(job);
        }
    }
    return run->open > 0;
}

/* A run whose wave has ended, moved on to the next wave; one that has none left is returned. */
static struct apply_run *ended_run(struct apply *apply)
{
    struct apply_run *run;
    TAILQ_FOREACH(run, &apply->runs, link)
    {
        if (run->open == 0 && !queue_wave(run))
            return run;
    }
    return NULL;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct apply *apply = arg;
    struct apply_run *run;
    while ((run = ended_run(apply)) != NULL) {
        void (*done)(void *arg) = run->done;
        void *done_arg = run->arg;
        free_run(run);
        done(done_arg);
    }
    pump(apply);
}

struct apply_run *apply_start(struct apply *apply, const struct apply_owner *owner,
                              struct apply_step *steps, size_t count, void (*done)(void *arg),
                              void *arg)
{
    struct apply_run *run = xcalloc(1, sizeof *run);
    *run = (struct apply_run){.apply = apply,
                              .owner = owner,
                              .steps = steps,
                              .count = count,
                              .jobs = xcalloc(count, sizeof *run->jobs),
                              .wave = INT_MIN,
                              .done = done,
                              .arg = arg};
    for (size_t i = 0; i < count; i++)
        run->jobs[i] = (struct job){.run = run, .step = &steps[i]};
    TAILQ_INSERT_TAIL(&apply->runs, run, link);
    kick(apply);
    return run;
}

void apply_cancel(struct apply_run *run)
{
    if (run == NULL)
        return;
    struct apply *apply = run->apply;
    for (size_t i = 0; i < run->count; i++) {
        struct job *job = &run->jobs[i];
        if (job->queued)
            TAILQ_REMOVE(&apply->waiting, job, link);
        if (job->running) {
            kube_call_cancel(job->call);
            apply->in_flight--;
        }
    }
    free_run(run);
    kick(apply);
}

/* The server checks a RoleBinding against its Role, which must exist by then. */
static int wave_of(const struct plan_action *action)
{
    const struct child_info *child = api_child_info_of(action->kind);
    return action->wave + (child != NULL && child->one_wave_later);
}

struct apply_step *apply_steps(struct arena *arena, const struct plan *plan)
{
    static const enum apply_verb verbs[] = {[PLAN_CREATE] = APPLY_CREATE,
                                            [PLAN_APPLY] = APPLY_UPDATE,
                                            [PLAN_RESTORE] = APPLY_MERGE,
                                            [PLAN_MEND] = APPLY_MEND,
                                            [PLAN_DELETE] = APPLY_DELETE};
    struct apply_step *steps = arena_alloc(arena, (plan->count + 1) * sizeof *steps);
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_action *action = &plan->actions[i];
        steps[i] = (struct apply_step){.verb = verbs[action->verb],
                                       .api_version = action->api_version,
                                       .kind = action->kind,
                                       .name = action->name,
                                       .uid = action->uid,
                                       .object = action->object,
                                       .wave = wave_of(action)};
    }
    return steps;
}
