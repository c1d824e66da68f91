/* The spec with its defaults filled in: defaults are shown here and never written into spec. */
#include "status/internal.h"

static cJSON *part(cJSON *effective, const char *name)
{
    return json_add_object(effective, name);
}

static const char *quantity(struct arena *arena, int64_t bytes)
{
    const int64_t mib = 1024 * 1024;
    return bytes % mib == 0 ? arena_printf(arena, "%lldMi", (long long)(bytes / mib))
                            : arena_printf(arena, "%lld", (long long)bytes);
}

static void write_bootstrap(cJSON *effective, const struct cluster_spec *spec)
{
    cJSON *initdb = part(part(effective, "bootstrap"), "initdb");
    json_set_str(initdb, "database", spec->database);
    json_set_str(initdb, "owner", spec->owner);
    json_set_str(initdb, "encoding", spec->encoding);
    json_set_str(initdb, "locale", spec->locale);
}

static void write_secrets(cJSON *effective, const struct cluster_spec *spec)
{
    cJSON *secrets = part(effective, "secrets");
    json_set_str(secrets, "superuser", spec->superuser_secret);
    json_set_str(secrets, "app", spec->app_secret);
    json_set_str(secrets, "replication", spec->replication_secret);
}

void status_effective(struct making *making)
{
    const struct cluster_spec *spec = &making->model->snapshot->spec;
    if (making->model->snapshot->faults.count > 0)
        return; /* an invalid spec has no defaults */
    cJSON *effective = json_add_object(making->result.status, "effective");
    json_set_str(part(effective, "postgres"), "image", spec->image);
    json_set_str(part(effective, "postgres"), "imagePullPolicy", spec->image_pull_policy);
    json_set_bool(part(effective, "storage"), "retain", spec->retain);
    json_set_str(part(effective, "replication"), "maxSlotWalKeepSize",
                 spec->max_slot_wal_keep_size);
    json_set_str(part(effective, "replication"), "maxLag",
                 quantity(making->arena, spec->max_lag_bytes));
    json_set_str(part(effective, "tls"), "caOverlap", spec->ca_overlap);
    json_set_int(part(effective, "failover"), "leaseSeconds", spec->lease_seconds);
    json_set_str(part(effective, "scheduling"), "antiAffinity",
                 spec->scheduling.anti_affinity_required ? "required" : "preferred");
    json_set_str(part(effective, "scheduling"), "topologyKey", spec->scheduling.topology_key);
    json_set_int(effective, "terminationGracePeriodSeconds", spec->termination_grace_seconds);
    json_set_bool(part(effective, "maintenance"), "allowEviction", spec->allow_eviction);
    write_bootstrap(effective, spec);
    write_secrets(effective, spec);
}
