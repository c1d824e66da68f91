"""Bootstrap, clone, probes, logs, stopping, what it costs."""
import json
import os
import re
import subprocess
import time

from lib import process, runner
from lib.runner import check, equal, never, test, wait_for
from rig import Rig


@test("a granted instance initialises its volume, takes the lease and serves")
def bootstrap():
    with Rig() as rig:
        agent = rig.agents[0].start()
        agent.reports(phase="Waiting", reason="WaitingForPrimary", role=None)
        equal(agent.probe("/livez")[0], 200, "livez")
        equal(agent.probe("/startupz")[0], 200, "startupz")
        check("pgkeel_postgres_primary 0\n" in agent.probe("/metrics")[1], "no role yet")
        code, text = agent.probe()
        equal(code, 503, "readyz")
        check("primary has not started" in text, "readyz says why not: %s", text)
        rig.grant()
        agent.ready()
        equal(rig.holder(), "a-1", "holder")
        equal(rig.lease()["leaseTransitions"], 1, "epoch")
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 20, "the endpoint")
        page = agent.probe("/metrics")[1] + "\n"
        for line in ("pgkeel_postgres_up 1", "pgkeel_postgres_primary 1", "pgkeel_lease_epoch 1",
                     "pgkeel_postgres_crashes_total 0"):
            check(line + "\n" in page, "metrics lack '%s':\n%s", line, page)
        check(int(re.search(r"^process_resident_memory_bytes (\d+)$", page, re.M)[1]) > 1 << 20,
              "resident memory:\n%s", page)
        report = agent.reports(phase="Running", role="primary", bootstrapped=True)
        equal(report["timeline"], 1, "timeline")
        equal(report["epoch"], 1, "epoch in the report")
        equal(agent.label(), "primary", "role label")
        equal(agent.sql("show data_checksums"), "on", "checksums")
        equal(agent.sql("select datcollate from pg_database where datname='app'"), "C.UTF-8",
              "locale")
        equal(agent.sql("select pg_get_userbyid(datdba) from pg_database where datname='app'"),
              "app", "owner of the database")
        check(os.path.islink(os.path.join(agent.data, "pgdata/pg_wal")), "pg_wal is a link")
        wait_for(lambda: os.path.exists(os.path.join(agent.data, "accepted.json")), 20,
                 "the accepted configuration")
        equal(sorted(os.listdir(agent.data)),
              ["accepted.json", "instance.json", "lock", "pgdata"], "what is on the data volume")
        equal(os.listdir(agent.wal), ["pg_wal"], "what is on the WAL volume")
        agent.stop()
        equal(rig.endpoints(), [], "endpoints after the stop")
        equal(agent.report()["phase"], "Stopping", "last report")
        equal(agent.postgres_pids(), [], "left behind")
        equal(rig.holder(), "a-1", "holder after the stop")


@test("a replica clones, streams through its slot, and both say so")
def clone():
    with Rig(2) as rig:
        first, second = rig.pair()
        report = second.reports(phase="Running", role="replica")
        equal(second.label(), "replica", "role label")
        equal(report["systemIdentifier"], first.reports(phase="Running")["systemIdentifier"],
              "system identifier")
        first.sql("create table t as select generate_series(1, 1000) n")
        wait_for(lambda: second.sql("select count(*) from t") == "1000", 40, "rows on the replica")
        equal(first.sql("select active from pg_replication_slots where slot_name='a_2'"), "t",
              "slot in use")
        equal(first.sql("select application_name from pg_stat_replication"), "a-2",
              "application_name")
        status = wait_for(lambda: rig.primary_status().get("replicas") and
                          rig.primary_status()["replicas"][0].get("state") == "streaming" and
                          rig.primary_status(), 30, "the replica in the lease's status")
        equal([r["name"] for r in status["replicas"]], ["a-2"], "replicas told of")
        equal(status["timeline"], 1, "timeline")
        equal(second.sql("select pg_is_in_recovery()"), "t", "replica in recovery")
        second.stop()
        wait_for(lambda: not rig.primary_status()["replicas"][0].get("state"), 30,
                 "the replica gone from the status")
        first.stop()


