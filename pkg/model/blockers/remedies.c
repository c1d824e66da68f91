/*
 * What a person can do about a blocker that does not say so itself. Most blockers end by
 * themselves. One that lasts longer than its patience needs somebody to look at it; then it gets
 * commands that work as they are.
 */
#include "model/internal.h"

#include <stdio.h>

#include "api/names.h"

#define MINUTE INT64_C(60000)

#define LOOK_AT_POD   "kubectl -n {ns} logs {pod}; kubectl -n {ns} describe pod {pod}"
#define LOOK_AT_SET   "kubectl -n {ns} describe statefulset {instance}"
#define LOOK_AT_PODS  "kubectl -n {ns} get pods -l " LABEL_CLUSTER "={cluster} -o wide"
#define LOOK_AT_LEASE "kubectl -n {ns} get lease {cluster}-primary -o yaml; " LOOK_AT_PODS
#define LOOK_AT_API   "check the health of the API server: kubectl get --raw '/readyz?verbose'"
#define FINALIZERS                                                                                 \
    "see what holds it: kubectl -n {ns} get {object} -o jsonpath='{.metadata.finalizers}'; if "    \
    "the program that set the finalizer no longer exists: kubectl -n {ns} patch {object} --type "  \
    "merge -p "                                                                                    \
    "'{\"metadata\":{\"finalizers\":null}}'"

enum outlook { SAME, FAULT, PERSON };

/* {ns}, {cluster}: of the cluster; {instance}, {pod}: the one that the blocker is about, else the
 * primary or the one that may become it; {object}: KIND/NAME that it is about. */
static const struct remedy {
    const char *reason;
    int64_t patience_ms;
    enum outlook outlook; /* once the patience is over */
    const char *text;
} remedies[] = {
    {REASON_APPLY_PENDING, 2 * MINUTE, SAME, LOOK_AT_API},
    {REASON_APPLY_FAILED, 2 * MINUTE, SAME, LOOK_AT_API},
    {REASON_DELETING, 5 * MINUTE, SAME,
     "see what is left: kubectl -n {ns} get all,pvc -l " LABEL_CLUSTER "={cluster}"},
    {REASON_NAMESPACE_TERMINATING, 0, SAME,
     "see what holds it: kubectl get namespace {ns} -o jsonpath='{.status.conditions}'"},
    {REASON_OBJECT_DELETING, MINUTE, PERSON, FINALIZERS},
    {REASON_CREDENTIALS_INCOMPLETE, 2 * MINUTE, FAULT,
     "kubectl -n {ns} describe pgc {cluster}; kubectl -n {ns} get secrets -l " LABEL_CLUSTER
     "={cluster}"},
    {REASON_CREDENTIALS_PENDING, 2 * MINUTE, FAULT, LOOK_AT_POD},
    {REASON_VOLUME_MISSING, 2 * MINUTE, SAME, "kubectl -n {ns} describe pgc {cluster}"},
    {REASON_VOLUME_PENDING, 5 * MINUTE, SAME, "kubectl -n {ns} describe {object}"},
    {REASON_VOLUME_RESIZING, 10 * MINUTE, SAME, "kubectl -n {ns} describe {object}"},
    {REASON_LEASE_NOT_HELD, 5 * MINUTE, SAME, LOOK_AT_LEASE},
    {REASON_LEASE_RELEASED, 5 * MINUTE, SAME, LOOK_AT_LEASE},
    {REASON_VOLUME_UNKNOWN, 5 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_ENDPOINT_PENDING, MINUTE, FAULT,
     "kubectl -n {ns} get endpointslice {cluster}-rw -o yaml; kubectl -n {ns} logs {pod}"},
    {REASON_ENDPOINT_FOREIGN, MINUTE, SAME,
     "stop what writes it; managedFields has its name: kubectl -n {ns} get "
     "service,endpointslices,endpoints -o yaml --show-managed-fields"},
    {REASON_BOOTSTRAPPING, 5 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_INSTANCE_MISSING, 2 * MINUTE, SAME, "kubectl -n {ns} describe pgc {cluster}"},
    {REASON_POD_MISSING, 2 * MINUTE, SAME, LOOK_AT_SET},
    {REASON_POD_TERMINATING, 10 * MINUTE, SAME, "kubectl -n {ns} describe pod {pod}"},
    {REASON_POD_FAILED, 2 * MINUTE, SAME, "kubectl -n {ns} describe pod {pod}"},
    {REASON_STARTING, 10 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_RECOVERING, 60 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_INITIALIZING, 10 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_CLONING, 60 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_RESTARTING, 10 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_STOPPING, 20 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_INSTANCE_WAITING, 2 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_WAITING_FOR_GRANT, 5 * MINUTE, SAME, LOOK_AT_LEASE},
    {REASON_WAITING_FOR_LEASE, 5 * MINUTE, SAME, LOOK_AT_LEASE},
    {REASON_WAITING_FOR_PRIMARY, 5 * MINUTE, SAME, LOOK_AT_PODS},
    {REASON_API_UNREACHABLE, 2 * MINUTE, SAME,
     "look at the network of its node: kubectl -n {ns} describe pod {pod}"},
    {REASON_NOT_HOLDER, 5 * MINUTE, SAME, LOOK_AT_LEASE},
    {REASON_LEASE_UNSEEN, 2 * MINUTE, SAME, LOOK_AT_LEASE},
    {REASON_LEASE_OVERDUE, 2 * MINUTE, SAME, LOOK_AT_LEASE},
    {REASON_NODE_UNREACHABLE, 2 * MINUTE, SAME, LOOK_AT_PODS},
    {REASON_SUPERSEDED, 5 * MINUTE, SAME, LOOK_AT_PODS},
    {REASON_ROLE_CHANGING, 2 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_NOT_ACCEPTING, 2 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_NOT_STREAMING, 2 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_SLOT_LOST, 10 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_WAL_GONE, 10 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_REPLICA_LAGGING, 0, SAME,
     "look for a slow disk, a slow network, or a long query on the replica: kubectl -n {ns} exec "
     "{pod} -- psql -h " POD_RUN_DIR " -U postgres -c 'select pid, query_start, query from "
     "pg_stat_activity'"},
    {REASON_CONFIGURATION_PENDING, 2 * MINUTE, FAULT,
     "see why its agent does not load it: kubectl -n {ns} logs {pod}"},
    {REASON_ROLLOUT_PENDING, 10 * MINUTE, SAME,
     "see which replica holds it up: " LOOK_AT_PODS "; kubectl -n {ns} describe pgc {cluster}"},
    {REASON_RESTART_PENDING, 10 * MINUTE, SAME,
     "see which replica holds it up: " LOOK_AT_PODS "; kubectl -n {ns} describe pgc {cluster}"},
    {REASON_VOLUME_FOREIGN, 0, SAME, "see what is on the volume: " LOOK_AT_POD},
    {REASON_SYSTEM_IDENTIFIER_MISMATCH, 0, SAME, "see what is on the volume: " LOOK_AT_POD},
    {REASON_WAL_VOLUME_LOST, 0, SAME,
     "bring the WAL volume back: kubectl -n {ns} describe pvc {instance}-wal"},
    {REASON_DATA_VOLUME_EMPTY, 0, SAME,
     "bring the data volume back: kubectl -n {ns} describe pvc {instance}-data"},
    {REASON_VOLUME_IN_USE, 5 * MINUTE, SAME, LOOK_AT_POD},
    {REASON_SCALING_DOWN, 5 * MINUTE, SAME, LOOK_AT_SET},
};

