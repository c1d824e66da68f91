"""Who may lead, when two pods, slow answers or old news speak against each other."""
import datetime
import json
import os
import shutil
import signal

from lib import runner
from lib.runner import check, equal, never, test, wait_for
from rig import Agent, Rig


def twin_of(agent):
    """Another pod of the same instance, on a copy of its volumes."""
    rig = agent.rig
    twin = Agent(rig, int(agent.name.rsplit("-", 1)[1]), folder=agent.name + "-twin")
    for here, there in ((agent.data, twin.data), (agent.wal, twin.wal)):
        shutil.rmtree(there)
        shutil.copytree(here, there, symlinks=True)
        for folder, folders, files in os.walk(there):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(folder, name), rig.agent_uid, -1, follow_symlinks=False)
    link = os.path.join(twin.data, "pgdata/pg_wal")
    os.unlink(link)
    os.symlink(os.path.join(twin.wal, "pg_wal"), link)
    os.chown(link, rig.agent_uid, -1, follow_symlinks=False)
    rig.agents.append(twin)
    return twin


def same_record(agent, twin):
    """The copy is of now: as far as it tells, the instance led last with this very volume."""
    with open(os.path.join(agent.data, "instance.json")) as source:
        text = source.read()
    with open(os.path.join(twin.data, "instance.json"), "w") as target:
        target.write(text)


def twins(rig):
    """A primary that runs, and a copy of its volumes without a pod."""
    agent = rig.primary()
    agent.reports(bootstrapped=True)
    agent.sql("create table t(n int)")
    agent.stop()
    twin = twin_of(agent)
    return agent.start().ready(), twin


def holders(rig, since=0):
    """Every holder that the lease had, in order, from that point of the store's history on."""
    seen = []
    for _, kind, _, lease, _ in rig.store.history[since:]:
        holder = lease.get("spec", {}).get("holderIdentity") if kind.kind == "Lease" else None
        if holder is not None and (not seen or seen[-1] != holder):
            seen.append(holder)
    return seen


def may_write(agent):
    try:
        agent.sql("insert into t values (1)")
        return True
    except runner.Failed:
        return False


@test("two pods of one instance do not take the lease from each other")
def two_pods():
    with Rig() as rig:
        agent, twin = twins(rig)
        count, epoch = len(rig.store.history), rig.lease()["leaseTransitions"]
        twin.start()
        wait_for(lambda: twin.probe()[0] == 503 and "renews" in twin.probe()[1], 40,
                 "the other says that the lease is renewed")
        never(lambda: holders(rig, count) not in ([], ["a-1/" + agent.uid]) or
              rig.lease()["leaseTransitions"] != epoch or twin.postgres_pids(), 9,
              "a change of the lease")
        check(may_write(agent), "the holder accepts writes")
        agent.stop()
        # What was written under the lease that was given back is not on the older copy.
        twin.reports(phase="Waiting", reason="VolumeOutdated")
        never(lambda: twin.postgres_pids() or rig.lease()["leaseTransitions"] != epoch, 5,
              "a start of the older copy")
        twin.stop()
        agent.start().ready()
        equal(rig.lease()["leaseTransitions"], epoch + 1, "epoch")


@test("a copy of the present epoch takes nothing for as long as the holder renews its lease")
def same_epoch():
    with Rig() as rig:
        agent, twin = twins(rig)
        same_record(agent, twin)
        count = len(rig.store.history)
        twin.start()
        wait_for(lambda: twin.probe()[0] == 503 and "renews" in twin.probe()[1], 40,
                 "the other says that the lease is renewed")
        never(lambda: holders(rig, count) not in ([], ["a-1/" + agent.uid]) or
              twin.postgres_pids(), 9, "a change of the holder")
        check(may_write(agent), "the holder accepts writes")


@test("a pod that was superseded while it could not look stops at once, ends, and stays away",
      long=True)
