"""What needs no pod: the operator on the host, against a real API server without nodes."""
import concurrent.futures
import os
import re
import time

from lib import deploy, kube as kubes, names, runner
from lib.testcluster import TestCluster

MIB = 2**20
_parts = {}
# Fully counted kinds: paths that answer a count without sending the objects.
COUNTED = ("Secret", "Service", "ConfigMap", "ServiceAccount", "Role", "RoleBinding",
           "EndpointSlice", "Lease", "PodDisruptionBudget", "PersistentVolumeClaim", "StatefulSet")


def kube():
    if "kube" not in _parts:
        cluster = TestCluster(os.environ.get("PGKEEL_TESTCLUSTER_BENCH", "bench"))
        if not cluster.is_up():
            cluster.up("--nodes", "0")
            runner.suite.cleanup.insert(0, cluster.down)
        _parts["kube"] = cluster.connect()
        deploy.install(_parts["kube"], replicas=0)
        for lease in _parts["kube"].list("Lease", deploy.NAMESPACE):
            _parts["kube"].delete("Lease", deploy.NAMESPACE, lease["metadata"]["name"])
    return _parts["kube"]


def operator():
    """A fresh one, so that one part's peak is not the next part's idle."""
    if "operator" in _parts:
        _parts["operator"].stop()
    else:
        _parts["operator"] = deploy.HostOperator(kube(), os.path.join(runner.BUILD, "bench"))
    return _parts["operator"].start()


def stop():
    if "operator" in _parts:
        _parts["operator"].stop()


runner.suite.cleanup.append(stop)


class Namespaces:
    """Made for one part and gone, with all that is in them, before the next."""

    def __init__(self, *which):
        self.which = which

    def __enter__(self):
        for name in self.which:
            kube().make("Namespace", None, name)
        return self.which

    def __exit__(self, *_):
        for name in self.which:
            kube().delete("Namespace", None, name)
        for name in self.which:
            kube().gone("Namespace", None, name, 900)


def count(kind):
    answer = kube().ask("GET", kubes.path_of(kind) + "?limit=1")
    return len(answer["items"]) + (answer["metadata"].get("remainingItemCount") or 0)


def counts():
    return {kind: count(kind) for kind in COUNTED}


def created(before, clusters, instances, seconds):
    """Waits until every child of so many more clusters is there."""
    wanted = dict(before)
    for kind, _ in names.children("x", instances):
        wanted[kind] += clusters
    last = {}

    def there():
        for kind in COUNTED:
            if last.get(kind, 0) < wanted[kind]:
                last[kind] = count(kind)
                if last[kind] < wanted[kind]:
                    return False
        return True
    runner.wait_for(there, seconds, "all children of %d clusters" % clusters, every=0.25)


def children_of(where, name, instances):
    """Polls by name until the last child is there; the children come in waves of their own order."""
    left = names.children(name, instances)
    while left:
        kind, child = left[-1]
        if kube().get(kind, where, child) is not None:
            left.pop()


def idle(table, what, process, seconds, rss_bound=None):
    """RSS and CPU of a process that has nothing to do."""
    cpu, start, rss, private = process.cpu_seconds(), time.monotonic(), [], []
    while time.monotonic() - start < seconds:
        memory = process.memory()
        rss.append(memory["rss"] / MIB)
        private.append(memory["private"] / MIB)
        time.sleep(0.5)
    took = time.monotonic() - start
    table.add(what + ": RSS", "MiB", rss, rss_bound)
    table.add(what + ": private memory", "MiB", private)
    table.add(what + ": CPU at rest", "millicores",
              [1000 * (process.cpu_seconds() - cpu) / took])


