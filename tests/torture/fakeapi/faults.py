"""The unfair part: rules that say which request meets which trouble, and how often."""
import os
import re
import signal
import threading

WRITES = ("POST", "PUT", "PATCH", "DELETE")

# Which writes count for `kill`: not the operator's heartbeat, and not Events (fire and forget).
COUNTED = re.compile(r"^(?!.*/events(/|$))(?!.*/leases/pgkeel-controller)")


class Rule:
    """
    One trouble. Members of the JSON form, all optional but `do`:
      do      status | drop | drop-after | stall | late | split | truncate | kill | expire
      verb    get list watch create update patch apply delete, or `write`, or `read`
      path    regular expression on the request path
      agent   regular expression on the User-Agent
      skip    let so many matching requests pass first
      times   then strike so often (default 1; 0: for ever)
      code, retry_after, message    for `status`
      seconds                       for `stall` (0: until the client gives up) and `late`
      bytes                         for `split` (chunk size) and `truncate` (bytes let through)
      pid                           for `kill`: SIGKILL right after the write was stored
    """

    def __init__(self, spec):
        unknown = set(spec) - {"do", "verb", "path", "agent", "skip", "times", "code",
                               "retry_after", "message", "seconds", "bytes", "pid"}
        if unknown or spec.get("do") not in ("status", "drop", "drop-after", "stall", "late",
                                             "split", "truncate", "kill", "expire"):
            raise ValueError("not a fault: %r" % (spec,))
        self.do = spec["do"]
        self.verb = spec.get("verb")
        self.path = re.compile(spec.get("path", "")) if self.do != "kill" or "path" in spec \
            else COUNTED
        self.agent = re.compile(spec.get("agent", ""))
        self.skip, self.times = spec.get("skip", 0), spec.get("times", 1)
        self.code, self.message = spec.get("code", 500), spec.get("message", "scripted fault")
        self.retry_after = spec.get("retry_after")
        self.seconds, self.bytes = spec.get("seconds", 0), spec.get("bytes", 1)
        self.pid = spec.get("pid")
        self.struck = 0

    def matches(self, verb, path, agent):
        if self.times and self.struck >= self.times:
            return False
        if self.verb == "write" or (self.do == "kill" and not self.verb):
            if verb not in ("create", "update", "patch", "apply", "delete"):
                return False
        elif self.verb == "read":
            if verb not in ("get", "list", "watch"):
                return False
        elif self.verb and self.verb != verb:
            return False
        if not self.path.search(path) or not self.agent.search(agent):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.struck += 1
        return True


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.rules = []
        self.open = threading.Event()  # cleared: nobody is answered
        self.open.set()
        self.tokens = None             # None: any token or none will do
        self.killed = threading.Event()

    def add(self, spec):
        with self.lock:
            rule = Rule(spec)
            self.rules.append(rule)
            return rule

    def clear(self):
        with self.lock:
            self.rules = []
            self.tokens = None
            self.killed.clear()
        self.open.set()

    def find(self, verb, path, agent, kinds=None):
        """The first rule that strikes this request, or None."""
        with self.lock:
            for rule in self.rules:
                if (rule.do == "kill") == (kinds == "kill") and rule.matches(verb, path, agent):
                    return rule
        return None

    def after_write(self, verb, path, agent):
        """Called with the store locked, before the client learns of its success."""
        rule = self.find(verb, path, agent, "kill")
        if rule is not None:
            if rule.pid:
                os.kill(rule.pid, signal.SIGKILL)
            self.killed.set()
        return rule is not None
