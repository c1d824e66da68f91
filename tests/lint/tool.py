"""The linter as a process."""
import functools
import json
import os
import subprocess

from lib import runner


def lint(*args, text=None, cwd=None):
    """(exit code, stdout, stderr)"""
    data = text.encode() if isinstance(text, str) else text
    done = subprocess.run([runner.PGKEEL, "lint", *args], input=data or b"", cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def findings(text, *args):
    """What is found in a text: [(rule, line, column)]"""
    code, out, err = lint("--format", "json", *args, "-", text=text)
    runner.check(code in (0, 1, 2) and not err, "exit code %d: %s", code, err)
    return [(f["rule"], f["line"], f["column"]) for f in json.loads(out)["findings"]]


def ids(text, *args):
    return [f[0] for f in findings(text, *args)]


@functools.lru_cache(None)
def rules():
    return json.loads(lint("--list", "--format", "json")[1])


UPDATE = bool(os.environ.get("PGKEEL_LINT_UPDATE"))