@test("whoever waits for a start is told at once, however long the lease is")
def told_at_once():
    with Rig(2) as rig:
        rig.lease_seconds = 90
        rig.put_config()
        first, second = rig.pair()
        wait_for(lambda: [r.get("state") for r in rig.primary_status().get("replicas", [])] ==
                 ["streaming"], 10, "the replica in the lease's status")
        for agent in (first, second):
            agent.reports(phase="Running", ready=True, seconds=5)
        told = [json.loads(p["metadata"]["annotations"]["pgkeel.dev/report"])
                for _, kind, _, p, _ in rig.store.history
                if kind.kind == "Pod" and p["metadata"].get("annotations")]
        check(all(r.get("ready", False) is (r["phase"] == "Running") for r in told
                  if r["phase"] != "Running" or r.get("ready")), "reports: %s", told)


@test("a clone needs no Service, and passes over an address where nobody is")
def clone_address():
    with Rig(2) as rig:
        first, second = rig.primary(), rig.agents[1]
        second.start(primary_host="127.0.0.2")  # nobody listens there
        second.reports(phase="Running", role="replica")
        equal(second.logged("step continues", step="clone", part="commit") != [], True, "a clone")
        equal(second.logged("clone exited"), [], "failed attempts")
        second.stop()
        first.stop()
        second.empty()
        first.start(env={"POD_IPS": "127.0.0.2,::1"}).ready()
        wait_for(lambda: rig.primary_status().get("address") == "127.0.0.2", 30, "the address")
        second.start().ready()
        equal(second.logged("clone exited"), [], "failed attempts")


@test("a restarted pod of the holder takes the lease again with the next epoch")
def retake():
    with Rig() as rig:
        agent = rig.primary()
        agent.sql("create table t(n int); insert into t values (1)")
        agent.stop()
        agent.start().ready()
        equal(rig.lease()["leaseTransitions"], 2, "epoch")
        equal(rig.lease()["holderIdentity"], "a-1/" + agent.uid, "holder")
        equal(agent.sql("select n from t"), "1", "the row")
        with open(os.path.join(agent.data, "instance.json")) as record:
            equal(json.load(record),
                  {"epoch": 2, "pod": agent.uid, "role": "primary", "announced": 2}, "the record")
        agent.kill()
        agent.start(new_pod=False).ready()
        equal(rig.lease()["leaseTransitions"], 2, "epoch after a container restart")


@test("an epoch on the volume that is newer than the lease wins")
def newer_epoch():
    with Rig() as rig:
        agent = rig.primary()
        agent.stop()
        rig.edit("Lease", "a-primary", {"spec": {"leaseTransitions": 1}})
        with open(os.path.join(agent.data, "instance.json"), "w") as record:
            json.dump({"epoch": 7, "role": "primary"}, record)
        agent.start().ready()
        equal(rig.lease()["leaseTransitions"], 8, "epoch")


@test("without a grant nobody takes the lease and nothing is initialised")
def no_grant():
    with Rig(2) as rig:
        rig.grant("a-2")
        agent = rig.agents[0].start()
        agent.reports(phase="Waiting", reason="WaitingForPrimary")
        never(lambda: os.path.exists(os.path.join(agent.data, "pgdata")), 1, "initdb")
        equal(rig.holder(), "", "holder")
        agent.stop()


@test("data alone does not take a lease that was made anew: it waits for the grant")
def no_grant_with_data():
    with Rig(2) as rig:
        agent = rig.primary()
        agent.sql("create table t as select 1 n")
        agent.stop()
        rig.delete("Lease", "a-primary")
        rig.make("Lease", "a-primary", spec={})
        rig.grant("a-2", mode="existing")
        agent.start()
        agent.reports(phase="Waiting", reason="WaitingForGrant")
        never(rig.holder, 1, "a holder without a grant")
        equal(agent.postgres_pids(), [], "postgres without a role")
        rig.grant("a-1", mode="existing")
        agent.ready()
        equal(agent.sql("select n from t"), "1", "the row")


