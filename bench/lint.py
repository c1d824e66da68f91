"""
The migration linter beside squawk (squawk-cli, installed by pip into the cache), in one run.
Each figure is a process from start to exit, output thrown away.
"""
import os
import subprocess
import sys
import tempfile
import time

from lib import runner

MIB = 2**20
SQUAWK = "2.70.0"


def squawk():
    """Its program, or None where it cannot be had."""
    where = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "pgkeel",
                         "squawk-" + SQUAWK)
    program = os.path.join(where, "bin", "squawk")
    if not os.access(program, os.X_OK):
        try:
            subprocess.run([sys.executable, "-m", "venv", where], check=True, timeout=120)
            subprocess.run([os.path.join(where, "bin", "pip"), "install", "-q",
                            "squawk-cli==" + SQUAWK], check=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            print("squawk is left out: %s" % error)
            return None
    return program


def measure(command, times):
    """Seconds of each run; where there are several, a first one that reads from disk is left out."""
    seconds = []
    for _ in range(times + (times > 1)):
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process.wait()
        seconds.append(time.monotonic() - begun)
    return seconds[-times:]


def peak(command):
    """Peak memory in MiB, read while it runs: what wait4() tells begins with this process's own."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen = 0
    while process.poll() is None:
        try:
            with open("/proc/%d/status" % process.pid) as status, \
                    open("/proc/%d/comm" % process.pid) as name:
                lines = [line for line in status if line.startswith("VmHWM:")]
                if lines and name.read().strip() == os.path.basename(command[0])[:15]:
                    seen = max(seen, int(lines[0].split()[1]) / 1024)
        except (OSError, ProcessLookupError):
            pass
    return seen


def statement(number):
    return ("ALTER TABLE accounts_%d ADD COLUMN column_%d integer NOT NULL DEFAULT %d;\n"
            % (number % 100, number, number))


def write(path, count):
    with open(path, "w") as out:
        out.write("SET lock_timeout = '1s';\n")
        out.writelines(statement(n) for n in range(count))


def lint(table, options):
    other = squawk()
    ours = [runner.PGKEEL, "lint"]
    with tempfile.TemporaryDirectory() as where:
        small, large = os.path.join(where, "small.sql"), os.path.join(where, "large.sql")
        write(small, 3)
        write(large, 20000)
        many = os.path.join(where, "many")
        os.mkdir(many)
        files = []
        for number in range(1000):
            files.append(os.path.join(many, "V%d__x.sql" % number))
            write(files[-1], 9)
        table.add("lint: one small file", "ms", [1000 * s for s in measure([*ours, small], 50)], 3)
        if other:
            table.add("  squawk, one small file", "ms",
                      [1000 * s for s in measure([other, small], 20)])
        table.add("lint: 1,000 files of 10 statements", "s", measure([*ours, many], 15), 0.12)
        if other:
            table.add("  squawk, 1,000 files", "s", measure([other, *files], 3))
        table.add("lint: one file of 20,000 statements", "s", measure([*ours, large], 15), 0.25)
        if other:
            table.add("  squawk, 20,000 statements", "s", measure([other, large], 1))
        table.add("lint: 20,000 statements, all its memory", "MiB", [peak([*ours, large])], 16)
        for count in (10000, 100000, 1000000):
            write(large, count)
            table.add("lint: %d statements, each" % count, "us",
                      [1e6 * s / count for s in measure([*ours, large], 3)])
            table.add("lint: %d statements, all its memory" % count, "MiB",
                      [peak([*ours, large])])


PARTS = {"lint": lint}
