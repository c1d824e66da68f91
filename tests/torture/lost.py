"""The primary's data is gone: what status tells a person to do leads to a primary again."""
import shlex

from harness import NAMESPACE, Rig, ready_state
from lib import remedy
from lib.runner import check, equal, test


def waited_for(rig, reason):
    """What status says of the primary's data, once it says how to go on without it."""
    return rig.until(lambda: next((each for each in rig.cluster()["status"].get("waitingFor", [])
                                   if each["reason"] == reason and each.get("unblock")), None),
                     60, "a wait with reason " + reason)


def paste(rig, text):
    """As kubectl would, which takes its time over each: the commands that come up here, and no
    others."""
    for command in [one for each in remedy.commands(text) for one in each.split(" && ")]:
        rig.quiet()
        words = shlex.split(command)
        equal(words[:3], ["kubectl", "-n", NAMESPACE], "how it begins: %s" % command)
        flags = [word for word in words if word.startswith("--")]
        verb, kind, *names = [word for word in words[3:] if word not in flags]
        kind = {"pvc": "PersistentVolumeClaim", "pod": "Pod", "lease": "Lease"}[kind]
        if verb == "delete":
            for name in names:
                rig.delete(kind, name)
        else:
            equal((verb, flags), ("annotate", ["--overwrite"]), "the command: %s" % command)
            key, _, value = names[1].partition("=")
            rig.edit(kind, names[0], {"metadata": {"annotations": {key: value}}})


def goes_on(rig, reason):
    found = waited_for(rig, reason)
    check("a-2" in found["unblock"], "it does not name the data to go on with: %s", found)
    paste(rig, found["unblock"])
    rig.until(lambda: (rig.get("Lease", "a-primary") or {}).get("spec", {}).get(
        "holderIdentity", "").startswith("a-2/"), 60, "a-2 holds the lease")
    rig.ready()
    for name in ("a-1-data", "a-1-wal"):
        check(rig.get("PersistentVolumeClaim", name) is not None, "claim %s is not there", name)


def in_use(rig):
    """What Kubernetes does to the claims of a pod that runs: they go when it has gone."""
    for name in ("a-1-data", "a-1-wal"):
        rig.edit("PersistentVolumeClaim", name,
                 {"metadata": {"finalizers": ["kubernetes.io/pvc-protection"]}})
    rig.quiet()


def uid(rig, name):
    return rig.get("PersistentVolumeClaim", name)["metadata"]["uid"]


@test("A primary's lost volume: the commands that status has make a replica lead")
def _lost():
    for name in ("a-1-data", "a-1-wal"):
        with Rig(ready_state(2)) as rig:
            rig.operator()
            in_use(rig)
            rig.simulation.lost.add(uid(rig, name))
            rig.edit("PersistentVolumeClaim", name, {"metadata": {"labels": {"touched": "yes"}}})
            goes_on(rig, "VolumeLost")


@test("A primary's empty volume: the commands that status has make a replica lead")
def _emptied():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        in_use(rig)
        rig.simulation.disks.pop(uid(rig, "a-1-data"))
        rig.edit("Pod", "a-1-0", {"metadata": {"labels": {"touched": "yes"}}})
        goes_on(rig, "DataVolumeEmpty")
