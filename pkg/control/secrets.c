/*
 * The credentials step of a pass. Secrets are read by name, all at once, and only when something
 * may have changed. A missing one is created by POST, so that an existing Secret is never
 * overwritten; after a conflict they are read again.
 */
#include "control/internal.h"

#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "phrase/phrase.h"

enum { TRIES = 3 };

struct slot { /* callback argument of one GET */
    struct pass *pass;
    enum cluster_secret which;
    void (*done)(struct pass *pass);
};

/* A deleted Secret does no harm until a pod wants to mount it. */
bool secrets_missed(const struct pass *pass)
{
    for (size_t i = 0; i < pass->snapshot.instance_count; i++) {
        const struct seen_pod *pod = &pass->snapshot.instances[i].pod;
        if (pod->there && !pod->ready && phrase_is_in(PHRASE_K8S_SECRET, pod->waiting_message))
            return true;
    }
    return false;
}

bool secrets_due(const struct pass *pass)
{
    const struct history *history = pass->history;
    const struct snapshot *snapshot = &pass->snapshot;
    if (snapshot->faults.count > 0 || snapshot->spec.deleting || snapshot->namespace_terminating)
        return false;
    int64_t age_ms = clock_boot_ms() - history->read_ms;
    return !history->credentials_known ||
           !text_same(history->credentials.observed, snapshot->spec.reread_credentials) ||
           pass->digest != history->read_digest ||
           (history->renew_ms > 0 && clock_wall_ms() >= history->renew_ms) ||
           age_ms >= pass->control->options->resync_seconds * INT64_C(800) ||
           ((!history->credentials.complete || secrets_missed(pass)) &&
            age_ms >= CREDENTIALS_RETRY_MS / 2);
}

static void go_on(struct pass *pass)
{
    reconcile_once(pass);
}

static void give_up(struct pass *pass, const struct error *err)
{
    pass->credentials_err = *err;
    go_on(pass);
}

static void log_written(const struct pass *pass)
{
    for (size_t i = 0; i < pass->step_count; i++) {
        const struct credentials_write *write = &pass->credentials.writes[i];
        if (pass->steps[i].tried && pass->steps[i].err.class == 0)
            (write->create ? log_debug : log_info)(
                write->create ? "created" : "applied", "namespace", pass->key->namespace, "cluster",
                pass->key->name, "kind", "Secret", "name", write->name, "why", write->reason, NULL);
    }
}

/* After a conflict, somebody else wrote since the Secrets were read: they are read again. The
 * versions of what was written here are unknown; with versions = "" the next look reads the Secrets
 * again. */
static void on_written(void *arg)
{
    struct pass *pass = arg;
    pass->run = NULL;
    const struct error *failure = NULL;
    for (size_t i = 0; i < pass->step_count && failure == NULL; i++)
        if (pass->steps[i].err.class < 0)
            failure = &pass->steps[i].err;
    log_written(pass);
    if (failure && failure->class == ERR_CONFLICT && ++pass->credential_tries < TRIES) {
        secrets_start(pass);
    } else if (failure) {
        give_up(pass, failure);
    } else {
        struct history *history = pass->history;
        history_keep(history, &pass->credentials.seen);
        history->renew_ms = pass->credentials.next_ms;
        history->read_ms = history->rechecked_ms = clock_boot_ms();
        snprintf(history->versions, sizeof history->versions, "%s",
                 pass->credentials.write_count > 0 ? "" : pass->versions);
        history->read_digest = pass->digest;
        go_on(pass);
    }
}

