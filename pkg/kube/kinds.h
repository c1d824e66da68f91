/* The kinds that pgkeel uses, with what their URLs need. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

struct kube_kind {
    const char *api_version; /* "v1", "apps/v1" */
    const char *kind;        /* "StatefulSet" */
    const char *plural;      /* "statefulsets" */
    bool namespaced;
};

/* NULL when unknown. */
const struct kube_kind *kube_kind_find(const char *api_version, const char *kind);
/* "/apis/apps/v1/namespaces/ns/statefulsets/name[/subresource]"; name, namespace, subresource may
 * be NULL. Segments are percent-encoded. */
char *kube_path(struct arena *arena, const struct kube_kind *kind, const char *namespace,
                const char *name, const char *subresource);
/* Percent-encodes a value for a query, e.g. a selector. */
char *kube_escape(struct arena *arena, const char *text);
