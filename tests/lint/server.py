"""Real PostgreSQL servers: the host's, if it has one, and the image's in a chroot."""
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile

from lib import ports, runner
from lib.postgres import Connection, Lost

_running = {}


class Server:
    def __init__(self, major):
        self.major, self.held = major, ports.held()
        self.port = ports.number(self.held)
        self.root, self.log = None, None
        where = os.path.join(runner.BUILD, "test-logs", "lint")
        os.makedirs(where, exist_ok=True)
        self.log = open(os.path.join(where, "postgres-%d.log" % major), "w")
        self._prepare()
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
                  "--locale=C.UTF-8" if self.root else "--locale=C")
        self.process = subprocess.Popen(
            self._command("postgres", "-D", self.data, "-p", str(self.port), "-c",
                          "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c",
                          "fsync=off", "-c", "autovacuum=off", "-c", "timezone=UTC", "-c",
                          "dynamic_shared_memory_type=mmap"),
            stdout=self.log, stderr=self.log, cwd="/")
        runner.suite.cleanup.append(self.stop)
        runner.wait_for(lambda: self.connect() or True, 60, "PostgreSQL %d" % major)

    def _prepare(self):
        host = "/usr/lib/postgresql/%d/bin" % self.major
        if os.access(host + "/initdb", os.X_OK) and self.major != 17:
            owner = pwd.getpwnam("postgres")
            self.bin, self.uid, self.gid = host, owner.pw_uid, owner.pw_gid
            self.base = tempfile.mkdtemp(prefix="pgkeel-lint-")
            self.data = self.base + "/data"
            os.chown(self.base, self.uid, self.gid)
            return
        self.base = self.root = tempfile.mkdtemp(prefix="pgkeel-lint-")
        os.chmod(self.root, 0o755)
        subprocess.run([os.path.join(runner.ROOT, "hack", "pgimages"), "unpack",
                        "postgres:%d" % self.major, self.root], check=True, stdout=self.log,
                       stderr=self.log)
        for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
            path = os.path.join(self.root, "dev", name)
            if not os.path.exists(path):
                os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
                os.chmod(path, 0o666)
        with open(os.path.join(self.root, "etc", "passwd")) as accounts:
            entry = next(a for a in accounts if a.startswith("postgres:")).split(":")
        self.uid, self.gid = int(entry[2]), int(entry[3])
        self.bin = "/usr/lib/postgresql/%d/bin" % self.major
        self.data = "/var/lib/postgresql/data"
        os.chown(self.root + "/var/lib/postgresql", self.uid, self.gid)

    def _command(self, program, *args):
        if self.root:
            return ["chroot", "--userspec=%d:%d" % (self.uid, self.gid), self.root,
                    "%s/%s" % (self.bin, program), *args]
        return ["setpriv", "--reuid=%d" % self.uid, "--regid=%d" % self.gid, "--clear-groups",
                "%s/%s" % (self.bin, program), *args]

    def _run(self, program, *args):
        subprocess.run(self._command(program, *args), check=True, stdout=self.log, stderr=self.log,
                       cwd="/")

    def connect(self, database="postgres"):
        try:
            return Connection("127.0.0.1", "postgres", "", database, port=self.port, tls=False)
        except (OSError, Lost) as error:
            raise runner.Failed(str(error)) from None

    def dsn(self, database):
        return "host=127.0.0.1 port=%d user=postgres dbname=%s" % (self.port, database)

    def stop(self):
        # Fast: a smart shutdown would wait for what a failed test left connected.
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        shutil.rmtree(self.base, ignore_errors=True)


def majors():
    if os.geteuid() != 0:
        return []
    return [m for m in (15, 17) if m == 17 or os.access("/usr/lib/postgresql/%d/bin/initdb" % m,
                                                        os.X_OK)]


def server(major):
    if major not in _running:
        _running[major] = Server(major)
    return _running[major]
