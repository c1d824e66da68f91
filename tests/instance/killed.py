"""The agent is killed at any point of filling its volume, and the next one ends the same."""
import os
import time

from lib import runner
from lib.runner import check, equal, never, test, wait_for
from rig import Rig

FILES = (0, 1, 20, 150, 400, 700, 900)  # a fresh PGDATA has about 950


def count_files(folder):
    return sum(len(files) for _, _, files in os.walk(folder))


def kill_when(agent, seen, seconds=60):
    """SIGKILL as soon as seen() is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if seen():
            agent.kill()
            return
    raise runner.Failed("the moment to kill did not come within %g s" % seconds)


def moments(agent):
    """(name, predicate) of points in a bootstrap, in their order. Each is true later, too: whoever
    was not let look in time kills late, and does not wait for what has passed."""
    new = os.path.join(agent.data, "pgdata.new")
    committed = lambda: os.path.exists(os.path.join(agent.data, "pgdata"))
    marked = lambda folder: os.path.exists(os.path.join(folder, "unfinished"))
    yield "marked on the data volume", lambda: marked(agent.data) or committed()
    yield "marked on the WAL volume", lambda: marked(agent.wal) or committed()
    for count in FILES:
        yield "%d files" % count, lambda n=count: committed() or (
            os.path.isdir(new) and count_files(new) >= n)
    yield "the tool has ended", lambda: agent.logged("step continues", part="commit")
    yield "committed", committed
    yield "recorded", lambda: os.path.exists(os.path.join(agent.data, "instance.json"))


def gone(agent):
    wait_for(lambda: not agent.postgres_pids(), 60, "the end of what the agent had started")


@test("an initdb that is killed at any point starts again, and files of others are never touched",
      long=True)
def initdb():
    with Rig() as rig:
        agent = rig.agents[0]
        names = [name for name, _ in moments(agent)]
        for index, name in enumerate(names):
            gone(agent)
            agent.empty()
            rig.edit("Lease", "a-primary", {"spec": {"holderIdentity": None,
                                                     "leaseTransitions": None}})
            rig.grant()
            agent.start()
            kill_when(agent, list(moments(agent))[index][1])
            agent.start(new_pod=index % 2 == 0)
            wait_for(lambda: agent.probe()[0] == 200, 90, "ready after a kill when '%s'" % name)
            agent.reports(bootstrapped=True)
            wait_for(lambda: os.path.exists(os.path.join(agent.data, "accepted.json")), 30,
                     "the accepted configuration")
            equal(sorted(os.listdir(agent.data)),
                  ["accepted.json", "instance.json", "lock", "pgdata"], "left after '%s'" % name)
            equal(os.listdir(agent.wal), ["pg_wal"], "left on the WAL volume after '%s'" % name)
            equal(agent.sql("select count(*) from pg_database where datname = 'app'"), "1",
                  "the database after '%s'" % name)
            agent.kill()


@test("a clone that is killed at any point starts again")
def clone():
    with Rig(2) as rig:
        first = rig.primary()
        first.reports(bootstrapped=True)
        first.sql("create table t as select generate_series(1, 1000) n")
        second = rig.agents[1]
        for index, name in enumerate([name for name, _ in moments(second)]):
            gone(second)
            second.empty()
            second.start()
            kill_when(second, list(moments(second))[index][1])
            second.start(new_pod=index % 2 == 0)
            wait_for(lambda: second.probe()[0] == 200, 90, "ready after a kill when '%s'" % name)
            wait_for(lambda: os.path.exists(os.path.join(second.data, "accepted.json")), 30,
                     "the accepted configuration")
            equal(sorted(os.listdir(second.data)),
                  ["accepted.json", "instance.json", "lock", "pgdata"], "left after '%s'" % name)
            wait_for(lambda: second.sql("select count(*) from t") == "1000", 30,
                     "the rows after '%s'" % name)
            second.kill()
            wait_for(lambda: first.sql("select active from pg_replication_slots") == "f", 60,
                     "the slot free again")


@test("files on the volumes that no attempt of ours made stop it, and stay")
def foreign():
    for place, content in (("wal/pg_wal/000000010000000000000001", "precious"),
                           ("data/pgdata/important.txt", "precious"),
                           ("data/pgdata.new/PG_VERSION", "15")):
        with Rig() as rig:
            agent = rig.agents[0]
            rig.grant()
            path = os.path.join(agent.folder, place)
            rig.mkdir(os.path.dirname(path))
            rig.write(path, content)
            agent.start()
            report = agent.reports(phase="Failed", reason="VolumeForeign")
            check(os.path.dirname(path) in report["message"], "names the folder: %s", report)
            never(lambda: not os.path.exists(path), 0.5, "the loss of the file")
            equal(rig.holder(), "", "holder")
            agent.stop()


@test("a mark on one volume alone does not give the other's WAL away")
def half_marked():
    with Rig() as rig:
        agent = rig.agents[0]
        rig.grant()
        rig.mkdir(os.path.join(agent.wal, "pg_wal"))
        path = rig.write(os.path.join(agent.wal, "pg_wal", "000000010000000000000001"), "precious")
        rig.write(os.path.join(agent.data, "unfinished"), "0" * 32)
        rig.write(os.path.join(agent.wal, "unfinished"), "1" * 32)
        agent.start()
        agent.reports(phase="Failed", reason="VolumeForeign")
        check(os.path.exists(path), "the WAL is there")


@test("a kill during a running server's life is a crash recovery, whatever was going on")
def running():
    with Rig() as rig:
        agent = rig.primary()
        agent.sql("create table t(n int)")
        for n in range(4):
            agent.sql("insert into t values (%d)" % n)
            agent.kill()
            agent.start(new_pod=n % 2 == 0)
            wait_for(lambda: agent.probe()[0] == 200, 60, "ready after kill %d" % n)
        equal(agent.sql("select string_agg(n::text, '' order by n) from t"), "0123", "rows")
