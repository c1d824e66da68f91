"""Programs under test: started with their output in a file, always ended by their own pid."""
import os
import signal
import subprocess
import threading
import time

from . import runner

_running = []
_lock = threading.Lock()


class Process:
    def __init__(self, arguments, log, env=None, sink=None):
        """`sink`: a descriptor that takes the output instead of the file `log`."""
        self.log_path = log
        os.makedirs(os.path.dirname(log), exist_ok=True)
        self._log = open(log, "ab")
        self.started = time.monotonic()
        self.process = subprocess.Popen(arguments, stdout=self._log if sink is None else sink,
                                        stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL,
                                        env={**os.environ, **(env or {})})
        self.pid, self.owner = self.process.pid, os.getpid()
        with _lock:
            _running.append(self)

    def alive(self):
        if self.owner == os.getpid():
            return self.process.poll() is None
        # A worker of the suite: only the parent can wait for it.
        try:
            with open("/proc/%d/stat" % self.pid) as source:
                return source.read().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    def signal(self, number):
        if self.alive():
            os.kill(self.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self._ended(60)

    def terminate(self, seconds=60):
        """SIGTERM; returns the exit code, fails when it stays."""
        self.signal(signal.SIGTERM)
        return self._ended(seconds)

    def wait(self, seconds):
        return self._ended(seconds)

    def _ended(self, seconds):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise runner.Failed("pid %d did not end within %g s; its log: %s"
                                % (self.pid, seconds, self.log_path)) from None
        finally:
            with _lock:
                if self in _running:
                    _running.remove(self)
        self._log.close()
        return code

    def log(self, tail=60):
        with open(self.log_path, errors="replace") as source:
            return "\n".join(source.read().splitlines()[-tail:])

    def memory(self):
        """Bytes: {'rss', 'private', 'pss'}."""
        return memory(self.pid)

    def woken(self):
        """How often it has gone to sleep; None: it runs, or would if it had a processor."""
        try:
            with open("/proc/%d/status" % self.pid) as source:
                status = dict(line.split(":", 1) for line in source)
        except (OSError, ValueError):
            return 0
        if status["State"].split()[0] in "RD":
            return None
        return int(status.get("voluntary_ctxt_switches", 0))

    def cpu_seconds(self):
        return cpu_seconds(self.pid)


def memory(pid):
    found = {}
    with open("/proc/%d/smaps_rollup" % pid) as source:
        for line in source:
            name, _, rest = line.partition(":")
            if rest.strip().endswith("kB"):
                found[name] = int(rest.split()[0]) * 1024
    return {"rss": found["Rss"], "pss": found["Pss"],
            "private": found["Private_Clean"] + found["Private_Dirty"],
            "private_dirty": found["Private_Dirty"]}


def resident(pid, ranges):
    """KiB in memory of the mappings that begin in one of these ranges of addresses."""
    kib, inside = 0, False
    with open("/proc/%d/smaps" % pid) as source:
        for line in source:
            first, _, rest = line.partition(" ")
            if not first.endswith(":"):
                start = int(first.split("-")[0], 16)
                inside = any(low <= start < high for low, high in ranges)
            elif inside and first == "Rss:":
                kib += int(rest.split()[0])
    return kib


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as source:
        fields = source.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end_all():
    """Those that this very process started: a worker has inherited the list, not the children."""
    for each in [each for each in _running if each.owner == os.getpid()]:
        try:
            each.kill()
        except runner.Failed:
            pass


runner.suite.cleanup.append(end_all)
