/*
 * Questions that no watch answers, asked only about what has waited for a while. Does the
 * StorageClass of a pending volume exist? What do the Events say of a volume that is not created, a
 * StatefulSet without a pod, or a pod that does not start? If a volume keeps its pod from running
 * anywhere: does the only node with the volume still exist? (The answer is the name of that node if
 * it is gone; without the right to read volumes and nodes there is no answer.) One request at a
 * time for the whole operator, and with growing pauses for one object, because the API server reads
 * Events from etcd.
 */
#include "observe/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "loop/pause.h"
#include "loop/timer.h"
#include "phrase/phrase.h"

enum {
    FIRST_PAUSE_MS = 5000,
    LONGEST_PAUSE_MS = 600000,
    CLASS_KEPT_MS = 5000 /* one answer serves all volumes of a class that are next to each other */
};

struct question {
    struct observe *observe;
    struct arena *arena;
    const char *namespace, *cluster, *name, *class, *volume, *node;
    const char *host; /* the only host with the volume, as the volume says; "" */
    int kind;
    bool delayed; /* the volume waits for its pod to be scheduled: nothing is wrong with it yet */
    struct kube_call *call;
};

static const char no_class[] =
    "no storage class is set and the Kubernetes cluster has no default one";

const char *diagnosis_text(const struct cluster *cluster, const struct record *record)
{
    int kind = record->kind;
    const char *name = record->text;
    if (kind == CHILD_CLAIM && *record_field(record, PVC_CLASS) == '\0' &&
        strcmp(record_field(record, PVC_PHASE), "Pending") == 0)
        return no_class; /* no need to ask: the server would have filled in its default */
    for (const struct answer *a = cluster->answers; a; a = a->next)
        if (a->kind == kind && strcmp(a->name, name) == 0)
            return text_or_empty(a->text);
    return "";
}

static void free_answer(struct answer *answer)
{
    free(answer->text);
    free(answer);
}

void diagnosis_forget(struct cluster *cluster)
{
    for (struct answer *a = cluster->answers, *next; a; a = next) {
        next = a->next;
        free_answer(a);
    }
    cluster->answers = NULL;
}

static void drop_question(struct observe *observe)
{
    struct question *question = observe->question;
    observe->question = NULL;
    if (question != NULL)
        arena_free(question->arena);
}

void diagnosis_free(struct observe *observe)
{
    if (observe->question)
        kube_call_cancel(observe->question->call);
    drop_question(observe);
    if (observe->ask_timer)
        event_free(observe->ask_timer);
    free(observe->class_name);
}

static struct answer *answer_for(const struct observe *observe, struct cluster *cluster,
                                 const struct record *record)
{
    for (struct answer *a = cluster->answers; a; a = a->next)
        if (a->kind == record->kind && strcmp(a->name, record->text) == 0)
            return a;
    size_t name_bytes = strlen(record->text) + 1;
    struct answer *answer = xcalloc(1, sizeof *answer + name_bytes);
    memcpy(answer->name, record->text, name_bytes);
    answer->kind = record->kind;
    answer->ask_at_ms = clock_boot_ms() + observe->patience_ms;
    answer->next = cluster->answers;
    cluster->answers = answer;
    return answer;
}

static void ask_next(struct observe *observe);

/* The question is answered: notes the answer, and reports it when it is new. */
static void conclude(struct question *question, const char *text)
{
    struct observe *observe = question->observe;
    struct cluster *cluster = cache_cluster(observe, question->namespace, question->cluster, false);
    bool news = false;
    for (struct answer *a = cluster ? cluster->answers : NULL; a; a = a->next) {
        if (a->kind != question->kind || strcmp(a->name, question->name) != 0)
            continue;
        news = strcmp(text_or_empty(a->text), text) != 0;
        free(a->text);
        a->text = *text ? xstrdup(text) : NULL;
    }
    if (news && observe->options.changed)
        observe->options.changed(observe->options.arg, question->namespace, question->cluster);
    drop_question(observe);
    ask_next(observe);
}

static const char *time_of(const cJSON *event)
{
    static const char *const members[] = {"series.lastObservedTime", "deprecatedLastTimestamp",
                                          "eventTime", "metadata.creationTimestamp"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *time = json_str(event, members[i], "");
        if (*time)
            return time;
    }
    return "";
}

static void on_events(void *arg, const cJSON *body, const struct error *err)
{
    struct question *question = arg;
    const char *note = "", *latest = "";
    const cJSON *event;
    if (err->class == 0)
        cJSON_ArrayForEach (event, json_get(body, "items")) {
            if (strcmp(time_of(event), latest) < 0)
                continue;
            latest = time_of(event);
            note = json_str(event, "note", "");
        }
    conclude(question, strlen(note) <= MESSAGE_MAX
                           ? note
                           : arena_strndup(question->arena, note, MESSAGE_MAX));
}

