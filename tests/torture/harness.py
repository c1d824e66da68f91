"""A scripted cluster with one operator in it, and the comparison of ends."""
import copy
import json
import os
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from fakeapi import faults, kinds, server, simulate, store  # noqa: E402
from lib import names, process, runner  # noqa: E402

NAMESPACE, SYSTEM = "shop", "pgkeel-system"
WHERE = os.path.join(runner.BUILD, "torture")
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: scripted
clusters: [{name: scripted, cluster: {server: "%s"}}]
users: [{name: scripted, user: {tokenFile: "%s"}}]
contexts: [{name: scripted, context: {cluster: scripted, user: scripted, namespace: %s}}]
"""
# What differs between two runs by its nature.
TIMES = {"lastTransitionTime", "since", "next", "renewTime", "acquireTime", "creationTimestamp",
         "caExpires", "certificateExpires"}
RANDOM = {"verifiersHash", "caFingerprint"}
rigs = threading.local()


class Rig:
    """Use as a context manager. `state` is what another rig's save() returned."""

    def __init__(self, state=None, simulate_rest=True, **server_options):
        os.makedirs(WHERE, exist_ok=True)
        self.folder = tempfile.mkdtemp(dir=WHERE)
        self.store = store.Store()
        self.server = server.Server(self.store, **server_options)
        self.simulation = simulate.Simulation(self.store)
        self.operators = []
        if state is None:
            for name in (NAMESPACE, SYSTEM, "default", "kube-system"):
                self.make("Namespace", None, name)
            self.make("StorageClass", None, "standard", allowVolumeExpansion=True,
                      provisioner="scripted")
        else:
            self.store.load(state[0])
            self.simulation.load(state[1])
        self.simulate_rest = simulate_rest
        self.kubeconfig = os.path.join(self.folder, "kubeconfig")
        self.token = os.path.join(self.folder, "token")

    def __enter__(self):
        self.server.start()
        if self.simulate_rest:
            self.simulation.start()
        self.set_token("first")
        with open(self.kubeconfig, "w") as out:
            out.write(KUBECONFIG % (self.server.url, self.token, SYSTEM))
        os.chmod(self.kubeconfig, 0o600)
        rigs.current = self
        return self

    def __exit__(self, kind, value, trace):
        for operator in self.operators:
            if operator.alive():
                operator.kill()
        if kind is not None:
            rigs.evidence = self.evidence()
        else:
            shutil.rmtree(self.folder, True)
        if self.simulate_rest:
            self.simulation.stop()
        self.server.stop()
        rigs.current = None

    def set_token(self, text):
        with open(self.token + ".tmp", "w") as out:
            out.write(text)
        os.rename(self.token + ".tmp", self.token)

    def save(self):
        with self.store.lock:
            return self.store.save(), self.simulation.save()

    # -- the operator ----------------------------------------------------------------------------
    def operator(self, identity="pgkeel-0", kill_after=None, **env):
        """Starts one. kill_after: SIGKILL right after so many writes."""
        self.server.faults.killed.clear()
        started = process.Process(
            [runner.PGKEEL, "controller", "--kubeconfig", self.kubeconfig,
             "--metrics-address=", "--postgres-image-pattern=localhost/postgres:%d"],
            os.path.join(self.folder, "operator.log"),
            env={"POD_NAME": identity, "POD_NAMESPACE": SYSTEM,
                 "PGKEEL_IMAGE": "localhost/pgkeel:dev", **env})
        self.operators.append(started)
        if kill_after is not None:
            self.server.faults.add({"do": "kill", "skip": kill_after - 1, "pid": started.pid})
        return started

    def writes(self):
        """What operators wrote, without heartbeats and Events."""
        return [w for w in self.server.writes if w["kind"] != "Event"
                and not (w["kind"] == "Lease" and w["namespace"] == SYSTEM)]

    # -- objects ---------------------------------------------------------------------------------
    def make(self, kind_name, namespace, name, manager="kubectl-create", **members):
        kind = kinds.BY_KIND[kind_name]
        body = {"apiVersion": kinds.api_version(kind), "kind": kind_name,
                "metadata": {"name": name}, **copy.deepcopy(members)}
        if "metadata" in members:
            body["metadata"]["name"] = name
        return self.store.create(kind, namespace, body, manager)

    def apply(self, obj, manager="kubectl"):
        kind, meta = kinds.BY_KIND[obj["kind"]], obj["metadata"]
        return self.store.apply(kind, meta.get("namespace"), meta["name"], "", obj, manager, True)

    def edit(self, kind_name, name, patch, manager="kubectl-edit", namespace=NAMESPACE):
        return self.store.patch(kinds.BY_KIND[kind_name], namespace, name, "", patch, manager)

    def delete(self, kind_name, name, namespace=NAMESPACE):
        return self.store.delete(kinds.BY_KIND[kind_name], namespace, name)

    def get(self, kind_name, name, namespace=NAMESPACE):
        return self.store.get(kind_name, namespace, name)

    def events(self, about):
        """Of events.k8s.io, about a cluster; 'Event' alone is two kinds."""
        with self.store.lock:
            return [record.obj for (kind, _, _), record in self.store.records.items()
                    if kind.kind == "Event" and
                    record.obj.get("regarding", {}).get("name") == about]

    def cluster(self, name="a"):
        return self.get("PostgresCluster", name)

    # -- waiting ---------------------------------------------------------------------------------
    def until(self, probe, seconds, what):
        """Looks again after every change of the store, so that nothing is polled."""
        end = time.monotonic() + seconds
        while True:
            with self.store.changed:
                found = probe()
                if found:
                    return found
                left = end - time.monotonic()
                if left > 0:
                    self.store.changed.wait(min(left, 0.5))
                    continue
            raise runner.Failed("%s did not come about within %g s" % (what, seconds))

    def ready(self, name="a", seconds=90):
        try:
            return self.until(lambda: names.is_true(self.cluster(name), "Ready")
                              and self.cluster(name), seconds, "Ready of cluster '%s'" % name)
        except runner.Failed as failure:
            raise runner.Failed("%s: %s" % (failure, names.explain(self.cluster(name)))) from None

    def quiet(self, seconds=0.4, limit=120):
        """
        Waits until, for so long, no operator has written, been answered, or had anything to do;
        returns the number of writes. Counted in looks, not by the clock: on a machine where nobody
        is given a processor for half a second, that half second was no rest.
        """
        end, rest, before = time.monotonic() + limit, 0, None
        while rest < seconds / 0.05:
            with self.store.changed:
                self.store.changed.wait(0.05)
            now = self._activity()
            rest = rest + 1 if now == before and now is not None else 0
            before = now
            if time.monotonic() > end:
                raise runner.Failed("writes never end: %s" % self.writes()[-6:])
        return len(self.writes())

    def _activity(self):
        """What changes while there is anything to do; None: something is on its way just now."""
        if self.server.busy() or (self.simulate_rest and self.simulation.busy()):
            return None
        woken = [each.woken() for each in self.operators if each.alive()]
        return None if None in woken else (len(self.writes()), len(self.server.requests), woken)

    # -- ends ------------------------------------------------------------------------------------
    def end(self):
        """{'Kind/name': object} of the namespace, without what differs by its nature."""
        with self.store.lock:
            return {"%s/%s" % (kind.kind, name): _plain(kind.kind, record.obj)
                    for (kind, namespace, name), record in self.store.records.items()
                    if namespace == NAMESPACE and kind.kind != "Event"}

    def same_end(self, wanted, seconds=90):
        try:
            self.until(lambda: self.end() == wanted, seconds, "the same end")
        except runner.Failed:
            raise runner.Failed("another end than without a kill:\n%s"
                                % difference(wanted, self.end())) from None

    def minted_once(self):
        """No object came twice, and no secret value ever changed after it was first stored."""
        with self.store.lock:
            self._minted_once()

    def _minted_once(self):
        for (kind, namespace, name), count in self.store.births.items():
            if namespace == NAMESPACE and kind not in ("Event", "Pod") and count > 1:
                raise runner.Failed("%s '%s' was made %d times" % (kind, name, count))
        for _, kind, event, obj, before in self.store.history:
            if kind.kind == "Secret" and event == "MODIFIED":
                for key in ("password", "ca.key", "tls.key"):
                    if (before.get("data") or {}).get(key) != (obj.get("data") or {}).get(key):
                        raise runner.Failed("Secret '%s': %s was minted twice"
                                            % (obj["metadata"]["name"], key))

    def evidence(self):
        text = "writes:\n%s\n" % "\n".join(
            "  %s %s/%s %s by %s" % (w["verb"], w["kind"], w["name"], w["sub"], w["agent"])
            for w in self.writes()[-40:])
        for cluster in self.store.all("PostgresCluster"):
            text += "status of %s: %s\n" % (cluster["metadata"]["name"],
                                            json.dumps(cluster.get("status"), indent=1))
        for operator in self.operators[-1:]:
            text += "operator's log:\n%s\n" % operator.log()
        return text


