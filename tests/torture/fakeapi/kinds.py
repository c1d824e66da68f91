"""The kinds this server knows, and what the real one does to each of them on a write."""
import hashlib
from collections import namedtuple

Kind = namedtuple("Kind", "group version plural kind namespaced status generation")

_TABLE = [
    # group, version, plural, kind, namespaced, status subresource, metadata.generation
    ("", "v1", "namespaces", "Namespace", False, True, False),
    ("", "v1", "nodes", "Node", False, True, False),
    ("", "v1", "persistentvolumes", "PersistentVolume", False, True, False),
    ("", "v1", "pods", "Pod", True, True, True),
    ("", "v1", "services", "Service", True, True, False),
    ("", "v1", "endpoints", "Endpoints", True, False, False),
    ("", "v1", "secrets", "Secret", True, False, False),
    ("", "v1", "configmaps", "ConfigMap", True, False, False),
    ("", "v1", "serviceaccounts", "ServiceAccount", True, False, False),
    ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, True, False),
    ("", "v1", "events", "Event", True, False, False),
    ("apps", "v1", "statefulsets", "StatefulSet", True, True, True),
    ("apps", "v1", "deployments", "Deployment", True, True, True),
    ("batch", "v1", "jobs", "Job", True, True, True),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True, True, True),
    ("coordination.k8s.io", "v1", "leases", "Lease", True, False, False),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True, False, True),
    ("events.k8s.io", "v1", "events", "Event", True, False, False),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True, False, True),
    ("rbac.authorization.k8s.io", "v1", "roles", "Role", True, False, False),
    ("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", True, False, False),
    ("storage.k8s.io", "v1", "storageclasses", "StorageClass", False, False, False),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",
     False, True, True),
    ("pgkeel.dev", "v1alpha1", "postgresclusters", "PostgresCluster", True, True, True),
]
KINDS = [Kind(*row) for row in _TABLE]
BY_URL = {(k.group, k.version, k.plural): k for k in KINDS}
BY_KIND = {}
for _kind in KINDS:
    BY_KIND.setdefault(_kind.kind, _kind)


def api_version(kind):
    return kind.version if not kind.group else kind.group + "/" + kind.version


# Lists that merge item by item under server-side apply: field name -> keys; everything else that is
# a list is atomic. Ports depend on where they stand.
ITEM_KEYS = {
    "containers": ("name",), "initContainers": ("name",), "volumes": ("name",), "env": ("name",),
    "imagePullSecrets": ("name",), "volumeMounts": ("mountPath",), "ownerReferences": ("uid",),
    "conditions": ("type",), "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
SETS = {"finalizers"}
ATOMIC_MAPS = {"selector", "nodeSelector", "labelSelector", "roleRef", "securityContextRef"}
KEY_DEFAULTS = {"protocol": "TCP"}


def item_keys(kind, path):
    """Keys of the list at `path` (names only), or None when it is atomic."""
    name = path[-1] if path else ""
    if name == "ports":
        if kind == "Service":
            return ("port", "protocol")
        return ("containerPort", "protocol") if "containers" in path else None
    return ITEM_KEYS.get(name)


class Invalid(Exception):
    """A write that the real server's validation refuses."""

    def __init__(self, field, message):
        super().__init__("%s: %s" % (field, message))
        self.field, self.message = field, message


_SET_MUTABLE = {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy", "minReadySeconds"}
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
          "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text):
    text = str(text)
    digits = text.rstrip("KMGTik")
    return int(float(digits) * _UNITS[text[len(digits):]])


def check_update(kind, old, new):
    """Raises Invalid where a field is immutable on the real server."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if kind.kind == "StatefulSet":
        for key in sorted(set(before) | set(after)):
            if key not in _SET_MUTABLE and before.get(key) != after.get(key):
                raise Invalid("spec", "Forbidden: updates to statefulset spec for fields other "
                              "than 'replicas', 'template' ... are forbidden (%s)" % key)
    if kind.kind == "PersistentVolumeClaim":
        for key in sorted(set(before) | set(after)):
            if key in ("resources", "volumeName", "volumeAttributesClassName"):
                continue
            if before.get(key) != after.get(key) and before.get(key) is not None:
                raise Invalid("spec", "Forbidden: spec is immutable after creation except "
                              "resources.requests and volumeAttributesClassName (%s)" % key)
        size = lambda s: s.get("resources", {}).get("requests", {}).get("storage", "0")
        if quantity(size(after)) < quantity(size(before)):
            raise Invalid("spec.resources.requests.storage",
                          "Forbidden: field can not be less than status.capacity")
    if kind.kind == "RoleBinding" and old.get("roleRef") != new.get("roleRef"):
        raise Invalid("roleRef", "Invalid value: cannot change roleRef")
    if kind.kind == "Service":
        if before.get("clusterIP") and before["clusterIP"] != after.get("clusterIP"):
            raise Invalid("spec.clusterIPs[0]", "Invalid value: may not change once set")
    if kind.kind == "Secret" and old.get("type") != new.get("type"):
        raise Invalid("type", "Invalid value: field is immutable")


def address(net, text):
    """An IP address that follows from the name, so that two runs give the same."""
    found = hashlib.sha256(text.encode()).digest()
    return "%s.%d.%d" % (net, found[0], found[1])


def set_defaults(kind, obj):
    """The few defaults that a client may look at."""
    spec = obj.get("spec")
    if kind.kind == "Service":
        if spec.get("type") != "ExternalName" and not spec.get("clusterIP"):
            spec["clusterIP"] = address("10.96", obj["metadata"]["uid"])
            spec["clusterIPs"] = [spec["clusterIP"]]
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        spec.setdefault("internalTrafficPolicy", "Cluster")
    elif kind.kind == "StatefulSet":
        spec.setdefault("podManagementPolicy", "OrderedReady")
        spec.setdefault("revisionHistoryLimit", 10)
        template = spec.get("template", {}).get("spec", {})
        template.setdefault("restartPolicy", "Always")
        template.setdefault("dnsPolicy", "ClusterFirst")
        template.setdefault("schedulerName", "default-scheduler")
    elif kind.kind == "PersistentVolumeClaim":
        spec.setdefault("volumeMode", "Filesystem")
        spec.setdefault("storageClassName", "standard")
    elif kind.kind == "Secret":
        obj.setdefault("type", "Opaque")
        if "stringData" in obj:
            import base64
            data = obj.setdefault("data", {})
            for key, value in obj.pop("stringData").items():
                data[key] = base64.b64encode(value.encode()).decode()
    elif kind.kind == "Namespace":
        obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        obj.setdefault("status", {"phase": "Active"})


def admit(kind, obj):
    """What the server adds on creation that no manager owns."""
    if kind.kind == "PersistentVolumeClaim":
        obj["metadata"].setdefault("finalizers", ["kubernetes.io/pvc-protection"])
        obj["status"] = {"phase": "Pending"}
