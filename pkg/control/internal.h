/* What the files of the room control share. Nothing outside includes it. */
#pragma once

#include <event2/event.h>
#include <sys/queue.h>

#include "apply/apply.h"
#include "control/control.h"
#include "loop/queue.h"
#include "credentials/credentials.h"
#include "observe/observe.h"
#include "status/status.h"

/* Passes under way at once: enough to keep the API server busy, few enough to stay small. */
enum { PASSES_MAX = 12, WRITES_MAX = 32, CREDENTIALS_RETRY_MS = 10000 };

/* The Secrets of a cluster. */
enum cluster_secret {
    SECRET_SUPERUSER,
    SECRET_APP,
    SECRET_REPLICATION,
    SECRET_CA,
    SECRET_SERVER,
    SECRET_VERIFIERS,
    SECRETS,
};

/* What is remembered of a cluster between passes; queue_key.data. */
struct history {
    char *uid; /* of the cluster object; for another uid nothing is remembered */
    struct seen_credentials credentials; /* texts are malloced or constants; see history.c */
    bool credentials_known;
    int64_t read_ms;               /* boot: when the Secrets were last read */
    int64_t renew_ms;              /* wall: when a certificate is due */
    uint64_t read_digest;          /* observe_digest() when they were read */
    int64_t rechecked_ms;          /* boot: when their versions were last read */
    char versions[17];             /* hash of the versions that were read; "": read them again */
    int64_t routed_ms;             /* boot: when strays (routes.c) were last looked for */
    int64_t routes_often_until_ms; /* boot: until then they are looked for often */
    int64_t terminating_until_ms;  /* boot: until then the namespace counts as terminating */
    struct refusal *refusals;
    struct contest *contests;
    uint64_t refused_digest; /* observe_digest() when the writes were refused */
    char *logged_failure;    /* the last failure in the log; NULL once all worked again */
};

struct refusal;
struct contest;

enum pass_step { PASS_OBSERVE, PASS_ROUTES, PASS_DECIDE, PASS_JUDGE, PASS_REPORT, PASS_END };

struct control;
struct queued_event;

struct pass {
    TAILQ_ENTRY(pass) link;
    struct control *control;
    struct queue_key *key;
    struct history *history;
    struct arena *arena;
    enum pass_step step;
    bool there; /* the cluster object exists */
    struct snapshot snapshot;
    uint64_t digest; /* observe_digest() of the snapshot */
    struct apply_owner owner;
    struct model *model;
    struct desired desired;
    struct plan *plan;
    struct apply_step *steps; /* of the run under way */
    size_t step_count, sent;  /* the plan's actions that are sent; the rest waits */
    struct apply_run *run;
    struct status_result early, late; /* of a new generation before it is applied; at the end */
    struct status_outcome *outcomes;
    size_t outcome_count;
    struct error worst; /* class 0: nothing failed */
    /* The Secrets, and the search for strays */
    struct kube_call *calls[SECRETS]; /* by enum cluster_secret, like the next */
    cJSON *secrets[SECRETS];
    int reads_open, credential_tries, slice_pages;
    char versions[17]; /* of what was read, see history.versions */
    struct error credentials_err, routes_err;
    struct credentials_result credentials;
    struct kube_call *namespace_call, *lease_call;
    bool lease_asked;
};

struct control {
    const struct control_options *options;
    struct event_base *loop;
    struct kube *kube;
    struct kube_elect *elect; /* NULL without leader election */
    struct observe *observe;  /* NULL until we lead for the first time */
    struct apply *apply;
    struct queue *queue;
    struct serve *pages;
    struct event *pump_timer, *platform_timer, *stop_timer, *quiet_timer, *signals[2];
    struct kube_call *platform_call;
    TAILQ_HEAD(pass_list, pass) passes;
    TAILQ_HEAD(event_queue, queued_event) events; /* Events that wait */
    int event_count;
    int64_t event_ms; /* boot: when the last one was sent */
    struct event *event_timer;
    int active;
    bool leads, platform_known, image_volumes, stopping, releasing;
    char agent_image[512];
    struct error failure; /* why we cannot go on; class 0 */
    int64_t passes_done, passes_failed, passes_since_trim;
};

