"""The scripted API server of tests/torture answers as the real one does, step by step."""
import json
import os
import sys

import rig
from lib import names
from lib.kube import APPLY, MERGE
from lib.runner import alone, equal, test

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "torture"))

JSON = "application/json"
OURS = "?fieldManager=pgkeel&force=true"
THEIRS = "?fieldManager=person"


class Both:
    """The same requests to the real server and to the scripted one, in namespaces of one name."""

    def __init__(self, where, real, scripted):
        self.where, self.real, self.scripted = where, real, scripted
        self.uids = [{}, {}]

    def ask(self, method, path, body=None, content=JSON, only=None):
        answers = []
        for number, ask in enumerate((self.real, self.scripted)):
            sent = json.loads(json.dumps(body).replace("NAMESPACE", self.where))
            code, got = ask(method, path.replace("NAMESPACE", self.where),
                            self._with_uids(sent, number), content)
            if isinstance(got, dict) and got.get("kind") != "Status":
                self.uids[number][path.split("?")[0].rsplit("/", 1)[-1]] = got["metadata"].get("uid")
            answers.append((code, _comparable(got, only)))
        equal(answers[1], answers[0], "%s %s: scripted against real" % (method, path))
        return answers[0]

    def _with_uids(self, body, number):
        text = json.dumps(body)
        for name, uid in self.uids[number].items():
            text = text.replace("UID-OF-" + name, uid or "")
        return json.loads(text)


def _comparable(got, only):
    if not isinstance(got, dict):
        return got
    if got.get("kind") == "Status":
        return got.get("reason"), (got.get("details") or {}).get("name")
    if "items" in got:
        return sorted(o["metadata"]["name"] for o in got["items"])
    meta = got["metadata"]
    managers = sorted((m["manager"], m["operation"], m.get("subresource", ""),
                       json.dumps(_without_defaults(m["fieldsV1"]), sort_keys=True))
                      for m in meta.get("managedFields", []) if m["fieldsV1"] not in _REMNANTS)
    spec = got.get(only) if only else {k: v for k, v in got.items()
                                       if k not in ("metadata", "apiVersion", "kind") and v != {}}
    return {"content": spec, "labels": meta.get("labels"), "annotations": meta.get("annotations"),
            "generation": meta.get("generation"), "managers": managers}


# Who once made a map keeps owning the empty map on the real server; nobody looks at that.
_REMNANTS = ({"f:status": {}}, {"f:data": {}}, {"f:spec": {}})


def _without_defaults(fields):
    """Who owns a defaulted key of a list item ('.') differs in spelling only."""
    return {k: _without_defaults(v) for k, v in fields.items() if k != "."}


@test("The scripted server answers as the real one: ConfigMap, Secret and Lease, step by step")
def _simple():
    import harness
    import selftest
    with rig.namespace() as where, harness.Rig(simulate_rest=False) as scripted:
        scripted.make("Namespace", None, where)

        def real(method, path, body, content):
            code, _, data = rig.kube().raw(method, path, body, content)
            return code, json.loads(data or b"null")
        both = Both(where, real, lambda *words: selftest.ask(scripted, *words))
        base = "/api/v1/namespaces/NAMESPACE/configmaps"
        config = lambda data, **meta: {"apiVersion": "v1", "kind": "ConfigMap",
                                       "metadata": {"name": "c", **meta}, "data": data}
        c = base + "/c"
        both.ask("GET", c)
        both.ask("PATCH", c + OURS, config({"a": "1", "b": "2"}, labels={"x": "y"}), APPLY)
        both.ask("PATCH", c + OURS, config({"a": "1", "b": "2"}, labels={"x": "y"}), APPLY)
        both.ask("PATCH", c + OURS, config({"b": "3"}, labels={"x": "y"}), APPLY)
        both.ask("PATCH", c + THEIRS, {"data": {"b": "theirs", "d": "4"}}, MERGE)
        both.ask("PATCH", c + "?fieldManager=other", config({"b": "5"}), APPLY)
        both.ask("PATCH", c + OURS, config({"b": "5"}, labels={"x": "y"}), APPLY)
        both.ask("PATCH", c + OURS, config({}, uid="UID-OF-c"), APPLY)
        both.ask("PATCH", c + OURS, config({}, uid="11111111-2222-3333-4444-555555555555"), APPLY)
        both.ask("PATCH", base + "/absent" + OURS, {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                "name": "absent", "uid": "11111111-2222-3333-4444-555555555555"}}, APPLY)
        both.ask("PUT", c + THEIRS, config({"z": "1"}, resourceVersion="1"))
        both.ask("PUT", c + THEIRS, config({"z": "1"}))
        both.ask("POST", base, config({}))
        both.ask("DELETE", c, {"preconditions": {"uid": "no-such-uid"}})
        both.ask("PATCH", c + THEIRS, {"data": {"z": None}}, MERGE)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
                  "type": "Opaque", "stringData": {"k": "v"}}
        secrets = "/api/v1/namespaces/NAMESPACE/secrets"
        both.ask("POST", secrets + THEIRS, secret)
        both.ask("POST", secrets + THEIRS, secret)
        both.ask("PATCH", secrets + "/s" + THEIRS, {"type": "other/type"}, MERGE)
        leases = "/apis/coordination.k8s.io/v1/namespaces/NAMESPACE/leases"
        both.ask("POST", leases + THEIRS, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                                           "metadata": {"name": "l", "annotations": {"a": "b"}}})
        both.ask("PATCH", leases + "/l" + THEIRS, {"spec": {"holderIdentity": "me"}}, MERGE)
        both.ask("PATCH", leases + "/l" + THEIRS, {
            "metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": "you"}}, MERGE)
        both.ask("GET", "/api/v1/namespaces/nowhere-at-all/configmaps/x")
        both.ask("POST", "/api/v1/namespaces/nowhere-at-all/configmaps", config({}))


