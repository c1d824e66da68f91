"""What people do to a cluster, on purpose or not: it is told, nothing is lost, and it heals."""
import os
import shlex

from rig import Cluster, deploy, image, kube, names, namespace, no_operator, running, runner
from lib.postgres import Lost, SqlError
from lib.runner import alone, check, equal, never, test, wait_for


def rows(cluster, count):
    """Something to lose."""
    with cluster.connect() as wire:
        wire.query("create table kept as select generate_series(1, %d) as x" % count)


def kept(cluster, count):
    equal(cluster.value("select count(*) from kept"), str(count), "rows")


@test("A full volume stops the server and is told; grown, it comes back by itself with every row")
def _full():
    # Without it old segments are used again, and a server that has WAL alone never needs more room.
    keep = {"version": 17, "parameters": {"wal_keep_size": "2GB"}}
    with running(1, storage={"size": "400Mi", "storageClass": "limited"}, walStorage=None,
                 postgres=keep) as cluster:
        rows(cluster, 1000)
        restarts, uid = cluster.restarts("1"), cluster.uid("1")
        cluster.shell("1", "dd if=/dev/zero of=/pgkeel/data/filler bs=64k", check=False)
        wait_for(lambda: _no_room(cluster), 60, "the server to run out of room", every=0)
        cluster.told("Ready", "No space left on device", 120)
        told = cluster.told("StorageHealthy", "raise spec.storage.size", 30)
        wait = next(w for w in told["status"]["waitingFor"] if w["reason"] == "VolumeFull")
        cluster.kube.kubectl(*shlex.split(wait["unblock"])[1:])  # pasted as it stands
        equal(cluster.get()["spec"]["storage"]["size"], "1Gi", "size")
        # The kubelet grows the volume of a running pod when it next looks at it.
        cluster.ready(300)
        kept(cluster, 1000)
        cluster.told("StorageHealthy", status="True")
        equal((cluster.restarts("1"), cluster.uid("1")), (restarts, uid), "restarts of the pod")
        instance = cluster.get()["status"]["instances"][0]
        check(instance["crashes"] > 0 and "No space left" in instance["lastCrash"]["message"],
              "crashes: %s", instance)
        check(instance["storage"]["usedPercent"] < 90, "storage: %s", instance)


def _no_room(cluster):
    """Every switch needs another segment of WAL; without room for it the server panics."""
    try:
        cluster.value("select pg_switch_wal() from pg_logical_emit_message(true, 'x', 'x')",
                      user="postgres", database="postgres")
        return False
    except (Lost, OSError):
        return True
    except SqlError as refused:
        return refused.sqlstate.startswith("57")


@test("Growth, parameters and resources changed in one edit do not wait for each other")
def _all_at_once():
    with running(storage={"size": "1Gi", "storageClass": "standard"}) as cluster:
        rows(cluster, 10)
        cluster.edit(storage={"size": "2Gi"}, resources={"requests": {"memory": "150Mi"}},
                     postgres={"parameters": {"max_connections": "150"}})
        cluster.ready(300)
        for claim in ("a-1-data", "a-2-data"):
            equal(cluster.child("PersistentVolumeClaim", claim)["status"]["capacity"]["storage"],
                  "2Gi", "capacity of " + claim)
        for instance in ("1", "2"):
            equal(cluster.on(instance, "show max_connections"), "150", "on " + instance)
        kept(cluster, 10)


@test("Resources that no node has are told by the scheduler's words; the primary serves on")
def _unschedulable():
    with running() as cluster:
        rows(cluster, 10)
        primary = cluster.primary()
        uid = cluster.uid(primary)
        cluster.edit(resources={"requests": {"memory": "10Ti"}})
        cluster.told("Ready", "nsufficient memory", 90)
        cluster.told("ReplicasStreaming", seconds=30)
        never(lambda: cluster.uid(primary) != uid, 10, "a rollout that goes on after a failure")
        kept(cluster, 10)
        cluster.edit(resources=None)
        cluster.ready(180)


@test("A namespace that is deleted with a running cluster in it ends, pods and volumes too")
def _namespace():
    with running() as cluster:
        volumes = [c["spec"]["volumeName"]
                   for c in kube().list("PersistentVolumeClaim", cluster.where)]
        kube().delete("Namespace", None, cluster.where)
        # Its controller looks again after half the pods' grace period, however early they end.
        kube().gone("Namespace", None, cluster.where, 240)
        for volume in volumes:
            kube().gone("PersistentVolume", None, volume, 60)


@test("Everything but the volumes deleted by hand comes back, with every row, under one primary")
def _all_deleted():
    with running() as cluster:
        rows(cluster, 1000)
        system = cluster.value("select system_identifier from pg_control_system()")
        primary = cluster.primary()
        uids = {}
        for kind, name in names.children("a"):
            if kind != "PersistentVolumeClaim":
                uids[kind, name] = cluster.child(kind, name)["metadata"]["uid"]
                kube().delete(kind, cluster.where, name)
        cluster.poke()
        for (kind, name), uid in uids.items():
            kube().wait(kind, cluster.where, name, lambda o, uid=uid: o and not o["metadata"].get(
                "deletionTimestamp") and o["metadata"]["uid"] != uid, 90,
                "another %s '%s'" % (kind, name))
        # The kubelet brings the new certificate and authority when it next looks at the pods.
        cluster.ready(240)
        wait_for(lambda: cluster.value("select 1") == "1", 180, "the new password and authority",
                 every=0.5)
        kept(cluster, 1000)
        equal(cluster.value("select system_identifier from pg_control_system()"), system, "system")
        equal(cluster.primary(), primary, "primary")
        cluster.comes("select count(*) from kept", "1000")


