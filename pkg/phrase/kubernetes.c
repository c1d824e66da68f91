/* Kubernetes 1.29 and later: messages without a reason or code of their own. Sources are below
 * https://github.com/kubernetes/kubernetes. */
#include "phrase/phrase.h"

#define QUOTA      "apiserver/pkg/admission/plugin/resourcequota/controller.go: CheckRequest"
#define VALIDATION "pkg/apis/core/validation/validation.go: ValidatePersistentVolumeClaimUpdate"
#define RESIZE     "plugin/pkg/admission/storage/persistentvolume/resize/admission.go"
#define BINDING    "pkg/controller/volume/persistentvolume/pv_controller.go"
#define SCHEDULER  "pkg/scheduler/framework/plugins/volumebinding/binder.go: ErrReasonNodeConflict"

const struct phrase_row phrase_kubernetes[] = {
    {PHRASE_K8S_VERSION_TOO_LARGE, PHRASE_ANYWHERE, "ResourceVersionTooLarge", "",
     "apiserver/pkg/storage/errors.go: NewTooLargeResourceVersionError", "1.29-",
     "the cause's type: an etcd was restored, list again"},
    {PHRASE_K8S_VERSION_TOO_LARGE, PHRASE_ANYWHERE, "Too large resource version", "",
     "apiserver/pkg/storage/errors.go: NewTooLargeResourceVersionError", "1.29-",
     "the same in the message, where no cause is given"},
    {PHRASE_K8S_UID_CHANGED, PHRASE_ANYWHERE, "metadata.uid", "",
     "apimachinery/pkg/api/validation/objectmeta.go: ValidateObjectMetaAccessorUpdate", "1.29-",
     "another object of this name has replaced it: read again"},
    {PHRASE_K8S_QUOTA_EXCEEDED, PHRASE_ANYWHERE, "exceeded quota", "", QUOTA, "1.29-",
     "a ResourceQuota is used up"},
    {PHRASE_K8S_QUOTA, PHRASE_ANYWHERE, "quota", "", QUOTA, "1.29-",
     "the same, as a StatefulSet's event FailedCreate repeats it"},
    {PHRASE_K8S_QUOTA_UNSPECIFIED, PHRASE_ANYWHERE, "must specify", "", QUOTA, "1.29-",
     "a ResourceQuota requires a request or limit that the object does not set"},
    {PHRASE_K8S_NAMESPACE_TERMINATING, PHRASE_ANYWHERE, "being terminated", "",
     "apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go: Admit", "1.29-",
     "the namespace is being deleted"},
    {PHRASE_K8S_VOLUME_SHRINKS, PHRASE_ANYWHERE, "can not be less than", "", VALIDATION, "1.29-",
     "a claim's request may not become smaller"},
    {PHRASE_K8S_VOLUME_RESIZE, PHRASE_ANYWHERE, "resize", "", RESIZE, "1.29-",
     "the class does not let volumes grow"},
    {PHRASE_K8S_VOLUME_EXPANSION, PHRASE_ANYWHERE, "expansion", "", RESIZE, "1.29-",
     "the same, from webhooks of provisioners"},

    {PHRASE_K8S_STORAGE_CLASS, PHRASE_ANYWHERE, "storageclass", "",
     BINDING ": provisionClaimOperation", "1.29-", "event ProvisioningFailed is about the class"},
    {PHRASE_K8S_NOT_FOUND, PHRASE_ANYWHERE, "not found", "",
     "apimachinery/pkg/api/errors/errors.go: NewNotFound", "1.29-", "what is named does not exist"},
    {PHRASE_K8S_NO_DEFAULT_CLASS, PHRASE_ANYWHERE, "no storage class is set", "",
     BINDING ": syncUnboundClaim", "1.29-", "event FailedBinding: there is no default class"},
    {PHRASE_K8S_RESIZE_ERROR, PHRASE_ANYWHERE, "ResizeError", "",
     "core/v1/types.go: ControllerResizeError, NodeResizeError", "1.31-",
     "a condition's type: growing failed, and is tried again"},
    {PHRASE_K8S_NODE_AFFINITY, PHRASE_ANYWHERE, "node affinity", "", SCHEDULER, "1.29-",
     "a volume or the spec keeps the pod from nodes"},
    {PHRASE_K8S_VOLUME_NODE_AFFINITY, PHRASE_ANYWHERE, "volume node affinity conflict", "",
     SCHEDULER, "older", "the pod's volumes are on one node, which cannot take it"},
    {PHRASE_K8S_VOLUME_NODE_AFFINITY, PHRASE_ANYWHERE, "PersistentVolume's node affinity", "",
     SCHEDULER, "newer", "the same in newer versions"},
    {PHRASE_K8S_SECRET, PHRASE_ANY_CASE, "secret", "",
     "pkg/kubelet/kubelet_pods.go, volume/secret/secret.go", "1.29-",
     "a container waits for a Secret or one of its keys"},
    {0},
};
