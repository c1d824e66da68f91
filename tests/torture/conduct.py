"""What an operator does not do: write at rest, fight, take what is not its own, act twice."""
import json
import re
import signal
import time

from harness import NAMESPACE, SYSTEM, Rig, ready_state
from lib import names
from lib.runner import check, equal, never, test


@test("At rest nothing is written, and a restarted operator writes nothing either")
def _rest():
    with Rig(ready_state(2)) as rig:
        operator = rig.operator()
        rig.until(lambda: len(rig.server.requests) > 8, 30, "the operator to look around")
        rig.quiet(1.0)
        equal(rig.writes(), [], "writes at rest")
        equal(operator.terminate(), 0, "exit code after SIGTERM")


@test("SIGTERM releases the leader's lease, so that the next one starts at once")
def _release():
    with Rig(ready_state(2)) as rig:
        operator = rig.operator("pgkeel-0")
        lease = lambda: [x for x in rig.store.all("Lease", SYSTEM)]
        rig.until(lambda: lease() and lease()[0]["spec"].get("holderIdentity"), 30, "a leader")
        equal(operator.terminate(), 0, "exit code")
        check(not lease()[0]["spec"].get("holderIdentity"), "the lease is still held: %s", lease())


@test("Of two operators one leads and writes; when it dies the other takes over")
def _two():
    with Rig() as rig:
        first = rig.operator("pgkeel-0")
        held = lambda: [x["spec"].get("holderIdentity") or "" for x in rig.store.all("Lease", SYSTEM)]
        rig.until(lambda: any(held()), 30, "a leader")
        second = rig.operator("pgkeel-1")
        rig.apply(names.cluster("a", NAMESPACE))
        rig.ready()
        rig.quiet()
        rig.minted_once()
        leader, other = (first, second) if held()[0].startswith("pgkeel-0") else (second, first)
        leader.kill()
        check(other.alive(), "the second operator is gone too")
        rig.edit("PostgresCluster", "a", {"spec": {"instances": 3}})
        rig.until(lambda: rig.get("StatefulSet", "a-3"), 120, "the second operator to take over")
        rig.ready()


@test("A frozen leader that wakes up after another took over writes nothing any more")
def _woken():
    with Rig(ready_state(2)) as rig:
        first = rig.operator("pgkeel-0")
        held = lambda: [x["spec"].get("holderIdentity") or "" for x in rig.store.all("Lease", SYSTEM)]
        rig.until(lambda: any(held()), 30, "a leader")
        first.signal(signal.SIGSTOP)
        second = rig.operator("pgkeel-1")
        rig.until(lambda: held()[0].startswith("pgkeel-1"), 120, "the second operator to take over")
        rig.edit("PostgresCluster", "a", {"spec": {"instances": 3}})
        rig.ready()
        rig.quiet(1.5)
        count = len(rig.writes())
        first.signal(signal.SIGCONT)
        never(lambda: len(rig.writes()) != count, 2, "a write by the deposed leader")
        check(second.alive(), "the second operator is gone")


@test("A child edited by hand is put right, once, and what others add to it stays")
def _drift():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        port = rig.get("Service", "a-rw")["spec"]["ports"]
        wrong = [{**port[0], "port": port[0]["port"], "targetPort": 9999}]
        rig.edit("Service", "a-rw", {"spec": {"ports": wrong}})
        rig.edit("Service", "a-rw", {"metadata": {"annotations": {"example.com/note": "mine"}}})
        rig.until(lambda: rig.get("Service", "a-rw")["spec"]["ports"] == port, 30,
                  "the port to be put right")
        rig.quiet()
        equal(rig.get("Service", "a-rw")["metadata"]["annotations"].get("example.com/note"), "mine",
              "the stranger's annotation")
        check(len(rig.writes()) <= 4, "it fights: %s", rig.writes())


@test("A child that is put right is told in an Event, though the status stays as it was")
def _drift_told():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        before = rig.cluster()["status"]
        rig.edit("ConfigMap", "a-config", {"data": {"passwd": "root:x:0:0::/:/bin/sh\n"}})
        rig.until(lambda: [e for e in rig.events("a") if e["reason"] == "DriftRepaired"
                           and "ConfigMap 'a-config'" in e["note"]], 30, "the Event")
        equal(rig.cluster()["status"], before, "status")


