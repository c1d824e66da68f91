/* Why an instance does not do what its role should, as its agent and the primary report it. */
#include "model/internal.h"

#include <ctype.h>

#include "api/names.h"

enum { RECONNECT_PATIENCE_MS = 30000, CLONE_PATIENCE_MS = 600000 };

unsigned blocker_affects(const struct work *work, const struct model_instance *instance)
{
    const struct model *model = work->model;
    bool to_be_primary = !model->ever_held && text_same(model->grant.instance, instance->name);
    return instance->primary || to_be_primary ? AFFECTS_PRIMARY : AFFECTS_REPLICAS;
}

/* A reason becomes the reason of a condition, whose syntax the API server checks: an agent's own is
 * passed on only if it is valid there. */
static const char *agent_reason(const char *reason, const char *fallback)
{
    if (!text_given(reason) || !isalpha((unsigned char)*reason) || strlen(reason) > 128)
        return fallback;
    for (const char *c = reason; *c; c++)
        if (!isalnum((unsigned char)*c))
            return fallback;
    return reason;
}

static const struct {
    const char *phase, *reason, *text;
} phases[] = {
    {"Starting", REASON_STARTING, "postgres is starting"},
    {"Initializing", REASON_INITIALIZING, "a new database cluster is being initialised"},
    {"Cloning", REASON_CLONING, "the primary's data is being copied"},
    {"Recovering", REASON_RECOVERING, "postgres is recovering, and pgkeel lets it finish"},
    {"Restarting", REASON_RESTARTING, "postgres is restarting"},
    {"Stopping", REASON_STOPPING, "postgres is stopping"},
};

/* Its volume has an epoch, so that it may have data that no other volume has: agents never give up
 * such a copy. */
static bool was_primary(const struct model_instance *instance)
{
    return instance->seen->report.epoch > 0;
}

/* Faults that no retry of the agent mends, and what does; "" where that depends on more than the
 * reason. */
static const struct {
    const char *reason, *unblock;
} for_a_person[] = {
    {REASON_VOLUME_FOREIGN, ""},
    {REASON_WAL_VOLUME_LOST, ""},
    {REASON_VOLUME_OUTDATED,
     "bring back the volume with which the instance was last primary; or, to continue with this "
     "one and lose what was written to the other: kubectl -n {ns} delete lease {cluster}-primary"},
    {REASON_SYSTEM_IDENTIFIER_MISMATCH, ""},
    {REASON_WAL_MISSING, ""},
    {REASON_NO_POSTGRES, "correct spec.postgres.image"},
    {REASON_VERSION_MISMATCH,
     "set spec.postgres.image to an image with the major version of the data"},
    {REASON_CONFIG_INVALID, "correct spec.postgres.parameters or spec.postgres.hba"},
    {REASON_PREPARED_TRANSACTIONS, "end the transactions in pg_prepared_xacts with COMMIT PREPARED "
                                   "or ROLLBACK PREPARED, or raise "
                                   "spec.postgres.parameters.max_prepared_transactions"},
    {REASON_PASSWORD_INVALID, ""},
};

static const char *remedy_for_a_person(const char *reason)
{
    for (size_t i = 0; i < sizeof for_a_person / sizeof *for_a_person; i++)
        if (text_same(reason, for_a_person[i].reason))
            return for_a_person[i].unblock;
    return NULL;
}

static bool needs_a_person(const struct model_instance *instance, const char *reason)
{
    return remedy_for_a_person(reason) != NULL ||
           (instance->primary && text_same(reason, REASON_DATA_VOLUME_EMPTY)) ||
           (text_same(reason, REASON_WAL_GONE) && was_primary(instance));
}

