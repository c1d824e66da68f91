"""Things die, freeze and are cut off while a client writes; nothing acknowledged is lost."""
import os
import signal
import time

from rig import (Cluster, deploy, kube, namespace, no_operator, operator_away_from, running,
                 testcluster)
from service import agent_pid
from lib.runner import Failed, alone, check, equal, never, test, wait_for


@test("A replica whose pod is deleted comes back streaming, without a new copy")
def _replica_deleted():
    with running() as cluster:
        replica = cluster.replica()
        made = cluster.shell(replica, "stat -c %i.%Y /pgkeel/data/pgdata/PG_VERSION")
        uid = cluster.uid(replica)
        cluster.delete_pod(replica)
        cluster.told("ReplicasStreaming", seconds=60)
        cluster.pod_ready(replica, 120, not_uid=uid)
        cluster.ready(60)
        equal(cluster.shell(replica, "stat -c %i.%Y /pgkeel/data/pgdata/PG_VERSION"), made,
              "PG_VERSION of the replica")


@test("A primary whose pod is deleted comes back as primary, and no acknowledged row is lost")
def _primary_deleted():
    with running() as cluster:
        primary = cluster.primary()
        uid, epoch = cluster.uid(primary), _epoch(cluster)
        with cluster.ledger() as ledger:
            begun = time.monotonic()
            cluster.delete_pod(primary)
            cluster.told("PrimaryReady", seconds=60)
            cluster.pod_ready(primary, 120, not_uid=uid)
            cluster.ready(60)
            ledger.wait_for_more(50)
        equal(cluster.primary(), primary, "primary")
        check(_epoch(cluster) > epoch, "the epoch did not grow")
        ledger.check()
        print("        longest pause of the client %.2f s" % ledger.longest_pause(begun))


def _epoch(cluster):
    return cluster.child("Lease", cluster.name + "-primary")["spec"]["leaseTransitions"]


@test("A pod deleted with force never gives two servers on one volume")
def _forced():
    with running() as cluster:
        primary = cluster.primary()
        uid = cluster.uid(primary)
        with cluster.ledger() as ledger:
            cluster.delete_pod(primary, gracePeriodSeconds=0)
            cluster.pod_ready(primary, 180, not_uid=uid)
            cluster.ready(120)
            ledger.wait_for_more(50)
        ledger.check()
        equal(cluster.value("select count(*) from pg_class c where relkind = 'i' and not exists "
                            "(select 1 from pg_index i where i.indexrelid = c.oid)"), "0", "catalog")


@test("A killed postmaster is started again in place, within seconds, and no row is lost")
def _postmaster():
    with running() as cluster:
        primary = cluster.primary()
        restarts, uid = cluster.restarts(primary), cluster.uid(primary)
        with cluster.ledger() as ledger:
            for _ in range(3):
                old = cluster.postmaster(primary)
                begun = time.monotonic()
                cluster.shell(primary, "kill -KILL " + old)
                wait_for(lambda: ledger.moments[-1] > begun + 0.05 and
                         cluster.postmaster(primary) != old, 60, "writes to go on", every=0.1)
                ledger.wait_for_more(20)
                print("        pause %.2f s" % ledger.longest_pause(begun))
        ledger.check()
        equal((cluster.restarts(primary), cluster.uid(primary)), (restarts, uid),
              "restarts of the container")
        cluster.ready(60)


@test("A killed replica's postmaster streams again")
def _replica_postmaster():
    with running() as cluster:
        replica = cluster.replica()
        old = cluster.postmaster(replica)
        cluster.shell(replica, "kill -KILL " + old)
        wait_for(lambda: cluster.postmaster(replica) not in ("", old), 60, "another postmaster")
        wait_for(lambda: cluster.value(
            "select state from pg_stat_replication", user="postgres", database="postgres")
            == "streaming", 60, "the replica to stream")
        cluster.ready(60)


@test("An agent that is killed is restarted with its postgres, and no row is lost")
def _agent():
    with running() as cluster:
        primary = cluster.primary()
        with cluster.ledger() as ledger:
            os.kill(agent_pid(cluster, primary), signal.SIGKILL)
            wait_for(lambda: cluster.restarts(primary) == 1, 60, "the container to restart")
            cluster.pod_ready(primary, 120)
            cluster.ready(60)
            ledger.wait_for_more(50)
        ledger.check()


