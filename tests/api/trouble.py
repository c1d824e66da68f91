"""Bad input and bad weather: a condition that names object and remedy, and healing by itself."""
import json
import re
import signal
import time

import rig
from lib import deploy, names
from lib.kube import path_of
from lib.runner import alone, check, equal, never, test, wait_for


def told(where, needle, seconds=90, name="a", condition="Ready"):
    """The condition is False at this generation, and its message holds the needle."""
    return rig.kube().condition(where, name, condition, seconds, status="False", needle=needle)


@test("A StorageClass that does not exist is named, and the cluster heals when it comes")
def _storage_class():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        kube.apply(names.cluster("a", where, 1, storage={
            "size": "1Gi", "storageClass": "missing-" + where}))
        told(where, "missing-" + where, condition="StorageHealthy")
        told(where, "missing-" + where)
        kube.make("StorageClass", None, "missing-" + where, provisioner="example.com/none",
                  volumeBindingMode="WaitForFirstConsumer")
        try:
            kube.wait("PostgresCluster", where, "a", lambda o: "missing-" + where not in
                      (names.condition(o, "Ready") or {"message": "missing-" + where})["message"],
                      60, "the complaint about the StorageClass to end")
        finally:
            kube.delete("StorageClass", None, "missing-" + where)


@test("A user's Secret that lacks its key, or is not there, is named, and heals when mended")
def _secret_key():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        obj = names.cluster("a", where, 1)
        obj["spec"]["secrets"] = {"app": "mine"}
        kube.make("Secret", where, "mine", stringData={"pasword": "typo"})
        kube.apply(obj)
        cluster = told(where, "mine", condition="CredentialsInSync")
        check("password" in names.condition(cluster, "CredentialsInSync")["message"],
              "the missing key is not named: %s", names.explain(cluster))
        kube.edit("Secret", where, "mine", {"stringData": {"password": "correct horse"}})
        wait_for(lambda: not rig.missing(where, "a", 1) or
                 rig.missing(where, "a", 1) == [("Secret", "a-app")], 60,
                 "the cluster to go on once the key is there", every=0.5)


@test("A foreign object under a child's name is left alone and named, and waited out")
def _collision():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        kube.make("Service", where, "a-rw", spec={"ports": [{"port": 80}], "selector": {"x": "y"}})
        kube.make("ConfigMap", where, "a-config", data={"mine": "yes"})
        before = deploy.plain(kube.get("Service", where, "a-rw"))
        kube.apply(names.cluster("a", where))
        waits = lambda o: {w["message"] for w in (o.get("status") or {}).get("waitingFor", [])
                           if w["reason"] == "NameCollision"}
        kube.wait("PostgresCluster", where, "a", lambda o: any("/a-rw'" in w for w in waits(o)) and
                  any("/a-config'" in w for w in waits(o)), 90, "both collisions in waitingFor")
        told(where, "")
        equal(deploy.plain(kube.get("Service", where, "a-rw")), before, "the foreign Service")
        equal(kube.get("ConfigMap", where, "a-config")["data"], {"mine": "yes"}, "their ConfigMap")
        kube.delete("Service", where, "a-rw")
        kube.delete("ConfigMap", where, "a-config")
        rig.created(where, "a", seconds=60)


@test("Two clusters whose names collide do not take each other's objects", long=True)
def _two_clusters():
    kube = rig.kube()
    with rig.at_rest() as where:
        uids = {k: o["metadata"]["uid"] for k, o in rig.children(where, "a").items()}
        # 'a-1' would call its ServiceAccount and Role as instance a-1 of 'a' calls its set, and
        # 'a-rw' brings 'a-rw-...': other names. Whatever is shared must stay with the first.
        kube.apply(names.cluster("a-1", where, 1))
        kube.apply(names.cluster("a-rw", where, 1))
        for name in ("a-1", "a-rw"):
            rig.created(where, name, 1)
        rig.settled(where, "a")
        for label, obj in rig.children(where, "a").items():
            equal((obj["metadata"]["uid"], obj["metadata"]["labels"][names.CLUSTER]),
                  (uids[label], "a"), label)


@alone("An operator killed 20 times during creation ends in the same objects as none")
def _twenty_kills():
    kube = rig.kube()
    with rig.namespace() as where, rig.namespace() as other:
        rig.operator()
        kube.apply(names.cluster("a", where))
        rig.settled(where, "a")
        wanted = {k: deploy.plain(o) for k, o in rig.children(where, "a").items()}
        kube.apply(names.cluster("a", other))
        seen = set()
        for _ in range(20):
            rig.operator().kill()
            before = rig.versions(other)
            seen.add(len(before))
            # A start takes long on a busy machine: only where all is there no write is waited for.
            patience = 30 if rig.missing(other, "a") else 2
            _until_it_writes(rig.operator().process, other, before, patience)
        rig.operator()
        rig.settled(other, "a", seconds=60)
        text = lambda objs, space: json.loads(json.dumps(objs).replace(space, "NAMESPACE"))
        got = text({k: deploy.plain(o) for k, o in rig.children(other, "a").items()}, other)
        wanted = text(wanted, where)
        for label in sorted(wanted):
            equal(_stable(got[label]), _stable(wanted[label]), label)
        check(len(seen) > 2, "the kills hit too few states: %s", seen)


