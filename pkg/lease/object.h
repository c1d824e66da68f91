/* A Lease as JSON -> what the engine uses. */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "lease/engine.h"

/* An impossible epoch is read as 0; *ret_odd_epoch (may be NULL) then gets it. */
void lease_object_read(const cJSON *json, struct lease_object *ret_object, int64_t *ret_odd_epoch);
/* What the end of a request says; class 0 is LEASE_DONE. */
enum lease_outcome lease_outcome_of(const struct error *err);
