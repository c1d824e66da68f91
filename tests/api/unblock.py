"""What status advises can be pasted: every text of tests/golden/unblock, in a real API server."""
import os
import re
import shlex

import rig
from lib import names, remedy
from lib.runner import Failed, ROOT, check, test

TEXTS = os.path.join(ROOT, "tests", "golden", "unblock", "expected.txt")
# Their pods run nowhere: that the API server gets as far as the node is all there is to see.
WITHOUT_NODES = re.compile(r"does not have a host assigned|pod a-\d-0 is not scheduled|"
                           r"previous terminated container|ContainerCreating")


def texts(where):
    with open(TEXTS) as source:
        for line in source:
            reason, text = line.rstrip("\n").split("\t")
            yield reason, text.replace(" -n n ", " -n %s " % where).replace(
                "namespace n ", "namespace %s " % where)


def paste(kube, where, folder, command):
    """Runs what only reads, and what writes as far as the API server does without storing it."""
    words = shlex.split(command.split(" -- ")[0].split(" > ")[0])
    verb = [w for w in words[1:] if not w.startswith("-") and w != where][0]
    if verb == "edit":
        command = "KUBE_EDITOR=true " + command
    writes = verb in ("delete", "patch", "annotate", "create", "taint", "scale")
    done = remedy.run(kube, command, folder, dry=writes, check=False)
    if done.returncode == 0 or (verb in ("logs", "exec")
                                and WITHOUT_NODES.search(done.stderr + done.stdout)):
        return
    raise Failed("%s: %s" % (command, done.stderr.strip() or done.stdout.strip()))


@test("Every command that status advises works when it is pasted", long=True)
def _paste():
    kube = rig.kube()
    with rig.at_rest() as where:
        folder = os.path.join(rig.WHERE, "paste-" + where)
        os.makedirs(folder, exist_ok=True)
        for name in ("tls.crt", "tls.key", "ca.crt", "ca.key"):
            with open(os.path.join(folder, name), "w") as out:
                out.write("content\n")
        made = [("StorageClass", "fast", {"provisioner": "example.com/none"}),
                ("Node", "node-1", {})]
        # The commands are for one of these: others' tests may make a node or class of the name.
        for kind, name, members in made:
            if kube.get(kind, None, name) is None:
                kube.make(kind, None, name, **members)
        count, faults, pasted = 0, [], set()
        try:
            for reason, text in texts(where):
                for command in remedy.commands(text):
                    count += 1
                    if command in pasted:
                        continue
                    pasted.add(command)
                    secret = re.search(r"secret (mine)\b", command)
                    if secret and " create " not in command and not kube.get("Secret", where, "mine"):
                        kube.make("Secret", where, "mine", stringData={"password": "x"})
                    elif " create " in command and kube.get("Secret", where, "mine"):
                        kube.delete("Secret", where, "mine")
                    try:
                        paste(kube, where, folder, command)
                    except Failed as fault:
                        faults.append("%s: %s" % (reason, fault))
        finally:
            for kind, name, _ in made:
                kube.delete(kind, None, name)
        check(count > 100, "only %d commands were found", count)
        check(not faults, "%d of %d commands do not work:\n%s", len(faults), count,
              "\n".join(faults))
        check(names.condition(kube.get("PostgresCluster", where, "a"), "Ready"), "no status is left")