@test("A replica's volumes deleted by hand are told; with its pod gone it is cloned anew")
def _claims_deleted():
    with running() as cluster:
        rows(cluster, 1000)
        replica, primary = cluster.replica(), cluster.primary()
        claims = ["a-%s-%s" % (replica, which) for which in ("data", "wal")]
        uids = [cluster.child("PersistentVolumeClaim", claim)["metadata"]["uid"]
                for claim in claims]
        for claim in claims:
            kube().delete("PersistentVolumeClaim", cluster.where, claim)
        cluster.told("StorageHealthy", claims[0], 60)
        kept(cluster, 1000)
        cluster.delete_pod(replica)
        for claim, uid in zip(claims, uids):
            kube().wait("PersistentVolumeClaim", cluster.where, claim, lambda o, uid=uid: o and
                        o["metadata"]["uid"] != uid, 120, "another claim '%s'" % claim)
        cluster.ready(180)
        equal(cluster.primary(), primary, "primary")
        cluster.comes("select count(*) from kept", "1000")


@test("An authority that is deleted is replaced on both sides; the replica goes on, nobody restarts",
      long=True)
def _authority():
    with running() as cluster:
        rows(cluster, 10)
        before = {i: cluster.started_at(i) for i in ("1", "2")}
        old = cluster.secret("ca")["ca.crt"]
        for secret in ("a-ca", "a-server"):
            kube().delete("Secret", cluster.where, secret)
        cluster.poke()
        for secret in ("a-ca", "a-server"):
            kube().wait("Secret", cluster.where, secret, lambda o: o, 30, "another " + secret)
        new = cluster.secret("ca")["ca.crt"]
        check(new != old, "the very same authority")
        for service in ("rw", "ro"):
            # The kubelet brings changed Secrets to the pods when it next looks at them.
            wait_for(lambda service=service: cluster.value("select 1", service, ca=new) == "1", 180,
                     "a certificate of the new authority on -%s" % service, every=1)
        with cluster.connect() as wire:
            wire.query("insert into kept values (11)")
        cluster.comes("select count(*) from kept", "11")
        cluster.ready(120)
        equal({i: cluster.started_at(i) for i in ("1", "2")}, before, "start times")


OVERLAY = """apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: %s
resources: [%s]
images: [{name: localhost/pgkeel, newName: %s, newTag: "%s"}]
patches:
- target: {kind: Deployment, name: pgkeel-controller}
  patch: |-
    - op: add
      path: /spec/template/spec/containers/0/args/-
      value: --postgres-image-pattern=localhost/postgres:%%d
"""


def _install_for(where):
    """As docs/operator.md says: an overlay of the namespace's own over overlays/namespaced."""
    folder = os.path.join(runner.BUILD, "namespaced-overlay")
    os.makedirs(folder, exist_ok=True)
    base = os.path.relpath(os.path.join(runner.ROOT, "overlays", "namespaced"), folder)
    with open(os.path.join(folder, "kustomization.yaml"), "w") as out:
        out.write(OVERLAY % ((where, base) + tuple(image().rsplit(":", 1))))
    kube().kubectl("apply", "-k", folder)


@alone("An operator for one namespace needs no right outside it, runs a cluster there, sees no other")
def _namespaced():
    with namespace() as where, namespace() as other, no_operator():
        _install_for(where)
        account = "system:serviceaccount:%s:%s" % (where, deploy.ACCOUNT)
        rights = kube().kubectl("auth", "can-i", "--list", "-n", other, "--as", account)
        check("pgkeel.dev" not in rights and "secrets" not in rights and "pods" not in rights,
              "rights in another namespace: %s", rights)
        foreign = Cluster(other, "b").apply(1)
        cluster = Cluster(where).apply()
        cluster.ready(150)
        rows(cluster, 10)
        cluster.edit(postgres={"parameters": {"shared_buffers": "40MB"}})
        cluster.ready(150)
        equal(cluster.value("show shared_buffers"), "40MB", "shared_buffers")
        kept(cluster, 10)
        kube().kubectl("scale", "-n", where, "pgc/a", "--replicas=1")
        cluster.gone("StatefulSet", "a-2", 60)
        cluster.ready(60)
        check("status" not in foreign.get() and not kube().list("StatefulSet", other),
              "it looked after a cluster of another namespace")
        log = kube().kubectl("logs", "-n", where, "deployment/" + deploy.DEPLOYMENT)
        refused = [line for line in log.splitlines() if "forbidden" in line.lower()]
        equal(refused[:3], [], "refusals in the operator's log")