def superseded():
    with Rig() as rig:
        agent, twin = twins(rig)
        same_record(agent, twin)
        count, epoch = len(rig.store.history), rig.lease()["leaseTransitions"]
        old_uid = agent.uid
        agent.signal(signal.SIGSTOP)
        twin.start().ready(60)
        equal(rig.lease()["leaseTransitions"], epoch + 1, "epoch of the other")
        agent.signal(signal.SIGCONT)
        wait_for(lambda: not agent.postgres_pids(), 5, "the end of the superseded postgres")
        check(agent.process.wait(20) not in (0, None), "the agent's exit code tells of trouble")
        check([l for l in agent.log() if l.get("reason") == "Superseded" and l["level"] == "error"],
              "the log says why")
        never(lambda: not may_write(twin), 4, "a refusal by the present holder")
        agent.start(new_pod=False)  # as the kubelet does
        wait_for(lambda: "another pod" in agent.probe()[1], 40, "the restarted container says why")
        never(lambda: agent.postgres_pids() or rig.lease()["leaseTransitions"] != epoch + 1, 9,
              "a superseded pod's return")
        agent.kill()
        rig.freeze_api()
        agent.start(new_pod=False)
        wait_for(lambda: "API server" in agent.probe()[1], 40, "the reason")
        never(agent.postgres_pids, 6, "a superseded pod's return while the API server is away")
        rig.thaw_api()
        check(set(holders(rig, count)) <= {"a-1/" + old_uid, "a-1/" + twin.uid}, "holders: %s",
              holders(rig, count))
        check(may_write(twin), "the holder accepts writes")


@test("a superseded pod leaves alone what the leading one wrote on a volume that both see")
def record_of_the_leading_pod():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        agent.signal(signal.SIGSTOP)
        record = {"role": "primary", "epoch": 2, "pod": "another"}
        path = os.path.join(agent.data, "instance.json")
        with open(path, "w") as target:
            json.dump(record, target)
        rig.edit("Lease", "a-primary", {"spec": {"holderIdentity": "a-1/another",
                                                 "leaseTransitions": 2}})
        agent.signal(signal.SIGCONT)
        check(agent.process.wait(20) not in (0, None), "the agent's exit code tells of trouble")
        with open(path) as source:
            equal(json.load(source), record, "the record")
        check(not agent.postgres_pids(), "postgres of the superseded pod is gone")


@test("a pod whose predecessor was killed takes the lease after a whole term without a renewal")
def after_a_kill():
    with Rig() as rig:
        agent = rig.primary()
        rig.lease_seconds = 6
        rig.put_config()
        wait_for(lambda: rig.lease()["leaseDurationSeconds"] == 6, 20, "the longer term")
        agent.kill()
        before = agent.uid
        agent.start()
        wait_for(lambda: rig.get("Pod", "a-1-0") and "expires" in agent.probe()[1], 20,
                 "what it waits for")
        never(lambda: rig.lease()["holderIdentity"] != "a-1/" + before, 3, "a take within the term")
        agent.ready()
        equal(rig.lease()["holderIdentity"], "a-1/" + agent.uid, "holder")
        agent.kill()
        agent.start(new_pod=False)
        agent.ready()
        equal(rig.lease()["leaseTransitions"], 2, "epoch after a container's restart")


@test("a pod that is stopped gives the lease back, and the next one waits for no term")
def given_back():
    with Rig(2) as rig:
        rig.lease_seconds = 120
        rig.put_config()
        agent = rig.primary()
        agent.stop()
        equal(rig.lease()["holderIdentity"], "a-1", "holder after the stop")
        rig.agents[1].start()
        never(lambda: rig.lease()["holderIdentity"] != "a-1", 4, "a take by another instance")
        agent.start().ready(60)
        equal(rig.lease()["leaseTransitions"], 2, "epoch")
        rig.server.faults.add({"do": "status", "code": 409, "verb": "patch", "path": "/leases/",
                               "times": 2})
        agent.stop()
        equal(rig.lease()["holderIdentity"], "a-1", "given back in spite of conflicts")


def longest_gap(rig, since):
    """Seconds between renewals as the server stored them, and the renewTime of each."""
    times = [lease["spec"]["renewTime"] for _, kind, _, lease, _ in rig.store.history[since:]
             if kind.kind == "Lease" and lease.get("spec", {}).get("renewTime")]
    stamps = [datetime.datetime.fromisoformat(t.replace("Z", "+00:00")).timestamp()
              for t in sorted(set(times))]
    return max(b - a for a, b in zip(stamps, stamps[1:])) if len(stamps) > 1 else 0


