#include "api/children.h"

#include <string.h>

#include "api/reasons.h"

#define RBAC "rbac.authorization.k8s.io/v1"

/* Secrets are written and removed by `credentials`, the lease belongs to the agents, and what
 * controllers created for our objects (pods, revisions, slices) is removed with these: none of
 * them is deleted when the cluster no longer needs it. */
const struct child_info api_child_infos[CHILD_KINDS] = {
    [CHILD_CONFIG_MAP] = {.api_version = "v1",
                          .kind = "ConfigMap",
                          .deletable = true,
                          .exclusive = true},
    [CHILD_SERVICE_ACCOUNT] = {.api_version = "v1", .kind = "ServiceAccount", .deletable = true},
    [CHILD_ROLE] = {.api_version = RBAC, .kind = "Role", .deletable = true, .exclusive = true},
    [CHILD_ROLE_BINDING] = {.api_version = RBAC,
                            .kind = "RoleBinding",
                            .deletable = true,
                            .one_wave_later = true, /* its Role */
                            .exclusive = true},
    [CHILD_SERVICE] =
        {.api_version = "v1",
         .kind = "Service",
         .deletable = true,
         .exclusive = true,
         .others_may_set = {"spec.clusterIP", "spec.clusterIPs", "spec.healthCheckNodePort",
                            "spec.ipFamilies", "spec.ipFamilyPolicy", "spec.ports.nodePort"},
         /* kube-proxy leaves a Service that has one of them alone */
         .reserved_labels = {"metadata.labels.service.kubernetes.io/headless",
                             "metadata.labels.service.kubernetes.io/service-proxy-name"}},
    [CHILD_ENDPOINT_SLICE] = {.api_version = "discovery.k8s.io/v1",
                              .kind = "EndpointSlice",
                              .deletable = true},
    [CHILD_LEASE] = {.api_version = "coordination.k8s.io/v1",
                     .kind = "Lease",
                     .created_by_post = true},
    [CHILD_DISRUPTION_BUDGET] = {.api_version = "policy/v1",
                                 .kind = "PodDisruptionBudget",
                                 .deletable = true,
                                 .repair_may_wait = true,
                                 .exclusive = true},
    [CHILD_CLAIM] = {.api_version = "v1",
                     .kind = "PersistentVolumeClaim",
                     .wave = CHILD_WAVE_VOLUMES,
                     .deleted_event = REASON_SCALING_DOWN,
                     .affects = AFFECTS_STORAGE,
                     .deletable = true,
                     .model_explains = true},
    [CHILD_STATEFUL_SET] = {.api_version = "apps/v1",
                            .kind = "StatefulSet",
                            .wave = CHILD_WAVE_INSTANCES,
                            .created_event = REASON_INSTANCE_CREATED,
                            .deleted_event = REASON_SCALING_DOWN,
                            .deletable = true,
                            .pods_wait = true,
                            .repair_may_wait = true,
                            .model_explains = true,
                            .exclusive = true,
                            .others_may_set = {"spec.template.metadata"}},
    [CHILD_POD] = {.api_version = "v1",
                   .kind = "Pod",
                   .deleted_event = REASON_ROLLING_POD,
                   .recreated = true},
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
