"""The names of a cluster's children, and a spec to begin with."""
API = "pgkeel.dev/v1alpha1"
CLUSTER, INSTANCE = "pgkeel.dev/cluster", "pgkeel.dev/instance"
ROLE, REPORT, APPLIED = "pgkeel.dev/role", "pgkeel.dev/report", "pgkeel.dev/applied"


def cluster(name, namespace, instances=2, **spec):
    """A PostgresCluster; keywords are members of spec and win, None leaves one out."""
    body = {"instances": instances, "postgres": {"version": 17},
            "storage": {"size": "1Gi"}, "walStorage": {"size": "1Gi"}}
    body.update(spec)
    return {"apiVersion": API, "kind": "PostgresCluster",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {member: value for member, value in body.items() if value is not None}}


def children(name, instances=2):
    """(kind, name) of everything that belongs to a cluster, sorted."""
    found = [("Secret", name + s) for s in ("-superuser", "-app", "-replication", "-ca", "-server",
                                            "-verifiers")]
    found += [("Service", name + s) for s in ("-rw", "-ro", "-r", "-pods")]
    found += [("ConfigMap", name + "-config"), ("ServiceAccount", name), ("Role", name),
              ("RoleBinding", name), ("EndpointSlice", name + "-rw"), ("Lease", name + "-primary"),
              ("PodDisruptionBudget", name)]
    for ordinal in range(1, instances + 1):
        instance = "%s-%d" % (name, ordinal)
        found += [("PersistentVolumeClaim", instance + "-data"),
                  ("PersistentVolumeClaim", instance + "-wal"), ("StatefulSet", instance)]
    return sorted(found)


def condition(obj, name):
    for each in (obj or {}).get("status", {}).get("conditions", []):
        if each["type"] == name:
            return each
    return None


def is_true(obj, name):
    """The condition is True, and says so about the present generation."""
    found = condition(obj, name)
    return found is not None and found["status"] == "True" and \
        found.get("observedGeneration") == obj["metadata"].get("generation")


def explain(obj):
    """One line per condition, for messages."""
    return "; ".join("%s=%s %s: %s" % (c["type"], c["status"], c.get("reason"), c.get("message"))
                     for c in (obj or {}).get("status", {}).get("conditions", [])) or "no conditions"