@test("What somebody adds to a child goes again, and notes beside it stay")
def _additions():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        note = {"annotations": {"example.com/note": "mine"}}
        sidecar = lambda obj: {"spec": {"template": {"spec": {
            "containers": obj["spec"]["template"]["spec"]["containers"] +
            [{"name": "sidecar", "image": "localhost/other"}], "nodeSelector": {"disk": "ssd"}}}}}
        for kind, name, patch in (
                ("Service", "a-rw", {"spec": {"selector": {"pgkeel.dev/cluster": "a"},
                                              "externalIPs": ["192.0.2.1"]}}),
                ("Service", "a-ro", {"spec": {"publishNotReadyAddresses": True}}),
                ("ConfigMap", "a-config", {"data": {"more.conf": "x"}, "immutable": True}),
                ("PodDisruptionBudget", "a", {"spec": {"minAvailable": 9}}),
                ("StatefulSet", "a-2", sidecar)):
            before = rig.get(kind, name)
            patch = {**(patch(before) if callable(patch) else patch), "metadata": note}
            rig.edit(kind, name, patch)

            def mended():
                now = rig.get(kind, name)
                return {k: v for k, v in now.items() if k not in ("metadata", "status")} == \
                    {k: v for k, v in before.items() if k not in ("metadata", "status")}
            rig.until(mended, 30, "%s '%s' to be as it was" % (kind, name))
            equal(rig.get(kind, name)["metadata"]["annotations"].get("example.com/note"), "mine",
                  "a note beside it")
            rig.until(lambda: [e for e in rig.events("a") if e["reason"] == "DriftRepaired"
                               and "%s '%s'" % (kind, name) in e["note"]], 30, "an Event")
        rig.quiet()
        rig.ready()


@test("A write that was refused is tried again at once when its object has been put right")
def _refused_for_the_addition():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        before = rig.get("PodDisruptionBudget", "a")["spec"]
        # Another controller's write comes between reading and mending; then two bounds are invalid.
        for verb, code in (("patch", 409), ("apply", 422)):
            rig.server.faults.add({"do": "status", "code": code, "verb": verb,
                                   "path": "/poddisruptionbudgets/a"})
        rig.edit("PodDisruptionBudget", "a", {"spec": {"maxUnavailable": None, "minAvailable": 9}})
        rig.until(lambda: rig.get("PodDisruptionBudget", "a")["spec"] == before, 30,
                  "the PodDisruptionBudget as it was")
        rig.quiet()


@test("Whatever else leads -rw somewhere is removed, and PrimaryReady is False until then")
def _strays():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        mine = rig.get("EndpointSlice", "a-rw")["metadata"]["uid"]
        leads = {"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.1.1"]}],
                 "ports": [{"port": 5432}]}
        rig.make("EndpointSlice", NAMESPACE, "a-rw-x7", **leads, metadata={
            "labels": {"kubernetes.io/service-name": "a-rw"}})
        rig.make("EndpointSlice", NAMESPACE, "other", **leads, metadata={
            "labels": {"kubernetes.io/service-name": "other"}})
        rig.make("Endpoints", NAMESPACE, "a-rw", subsets=[{"addresses": [{"ip": "10.1.1.1"}]}])
        rig.until(lambda: not rig.get("EndpointSlice", "a-rw-x7")
                  and not rig.get("Endpoints", "a-rw"), 30, "both to go")
        told = lambda: [c for _, kind, _, obj, _ in rig.store.history if kind.kind ==
                        "PostgresCluster" for c in (obj.get("status") or {}).get("conditions", [])
                        if (c["type"], c["status"], c["reason"]) ==
                        ("PrimaryReady", "False", "EndpointForeign") and "a-rw-x7" in c["message"]]
        rig.until(told, 30, "PrimaryReady to be False for it")
        rig.ready()
        rig.quiet()
        check(rig.get("EndpointSlice", "other"), "another Service's slice went")
        equal(rig.get("EndpointSlice", "a-rw")["metadata"]["uid"], mine, "the cluster's own slice")


