"""What goes wrong around an instance: the API, the image, the volume, postgres itself."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

from lib import runner
from lib.postgres import SqlError
from lib.runner import check, equal, never, test, wait_for
from rig import PASSWORDS, Rig

MIB = 1 << 20


@test("a primary goes on while the API server is away, and renews when it is back")
def api_away():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        rig.freeze_api()
        renewed = rig.lease()["renewTime"]
        agent.sql("create table t(n int)")
        never(lambda: agent.probe()[0] != 200, 8, "unreadiness while the API is away")
        agent.sql("insert into t values (1)")
        equal(rig.lease()["renewTime"], renewed, "renewals while the API is away")
        rig.thaw_api()
        wait_for(lambda: rig.lease()["renewTime"] != renewed, 40, "a renewal")
        equal(rig.lease()["leaseTransitions"], 1, "epoch")
        check(agent.logged("the lease cannot be written"), "the failure is told")
        wait_for(lambda: agent.logged("the lease can be written again"), 30, "the end of it told")


@test("a pod restarted while the API server is away takes up the role it had")
def api_away_restart():
    with Rig(2) as rig:
        first, second = rig.pair()
        first.sql("create table t as select 1 n")
        rig.freeze_api()
        for agent, recovering in ((second, "t"), (first, "f")):
            agent.kill()
            agent.start(new_pod=False)
            wait_for(lambda a=agent: a.sql("select 1") == "1", 60, "%s up" % agent.name)
            equal(agent.sql("select pg_is_in_recovery()"), recovering, "role of %s" % agent.name)
        first.ready()
        first.sql("insert into t values (2)")
        rig.thaw_api()
        wait_for(lambda: second.sql("select count(*) from t") == "2", 60, "streaming")
        first.reports(role="primary", phase="Running")


@test("a report that the API server stores late, over a newer one, does not stay")
def stored_late():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        agent.stop()
        rig.freeze_api()
        agent.start(new_pod=False)
        wait_for(lambda: agent.logged("the pod's report cannot be written", **{
            "class": "timeout"}), 40, "a write without an answer")
        rig.thaw_api()
        agent.ready()
        rig.written_no_more(lambda kind: kind == "Pod", quiet=2)
        # Whichever write was stored last: now it is the one without an answer.
        rig.edit("Pod", "a-1-0", {"metadata": {"annotations": {
            "pgkeel.dev/report": '{"instance":"a-1","phase":"Starting"}'}}})
        agent.reports(role="primary", phase="Running", bootstrapped=True, seconds=90)


@test("an empty volume waits for the API server, however long it is away")
def api_away_empty():
    with Rig() as rig:
        rig.grant()
        rig.freeze_api()
        agent = rig.agents[0].start()
        wait_for(lambda: "API server" in agent.probe()[1], 40, "the reason")
        never(lambda: os.path.exists(os.path.join(agent.data, "unfinished")), 3, "initdb")
        rig.thaw_api()
        agent.ready()


@test("conflicts, overload and errors of the API server are ridden out")
def storms():
    with Rig() as rig:
        for code in (409, 429, 500, 503):
            rig.server.faults.add({"do": "status", "code": code, "verb": "patch", "times": 2,
                                   "path": "leases|endpointslices|pods"})
        agent = rig.primary(90)
        agent.reports(phase="Running", bootstrapped=True, seconds=60)
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 40, "the endpoint")


@test("an endpoint that somebody edits or empties is put right at once")
def endpoint_edited():
    with Rig() as rig:
        agent = rig.primary()
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 20, "the endpoint")
        for wrong in ([], [{"addresses": ["10.9.9.9"], "conditions": {"ready": True}}]):
            rig.edit("EndpointSlice", "a-rw", {"endpoints": wrong})
            wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 5, "the endpoint again")
        equal(agent.probe()[0], 200, "readiness")


@test("an answer that comes after newer news does not hide them: the endpoint")
def endpoint_answer_late():
    with Rig() as rig:
        late = rig.server.faults.add({"do": "late", "verb": "patch", "path": "/endpointslices/",
                                      "seconds": 1.5})
        agent = rig.primary()
        wait_for(lambda: late.struck and rig.endpoints() == ["127.0.0.1"], 20, "the endpoint")
        rig.edit("EndpointSlice", "a-rw", {"endpoints": []})
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 20, "the endpoint again")
        equal(agent.probe()[0], 200, "readiness")


@test("an answer that comes after newer news does not hide them: the lease")
def lease_answer_late():
    with Rig(2) as rig:
        agent = rig.primary()
        before = agent.postmaster()
        late = rig.server.faults.add({"do": "late", "verb": "patch", "path": "/leases/",
                                      "seconds": 1.5})
        stored = lambda: len(rig.writes("Lease", "a-primary"))
        count = stored()
        wait_for(lambda: late.struck and stored() > count, 20, "a renewal")
        rig.edit("Lease", "a-primary", {"spec": {"holderIdentity": "a-2/x",
                                                 "leaseTransitions": 2}})
        count = len(rig.server.requests)
        never(lambda: [r for r in rig.server.requests[count:]
                       if r["verb"] == "patch" and "/leases/" in r["path"]], 5,
              "an attempt to write a lease that is another's")
        wait_for(lambda: agent.postmaster() != before and
                 agent.sql("select pg_is_in_recovery()") == "t", 60, "a standby")


@test("a lease that was deleted and made again is taken again with a higher epoch")
def lease_deleted():
    with Rig() as rig:
        agent = rig.primary()
        rig.delete("Lease", "a-primary")
        never(lambda: agent.probe()[0] != 200, 1, "unreadiness without the lease")
        rig.make("Lease", "a-primary", spec={})
        rig.grant(mode="existing")
        wait_for(lambda: rig.lease().get("leaseTransitions") == 2, 30, "epoch 2")
        equal(rig.holder(), "a-1", "holder")


@test("an image with another major version is refused with both versions named")
def wrong_major():
    with Rig() as rig:
        rig.major += 1
        rig.put_config()
        agent = rig.agents[0].start()
        report = agent.reports(phase="Failed", reason="VersionMismatch")
        for words in ("PostgreSQL %d" % rig.major, "%d." % (rig.major - 1), "spec.postgres.image"):
            check(words in report["message"], "'%s' in: %s", words, report["message"])
        rig.major += 1  # another mistake, corrected while the first look at it is under way
        rig.put_config()
        rig.major -= 2
        rig.grant()
        rig.put_config()
        agent.ready()


@test("an initdb that fails says in whose words, and tries again")
def initdb_fails():
    with Rig() as rig:
        texts = rig.config_texts
        def wrong():
            found, roles = texts()
            found["cluster.json"] = found["cluster.json"].replace('"C.UTF-8"', '"xx_YY.UTF-8"')
            return found, roles
        rig.config_texts = wrong
        rig.put_config()
        rig.grant()
        agent = rig.agents[0].start()
        report = agent.reports(phase="Failed", reason="InitdbFailed")
        check("xx_YY.UTF-8" in report["message"], "message: %s", report)
        equal(rig.holder(), "", "holder")
        rig.config_texts = texts
        rig.put_config()
        agent.ready()


@test("a uid without a line in /etc/passwd is told with the remedy")
def no_passwd():
    with Rig() as rig:
        if not rig.container:
            raise runner.Skipped("needs root")
        rig.drop = ["setpriv", "--reuid=70000", "--regid=70000", "--clear-groups",
                    "--no-new-privs"]
        rig.agent_uid = 70000
        subprocess.run(["chown", "-R", "70000", rig.folder], check=True)
        rig.grant()
        agent = rig.agents[0].start()
        report = agent.reports(phase="Failed", reason="InitdbFailed")
        check("/etc/passwd" in report["message"], "message: %s", report)


@test("a clone that fails says why, and goes on as soon as it can")
def clone_fails():
    with Rig(2) as rig:
        first = rig.primary()
        first.reports(bootstrapped=True)
        rig.write(os.path.join(rig.replication, "password"), "wrong")
        second = rig.agents[1].start()
        report = second.reports(phase="Failed", reason="CloneFailed")
        check("password authentication failed" in report["message"], "message: %s", report)
        equal(second.probe("/livez")[0], 200, "livez")
        rig.write(os.path.join(rig.replication, "password"), PASSWORDS["pgkeel_replication"])
        second.ready()


@test("a server that cannot start is told with its last words, and started again later")
def crash_loop():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        agent.stop()
        away = rig.mkdir(os.path.join(agent.folder, "away"))
        wal = os.path.join(agent.wal, "pg_wal")
        names = [n for n in os.listdir(wal) if os.path.isfile(os.path.join(wal, n))]
        for name in names:
            shutil.move(os.path.join(wal, name), away)
        agent.start()
        report = agent.reports(phase="Failed", reason="CrashLooping")
        check("PANIC" in report["message"] and "checkpoint record" in report["message"],
              "message: %s", report)
        equal(agent.probe("/livez")[0], 200, "livez")
        equal(agent.probe("/startupz")[0], 200, "startupz")
        # Between two attempts, when the volume is looked at anew, a step alone is told.
        code = wait_for(lambda: [c for c, text in [agent.probe()] if "checkpoint record" in text],
                        20, "readiness that tells why not")
        equal(code, [503], "readyz")
        for name in names:
            shutil.move(os.path.join(away, name), wal)
        agent.ready()
        agent.reports(phase="Running", reason=None)


@test("a server that is up but lets nobody in is told in its own words")
def lets_nobody_in():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        agent.stop()
        path = os.path.join(agent.data, "pgdata", "global", "pg_filenode.map")
        shutil.move(path, path + ".away")
        agent.start()
        # Its processes die of it again and again: between two deaths clients hear states only.
        crashed = "all server processes terminated; reinitializing"
        def hears_a_state():
            try:
                agent.login("app").close()
            except OSError:
                return False
            except SqlError as error:
                return error.sqlstate == "57P03"
            raise runner.Failed("somebody was let in")
        def crashes():
            agent.reports(phase="Running", reason="NotAccepting", seconds=60)
            seen = len(agent.logged(crashed))
            wait_for(hears_a_state, 90, "a refusal that tells a state only", every=0)
            wait_for(lambda: len(agent.logged(crashed)) >= seen + 3, 90, "more crashes")
            equal(agent.probe()[0], 503, "readiness")
        told = {r["message"] for r in agent.reports_during(crashes)
                if r.get("reason") == "NotAccepting"}
        check(len(told) == 1 and "pg_filenode.map" in min(told), "messages: %s", told)
        shutil.move(path + ".away", path)
        agent.ready()
        agent.reports(phase="Running", reason=None)


@test("a single crash is recovered from at once, and the endpoint stays")
def one_crash():
    with Rig() as rig:
        agent = rig.primary()
        wait_for(lambda: rig.endpoints() == ["127.0.0.1"], 20, "the endpoint")
        writes = len(rig.writes("EndpointSlice"))
        started = time.monotonic()
        os.kill(agent.postmaster(), signal.SIGKILL)
        # The recovery may be over before anybody has seen it unready. In the turn in which the
        # agent tells of the crash it also ceases to be ready.
        wait_for(lambda: agent.logged("postgres was killed by signal 9"), 10, "the crash")
        agent.ready()
        equal(len(agent.logged("postgres is up")), 2, "starts of postgres")
        check(time.monotonic() - started < 10, "took %g s", time.monotonic() - started)
        equal(len(rig.writes("EndpointSlice")), writes, "writes to the endpoint")


@test("each crash of postgres is counted and told with its signal and last words")
def crashes_counted():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True, crashes=None)
        os.kill(agent.postmaster(), signal.SIGKILL)
        report = agent.reports(crashes=1)
        check("signal 9" in report["lastCrash"] and report["lastCrashTime"], "told: %s", report)
        agent.ready()
        # One of its processes: the postmaster lives on and starts all others anew.
        postmaster = agent.postmaster()
        pid = agent.sql("select pid from pg_stat_activity where backend_type = 'walwriter'")
        os.kill(agent.outside(int(pid)), signal.SIGKILL)
        report = agent.reports(crashes=2)
        check("signal 9" in report["lastCrash"] and "process" in report["lastCrash"],
              "told: %s", report)
        agent.ready()
        equal(agent.postmaster(), postmaster, "the postmaster")
        agent.stop()
        agent.start().ready()
        agent.reports(bootstrapped=True, crashes=None)


@test("a volume that fills is told before it is full, a full one with the remedy, and both heal",
      long=True)
def volume_fills():
    for place, field in (("wal", "spec.walStorage.size"), ("data", "spec.storage.size")):
        with Rig() as rig, limited(rig, getattr(rig.agents[0], place), 400) as volume:
            agent = rig.primary()
            agent.reports(bootstrapped=True)
            agent.sql("create table t as select generate_series(1, 1000) n; create table more(n int)")
            room = lambda word: lambda told: (told or {}).get("room") == word
            told = place + "Volume"
            figures = agent.reports(**{told: room("enough")})[told]
            check(figures["capacityBytes"] == 400 * MIB, "capacity: %s", figures)
            check(300 * MIB < figures["availableBytes"] <= 400 * MIB, "available: %s", figures)
            volume.fill(50 * MIB)
            agent.reports(**{told: room("filling")})
            equal(agent.probe()[0], 200, "readiness")
            volume.fill(0)
            agent.reports(**{told: room("full")})
            wait_for(lambda: not writes_more(agent), 60, "a write that finds no room", every=0)
            report = agent.reports(**{told: lambda v: "No space left on device" in v.get("words", "")})
            if place == "wal":
                report = agent.reports(reason="CrashLooping", crashes=lambda n: n,
                                       message=lambda m: field in m)
                check("No space left on device" in report["lastCrash"], "told: %s", report)
            volume.grow(800)
            agent.ready(90)
            report = agent.reports(**{told: room("enough"), "phase": "Running", "reason": None})
            check("words" not in report[told], "told: %s", report)
            equal(agent.sql("select count(*) from t"), "1000", "rows")


def writes_more(agent):
    """Each switch needs another segment of WAL, each round of rows another part of the table."""
    try:
        agent.sql("insert into more select generate_series(1, 20000);"
                  "select pg_switch_wal() from pg_logical_emit_message(true, 'x', 'x')")
        return True
    except runner.Failed:
        return False


class limited:  # pylint: disable=invalid-name
    """A small file system of its own in a volume's place."""

    def __init__(self, rig, path, size):
        if os.geteuid() != 0:
            raise runner.Skipped("needs root")
        self.rig, self.path, self.size = rig, path, size

    def _mount(self, options):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.path],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise runner.Skipped("no file system can be mounted: " + done.stderr.strip())

    def __enter__(self):
        self._mount("size=%dm,mode=700,uid=%d" % (self.size, self.rig.agent_uid))
        return self

    def __exit__(self, kind, value, trace):
        for agent in self.rig.agents:
            if agent.process and agent.process.alive():
                agent.kill()
        subprocess.run(["umount", "--lazy", self.path], check=False)

    def fill(self, leave):
        found = os.statvfs(self.path)
        with open(os.path.join(self.path, "filler"), "ab") as out:
            os.posix_fallocate(out.fileno(), 0,
                               os.fstat(out.fileno()).st_size +
                               max(found.f_bavail * found.f_frsize - leave, 1))

    def grow(self, size):
        self._mount("remount,size=%dm" % size)


