"""The operator dies right after its k-th write, for every k, and is started again."""
import multiprocessing
import os
import time

from harness import NAMESPACE, Rig, ready_state, states
from lib import names, runner
from lib.runner import check, test

WORKERS = min(2, os.cpu_count() or 1)


class Scenario:
    """
    start(): a state to begin with, or None.   change(rig): what a person does.
    done(rig): true once the operator is through.   Ends must be equal with any kill in between.
    """

    def __init__(self, start, change, done, once=True):
        self.start, self.change, self.done, self.once = start, change, done, once

    def reference(self):
        """Without a kill: (state to begin with, writes, end)."""
        state = self.start()
        with Rig(state) as rig:
            rig.operator()
            if state is not None:
                rig.quiet()
            self.change(rig)
            before = len(rig.writes())
            rig.until(lambda: self.done(rig), 90, "the end without a kill")
            rig.quiet()
            return state, len(rig.writes()) - before, rig.end()

    def killed(self, state, k, wanted):
        with Rig(state) as rig:
            if state is None:
                self.change(rig)
            first = rig.operator(kill_after=k)
            if state is not None:
                self.change(rig)
            # Fewer writes than k are possible: what goes out together may be told together.
            rig.until(lambda: rig.server.faults.killed.is_set() or self._through(rig), 90,
                      "write %d or the end" % k)
            if rig.server.faults.killed.is_set():
                check(first.wait(60) == -9, "the operator survived SIGKILL")
            else:
                first.kill()
            rig.operator()
            rig.until(lambda: self.done(rig), 90, "the end after a kill at write %d" % k)
            rig.same_end(wanted)
            if self.once:
                rig.minted_once()

    def _through(self, rig):
        return self.done(rig) and time.monotonic() - rig.operators[0].started > 1.5


def _work(job):
    scenario, state, k, wanted = job
    from harness import rigs
    try:
        _SCENARIOS[scenario].killed(state, k, wanted)
        return k, None, None
    except Exception as failure:  # it crosses a process: as text
        return k, "%s" % failure, getattr(rigs, "evidence", None)


_SCENARIOS = {}


def every_kill(name, scenario):
    _SCENARIOS[name] = scenario
    state, count, wanted = scenario.reference()
    jobs = [(name, state, k, wanted) for k in range(1, count + 1)]
    bad = []
    # fork: the scenarios' functions need not be picklable, and nothing is imported twice.
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        for k, failure, evidence in pool.imap_unordered(_work, jobs):
            if failure:
                bad.append((k, failure, evidence))
    if bad:
        bad.sort(key=lambda b: b[0])
        from harness import rigs
        rigs.evidence = "\n\n".join("killed after write %d: %s\n%s" % b for b in bad[:5])
        raise runner.Failed("%d of %d kills ended badly, after writes %s; first: %s" % (
            len(bad), count, [b[0] for b in bad], bad[0][1]))
    return count


def _at(rig, instances):
    cluster = rig.cluster()
    return names.is_true(cluster, "Ready") and len(cluster["status"]["instances"]) == instances


@test("An operator killed after any write of a creation ends in the same objects as one that lives")
def _creation():
    count = every_kill("creation", Scenario(
        lambda: None, lambda rig: rig.apply(names.cluster("a", NAMESPACE)),
        lambda rig: _at(rig, 2)))
    check(count >= 20, "only %d writes make a cluster?", count)


@test("An operator killed after any write of a scale-up ends in the same objects")
def _scale_up():
    every_kill("scale-up", Scenario(
        lambda: ready_state(1),
        lambda rig: rig.edit("PostgresCluster", "a", {"spec": {"instances": 3}}),
        lambda rig: _at(rig, 3)))


@test("An operator killed after any write of a scale-down ends in the same objects")
def _scale_down():
    every_kill("scale-down", Scenario(
        lambda: ready_state(2),
        lambda rig: rig.edit("PostgresCluster", "a", {"spec": {"instances": 1}}),
        lambda rig: _at(rig, 1) and rig.get("StatefulSet", "a-2") is None))


@test("An operator killed after any write of a parameter change ends in the same objects")
def _parameters():
    every_kill("parameters", Scenario(
        lambda: ready_state(2),
        lambda rig: rig.edit("PostgresCluster", "a", {"spec": {"postgres": {"parameters": {
            "work_mem": "8MB"}}}}),
        lambda rig: names.is_true(rig.cluster(), "Ready")
        and "work_mem" in rig.get("ConfigMap", "a-config")["data"]["postgresql.conf"]))


