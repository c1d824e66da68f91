"""The operator as people install it, and as a program on the host with the same rights."""
import itertools
import json
import os
import subprocess
import tempfile
import threading

from . import names, process, runner

INSTALL = os.path.join(runner.ROOT, "manifests", "install")
NAMESPACE, ACCOUNT, DEPLOYMENT = "pgkeel-system", "pgkeel-controller", "pgkeel-controller"
IMAGE = os.environ.get("IMAGE", "localhost/pgkeel:dev")


OVERLAY = """apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [%s]
images: [{name: localhost/pgkeel, newName: %s, newTag: "%s"}]
patches:
- target: {kind: Deployment, name: pgkeel-controller}
  patch: |-
    - op: replace
      path: /spec/replicas
      value: %d
    - op: add
      path: /spec/template/spec/containers/0/args/-
      value: --postgres-image-pattern=localhost/postgres:%%d
"""


def install(kube, image=IMAGE, replicas=1):
    """kubectl apply -k, through an overlay as the README shows it; then the CRD is served."""
    # Of its own: suites that run side by side install different things.
    os.makedirs(runner.BUILD, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="install-overlay-", dir=runner.BUILD) as folder:
        with open(os.path.join(folder, "kustomization.yaml"), "w") as out:
            out.write(OVERLAY % ((os.path.relpath(INSTALL, folder),) + tuple(image.rsplit(":", 1))
                                 + (replicas,)))
        kube.kubectl("apply", "-k", folder)
    kube.kubectl("wait", "--for=condition=Established", "--timeout=60s",
                 "crd/postgresclusters.pgkeel.dev", timeout=90)
    # Established comes first; requests, discovery and the schema for kubectl follow, each by itself.
    runner.wait_for(lambda: kube.list("PostgresCluster") is not None, 60, "the CRD to be served")
    runner.wait_for(lambda: any(each["name"] == "postgresclusters" for each in kube.ask(
        "GET", "/apis/pgkeel.dev/v1alpha1")["resources"]), 60, "the CRD in discovery")
    runner.wait_for(lambda: "PostgresCluster" in json.dumps(kube.ask(
        "GET", "/openapi/v3/apis/pgkeel.dev/v1alpha1")), 60, "the CRD in OpenAPI")
    kube.forget_kinds()


def collector_knows_clusters(kube, where):
    """
    Returns when the garbage collector takes what a deleted PostgresCluster leaves. It learns of a new
    kind only after up to 30 s; what was deleted before may wait for it for many minutes, since it
    looks for an owner that it never met after pauses that double. So each try is with new objects.
    """
    tries = itertools.count(1)

    def taken():
        name = "probe-%d" % next(tries)
        owner = kube.apply(names.cluster(name, where, 1))
        kube.make("ConfigMap", where, name, metadata={"ownerReferences": [{
            "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name,
            "uid": owner["metadata"]["uid"]}]})
        kube.delete("PostgresCluster", where, name)
        kube.gone("ConfigMap", where, name, 5)
        return True

    runner.wait_for(taken, 180, "the garbage collector to know PostgresClusters")


