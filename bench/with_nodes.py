"""What needs pods: the full test cluster, with images loaded before."""
import os
import sys
import time

from lib import process, runner

sys.path.insert(0, os.path.join(runner.ROOT, "tests", "e2e"))
MIB = 2**20


def start(table, options):
    """From apply to the conditions that say so, as a watch sees them. Warm: the first start, in which
    the operator may still be waiting for its lease and the nodes read images from disk, does not
    count; and each begins when the pods of the one before are gone."""
    import rig
    primary, streaming, ready = samples = [], [], []
    for _ in range(options.runs + 1):
        with rig.namespace() as where:
            cluster = rig.Cluster(where)
            begun = time.monotonic()
            cluster.apply(2)
            for name, figures in zip(("PrimaryReady", "ReplicasStreaming", "Ready"), samples):
                rig.kube().condition(where, "a", name, 120)
                figures.append(time.monotonic() - begun)
        for pod in ("a-1-0", "a-2-0"):
            rig.kube().gone("Pod", where, pod, 120)
    for figures in samples:
        del figures[0]
    table.add("apply -> primary Ready", "s", primary, 5)
    table.add("apply -> replica streaming", "s", streaming, 10)
    table.add("apply -> Ready", "s", ready)


STARTING_SECONDS = 8  # what only an agent's start needs goes back some seconds after postgres is up


def agent(table, options):
    import rig
    from service import agent_pid
    starting, rss, private = [], [], []
    with rig.namespace() as where:
        cluster = rig.Cluster(where)
        cluster.apply(2)
        cluster.ready()
        pids = [agent_pid(cluster, i) for i in ("1", "2")]
        _watch(pids, STARTING_SECONDS, starting, [])
        before = [process.cpu_seconds(pid) for pid in pids]
        took = _watch(pids, options.seconds, rss, private)
        cpu = [1000 * (process.cpu_seconds(pid) - b) / took for pid, b in zip(pids, before)]
    table.add("agent: RSS just after Ready", "MiB", starting)
    table.add("agent: RSS at rest", "MiB", rss, 6)
    table.add("agent: private memory at rest", "MiB", private)
    table.add("agent: CPU at rest", "millicores", cpu)


def _watch(pids, seconds, rss, private):
    """Looks at them twice a second; returns how long it looked."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        for pid in pids:
            memory = process.memory(pid)
            rss.append(memory["rss"] / MIB)
            private.append(memory["private"] / MIB)
        time.sleep(0.5)
    return time.monotonic() - begun


PARTS = {"start": start, "agent": agent}
