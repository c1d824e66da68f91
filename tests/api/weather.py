"""What time and others do to a cluster: certificates run out, policies change what is written."""
import base64
import os
import subprocess
import tempfile

import rig
from lib import names
from lib.runner import check, equal, never, test, wait_for
from rest import same

AUTHORITY = """[ca]
default_ca = x
[x]
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


def expired(secret_ca):
    """A server certificate of this very authority that ran out years ago, as Secret data."""
    text = {k: base64.b64decode(v).decode() for k, v in secret_ca["data"].items()}
    with tempfile.TemporaryDirectory() as folder:
        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

        def put(name, content):
            with open(os.path.join(folder, name), "w") as out:
                out.write(content)
        put("ca.crt", text["ca.crt"])
        put("ca.key", text["ca.key"])
        put("ca.conf", AUTHORITY)
        put("index", "")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=a-rw", "-keyout", "tls.key", "-out", "csr")
        openssl("ca", "-batch", "-config", "ca.conf", "-cert", "ca.crt", "-keyfile", "ca.key",
                "-in", "csr", "-out", "tls.crt", "-notext", "-startdate", "20200101000000Z",
                "-enddate", "20200301000000Z")
        found = {}
        for key in ("tls.crt", "tls.key"):
            with open(os.path.join(folder, key), "rb") as source:
                found[key] = base64.b64encode(source.read()).decode()
        return found


@test("A server certificate that ran out is made anew by the same authority")
def _expired():
    kube = rig.kube()
    with rig.at_rest() as where:
        authority = kube.get("Secret", where, "a-ca")
        data = expired(authority)
        kube.edit("Secret", where, "a-server", {"data": data})
        kube.edit("PostgresCluster", where, "a", {"metadata": {"annotations": {"look": "now"}}})
        after = kube.wait("Secret", where, "a-server",
                          lambda o: o["data"]["tls.crt"] != data["tls.crt"] and o, 60,
                          "another certificate")
        equal(after["data"]["ca.crt"], authority["data"]["ca.crt"], "authority")
        equal(kube.get("Secret", where, "a-ca")["data"], authority["data"], "Secret of the authority")


ADMISSION = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolic"
PATCH = """Object{metadata: Object.metadata{annotations: {"example.com/seen": "yes"}},
 spec: Object.spec{template: Object.spec.template{metadata: Object.spec.template.metadata{
  annotations: {"example.com/injected": "yes"}}}}}"""


def policy(name):
    """Annotates every StatefulSet of the namespace, and its pods: what sidecar injectors do."""
    rig.kube().ask("POST", ADMISSION + "ies", {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name}, "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets"],
                "operations": ["CREATE", "UPDATE"]}]},
            "reinvocationPolicy": "Never", "mutations": [{
                "patchType": "ApplyConfiguration", "applyConfiguration": {"expression": PATCH}}]}})
    rig.kube().ask("POST", ADMISSION + "ybindings", {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name}, "spec": {"policyName": name, "matchResources": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}}})


def _works(where):
    labels = {"x": "y"}
    made = rig.kube().ask("POST", "/apis/apps/v1/namespaces/%s/statefulsets?dryRun=All" % where, {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "probe"},
        "spec": {"serviceName": "x", "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{
                "name": "x", "image": "x"}]}}}})
    return "example.com/seen" in (made["metadata"].get("annotations") or {})


@test("A policy that changes every StatefulSet meets no resistance: no write war, no new template")
def _mutated():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        policy(where)
        try:
            wait_for(lambda: _works(where), 60, "the policy to work", every=0.5)
            kube.apply(names.cluster("a", where))
            before = rig.settled(where, "a")
            generations = [s["metadata"]["generation"] for s in kube.list("StatefulSet", where)]
            for each in kube.list("StatefulSet", where):
                check("example.com/injected" in each["spec"]["template"]["metadata"]["annotations"],
                      "the policy did not reach %s: the test proves nothing",
                      each["metadata"]["name"])
            kube.edit("PostgresCluster", where, "a", {"metadata": {"annotations": {"x": "y"}}})
            before = rig.settled(where, "a")
            same(where, 5, before)
            equal([s["metadata"]["generation"] for s in kube.list("StatefulSet", where)],
                  generations, "generations of the StatefulSets")
        finally:
            for path in ("ybindings/", "ies/"):
                kube.ask("DELETE", ADMISSION + path + where)


@test("A namespace deleted while a cluster is being made in it ends")
def _namespace_early():
    kube = rig.kube()
    with rig.namespace() as where:
        operator = rig.operator()
        kube.apply(names.cluster("a", where))
        wait_for(lambda: len(rig.missing(where, "a")) < 15, 60, "some children", every=0.01)
        kube.delete("Namespace", None, where)
        kube.gone("Namespace", None, where, 90)
        never(lambda: not operator.alive(), 1, "the operator's death")