class HostOperator:
    """build/pgkeel controller on this machine, as the operator's own ServiceAccount."""

    def __init__(self, kube, folder, identity="pgkeel-host-0"):
        self.kube, self.folder, self.identity = kube, folder, identity
        os.makedirs(folder, exist_ok=True)
        self.kubeconfig = os.path.join(folder, "kubeconfig")
        self.log_path = os.path.join(folder, identity + ".log")
        self.process = None
        self._write_kubeconfig()

    def _write_kubeconfig(self):
        token = self.kube.kubectl("create", "token", ACCOUNT, "-n", NAMESPACE,
                                  "--duration=4h").strip()
        token_file = os.path.join(self.folder, "token")
        for path, text in ((token_file, token), (self.kubeconfig, json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "test",
                "clusters": [{"name": "test", "cluster": self.kube.cluster}],
                "users": [{"name": "operator", "user": {"tokenFile": token_file}}],
                "contexts": [{"name": "test", "context": {
                    "cluster": "test", "user": "operator", "namespace": NAMESPACE}}]}))):
            with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as out:
                out.write(text)

    def start(self, image=IMAGE, **env):
        self.process = process.Process(
            [runner.PGKEEL, "controller", "--kubeconfig", self.kubeconfig,
             "--metrics-address=", "--postgres-image-pattern=localhost/postgres:%d"], self.log_path,
            env={"POD_NAME": self.identity, "POD_NAMESPACE": NAMESPACE, "PGKEEL_IMAGE": image,
                 **env})
        return self

    def alive(self):
        return self.process is not None and self.process.alive()

    def stop(self):
        if self.alive():
            self.process.terminate()

    def kill(self):
        if self.alive():
            self.process.kill()

    def memory(self):
        return self.process.memory()


class Namespaces:
    """One namespace per test; gone afterwards, without waiting for it."""

    def __init__(self, kube, prefix):
        self.kube, self.prefix, self.number = kube, prefix, 0
        self.current = None
        self._lock = threading.Lock()

    def __call__(self):
        return _Namespace(self)


class _Namespace:
    def __init__(self, owner):
        self.owner = owner

    def __enter__(self):
        with self.owner._lock:
            self.owner.number += 1
            self.name = "%s-%d-%d" % (self.owner.prefix, os.getpid(), self.owner.number)
        self.owner.kube.make("Namespace", None, self.name)
        self.owner.current = self.name
        return self.name

    def __exit__(self, kind, value, trace):
        if kind is not None:
            # Evidence is gathered after the test's own frames are gone; keep what is there now.
            self.owner.evidence = describe(self.owner.kube, self.name)
        self.owner.kube.delete("Namespace", None, self.name)


def describe(kube, namespace):
    """What a person would look at first."""
    text = []
    for cluster in kube.list("PostgresCluster", namespace):
        text.append("PostgresCluster %s generation %s\n%s" % (
            cluster["metadata"]["name"], cluster["metadata"]["generation"],
            json.dumps(cluster.get("status"), indent=1)))
    for words in (("get", "all,pvc,secrets,cm,leases,endpointslices,pdb", "-o", "wide"),
                  ("describe", "pods"), ("describe", "pvc"), ("get", "events")):
        done = kube.kubectl(*words, "-n", namespace, check=False)
        text.append("$ kubectl %s\n%s" % (" ".join(words), (done.stdout + done.stderr)[-12000:]))
    for pod in kube.list("Pod", namespace):
        for more in ((), ("--previous",)):
            done = kube.kubectl("logs", pod["metadata"]["name"], "-n", namespace, "--all-containers",
                                "--tail=80", *more, check=False)
            if done.returncode == 0 and done.stdout:
                text.append("$ kubectl logs %s %s\n%s" % (pod["metadata"]["name"], " ".join(more),
                                                         done.stdout[-12000:]))
    return "\n\n".join(text)


def plain(obj):
    """An object without what differs between two runs by its nature."""
    obj = json.loads(json.dumps(obj))
    meta = obj["metadata"]
    for field in ("resourceVersion", "managedFields", "creationTimestamp", "generation", "uid",
                  "namespace", "selfLink"):
        meta.pop(field, None)
    for owner in meta.get("ownerReferences", []):
        owner.pop("uid", None)
    (meta.get("annotations") or {}).pop(names.APPLIED, None)
    if obj["kind"] == "Secret":
        obj["data"] = sorted(obj.get("data") or {})
    return obj


def run(*arguments, check=True, **options):
    done = subprocess.run(arguments, capture_output=True, text=True, **options)
    if check and done.returncode != 0:
        raise runner.Failed("%s: %s" % (" ".join(arguments), (done.stdout + done.stderr)[-2000:]))
    return done