def _until_it_writes(process, where, before, seconds):
    """
    Lets the operator run in slices of milliseconds and leaves it stopped as soon as something is
    written: else all would be there before anybody could look.
    """
    end, revision = time.monotonic() + seconds, None
    while time.monotonic() < end:
        process.signal(signal.SIGSTOP)
        # Looked at closely only where the server has stored anything at all since the last slice.
        last, revision = revision, _revision(where)
        if revision != last and rig.versions(where) != before:
            return
        process.signal(signal.SIGCONT)
        time.sleep(0.003)
    process.signal(signal.SIGCONT)


def _revision(where):
    """How far the API server is: every list says so, whatever it is of, and every write counts."""
    return rig.kube().ask("GET", path_of("ConfigMap", where))["metadata"]["resourceVersion"]


def _stable(obj):
    """Without what the server or chance gives: addresses, hashes of random verifiers."""
    obj = json.loads(json.dumps(obj))
    obj.pop("status", None)
    for field in ("clusterIP", "clusterIPs"):
        if obj["kind"] == "Service" and obj["spec"].get(field) not in ("None", ["None"]):
            obj["spec"].pop(field, None)
    if obj["kind"] == "ConfigMap":
        inner = json.loads(obj["data"]["cluster.json"])
        inner.pop("verifiersHash", None)
        obj["data"]["cluster.json"] = json.dumps(inner, sort_keys=True)
    return obj


def controllers_afresh():
    """Kubernetes' own controllers look again after pauses that grow to a minute: of what follows,
    nothing shall wait for theirs."""
    for part in ("controller-manager", "scheduler"):
        rig.testcluster().run("kill", part)
        rig.testcluster().run("start", part)


@alone("An API server that freezes for ten seconds is waited for")
def _frozen():
    kube = rig.kube()
    with rig.namespace() as where:
        operator = rig.operator()
        kube.apply(names.cluster("a", where))
        rig.settled(where, "a")
        with rig.testcluster().frozen("apiserver"):
            never(lambda: not operator.alive(), 10, "the operator's death")
        kube.edit("PostgresCluster", where, "a", {"spec": {"instances": 3}})
        rig.created(where, "a", 3, seconds=60)


@alone("An API server that is gone for minutes and comes back finds an operator that goes on")
def _stopped():
    kube = rig.kube()
    with rig.namespace() as where:
        operator = rig.operator()
        kube.apply(names.cluster("a", where))
        rig.settled(where, "a")
        with rig.testcluster().fault("kill", "apiserver", undo=("start", "apiserver")):
            never(lambda: not operator.alive(), 130, "the operator's death", every=0.5)
        controllers_afresh()
        wait_for(lambda: kube.edit("PostgresCluster", where, "a", {"spec": {"instances": 3}}), 60,
                 "the API server to be back")
        rig.created(where, "a", 3, seconds=90)
        check(operator.alive(), "it was another operator")


@alone("An operator started while the API server is away waits for it")
def _started_early():
    kube = rig.kube()
    with rig.namespace() as where:
        operator = rig.operator()
        operator.stop()
        with rig.testcluster().fault("kill", "apiserver", undo=("start", "apiserver")):
            operator.start()
            never(lambda: not operator.alive(), 4, "the operator's death")
        controllers_afresh()
        wait_for(lambda: kube.apply(names.cluster("a", where, 1)), 60, "the API server to be back")
        rig.created(where, "a", 1, seconds=90)


@alone("Of two operators one works; when it is killed the other takes over")
def _two_operators():
    kube = rig.kube()
    with rig.namespace() as where:
        first = rig.operator()
        second = rig.another_operator("pgkeel-host-1").start()
        try:
            kube.apply(names.cluster("a", where))
            rig.settled(where, "a")
            for kind, name in names.children("a"):
                managers = [m["operation"] for m in kube.get(kind, where, name)["metadata"][
                    "managedFields"] if m["manager"] == "pgkeel" and not m.get("subresource")]
                check(len(managers) <= 1, "%s '%s' was written in two ways: %s", kind, name, managers)
            first.kill()
            kube.edit("PostgresCluster", where, "a", {"spec": {"instances": 3}})
            rig.created(where, "a", 3, seconds=60)
        finally:
            second.stop()


@test("A namespace that is deleted with clusters in it ends, and the operator stays calm",
      long=True)
