#include "api/children.h"

#include <string.h>

#define RBAC "rbac.authorization.k8s.io/v1"

/* Secrets are written and removed by `credentials`, the lease belongs to the agents, and what
 * controllers created for our objects (pods, revisions, slices) is removed with these: none of
 * them is deleted when the cluster no longer needs it. */
const struct child_info api_child_infos[CHILD_KINDS] = {
    [CHILD_CONFIG_MAP] = {.api_version = "v1", .kind = "ConfigMap", .goes = true, .ours = true},
    [CHILD_SERVICE_ACCOUNT] = {.api_version = "v1", .kind = "ServiceAccount", .goes = true},
    [CHILD_ROLE] = {.api_version = RBAC, .kind = "Role", .goes = true, .ours = true},
    [CHILD_ROLE_BINDING] = {.api_version = RBAC,
                            .kind = "RoleBinding",
                            .goes = true,
                            .after = true, /* its Role */
                            .ours = true},
    [CHILD_SERVICE] = {.api_version = "v1",
                       .kind = "Service",
                       .goes = true,
                       .ours = true,
                       .theirs = {"spec.clusterIP", "spec.clusterIPs", "spec.healthCheckNodePort",
                                  "spec.ipFamilies", "spec.ipFamilyPolicy", "spec.ports.nodePort"},
                       /* kube-proxy leaves a Service that has one of them alone */
                       .labels = {"metadata.labels.service.kubernetes.io/headless",
                                  "metadata.labels.service.kubernetes.io/service-proxy-name"}},
    [CHILD_SLICE] = {.api_version = "discovery.k8s.io/v1", .kind = "EndpointSlice", .goes = true},
    [CHILD_LEASE] = {.api_version = "coordination.k8s.io/v1", .kind = "Lease", .posted = true},
    [CHILD_BUDGET] = {.api_version = "policy/v1",
                      .kind = "PodDisruptionBudget",
                      .goes = true,
                      .left_open = true,
                      .ours = true},
    [CHILD_VOLUME] = {.api_version = "v1",
                      .kind = "PersistentVolumeClaim",
                      .affects = AFFECTS_STORAGE,
                      .goes = true,
                      .waited_for = true},
    [CHILD_SET] = {.api_version = "apps/v1",
                   .kind = "StatefulSet",
                   .goes = true,
                   .retried = true, /* no pod is deleted while it cannot be written */
                   .left_open = true,
                   .waited_for = true,
                   .ours = true,
                   .theirs = {"spec.template.metadata"}},
    [CHILD_POD] = {.api_version = "v1", .kind = "Pod"},
    [CHILD_SECRET] = {.api_version = "v1", .kind = "Secret", .affects = AFFECTS_CREDENTIALS},
};

enum child_kind api_child_kind_of(const char *kind)
{
    for (int i = 0; kind != NULL && i < CHILD_KINDS; i++)
        if (strcmp(api_child_infos[i].kind, kind) == 0)
            return (enum child_kind)i;
    return CHILD_NONE;
}

const struct child_info *api_child_info_of(const char *kind)
{
    enum child_kind found = api_child_kind_of(kind);
    return found == CHILD_NONE ? NULL : &api_child_infos[found];
}
