"""What the API server itself refuses, and what it shows: the CRD's schema, rules and columns."""
import copy
import json

import rig
from lib import names
from lib.kube import Refused
from lib.runner import Failed, alone, check, equal, test


def refused(obj, *needles, change=None):
    """Applying obj (or changing it so) is refused with a message that holds every needle."""
    kube = rig.kube()
    try:
        if change is None:
            kube.apply(obj)
        else:
            kube.edit("PostgresCluster", obj["metadata"]["namespace"], obj["metadata"]["name"],
                      change)
    except Refused as answer:
        for needle in needles:
            check(needle in answer.message, "refused without naming '%s': %s", needle,
                  answer.message)
        return answer.message
    raise Failed("accepted: %s" % json.dumps(change or obj["spec"]))


@test("An unknown field is refused by name")
def _unknown():
    with rig.namespace() as where:
        refused(names.cluster("a", where, instnaces=3), "instnaces")
        refused(names.cluster("a", where, postgres={"version": 17, "parametrs": {}}), "parametrs")


@test("A wrong type is refused with its path")
def _types():
    with rig.namespace() as where:
        refused(names.cluster("a", where, instances="two"), "spec.instances")
        refused(names.cluster("a", where, postgres={"version": 17, "parameters": {
            "max_connections": 200}}), "spec.postgres.parameters.max_connections")
        refused(names.cluster("a", where, storage={"size": 20}), "spec.storage.size")
        refused(names.cluster("a", where, storage={"size": "twenty"}), "spec.storage.size")


@test("instances 0 and 10 are refused with the bounds")
def _instances():
    with rig.namespace() as where:
        refused(names.cluster("a", where, 0), "spec.instances", "1")
        refused(names.cluster("a", where, 10), "spec.instances", "9")
        refused(names.cluster("a", where, -1), "spec.instances")


@test("What is required is asked for")
def _required():
    with rig.namespace() as where:
        for field in ("instances", "postgres", "storage"):
            obj = names.cluster("a", where)
            del obj["spec"][field]
            refused(obj, "spec." + field)


@test("A shrinking volume is refused, with the way out")
def _shrink():
    with rig.namespace() as where:
        obj = names.cluster("a", where, storage={"size": "20Gi"}, walStorage={"size": "5Gi"})
        rig.kube().apply(obj)
        refused(obj, "spec.storage.size", change={"spec": {"storage": {"size": "10Gi"}}})
        refused(obj, "spec.walStorage.size", change={"spec": {"walStorage": {"size": "1Gi"}}})
        rig.kube().edit("PostgresCluster", where, "a", {"spec": {"storage": {"size": "20480Mi"}}})
        rig.kube().edit("PostgresCluster", where, "a", {"spec": {"storage": {"size": "21Gi"}}})


@test("Immutable fields are refused by name, and say why")
def _immutable():
    with rig.namespace() as where:
        obj = names.cluster("a", where, bootstrap={"initdb": {"database": "shop", "owner": "shop"}})
        rig.kube().apply(obj)
        refused(obj, "spec.postgres.version", change={"spec": {"postgres": {"version": 18}}})
        refused(obj, "spec.bootstrap", change={"spec": {"bootstrap": {"initdb": {
            "database": "other"}}}})
        refused(obj, "storageClass", change={"spec": {"storage": {"storageClass": "fast"}}})
        refused(obj, "walStorage", change={"spec": {"walStorage": None}})


@test("A name that its children's names could not carry is refused")
def _long_names():
    with rig.namespace() as where:
        refused(names.cluster("a" * 49, where), "48")
        refused(names.cluster("1a", where), "metadata.name")
        refused(names.cluster("a.b", where), "metadata.name")
        rig.kube().apply(names.cluster("a" * 48, where))


@test("Parameters that belong to pgkeel are refused with the reason")
def _parameters():
    with rig.namespace() as where:
        for name in ("listen_addresses", "data_directory", "primary_conninfo", "ssl_key_file",
                     "log_destination", "synchronous_standby_names"):
            refused(names.cluster("a", where, postgres={"version": 17, "parameters": {name: "x"}}),
                    name, "set by pgkeel")