@test("However much leads -rw elsewhere, all of it goes, some at a time, and status can tell it")
def _many_strays():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        strays = ["x%d-%s" % (i, "y" * 200) for i in range(200)]
        for name in strays:
            rig.make("EndpointSlice", NAMESPACE, name, addressType="IPv4", endpoints=[
                {"addresses": ["10.1.1.1"]}], ports=[{"port": 5432}], metadata={
                    "labels": {"kubernetes.io/service-name": "a-rw"}})
        rig.until(lambda: not any(rig.get("EndpointSlice", name) for name in strays), 90,
                  "all of them to go")
        for _, kind, _, obj, _ in rig.store.history:
            if kind.kind == "PostgresCluster":
                for condition in (obj.get("status") or {}).get("conditions", []):
                    check(len(condition["message"]) <= 16384, "a message of %d characters",
                          len(condition["message"]))
        rig.ready()


def _slice(rig, name, service, finalizers=None, **labels):
    rig.make("EndpointSlice", NAMESPACE, name, addressType="IPv4", endpoints=[
        {"addresses": ["10.1.1.1"]}], ports=[{"port": 5432}], metadata={
            "finalizers": finalizers or [], "labels": {
                "kubernetes.io/service-name": service,
                **{"endpointslice.kubernetes.io/managed-by": by for by in labels.values()}}})


def _foreign(rig, words):
    """Waits that told EndpointForeign with all these words, ever."""
    return [w for _, kind, _, obj, _ in rig.store.history if kind.kind == "PostgresCluster"
            for w in (obj.get("status") or {}).get("waitingFor", [])
            if w["reason"] == "EndpointForeign"
            and all(word in w["what"] + w["message"] for word in words)]


@test("What is asked of the slices of a Service is asked in pieces that are bounded")
def _bounded_reads():
    with Rig(ready_state(2)) as rig:
        for i in range(100):
            _slice(rig, "x%d" % i, "a-rw")
        rig.operator()
        rig.until(lambda: not any(rig.get("EndpointSlice", "x%d" % i) for i in range(100)), 90,
                  "all of them to go")
        asked = [r["query"] for r in rig.server.requests
                 if r["verb"] == "list" and r["path"].endswith("/endpointslices")
                 and "service-name" in r["query"]]
        check(asked, "nothing was asked")
        for query in asked:
            check(re.search(r"limit=([1-9]|10)(&|$)", query), "no limit: %s", query)
            check("resourceVersion=0" not in query, "%s: a limit counts for nothing", query)
        rig.ready()


@test("What leads -rw elsewhere and cannot be deleted is told, however much of it there is")
def _held_strays():
    with Rig(ready_state(2)) as rig:
        for i in range(80):
            _slice(rig, "x%02d" % i, "a-rw", finalizers=["example.org/keep"])
        rig.operator()
        rig.until(lambda: _foreign(rig, ["x00", "being deleted", "there are more"]), 60,
                  "the slices and their finalizers to be told")
        for i in range(80):
            rig.edit("EndpointSlice", "x%02d" % i, {"metadata": {"finalizers": None}})
        rig.until(lambda: not any(rig.get("EndpointSlice", "x%02d" % i) for i in range(80)), 90,
                  "all of them to go")
        rig.ready()


@test("Whatever else leads another Service of the cluster somewhere is removed and told, too")
def _strays_of_others():
    with Rig(ready_state(2)) as rig:
        for service in ("a-ro", "a-r", "a-pods"):
            _slice(rig, service + "-theirs", service, by="endpointslice-controller.k8s.io")
        rig.operator()
        rig.quiet()
        for service in ("a-ro", "a-r", "a-pods"):
            _slice(rig, service + "-hand", service)
            _slice(rig, service + "-mirrored", service,
                   by="endpointslicemirroring-controller.k8s.io")
        for service in ("a-ro", "a-r", "a-pods"):
            for suffix in ("-hand", "-mirrored"):
                rig.until(lambda: not rig.get("EndpointSlice", service + suffix), 60,
                          service + suffix + " to go")
            check(rig.get("EndpointSlice", service + "-theirs"),
                  "the slice that Kubernetes keeps for %s went", service)
        rig.until(lambda: _foreign(rig, ["Service 'a-ro'", "a-ro-hand"]), 30, "status to tell it")
        check(not _foreign(rig, ["a-rw"]), "told of Service 'a-rw', too")
        rig.ready()