static void write_secrets(struct pass *pass)
{
    const struct credentials_result *result = &pass->credentials;
    pass->step_count = result->write_count;
    pass->steps = arena_alloc(pass->arena, (result->write_count + 1) * sizeof *pass->steps);
    for (size_t i = 0; i < result->write_count; i++) {
        const struct credentials_write *write = &result->writes[i];
        pass->steps[i] = (struct apply_step){.verb = write->create ? APPLY_POST : APPLY_MERGE,
                                             .api_version = "v1",
                                             .kind = "Secret",
                                             .name = write->name,
                                             .object = write->object,
                                             .wave = write->wave,
                                             /* Later writes contain what this one stores: a CA in
                                              * ca.crt that was never stored would look like a lost
                                              * one. */
                                             .vital = true};
    }
    if (result->write_count == 0) {
        on_written(pass);
        return;
    }
    pass->run = apply_start(pass->control->apply, &pass->owner, pass->steps, pass->step_count,
                            on_written, pass);
}

static void judge(struct pass *pass)
{
    if (pass->credentials_err.class < 0) {
        go_on(pass);
        return;
    }
    recheck_hash(pass->arena, pass->secrets, pass->versions);
    const struct credentials_input input = {.superuser = pass->secrets[SECRET_SUPERUSER],
                                            .app = pass->secrets[SECRET_APP],
                                            .replication = pass->secrets[SECRET_REPLICATION],
                                            .ca = pass->secrets[SECRET_CA],
                                            .server = pass->secrets[SECRET_SERVER],
                                            .verifiers = pass->secrets[SECRET_VERIFIERS]};
    struct error err = {0};
    if (credentials_check(pass->arena, &pass->snapshot.spec, &input, clock_wall_ms(),
                          credentials_rand, NULL, &pass->credentials, &err) < 0)
        give_up(pass, &err);
    else
        write_secrets(pass);
}

static void wipe(void *secret)
{
    credentials_wipe(secret);
}

static void on_read(void *arg, const cJSON *body, const struct error *err)
{
    const struct slot *slot = arg;
    struct pass *pass = slot->pass;
    pass->calls[slot->which] = NULL;
    pass->secrets[slot->which] = NULL;
    if (err->class == 0) {
        pass->secrets[slot->which] = json_copy(pass->arena, body);
        arena_defer(pass->arena, wipe, pass->secrets[slot->which]);
    } else if (err->class != ERR_NOT_FOUND && pass->credentials_err.class == 0) {
        pass->credentials_err = *err;
        err_wrap(&pass->credentials_err, "read the cluster's Secrets");
    }
    if (--pass->reads_open == 0)
        slot->done(pass);
}

void secrets_get(struct pass *pass, bool metadata_only, void (*done)(struct pass *pass))
{
    const struct cluster_spec *spec = &pass->snapshot.spec;
    const char *const names[] = {
        [SECRET_SUPERUSER] = spec->superuser_secret,
        [SECRET_APP] = spec->app_secret,
        [SECRET_REPLICATION] = spec->replication_secret,
        [SECRET_CA] = name_child(pass->arena, spec->name, "ca"),
        [SECRET_SERVER] = name_child(pass->arena, spec->name, "server"),
        [SECRET_VERIFIERS] = name_child(pass->arena, spec->name, "verifiers"),
    };
    _Static_assert(sizeof names / sizeof names[0] == SECRETS, "each has a name");
    const struct kube_kind *kind = kube_kind_find("v1", "Secret");
    pass->reads_open = SECRETS;
    for (int i = 0; i < SECRETS; i++) {
        struct slot *slot = arena_alloc(pass->arena, sizeof *slot);
        *slot = (struct slot){pass, (enum cluster_secret)i, done};
        const struct kube_request request = {
            .method = KUBE_GET,
            .path = kube_path(pass->arena, kind, pass->key->namespace, names[i], NULL),
            .metadata_only = metadata_only};
        pass->calls[i] = kube_call_start(pass->control->kube, &request, on_read, slot);
    }
}

void secrets_start(struct pass *pass)
{
    secrets_get(pass, false, judge);
}

void secrets_cancel(struct pass *pass)
{
    for (int i = 0; i < SECRETS; i++)
        kube_call_cancel(pass->calls[i]);
}