@test("a cluster at rest tells no figures of its volumes again and again", long=True)
def room_at_rest():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True, dataVolume=lambda v: v, walVolume=lambda v: v)
        rig.written_no_more(lambda kind: kind == "Pod")
        before = len(rig.writes("Pod"))
        never(lambda: len(rig.writes("Pod")) != before, 25, "a report without news")


@test("a replica that cannot reach its primary says so in one sentence")
def primary_away():
    with Rig(2) as rig:
        first, second = rig.pair()
        first.reports(bootstrapped=True)
        first.stop()
        sentence = "cannot connect to the primary at 127.0.0.1: connection refused"
        second.reports(reason="NotStreaming", message=sentence)
        first.start().ready()
        second.reports(reason=None, message=None)


@test("a frozen server is not ready, but nothing kills it")
def frozen():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        postmaster = agent.postmaster()
        os.kill(postmaster, signal.SIGSTOP)  # first: it makes no others any more
        pids = [pid for pid, _ in agent.postgres_pids()]
        signal_those_left(pids, signal.SIGSTOP)
        wait_for(lambda: agent.probe()[0] == 503, 60, "unreadiness")
        check("does not answer" in agent.probe()[1], "why: %s", agent.probe()[1])
        equal(agent.probe("/livez")[0], 200, "livez")
        signal_those_left(pids, signal.SIGCONT)
        agent.ready()
        equal(agent.postmaster(), postmaster, "the postmaster")