/* The fault is in the volumes, and a replica's can be cloned again. */
static bool is_mended_by_cloning(const char *reason)
{
    static const char *const reasons[] = {
        REASON_VOLUME_FOREIGN, REASON_WAL_VOLUME_LOST, REASON_SYSTEM_IDENTIFIER_MISMATCH,
        REASON_WAL_GONE,       REASON_DATA_INVALID,
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (text_same(reason, reasons[i]))
            return true;
    return false;
}

/* A remedy without a command is a change of the spec. */
static void unblock_for_a_person(struct work *work, struct model_blocker *blocker,
                                 const char *remedy)
{
    if (strstr(remedy, "kubectl ") != NULL)
        blocker->unblock = model_fill_in(work->arena, work->model, blocker, remedy);
    else
        blocker_unblock_by_spec(work, blocker, remedy);
}

/* The only password that agents read is that of replication. */
static void unblock_by_password(struct work *work, struct model_blocker *blocker)
{
    blocker_unblock(work, blocker,
                    "for a random one: kubectl -n %s patch secret %s -p "
                    "'{\"stringData\":{\"password\":\"'$(openssl rand -hex 16)'\"}}'",
                    text_or_empty(work->snapshot->spec.namespace),
                    text_or_empty(work->snapshot->spec.replication_secret));
}

/* The replica clones itself again once the primary's report confirms that it must. A primary whose
 * agent is of an earlier version writes no such report. */
static void unblock_if_it_lasts(struct work *work, struct model_blocker *blocker,
                                const struct model_instance *instance)
{
    int64_t patience_ends = blocker->since_ms + CLONE_PATIENCE_MS;
    if (work->model->now_ms < patience_ends)
        blocker->next_ms = patience_ends;
    else
        blocker_unblock_by_cloning(work, blocker, instance, "to clone it now: ");
}

/* The remedy depends on the role: a replica can be cloned again, a primary's data is brought back
 * or given up by a person. */
static void agent_fault(struct work *work, const struct model_instance *instance,
                        struct model_blocker *blocker)
{
    const char *ns = text_or_empty(work->snapshot->spec.namespace);
    blocker_fault(blocker, needs_a_person(instance, blocker->reason));
    if (instance->primary && text_same(blocker->reason, REASON_DATA_VOLUME_EMPTY))
        blocker_unblock_by_successor(work, blocker, instance,
                                     "bring the volume with the primary's data back; or ");
    else if (instance->primary && text_same(blocker->reason, REASON_WAL_MISSING))
        blocker_unblock_by_successor(work, blocker, instance,
                                     "bring the WAL that is missing back to its volume; or ");
    else if (text_same(blocker->reason, REASON_WAL_GONE) && !blocker->stalled)
        unblock_if_it_lasts(work, blocker, instance);
    else if (is_mended_by_cloning(blocker->reason) && work->model->primary != NULL &&
             !instance->primary)
        blocker_unblock_by_cloning(work, blocker, instance,
                                   "if nothing on its volumes is needed: ");
    else if (text_same(blocker->reason, REASON_PASSWORD_INVALID))
        unblock_by_password(work, blocker);
    else if (blocker->stalled && text_given(remedy_for_a_person(blocker->reason)))
        unblock_for_a_person(work, blocker, remedy_for_a_person(blocker->reason));
    else if (!blocker->stalled) /* else the agent's own message holds the remedy */
        blocker_unblock(work, blocker, "kubectl -n %s logs %s", ns,
                        name_pod(work->arena, instance->name));
}

/* Each planned restart of the primary cuts off its replicas, which reconnect with their next
 * attempts: no fault yet. A cluster that was Healthy is Degraded at once all the same. */
static bool streams_soon(const struct work *work, struct model_blocker *blocker)
{
    int64_t patience_ends = blocker->since_ms + RECONNECT_PATIENCE_MS;
    if (work->model->now_ms >= patience_ends)
        return false;
    blocker->next_ms = patience_ends;
    return true;
}

static bool primary_is_healthy(const struct work *work)
{
    return work->model->primary != NULL && work->model->primary->healthy;
}

/* What the agent does while PostgreSQL does not run, or what fails while it runs. */
static void phase_blocker(struct work *work, const struct model_instance *instance,
                          unsigned affects, const char *what)
{
    const struct instance_report *report = &instance->seen->report;
    const char *reason = REASON_INSTANCE_WAITING, *text = "its agent is waiting";
    bool failed = text_same(report->phase, "Failed") || text_same(report->phase, "Running");
    if (failed)
        reason = REASON_INSTANCE_FAILED, text = "its agent has failed";
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        if (text_same(report->phase, phases[i].phase))
            reason = phases[i].reason, text = phases[i].text;
    reason = agent_reason(report->reason, reason);
    struct model_blocker *blocker = blocker_add(work, affects, reason, "%s", what);
    blocker_say(work, blocker, "%s", text_given(report->message) ? report->message : text);
    if (text_same(reason, REASON_NOT_STREAMING) && streams_soon(work, blocker))
        return;
    if (failed || needs_a_person(instance, reason))
        agent_fault(work, instance, blocker);
}

static void role_blocker(struct work *work, const struct model_instance *instance, unsigned affects,
                         const char *what)
{
    const struct instance_report *report = &instance->seen->report;
    bool says_primary = text_same(report->role, "primary");
    /* Pods and leases come by different watches: an instance that reports a later epoch than the
     * lease seen here has taken the lease, and the watch will show it soon. */
    bool ahead = report->epoch > work->snapshot->lease.transitions;
    bool unexpected = !instance->primary && says_primary && !ahead;
    struct model_blocker *blocker =
        blocker_add(work, unexpected ? AFFECTS_PRIMARY | AFFECTS_REPLICAS : affects,
                    unexpected ? REASON_UNEXPECTED_PRIMARY : REASON_ROLE_CHANGING, "%s", what);
    if (!unexpected) {
        if (says_primary && instance->primary)
            blocker_say(work, blocker, "its new pod has not taken the lease over yet");
        else
            blocker_say(work, blocker, "postgres runs as %s",
                        text_given(report->role) ? report->role : "neither primary nor replica");
        return;
    }
    blocker_say(work, blocker, "%s runs as primary without holding Lease '%s-primary'",
                instance->name, text_or_empty(work->snapshot->spec.name));
    blocker_unblock(work, blocker, "kubectl -n %s delete pod %s",
                    text_or_empty(work->snapshot->spec.namespace),
                    name_pod(work->arena, instance->name));
    blocker_fault(blocker, false);
}

/* An agent never gives up a volume that was a primary's: then a person has to. */
static void slot_lost_blocker(struct work *work, const struct model_instance *instance,
                              const char *what)
{
    struct model_blocker *blocker =
        blocker_add(work, AFFECTS_REPLICAS, REASON_SLOT_LOST, "%s", what);
    blocker_say(work, blocker,
                "it fell behind by more than spec.replication.maxSlotWalKeepSize (%s), and the "
                "primary has removed WAL that it needs%s",
                text_or_empty(work->snapshot->spec.max_slot_wal_keep_size),
                was_primary(instance) ? "" : ": it is cloned again");
    blocker_fault(blocker, was_primary(instance));
    if (was_primary(instance))
        blocker_unblock_by_cloning(work, blocker, instance,
                                   "if nothing on its volumes is needed: ");
    else
        unblock_if_it_lasts(work, blocker, instance);
}

/* A lost slot comes first: no waiting brings back the WAL that the primary has removed. */
static void replication_blocker(struct work *work, const struct model_instance *instance,
                                const char *what)
{
    const struct replica_report *replica = model_instance_replication(work, instance->name);
    struct model_blocker *blocker;
    if (replica != NULL && text_same(replica->slot_wal_status, "lost")) {
        slot_lost_blocker(work, instance, what);
    } else if (replica != NULL && text_same(replica->state, "streaming") &&
               primary_is_healthy(work)) {
        blocker = blocker_add(work, AFFECTS_REPLICAS, REASON_REPLICA_LAGGING, "%s", what);
        blocker_say(work, blocker, "it streams, but is more than %s behind",
                    quantity_text(work->arena, work->snapshot->spec.max_lag_bytes));
        blocker_fault(blocker, false);
    } else {
        blocker = blocker_add(work, AFFECTS_REPLICAS, REASON_NOT_STREAMING, "%s", what);
        if (!primary_is_healthy(work))
            blocker_say(work, blocker, "there is no healthy primary to stream from");
        else
            blocker_say(work, blocker, "%s does not see it streaming%s%s%s",
                        work->model->primary->name,
                        replica && text_given(replica->state) ? " (state " : "",
                        replica ? text_or_empty(replica->state) : "",
                        replica && text_given(replica->state) ? ")" : "");
    }
}

/* What the agent reports comes before readiness: a server that is not running is not ready either,
 * and only the report says why. */
static void server_blocker(struct work *work, const struct model_instance *instance,
                           unsigned affects, const char *what)
{
    const struct seen_instance *seen = instance->seen;
    const char *role = instance->primary ? "primary" : "replica";
    bool cut_off = !instance->primary && text_same(seen->report.phase, "Running") &&
                   text_same(seen->report.reason, REASON_NOT_STREAMING) &&
                   !primary_is_healthy(work);
    if (cut_off) { /* the fault, if it is one, is the primary's */
        replication_blocker(work, instance, what);
    } else if (!text_same(seen->report.phase, "Running") || text_given(seen->report.reason)) {
        phase_blocker(work, instance, affects, what);
    } else if (!text_same(seen->report.role, role) ||
               (instance->primary && !model_instance_holds_with_present_pod(work, instance))) {
        role_blocker(work, instance, affects, what);
    } else if (!seen->pod.ready) {
        struct model_blocker *blocker =
            blocker_add(work, affects, REASON_NOT_ACCEPTING, "%s", what);
        blocker_say(work, blocker, "postgres runs but does not accept connections");
    } else {
        replication_blocker(work, instance, what);
    }
}

/* The server does its work; is it set up as the spec says? */
static void setup_blockers(struct work *work, const struct model_instance *instance)
{
    const struct instance_report *report = &instance->seen->report;
    if (text_given(report->reason)) {
        unsigned affects = text_same(report->reason, REASON_NOT_STREAMING)   ? AFFECTS_REPLICAS
                           : !text_same(report->reason, REASON_ROLES_FAILED) ? 0
                           : report->bootstrapped                            ? AFFECTS_CREDENTIALS
                                                                             : AFFECTS_BOOTSTRAP;
        phase_blocker(work, instance, affects,
                      arena_printf(work->arena, "%s runs without a failure", instance->name));
    }
    if (!work->frozen && !text_same(report->config_hash, work->model->config_hash)) {
        struct model_blocker *blocker =
            blocker_add(work, 0, REASON_CONFIGURATION_PENDING, "%s has the current configuration",
                        instance->name);
        blocker_say(work, blocker, "its agent has not loaded the current ConfigMap '%s-config'",
                    text_or_empty(work->snapshot->spec.name));
    }
}

/* Is `address` one of "10.0.0.1,fd00::1"? */
static bool is_among(const char *address, const char *list)
{
    size_t length = strlen(address);
    for (const char *at = list; length > 0 && *at; at += *at == ',') {
        size_t step = strcspn(at, ",");
        if (step == length && strncmp(at, address, length) == 0)
            return true;
        at += step;
    }
    return false;
}

/* The server works; what clients need besides it may still be missing. */
static void primary_blockers(struct work *work, const struct model_instance *primary)
{
    const char *name = text_or_empty(work->snapshot->spec.name);
    if (!is_among(text_or_empty(work->snapshot->rw_address),
                  text_or_empty(primary->seen->pod.ips))) {
        struct model_blocker *blocker =
            blocker_add(work, AFFECTS_PRIMARY, REASON_ENDPOINT_PENDING,
                        "Service '%s-rw' leads to %s", name, primary->name);
        blocker_say(work, blocker, "its EndpointSlice names '%s', the pod's address is '%s'",
                    text_or_empty(work->snapshot->rw_address),
                    text_or_empty(primary->seen->pod.ips));
    }
    if (!primary->seen->report.bootstrapped) {
        struct model_blocker *blocker =
            blocker_add(work, AFFECTS_BOOTSTRAP, REASON_BOOTSTRAPPING, "roles and database exist");
        blocker_say(work, blocker, "%s creates role '%s' and database '%s'", primary->name,
                    text_or_empty(work->snapshot->spec.owner),
                    text_or_empty(work->snapshot->spec.database));
    }
}

/* One cause for an instance that does not work, the outermost: silence leaves the pod unknown, and
 * a pod that does not run explains that its server does not. */
static void one_instance(struct work *work, const struct model_instance *instance)
{
    unsigned affects = blocker_affects(work, instance);
    const char *what = arena_printf(
        work->arena, affects == AFFECTS_PRIMARY ? "primary %s serves" : "replica %s streams",
        instance->name);
    if (instance->healthy) {
        blocker_note_silence(work, instance);
        setup_blockers(work, instance);
        if (instance->primary)
            primary_blockers(work, instance);
    } else if (!blocker_of_silence(work, instance, affects, what) &&
               !blocker_of_pod(work, instance, affects, what)) {
        server_blocker(work, instance, affects, what);
    }
}

/* The primary first: what keeps it from serving also causes the troubles of its replicas. */
void blockers_of_instances(struct work *work)
{
    const struct model *model = work->model;
    for (int turn = 0; turn < 2; turn++)
        for (size_t i = 0; i < model->instance_count; i++)
            if (model->instances[i].wanted && model->instances[i].primary == (turn == 0)) {
                size_t first = model->blocker_count;
                one_instance(work, &model->instances[i]);
                blockers_are_about(work, first, &model->instances[i]);
            }
}
