#!/usr/bin/env python3
"""A scripted Kubernetes API server for tests. See README.md beside this file."""
import argparse
import json
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fakeapi import kinds, server, simulate, store  # noqa: E402

KUBECONFIG = """apiVersion: v1
kind: Config
current-context: scripted
clusters: [{name: scripted, cluster: {server: "%s"}}]
users: [{name: scripted, user: {token: "%s"}}]
contexts: [{name: scripted, context: {cluster: scripted, user: scripted, namespace: %s}}]
"""


def write_kubeconfig(path, url, namespace="default", token="scripted"):
    with open(path + ".tmp", "w") as out:
        os.chmod(path + ".tmp", 0o600)
        out.write(KUBECONFIG % (url, token, namespace))
    os.rename(path + ".tmp", path)


def load_objects(where, path):
    """JSON: one object, a list, or a List. YAML too, where python3-yaml is there."""
    with open(path) as source:
        text = source.read()
    try:
        documents = [json.loads(text)]
    except ValueError:
        import yaml
        documents = [d for d in yaml.safe_load_all(text) if d]
    for document in documents:
        items = document if isinstance(document, list) else document.get("items", [document])
        for obj in items:
            kind = kinds.BY_KIND[obj["kind"]]
            namespace = obj["metadata"].get("namespace", "default") if kind.namespaced else None
            where.create(kind, namespace, obj, "kubectl-create")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--kubeconfig", help="write one that points here")
    parser.add_argument("--namespace", action="append", default=[], help="make it (default exists)")
    parser.add_argument("--load", action="append", default=[], help="objects, JSON or YAML")
    parser.add_argument("--simulate", action="store_true",
                        help="play volumes, StatefulSets, pods and agents")
    parser.add_argument("--fault", action="append", default=[], help="a rule as JSON")
    parser.add_argument("--minor", type=int, default=37, help="the server's minor version")
    parser.add_argument("--no-watch-list", action="store_true", help="refuse sendInitialEvents")
    parser.add_argument("--bookmark-seconds", type=float, default=60)
    options = parser.parse_args()

    objects = store.Store()
    for name in ["default", "kube-system"] + options.namespace:
        objects.create(kinds.BY_KIND["Namespace"], None, {"metadata": {"name": name}}, "kubectl")
    for path in options.load:
        load_objects(objects, path)
    serving = server.Server(objects, options.port, options.minor, not options.no_watch_list)
    serving.bookmark_seconds = options.bookmark_seconds
    for spec in options.fault:
        serving.faults.add(json.loads(spec))
    serving.start()
    if options.simulate:
        simulate.Simulation(objects).start()
    if options.kubeconfig:
        write_kubeconfig(options.kubeconfig, serving.url)
    print("listening on %s" % serving.url, flush=True)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    serving.stop()


if __name__ == "__main__":
    main()
