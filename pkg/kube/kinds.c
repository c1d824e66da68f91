#include "kube/kinds.h"

#include <string.h>

#include "base/buffer.h"

static const struct kube_kind kinds[] = {
    {"v1", "Pod", "pods", true},
    {"v1", "Service", "services", true},
    {"v1", "Endpoints", "endpoints", true},
    {"v1", "ConfigMap", "configmaps", true},
    {"v1", "Secret", "secrets", true},
    {"v1", "ServiceAccount", "serviceaccounts", true},
    {"v1", "PersistentVolumeClaim", "persistentvolumeclaims", true},
    {"v1", "PersistentVolume", "persistentvolumes", false},
    {"v1", "Namespace", "namespaces", false},
    {"v1", "Node", "nodes", false},
    {"events.k8s.io/v1", "Event", "events", true},
    {"apps/v1", "StatefulSet", "statefulsets", true},
    {"apps/v1", "Deployment", "deployments", true},
    {"batch/v1", "Job", "jobs", true},
    {"batch/v1", "CronJob", "cronjobs", true},
    {"rbac.authorization.k8s.io/v1", "Role", "roles", true},
    {"rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true},
    {"policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true},
    {"coordination.k8s.io/v1", "Lease", "leases", true},
    {"discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true},
    {"storage.k8s.io/v1", "StorageClass", "storageclasses", false},
    {"apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false},
    {"authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", false},
    {"pgkeel.dev/v1alpha1", "PostgresCluster", "postgresclusters", true},
};

const struct kube_kind *kube_kind_find(const char *api_version, const char *kind)
{
    if (api_version == NULL || kind == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].kind, kind) == 0 && strcmp(kinds[i].api_version, api_version) == 0)
            return &kinds[i];
    return NULL;
}

static void put_escaped(struct buffer *out, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            buffer_append(out, text, 1);
        else
            buffer_printf(out, "%%%02X", (unsigned char)*text);
    }
}

static void put_segment(struct buffer *out, const char *text)
{
    buffer_puts(out, "/");
    put_escaped(out, text);
}

char *kube_path(struct arena *arena, const struct kube_kind *kind, const char *namespace,
                const char *name, const char *subresource)
{
    AUTO_BUFFER out = {0};
    buffer_printf(&out, "%s/%s", strchr(kind->api_version, '/') ? "/apis" : "/api",
                  kind->api_version);
    if (kind->namespaced && namespace != NULL) {
        buffer_puts(&out, "/namespaces");
        put_segment(&out, namespace);
    }
    put_segment(&out, kind->plural);
    if (name != NULL)
        put_segment(&out, name);
    if (subresource != NULL)
        put_segment(&out, subresource);
    return arena_strndup(arena, buffer_text(&out), out.length);
}

char *kube_escape(struct arena *arena, const char *text)
{
    AUTO_BUFFER out = {0};
    put_escaped(&out, text);
    return arena_strndup(arena, buffer_text(&out), out.length);
}