@test("A grace period below 90 seconds is refused")
def _grace():
    with rig.namespace() as where:
        refused(names.cluster("a", where, terminationGracePeriodSeconds=30),
                "spec.terminationGracePeriodSeconds", "90")


@test("kubectl apply of the quickstart is accepted and kubectl diff then shows nothing")
def _quickstart():
    import os
    from lib import runner
    sample = os.path.join(runner.ROOT, "manifests", "samples", "quickstart.yaml")
    with rig.namespace() as where:
        rig.kube().kubectl("apply", "-n", where, "-f", sample)
        done = rig.kube().kubectl("diff", "-n", where, "-f", sample, check=False)
        equal((done.returncode, done.stdout), (0, ""), "kubectl diff")


def _walk(schema, path=""):
    yield path, schema
    for name, child in (schema.get("properties") or {}).items():
        yield from _walk(child, path + "." + name)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _walk(schema[key], path + "[]")


@test("kubectl explain is the manual: every field of spec and status is described")
def _explain():
    crd = rig.kube().get("CustomResourceDefinition", None, "postgresclusters.pgkeel.dev")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    bare = [path for path, field in _walk(schema)
            if path.startswith((".spec", ".status")) and not path.endswith("[]")
            and len(field.get("description", "")) < 10]
    equal(bare, [], "fields without a description")
    text = rig.kube().kubectl("explain", "pgc.spec.storage.retain")
    check("BOOLEAN" in text.upper() and "volumes" in text, "kubectl explain says: %s", text)
    text = rig.kube().kubectl("explain", "pgc.spec", "--recursive")
    check("maxSlotWalKeepSize" in text, "kubectl explain --recursive says: %s", text)


@test("kubectl scale changes spec.instances, within the bounds")
def _scale():
    with rig.namespace() as where:
        rig.kube().apply(names.cluster("a", where))
        rig.kube().kubectl("scale", "-n", where, "pgc/a", "--replicas=3")
        equal(rig.kube().get("PostgresCluster", where, "a")["spec"]["instances"], 3, "instances")
        done = rig.kube().kubectl("scale", "-n", where, "pgc/a", "--replicas=12", check=False)
        check(done.returncode != 0 and "9" in done.stderr, "scaling to 12: %s", done.stderr)


@alone("kubectl get pgc shows Ready and why, Primary, Instances, Version and Age; 'all' includes it")
def _columns():
    with rig.namespace() as where, rig.no_operator():
        rig.kube().apply(names.cluster("a", where))
        rig.kube().edit("PostgresCluster", where, "a", {"status": {
            "primary": "a-1", "version": "17.11", "instancesReady": "2/2", "instanceCount": 2,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Healthy", "message": "x",
                            "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}, "status")
        lines = rig.kube().kubectl("get", "pgc", "-n", where).splitlines()
        equal(lines[0].split(), ["NAME", "READY", "REASON", "PRIMARY", "INSTANCES", "VERSION", "AGE"],
              "header")
        equal(lines[1].split()[:6], ["a", "True", "Healthy", "a-1", "2/2", "17.11"], "row")
        check("postgrescluster.pgkeel.dev/a" in rig.kube().kubectl("get", "all", "-n", where),
              "'kubectl get all' leaves it out")


@alone("The status subresource cannot change the spec, nor the other way round")
def _subresource():
    with rig.namespace() as where, rig.no_operator():
        rig.kube().apply(names.cluster("a", where))
        rig.kube().edit("PostgresCluster", where, "a", {"spec": {"instances": 5}}, "status")
        equal(rig.kube().get("PostgresCluster", where, "a")["spec"]["instances"], 2, "instances")
        obj = copy.deepcopy(names.cluster("a", where))
        obj["status"] = {"phase": "Healthy"}
        rig.kube().apply(obj)
        check("status" not in rig.kube().get("PostgresCluster", where, "a"), "status was written")