def signal_those_left(pids, number):
    """A session may end of itself between its listing and the signal."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


@test("a slow shutdown becomes an immediate one when its time is over")
def slow_stop():
    with Rig() as rig:
        rig.grant()
        agent = rig.agents[0].start(stop_timeout=2).ready()
        os.kill(agent.postmaster(), signal.SIGSTOP)
        agent.signal(signal.SIGTERM)
        wait_for(lambda: agent.logged("did not stop in time", signal="SIGQUIT"), 20, "SIGQUIT")
        equal(agent.process.wait(40), 0, "exit code")
        check(agent.logged("did not stop in time", signal="SIGKILL"), "SIGKILL")
        agent.start().ready()


@test("a server that is frozen as a whole is ended by one SIGKILL, and nothing of others is")
def frozen_stop():
    for contained in (True, False):
        with Rig() as rig:
            if not contained:  # not PID 1 of a namespace of its own: others are in reach
                rig.container = []
            if not contained and rig.programs.root is not None:
                continue
            other = subprocess.Popen(rig.drop + ["sleep", "1000"])
            try:
                rig.grant()
                agent = rig.agents[0].start(stop_timeout=2).ready()
                os.kill(agent.postmaster(), signal.SIGSTOP)  # first: it makes no others any more
                pids = [pid for pid, _ in agent.postgres_pids()]
                signal_those_left(pids, signal.SIGSTOP)
                agent.signal(signal.SIGTERM)
                equal(agent.process.wait(60), 0, "exit code")
                equal(agent.postgres_pids(), [], "processes of postgres")
                equal(len(agent.logged("did not stop in time", signal="SIGKILL")), 1, "SIGKILLs")
                check(other.poll() is None, "another process of the same user was ended")
                agent.start().ready()
            finally:
                other.kill()
                other.wait()


@test("SIGTERM in the middle of initdb or of a clone ends the agent at once")
def stopped_early():
    with Rig(2) as rig:
        rig.grant()
        first, second = rig.agents
        first.start()
        wait_for(lambda: first.logged("step continues", part="run"), 40, "initdb")
        first.stop(5)
        first.start().ready()
        first.reports(bootstrapped=True)
        second.start()
        wait_for(lambda: second.logged("step continues", part="run"), 40, "pg_basebackup")
        second.stop(5)
        second.start().ready()


def lose_wal(primary, hold=False):
    """What a replica that is away needs is recycled. The agent, which would make the slot anew and
    so keep the WAL, is held meanwhile, and with `hold` until it gets SIGCONT. The slot is its
    sender's until that has noticed the end."""
    wait_for(lambda: primary.sql("select active from pg_replication_slots where slot_name = 'a_2'")
             == "f", 30, "a slot that nobody uses")
    primary.signal(signal.SIGSTOP)
    primary.sql("select pg_drop_replication_slot('a_2')")
    for _ in range(3):
        primary.sql("create table x as select generate_series(1, 1000); drop table x;"
                    " select pg_switch_wal(); checkpoint")
    if hold:
        primary.sql("select pg_create_physical_replication_slot('a_2', true)")
    else:
        primary.signal(signal.SIGCONT)


