"""From images that do not exist to volumes that must go or stay: a cluster's life and end."""
from rig import Cluster, collector_knows_clusters, kube, namespace, running
from lib.kube import Refused
from lib.runner import Failed, check, equal, never, test, wait_for


@test("An image that does not exist is named in status and stops no instance; mended, it heals")
def _image():
    with namespace() as where:
        cluster = Cluster(where).apply(2, postgres={"version": 17, "image": "localhost/nothing:0"})
        cluster.told("Ready", "localhost/nothing:0", 60)
        cluster.edit(postgres={"image": "localhost/postgres:17"})
        cluster.ready(120)
        primary = cluster.primary()
        uid = cluster.uid(primary)
        cluster.edit(postgres={"image": "localhost/nothing:1"})
        cluster.told("Ready", "localhost/nothing:1", 60)
        never(lambda: cluster.uid(primary) != uid, 10, "a rollout that goes on after a failure")
        equal(cluster.value("select 1"), "1", "the primary")
        cluster.edit(postgres={"image": "localhost/postgres:17"})
        cluster.ready(180)


@test("Deleted and applied again, a cluster adopts its volumes with all rows and passwords there")
def _adopted():
    with running() as cluster:
        with cluster.connect() as wire:
            wire.query("create table t as select generate_series(1, 1000) as x")
        password, system = cluster.secret("app")["password"], _system(cluster)
        cluster.delete()
        for pod in ("a-1-0", "a-2-0"):
            cluster.gone("Pod", pod)
        cluster.gone("Service", "a-rw")
        check(cluster.child("PersistentVolumeClaim", "a-1-data"), "the volume went")
        cluster.apply()
        cluster.ready(120)
        equal(cluster.value("select count(*) from t"), "1000", "rows")
        equal(cluster.secret("app")["password"], password, "password")
        equal(_system(cluster), system, "system identifier")
        cluster.comes("select count(*) from t", "1000")


def _system(cluster):
    return cluster.value("select system_identifier from pg_control_system()")


@test("Adopted with one instance fewer, the volume that was primary decides")
def _adopted_fewer():
    with running() as cluster:
        with cluster.connect() as wire:
            wire.query("create table t as select 7 as x")
        cluster.delete()
        for pod in ("a-1-0", "a-2-0"):
            cluster.gone("Pod", pod)
        cluster.apply(1)
        cluster.ready(120)
        equal(cluster.value("select x from t"), "7", "row")


@test("With retain: false the volumes go with the cluster")
def _not_retained():
    with running(2, storage={"size": "1Gi", "retain": False}) as cluster:
        volumes = [c["spec"]["volumeName"]
                   for c in kube().list("PersistentVolumeClaim", cluster.where)]
        equal(len(volumes), 4, "volumes")
        cluster.delete()
        for name in ("a-1-data", "a-1-wal", "a-2-data", "a-2-wal"):
            cluster.gone("PersistentVolumeClaim", name)
        for volume in volumes:
            kube().gone("PersistentVolume", None, volume, 60)


@test("A cluster deleted while it is being made leaves no pod and no name behind")
def _deleted_early():
    collector_knows_clusters()
    with namespace() as where:
        cluster = Cluster(where).apply()
        wait_for(lambda: cluster.pod("1"), 30, "the first pod", every=0.02)
        cluster.delete()
        for pod in ("a-1-0", "a-2-0"):
            kube().gone("Pod", where, pod)
        for service in ("a-rw", "a-ro", "a-r"):
            kube().gone("Service", where, service)
        cluster.apply()
        cluster.ready(120)


def evict(where, pod):
    return kube().ask("POST", "/api/v1/namespaces/%s/pods/%s/eviction" % (where, pod), {
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod,
                                                                   "namespace": where}})


def refused_eviction(where, pod):
    try:
        evict(where, pod)
    except Refused as refused:
        equal(refused.code, 429, "code of the eviction")
        return
    raise Failed("the eviction of %s was let through" % pod)


@test("One instance blocks a drain, status says how to let it through, and then it goes through")
def _drain_one():
    with running(1) as cluster:
        cluster.told("DrainAllowed", "spec.maintenance.allowEviction", 60)
        refused_eviction(cluster.where, "a-1-0")
        cluster.edit(maintenance={"allowEviction": True})
        cluster.told("DrainAllowed", status="True", seconds=60)
        uid = cluster.uid("1")
        wait_for(lambda: evict(cluster.where, "a-1-0"), 60, "the eviction to be allowed", every=0.5)
        cluster.pod_ready("1", 120, not_uid=uid)
        cluster.ready(60)


@test("Of two instances a drain takes one at a time, never both")
def _drain_two():
    with running() as cluster:
        cluster.told("DrainAllowed", status="True", seconds=60)
        wait_for(lambda: cluster.child("PodDisruptionBudget", "a")["status"][
            "disruptionsAllowed"] == 1, 60, "one disruption to be allowed")
        uid = cluster.uid("2")
        evict(cluster.where, "a-2-0")
        refused_eviction(cluster.where, "a-1-0")
        cluster.pod_ready("2", 120, not_uid=uid)
        cluster.ready(60)


@test("Storage that grows in a class that expands is there without a restart of the pod")
def _grown():
    with running(1, storage={"size": "1Gi", "storageClass": "standard"}) as cluster:
        before = cluster.started_at("1")
        cluster.edit(storage={"size": "2Gi"})
        cluster.ready(120)
        claim = cluster.child("PersistentVolumeClaim", "a-1-data")
        equal(claim["status"]["capacity"]["storage"], "2Gi", "capacity")
        equal(cluster.started_at("1"), before, "start time")


@test("Growth in a class that cannot expand is told with class and remedy, and serves on")
def _not_grown():
    with running(1, storage={"size": "1Gi", "storageClass": "fixed"}) as cluster:
        cluster.edit(storage={"size": "2Gi"})
        cluster.told("StorageHealthy", "fixed", 60)
        equal(cluster.value("select 1"), "1", "the server")
        # Everything else in the spec still gets through.
        cluster.edit(postgres={"parameters": {"work_mem": "9MB"}})
        wait_for(lambda: cluster.value("show work_mem") == "9MB", 60, "the parameter to arrive")


@test("Two clusters in one namespace and one in another do not disturb each other")
def _several():
    with namespace() as where, namespace() as other:
        clusters = [Cluster(where, "a").apply(1), Cluster(where, "b").apply(1),
                    Cluster(other, "a").apply(1)]
        for number, cluster in enumerate(clusters):
            cluster.ready(120)
            with cluster.connect() as wire:
                wire.query("create table t as select %d as x" % number)
        clusters[1].delete()
        kube().gone("Pod", where, "b-1-0")
        equal([clusters[i].value("select x from t") for i in (0, 2)], ["0", "2"], "the others")
        for cluster in (clusters[0], clusters[2]):
            cluster.ready(10)
