/*
 * Were the Secrets changed by hand? A watch would need the right to list all Secrets, because RBAC
 * goes by name and each cluster's Secrets have other names. So the metadata of each Secret is read
 * by name. All clusters share a few reads per second: a single cluster is checked every ten
 * seconds, and a thousand clusters cost the API server no more.
 */
#include "control/internal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"

enum { SHORTEST_MS = 10000, READS_PER_SECOND = 10 };

int64_t recheck_period_ms(size_t clusters, int resync_seconds)
{
    int64_t fair_ms = (int64_t)clusters * SECRETS * 1000 / READS_PER_SECOND;
    int64_t longest_ms = resync_seconds * INT64_C(1000);
    fair_ms = fair_ms > SHORTEST_MS ? fair_ms : SHORTEST_MS;
    return fair_ms < longest_ms ? fair_ms : longest_ms;
}

void recheck_hash(struct arena *arena, cJSON *const secrets[SECRETS], char ret_hash[17])
{
    char *text = arena_strdup(arena, "");
    for (int i = 0; i < SECRETS; i++)
        text = arena_printf(arena, "%s%s/%s\n", text, json_str(secrets[i], "metadata.uid", ""),
                            json_str(secrets[i], "metadata.resourceVersion", ""));
    snprintf(ret_hash, 17, "%s", hash_hex16(arena, text, strlen(text)));
}

int64_t recheck_next_ms(const struct pass *pass)
{
    const struct history *history = pass->history;
    const struct snapshot *snapshot = &pass->snapshot;
    if (!history->credentials_known || snapshot->faults.count > 0 || snapshot->spec.deleting ||
        snapshot->namespace_terminating)
        return INT64_MAX;
    return history->rechecked_ms + recheck_period_ms(observe_clusters(pass->control->observe),
                                                     pass->control->options->resync_seconds);
}

bool recheck_due(const struct pass *pass)
{
    return clock_boot_ms() >= recheck_next_ms(pass);
}

static void on_answers(struct pass *pass)
{
    char versions[17];
    struct history *history = pass->history;
    history->rechecked_ms = clock_boot_ms();
    if (pass->credentials_err.class < 0) {
        pass->credentials_err = (struct error){0}; /* what was read before stays valid */
        reconcile_once(pass);
        return;
    }
    recheck_hash(pass->arena, pass->secrets, versions);
    if (strcmp(versions, history->versions) == 0)
        reconcile_once(pass);
    else
        secrets_start(pass);
}

void recheck_start(struct pass *pass)
{
    secrets_get(pass, true, on_answers);
}