@test("An operator that may not look for what else leads -rw somewhere says so, and goes on")
def _routes_forbidden():
    with Rig(ready_state(2)) as rig:
        rig.server.faults.add({"do": "status", "code": 403, "verb": "get", "times": 0,
                               "path": "/endpoints/a-rw", "message": "endpoints is forbidden"})
        rig.operator()
        told = lambda: [c for c in (rig.cluster().get("status") or {}).get("conditions", [])
                        if (c["type"], c["status"], c["reason"]) == ("Ready", "False", "Forbidden")]
        rig.until(told, 30, "Ready to be False for it")
        check("endpoints is forbidden" in told()[0]["message"], "what: %s", told()[0]["message"])
        rig.edit("ConfigMap", "a-config", {"data": {"pg_hba.conf": "# no\n"}})
        rig.until(lambda: "# no" not in rig.get("ConfigMap", "a-config")["data"]["pg_hba.conf"], 60,
                  "all else to be put right")
        rig.server.faults.clear()
        rig.ready()


@test("A manager that writes the same field for ever is not fought in a tight loop")
def _fight():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        end, rounds = time.monotonic() + 2, 0
        while time.monotonic() < end:
            rig.edit("ConfigMap", "a-config", {"data": {"pg_hba.conf": "# no %d\n" % rounds}})
            rounds += 1
            with rig.store.changed:
                rig.store.changed.wait(0.02)
        rig.until(lambda: "# no" not in rig.get("ConfigMap", "a-config")["data"]["pg_hba.conf"], 60,
                  "the last edit to be put right")
        rig.quiet()
        check(len(rig.writes()) <= rounds + 5, "%d writes against %d edits", len(rig.writes()),
              rounds)


@test("Every kind of child that is deleted by hand comes back")
def _deleted():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        for kind, name in names.children("a"):
            if kind in ("PersistentVolumeClaim", "Lease", "StatefulSet") or \
                    (kind == "Secret" and not name.endswith(("-server", "-verifiers"))):
                continue
            uid = rig.get(kind, name)["metadata"]["uid"]
            rig.delete(kind, name)
            if kind == "Secret":  # they are read by name only, when the cluster is looked at
                rig.edit("PostgresCluster", "a", {"metadata": {"annotations": {"look": name}}})
            rig.until(lambda: (rig.get(kind, name) or {"metadata": {"uid": uid}})["metadata"]["uid"]
                      != uid, 60, "%s '%s' to come back" % (kind, name))
        rig.ready()


@test("A Secret that is changed or deleted by hand is seen without a touch of its cluster")
def _secrets_watched():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        app, verifiers = rig.get("Secret", "a-app"), rig.get("Secret", "a-verifiers")["data"]
        rig.edit("Secret", "a-superuser", {"data": {"password": "YW5vdGhlci1vbmU="}})
        rig.delete("Secret", "a-app")
        rig.until(lambda: (rig.get("Secret", "a-app") or app)["metadata"]["uid"] !=
                  app["metadata"]["uid"], 60, "the application's Secret to come back")
        rig.until(lambda: rig.get("Secret", "a-verifiers")["data"] != verifiers, 30,
                  "the verifiers to follow the superuser's password")
        rig.ready()
        rig.quiet()


@test("A StatefulSet deleted by hand comes back on the same volume")
def _set_deleted():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        claim = rig.get("PersistentVolumeClaim", "a-2-data")["metadata"]["uid"]
        rig.delete("StatefulSet", "a-2")
        rig.until(lambda: (rig.get("Pod", "a-2-0") or {}).get("status", {}).get("podIP"), 60,
                  "the pod to come back")
        rig.ready()
        equal(rig.get("PersistentVolumeClaim", "a-2-data")["metadata"]["uid"], claim, "volume")


@test("A lease deleted by hand comes back without a licence to initialise anything")
def _lease_deleted():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        before = dict(rig.simulation.disks)
        rig.delete("Lease", "a-primary")
        lease = rig.until(lambda: rig.get("Lease", "a-primary"), 30, "the lease")
        grant = json.loads((lease["metadata"].get("annotations") or {}).get(
            "pgkeel.dev/bootstrap", '{"mode":"existing"}'))
        equal(grant["mode"], "existing", "mode of the grant")
        rig.until(lambda: (rig.get("Lease", "a-primary").get("spec") or {}).get(
            "holderIdentity", "").startswith("a-1/"), 60, "a-1 to hold the lease again")
        rig.quiet()
        rig.ready()
        equal({d["systemIdentifier"] for d in rig.simulation.disks.values()},
              {d["systemIdentifier"] for d in before.values()}, "data on the volumes")


