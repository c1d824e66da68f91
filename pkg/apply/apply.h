/*
 * The only writer. Takes steps in waves (those of one wave go out together, waves in order), keeps
 * the number of requests in flight bounded over all clusters, and never touches what is not ours:
 *
 * - what is to be created is looked for first; a foreign object under that name is a collision; - a
 * known object is written and deleted with its uid as precondition; - before every single write
 * may_write() is asked: an operator that no longer leads, or was frozen while another took over,
 * writes nothing.
 *
 * A step that is refused does not hold the others back, with three exceptions: nothing else is
 * tried while the server cannot be reached, no Pod is deleted when its StatefulSet could not be
 * written (it would come back as it was, and be deleted again), and nothing follows a vital step
 * that failed.
 */
#pragma once

#include "kube/kube.h"
#include "plan/plan.h"

enum apply_verb {
    APPLY_CREATE, /* read, then server-side apply; a Lease: POST, so that none is taken over */
    APPLY_UPDATE, /* server-side apply, forced, with uid */
    APPLY_POST,   /* must not exist */
    APPLY_MEND,   /* read, then patched to remove what others added; with uid and resourceVersion */
    APPLY_MERGE,  /* JSON merge patch, with the preconditions in its object */
    APPLY_STATUS, /* server-side apply of the status subresource */
    APPLY_DELETE, /* with uid; an object that is gone is a success */
};

struct apply_step {
    enum apply_verb verb;
    const char *api_version, *kind, *name, *uid; /* uid: "" or NULL when there is none */
    const cJSON *object;                         /* NULL for delete */
    int wave;
    bool vital; /* when it fails, no later wave of its run is begun; after a 500, or a 503 without
                   Retry-After, it is sent twice more, within about a second */
    /* Outcome */
    bool tried;
    struct error err; /* class 0: done. ERR_CONFLICT with reason NameCollision or ObjectDeleting
                         says whose the object is */
};

struct apply_owner { /* for whom: the PostgresCluster */
    const char *namespace, *name, *uid;
};

struct apply_options {
    struct kube *kube;
    struct event_base *loop;
    int max_in_flight;
    bool (*may_write)(void *arg);
    /* The server's answer to a write, and to a delete (object: NULL when it is gone). */
    void (*written)(void *arg, enum apply_verb verb, const char *kind, const cJSON *object);
    void (*deleted)(void *arg, const char *kind, const char *namespace, const char *name,
                    const char *uid, const cJSON *object);
    void *arg;
};

struct apply;
struct apply_run;

struct apply *apply_new(const struct apply_options *options);
/* Runs must have ended or been cancelled. */
void apply_free(struct apply *apply);
/* Requests that are under way, and writes done so far: for metrics. */
int apply_in_flight(const struct apply *apply);
int64_t apply_writes(const struct apply *apply);

/* Starts; done is called once, never before this returns, and the run is freed before it. Owner and
 * steps must live until then. */
struct apply_run *apply_start(struct apply *apply, const struct apply_owner *owner,
                              struct apply_step *steps, size_t count, void (*done)(void *arg),
                              void *arg);
/* Nothing more is sent; a request under way may still take effect. done is not called. */
void apply_cancel(struct apply_run *run);

/* The steps of a plan, in its order, with room for one more; a RoleBinding goes one wave later. */
struct apply_step *apply_steps(struct arena *arena, const struct plan *plan);

/* Whether an existing object with a name that we need may be written: 0, or ERR_CONFLICT that says
 * whose it is. `metadata` is its PartialObjectMetadata or itself. */
int apply_may_take(const struct apply_owner *owner, const char *kind, const cJSON *object,
                   struct error *err) ERR_CHECKED;
