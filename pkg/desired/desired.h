/*
 * The objects that a cluster becomes. Pure; one file per subject. Every object carries labels,
 * owner reference (unless it must outlive the cluster) and is complete: what is absent here is not
 * ours. ANN_APPLIED is added by `plan`. Secrets are made by `credentials`.
 *
 * The Lease and the EndpointSlice -rw are here without the fields that the agents own (spec,
 * endpoints): made once, they stay as the agents write them.
 */
#pragma once

#include "model/model.h"

struct desired {
    cJSON **objects; /* in order of application */
    size_t count;
};

/* Hash of the pod template that instance `name` should have, without the agent's image and the way
 * it comes into the pod, so that an upgrade of the operator or of the API server restarts nobody.
 */
char *desired_template_hash(struct arena *arena, const struct snapshot *snapshot, const char *name);
/* Hash over postgresql.conf + "\n" + pg_hba.conf, as agents echo it once it is loaded. */
char *desired_config_hash(struct arena *arena, const struct snapshot *snapshot);
struct desired desired_build(struct arena *arena, const struct model *model);