@alone("The scripted server answers as the real one: Service, StatefulSet, PVC and PostgresCluster")
def _rich():
    import harness
    import selftest
    with rig.namespace() as where, harness.Rig(simulate_rest=False) as scripted, rig.no_operator():
        scripted.make("Namespace", None, where)

        def real(method, path, body, content):
            code, _, data = rig.kube().raw(method, path, body, content)
            return code, json.loads(data or b"null")
        both = Both(where, real, lambda *words: selftest.ask(scripted, *words))
        sets = "/apis/apps/v1/namespaces/NAMESPACE/statefulsets/s"
        one = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"},
               "spec": {"replicas": 0, "serviceName": "s", "selector": {"matchLabels": {"x": "y"}},
                        "template": {"metadata": {"labels": {"x": "y"}}, "spec": {"containers": [
                            {"name": "c", "image": "i", "env": [{"name": "A", "value": "1"},
                                                                {"name": "B", "value": "2"}]}]}}}}
        code = lambda step: step[0]
        # Defaults of pods are the real server's alone: what is compared is codes and generation.
        for change in (lambda: None, lambda: None,
                       lambda: one["spec"]["template"]["spec"]["containers"][0]["env"].pop(0),
                       lambda: one["spec"].update(serviceName="t")):
            change()
            answers = [ask("PATCH", sets.replace("NAMESPACE", where) + OURS, one, APPLY)
                       for ask in (both.real, both.scripted)]
            equal(*[(code(a), a[1].get("reason"), a[1]["metadata"].get("generation"),
                     [e["name"] for e in a[1].get("spec", {}).get("template", {}).get("spec", {})
                      .get("containers", [{}])[0].get("env", [])]) for a in answers],
                  "StatefulSet: scripted against real")
        clusters = "/apis/pgkeel.dev/v1alpha1/namespaces/NAMESPACE/postgresclusters"
        both.ask("POST", clusters + THEIRS, names.cluster("a", "NAMESPACE"))
        both.ask("PATCH", clusters + "/a/status" + THEIRS, {"status": {"phase": "Creating"},
                                                            "spec": {"instances": 5}}, MERGE)
        both.ask("PATCH", clusters + "/a" + THEIRS, {"spec": {"instances": 3},
                                                     "status": {"phase": "Healthy"}}, MERGE)
        both.ask("PATCH", clusters + "/a/status" + OURS, {
            "apiVersion": names.API, "kind": "PostgresCluster", "metadata": {"name": "a"},
            "status": {"phase": "Healthy", "observedGeneration": 2}}, APPLY)
        claims = "/api/v1/namespaces/NAMESPACE/persistentvolumeclaims"
        both.ask("POST", claims + THEIRS, {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "p"},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none-such",
                     "resources": {"requests": {"storage": "1Gi"}}}})
        both.ask("PATCH", claims + "/p" + THEIRS, {"spec": {"accessModes": ["ReadWriteMany"]}}, MERGE)
        both.ask("DELETE", claims + "/absent")