struct names {
    const char *ns, *cluster, *instance, *object;
};

static const char *value_of(struct arena *arena, const struct names *names, const char *key)
{
    if (strcmp(key, "ns") == 0)
        return names->ns;
    if (strcmp(key, "cluster") == 0)
        return names->cluster;
    if (strcmp(key, "instance") == 0)
        return names->instance;
    if (strcmp(key, "pod") == 0)
        return name_pod(arena, names->instance);
    return strcmp(key, "object") == 0 ? names->object : NULL;
}

/* Other braces stay as they are: JSON has them, too. */
static char *filled_in(struct arena *arena, const char *text, const struct names *names)
{
    char *out = arena_strdup(arena, "");
    while (*text != '\0') {
        size_t plain = strcspn(text, "{"), length = 0;
        const char *value = NULL;
        if (text[plain] == '{') {
            length = strcspn(text + plain + 1, "}");
            value = value_of(arena, names, arena_strndup(arena, text + plain + 1, length));
        }
        if (value != NULL) {
            out = arena_printf(arena, "%s%.*s%s", out, (int)plain, text, value);
            text += plain + length + 2;
        } else {
            plain += text[plain] == '{';
            out = arena_printf(arena, "%s%.*s", out, (int)plain, text);
            text += plain;
        }
    }
    return out;
}

static const struct remedy *remedy_of(const char *reason)
{
    for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++)
        if (text_same(remedies[i].reason, reason))
            return &remedies[i];
    return NULL;
}

/* For a blocker that is about no instance: the primary, else the one that may become it. */
static const char *instance_of(struct arena *arena, const struct model *model,
                               const struct model_blocker *blocker)
{
    if (text_given(blocker->instance))
        return blocker->instance;
    if (model->primary != NULL)
        return model->primary->name;
    return text_given(model->grant.instance)
               ? model->grant.instance
               : name_instance(arena, text_or_empty(model->snapshot->spec.name), 1);
}

char *model_fill_in(struct arena *arena, const struct model *model,
                    const struct model_blocker *blocker, const char *text)
{
    const struct cluster_spec *spec = &model->snapshot->spec;
    const struct names names = {
        .ns = text_or_empty(spec->namespace),
        .cluster = text_or_empty(spec->name),
        .instance = instance_of(arena, model, blocker),
        .object = text_given(blocker->object)
                      ? blocker->object
                      : arena_printf(arena, "pgc/%s", text_or_empty(spec->name)),
    };
    return filled_in(arena, text, &names);
}

/* Advice that a blocker brings along stays. That the patience ends is announced by no event, so the
 * time is noted. */
void model_remedies(struct arena *arena, struct model *model)
{
    for (size_t i = 0; i < model->blocker_count; i++) {
        struct model_blocker *blocker = &model->blockers[i];
        const struct remedy *remedy =
            text_given(blocker->unblock) ? NULL : remedy_of(blocker->reason);
        if (remedy == NULL)
            continue;
        int64_t patience_ends = blocker->since_ms + remedy->patience_ms;
        if (model->now_ms < patience_ends) {
            if (blocker->next_ms == 0 || patience_ends < blocker->next_ms)
                blocker->next_ms = patience_ends;
            continue;
        }
        blocker->unblock = model_fill_in(arena, model, blocker, remedy->text);
        blocker->fault = blocker->fault || remedy->outlook != SAME;
        blocker->stalled = blocker->stalled || remedy->outlook == PERSON;
    }
}
