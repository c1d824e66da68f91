"""It comes up, serves, and is what it says: names, TLS, roles, replication, configuration."""
import os
import re
import ssl
import threading
import time

from rig import Cluster, deploy, kube, names, namespace, runner, running
from lib.postgres import Lost, SqlError
from lib.runner import Failed, check, equal, test, wait_for


@test("The quickstart becomes a primary and a streaming replica; kubectl wait tells the truth")
def _quickstart():
    sample = os.path.join(runner.ROOT, "manifests", "samples", "quickstart.yaml")
    with namespace() as where:
        cluster = Cluster(where, "quickstart")
        started = time.monotonic()
        kube().kubectl("apply", "-n", where, "-f", sample)
        kube().condition(where, "quickstart", "PrimaryReady", 120)
        primary = time.monotonic() - started
        kube().kubectl("wait", "-n", where, "--for=condition=Ready", "--timeout=120s",
                       "pgc/quickstart", timeout=150)
        print("        apply -> primary Ready %.1f s -> all Ready %.1f s"
              % (primary, time.monotonic() - started))
        cluster.reached()
        equal(cluster.value("select count(*) from pg_stat_replication where state = 'streaming'",
                            user="postgres", database="postgres"), "1", "streaming replicas")
        status = cluster.get()["status"]
        equal((status["primary"], status["readyInstances"], status["phase"]),
              ("quickstart-1", 2, "Healthy"), "status")
        check(not status.get("waitingFor"), "Ready, but waiting for %s", status.get("waitingFor"))


@test("A row written through -rw is read through -ro and -r, and -ro takes no writes")
def _services():
    with running() as cluster:
        with cluster.connect("rw") as wire:
            wire.query("create table t (x int); insert into t values (42)")
        for service in ("ro", "r"):
            cluster.comes("select x from t", "42", service)
        equal(cluster.value("select pg_is_in_recovery()", "ro"), "t", "-ro is a replica")
        equal(cluster.value("select pg_is_in_recovery()", "rw"), "f", "-rw is the primary")
        try:
            cluster.value("insert into t values (1) returning x", "ro")
            raise Failed("-ro accepted a write")
        except SqlError as refused:
            equal(refused.sqlstate, "25006", "SQLSTATE of a write on -ro")
        _what_it_is(cluster)
        _tls(cluster)


def _what_it_is(cluster):
    ask = lambda sql: cluster.value(sql, user="postgres", database="postgres")
    equal(ask("show data_checksums"), "on", "data_checksums")
    equal(ask("select datlocprovider::text || ' ' || coalesce(datlocale, datcollate) "
              "from pg_database where datname = 'app'"), "b C.UTF-8", "locale of the database")
    equal(ask("select string_agg(application_name, ' ') from pg_stat_replication"), "a-2",
          "application_name of the replica")
    equal(ask("select slot_name || ' ' || active::text || ' ' || slot_type "
              "from pg_replication_slots"), "a_2 true physical", "slot")
    equal(cluster.on("2", "show hot_standby_feedback"), "on", "hot_standby_feedback")
    check(ask("show max_slot_wal_keep_size") != "-1", "max_slot_wal_keep_size is unlimited")
    equal(cluster.shell("1", "readlink -f /pgkeel/data/pgdata/pg_wal"), "/pgkeel/wal/pg_wal",
          "pg_wal")
    equal(ask("select count(*) from pg_authid where rolcanlogin and rolpassword is not null "
              "and rolpassword not like 'SCRAM-SHA-256$%'"), "0", "passwords that are not SCRAM")
    for instance in ("1", "2"):
        for which in ("app", "superuser", "replication"):
            check(cluster.secret(which)["password"] not in cluster.logs(instance),
                  "the password of %s stands in the log of instance %s", which, instance)
        for line in cluster.logs(instance).splitlines():
            check(line.startswith("{") and line.endswith("}"), "a log line is not JSON: %s", line)


def _tls(cluster):
    authority = cluster.secret("server")["ca.crt"]
    for service in ("rw", "ro", "r"):
        for name in ("%s-%s", "%s-%s.%%s", "%s-%s.%%s.svc", "%s-%s.%%s.svc.cluster.local"):
            name = name % (cluster.name, service)
            name = name % cluster.where if "%s" in name else name
            cluster.connect(service, ca=authority, server_name=name).close()
    try:
        cluster.connect("rw", ca=authority, server_name="elsewhere.example.com")
        raise Failed("a certificate for any name")
    except ssl.SSLError:
        pass
    try:
        cluster.connect("rw", tls=False)
        raise Failed("a connection without TLS was let in")
    except (SqlError, Lost):
        pass
    try:
        cluster.connect("rw", password="wrong")
        raise Failed("a wrong password was let in")
    except SqlError as refused:
        equal(refused.sqlstate, "28P01", "SQLSTATE of a wrong password")


