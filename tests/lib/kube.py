"""
A small client of a real API server, for tests: certificate or token from a kubeconfig, plain
requests, watches with a deadline. `kubectl` serves where a person's view is what is tested.
"""
import atexit
import base64
import copy
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse

from . import runner, strict

APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
_KINDS = {
    "Namespace": ("/api/v1", "namespaces", False), "Node": ("/api/v1", "nodes", False),
    "PersistentVolume": ("/api/v1", "persistentvolumes", False),
    "Pod": ("/api/v1", "pods", True), "Service": ("/api/v1", "services", True),
    "Endpoints": ("/api/v1", "endpoints", True),
    "Secret": ("/api/v1", "secrets", True), "ConfigMap": ("/api/v1", "configmaps", True),
    "ServiceAccount": ("/api/v1", "serviceaccounts", True),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims", True),
    "Event": ("/apis/events.k8s.io/v1", "events", True),
    "StatefulSet": ("/apis/apps/v1", "statefulsets", True),
    "Deployment": ("/apis/apps/v1", "deployments", True),
    "Job": ("/apis/batch/v1", "jobs", True),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets", True),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases", True),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices", True),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses", False),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions",
                                 False),
    "PostgresCluster": ("/apis/pgkeel.dev/v1alpha1", "postgresclusters", True),
}


class Refused(runner.Failed):
    """The server's own Status."""

    def __init__(self, code, status, what):
        status = status if isinstance(status, dict) else {}
        super().__init__("%s: %s %s" % (what, code, status.get("message", status)))
        self.code, self.reason = code, status.get("reason", "")
        self.message, self.details = status.get("message", ""), status.get("details") or {}


def path_of(kind, namespace=None, name=None, sub=None):
    base, plural, namespaced = _KINDS[kind]
    path = base
    if namespaced and namespace:
        path += "/namespaces/" + namespace
    path += "/" + plural
    for part in (name, sub):
        if part:
            path += "/" + urllib.parse.quote(part, safe="")
    return path


def api_version(kind):
    return _KINDS[kind][0].split("/", 2)[2] if _KINDS[kind][0].startswith("/apis") else "v1"