static void ask_events(struct question *question)
{
    const struct kube_request request = {
        .method = KUBE_GET,
        .path = kube_path(question->arena, kube_kind_find("events.k8s.io/v1", "Event"),
                          question->namespace, NULL, NULL),
        .query = arena_printf(question->arena,
                              "fieldSelector=type%%3DWarning%%2Cregarding.kind%%3D%s"
                              "%%2Cregarding.name%%3D%s&limit=50",
                              api_child_infos[question->kind].kind, question->name)};
    question->call =
        kube_call_start(question->observe->options.kube, &request, on_events, question);
}

static void judge_class(struct question *question)
{
    const struct observe *observe = question->observe;
    if (observe->class_missing)
        conclude(question,
                 arena_printf(question->arena, "storageclass \"%s\" not found", question->class));
    else if (question->delayed && observe->class_delays)
        conclude(question, "");
    else
        ask_events(question);
}

static void on_class(void *arg, const cJSON *body, const struct error *err)
{
    struct question *question = arg;
    struct observe *observe = question->observe;
    const char *mode = json_str(body, "volumeBindingMode", "Immediate");
    free(observe->class_name);
    observe->class_name = xstrdup(question->class);
    observe->class_asked_ms = clock_boot_ms();
    observe->class_missing = err->class == ERR_NOT_FOUND;
    observe->class_delays = strcmp(mode, "WaitForFirstConsumer") == 0;
    judge_class(question);
}

static void ask_class(struct question *question)
{
    const struct observe *observe = question->observe;
    if (observe->class_name && strcmp(observe->class_name, question->class) == 0 &&
        clock_boot_ms() - observe->class_asked_ms < CLASS_KEPT_MS) {
        judge_class(question);
        return;
    }
    const struct kube_request request = {
        .method = KUBE_GET,
        .path = kube_path(question->arena, kube_kind_find("storage.k8s.io/v1", "StorageClass"),
                          NULL, question->class, NULL)};
    question->call = kube_call_start(observe->options.kube, &request, on_class, question);
}

static void on_node(void *arg, const cJSON *body, const struct error *err);

static void ask_node(struct question *question, const char *node)
{
    const struct kube_request request = {
        .method = KUBE_GET,
        .path = kube_path(question->arena, kube_kind_find("v1", "Node"), NULL, node, NULL),
        .metadata_only = true};
    question->call = kube_call_start(question->observe->options.kube, &request, on_node, question);
}

/* The node that the claim names does not count while the host that the volume itself names exists:
 * anyone may write the claim's annotation, and the advice for a node that is gone costs data. */
static void on_node(void *arg, const cJSON *body, const struct error *err)
{
    struct question *question = arg;
    const char *host = question->host;
    (void)body;
    question->host = "";
    if (err->class == ERR_NOT_FOUND && *host != '\0' && strcmp(host, question->node) != 0)
        ask_node(question, host);
    else
        conclude(question, err->class == ERR_NOT_FOUND ? question->node : "");
}

/* The only node with the volume: the one that the scheduler chose for it, if that is the only value
 * of a term of its affinity; or the only host there, whose label need not be its node's name. NULL:
 * the volume may be on several nodes (of its zone). */
static const char *only_node(struct question *question, const cJSON *volume)
{
    question->host = "";
    const cJSON *term, *expression;
    const cJSON *terms = json_get(volume, "spec.nodeAffinity.required.nodeSelectorTerms");
    const char *node = NULL;
    if (cJSON_GetArraySize(terms) != 1)
        return NULL;
    term = cJSON_GetArrayItem(terms, 0);
    cJSON_ArrayForEach (expression, json_get(term, "matchExpressions")) {
        const char *value = json_str(expression, "values[0]", "");
        bool host = strcmp(json_str(expression, "key", ""), "kubernetes.io/hostname") == 0;
        if (strcmp(json_str(expression, "operator", ""), "In") != 0 ||
            cJSON_GetArraySize(json_get(expression, "values")) != 1 || *value == '\0' ||
            (!host && strcmp(value, question->node) != 0))
            continue;
        node = *question->node != '\0' ? question->node : value;
        if (host)
            question->host = arena_strdup(question->arena, value);
    }
    return node;
}

static void on_volume(void *arg, const cJSON *body, const struct error *err)
{
    struct question *question = arg;
    const char *node = err->class == 0 ? only_node(question, body) : NULL;
    if (node == NULL) {
        conclude(question, "");
        return;
    }
    question->node = arena_strdup(question->arena, node);
    ask_node(question, question->node);
}

static void ask_volume(struct question *question)
{
    const struct kube_request request = {.method = KUBE_GET,
                                         .path = kube_path(question->arena,
                                                           kube_kind_find("v1", "PersistentVolume"),
                                                           NULL, question->volume, NULL)};
    question->call =
        kube_call_start(question->observe->options.kube, &request, on_volume, question);
}