@test("A foreign object under a child's name is left alone, named, and waited out")
def _collision():
    with Rig() as rig:
        rig.make("Service", NAMESPACE, "a-rw", spec={"ports": [{"port": 80}], "selector": {"x": "y"}})
        uid = rig.get("Service", "a-rw")["metadata"]["uid"]
        rig.apply(names.cluster("a", NAMESPACE))
        rig.operator()
        told = lambda: [c for c in (rig.cluster().get("status") or {}).get("conditions", [])
                        if c["type"] == "Ready" and c["status"] == "False" and "a-rw" in c["message"]]
        rig.until(told, 60, "Ready=False to name Service 'a-rw'")
        rig.quiet()
        theirs = rig.get("Service", "a-rw")
        equal((theirs["metadata"]["uid"], theirs["spec"]["ports"][0]["port"],
               theirs["metadata"].get("labels")), (uid, 80, None), "the foreign Service")
        rig.delete("Service", "a-rw")
        rig.ready()


@test("Two clusters whose names collide share nothing: the second one says so")
def _names_collide():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        before = rig.get("StatefulSet", "a-1")
        # Cluster 'a-1' wants ServiceAccount 'a-1', Role 'a-1' and so on: only its own names.
        # A clash needs the same child: instance 'a-1' of 'a' and nothing of cluster 'a-1' but ...
        rig.apply(names.cluster("a-1", NAMESPACE, 1))
        rig.quiet()
        check(rig.get("StatefulSet", "a-1") == before or
              rig.get("StatefulSet", "a-1")["metadata"]["uid"] == before["metadata"]["uid"],
              "the second cluster touched the first one's StatefulSet")
        rig.ready("a")
        rig.ready("a-1")


@test("A spec that is newer than what runs is never Ready")
def _truthful():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        changed = rig.edit("PostgresCluster", "a", {"spec": {"instances": 3}})
        generation = changed["metadata"]["generation"]
        rig.ready()
        for _, kind, _, obj, _ in rig.store.history:
            if kind.kind == "PostgresCluster" and obj["metadata"]["generation"] == generation and \
                    names.is_true(obj, "Ready"):
                rows = obj["status"]["instances"]
                check(len(rows) == 3 and all(r.get("ready") for r in rows),
                      "Ready=True for generation %d with %s", generation, rows)
                break


@test("A template that does not work reaches one replica and nobody else, whoever dies meanwhile")
def _bad_template():
    image = lambda name: rig.get("StatefulSet", name)["spec"]["template"]["spec"]["containers"][0]["image"]
    with Rig(ready_state(3)) as rig:
        operator = rig.operator()
        rig.quiet()
        good = image("a-1")
        rig.simulation.missing_images.add("localhost/bad")
        rig.edit("PostgresCluster", "a", {"spec": {"postgres": {"image": "localhost/bad"}}})
        stuck = lambda: [c for c in (rig.get("Pod", "a-3-0") or {}).get("status", {}).get(
            "containerStatuses", []) if "waiting" in c["state"]]
        rig.until(stuck, 30, "the last replica to try the new image in vain")
        rig.quiet()
        equal([image("a-1"), image("a-2"), image("a-3")], [good, good, "localhost/bad"], "images")
        operator.kill()
        rig.operator()
        rig.quiet()
        for name in ("a-2", "a-1"):
            uid = rig.get("Pod", name + "-0")["metadata"]["uid"]
            rig.delete("Pod", name + "-0")
            rig.until(lambda: any(
                c["type"] == "Ready" and c["status"] == "True"
                for p in [rig.get("Pod", name + "-0")] if p and p["metadata"]["uid"] != uid
                for c in p.get("status", {}).get("conditions", [])), 30, name + " to serve again")
            rig.quiet()
            equal(image(name), good, "image of " + name)
        # A hand on a set that waits for its turn is put right without the new template.
        rig.edit("StatefulSet", "a-1", {"spec": {"replicas": 0}})
        rig.until(lambda: rig.get("StatefulSet", "a-1")["spec"]["replicas"] == 1, 30,
                  "the primary's set to be put right")
        equal(image("a-1"), good, "image of the primary")
        told = [w for w in rig.cluster()["status"]["waitingFor"] if w["reason"] == "RolloutPending"]
        check(any("a-3" in w["message"] for w in told), "nothing names a-3: %s", told)
        rig.simulation.missing_images.clear()
        rig.edit("PostgresCluster", "a", {"spec": {"postgres": {"image": "localhost/better"}}})
        rig.until(lambda: {(rig.get("Pod", p) or {"spec": {"containers": [{"image": ""}]}})["spec"][
            "containers"][0]["image"] for p in ("a-1-0", "a-2-0", "a-3-0")} == {"localhost/better"},
            60, "the corrected image everywhere")
        rig.ready()


