"""
The commands of runbooks/*.md, exactly as a person pastes them: lines of ```sh blocks (the whole
block, where a line sets a variable), and `kubectl ...` and `pgkeel ...` in the text. migrations.md
is SQL, which the lint suite runs.
"""
import glob
import os
import re
import subprocess
import tempfile

from . import runner

FOLDER = os.path.join(runner.ROOT, "runbooks")
_FENCE = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```$", re.M | re.S)
_claimed = {}  # (page, command) -> title of the test that pastes it


def pages():
    return sorted(set(os.path.basename(path) for path in glob.glob(os.path.join(FOLDER, "*.md")))
                  - {"migrations.md"})


def commands(page):
    """In their order."""
    with open(os.path.join(FOLDER, page)) as source:
        text = source.read()
    found = []
    for fence in _FENCE.finditer(text):
        if fence.group(1) == "sh":
            lines = [line.strip() for line in fence.group(2).replace("\\\n", " ").splitlines()
                     if line.strip() and not line.lstrip().startswith("#")]
            # Lines that share a variable are pasted together.
            together = any(re.match(r"\w+=", line) for line in lines)
            found += [(fence.start(), each) for each in (["\n".join(lines)] if together else lines)]
    prose = _FENCE.sub(lambda fence: " " * len(fence.group(0)), text)
    for inline in re.finditer(r"`([^`]+)`", prose):
        words = inline.group(1).split()
        if words[0] in ("kubectl", "pgkeel") and len(words) > 2:
            found.append((inline.start(), " ".join(words)))
    return [command for _, command in sorted(found, key=lambda each: each[0])]


def command(page, start):
    """The one command of a page that begins so."""
    found = sorted({c for c in commands(page) if c.startswith(start)})
    if len(found) != 1:
        raise runner.Failed("runbooks/%s has %d commands that begin with '%s', not 1; all: %s"
                            % (page, len(found), start, "\n    ".join([""] + commands(page))))
    return found[0]


def claims(page, *starts):
    """
    Above a test: these commands are run by it, through paste(). The test fails if one was not.
    """
    def register(function):
        wanted = [(page, start) for start in starts]

        def run():
            _pasted.clear()
            function()
            left = [each for each in wanted if command(*each) not in _pasted]
            runner.check(not left, "the test claims to paste %s, and did not", left)
        run.__name__ = function.__name__
        for each in wanted + getattr(function, "claimed", []):
            _claimed.setdefault(each, function.__name__)
        run.claimed = wanted + getattr(function, "claimed", [])
        return run
    return register


_pasted = set()


def unclaimed():
    """What no test pastes, as 'page: command'."""
    taken = {(page, command(page, start)) for page, start in _claimed}
    return ["%s: %s" % (page, each) for page in pages() for each in commands(page)
            if (page, each) not in taken]


def paste(kube, namespace, page, start, timeout=180, check=True, **placeholders):
    """
    Runs the command as it stands in bash, at the root of the project, with kubectl's namespace set
    and capitals replaced: paste(..., NAME="a", NODE="node1"). Returns what it printed.
    """
    text = command(page, start)
    _pasted.add(text)
    placeholders = {"NS": namespace, **placeholders}
    for name in sorted(placeholders, key=len, reverse=True):
        text = re.sub(r"\b%s\b" % name, placeholders[name], text)
    left = re.search(r"\b(NAME|NODE|FILE|NS|NAMESPACE|REASON)\b", text)
    runner.check(left is None, "'%s' still has a placeholder", text)
    with tempfile.TemporaryDirectory(prefix="pasted-") as folder:
        _programs(kube, namespace, folder)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=runner.ROOT, timeout=timeout,
            capture_output=True, text=True, check=False,
            env={**os.environ, "PATH": folder + ":" + os.environ["PATH"],
                 "KUBECACHEDIR": kube.kubectl_cache})
    if check and done.returncode != 0:
        raise runner.Failed("runbooks/%s: '%s' ends with %d: %s"
                            % (page, text, done.returncode, (done.stdout + done.stderr)[-2000:]))
    return done.stdout


def _programs(kube, namespace, folder):
    """kubectl and pgkeel as a person has them on the PATH."""
    config = os.path.join(folder, "kubeconfig")
    with open(kube.kubeconfig) as source, open(config, "w") as out:
        out.write(source.read())
    words = " ".join("'%s'" % word for word in kube.kubectl_words)
    for name, line in (("kubectl", "%s --kubeconfig '%s' \"$@\"" % (words, config)),
                       ("pgkeel", "'%s' \"$@\"" % runner.PGKEEL)):
        path = os.path.join(folder, name)
        with open(path, "w") as out:
            out.write("#!/bin/sh\nexec %s\n" % line)
        os.chmod(path, 0o755)
    subprocess.run([os.path.join(folder, "kubectl"), "config", "set-context", "--current",
                    "--namespace=" + namespace], check=True, capture_output=True)
