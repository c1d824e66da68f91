"""
A cluster of agents on this host: real PostgreSQL, real `pgkeel instance`, a scripted API server that
plays the operator's part. Unix sockets and loopback only; everything below one temporary folder.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.append(os.path.join(os.path.dirname(HERE), "torture"))

from fakeapi import kinds, server, store  # noqa: E402
import programs  # noqa: E402
from lib import ports, postgres, process, runner, scratch  # noqa: E402

NAMESPACE, CLUSTER = "shop", "a"
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: scripted
clusters: [{name: scripted, cluster: {server: "%s"}}]
users: [{name: scripted, user: {token: scripted}}]
contexts: [{name: scripted, context: {cluster: scripted, user: scripted, namespace: %s}}]
"""
CONF = """max_connections = %(max_connections)s
shared_buffers = 16MB
wal_level = replica
hot_standby = on
hot_standby_feedback = on
max_wal_senders = 8
max_replication_slots = 8
max_slot_wal_keep_size = 256MB
wal_retrieve_retry_interval = 100ms
password_encryption = scram-sha-256
log_statement = all
log_min_duration_statement = 0
log_connections = on
%(more)s"""
HBA = """local all all trust
hostssl replication pgkeel_replication all scram-sha-256
hostssl all all all scram-sha-256
%s"""
PASSWORDS = {"postgres": "super secret", "app": "app secret", "pgkeel_replication": "copy:me\\now"}
rigs = threading.local()


def verifier(password, salt=b"0123456789abcdef", rounds=4096):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    code = lambda data: base64.b64encode(data).decode()
    return "SCRAM-SHA-256$%d:%s$%s:%s" % (rounds, code(salt), code(stored), code(server_key))