@test("A namespace that is being deleted gets no new objects and no storm of refused writes")
def _terminating():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        rig.simulation.stop()
        rig.delete("Namespace", NAMESPACE, None)
        rig.delete("Service", "a-ro")
        rig.server.requests.clear()
        never(lambda: rig.get("Service", "a-ro"), 2, "a Service made in a dying namespace")
        tried = [r for r in rig.server.requests if r["verb"] in ("apply", "create")
                 and "/events" not in r["path"] and "/leases" not in r["path"]]
        check(len(tried) <= 5, "%d refused writes in two seconds", len(tried))
        rig.simulation.start()
        rig.until(lambda: rig.store.get("Namespace", None, NAMESPACE) is None, 60,
                  "the namespace to go")


@test("A cluster deleted in the middle of its creation leaves nothing but volumes and passwords")
def _deleted_early():
    with Rig() as rig:
        rig.apply(names.cluster("a", NAMESPACE))
        rig.operator()
        rig.until(lambda: len(rig.writes()) >= 12, 60, "twelve writes")
        rig.delete("PostgresCluster", "a")
        strange = lambda: [k for k in rig.end()
                           if not k.startswith(("PersistentVolumeClaim/", "Secret/"))]
        rig.until(lambda: not strange(), 60, "the end of everything but volumes and passwords")
        rig.quiet()
        equal(strange(), [], "made for a cluster that is gone")


def _deleted_during(fault):
    """A write of the status is under way when the cluster is deleted, and its answer comes late."""
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        rule = rig.server.faults.add({"do": fault, "verb": "write", "seconds": 0.7,
                                      "path": "/postgresclusters/a/status"})
        rig.edit("PostgresCluster", "a", {"spec": {"instances": 3}})
        rig.until(lambda: rule.struck and [w for w in rig.server.requests
                                           if w["path"].endswith("/a/status")], 30,
                  "a write of the status")
        if fault == "late":
            rig.until(lambda: [w for w in rig.writes() if w["sub"] == "status"], 30, "its storing")
        rig.delete("PostgresCluster", "a")
        rig.until(lambda: not rig.get("Service", "a-rw"), 30, "the children to go")
        rig.quiet(1.5)
        rig.server.requests.clear()
        asked = lambda: [r for r in rig.server.requests if "/namespaces/shop/" in r["path"]
                         and r["verb"] != "watch"]
        never(asked, 3, "a request for a cluster that is gone")


@test("A cluster that is deleted before its status could be written is forgotten")
def _forgotten():
    _deleted_during("stall")


@test("A cluster that is deleted before the answer to its status came is forgotten")
def _forgotten_late():
    _deleted_during("late")


@test("A change that comes while the Secrets are being read is not taken for seen by them")
def _changed_while_reading():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        owners = lambda: rig.get("Secret", "a-app")["metadata"].get("ownerReferences")
        equal(owners(), None, "owners of the application's Secret, which is retained")
        rule = rig.server.faults.add({"do": "late", "verb": "get", "seconds": 0.7, "times": 1,
                                      "path": "/secrets/a-app"})
        rig.edit("PostgresCluster", "a", {"spec": {"instances": 3}})
        rig.until(lambda: rule.struck, 30, "a read of the Secret")
        rig.edit("PostgresCluster", "a", {"spec": {"storage": {"retain": False}}})
        rig.until(owners, 5, "the Secret to be the cluster's, to go with it")