def _namespace():
    kube = rig.kube()
    with rig.namespace() as where:
        operator = rig.operator()
        kube.apply(names.cluster("a", where))
        kube.apply(names.cluster("b", where, 1))
        rig.settled(where, "a")
        with open(operator.log_path) as log:
            before = len(log.readlines())
        kube.delete("Namespace", None, where)
        kube.gone("Namespace", None, where, 90)
        check(operator.alive(), "the operator died")
        with open(operator.log_path) as log:
            lines = log.readlines()[before:]
        # Other tests' clusters may have their own trouble meanwhile.
        loud = [line for line in lines if '"level":"error"' in line
                and all(space == where for space in re.findall(r"\bt-\d+-\d+\b", line))]
        check(len(loud) <= 10, "%d errors were logged; first: %s", len(loud), loud[:2])


@test("A cluster deleted while it is being made leaves nothing but volumes and credentials")
def _deleted_early():
    kube = rig.kube()
    rig.collector_knows_clusters()
    with rig.namespace() as where:
        rig.operator()
        kube.apply(names.cluster("a", where))
        wait_for(lambda: len(rig.missing(where, "a")) < 15, 60, "some children", every=0.01)
        kube.delete("PostgresCluster", where, "a")

        def rest():
            return [(k, n) for k, n in names.children("a") if kube.get(k, where, n)
                    and k not in ("PersistentVolumeClaim", "Secret")]
        wait_for(lambda: not rest(), 45, "the children to go", every=0.3)
        never(rest, 3, "a child made for a cluster that is gone")


@test("Deleted and applied again at once, a cluster comes whole")
def _again_at_once():
    kube = rig.kube()
    rig.collector_knows_clusters()
    with rig.at_rest() as where:
        for _ in range(3):
            kube.delete("PostgresCluster", where, "a")
            uid = kube.apply(names.cluster("a", where))["metadata"]["uid"]
        wait_for(lambda: not rig.missing(where, "a") and all(
            [o["uid"] for o in obj["metadata"].get("ownerReferences", []) if o.get("controller")]
            in ([], [uid]) and not obj["metadata"].get("deletionTimestamp")
            for obj in rig.children(where, "a").values()), 90, "the children of the new cluster",
            every=0.5)


@test("A quota that refuses the volumes is told in status, and heals when it is lifted")
def _quota():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        kube.ask("POST", "/api/v1/namespaces/%s/resourcequotas" % where, {
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"},
            "spec": {"hard": {"persistentvolumeclaims": "1"}}})
        wait_for(lambda: kube.ask("GET", "/api/v1/namespaces/%s/resourcequotas/tight" % where).get(
            "status", {}).get("hard"), 60, "the quota to be counted")
        kube.apply(names.cluster("a", where, 1))
        told(where, "quota")
        kube.ask("DELETE", "/api/v1/namespaces/%s/resourcequotas/tight" % where)
        rig.created(where, "a", 1, seconds=90)


@test("A growth that was refused can be taken back, and is told once", long=True)
def _growth_taken_back():
    kube = rig.kube()
    with rig.at_rest(1) as where:
        size = lambda text: kube.edit("PostgresCluster", where, "a", {"spec": {"storage": {"size": text}}})
        log = rig.operator().log_path
        size("50Gi")  # an unbound claim cannot grow: refused, as a quota would
        kube.wait("PostgresCluster", where, "a", lambda o: any(
            w["what"].startswith("PersistentVolumeClaim") for w in o["status"].get("waitingFor", [])),
            60, "the refusal in waitingFor")

        def failures():
            with open(log) as lines:
                return [x for x in lines if '"pass failed"' in x and '"%s"' % where in x]
        never(lambda: len(failures()) > 1, 25, "the same failure told again and again")
        size("1Gi")
        kube.wait("PostgresCluster", where, "a", lambda o: o["status"].get("observedGeneration") ==
                  o["metadata"]["generation"] and not any(
                      w["what"].startswith(("PersistentVolumeClaim", "volume a-1-data has"))
                      for w in o["status"].get("waitingFor", [])), 60, "nothing to be left of it")
        try:
            size("500Mi")
        except Exception as refusal:
            check("spec.storage.size" in str(refusal), "refused otherwise: %s", refusal)
        else:
            check(False, "a size below the claim's was taken")


@test("Trouble is told in Events, and a long trouble does not flood them")
def _events():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        kube.make("Service", where, "a-rw", spec={"ports": [{"port": 80}], "selector": {"x": "y"}})
        kube.apply(names.cluster("a", where, 1))
        told(where, "")
        ours = lambda: [e for e in kube.list("Event", where)
                        if e.get("regarding", {}).get("kind") == "PostgresCluster"]
        wait_for(ours, 60, "an Event about the cluster")
        never(lambda: len(ours()) > 25, 5, "a flood of Events")
