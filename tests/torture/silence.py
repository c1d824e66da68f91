"""Nobody answers any more: what status says of a primary that nothing is heard of."""
from harness import NAMESPACE, Rig, ready_state
from lib import names
from lib.runner import check, equal, never, test

# How long a fault may go untold once anybody could see it; the lease lasts 8 seconds.
TOLD_SECONDS = 10


def told(rig, condition, status, seconds, reason=None):
    def probe():
        found = names.condition(rig.cluster(), condition)
        return found if found and found["status"] == status and \
            reason in (None, found["reason"]) else None
    return rig.until(probe, seconds, "%s=%s %s" % (condition, status, reason or ""))


@test("A primary whose lease stands still is told as unknown, and as well again once it renews")
def _frozen():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        rig.simulation.silent.add("a-1")
        found = told(rig, "PrimaryReady", "Unknown", TOLD_SECONDS + 20, "LeaseOverdue")
        check("a-1" in found["message"], "it does not name the primary: %s", found["message"])
        equal(names.condition(rig.cluster(), "Ready")["status"], "Unknown", "Ready")
        equal(names.condition(rig.cluster(), "ReplicasStreaming")["status"], "Unknown",
              "ReplicasStreaming")
        equal(rig.cluster()["status"]["phase"], "Degraded", "phase")
        rig.simulation.silent.clear()
        rig.ready()


@test("A node that does not answer is named, the primary's before what follows from it")
def _node():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        rig.simulation.silent.add("a-1")
        told(rig, "PrimaryReady", "Unknown", TOLD_SECONDS + 20, "LeaseOverdue")
        rig.simulation.mark(NAMESPACE, "a-1-0")
        found = told(rig, "PrimaryReady", "Unknown", TOLD_SECONDS + 20, "NodeUnreachable")
        check("node-1" in found["message"], "it does not name the node: %s", found["message"])
        first = rig.cluster()["status"]["waitingFor"][0]
        equal((first["what"], first["reason"]), ("primary a-1 serves", "NodeUnreachable"),
              "what is waited for first")


@test("A primary that renews its lease serves, though Kubernetes calls its node unreachable")
def _marked():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        rig.simulation.silent.add("a-2")  # its kubelet would take the mark back
        rig.simulation.mark(NAMESPACE, "a-2-0")
        found = told(rig, "Ready", "False", 30, "NodeUnreachable")
        check("a-2" in found["message"], "it does not name the instance: %s", found["message"])
        for each in ("PrimaryReady", "ReplicasStreaming"):
            told(rig, each, "True", 30)
        rig.simulation.silent.clear()
        rig.ready()


@test("An operator that starts beside a lease that stands still says so after one duration")
def _fresh():
    with Rig(ready_state(2)) as rig:
        rig.simulation.silent.add("a-1")
        rig.operator()
        told(rig, "PrimaryReady", "Unknown", TOLD_SECONDS + 30, "LeaseOverdue")


@test("Watches that are cut cry no wolf: renewals that come again change nothing")
def _cut():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        before = len(rig.writes())
        for _ in range(3):
            rig.server.cut_all()
            rig.store.compact()
            never(lambda: len(rig.writes()) != before, 4, "a write because of a watch that was cut")


@test("A lease watch that falls silent cries no wolf: the lease itself is asked")
def _stalled_watch():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        before = len(rig.writes())
        rig.server.faults.add({"do": "stall", "verb": "watch", "path": "/leases$", "seconds": 0,
                               "times": 0})
        rig.server.cut_all()
        never(lambda: len(rig.writes()) != before, 15, "a write because a watch is silent")
        check(any(r["path"].endswith("/leases/a-primary") for r in rig.server.requests),
              "the lease was never asked for: the test proves nothing")
