/*
 * The objects that a cluster becomes. Pure; one file per subject. Every object carries labels,
 * owner reference (unless it must outlive the cluster) and is complete: what is absent here is not
 * ours. ANN_APPLIED is added by `plan`.
 */
#pragma once

#include "model/model.h"

struct desired {
    cJSON **objects; /* in order of application */
    size_t count;
};

/* Hash of the pod template that instance `name` should have, without the agent's image. */
char *desired_template_hash(struct arena *arena, const struct snapshot *snapshot, const char *name);
struct desired desired_build(struct arena *arena, const struct model *model);