/* pass.c */
void reconcile_start(struct control *control, struct queue_key *key);
void reconcile_once(void *pass); /* runs the steps; continues where the pass waited */
void pass_cancel(struct pass *pass);
void pass_failed(struct pass *pass, const struct error *err); /* keeps the worst one */
/* Adds an outcome for status that belongs to no action of the plan. Texts are copied. */
void pass_add_outcome(struct pass *pass, const char *kind, const char *name,
                      const struct error *err);

/* secrets.c: reads the Secrets by name, writes what is due, and continues the pass */
bool secrets_due(const struct pass *pass);
bool secrets_missed(const struct pass *pass); /* a pod waits for one */
void secrets_start(struct pass *pass);
void secrets_cancel(struct pass *pass);
/* Reads the Secrets by name, whole or only their metadata, then calls `done`. */
void secrets_get(struct pass *pass, bool metadata_only, void (*done)(struct pass *pass));

/* lease.c: reads the lease of a cluster whose holder seems not to renew it, and continues */
bool control_lease_due(const struct pass *pass);
void control_lease_start(struct pass *pass);
void control_lease_cancel(struct pass *pass);

/* recheck.c: checks whether the Secrets changed since they were read; if so, they are read again */
bool recheck_due(const struct pass *pass);
void recheck_start(struct pass *pass);
int64_t recheck_period_ms(size_t clusters, int resync_seconds);
int64_t recheck_next_ms(const struct pass *pass); /* boot; INT64_MAX: there is nothing to check */
/* A hash of which Secrets exist, and in which version. */
void recheck_hash(struct arena *arena, cJSON *const secrets[SECRETS], char ret_hash[17]);

/* routes.c: looks for strays, objects that lead a Service of ours elsewhere, and adds them to the
 * snapshot */
bool routes_due(const struct pass *pass);
void routes_start(struct pass *pass);
int64_t routes_next_ms(const struct pass *pass); /* boot; INT64_MAX: there is nothing to check */

/* refusals.c: writes that were refused wait before they are tried again */
/* Moves the actions that wait behind the others and adds their outcomes; returns how many to
 * send. */
size_t refusals_hold(struct pass *pass);
void refusals_note(struct pass *pass, const struct plan_action *action, const struct error *err);
/* A write was accepted: refused writes of the same object are tried again at once. */
void refusals_end_pause(struct history *history, const struct plan_action *done);
void refusals_forget(struct history *history);
int64_t refusals_next_ms(const struct history *history); /* boot; INT64_MAX when there is none */
bool refusals_is_news(struct history *history, const struct error *err);

/* contests.c: when a program undoes every repair, repairs become less frequent, and status names
 * it */
bool contests_holds(struct pass *pass, const struct plan_action *action); /* it waits */
void contests_note(struct pass *pass, const struct plan_action *action);  /* it was accepted */
void contests_report(struct pass *pass); /* adds an outcome for each, at most contests_count() */
size_t contests_count(const struct history *history);
void contests_forget(struct history *history);
int64_t contests_next_ms(const struct history *history); /* boot; INT64_MAX when there is none */

/* history.c */
struct history *history_of(struct queue_key *key);
void history_free(void *history);
void history_reset(struct history *history, const char *uid);
void history_keep(struct history *history, const struct seen_credentials *seen);

/* control.c */
void control_pump(struct control *control);
void control_pass_ended(struct control *control);
bool control_may_write(void *control);

/* platform.c: what the API server can do, and our own image */
void platform_start(struct control *control);
bool platform_ipv6(const char *server); /* by the address of the Service "kubernetes" */
bool platform_image_volumes(enum control_delivery delivery, int minor);
int platform_minor(const char *text); /* "33+" -> 33; -1 when it is no number */

/* emit.c: sends Events, after the writes that they are about */
void emit_start(struct control *control);
void emit_event(struct control *control, const struct apply_owner *about,
                const struct status_event *event);
void emit_stop(struct control *control);

/* pages.c */
void pages_start(struct control *control);
void pages_stop(struct control *control);
