/*
 * What somebody else added to an object of ours. Server-side apply sets what is ours and takes back
 * what was ours; a field that we leave out on purpose it leaves as others set it, though a selector
 * on a Service, a container in a template or a key of a ConfigMap changes what the object does.
 *
 * metadata.managedFields tells them apart from what the server filled in (which belongs to nobody)
 * and from what admission webhooks make of our own requests (which belongs to us):
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
 *
 * Left alone: status, metadata (but for labels that take a Service away from kube-proxy), kinds
 * whose content belongs to agents or to people too (Lease, EndpointSlice, PersistentVolumeClaim,
 * Pod, ServiceAccount, Secret), addresses and node ports, and the metadata of pod templates
 * (`kubectl rollout restart` writes there).
 */
#pragma once

#include "base/json.h"

/* Neither we, nor our agents, nor Kubernetes' own controllers, which write bookkeeping only. */
bool api_manager_is_strange(const char *manager);
/* The fields, for people: "spec.externalIPs, spec.selector"; "" when there are none. Metadata alone
 * is enough to tell. */
char *api_foreign_fields(struct arena *arena, const char *kind, const cJSON *object);
/* The stranger that wrote last, not counting status; "" when there is none, or where the kind's
 * content is not ours alone. Lives as long as the object. */
const char *api_foreign_manager(const char *kind, const cJSON *object);
/* The JSON merge patch that takes them out of the whole object as it was read, with its uid and
 * resourceVersion as preconditions; NULL when there is nothing to take out. A list goes as a whole,
 * without what was in it. `intent` as below. */
cJSON *api_foreign_patch(struct arena *arena, const char *kind, const cJSON *intent,
                         const cJSON *object);
/* Takes them out of the whole object, but for fields that `intent` has: somebody took these from
 * us, and they are to be written, not removed. True when anything was taken out. */
bool api_foreign_remove(struct arena *arena, const char *kind, const cJSON *intent, cJSON *object);
