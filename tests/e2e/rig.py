"""The full test cluster with the operator in it, and hands to look into a cluster of PostgreSQL."""
import base64
import contextlib
import hashlib
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import deploy, names, runner  # noqa: E402
from lib.ledger import Ledger  # noqa: E402
from lib.postgres import Connection  # noqa: E402
from lib.testcluster import TestCluster  # noqa: E402

_parts = {"cluster": os.environ.get("PGKEEL_TESTCLUSTER", "main")}
APP = "app"


def apart():
    """The lone tests stop and cut what all others share: they have a second cluster for that."""
    _parts["cluster"] += "-lone"


def image():
    """Named by its content, so that a new build is a new image on the nodes."""
    with open(runner.PGKEEL, "rb") as program:
        return "localhost/pgkeel:t-" + hashlib.sha256(program.read()).hexdigest()[:12]


def testcluster():
    if "testcluster" not in _parts:
        cluster = TestCluster(_parts["cluster"])
        if not cluster.is_up() and not os.environ.get("PGKEEL_KEEP"):
            runner.suite.cleanup.insert(0, cluster.down)
        cluster.up()  # also what a run that was killed left stopped, frozen or half made
        _parts["testcluster"] = cluster
    return _parts["testcluster"]


def _load_images(cluster):
    archives = deploy.run(os.path.join(runner.ROOT, "hack", "pgimages"), "build", "postgres:17",
                          "postgres:15").stdout.split()
    archive = os.path.join(runner.BUILD, "pgkeel-%s.tar" % cluster.name)
    deploy.run(os.path.join(runner.ROOT, "hack", "image"), "build", "--tag", image(),
               "--from-binary", runner.PGKEEL, "--output", archive)
    cluster.run("load-image", archive, *archives)


def kube():
    if "kube" not in _parts:
        cluster = testcluster()
        connected = cluster.connect()
        _load_images(cluster)
        deploy.install(connected, image())
        connected.kubectl("rollout", "status", "-n", deploy.NAMESPACE, "--timeout=120s",
                          "deployment/" + deploy.DEPLOYMENT, timeout=150)
        _parts["kube"] = connected
        _parts["namespaces"] = Restricted(connected, "e")
    return _parts["kube"]


class Restricted(deploy.Namespaces):
    """Every namespace enforces the restricted Pod Security Standard."""

    def __call__(self):
        outer = super().__call__()
        enter = outer.__class__.__enter__

        class Labelled(outer.__class__):
            def __enter__(inner):
                name = enter(inner)
                self.kube.edit("Namespace", None, name, {"metadata": {"labels": {
                    "pod-security.kubernetes.io/enforce": "restricted"}}})
                return name
        outer.__class__ = Labelled
        return outer


def namespace():
    kube()
    return _parts["namespaces"]()


def collector_knows_clusters():
    if "collector" not in _parts:
        with namespace() as where:
            deploy.collector_knows_clusters(kube(), where)
        _parts["collector"] = True


def operator_away_from(node):
    """A fault of a node shall hit the database there, not whoever tells of it."""
    here = [p for p in kube().list("Pod", deploy.NAMESPACE) if p["spec"].get("nodeName") == node]
    if not here:
        return
    kube().kubectl("cordon", node)
    try:
        for pod in here:
            kube().delete("Pod", deploy.NAMESPACE, pod["metadata"]["name"])
            kube().gone("Pod", deploy.NAMESPACE, pod["metadata"]["name"], 60)
        kube().kubectl("rollout", "status", "-n", deploy.NAMESPACE, "--timeout=90s",
                       "deployment/" + deploy.DEPLOYMENT, timeout=120)
    finally:
        kube().kubectl("uncordon", node)