@test("a replica whose WAL is gone from the primary says so, and is cloned again")
def wal_gone(major=None):
    with Rig(2, major) as rig:
        first, second = rig.pair()
        second.stop()
        lose_wal(first)
        first.sql("create table kept as select 42 as answer")
        second.start()
        report = second.reports(reason="WalGone", phase="Running")
        check("cloned again" in report["message"], "message: %s", report)
        equal(second.probe()[0], 503, "readiness")
        wait_for(lambda: second.logged("its copy is removed"), 60, "the copy given up")
        second.reports(phase="Running", reason=None, seconds=60)
        second.ready()
        equal(second.sql("select answer from kept"), "42", "the row made meanwhile")
        equal(len(second.logged("its copy is removed")), 1, "copies given up")


@test("a copy that cannot be given up for want of room stays, says so, and is given up when there is some")
def no_room_to_give_up():
    for place, field in (("wal", "spec.walStorage.size"), ("data", "spec.storage.size")):
        with Rig(2) as rig, limited(rig, getattr(rig.agents[1], place), 400) as volume:
            first, second = rig.pair()
            second.stop()
            lose_wal(first, hold=True)
            second.start()
            second.reports(reason="WalGone", phase="Running")
            volume.fill(0)
            first.signal(signal.SIGCONT)
            wait_for(lambda: second.logged("its copy is removed"), 60, "a try to give it up")
            report = second.reports(message=lambda text: field in (text or "")
                                    and "No space left on device" in text)
            if place == "wal":  # postgres needs no room there to go on
                second.reports(phase="Running", reason="WalGone", message=report["message"])
                check("pod and both of its volume claims" in report["message"], "told: %s", report)
            check(os.path.exists(os.path.join(second.data, "pgdata", "PG_VERSION")), "the copy")
            volume.grow(800)
            second.reports(phase="Running", reason=None, seconds=90)
            second.ready()