class Kube:
    def __init__(self, kubeconfig, kubectl=("kubectl",), token=None):
        self.kubeconfig, self.kubectl_words = kubeconfig, list(kubectl)
        # kubectl remembers which kinds there are for hours; a new CRD is not among them.
        self.kubectl_cache = tempfile.mkdtemp(prefix="kubectl-")
        atexit.register(shutil.rmtree, self.kubectl_cache, True)
        # A process of a suite's ends without that.
        runner.suite.cleanup.append(lambda: shutil.rmtree(self.kubectl_cache, True))
        config = json.loads(subprocess.run(
            [*kubectl, "--kubeconfig", kubeconfig, "config", "view", "--raw", "--flatten", "-o",
             "json"], check=True, capture_output=True, text=True).stdout)
        context = next(c["context"] for c in config["contexts"]
                       if c["name"] == config["current-context"])
        self.cluster = next(c["cluster"] for c in config["clusters"]
                            if c["name"] == context["cluster"])
        user = {} if token else next(u["user"] for u in config["users"]
                                     if u["name"] == context["user"])
        self.token = token or user.get("token")
        url = urllib.parse.urlsplit(self.cluster["server"])
        self.host, self.port = url.hostname, url.port or 443
        self.tls = strict.context(base64.b64decode(
            self.cluster["certificate-authority-data"]).decode())
        if user.get("client-certificate-data"):
            with tempfile.NamedTemporaryFile("wb") as pem:
                pem.write(base64.b64decode(user["client-certificate-data"]) + b"\n")
                pem.write(base64.b64decode(user["client-key-data"]))
                pem.flush()
                self.tls.load_cert_chain(pem.name)
        self._local = threading.local()

    # -- requests --------------------------------------------------------------------------------
    def _connect(self, timeout):
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.tls)

    def raw(self, method, path, body=None, content="application/json", timeout=30, accept=None):
        """(code, headers, bytes). One kept connection per thread; a dead one is replaced once."""
        headers = {"User-Agent": "pgkeel-tests/1", "Content-Type": content}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        if accept:
            headers["Accept"] = accept
        data = json.dumps(body).encode() if body is not None else None
        self._forget_stale()
        for attempt in (1, 2):
            fresh = self._local.wire is None
            if fresh:
                self._local.wire = self._connect(timeout)
            wire = self._local.wire
            try:
                wire.timeout = timeout
                if wire.sock:
                    wire.sock.settimeout(timeout)
                wire.request(method, path, data, headers)
                answer = wire.getresponse()
                return answer.status, answer.headers, answer.read()
            except (OSError, http.client.HTTPException):
                wire.close()
                self._local.wire = None
                if fresh or attempt == 2 or method == "POST":
                    raise
        raise AssertionError("not reached")

    def _forget_stale(self):
        """
        A connection that came along at a fork is the parent's; one that idles for long is closed
        by the server, maybe at the very moment of the next request.
        """
        now = (os.getpid(), time.monotonic())
        owner, used = getattr(self._local, "used", (None, 0))
        if owner != now[0] or now[1] - used > 30:
            self._local.wire = None
        self._local.used = now

    def ask(self, method, path, body=None, content="application/json", timeout=30):
        code, headers, data = self.raw(method, path, body, content, timeout)
        text = data.decode(errors="replace")
        try:
            parsed = json.loads(text) if text else None
        except ValueError:
            parsed = text
        if code >= 300:
            raise Refused(code, parsed, "%s %s" % (method, path))
        self._local.warnings = headers.get_all("Warning") or []
        return parsed

    # -- objects ---------------------------------------------------------------------------------
    def get(self, kind, namespace, name):
        """None when it is not there."""
        try:
            return self.ask("GET", path_of(kind, namespace, name))
        except Refused as refused:
            if refused.code == 404:
                return None
            raise

    def list(self, kind, namespace=None, labels=None, fields=None):
        query = urllib.parse.urlencode({k: v for k, v in (("labelSelector", labels),
                                                          ("fieldSelector", fields)) if v})
        return self.ask("GET", path_of(kind, namespace) + ("?" + query if query else ""))["items"]

    def create(self, obj, namespace=None):
        obj = self._complete(obj)
        namespace = namespace or obj["metadata"].get("namespace")
        return self.ask("POST", path_of(obj["kind"], namespace) + "?fieldValidation=Strict", obj)

    def apply(self, obj, manager="kubectl", force=True):
        """Server-side apply, strict about unknown fields as kubectl is."""
        obj = self._complete(obj)
        meta = obj["metadata"]
        return self.ask("PATCH", path_of(obj["kind"], meta.get("namespace"), meta["name"])
                        + "?fieldManager=%s&force=%s&fieldValidation=Strict"
                        % (manager, "true" if force else "false"), obj, APPLY)

    @staticmethod
    def _complete(obj):
        obj = copy.deepcopy(obj)
        obj.setdefault("apiVersion", api_version(obj["kind"]))
        return obj

    def edit(self, kind, namespace, name, patch, sub=None):
        return self.ask("PATCH", path_of(kind, namespace, name, sub) + "?fieldManager=kubectl-edit"
                        "&fieldValidation=Strict", patch, MERGE)

    def delete(self, kind, namespace, name, **options):
        try:
            return self.ask("DELETE", path_of(kind, namespace, name),
                            {"kind": "DeleteOptions", "apiVersion": "v1",
                             "propagationPolicy": "Background", **options})
        except Refused as refused:
            if refused.code != 404:
                raise

    def make(self, kind, namespace, name, **members):
        body = {"kind": kind, **members}
        body["metadata"] = {**body.get("metadata", {}), "name": name}
        if namespace:
            body["metadata"]["namespace"] = namespace
        return self.create(body)

    # -- waiting ---------------------------------------------------------------------------------
    def wait(self, kind, namespace, name, probe, seconds, what):
        """Watches one object until probe(object or None) is true; returns that answer."""
        end = time.monotonic() + seconds
        last = None
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise runner.Failed("%s did not come about within %g s; last seen: %s"
                                    % (what, seconds, summary(last)))
            try:
                for last in self.states(kind, namespace, name, left):
                    found = probe(last)
                    if found:
                        return found
            except (OSError, http.client.HTTPException, ValueError, Refused):
                time.sleep(min(0.2, max(0.0, left)))  # the server is away; the deadline counts

    def states(self, kind, namespace, name, seconds):
        """Yields the object (None: absent) now and after every change, for so long."""
        end = time.monotonic() + seconds
        selector = "fieldSelector=" + urllib.parse.quote("metadata.name=" + name)
        # On its own connection: wait() may be abandoned in the middle of the stream.
        wire = self._connect(max(0.05, seconds))
        headers = {"User-Agent": "pgkeel-tests/1"}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        try:
            wire.request("GET", path_of(kind, namespace) + "?" + selector, headers=headers)
            listed = json.loads(self._served(wire, kind).read())
            yield listed["items"][0] if listed["items"] else None
            wire.request("GET", "%s?%s&watch=1&timeoutSeconds=%d&resourceVersion=%s" % (
                path_of(kind, namespace), selector, max(1, int(seconds) + 1),
                listed["metadata"]["resourceVersion"]), headers=headers)
            stream = self._served(wire, kind)
            while time.monotonic() < end:
                wire.sock and wire.sock.settimeout(max(0.01, end - time.monotonic()))
                line = stream.readline()
                if not line:
                    return
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield None if event["type"] == "DELETED" else event["object"]
        except TimeoutError:
            return
        finally:
            wire.close()

    @staticmethod
    def _served(wire, kind):
        """An answer that is no Status: a server under load refuses, and is asked again."""
        answer = wire.getresponse()
        if answer.status == 200:
            return answer
        data = answer.read()
        try:
            status = json.loads(data)
        except ValueError:
            status = {"message": data.decode(errors="replace")}
        raise Refused(answer.status, status, "watch " + kind)

    def condition(self, namespace, name, wanted, seconds, status="True", reason=None, needle=""):
        """Waits for a condition of a PostgresCluster at its present generation."""
        def probe(obj):
            for each in ((obj or {}).get("status") or {}).get("conditions", []):
                if each["type"] == wanted and each["status"] == status and needle in each["message"] \
                        and reason in (None, each["reason"]) and \
                        each.get("observedGeneration") == obj["metadata"]["generation"]:
                    return obj
            return None
        return self.wait("PostgresCluster", namespace, name, probe, seconds,
                         "%s=%s%s of cluster '%s'" % (
                             wanted, status, " with '%s'" % needle if needle else "", name))

    def gone(self, kind, namespace, name, seconds=300):
        """Long, for what goes with its owner: the garbage collector learns of a new kind after up
        to 30 s, hears of no end before, and looks again after pauses that double."""
        self.wait(kind, namespace, name, lambda obj: obj is None, seconds,
                  "the end of %s '%s'" % (kind, name))

    # -- a person's tools ------------------------------------------------------------------------
    def kubectl(self, *arguments, check=True, input=None, timeout=60):
        done = subprocess.run([*self.kubectl_words, "--kubeconfig", self.kubeconfig, *arguments],
                              capture_output=True, text=True, timeout=timeout, input=input,
                              env={**os.environ, "KUBECACHEDIR": self.kubectl_cache})
        if check and done.returncode != 0:
            raise runner.Failed("kubectl %s: %s" % (" ".join(arguments), done.stderr.strip()))
        return done.stdout if check else done

    def forget_kinds(self):
        shutil.rmtree(self.kubectl_cache, True)
        os.makedirs(self.kubectl_cache, exist_ok=True)

    def metrics(self):
        return self.raw("GET", "/metrics")[2].decode()


def summary(obj):
    if obj is None:
        return "(absent)"
    conditions = [c for c in (obj.get("status") or {}).get("conditions", []) if "type" in c]
    if conditions:
        return "; ".join("%s=%s %s %s" % (c["type"], c["status"], c.get("reason", ""),
                                          c.get("message", "")) for c in conditions)
    return json.dumps(obj)[:1500]