class Cluster:
    """A PostgresCluster and everything a test asks of it."""

    def __init__(self, where, name="a"):
        self.where, self.name = where, name
        self.kube = kube()

    # -- the object ------------------------------------------------------------------------------
    def apply(self, instances=2, **spec):
        self.applied = time.monotonic()
        self.kube.apply(names.cluster(self.name, self.where, instances, **spec))
        return self

    def edit(self, **spec):
        return self.kube.edit("PostgresCluster", self.where, self.name, {"spec": spec})

    def get(self):
        return self.kube.get("PostgresCluster", self.where, self.name)

    def ready(self, seconds=90):
        self.kube.condition(self.where, self.name, "Ready", seconds)
        self.reached()

    def reached(self, seconds=60):
        """The operator and kube-proxy hear of an endpoint side by side, in no order."""
        address = self.address()
        runner.wait_for(lambda: socket.create_connection((address, 5432), 5).close() is None,
                        seconds, "a way through -rw")

    def told(self, condition, needle="", seconds=60, status="False"):
        return self.kube.condition(self.where, self.name, condition, seconds, status=status,
                                   needle=needle)

    def scale(self, instances):
        self.kube.kubectl("scale", "-n", self.where, "pgc/" + self.name, "--replicas=%d" % instances)

    def poke(self):
        """Has the operator look at what it does not watch."""
        self.kube.edit("PostgresCluster", self.where, self.name,
                       {"metadata": {"annotations": {"look": str(time.monotonic())}}})

    def child(self, kind, name):
        return self.kube.get(kind, self.where, name)

    def gone(self, kind, name, seconds=300):
        self.kube.gone(kind, self.where, name, seconds)

    def delete(self):
        self.kube.delete("PostgresCluster", self.where, self.name)

    # -- pods ------------------------------------------------------------------------------------
    def pod(self, instance):
        return self.kube.get("Pod", self.where, "%s-%s-0" % (self.name, instance))

    def uid(self, instance):
        return self.pod(instance)["metadata"]["uid"]

    def restarts(self, instance):
        return sum(c["restartCount"] for c in self.pod(instance)["status"]["containerStatuses"])

    def primary(self):
        """'1', '2' ... as the status names it."""
        return self.get()["status"]["primary"].rsplit("-", 1)[1]

    def replica(self):
        return next(str(n) for n in range(1, 10) if str(n) != self.primary())

    def delete_pod(self, instance, **options):
        self.kube.delete("Pod", self.where, "%s-%s-0" % (self.name, instance), **options)

    def pod_ready(self, instance, seconds=60, not_uid=None):
        def probe(pod):
            return pod and pod["metadata"]["uid"] != not_uid and any(
                c["type"] == "Ready" and c["status"] == "True"
                for c in pod["status"].get("conditions", [])) and pod
        return self.kube.wait("Pod", self.where, "%s-%s-0" % (self.name, instance), probe, seconds,
                              "Ready of instance %s" % instance)

    def shell(self, instance, script, check=True):
        done = self.kube.kubectl("exec", "-n", self.where, "%s-%s-0" % (self.name, instance), "-c",
                                 "postgres", "--", "sh", "-c", script, check=False)
        if check and done.returncode != 0:
            raise runner.Failed("in instance %s: %s: %s" % (instance, script, done.stderr))
        return done.stdout.strip()

    def postmaster(self, instance):
        return self.shell(instance, "head -n 1 /pgkeel/data/pgdata/postmaster.pid")

    def logs(self, instance, *words):
        return self.kube.kubectl("logs", "-n", self.where, "%s-%s-0" % (self.name, instance), "-c",
                                 "postgres", *words)

    def report(self, instance):
        return json.loads((self.pod(instance)["metadata"].get("annotations") or {}).get(
            names.REPORT, "{}"))

    def node(self, instance):
        return self.pod(instance)["spec"]["nodeName"]

    # -- SQL -------------------------------------------------------------------------------------
    def secret(self, which):
        data = self.kube.get("Secret", self.where, "%s-%s" % (self.name, which))["data"]
        return {k: base64.b64decode(v).decode() for k, v in data.items()}

    def address(self, service="rw"):
        return self.kube.get("Service", self.where, "%s-%s" % (self.name, service))["spec"][
            "clusterIP"]

    def connect(self, service="rw", user="app", database=APP, password=None, **options):
        """Through a Service, with the certificate verified against the Service's name."""
        secret = self.secret("app" if user == "app" else "superuser")
        options.setdefault("ca", self.secret("server")["ca.crt"])
        options.setdefault("server_name", "%s-%s.%s.svc" % (self.name, service, self.where))
        return Connection(options.pop("host", None) or self.address(service), user,
                          password or secret["password"], database, **options)

    def value(self, sql, service="rw", **options):
        with self.connect(service, **options) as wire:
            return wire.value(sql)

    def comes(self, sql, wanted, service="ro", seconds=60):
        """On a replica: rows come when they are replayed, a Service's way when kube-proxy knows."""
        runner.wait_for(lambda: self.value(sql, service) == wanted, seconds,
                        "%s = %s on -%s" % (sql, wanted, service), every=0.2)

    def ledger(self, host=None):
        """Looks everything up once: it must run on while the API server is away. From this machine
        Services are reached through node1: where that is cut off, name the primary's own address."""
        host, secret = host or self.address("rw"), self.secret("app")
        ca, name = self.secret("server")["ca.crt"], "%s-rw.%s.svc" % (self.name, self.where)
        return Ledger(lambda: Connection(host, "app", secret["password"], APP, ca=ca,
                                         server_name=name, timeout=5))

    def started_at(self, instance):
        """When this instance's postgres started."""
        return self.on(instance, "select pg_postmaster_start_time()")

    def on(self, instance, sql, database=APP):
        """On this very instance, through its own address."""
        address = self.pod(instance)["status"]["podIP"]
        with self.connect(host=address, server_name=None, database=database) as wire:
            return wire.value(sql)


@contextlib.contextmanager
def running(instances=2, seconds=90, **spec):
    """A cluster that is Ready, in a namespace of its own."""
    with namespace() as where:
        cluster = Cluster(where).apply(instances, **spec)
        cluster.ready(seconds)
        yield cluster


@contextlib.contextmanager
def no_operator():
    """Nobody reconciles inside."""
    runner.must_be_alone("to stop the operator")
    words = ("-n", deploy.NAMESPACE, "deployment/" + deploy.DEPLOYMENT)
    kube().kubectl("scale", *words, "--replicas=0")
    try:
        runner.wait_for(lambda: not kube().list("Pod", deploy.NAMESPACE), 60,
                        "the operator to be gone", every=0.3)
        yield
    finally:
        kube().kubectl("scale", *words, "--replicas=1")
        kube().kubectl("rollout", "status", *words, "--timeout=90s", timeout=120)


def _evidence(log):
    namespaces = _parts.get("namespaces")
    if namespaces is not None and getattr(namespaces, "evidence", None):
        log.section("the namespace", namespaces.evidence)
        namespaces.evidence = None
    if "kube" in _parts:
        log.section("the operator's log", _parts["kube"].kubectl(
            "logs", "-n", deploy.NAMESPACE, "deployment/" + deploy.DEPLOYMENT, "--tail=80",
            check=False).stdout)


runner.suite.evidence.append(_evidence)
__all__ = ["Cluster", "Connection", "deploy", "image", "kube", "names", "namespace", "no_operator",
           "operator_away_from", "runner", "running", "testcluster"]
