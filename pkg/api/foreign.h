/*
 * What other managers added to an object of ours. Server-side apply sets our fields and removes
 * those that were ours before. A field that we leave out on purpose stays as others set it,
 * although a selector on a Service, a container in a template or a key of a ConfigMap changes what
 * the object does.
 *
 * metadata.managedFields distinguishes them from what the server filled in (no manager owns that)
 * and from what admission webhooks add to our own requests (we own that):
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
 *
 * Left alone: status, metadata (except labels that take a Service away from kube-proxy), kinds
 * whose content belongs to agents or to people too (Lease, EndpointSlice, PersistentVolumeClaim,
 * Pod, ServiceAccount, Secret), addresses and node ports, and the metadata of pod templates
 * (`kubectl rollout restart` writes there).
 */
#pragma once

#include "base/json.h"

/* True unless it is the operator, an agent, or one of Kubernetes' own controllers, which write only
 * bookkeeping. */
bool api_manager_is_foreign(const char *manager);
/* The fields, for people: "spec.externalIPs, spec.selector"; "" when there are none. The object's
 * metadata alone is enough. */
char *api_foreign_fields(struct arena *arena, const char *kind, const cJSON *object);
/* The foreign manager that wrote last, not counting status; "" when there is none, or where the
 * kind's content is not ours alone. Lives as long as the object. */
const char *api_foreign_manager(const char *kind, const cJSON *object);
/* The JSON merge patch that removes them from the whole object as it was read, with its uid and
 * resourceVersion as preconditions; NULL when there is nothing to remove. A list is replaced as a
 * whole, without their items. `intent` as below. */
cJSON *api_foreign_patch(struct arena *arena, const char *kind, const cJSON *intent,
                         const cJSON *object);
/* Removes them from the whole object, except fields that `intent` has: another manager took these
 * from us, and they must be written, not removed. True when anything was removed. */
bool api_foreign_remove(struct arena *arena, const char *kind, const cJSON *intent, cJSON *object);