def hiccups():
    yield "a refusal that asks for a pause", {"do": "status", "code": 429, "retry_after": 5}
    yield "a write that is never answered", {"do": "stall", "seconds": 0}
    yield "an error", {"do": "status", "code": 500}


@test("one hiccup of the API server does not outlast the lease")
def one_hiccup():
    with Rig() as rig:
        rig.lease_seconds = 6
        rig.put_config()
        rig.primary().reports(bootstrapped=True)
        for name, fault in hiccups():
            rule = rig.server.faults.add({**fault, "verb": "patch", "path": "/leases/"})
            wait_for(lambda: rule.struck, 30, name)
            count = len(rig.store.history)
            renewals = lambda: len([h for h in rig.store.history[count:] if h[1].kind == "Lease"])
            wait_for(lambda: renewals() >= 3, 40, "renewals after " + name)
            gap = longest_gap(rig, count - 5)
            check(gap < 6, "%s left the lease without a renewal for %.1f s", name, gap)


@test("whoever takes the lease leaves nothing of what its predecessor told")
def status_replaced():
    with Rig(2) as rig:
        first, _ = rig.pair()
        wait_for(lambda: [r.get("state") for r in rig.primary_status().get("replicas", [])] ==
                 ["streaming"], 30, "the replica in the lease's status")
        first.kill()
        count = len(rig.store.history)
        first.start(env={"POD_IPS": "127.0.0.2,::1"})
        mine = "a-1/" + first.uid
        wait_for(lambda: rig.lease()["holderIdentity"] == mine, 40, "the next pod's lease")
        taken = [o for _, kind, _, o, _ in rig.store.history[count:]
                 if kind.kind == "Lease" and o["spec"]["holderIdentity"] == mine][0]
        status = json.loads(taken["metadata"]["annotations"]["pgkeel.dev/primary-status"])
        equal([r.get("state") for r in status["replicas"]], [None], "states of replicas")
        equal([r.get("slotWalStatus") for r in status["replicas"]], [None], "slots")
        equal((status.get("lsn"), status.get("timeline")), (None, None), "position")
        equal(status["address"], "127.0.0.2", "address")


def point(rig, address, epoch):
    rig.edit("EndpointSlice", "a-rw", {
        "metadata": {"annotations": {"pgkeel.dev/epoch": epoch}},
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}] if address else []})


def slice_epoch(rig):
    return rig.get("EndpointSlice", "a-rw")["metadata"].get("annotations", {}).get(
        "pgkeel.dev/epoch")


@test("a deposed holder that has not heard of it leaves the endpoint of a later epoch alone")
def endpoint_outranked():
    with Rig(2) as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"] and slice_epoch(rig) == "1", 20,
                 "the endpoint with its epoch")
        rig.server.faults.add({"do": "stall", "path": "/leases", "times": 0})
        rig.server.cut_all()
        rig.edit("Lease", "a-primary", {"spec": {"holderIdentity": "a-2/x",
                                                 "leaseTransitions": 2}})
        point(rig, "10.9.9.9", "2")
        never(lambda: rig.endpoints() != ["10.9.9.9"], 4, "a write over the later epoch's")
        agent.stop()
        equal(rig.endpoints(), ["10.9.9.9"], "the endpoint after the stop")
        equal(slice_epoch(rig), "2", "its epoch")


@test("a lease behind the endpoint's epoch goes above it; what is no epoch is not believed")
def endpoint_ahead():
    with Rig() as rig:
        agent = rig.primary()
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 20, "the endpoint")
        point(rig, "10.9.9.9", "7")
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"] and slice_epoch(rig) == "8", 20,
                 "the endpoint again")
        equal(rig.lease()["leaseTransitions"], 8, "epoch")
        for nonsense in ("99999999999999999999", "2147483647", "2147483646", "-1", "9x", ""):
            point(rig, None, nonsense)
            wait_for(lambda: rig.endpoints() == ["127.0.0.1"] and slice_epoch(rig) == "8", 20,
                     "the endpoint again after %r" % nonsense)
        equal(rig.lease()["leaseTransitions"], 8, "epoch")
        equal(agent.probe()[0], 200, "readiness")