@test("a volume that was a primary's once is not cloned over, even when its WAL is gone")
def wal_gone_of_a_primary():
    with Rig(2) as rig:
        first, second = rig.pair()
        second.stop()
        path = os.path.join(second.data, "instance.json")
        with open(path) as source:
            record = json.load(source)
        rig.write(path, json.dumps(dict(record, epoch=1)))
        lose_wal(first)
        second.start()
        second.reports(reason="WalGone")
        never(lambda: second.logged("its copy is removed"), 6, "a copy that is given up")
        equal(second.report()["reason"], "WalGone", "what is told")


@test("a replica's lost slot is made anew by the primary")
def slot_lost():
    with Rig(2) as rig:
        rig.settings["more"] = "min_wal_size = 32MB\nmax_wal_size = 32MB\n"
        rig.put_config()
        first, second = rig.pair()
        # Not before: so small a bound would cost the slot while its replica is being cloned.
        first.sql("alter system set max_slot_wal_keep_size = '1MB'")
        first.sql("select pg_reload_conf()")
        second.stop()
        for _ in range(4):
            first.sql("create table x as select generate_series(1, 1000); drop table x;"
                      " select pg_switch_wal(); checkpoint")
        wait_for(lambda: first.logged("invalidating"), 20, "the loss")
        wait_for(lambda: first.sql("select wal_status from pg_replication_slots") == "reserved",
                 40, "a slot that is not lost")