@test("a holder with an empty volume and a spent grant does not initialise it")
def data_lost():
    with Rig() as rig:
        rig.grant(mode="existing")
        rig.edit("Lease", "a-primary", {"spec": {"holderIdentity": "a-1/old",
                                                 "leaseTransitions": 3}})
        agent = rig.agents[0].start()
        report = agent.reports(phase="Waiting", reason="DataVolumeEmpty")
        check("volume" in report["message"], "message: %s", report)
        equal(report.get("role"), None, "role")
        never(lambda: os.path.exists(os.path.join(agent.data, "pgdata")), 1, "initdb")
        equal(rig.lease()["holderIdentity"], "a-1/old", "holder")


@test("a lease held by another instance makes an old primary's volume a standby")
def other_holder():
    with Rig(2) as rig:
        agent = rig.primary()
        agent.stop()
        rig.edit("Lease", "a-primary", {"spec": {"holderIdentity": "a-2/x"}})
        agent.start()
        agent.reports(role="replica", phase="Running")
        equal(agent.sql("select pg_is_in_recovery()"), "t", "in recovery")
        # Running is told as soon as the server is up, maybe before it was asked what it is.
        code = wait_for(lambda: [c for c, text in [agent.probe()] if "not streamed" in text], 20,
                        "readiness that tells why not")
        equal(code, [503], "readiness")
        equal(agent.label(), "replica", "label")
        equal(rig.lease()["holderIdentity"], "a-2/x", "holder")


@test("a running primary whose lease goes to another stops at once and becomes a standby")
def deposed():
    with Rig(2) as rig:
        agent = rig.primary()
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 20, "the endpoint")
        before = agent.postmaster()
        rig.edit("Lease", "a-primary", {"spec": {"holderIdentity": "a-2/x",
                                                 "leaseTransitions": 2}})
        wait_for(lambda: agent.postmaster() != before and
                 agent.sql("select pg_is_in_recovery()") == "t", 60, "a standby")
        check(not os.path.exists("/proc/%d" % before), "the old postmaster is gone")
        agent.reports(role="replica")
        equal(rig.endpoints(), ["127.0.0.1"], "the slice, which is another's to write now")


@test("a standby that the lease names is promoted to a timeline of its own")
def promoted():
    with Rig(2) as rig:
        first, second = rig.pair()
        first.sql("create table t as select 1 n")
        wait_for(lambda: second.sql("select n from t") == "1", 40, "the row on the replica")
        first.stop()
        rig.edit("Lease", "a-primary", {"spec": {"holderIdentity": "a-2/" + second.uid,
                                                 "leaseTransitions": 2}})
        second.reports(role="primary", timeline=2)
        second.ready()
        second.sql("insert into t values (2)")
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 20, "the endpoint")
        equal(second.label(), "primary", "label")
        wait_for(lambda: second.sql("select string_agg(slot_name, ',') from"
                                    " pg_replication_slots") == "a_1", 30,
                 "a slot for the other")


@test("every line of the log is JSON, and a statement of many lines is one line")
def logs():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)  # so that nobody writes into the middle of a long line
        try:
            agent.sql("select 1,\n  2,\n\t'ä\u20ac \x07' ,\n  nope")
        except runner.Failed:
            pass
        found = wait_for(lambda: agent.logged('column "nope" does not exist'), 20, "the error")
        equal(len(found), 1, "lines that tell the error")
        line = found[0]
        equal((line["level"], line["severity"], line["sqlstate"], line["user"], line["db"],
               line["app"], line["logger"]),
              ("error", "ERROR", "42703", "postgres", "postgres", "psql", "postgres"), "fields")
        equal(line["statement"], "select 1,\n  2,\n\t'ä\u20ac \x07' ,\n  nope", "statement")
        big = "x" * 300000
        agent.sql("select length('%s')" % big)
        wait_for(lambda: sum(l["msg"].count("x") for l in agent.log() if "part" in l) == len(big),
                 30, "all of a message in parts")
        agent.stop()
        check(agent.raw_log().endswith(b"}\n"), "the log ends with a whole line")
        check(agent.logged("database system is shut down"), "the last line is there")


NEXT_XID = "select pg_snapshot_xmax(pg_current_snapshot())"
RUNNING_XACTS_BYTES = 56
WAL_PAGE, WAL_SEGMENT = 8192, 16 * 1024 * 1024


