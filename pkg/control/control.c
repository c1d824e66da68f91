/* The event loop: leadership, due passes, start and end. */
#include "control/internal.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "loop/timer.h"

enum {
    LEASE_SECONDS = 15,
    FINISH_SECONDS = 10, /* how long passes under way may take after SIGTERM */
    RELEASE_SECONDS = 5,
    TRIM_AFTER_PASSES = 50,
    QUIET_S = 5
};

/* -- what is due ------------------------------------------------------------------------------- */

bool control_may_write(void *arg)
{
    const struct control *control = arg;
    return control->leads && (control->elect == NULL || kube_elect_leads(control->elect));
}

static bool may_start(const struct control *control)
{
    return control->leads && !control->stopping && control->platform_known &&
           observe_synced(control->observe) && control->active < PASSES_MAX;
}

void control_pump(struct control *control)
{
    struct queue_key *key;
    while (may_start(control) && (key = queue_next(control->queue, clock_boot_ms())) != NULL)
        reconcile_start(control, key);
    int64_t due_ms = queue_due(control->queue);
    if (!may_start(control) || due_ms == INT64_MAX)
        return;
    int64_t wait_ms = due_ms - clock_boot_ms();
    timer_set(NULL, control->pump_timer, wait_ms > 0 ? wait_ms : 0);
}

/* Cancels the passes of clusters that no longer exist: what they still write would be orphans. */
static void cull_passes(struct control *control)
{
    for (struct pass *pass = TAILQ_FIRST(&control->passes), *next; pass; pass = next) {
        next = TAILQ_NEXT(pass, link);
        const char *uid = observe_uid(control->observe, pass->key->namespace, pass->key->name);
        if (uid == NULL || strcmp(uid, pass->snapshot.spec.uid) != 0)
            pass_cancel(pass);
    }
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    cull_passes(arg);
    control_pump(arg);
}

/* Only from the event loop: a pass that ends inside a callback must not start the next one
 * there. */
static void pump_soon(struct control *control)
{
    event_active(control->pump_timer, EV_TIMEOUT, 0);
}

static void finish(struct control *control);

void control_pass_ended(struct control *control)
{
    /* Return the memory of a burst of passes to the system. */
    if (++control->passes_since_trim >= TRIM_AFTER_PASSES && control->active == 0) {
        control->passes_since_trim = 0;
        malloc_trim(0);
    }
    timer_arm(control->quiet_timer, QUIET_S * 1000);
    if (control->stopping)
        finish(control);
    else
        pump_soon(control);
}

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    const struct control *control = arg;
    if (control->active == 0)
        memory_give_back();
}

static void on_changed(void *arg, const char *namespace, const char *name)
{
    struct control *control = arg;
    queue_add(control->queue, namespace, name, clock_boot_ms());
    pump_soon(control);
}

static void on_synced(void *arg)
{
    struct control *control = arg;
    malloc_trim(0); /* the lists were large, and are freed now */
    log_info("caches are complete", NULL);
    pump_soon(control);
}

static void on_trouble(void *arg, const struct error *err)
{
    (void)arg;
    log_failure(err, "a watch failed; it is retried", NULL);
}

static void on_written(void *arg, enum apply_verb verb, const char *kind, const cJSON *object)
{
    struct control *control = arg;
    if (strcmp(kind, API_KIND) == 0)
        observe_status_written(control->observe, object);
    else if (verb == APPLY_MEND)
        observe_mended(control->observe, kind, object);
    else
        observe_written(control->observe, kind, object);
}

static void on_deleted(void *arg, const char *kind, const char *namespace, const char *name,
                       const char *uid, const cJSON *object)
{
    struct control *control = arg;
    observe_deleted(control->observe, kind, namespace, name, uid, object);
}

/* -- who leads --------------------------------------------------------------------------------- */

static void lead(void *arg)
{
    struct control *control = arg;
    log_info("leading", "identity", control->options->identity, NULL);
    control->leads = true;
    if (control->observe == NULL)
        control->observe = observe_new(
            &(struct observe_options){.kube = control->kube,
                                      .loop = control->loop,
                                      .namespaces = control->options->namespaces,
                                      .namespace_count = control->options->namespace_count,
                                      .changed = on_changed,
                                      .synced = on_synced,
                                      .trouble = on_trouble,
                                      .arg = control});
    pump_soon(control);
}