static void ask(struct observe *observe, const struct cluster *cluster, const struct record *record)
{
    struct arena *arena = arena_new();
    struct question *question = arena_alloc(arena, sizeof *question);
    *question = (struct question){.observe = observe,
                                  .arena = arena,
                                  .namespace = arena_strdup(arena, cluster->namespace),
                                  .cluster = arena_strdup(arena, cluster->name),
                                  .name = arena_strdup(arena, record->text),
                                  .kind = record->kind};
    observe->question = question;
    if (record->kind != CHILD_CLAIM) {
        ask_events(question);
        return;
    }
    question->volume = arena_strdup(arena, record_field(record, PVC_VOLUME));
    question->node = arena_strdup(arena, record_field(record, PVC_NODE));
    if (strcmp(record_field(record, PVC_PHASE), "Bound") == 0) {
        ask_volume(question);
        return;
    }
    question->class = arena_strdup(arena, record_field(record, PVC_CLASS));
    question->delayed = *record_field(record, PVC_NODE) == '\0';
    ask_class(question);
}

/* The pod of this claim finds no node because of a volume. */
static bool keeps_pod_back(const struct observe *observe, const struct record *claim)
{
    AUTO_ARENA scratch = arena_new();
    const char *dash = strrchr(claim->text, '-');
    if (dash == NULL || *record_field(claim, PVC_VOLUME) == '\0' ||
        strcmp(record_field(claim, PVC_PHASE), "Bound") != 0)
        return false;
    const char *instance = arena_strndup(scratch, claim->text, (size_t)(dash - claim->text));
    const struct record *pod =
        cache_find(observe, CHILD_POD, claim->cluster->namespace, name_pod(scratch, instance));
    return pod != NULL &&
           phrase_is_in(PHRASE_K8S_NODE_AFFINITY, record_field(pod, POD_UNSCHEDULABLE));
}

/* A record that explains itself needs no question. */
static bool needs_diagnosis(const struct observe *observe, const struct record *record)
{
    AUTO_ARENA scratch = arena_new();
    if (record->deleting)
        return false;
    if (record->kind == CHILD_CLAIM)
        return (strcmp(record_field(record, PVC_PHASE), "Pending") == 0 &&
                *record_field(record, PVC_CLASS) != '\0') ||
               keeps_pod_back(observe, record);
    if (record->kind == CHILD_STATEFUL_SET)
        return cache_find(observe, CHILD_POD, record->cluster->namespace,
                          name_pod(scratch, record->text)) == NULL;
    return record->kind == CHILD_POD && strcmp(record_field(record, POD_PHASE), "Pending") == 0 &&
           *record_field(record, POD_NODE) != '\0' &&
           *record_field(record, POD_WAITING_MESSAGE) == '\0';
}

/* The answer that is due first, and its cluster. */
static struct answer *first_due(const struct observe *observe, struct cluster **ret_cluster)
{
    struct answer *first = NULL;
    for (size_t i = 0; i < observe->cluster_buckets; i++)
        for (struct cluster *c = observe->clusters[i]; c; c = c->next)
            for (struct answer *a = c->answers; a; a = a->next)
                if (first == NULL || a->ask_at_ms < first->ask_at_ms) {
                    first = a;
                    *ret_cluster = c;
                }
    return first;
}

/* What waited may have got on since: it is looked at once more before the API server is asked. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct observe *observe = arg;
    struct cluster *cluster = NULL;
    struct answer *answer = observe->question ? NULL : first_due(observe, &cluster);
    if (answer == NULL)
        return;
    int64_t now_ms = clock_boot_ms();
    if (answer->ask_at_ms > now_ms) {
        ask_next(observe);
        return;
    }
    answer->ask_at_ms =
        now_ms + pause_doubled_ms(FIRST_PAUSE_MS, LONGEST_PAUSE_MS, 2 * answer->asked++);
    const struct record *record =
        cache_find(observe, answer->kind, cluster->namespace, answer->name);
    if (record && record->cluster == cluster && needs_diagnosis(observe, record))
        ask(observe, cluster, record);
    else
        ask_next(observe);
}

/* Always through the loop: questions never recurse. */
static void ask_next(struct observe *observe)
{
    struct cluster *cluster;
    const struct answer *answer = first_due(observe, &cluster);
    if (answer == NULL || observe->question || observe->options.loop == NULL)
        return;
    if (observe->ask_timer == NULL)
        observe->ask_timer = evtimer_new(observe->options.loop, on_timer, observe);
    int64_t wait_ms = answer->ask_at_ms - clock_boot_ms();
    timer_set(NULL, observe->ask_timer, wait_ms > 0 ? wait_ms : 0);
}

static void drop_unwanted(struct cluster *cluster)
{
    for (struct answer **at = &cluster->answers; *at;) {
        struct answer *answer = *at;
        if (answer->wanted) {
            answer->wanted = false;
            at = &answer->next;
            continue;
        }
        *at = answer->next;
        free_answer(answer);
    }
}

void observe_diagnose(struct observe *observe, const char *namespace, const char *name)
{
    struct cluster *cluster = cache_cluster(observe, namespace, name, false);
    if (cluster == NULL)
        return;
    for (struct record *r = cluster->uid ? cluster->records : NULL; r; r = r->next)
        if (needs_diagnosis(observe, r))
            answer_for(observe, cluster, r)->wanted = true;
    drop_unwanted(cluster);
    if (cluster->answers && observe->options.kube)
        ask_next(observe);
}
