/*
 * Events go after the writes that they are about: when a thousand clusters are applied at once,
 * their objects come first, with only a few Events; the other Events follow in small groups.
 */
#include "control/internal.h"

#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/timer.h"

enum {
    PATIENCE_MS = 60000, /* while there is other work, an Event waits at most so long */
    HURRY_COUNT = 4096,  /* and at most so many of them wait */
    WAITING_MAX = 16384, /* beyond this the oldest is dropped */
    AT_ONCE = 8,
    PAUSE_MS = 25,
    TRICKLE_MS = 250, /* while there is other work, one is sent this often */
    NO_TAKER_MS = 250 /* the pause while the API server accepts none */
};

struct queued_event {
    TAILQ_ENTRY(queued_event) link;
    int64_t since_ms; /* boot */
    const char *namespace, *name, *uid, *type, *reason, *note;
    char text[]; /* all of them, each ended by NUL */
};

static const char *put(char **at, const char *text)
{
    char *here = *at;
    *at = stpcpy(here, text) + 1;
    return here;
}

static void drop_first(struct control *control)
{
    struct queued_event *queued = TAILQ_FIRST(&control->events);
    TAILQ_REMOVE(&control->events, queued, link);
    control->event_count--;
    free(queued);
}

static void send_first(struct control *control)
{
    const struct queued_event *queued = TAILQ_FIRST(&control->events);
    kube_event_emit(control->kube, &(struct kube_event){.api_version = API_VERSION,
                                                        .kind = API_KIND,
                                                        .namespace = queued->namespace,
                                                        .name = queued->name,
                                                        .uid = queued->uid,
                                                        .type = queued->type,
                                                        .reason = queued->reason,
                                                        .note = queued->note,
                                                        .action = "Reconcile",
                                                        .controller = API_GROUP "/controller"});
    drop_first(control);
}

/* While passes run, Events go slowly, unless they have become too old or too many. None goes while
 * the client holds too many: it would drop the oldest (kube/kube.h). */
static void send_some(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct control *control = arg;
    bool taken = true;
    for (int i = 0; i < AT_ONCE && !TAILQ_EMPTY(&control->events); i++) {
        int64_t age_ms = clock_boot_ms() - TAILQ_FIRST(&control->events)->since_ms;
        if (control->active > 0 && age_ms < PATIENCE_MS && control->event_count < HURRY_COUNT &&
            clock_boot_ms() - control->event_ms < TRICKLE_MS)
            break;
        taken = kube_events_unsent(control->kube) < KUBE_EVENTS_UNSENT_MAX;
        if (!taken)
            break;
        send_first(control);
        control->event_ms = clock_boot_ms();
    }
    if (TAILQ_EMPTY(&control->events))
        return;
    timer_arm(control->event_timer, taken ? PAUSE_MS : NO_TAKER_MS);
}

void emit_start(struct control *control)
{
    TAILQ_INIT(&control->events);
    control->event_timer = evtimer_new(control->loop, send_some, control);
}

void emit_event(struct control *control, const struct apply_owner *about,
                const struct status_event *event)
{
    size_t room = strlen(about->namespace) + strlen(about->name) + strlen(about->uid) +
                  strlen(event->type) + strlen(event->reason) + strlen(event->message) + 6;
    struct queued_event *queued = xcalloc(1, sizeof *queued + room);
    char *at = queued->text;
    queued->since_ms = clock_boot_ms();
    queued->namespace = put(&at, about->namespace);
    queued->name = put(&at, about->name);
    queued->uid = put(&at, about->uid);
    queued->type = put(&at, event->type);
    queued->reason = put(&at, event->reason);
    queued->note = put(&at, event->message);
    if (control->event_count >= WAITING_MAX) {
        log_warning("too many Events wait for the API server: the oldest is dropped", NULL);
        drop_first(control);
    }
    TAILQ_INSERT_TAIL(&control->events, queued, link);
    control->event_count++;
    if (!evtimer_pending(control->event_timer, NULL))
        timer_arm(control->event_timer, PAUSE_MS);
}

void emit_stop(struct control *control)
{
    while (!TAILQ_EMPTY(&control->events))
        drop_first(control);
    event_free(control->event_timer);
}