def wal_position(agent):
    """In bytes of records: every page of WAL begins with a header of its own, and the first one of
    a segment with a longer one."""
    at = int(agent.sql("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))
    return at - at // WAL_PAGE * 24 - at // WAL_SEGMENT * 16


@test("at rest only the lease is written, once in a third of its time")
def at_rest():
    with Rig(2) as rig:
        # By itself it looks for work 20 s after the start, and in a fresh cluster finds some.
        rig.settings["more"] = "autovacuum = off\n"
        rig.put_config()
        first, second = rig.pair()
        first.reports(bootstrapped=True)
        second.reports(phase="Running", ready=True)
        rig.written_no_more(lambda kind: kind != "Lease")
        count, started = len(rig.writes()), time.monotonic()
        cpu = [a.cpu_seconds() for a in (first, second)]
        wal = wal_position(first)
        xid = first.sql(NEXT_XID)
        time.sleep(6)
        written = rig.writes()[count:]
        equal({w["kind"] for w in written}, {"Lease"}, "kinds written: %s" % written)
        took = time.monotonic() - started
        check(took - 2 <= len(written) <= took + 2, "%d renewals in %g s", len(written), took)
        used = [a.cpu_seconds() - c for a, c in zip((first, second), cpu)]
        check(max(used) < 0.15, "CPU at rest: %s s in %g s", used, took)
        # The background writer notes the running transactions up to 15 s after the last change.
        own = wal_position(first) - wal
        check(own in (0, RUNNING_XACTS_BYTES), "WAL written at rest: %d bytes", own)
        equal(first.sql(NEXT_XID), xid, "next transaction")
        for agent in (first, second):
            with open("/proc/%d/maps" % agent.pid) as maps:
                sanitized = "libasan" in maps.read()
            # What only its start needed goes back some seconds after postgres is up.
            wait_for(lambda a=agent: sanitized or a.memory()["rss"] <= 6 * 2**20 or
                     runner.check(False, "%s", a.memory()), 20, "a small RSS of " + agent.name)
            check(sanitized or len(linter()) == 2, "the linter has no sections of its own")
            equal(process.resident(agent.pid, linter()), 0, "KiB of the linter in " + agent.name)


def linter():
    """Where the file holds what only `pgkeel lint` runs: [(first address, address behind it)]."""
    listed = subprocess.run(["readelf", "-SW", runner.PGKEEL], capture_output=True, text=True,
                            check=True).stdout
    found = re.findall(r" \.(?:text|rodata)\.lint +PROGBITS +(\w+) \w+ (\w+)", listed)
    return [(int(at, 16), int(at, 16) + int(size, 16)) for at, size in found]


@test("two agents never run on one volume")
def two_pods():
    with Rig() as rig:
        agent = rig.primary()
        twin = type(agent)(rig, 1)
        twin.pods, twin.uid = 50, "11111111-2222-3333-4444-555555555555"
        rig.mkdir(twin.run)
        rig.agents.append(twin)
        twin.start(new_pod=False)
        wait_for(lambda: twin.probe()[0] == 503 and "holds" in twin.probe()[1], 40,
                 "the other says that the volume is in use")
        agent.kill()
        rig.edit("Lease", "a-primary", {"spec": {"holderIdentity": "a-1/" + agent.uid}})
        twin.ready()
        equal(rig.lease()["holderIdentity"], "a-1/" + twin.uid, "holder")


@test("orphans are reaped, and what a killed postmaster left is gone before the next one")
def orphans():
    with Rig() as rig:
        agent = rig.primary()
        before = agent.postmaster()
        os.kill(before, 9)
        wait_for(lambda: agent.postmaster() != before and agent.probe()[0] == 200, 60,
                 "another postmaster")
        agent.sql("select 1")
        # Whoever has just ended is one until the agent's next turn.
        wait_for(lambda: zombies(agent.pid) == [] or runner.check(False, "%s", zombies(agent.pid)),
                 20, "an end of the agent's zombies")
        check(agent.logged("postgres was killed by signal 9"), "the crash is told")


def zombies(parent):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as source:
                fields = source.read().rsplit(")", 1)[1].split()
            if fields[0] == "Z" and int(fields[1]) == parent:
                found.append(pid)
        except OSError:
            continue
    return found