@test("an unreadable configuration at start is waited out")
def no_config():
    with Rig() as rig:
        rig.grant()
        rig.write(os.path.join(rig.config, "cluster.json"), "{")
        agent = rig.agents[0].start()
        report = agent.reports(phase="Failed", reason="ConfigInvalid")
        check("cluster.json" in report["message"], "message: %s", report)
        rig.put_config()
        agent.ready()
        agent.reports(configHash=json.loads(rig.config_texts()[0]["cluster.json"])["configHash"])


@test("an agent that lost its rights with its cluster still ends within moments")
def rights_gone():
    for code, reason in ((403, "forbidden"), (503, "unavailable")):
        with Rig() as rig:
            agent = rig.primary()
            agent.reports(bootstrapped=True)
            rig.server.faults.add({"do": "status", "code": code, "verb": "write", "times": 0})
            agent.stop(8)
            check(agent.logged("postgres is down"), "postgres was stopped (%s)", reason)


@test("a stop that hangs ends within the grace that the pod has, not within what the spec says now")
def grace():
    with Rig() as rig:
        rig.grace = 20
        rig.put_config()
        rig.grant()
        agent = rig.agents[0].start(stop_timeout=None).ready()
        rig.grace = 600
        agent.reports(configHash=rig.put_config())
        agent.kill()  # a container that is started again in the same pod
        agent.start(new_pod=False, stop_timeout=None).ready()
        agent.reports(bootstrapped=True)
        checkpointer = [pid for pid, words in agent.postgres_pids() if "checkpointer" in words][0]
        os.kill(checkpointer, signal.SIGSTOP)
        agent.stop(60)
        late = agent.logged("postgres did not stop in time", signal="SIGQUIT")
        check(late, "the stop was not cut short")


@test("a crowd at the probes' port costs few descriptors, and no probe goes without an answer")
def crowd():
    with Rig() as rig:
        agent = rig.primary()
        def descriptors():
            return len(os.listdir("/proc/%d/fd" % agent.pid))
        def reach(source):
            return socket.create_connection(("127.0.0.1", agent.probe_port), 15,
                                            source_address=(source, 0))
        before, crowd = descriptors(), []
        try:
            for _ in range(300):
                crowd.append(reach("127.0.0.3"))
            slow = reach("127.0.0.4")
            crowd.append(slow)
            slow.sendall(b"GET /readyz HTTP/1.1\r\nX: ")
            with reach("127.0.0.2") as kubelet:
                kubelet.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
                check(kubelet.recv(100).startswith(b"HTTP/1.1 200 "), "the kubelet's answer")
            check(descriptors() < before + 100, "descriptors: %d, then %d", before, descriptors())
            def cut_off():
                try:
                    slow.sendall(b"x")
                    return not slow.recv(1, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    return False
                except OSError:
                    return True
            wait_for(cut_off, 60, "the end of a request that never ends")
        finally:
            for wire in crowd:
                wire.close()
        wait_for(lambda: descriptors() <= before + 2, 60, "the descriptors back")