@test("An operator killed after any write of a rolling restart ends in the same objects")
def _restart():
    def done(rig):
        return names.is_true(rig.cluster(), "Ready") and rig.simulation.processes and all(
            p["conf"].get("shared_buffers", "").strip("'") == "64MB"
            for p in rig.simulation.processes.values())
    every_kill("restart", Scenario(
        lambda: ready_state(2),
        lambda rig: rig.edit("PostgresCluster", "a", {"spec": {"postgres": {"parameters": {
            "shared_buffers": "64MB"}}}}), done))


@test("An operator killed after any write of a rollout of resources ends in the same objects",
      long=True)
def _rollout():
    def done(rig):
        pods = [rig.get("Pod", "a-1-0"), rig.get("Pod", "a-2-0")]
        return names.is_true(rig.cluster(), "Ready") and all(
            p and p["spec"]["containers"][0].get("resources", {}).get("requests", {}).get("memory")
            == "300Mi" for p in pods)
    every_kill("rollout", Scenario(
        lambda: ready_state(2),
        lambda rig: rig.edit("PostgresCluster", "a", {"spec": {"resources": {"requests": {
            "memory": "300Mi"}}}}), done))


@test("An operator killed after any write of a rollout that fails and is taken back ends the same",
      long=True)
def _bad_rollout():
    def change(rig):
        rig.simulation.missing_images.add("localhost/bad")
        image = rig.get("StatefulSet", "a-1")["spec"]["template"]["spec"]["containers"][0]["image"]
        rig.edit("PostgresCluster", "a", {"spec": {"postgres": {"image": "localhost/bad"}}})
        rig.back = image

    def done(rig):
        sets = [rig.get("StatefulSet", n)["spec"]["template"]["spec"]["containers"][0]["image"]
                for n in ("a-1", "a-2")]
        check(sets[0] != "localhost/bad", "the primary was given what had not worked on a replica")
        pod = rig.get("Pod", "a-2-0")
        if pod and "waiting" in str(pod.get("status")) and sets[1] == "localhost/bad" and rig.back:
            rig.edit("PostgresCluster", "a", {"spec": {"postgres": {"image": rig.back}}})
            rig.back = None
        return not rig.back and names.is_true(rig.cluster(), "Ready") and \
            rig.cluster()["status"]["observedGeneration"] == rig.cluster()["metadata"]["generation"]
    every_kill("bad rollout", Scenario(lambda: ready_state(2), change, done, once=False))


@test("An operator killed after any write of a volume growth ends in the same objects")
def _growth():
    every_kill("growth", Scenario(
        lambda: ready_state(2),
        lambda rig: rig.edit("PostgresCluster", "a", {"spec": {"storage": {"size": "2Gi"}}}),
        lambda rig: names.is_true(rig.cluster(), "Ready") and all(
            rig.get("PersistentVolumeClaim", n)["spec"]["resources"]["requests"]["storage"] == "2Gi"
            for n in ("a-1-data", "a-2-data"))))


def _deleted_state():
    if "deleted" not in states:
        with Rig(ready_state(2)) as rig:
            operator = rig.operator()
            rig.quiet()
            rig.delete("PostgresCluster", "a")
            rig.until(lambda: rig.get("StatefulSet", "a-1") is None
                      and rig.get("Pod", "a-1-0") is None, 60, "the children to go")
            rig.quiet()
            operator.kill()
            states["deleted"] = rig.save()
    return states["deleted"]


@test("An operator killed after any write of an adoption keeps volumes and passwords")
def _adoption():
    state = _deleted_state()
    kept = {}
    with Rig(state) as rig:
        for name in ("a-1-data", "a-2-data", "a-1-wal", "a-2-wal"):
            kept[name] = rig.get("PersistentVolumeClaim", name)["metadata"]["uid"]
        password = rig.get("Secret", "a-app")["data"]["password"]

    def done(rig):
        if not _at(rig, 2):
            return False
        for name, uid in kept.items():
            check(rig.get("PersistentVolumeClaim", name)["metadata"]["uid"] == uid,
                  "volume '%s' is another one now", name)
        check(rig.get("Secret", "a-app")["data"]["password"] == password,
              "the application's password changed")
        return True
    every_kill("adoption", Scenario(
        lambda: state, lambda rig: rig.apply(names.cluster("a", NAMESPACE)), done, once=False))


@test("Deleting a cluster with retain: false takes its volumes too, with a kill at any write")
def _deletion():
    def nothing_left(rig):
        with rig.store.lock:
            return not [1 for kind, namespace, name in rig.store.records if namespace == NAMESPACE
                        and kind.kind != "Event"]
    every_kill("deletion", Scenario(
        lambda: ready_state(2, storage={"size": "1Gi", "retain": False}),
        lambda rig: rig.delete("PostgresCluster", "a"), nothing_left))
