#include "lease/object.h"

#include <stdio.h>

void lease_object_read(const cJSON *json, struct lease_object *ret_object, int64_t *ret_odd_epoch)
{
    struct lease_object object = {.seconds = json_int(json, "spec.leaseDurationSeconds", 0)};
    int64_t epoch = json_int(json, "spec.leaseTransitions", 0);
    bool possible = epoch >= 0 && epoch <= LEASE_EPOCH_MAX;
    object.epoch = possible ? epoch : 0;
    object.odd_epoch = !possible;
    if (ret_odd_epoch != NULL)
        *ret_odd_epoch = possible ? 0 : epoch;
    snprintf(object.holder, sizeof object.holder, "%s", json_str(json, "spec.holderIdentity", ""));
    snprintf(object.renewed, sizeof object.renewed, "%s", json_str(json, "spec.renewTime", ""));
    snprintf(object.version, sizeof object.version, "%s",
             json_str(json, "metadata.resourceVersion", ""));
    *ret_object = object;
}

enum lease_outcome lease_outcome_of(const struct error *err)
{
    switch (err->class) {
    case 0:
        return LEASE_DONE;
    case ERR_CONFLICT:
        return LEASE_CONFLICT;
    case ERR_NOT_FOUND:
        return LEASE_MISSING;
    case ERR_FORBIDDEN:
    case ERR_INVALID:
        return LEASE_REFUSED;
    case ERR_TIMEOUT:
    case ERR_TRANSPORT:
        return LEASE_UNANSWERED;
    default:
        return LEASE_FAILED;
    }
}