def writes():
    """Requests that write, by resource, since the server started."""
    found = {}
    for line in kube().metrics().splitlines():
        if line.startswith("apiserver_request_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            if labels["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE"):
                key = labels["resource"] + ("/" + labels["subresource"]
                                            if labels["subresource"] else "")
                found[key] = found.get(key, 0) + float(line.rsplit(" ", 1)[1])
    return found


# What the operator writes. Leases are heartbeats; statuses of pods, sets and claims are other
# controllers' (which never rest where pods find no node).
OURS = ("secrets", "services", "configmaps", "serviceaccounts", "roles", "rolebindings",
        "endpointslices", "poddisruptionbudgets", "persistentvolumeclaims", "statefulsets",
        "postgresclusters", "postgresclusters/status")


def written(before):
    after = writes()
    return {k: after[k] - before.get(k, 0) for k in OURS if after.get(k, 0) > before.get(k, 0)}


def write_rate(seconds):
    """Writes per second to what clusters consist of."""
    before, start = writes(), time.monotonic()
    time.sleep(seconds)
    grown = written(before)
    return sum(grown.values()) / (time.monotonic() - start), grown


def settled(seconds=600):
    """Until two looks in a row find nothing written."""
    end, quiet = time.monotonic() + seconds, 0
    while quiet < 2:
        rate, what = write_rate(3)
        quiet = quiet + 1 if rate == 0 else 0
        runner.check(time.monotonic() < end, "it never comes to rest; still written: %s", what)


def one(table, options):
    process = operator().process
    with Namespaces("bench-one"):
        kube().apply(names.cluster("a", "bench-one", 2))
        children_of("bench-one", "a", 2)
        settled()
        idle(table, "operator, 1 cluster", process, options.seconds, 8)
        rate, what = write_rate(options.seconds)
        table.add("operator, 1 cluster: writes at rest", "1/s", [rate], 0, str(what))


def children(table, options):
    operator()
    took = []
    with Namespaces("bench-children"):
        for number in range(options.count):
            name = "c%d" % number
            begun = time.monotonic()
            kube().apply(names.cluster(name, "bench-children", 2))
            children_of("bench-children", name, 2)
            took.append(time.monotonic() - begun)
    table.add("apply -> all 23 children of a cluster of 2 applied", "s", took)


def thousand(table, options):
    process = operator().process
    spaces = ["bench-many-%d" % i for i in range(20)]
    with Namespaces(*spaces):
        runner.wait_for(lambda: len(kube().list("ConfigMap", spaces[-1])) == 1, 60,
                        "the root certificates in the namespaces")
        before = counts()
        jobs = [names.cluster("c%d" % i, spaces[i % len(spaces)], options.instances)
                for i in range(options.clusters)]
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(kube().apply, jobs))
        table.add("%d clusters: applying them" % options.clusters, "s", [time.monotonic() - begun])
        created(before, options.clusters, options.instances, 1800)
        table.add("%d clusters of %d: apply -> all children created" % (
            options.clusters, options.instances), "s", [time.monotonic() - begun], 180)
        table.add("%d clusters: peak RSS" % options.clusters, "MiB", [_peak(process.pid) / MIB])
        settled()
        idle(table, "operator, %d clusters" % options.clusters, process, options.seconds, 32)
        rate, what = write_rate(options.seconds)
        table.add("operator, %d clusters: writes at rest" % options.clusters, "1/s", [rate], 0,
                  str(what))
        resync(table, options)


def resync(table, options):
    """Another operator's start: it looks at everything and writes nothing."""
    before = writes()
    process = operator().process
    runner.wait_for(lambda: any((x["spec"].get("holderIdentity") or "").startswith("pgkeel-host")
                                for x in kube().list("Lease", deploy.NAMESPACE)), 60, "a leader")
    settled()
    ours = written(before)
    table.add("%d clusters: writes of a restarted operator" % options.clusters, "writes",
              [sum(ours.values())], 0, str(ours))
    table.add("%d clusters: RSS after a restart" % options.clusters, "MiB",
              [process.memory()["rss"] / MIB], 32)


def _peak(pid):
    with open("/proc/%d/status" % pid) as source:
        return next(int(line.split()[1]) * 1024 for line in source if line.startswith("VmHWM:"))


def foreign(table, options):
    process = operator().process
    text = "x" * (900 * 1024)
    with Namespaces("bench-one", "bench-foreign"):
        kube().apply(names.cluster("a", "bench-one", 2))
        children_of("bench-one", "a", 2)
        settled()
        alone = process.memory()["rss"] / MIB
        for number in range(options.foreign):
            kube().make("Secret", "bench-foreign", "s-%d" % number, stringData={"x": text})
            kube().make("ConfigMap", "bench-foreign", "c-%d" % number, data={"x": text})
        idle(table, "operator, %d foreign Secrets and ConfigMaps of 900 KiB" % options.foreign,
             process, options.seconds, 8)
        fresh = operator().process
        runner.wait_for(lambda: fresh.memory()["rss"] > MIB, 10, "the operator to start")
        settled()
        table.add("operator restarted among them: RSS", "MiB", [fresh.memory()["rss"] / MIB], 8)
        table.add("operator before them: RSS", "MiB", [alone])


PARTS = {"one": one, "children": children, "thousand": thousand, "foreign": foreign}
