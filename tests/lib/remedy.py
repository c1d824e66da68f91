"""The commands in an `unblock` text, run as a person would who pastes them."""
import os
import re
import shlex
import subprocess

from lib import runner


def commands(text):
    """
    Every command in it: from a `kubectl ` that begins the text or a part of it (after '; ' or ': ')
    to the next '; ' or the end.
    """
    return [part[part.index("kubectl "):] for part in text.split("; ")
            if re.search(r"(^|: )kubectl ", part)]


def run(kube, command, folder=None, dry=False, check=True):
    """Pastes it into a shell whose kubectl leads to this API server."""
    words = [*kube.kubectl_words, "--kubeconfig", kube.kubeconfig]
    line = "kubectl() { %s \"$@\"%s; }\n%s" % (
        shlex.join(words), " --dry-run=server" if dry else "", command)
    done = subprocess.run(["bash", "-euc", line], capture_output=True, text=True, timeout=60,
                          cwd=folder, env={**os.environ, "KUBECACHEDIR": kube.kubectl_cache})
    if check and done.returncode != 0:
        raise runner.Failed("%s: %s" % (command, done.stderr.strip()))
    return done.stdout if check else done