@test("An agent that hangs is killed within its probe's own grace, however long the pod's is")
def _hung_agent():
    with running(1, terminationGracePeriodSeconds=3600) as cluster:
        with cluster.connect() as wire:
            wire.query("create table t as select generate_series(1, 10) as x")
        agent, uid = agent_pid(cluster, "1"), cluster.uid("1")
        os.kill(agent, signal.SIGSTOP)
        # The kubelet's own slack on a busy machine included; the pod's grace would be an hour.
        wait_for(lambda: cluster.restarts("1") == 1, 300, "the container to restart")
        cluster.ready(120)
        equal(cluster.value("select count(*) from t"), "10", "rows")
        equal(cluster.uid("1"), uid, "the pod")


@test("A crash recovery that takes longer than every probe is not killed", long=True)
def _recovery():
    late = {"checkpoint_timeout": "1h", "max_wal_size": "2GB"}
    with running(1, postgres={"version": 17, "parameters": late},
                 walStorage={"size": "4Gi"}) as cluster:
        restarts, uid = cluster.restarts("1"), cluster.uid("1")
        with cluster.connect(timeout=120) as wire:
            wire.query("create table t as select generate_series(1, 1000000) as x")
        agent = agent_pid(cluster, "1")
        held = _stopped_startup(agent, _child(agent))
        try:
            cluster.told("Ready", seconds=30)
            never(lambda: (cluster.restarts("1"), cluster.uid("1")) != (restarts, uid), 60,
                  "a restart during crash recovery")
        finally:
            os.kill(held, signal.SIGCONT)
        cluster.ready(60)
        equal(cluster.value("select count(*) from t"), "1000000", "rows")
        equal((cluster.restarts("1"), cluster.uid("1")), (restarts, uid), "restarts")


