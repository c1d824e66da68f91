"""hack/testcluster, called by its verbs."""
import os
import subprocess
import time

from . import kube, runner, scratch

COLD_S = 75 * 60
ROOM = 8 << 30  # bytes; the clusters of api and e2e, and one more, take two thirds of it
_SCRIPT = os.path.join(runner.ROOT, "hack", "testcluster")


def room_for_lone_tests():
    """Whether there is memory for a second cluster with nodes."""
    return scratch.memory() >= ROOM


class TestCluster:
    def __init__(self, name):
        self.name = name

    def run(self, *arguments, check=True, timeout=1800, quiet=True):
        done = subprocess.run([_SCRIPT, *arguments], text=True, timeout=timeout,
                              env={**os.environ, "PGKEEL_TESTCLUSTER": self.name},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None)
        if check and done.returncode != 0:
            raise runner.Failed("hack/testcluster %s: %s" % (" ".join(arguments),
                                                             (done.stderr or "").strip()[-2000:]))
        return done

    def is_up(self):
        return self.run("status", check=False).returncode == 0

    def up(self, *options):
        """On a new machine it compiles Kubernetes, which a slow or busy one may take an hour for."""
        started = time.monotonic()
        try:
            self.run("up", *options, timeout=COLD_S, quiet=False)
        except subprocess.TimeoutExpired:
            raise runner.Failed("hack/testcluster up has not ended within %d min: run it alone, and"
                                " these tests after it" % (COLD_S // 60)) from None
        return time.monotonic() - started

    def down(self):
        self.run("down")

    def kubeconfig(self):
        return self.run("kubeconfig").stdout.strip()

    def connect(self):
        os.environ["PGKEEL_TESTCLUSTER"] = self.name
        return kube.Kube(self.kubeconfig(), [_SCRIPT, "kubectl"])

    # Faults are undone by the one who makes them: use these as context managers.
    def fault(self, *words, undo):
        return _Fault(self, words, undo)

    def frozen(self, *what):
        return _Fault(self, ("freeze",) + what, ("thaw",) + what)

    def stopped(self, *what):
        return _Fault(self, ("stop",) + what, ("start",) + what)

    def cut(self, node, how="all"):
        return _Fault(self, ("cut", node, how), ("heal", node))


def _usable_nodes(connected):
    """Names of those that pods are put on."""
    return {node["metadata"]["name"] for node in connected.list("Node")
            if not node["spec"].get("taints") and not node["spec"].get("unschedulable")
            and any(c["type"] == "Ready" and c["status"] == "True"
                    for c in node["status"].get("conditions", []))}


class _Fault:
    """Over when every node that was usable before is so again: the next test finds none tainted."""

    def __init__(self, cluster, do, undo):
        self.cluster, self.do, self.undo = cluster, do, undo
        self.active = False

    def __enter__(self):
        runner.must_be_alone("'%s'" % " ".join(self.do))
        self.kube = self.cluster.connect()
        self.nodes = _usable_nodes(self.kube)
        self.cluster.run(*self.do)
        self.active = True
        return self

    def end(self):
        if self.active:
            self.active = False
            self.cluster.run(*self.undo)
            runner.wait_for(lambda: _usable_nodes(self.kube) >= self.nodes, 120,
                            "usable nodes %s after '%s'" % (sorted(self.nodes),
                                                            " ".join(self.undo)), every=0.5)

    def __exit__(self, *_):
        self.end()