@test("a lease whose epoch somebody wrote beyond all that the API server takes is put right")
def epoch_beyond():
    with Rig() as rig:
        agent = rig.primary()
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 20, "the endpoint")
        for nonsense in (2147483647, -5):
            before = rig.lease()["leaseTransitions"]
            rig.edit("Lease", "a-primary", {"spec": {"leaseTransitions": nonsense}})
            wait_for(lambda: before < rig.lease()["leaseTransitions"] < 100, 20,
                     "an epoch that is one after %d" % nonsense)
            wait_for(lambda: slice_epoch(rig) == str(rig.lease()["leaseTransitions"]), 20,
                     "the endpoint of that epoch")
            agent.ready()


@test("a holder whose take is refused pauses between two tries, and goes on when it is not")
def take_refused():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 20, "the endpoint")
        rule = rig.server.faults.add({"do": "status", "code": 403, "verb": "patch",
                                      "path": "/leases/", "times": 0})
        point(rig, "10.9.9.9", "7")
        wait_for(lambda: rule.struck >= 4, 20, "refusals")
        cpu, struck = agent.cpu_seconds(), rule.struck
        never(lambda: rig.endpoints() != ["10.9.9.9"], 4, "a write over the later epoch's")
        used, tries = agent.cpu_seconds() - cpu, rule.struck - struck
        check(used < 1, "waiting used %g s of CPU in 4 s", used)
        check(tries <= 12, "%d tries in 4 s", tries)
        rig.server.faults.clear()
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"] and slice_epoch(rig) == "8", 20,
                 "the endpoint again")


def hand_over(rig, agent):
    """As a person does who decides for a replica's data: the lease made anew, and granted."""
    rig.delete("Lease", "a-primary")
    rig.make("Lease", "a-primary", spec={})
    rig.grant(agent.name, mode="existing")


@test("a replica that is promoted by hand forgets its stream's trouble, and leads with a new epoch")
def promoted_by_hand():
    with Rig(2) as rig:
        first, second = rig.pair()
        first.kill()
        second.reports(reason="NotStreaming")
        hand_over(rig, second)
        second.ready(60)
        report = second.reports(role="primary", phase="Running", bootstrapped=True)
        equal((report.get("reason"), report.get("message")), (None, None), "trouble told")
        equal(rig.lease()["leaseTransitions"], 2, "epoch")
        wait_for(lambda: slice_epoch(rig) == "2" and rig.endpoints() == ["127.0.0.1"], 20,
                 "the endpoint")


@test("a copy of a volume from before the instance led is not promoted, and the present one leads on")
def older_than_its_lead():
    with Rig(2) as rig:
        first, second = rig.pair()
        first.sql("create table t(n int)")
        second.stop()
        copy = twin_of(second)
        second.start().ready()
        first.kill()
        hand_over(rig, second)
        second.ready(60).reports(role="primary", bootstrapped=True)
        second.sql("insert into t values (1)")
        second.stop()
        equal(rig.lease()["holderIdentity"], "a-2", "holder after the stop")
        epoch = rig.lease()["leaseTransitions"]
        copy.start()
        copy.reports(phase="Waiting", reason="VolumeOutdated")
        never(lambda: copy.postgres_pids() or rig.lease()["leaseTransitions"] != epoch, 5,
              "a start of the older copy")
        copy.stop()
        second.start().ready(60)
        equal(second.sql("select count(*) from t"), "1", "rows")


@test("an older copy of a killed holder's volume waits for a person, who may go on with it")
def older_than_a_kill():
    with Rig() as rig:
        agent, copy = twins(rig)
        agent.sql("insert into t values (1)")
        epoch = rig.lease()["leaseTransitions"]
        agent.kill()
        copy.start()
        wait_for(lambda: "expires" in copy.probe()[1], 20, "the wait for the end of the term")
        copy.reports(phase="Waiting", reason="VolumeOutdated")
        never(lambda: copy.postgres_pids() or rig.lease()["leaseTransitions"] != epoch, 5,
              "a start of the older copy")
        hand_over(rig, copy)
        copy.ready(60)
        equal(copy.sql("select count(*) from t"), "0", "rows")
        check(rig.lease()["leaseTransitions"] > epoch, "the epoch is above the earlier one's")