def _stopped_startup(agent, postmaster):
    """Kills the server and stops the process that replays WAL after it, before it can finish."""
    os.kill(postmaster, signal.SIGKILL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for server in _children(agent):
            for pid in _children(server) if server != postmaster else []:
                try:
                    with open("/proc/%d/cmdline" % pid, "rb") as words:
                        if b": startup" in words.read():
                            os.kill(pid, signal.SIGSTOP)
                            return pid
                except OSError:
                    continue
    raise Failed("the recovery was over before it could be stopped: the test proves nothing")


def _children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as source:
            return [int(word) for word in source.read().split()]
    except OSError:
        return []


@test("A clone that is killed in its middle starts over cleanly and ends streaming")
def _clone_killed():
    with running(1) as cluster:
        with cluster.connect(timeout=120) as wire:
            wire.query("create table big as select g as x, repeat(md5(g::text), 20) as y "
                       "from generate_series(1, 300000) g")
        cluster.scale(2)
        kills = 0
        for _ in range(3):
            wait_for(lambda: cluster.pod("2") and cluster.report("2").get("phase") in
                     ("Cloning", "Running"), 90, "the clone to begin", every=0.02)
            if cluster.report("2")["phase"] == "Running":
                break
            uid = cluster.uid("2")
            cluster.delete_pod("2", gracePeriodSeconds=0)
            kills += 1
            wait_for(lambda: cluster.pod("2") and cluster.uid("2") != uid, 60, "another pod")
        check(kills, "the clone was never caught in its middle: the test proves nothing")
        cluster.ready(180)
        cluster.comes("select count(*) from big", "300000")


@alone("A node that freezes for twenty seconds and thaws costs a pause and no row")
def _node_frozen():
    with running() as cluster:
        primary = cluster.primary()
        with cluster.ledger() as ledger:
            with testcluster().frozen("node", cluster.node(primary)):
                frozen = time.monotonic()
                # What had been answered before may be heard of a moment later.
                never(lambda: ledger.moments[-1] > frozen + 1, 20, "a write on a frozen node")
            ledger.wait_for_more(50, 60)
        cluster.ready(120)
        equal(cluster.primary(), primary, "primary")
        ledger.check()


@alone("A primary whose node falls silent is told as unknown at once, and with the node's name")
def _node_silent():
    with running() as cluster:
        node = cluster.node(cluster.primary())
        operator_away_from(node)
        with testcluster().frozen("node", node):
            cluster.told("PrimaryReady", seconds=60, status="Unknown", needle="has not renewed its "
                         "lease")
            cluster.told("PrimaryReady", seconds=120, status="Unknown", needle="node '%s' does not "
                         "answer Kubernetes" % node)
            equal(cluster.get()["status"]["waitingFor"][0]["reason"], "NodeUnreachable",
                  "what is waited for first")
        cluster.ready(150)


@alone("A primary cut off from the API server goes on serving, and says so truthfully when healed")
def _cut_from_api():
    with running() as cluster:
        primary = cluster.primary()
        restarts = cluster.restarts(primary)
        with cluster.ledger() as ledger:
            with testcluster().cut(cluster.node(primary), "api"):
                begun = time.monotonic()
                never(lambda: time.monotonic() - ledger.moments[-1] > 5, 40,
                      "a pause of writes while the API server cannot be reached")
            ledger.wait_for_more(20)
        check(ledger.longest_pause(begun) < 5, "writes paused for %.1f s",
              ledger.longest_pause(begun))
        ledger.check()
        equal(cluster.restarts(primary), restarts, "restarts")
        cluster.ready(120)


@alone("A replica's node cut off from everybody is told in status, and heals")
def _cut_replica():
    with running() as cluster:
        operator_away_from(cluster.node(cluster.replica()))
        with cluster.ledger(cluster.pod(cluster.primary())["status"]["podIP"]) as ledger:
            with testcluster().cut(cluster.node(cluster.replica())):
                cluster.told("ReplicasStreaming", seconds=120)
                cluster.told("Ready", seconds=30)
                ledger.wait_for_more(50)
            cluster.ready(150)
        ledger.check()


@alone("An API server that freezes for over a minute does not stop writes, nor a server's restart")
def _api_frozen():
    with running() as cluster:
        primary = cluster.primary()
        restarts = cluster.restarts(primary)
        agent = agent_pid(cluster, primary)
        with cluster.ledger() as ledger:
            with testcluster().frozen("apiserver"):
                begun = time.monotonic()
                never(lambda: time.monotonic() - ledger.moments[-1] > 5, 45,
                      "a pause of writes while the API server is frozen")
                check(ledger.longest_pause(begun) < 2, "a pause of %.1f s",
                      ledger.longest_pause(begun))
                # And the server itself may crash meanwhile.
                os.kill(_child(agent), signal.SIGKILL)
                ledger.wait_for_more(200, 60)
                never(lambda: time.monotonic() - ledger.moments[-1] > 5, 20, "a pause of writes")
        equal(cluster.restarts(primary), restarts, "restarts")
        cluster.ready(120)
        ledger.check()


def _child(agent):
    """The postmaster, on this machine's own process table."""
    for pid in _children(agent):
        with open("/proc/%d/comm" % pid) as name:
            if name.read().strip() == "postgres":
                return pid
    raise LookupError("the agent has no postgres")


@alone("With the operator gone a primary that dies comes back; the operator returns to a whole cluster")
def _no_operator():
    with running() as cluster:
        primary = cluster.primary()
        uid = cluster.uid(primary)
        with no_operator(), cluster.ledger() as ledger:
            cluster.delete_pod(primary)
            cluster.pod_ready(primary, 120, not_uid=uid)
            ledger.wait_for_more(50, 60)
        ledger.check()
        cluster.ready(60)


@alone("An operator killed while a cluster comes up is replaced, and the cluster is Ready")
def _operator_killed():
    with namespace() as where:
        cluster = Cluster(where).apply()
        for pod in kube().list("Pod", deploy.NAMESPACE):
            kube().delete("Pod", deploy.NAMESPACE, pod["metadata"]["name"], gracePeriodSeconds=0)
        cluster.ready(150)
        equal(cluster.value("select 1"), "1", "the server")
