"""One API server without nodes for the whole suite, and one operator on the host."""
import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import deploy, names, runner  # noqa: E402
from lib.testcluster import TestCluster  # noqa: E402

NAME = os.environ.get("PGKEEL_TESTCLUSTER_API", "api")
WHERE = os.path.join(runner.BUILD, "api")
_parts = {}


def testcluster():
    """Brought up by the first test that needs it, taken down at the end if it was not there."""
    if "testcluster" not in _parts:
        cluster = TestCluster(NAME)
        if cluster.is_up():
            cluster.up()  # what a run that was killed left stopped, frozen or half made
        else:
            if not os.environ.get("PGKEEL_KEEP"):
                runner.suite.cleanup.insert(0, cluster.down)
            cluster.up("--nodes", "0")
        _parts["testcluster"] = cluster
    return _parts["testcluster"]


def kube():
    if "kube" not in _parts:
        connected = testcluster().connect()
        # The operator runs on the host here, with the rights of its ServiceAccount.
        deploy.install(connected, replicas=0)
        _parts["kube"] = connected
        _default_class(connected)
        _parts["namespaces"] = deploy.Namespaces(connected, "t")
        for lease in connected.list("Lease", deploy.NAMESPACE):
            connected.delete("Lease", deploy.NAMESPACE, lease["metadata"]["name"])
    return _parts["kube"]


def _default_class(connected):
    """A class that waits for a node, as real ones do: there is none here."""
    name = "standard"
    if connected.get("StorageClass", None, name) is None:
        connected.make("StorageClass", None, name, provisioner="example.com/none",
                       volumeBindingMode="WaitForFirstConsumer", allowVolumeExpansion=True,
                       metadata={"annotations": {
                           "storageclass.kubernetes.io/is-default-class": "true"}})


def collector_knows_clusters():
    if "collector" not in _parts:
        with namespace() as where:
            deploy.collector_knows_clusters(kube(), where)
        _parts["collector"] = True


def namespace():
    kube()
    return _parts["namespaces"]()


def operator():
    """Running, and the leader."""
    here = kube()
    if "operator" not in _parts:
        _parts["operator"] = deploy.HostOperator(here, WHERE)
    if not _parts["operator"].alive():
        _parts["operator"].start()
    return _parts["operator"]


def another_operator(identity):
    kube()
    return deploy.HostOperator(_parts["kube"], WHERE, identity)


@contextlib.contextmanager
def no_operator():
    """Nobody reconciles inside; whoever needs the operator afterwards starts it again."""
    runner.must_be_alone("to stop the operator")
    if "operator" in _parts:
        _parts["operator"].stop()
    yield


def missing(namespace_name, cluster, instances=2):
    """Children that are not there (yet)."""
    here, absent = kube(), []
    for kind in sorted({k for k, _ in names.children(cluster, instances)}):
        found = {o["metadata"]["name"] for o in here.list(kind, namespace_name)}
        absent += [(k, n) for k, n in names.children(cluster, instances)
                   if k == kind and n not in found]
    return absent


def created(namespace_name, cluster, instances=2, seconds=90):
    runner.wait_for(lambda: not missing(namespace_name, cluster, instances), seconds,
                    "all children of cluster '%s'" % cluster, every=0.2)


def children(namespace_name, cluster, instances=2):
    here = kube()
    return {"%s/%s" % (k, n): here.get(k, namespace_name, n)
            for k, n in names.children(cluster, instances)}


def _unanswered(namespace_name):
    """What a controller has yet to look at: 'Kind/name' of objects whose status lags behind."""
    here, lag = kube(), []
    for kind in ("PostgresCluster", "StatefulSet", "PodDisruptionBudget"):
        for obj in here.list(kind, namespace_name):
            status = obj.get("status") or {}
            if status.get("observedGeneration") != obj["metadata"]["generation"] or \
                    (kind == "StatefulSet" and status.get("replicas") != obj["spec"]["replicas"]):
                lag.append("%s/%s" % (kind, obj["metadata"]["name"]))
    for pod in here.list("Pod", namespace_name):
        if not any(c["type"] == "PodScheduled" for c in pod["status"].get("conditions", [])):
            lag.append("Pod/" + pod["metadata"]["name"])
    return lag


def settled(namespace_name, cluster, seconds=60):
    """Every child there, every controller done with it (they may be long about it after the API
    server was away), and no write for two seconds."""
    created(namespace_name, cluster, _instances(namespace_name, cluster), seconds)
    runner.wait_for(lambda: not _unanswered(namespace_name) or _fail(namespace_name), seconds,
                    "all controllers to have seen namespace '%s'" % namespace_name, every=0.2)
    end, seen, since, same = time.monotonic() + seconds, None, time.monotonic(), 0
    # Looked at often, too: where one look takes two seconds, those two say nothing.
    while time.monotonic() - since < 2 or same < 8:
        now, same = versions(namespace_name), same + 1
        if now != seen:
            seen, since, same = now, time.monotonic(), 0
        runner.check(time.monotonic() < end, "namespace '%s' never comes to rest", namespace_name)
        time.sleep(0.2)
    return seen


def _fail(namespace_name):
    raise runner.Failed("not yet: %s" % _unanswered(namespace_name))


@contextlib.contextmanager
def at_rest(instances=2, **spec):
    """A cluster 'a' with all its children, and nothing under way, in a namespace of its own."""
    with namespace() as where:
        operator()
        kube().apply(names.cluster("a", where, instances, **spec))
        settled(where, "a")
        yield where


def _instances(namespace_name, cluster):
    return kube().get("PostgresCluster", namespace_name, cluster)["spec"]["instances"]


def versions(namespace_name):
    """{kind/name: resourceVersion} of everything but Events."""
    return {"%s/%s" % (kind, o["metadata"]["name"]): o["metadata"]["resourceVersion"]
            for kind in ("PostgresCluster", "Secret", "Service", "ConfigMap", "ServiceAccount",
                         "Role", "RoleBinding", "EndpointSlice", "Lease", "PodDisruptionBudget",
                         "PersistentVolumeClaim", "StatefulSet", "Pod")
            for o in kube().list(kind, namespace_name)}


def _evidence(log):
    namespaces = _parts.get("namespaces")
    if namespaces is not None and getattr(namespaces, "evidence", None):
        log.section("the namespace", namespaces.evidence)
        namespaces.evidence = None
    if "operator" in _parts and os.path.exists(_parts["operator"].log_path):
        with open(_parts["operator"].log_path, errors="replace") as source:
            log.section("the operator's log", "".join(source.readlines()[-80:]))


def _stop_operator():
    """Of the process that started it: a worker of the suite only uses it."""
    if "operator" in _parts and _parts["operator"].process.owner == os.getpid():
        _parts["operator"].stop()


runner.suite.evidence.append(_evidence)
runner.suite.cleanup.append(_stop_operator)