static void break_off_passes(struct control *control)
{
    struct pass *pass;
    while ((pass = TAILQ_FIRST(&control->passes)) != NULL)
        pass_cancel(pass);
}

static void step_down(void *arg, const char *why)
{
    struct control *control = arg;
    control->leads = false;
    break_off_passes(control);
    if (!control->stopping)
        log_warning("no longer leading", "why", why, NULL);
}

/* -- the end ----------------------------------------------------------------------------------- */

static void leave(void *arg)
{
    struct control *control = arg;
    event_base_loopbreak(control->loop);
}

/* Called when a pass has ended or the time for passes is over: once none runs, the lease is
 * released, and then the process ends. */
static void finish(struct control *control)
{
    if (control->active > 0 || control->releasing)
        return;
    control->releasing = true;
    if (control->elect == NULL) {
        leave(control);
        return;
    }
    timer_arm(control->stop_timer, RELEASE_SECONDS * 1000);
    kube_elect_release(control->elect, leave, control);
}

static void on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct control *control = arg;
    if (control->releasing) {
        leave(control);
        return;
    }
    break_off_passes(control);
    finish(control);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct control *control = arg;
    if (control->stopping) {
        leave(control); /* a second signal: end at once */
        return;
    }
    log_info("stopping", "signal", number == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
    control->stopping = true;
    timer_arm(control->stop_timer, FINISH_SECONDS * 1000);
    finish(control);
}

/* -- the beginning ----------------------------------------------------------------------------- */

static void start_election(struct control *control)
{
    const struct control_options *options = control->options;
    if (!options->leader_elect) {
        lead(control);
        return;
    }
    log_info("asking for the lease", "lease", "pgkeel-controller", "namespace",
             options->lease_namespace, "identity", options->identity, NULL);
    control->elect = kube_elect_new(
        control->kube, &(struct kube_elect_options){.namespace = options->lease_namespace,
                                                    .name = "pgkeel-controller",
                                                    .identity = options->identity,
                                                    .lease_seconds = LEASE_SECONDS,
                                                    .started = lead,
                                                    .stopped = step_down,
                                                    .arg = control});
}

static void start(struct control *control)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        control->signals[i] = evsignal_new(control->loop, numbers[i], on_signal, control);
        evsignal_add(control->signals[i], NULL);
    }
    control->pump_timer = evtimer_new(control->loop, on_pump, control);
    control->stop_timer = evtimer_new(control->loop, on_stop_timer, control);
    control->quiet_timer = evtimer_new(control->loop, on_quiet, control);
    control->queue = queue_new();
    control->apply = apply_new(&(struct apply_options){.kube = control->kube,
                                                       .loop = control->loop,
                                                       .max_in_flight = WRITES_MAX,
                                                       .may_write = control_may_write,
                                                       .written = on_written,
                                                       .deleted = on_deleted,
                                                       .arg = control});
    emit_start(control);
    pages_start(control);
    platform_start(control);
    start_election(control);
}

static void stop(struct control *control)
{
    break_off_passes(control);
    emit_stop(control);
    pages_stop(control);
    kube_elect_free(control->elect);
    observe_free(control->observe);
    kube_call_cancel(control->platform_call);
    apply_free(control->apply);
    queue_free(control->queue, history_free);
    struct event *events[] = {control->pump_timer,  control->platform_timer, control->stop_timer,
                              control->quiet_timer, control->signals[0],     control->signals[1]};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        event_free(events[i]);
}

int control_run(const struct control_options *options, struct error *err)
{
    /* Arenas consist of blocks of up to 256 KiB that live for one pass. Mapped one by one, they
     * leave no holes in the heap, in whatever order passes end. */
    mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    memory_give_back();
    struct control control = {.options = options, .loop = event_base_new()};
    if (control.loop == NULL)
        return err_set(err, ERR_INTERNAL, "cannot create an event loop");
    TAILQ_INIT(&control.passes);
    int result = kube_new(control.loop, options->config, "pgkeel-controller", &control.kube, err);
    if (result == 0) {
        start(&control);
        event_base_dispatch(control.loop);
        stop(&control);
        kube_free(control.kube);
        *err = control.failure;
        result = control.failure.class;
    }
    event_base_free(control.loop);
    return result;
}