@test("a pod that was killed before its volume bore the lease's epoch is followed by the next one")
def killed_before_the_record():
    with Rig() as rig:
        agent, _ = twins(rig)
        epoch = rig.lease()["leaseTransitions"]
        agent.stop()
        os.chmod(agent.data, 0o500)
        try:
            agent.start()
            wait_for(lambda: rig.lease()["leaseTransitions"] == epoch + 1, 20, "the take")
            agent.reports(phase="Failed", reason="VolumeUnreadable")
            wait_for(lambda: rig.lease()["renewTime"] != rig.lease()["acquireTime"], 20,
                     "a renewal")
            agent.kill()
        finally:
            os.chmod(agent.data, 0o700)
        agent.start().ready(60)
        equal(rig.lease()["leaseTransitions"], epoch + 2, "epoch")


@test("a container that finds its lease deleted waits for the operator, who decides by the volumes")
def lease_deleted():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        rig.delete("Lease", "a-primary")
        agent.kill()
        agent.start(new_pod=False)
        agent.reports(phase="Waiting", reason="WaitingForLease")
        never(agent.postgres_pids, 5, "a start without the lease")
        rig.make("Lease", "a-primary", spec={})
        rig.grant(agent.name, mode="existing")
        agent.ready(60)
        check(rig.lease()["leaseTransitions"] > 1, "the epoch goes on")


@test("a replica reports the epoch that it follows beside the one that its volume was led with")
def epoch_followed():
    with Rig(2) as rig:
        first, second = rig.pair()
        first.reports(epoch=1, seenEpoch=None)
        second.reports(seenEpoch=1, epoch=None)
        first.stop()
        first.start().ready()
        second.reports(seenEpoch=2, epoch=None)


@test("a standby that holds the lease and lacks WAL to become consistent says so, with the remedy")
def lacks_wal():
    with Rig(2) as rig:
        first, second = rig.pair()
        first.sql("checkpoint")
        last = first.sql("select pg_walfile_name(pg_current_wal_lsn())")
        position = first.sql("select pg_current_wal_lsn()")
        wait_for(lambda: second.sql("select pg_last_wal_replay_lsn() >= '%s'" % position) == "t",
                 30, "the checkpoint replayed")
        second.sql("checkpoint")
        first.sql("select pg_switch_wal()")
        # Far more than fits into its buffers: the pages that are written are ahead of the WAL kept.
        first.sql("create table t as select n, repeat('x', 200) from generate_series(1, 250000) n")
        wait_for(lambda: second.sql("select to_regclass('t') is not null") == "t", 60, "the table")
        second.kill()
        first.kill()
        folder = os.path.join(second.wal, "pg_wal")
        for name in os.listdir(folder):
            if len(name) == 24 and name > last:
                os.unlink(os.path.join(folder, name))
        hand_over(rig, second)
        second.start()
        report = second.reports(phase="Failed", reason="WalMissing")
        check("not consistent" in report["message"], "message: %s", report)
        check(second.postgres_pids(), "postgres is left to run")
        equal(second.probe("/livez")[0], 200, "liveness")


@test("an agent that was frozen for longer than its lease asks before it trusts it")
def frozen():
    with Rig() as rig:
        rig.lease_seconds = 9
        rig.put_config()
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        agent.signal(signal.SIGSTOP)
        renewed = rig.lease()["renewTime"]
        never(lambda: rig.lease()["renewTime"] != renewed, 10, "a renewal of a frozen agent")
        # Its question is not answered, which takes it a sixth of the term to find out.
        rig.server.faults.add({"do": "stall", "verb": "patch", "path": "/leases/"})
        rig.edit("EndpointSlice", "a-rw", {"endpoints": []})
        agent.signal(signal.SIGCONT)
        wait_for(lambda: agent.probe()[0] == 503, 5, "doubt")
        equal(rig.endpoints(), [], "the endpoint while it is in doubt")
        agent.ready(20)
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 20, "the endpoint again")
        equal(rig.lease()["leaseTransitions"], 1, "epoch")