states = {}


def ready_state(instances=2, **spec):
    """A cluster that is Ready, made once per shape."""
    key = (instances, repr(sorted(spec.items())))
    if key not in states:
        with Rig() as rig:
            rig.apply(names.cluster("a", NAMESPACE, instances, **spec))
            operator = rig.operator()
            rig.ready()
            rig.quiet()
            runner.equal(operator.terminate(), 0, "exit code after SIGTERM")
            states[key] = rig.save()
    return states[key]


def _plain(kind, obj):
    """Strips versions, times and random values, and keeps every other byte."""
    obj = copy.deepcopy(obj)
    meta = obj["metadata"]
    for field in ("resourceVersion", "managedFields", "creationTimestamp", "generation"):
        meta.pop(field, None)
    (meta.get("annotations") or {}).pop(names.APPLIED, None)
    if kind == "Secret":
        obj["data"] = {key: "..." for key in obj.get("data") or {}}
    _strip(obj)
    return obj


def _strip(value):
    if isinstance(value, list):
        for each in value:
            _strip(each)
    elif isinstance(value, dict):
        for key in [k for k in value if k in TIMES or k in RANDOM or k == "observedGeneration"]:
            del value[key]
        for key, each in value.items():
            if isinstance(each, str) and each.startswith("{"):
                try:
                    inner = json.loads(each)
                except ValueError:
                    continue
                _strip(inner)
                value[key] = json.dumps(inner, sort_keys=True)
            else:
                _strip(each)


def difference(wanted, got):
    lines = []

    def walk(path, left, right):
        if left == right:
            return
        if isinstance(left, dict) and isinstance(right, dict):
            for key in sorted(set(left) | set(right)):
                walk(path + [key], left.get(key, "(absent)"), right.get(key, "(absent)"))
        elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
            for i, (a, b) in enumerate(zip(left, right)):
                walk(path + [str(i)], a, b)
        else:
            lines.append("%s: wanted %.300s, got %.300s"
                         % (".".join(path), json.dumps(left), json.dumps(right)))
    walk([], wanted, got)
    return "\n".join(lines[:30]) or "(the same)"


def _evidence(log):
    text = getattr(rigs, "evidence", None)
    if text:
        log.section("the rig", text)
        rigs.evidence = None


runner.suite.evidence.append(_evidence)
__all__ = ["Rig", "NAMESPACE", "SYSTEM", "difference", "faults", "names", "ready_state", "runner",
           "states"]