@test("A reloadable parameter is applied without a restart, and Ready waits for it")
def _reload():
    with running() as cluster:
        before = [cluster.started_at(i) for i in ("1", "2")]
        uids = [cluster.uid(i) for i in ("1", "2")]
        changed = time.monotonic()
        cluster.edit(postgres={"parameters": {"work_mem": "7MB"}})
        cluster.ready(60)
        print("        reloaded everywhere after %.1f s" % (time.monotonic() - changed))
        for instance in ("1", "2"):
            equal(cluster.on(instance, "show work_mem"), "7MB", "work_mem of " + instance)
        equal([cluster.started_at(i) for i in ("1", "2")], before, "start times")
        cluster.edit(postgres={"parameters": {"work_mem": None}})
        cluster.ready(60)
        equal(cluster.on("1", "show work_mem"), "4MB", "work_mem after its removal")
        cluster.edit(postgres={"hba": ["hostssl all nobody 0.0.0.0/0 reject"]})
        cluster.ready(60)
        equal(cluster.value("select count(*) from pg_hba_file_rules where user_name = '{nobody}'",
                            user="postgres", database="postgres"), "1", "the user's line")
        equal([cluster.uid(i) for i in ("1", "2")], uids, "pods")


@test("A wrong value for a parameter is told in status with the server's words, and serves on")
def _bad_value():
    with running(1) as cluster:
        cluster.edit(postgres={"parameters": {"work_mem": "lots"}})
        cluster.told("Ready", "work_mem", 60)
        equal(cluster.value("select 1"), "1", "the server")
        cluster.edit(postgres={"parameters": {"work_mem": "8MB"}})
        cluster.ready(60)


@test("A rollout of shared_buffers restarts the replica first, then the primary, and loses no row")
def _rollout():
    with running() as cluster:
        primary, replica = cluster.primary(), cluster.replica()
        uids = {i: cluster.uid(i) for i in ("1", "2")}
        with cluster.ledger() as ledger:
            begun = time.monotonic()
            cluster.edit(postgres={"parameters": {"shared_buffers": "40MB"}})
            cluster.told("Ready", seconds=40)
            cluster.ready(120)
            took = time.monotonic() - begun
            ledger.wait_for_more(50)
        for instance in ("1", "2"):
            equal(cluster.on(instance, "show shared_buffers"), "40MB", "on " + instance)
            equal(cluster.uid(instance), uids[instance], "pod of " + instance)
        check(cluster.started_at(replica) < cluster.started_at(primary),
              "the primary restarted before the replica")
        rows = ledger.check()
        print("        %d rows, none lost; %.1f s in all, longest pause of the client %.2f s"
              % (rows, took, ledger.longest_pause(begun)))


class Recorder:
    """Every state of the cluster object that the server told, by a watch of its own."""

    def __init__(self, cluster):
        self.states, self._stop = [], threading.Event()
        self._thread = threading.Thread(target=self._run, args=(cluster,), daemon=True)

    def _run(self, cluster):
        while not self._stop.is_set():
            for state in kube().states("PostgresCluster", cluster.where, cluster.name, 5):
                self.states.append((time.time(), state))
                if self._stop.is_set():
                    return

    def __enter__(self):
        self._thread.start()
        wait_for(lambda: self.states, 10, "the first state", every=0.01)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def ready_at(self, generation):
        """When Ready was True for this generation: every such time."""
        return [at for at, state in self.states if state is not None
                and state["metadata"]["generation"] == generation
                and names.is_true(state, "Ready")]


@test("During a restart for parameters Ready never says True before both servers run them")
def _truthful():
    with running() as cluster:
        with Recorder(cluster) as recorder:
            generation = cluster.edit(postgres={"parameters": {"max_connections": "120"}})[
                "metadata"]["generation"]
            started = {}

            def everywhere():
                for instance in ("1", "2"):
                    # By the server's own word: whoever looks may look late.
                    setting, at = cluster.on(
                        instance, "select current_setting('max_connections') || ' ' ||"
                        " extract(epoch from pg_postmaster_start_time())").split()
                    if setting == "120":
                        started.setdefault(instance, float(at))
                return len(started) == 2
            wait_for(everywhere, 120, "both servers to run with it", every=0.05)
            cluster.ready(60)
        early = [at for at in recorder.ready_at(generation) if at < max(started.values())]
        check(not early, "Ready was True %.1f s before the last server was started with it",
              max(started.values()) - (early or [0])[0])
        check(started[cluster.replica()] <= started[cluster.primary()],
              "the primary came first: %s", started)


