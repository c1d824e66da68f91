"""At rest nothing is written, nothing grows, and nobody else's objects matter."""
import time

import rig
from lib import names
from lib.runner import alone, check, equal, test, wait_for

KIB = 1024


def same(where, seconds, before):
    """Every resourceVersion stays as it is, looked at until the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = rig.versions(where)
        changed = sorted(k for k in set(now) | set(before) if now.get(k) != before.get(k))
        check(not changed, "written at rest: %s", changed)
        time.sleep(0.5)


@test("At rest not one object of a cluster is written")
def _rest():
    with rig.namespace() as where:
        rig.operator()
        rig.kube().apply(names.cluster("a", where))
        same(where, 15, rig.settled(where, "a"))


@alone("An operator that starts again writes nothing")
def _restart():
    with rig.namespace() as where:
        operator = rig.operator()
        for name in ("a", "b", "c"):
            rig.kube().apply(names.cluster(name, where, 1))
        for name in ("a", "b", "c"):
            before = rig.settled(where, name)
        operator.stop()
        operator.start()
        wait_for(lambda: _leads(operator), 30, "the operator to lead again")
        same(where, 6, before)


@alone("Another version of the operator writes no pod template: nobody is restarted by an upgrade")
def _upgrade():
    with rig.namespace() as where:
        operator = rig.operator()
        rig.kube().apply(names.cluster("a", where))
        rig.settled(where, "a")
        before = [(s["metadata"]["name"], s["metadata"]["generation"], s["spec"]["template"])
                  for s in rig.kube().list("StatefulSet", where)]
        operator.stop()
        try:
            operator.start(image="localhost/pgkeel:another")
            wait_for(lambda: _leads(operator), 30, "the operator to lead again")
            rig.settled(where, "a")
            after = [(s["metadata"]["name"], s["metadata"]["generation"], s["spec"]["template"])
                     for s in rig.kube().list("StatefulSet", where)]
            equal(after, before, "StatefulSets after the upgrade")
        finally:
            operator.stop()


def _leads(operator):
    for lease in rig.kube().list("Lease", "pgkeel-system"):
        if (lease["spec"].get("holderIdentity") or "").startswith(operator.identity):
            return True
    return False


@alone("Hundreds of foreign Secrets and ConfigMaps change neither its memory nor its traffic")
def _foreign():
    kube = rig.kube()
    with rig.namespace() as where, rig.namespace() as foreign:
        operator = rig.operator()
        kube.apply(names.cluster("a", where))
        rig.settled(where, "a")
        before = operator.memory()
        text = "x" * 20 * KIB
        for number in range(300):
            kube.make("Secret", foreign, "s-%d" % number, stringData={"x": text})
            kube.make("ConfigMap", foreign, "c-%d" % number, data={"x": text})
        kube.edit("PostgresCluster", where, "a", {"spec": {"instances": 1}})
        kube.gone("StatefulSet", where, "a-2", 30)
        after = operator.memory()
        grown = after["rss"] - before["rss"]
        check(grown < 512 * KIB, "RSS grew by %d KiB", grown // KIB)


@alone("The operator stays within 8 MiB with one cluster")
def _memory():
    with rig.namespace() as where:
        operator = rig.operator()
        operator.stop()
        operator.start()
        rig.kube().apply(names.cluster("a", where))
        rig.settled(where, "a")
        rss = operator.memory()["rss"]
        check(rss <= 8 * KIB * KIB, "RSS is %.1f MiB", rss / KIB / KIB)


@test("Applying the same manifest again changes nothing, and the spec stays as it was written")
def _gitops():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        obj = names.cluster("a", where)
        first = kube.apply(obj)
        before = rig.settled(where, "a")
        again = kube.apply(obj)
        equal(again["spec"], first["spec"], "spec")
        equal(again["spec"], obj["spec"], "spec as written")
        equal(again["metadata"]["generation"], first["metadata"]["generation"], "generation")
        same(where, 3, before)