def hash16(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def other_user(uid=None):
    """Arguments that drop root (PostgreSQL refuses it), and the uid."""
    if os.geteuid() != 0:
        return [], os.geteuid()
    user = pwd.getpwnam("nobody")
    uid, gid = (uid, uid) if uid else (user.pw_uid, user.pw_gid)
    return ["setpriv", "--reuid=%d" % uid, "--regid=%d" % gid, "--clear-groups",
            "--no-new-privs"], uid


class Agent:
    """One instance: its volumes outlive the process, its run folder lives as long as the pod."""

    def __init__(self, rig, ordinal, folder=None):
        self.rig, self.name = rig, "%s-%d" % (CLUSTER, ordinal)
        self.folder = os.path.join(rig.folder, folder or self.name)
        self.held = [ports.held(), ports.held()]
        self.port, self.probe_port = [ports.number(wire) for wire in self.held]
        self.uid, self.process, self.pods = None, None, 0
        for name in ("data", "wal"):
            rig.mkdir(os.path.join(self.folder, name))

    def empty(self):
        """New volumes, and a new log."""
        for folder in (self.data, self.wal):
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        log = os.path.join(self.folder, "log")
        if os.path.exists(log):
            os.unlink(log)

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    @property
    def wal(self):
        return os.path.join(self.folder, "wal")

    @property
    def run(self):
        return os.path.join(self.rig.folder, "r%s%d" % (os.path.basename(self.folder), self.pods))

    def new_pod(self):
        self.pods += 1
        self.rig.mkdir(self.run)
        if self.rig.get("Pod", self.name + "-0"):
            self.rig.store.delete(kinds.BY_KIND["Pod"], NAMESPACE, self.name + "-0")
            self.rig.store.finish_pod(NAMESPACE, self.name + "-0")
        pod = self.rig.make("Pod", self.name + "-0", spec={"containers": []})
        self.uid = pod["metadata"]["uid"]

    def start(self, new_pod=True, env=None, sink=None, **options):
        if new_pod or not self.pods:
            self.new_pod()
        words = {"name": self.name, "data-dir": self.data, "wal-dir": self.wal,
                 "run-dir": self.run, "config-dir": self.rig.config, "tls-dir": self.rig.tls,
                 "verifiers-dir": self.rig.verifiers, "replication-dir": self.rig.replication,
                 "kubeconfig": self.rig.kubeconfig, "listen": "127.0.0.1", "port": self.port,
                 "probe-address": "127.0.0.1:%d" % self.probe_port, "api-wait": 2,
                 "primary-host": "127.0.0.1", "primary-port": self.rig.primary_port(),
                 "stop-timeout": 20,
                 **{key.replace("_", "-"): value for key, value in options.items()}}
        arguments = self.rig.command() + ["instance"]
        for key, value in words.items():
            if value is not None:
                arguments += ["--" + key.replace("_", "-"), str(value)]
        self.process = process.Process(
            arguments, os.path.join(self.folder, "log"),
            env={"POD_NAME": self.name + "-0", "POD_NAMESPACE": NAMESPACE, "POD_UID": self.uid,
                 "POD_IPS": "127.0.0.1,::1", "HOME": "/nonexistent", "LSAN_OPTIONS": "exitcode=23",
                 "UBSAN_OPTIONS": "print_stacktrace=1", **(env or {})}, sink=sink)
        return self

    @property
    def pid(self):
        """Of the agent itself; its parent keeps the PID namespace."""
        if not self.rig.container:
            return self.process.pid
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as source:
            return int(source.read().split()[0])

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """As the kernel ends a container: the agent, and with PID 1 all that it started."""
        self.signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self, seconds=25):
        self.signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        runner.equal(code, 0, "exit code of the agent of %s" % self.name)

    # -- what it says ----------------------------------------------------------------------------
    def log(self):
        """Its log as objects; a line that is not JSON fails. The one that is being written is none
        yet, and unshare has words of its own to say when what it started is killed."""
        lines = []
        for line in self.raw_log().rpartition(b"\n")[0].decode().split("\n"):
            if not line or line.startswith("unshare: "):
                continue
            try:
                lines.append(json.loads(line))
            except ValueError:
                raise runner.Failed("%s logged what is no JSON: %r" % (self.name, line)) from None
        return lines

    def raw_log(self):
        with open(os.path.join(self.folder, "log"), "rb") as source:
            return source.read()

    def logged(self, needle, **fields):
        return [l for l in self.log() if needle in l.get("msg", "")
                and all(l.get(k) == v for k, v in fields.items())]

    def report(self):
        pod = self.rig.get("Pod", self.name + "-0") or {}
        text = pod.get("metadata", {}).get("annotations", {}).get("pgkeel.dev/report")
        return json.loads(text) if text else {}

    def label(self):
        pod = self.rig.get("Pod", self.name + "-0") or {}
        return pod.get("metadata", {}).get("labels", {}).get("pgkeel.dev/role")

    def probe(self, path="/readyz"):
        wire = http.client.HTTPConnection("127.0.0.1", self.probe_port, timeout=15)
        try:
            wire.request("GET", path)
            answer = wire.getresponse()
            return answer.status, answer.read().decode().strip()
        finally:
            wire.close()

    def ready(self, seconds=60):
        runner.wait_for(lambda: self.probe()[0] == 200 or self._fail(self.probe()), seconds,
                        "%s ready" % self.name)
        return self

    @staticmethod
    def _fail(what):
        raise runner.Failed("%s" % (what,))

    def reports(self, seconds=40, **wanted):
        """Waits until the pod's report has these members."""
        def probe():
            report = self.report()
            for key, value in wanted.items():
                got = report.get(key)
                if not (value(got) if callable(value) else got == value):
                    raise runner.Failed("report %s" % report)
            return report
        return runner.wait_for(probe, seconds, "report of %s with %s" % (self.name, wanted))

    def reports_during(self, during):
        """Every report that was written while during() ran."""
        return [json.loads(obj["metadata"]["annotations"]["pgkeel.dev/report"])
                for obj in self.rig.history("Pod", self.name + "-0", during)]

    # -- its postgres ----------------------------------------------------------------------------
    def sql(self, text, database="postgres"):
        """psql over the Unix socket, as the agent's own user."""
        done = subprocess.run(
            self.rig.drop + [programs.psql(), "-XAtq", "-v",
                             "ON_ERROR_STOP=1", "-h", self.run, "-p", str(self.port), "-U",
                             "postgres", "-d", database, "-f", "-"],
            input=text, capture_output=True, text=True, timeout=120,
            env={**os.environ, "HOME": "/nonexistent"}, check=False)
        if done.returncode != 0:
            raise runner.Failed("psql on %s: %s" % (self.name, done.stderr.strip()))
        return done.stdout.strip()

    def login(self, user, database="postgres", password=None):
        with open(os.path.join(self.rig.tls, "ca.crt")) as ca:
            return postgres.Connection("127.0.0.1", user, password or PASSWORDS[user], database,
                                       ca=ca.read(), port=self.port)

    def postmaster(self):
        """Its pid as this host sees it."""
        with open(os.path.join(self.data, "pgdata", "postmaster.pid")) as source:
            inside = source.readline().strip()
        return self.outside(int(inside))

    def outside(self, inside):
        """The pid on this host of a process of postgres that PostgreSQL knows by another one."""
        for pid, _ in self.postgres_pids():
            with open("/proc/%d/status" % pid) as source:
                ids = [line.split() for line in source if line.startswith("NSpid:")][0]
            if ids[-1] == str(inside):
                return pid
        raise LookupError("no process %s" % inside)

    def memory(self):
        return process.memory(self.pid)

    def cpu_seconds(self):
        return process.cpu_seconds(self.pid)

    def postgres_pids(self):
        """Every process whose command line or title names this instance."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as source:
                    words = source.read().replace(b"\0", b" ").decode(errors="replace")
                if os.path.basename(os.readlink("/proc/%s/exe" % pid)) == "postgres" and \
                        self.data in os.readlink("/proc/%s/cwd" % pid):
                    found.append((int(pid), words))
            except OSError:
                continue
        return found


def container():
    """Arguments that make the agent PID 1, as it is in a pod. Only root can."""
    if os.geteuid() != 0:
        return []
    words = ["unshare", "--pid", "--fork", "--mount-proc"]
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    return words if tried.returncode == 0 else []


class Rig:
    def __init__(self, instances=1, major=None):
        self.programs = programs.find(major)
        self.major = self.programs.major
        self.drop, self.agent_uid = other_user(self.programs.uid)
        self.container = container()
        # Short: a Unix socket's path has room for 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="pgki", dir=scratch.folder())
        os.chmod(self.folder, 0o755)
        self.store = store.Store()
        self.server = server.Server(self.store)
        self.agents = []
        self.token, self.lease_seconds = "", 3
        self.grace = 180  # terminationGracePeriodSeconds
        self.tokens = {}  # of single members, before self.token
        self.members = ["%s-%d" % (CLUSTER, n + 1) for n in range(instances)]
        self.settings = {"max_connections": "50", "more": ""}
        self.hba = ""
        self.roles = dict(PASSWORDS)

    def __enter__(self):
        self.config, self.tls = self.mkdir("config"), self.mkdir("tls")
        self.verifiers, self.replication = self.mkdir("verifiers"), self.mkdir("replication")
        self.server.start()
        self.kubeconfig = self.write(os.path.join(self.folder, "kubeconfig"),
                                     KUBECONFIG % (self.server.url, NAMESPACE))
        self.make_certificates()
        for name in (NAMESPACE, "default"):
            self.store.create(kinds.BY_KIND["Namespace"], None, {"metadata": {"name": name}},
                              "rig")
        self.write(os.path.join(self.replication, "password"), PASSWORDS["pgkeel_replication"])
        self.make("Lease", "a-primary", spec={})
        self.make("EndpointSlice", "a-rw", addressType="IPv4", endpoints=[],
                  ports=[{"name": "postgres", "port": 5432, "protocol": "TCP"}])
        self.put_config(first=True)
        self.agents = [Agent(self, int(name.rsplit("-", 1)[1])) for name in self.members]
        rigs.current = self
        return self

    def __exit__(self, kind, value, trace):
        for agent in self.agents:
            if agent.process and agent.process.alive():
                agent.kill()
        if kind is not None:
            rigs.evidence = self.evidence()
        rigs.current = None
        self.server.stop()
        for agent in self.agents:
            runner.wait_for(lambda a=agent: not a.postgres_pids(), 60,
                            "the end of postgres of %s" % agent.name)
            for wire in agent.held:
                wire.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def evidence(self):
        text = ""
        for agent in self.agents:
            if agent.process:
                text += "---- %s, report %s\n%s\n" % (agent.name, agent.report(),
                                                      agent.process.log(70))
        return text

    def command(self):
        """Words that start pgkeel as PID 1 where its PostgreSQL is, as the agents' user."""
        if self.programs.root is None:
            return self.container + self.drop + [runner.PGKEEL]
        return ["unshare", "--pid", "--fork", "--mount", "sh", "-c", programs.ENTER, "sh",
                self.programs.root, self.folder, runner.PGKEEL, str(self.agent_uid)]

    # -- files -----------------------------------------------------------------------------------
    def mkdir(self, path):
        path = os.path.join(self.folder, path)
        os.makedirs(path, exist_ok=True)
        for place in (os.path.dirname(path), path):
            if os.geteuid() == 0:
                os.chown(place, self.agent_uid, -1)
        return path

    def write(self, path, text):
        with open(path + ".tmp", "w") as out:
            out.write(text)
        os.chmod(path + ".tmp", 0o644)
        os.rename(path + ".tmp", path)
        return path

    def make_certificates(self, days=10, names="IP:127.0.0.1,DNS:localhost", folder=None):
        """Of the one CA, which is made at first; replicas look for their primary at 127.0.0.1."""
        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self.folder)
        if not os.path.exists(os.path.join(self.folder, "ca.key")):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-subj", "/CN=test-ca", "-days", "20", "-addext",
                    "keyUsage=critical,keyCertSign", "-keyout", "ca.key", "-out", "ca.crt")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=a-rw", "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", "subjectAltName=" + names, "-CA",
                "ca.crt", "-CAkey", "ca.key", "-set_serial", str(uuid.uuid4().int >> 64), "-days",
                str(days), "-keyout", "server.key", "-out", "server.crt")
        for source, name in (("ca.crt", "ca.crt"), ("server.key", "tls.key"),
                             ("server.crt", "tls.crt")):
            with open(os.path.join(self.folder, source)) as text:
                self.write(os.path.join(folder or self.tls, name), text.read())

    # -- the operator's part ---------------------------------------------------------------------
    def make(self, kind_name, name, **members):
        kind = kinds.BY_KIND[kind_name]
        return self.store.create(kind, NAMESPACE, {
            "apiVersion": kinds.api_version(kind), "kind": kind_name, "metadata": {"name": name},
            **members}, "rig")

    def get(self, kind_name, name):
        return self.store.get(kind_name, NAMESPACE, name)

    def edit(self, kind_name, name, patch):
        return self.store.patch(kinds.BY_KIND[kind_name], NAMESPACE, name, "", patch, "rig")

    def delete(self, kind_name, name):
        return self.store.delete(kinds.BY_KIND[kind_name], NAMESPACE, name)

    def freeze_api(self):
        """Nobody is answered any more; connections that stood are cut, and what they were still
        carrying is not stored."""
        with self.store.lock:
            self.server.faults.open.clear()
            self.server.buried |= self.server.connections
        self.server.cut_all()

    def thaw_api(self):
        self.server.faults.open.set()

    def history(self, kind_name, name, until):
        """Every state that an object went through while until() ran."""
        before = len(self.store.history)
        until()
        return [obj for _, kind, _, obj, _ in self.store.history[before:]
                if kind.kind == kind_name and obj["metadata"]["name"] == name
                and obj["metadata"].get("annotations", {}).get("pgkeel.dev/report")]

    def roles_json(self):
        return json.dumps([{"name": name, "verifier": verifier(password),
                            "superuser": name == "postgres",
                            "replication": name == "pgkeel_replication", "login": True}
                           for name, password in self.roles.items()])

    def config_texts(self):
        conf, hba, roles = CONF % self.settings, HBA % self.hba, self.roles_json()
        cluster = {"cluster": CLUSTER, "namespace": NAMESPACE, "postgresVersion": self.major,
                   "leaseSeconds": self.lease_seconds, "database": "app", "owner": "app", "encoding": "UTF8",
                   "locale": "C.UTF-8", "maxSlotWalKeepSize": "256MB",
                   "terminationGraceSeconds": self.grace,
                   "configHash": hash16(conf + "\n" + hba), "verifiersHash": hash16(roles),
                   "members": [{"name": n, "restartToken": self.tokens.get(n, self.token)}
                               for n in self.members]}
        return {"postgresql.conf": conf, "pg_hba.conf": hba,
                "cluster.json": json.dumps(cluster)}, roles

    def put_config(self, first=False, mounts=True):
        texts, roles = self.config_texts()
        secret = {"roles.json": base64.b64encode(roles.encode()).decode()}
        if mounts:
            for key, text in texts.items():
                self.write(os.path.join(self.config, key), text)
            self.write(os.path.join(self.verifiers, "roles.json"), roles)
        if first:
            self.make("ConfigMap", "a-config", data=texts)
            self.make("Secret", "a-verifiers", data=secret)
        else:
            self.edit("Secret", "a-verifiers", {"data": secret})
            self.edit("ConfigMap", "a-config", {"data": texts})
        return json.loads(texts["cluster.json"])["configHash"]

    def grant(self, instance="a-1", mode="initdb"):
        self.edit("Lease", "a-primary", {"metadata": {"annotations": {
            "pgkeel.dev/bootstrap": json.dumps({"instance": instance, "mode": mode})}}})

    def lease(self):
        return (self.get("Lease", "a-primary") or {}).get("spec", {})

    def holder(self):
        return self.lease().get("holderIdentity", "").split("/")[0]

    def primary_status(self):
        text = self.get("Lease", "a-primary")["metadata"].get("annotations", {}).get(
            "pgkeel.dev/primary-status")
        return json.loads(text) if text else {}

    def endpoints(self):
        return [e["addresses"][0] for e in self.get("EndpointSlice", "a-rw").get("endpoints") or []]

    def primary_port(self):
        """What the -rw Service would do: the port of the lease's holder."""
        for agent in self.agents:
            if agent.name == (self.holder() or "a-1"):
                return agent.port
        return self.agents[0].port

    def writes(self, kind=None, name=None):
        return [w for w in self.server.writes
                if kind in (None, w["kind"]) and name in (None, w["name"])]

    def written_no_more(self, is_meant, quiet=2.5, seconds=60):
        """Waits until nothing of the meant kinds was written for so long: nobody announces that it
        was the last."""
        seen = []
        def probe():
            count = len([w for w in self.writes() if is_meant(w["kind"])])
            if not seen or seen[0] != count:
                seen[:] = [count, time.monotonic()]
            return time.monotonic() - seen[1] >= quiet
        runner.wait_for(probe, seconds, "an end of writes")

    def primary(self, seconds=60):
        """The first instance, granted, started and ready."""
        self.grant()
        return self.agents[0].start().ready(seconds)

    def pair(self):
        first = self.primary()
        second = self.agents[1].start().ready(60)
        return first, second


def show_evidence(log):
    text = getattr(rigs, "evidence", None)
    if text:
        log.section("agents", text)


runner.suite.evidence.append(show_evidence)