@test("An Event that the API server did not take is sent again, and told once")
def _events_survive():
    with Rig() as rig:
        refused = rig.server.faults.add({"do": "status", "code": 503, "verb": "create",
                                         "path": "/events$", "times": 4})
        lost = rig.server.faults.add({"do": "drop-after", "verb": "create", "path": "/events$"})
        rig.operator()
        rig.apply(names.cluster("a", NAMESPACE))
        rig.ready()
        told = lambda: sorted("%s %s" % (e["reason"], e["note"].split(":")[0])
                              for e in rig.events("a") if e["reason"] == "InstanceCreated")
        rig.until(lambda: len(told()) >= 2, 30, "the Events about what was made")
        rig.quiet()
        equal(told(), ["InstanceCreated StatefulSet 'a-1'", "InstanceCreated StatefulSet 'a-2'"],
              "what is told")
        equal((refused.struck, lost.struck), (4, 1), "requests that met trouble")


@test("An Event about one cluster does not wait until the operator has done with all others")
def _events_trickle():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        rule = rig.server.faults.add({"do": "stall", "verb": "get", "seconds": 120,
                                      "path": "/secrets/busy-app"})
        rig.apply(names.cluster("busy", NAMESPACE))
        rig.until(lambda: rule.struck, 30, "a pass that is kept waiting")
        rig.make("Service", NAMESPACE, "b-rw", spec={"ports": [{"port": 80}]})
        rig.apply(names.cluster("b", NAMESPACE))
        rig.until(lambda: [w for w in rig.server.writes
                           if w["kind"] == "Event" and w["name"].startswith("b.")], 25,
                  "an Event about 'b' before the operator gives up that read, after 30 s")


@test("A controller that adds to a StatefulSet again and again is named, and fought less and less",
      long=True)
def _contested():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        selector = lambda: rig.get("StatefulSet", "a-2")["spec"]["template"]["spec"].get(
            "nodeSelector")
        mended = lambda: len([w for w in rig.writes() if w["name"] == "a-2"])
        told = lambda: [w for w in (rig.cluster().get("status") or {}).get("waitingFor", [])
                        if w["reason"] == "ObjectContested" and "a-2" in w["what"]
                        and "injector" in w["message"] and "nodeSelector" in w["message"]]
        end = time.monotonic() + 60
        while not told():
            check(time.monotonic() < end, "not told after %d repairs", mended())
            if not selector():
                rig.edit("StatefulSet", "a-2", {"spec": {"template": {"spec": {
                    "nodeSelector": {"zone": "x"}}}}}, manager="injector")
            with rig.store.changed:
                rig.store.changed.wait(0.05)
        check(mended() <= 12, "%d repairs before it was told", mended())
        # It does not see when it is left alone, nor what else happens meanwhile.
        rig.edit("ConfigMap", "a-config", {"data": {"pg_hba.conf": "# no\n"}})
        rig.until(lambda: "# no" not in rig.get("ConfigMap", "a-config")["data"]["pg_hba.conf"], 60,
                  "all else to be put right")
        before = mended()
        rig.edit("PostgresCluster", "a", {"spec": {"postgres": {"image": "localhost/other"}}})
        rig.until(lambda: "localhost/other" in json.dumps(rig.get("StatefulSet", "a-2")["spec"]), 60,
                  "what the spec asks for to be written all the same")
        rig.until(lambda: not selector(), 60, "the field to be taken out when its pause is over")
        rig.until(lambda: not told(), 120, "the wait to end when the other has stopped")
        rig.ready()


@test("A controller that takes an instance's pod away again and again does not keep it away")
def _scaled():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        replicas = lambda: rig.get("StatefulSet", "a-2")["spec"]["replicas"]
        told = lambda: [w for w in (rig.cluster().get("status") or {}).get("waitingFor", [])
                        if w["reason"] == "ObjectContested" and "downscaler" in w["message"]]
        # With the pauses that other repairs get, the last of these would wait for minutes.
        for i in range(14):
            check(i >= 8 or not told(), "told after %d times: %s", i, told())
            rig.edit("StatefulSet", "a-2", {"spec": {"replicas": 0}}, manager="downscaler")
            rig.until(lambda: replicas() == 1, 20, "it to be set back, time %d" % i)
        rig.until(lambda: told() and "at once" in told()[0]["message"], 20, "it to be told")
        rig.until(lambda: not told(), 120, "the wait to end when the other has stopped")
        rig.ready()