@test("A change of resources replaces the pods, the replica first, and loses no row", long=True)
def _resources():
    with running() as cluster:
        with cluster.ledger() as ledger:
            begun = time.monotonic()
            cluster.edit(resources={"requests": {"memory": "200Mi"}})
            cluster.told("Ready", seconds=40)
            cluster.ready(180)
            ledger.wait_for_more(50, 60)
        created = {i: cluster.pod(i)["metadata"]["creationTimestamp"] for i in ("1", "2")}
        check(created[cluster.replica()] <= created[cluster.primary()],
              "the primary's pod was made first: %s", created)
        ledger.check()
        print("        longest pause of the client %.2f s" % ledger.longest_pause(begun))


@test("Scaling from 2 to 3 to 2 adds and removes a streaming replica and its slot", long=True)
def _scale():
    with running() as cluster:
        slots = lambda: cluster.value("select string_agg(slot_name, ' ' order by slot_name) from "
                                      "pg_replication_slots", user="postgres", database="postgres")
        with cluster.ledger() as ledger:
            cluster.scale(3)
            cluster.ready(120)
            equal(slots(), "a_2 a_3", "slots of three")
            equal(cluster.value("select count(*) from pg_stat_replication where state='streaming'",
                                user="postgres", database="postgres"), "2", "streaming")
            cluster.scale(2)
            cluster.gone("Pod", "a-3-0", 120)
            cluster.ready(60)
            wait_for(lambda: slots() == "a_2", 30, "the slot of a-3 to go")
        ledger.check()
        check(cluster.child("PersistentVolumeClaim", "a-3-data"), "the volume of a-3 went")
        cluster.scale(3)
        cluster.ready(120)


@test("PostgreSQL 15 from a Debian 12 image serves as well, with another uid in it")
def _fifteen():
    with running(2, postgres={"version": 15}, seconds=120) as cluster:
        check(cluster.value("show server_version").startswith("15."), "another version")
        check(cluster.get()["status"]["version"].startswith("15."), "status.version")
        with cluster.connect() as wire:
            wire.query("create table t as select 1 as x")
        cluster.comes("select x from t", "1")


@test("A password changed in the Secret works at once, the old one no more, without a restart")
def _password():
    with running() as cluster:
        before, old = cluster.started_at("1"), cluster.secret("app")["password"]
        kube().edit("Secret", cluster.where, "a-app",
                    {"stringData": {"password": "another-one-42"}})
        wait_for(lambda: cluster.value("select 1", password="another-one-42"), 120,
                 "the new password to work", every=0.5)
        try:
            cluster.value("select 1", password=old)
            raise Failed("the old password still works")
        except SqlError as refused:
            equal(refused.sqlstate, "28P01", "SQLSTATE of the old password")
        secret = cluster.secret("app")
        wait_for(lambda: "another-one-42" in cluster.secret("app")["uri"], 30, "uri to follow")
        check(old not in str(cluster.secret("app")), "the old password stands in %s", list(secret))
        cluster.told("CredentialsInSync", status="True", seconds=30)
        equal(cluster.started_at("1"), before, "start time")


@test("A server Secret that is deleted gives a new certificate without a restart", long=True)
def _certificate():
    with running() as cluster:
        before = {i: cluster.started_at(i) for i in ("1", "2")}
        with cluster.connect() as wire:
            old = wire.certificate
        kube().delete("Secret", cluster.where, "a-server")
        cluster.poke()
        kube().wait("Secret", cluster.where, "a-server", lambda o: o, 30, "another Secret")

        def renewed():
            with cluster.connect() as wire:
                return wire.certificate != old
        # The kubelet brings changed Secrets to the pods when it next looks at them.
        wait_for(renewed, 180, "the new certificate on the wire", every=1)
        equal({i: cluster.started_at(i) for i in ("1", "2")}, before, "start times")
        cluster.ready(30)


@test("The agent is small at rest: RSS within 6 MiB on both sides")
def _agent_memory():
    from lib import process
    with running() as cluster:
        for instance in ("1", "2"):
            pid = agent_pid(cluster, instance)
            # What only its start needed goes back some seconds after postgres is up.
            wait_for(lambda pid=pid: process.memory(pid)["rss"] <= 6 * 2**20, 60,
                     "RSS of at most 6 MiB of the agent of instance %s" % instance)
            memory = process.memory(pid)
            print("        instance %s: RSS %.2f MiB, private %.2f MiB" % (
                instance, memory["rss"] / 2**20, memory["private"] / 2**20))


def agent_pid(cluster, instance):
    """Containers' processes are this machine's own: found by container id in their cgroup."""
    identity = cluster.pod(instance)["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cgroup" % pid) as groups, \
                    open("/proc/%s/cmdline" % pid, "rb") as words:
                if identity in groups.read() and re.search(rb"pgkeel\0instance", words.read()):
                    return int(pid)
        except OSError:
            continue
    raise LookupError("no agent for container " + identity)


__all__ = ["agent_pid", "deploy"]
