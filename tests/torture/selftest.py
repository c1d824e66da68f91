"""The scripted server keeps the promises that the other tests here stand on."""
import http.client
import json

from harness import NAMESPACE, Rig
from lib.runner import check, equal, test

APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
HERE = "/api/v1/namespaces/%s/configmaps" % NAMESPACE
FORCED = "?fieldManager=pgkeel&force=true"


def ask(rig, method, path, body=None, content="application/json", **headers):
    wire = http.client.HTTPConnection(*rig.server.server_address, timeout=60)
    wire.request(method, path, json.dumps(body) if body is not None else None,
                 {"Content-Type": content, "User-Agent": "person/1", **headers})
    answer = wire.getresponse()
    return answer.status, json.loads(answer.read() or b"null")


def config(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


@test("The scripted server: applying the same twice keeps the resourceVersion")
def _noop():
    with Rig(simulate_rest=False) as rig:
        first = ask(rig, "PATCH", HERE + "/c" + FORCED, config(a="1", b="2"), APPLY)
        equal(first[0], 201, "code of the first apply")
        equal(ask(rig, "PATCH", HERE + "/c" + FORCED, config(a="1", b="2"), APPLY), (200, first[1]),
              "second apply")


@test("The scripted server: a field that is applied no more goes, unless somebody else owns it")
def _removal():
    with Rig(simulate_rest=False) as rig:
        ask(rig, "PATCH", HERE + "/c" + FORCED, config(a="1", b="2", c="3"), APPLY)
        ask(rig, "PATCH", HERE + "/c", {"data": {"c": "theirs", "d": "4"}}, MERGE)
        _, obj = ask(rig, "PATCH", HERE + "/c" + FORCED, config(a="1"), APPLY)
        equal(obj["data"], {"a": "1", "c": "theirs", "d": "4"}, "data")
        equal(sorted(m["manager"] for m in obj["metadata"]["managedFields"]), ["person", "pgkeel"],
              "managers")


@test("The scripted server: list items merge by key and go by key")
def _items():
    claim = lambda *env: {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"},
                          "spec": {"replicas": 0, "selector": {"matchLabels": {"x": "y"}},
                                   "template": {"spec": {"containers": [
                                       {"name": "c", "image": "i", "env": [
                                           {"name": n, "value": v} for n, v in env]}]}}}}
    path = "/apis/apps/v1/namespaces/%s/statefulsets/s" % NAMESPACE
    with Rig(simulate_rest=False) as rig:
        ask(rig, "PATCH", path + FORCED, claim(("A", "1"), ("B", "2")), APPLY)
        _, obj = ask(rig, "PATCH", path + FORCED, claim(("B", "3"), ("C", "4")), APPLY)
        equal(obj["spec"]["template"]["spec"]["containers"][0]["env"],
              [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}], "env")
        equal(obj["metadata"]["generation"], 2, "generation")
        obj["spec"]["serviceName"] = "other"
        code, status = ask(rig, "PUT", path, obj)
        equal((code, status["reason"]), (422, "Invalid"), "changing an immutable field")


@test("The scripted server: stale replaces, wrong uids and unforced conflicts are refused")
def _conflicts():
    with Rig(simulate_rest=False) as rig:
        _, obj = ask(rig, "POST", HERE, config(a="1"))
        ask(rig, "PATCH", HERE + "/c", {"data": {"a": "2"}}, MERGE)
        equal(ask(rig, "PUT", HERE + "/c", obj)[1]["reason"], "Conflict", "stale replace")
        equal(ask(rig, "PATCH", HERE + "/c?fieldManager=x", config(a="9"), APPLY)[1]["reason"],
              "Conflict", "unforced apply")
        bad = config(a="9")
        bad["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555"
        equal(ask(rig, "PATCH", HERE + "/c" + FORCED, bad, APPLY)[0], 422, "apply on a wrong uid")
        equal(ask(rig, "DELETE", HERE + "/c", {"preconditions": {"uid": "no"}})[0], 409, "delete")
        equal(ask(rig, "POST", HERE, config())[1]["reason"], "AlreadyExists", "second create")


@test("The scripted server: a watch tells every change once, bookmarks, and 410 for the past")
def _watch():
    with Rig(simulate_rest=False, watch_list=True) as rig:
        rig.server.bookmark_seconds = 0.3
        rig.make("ConfigMap", NAMESPACE, "c", metadata={"labels": {"x": "1"}})
        wire = http.client.HTTPConnection(*rig.server.server_address, timeout=60)
        wire.request("GET", HERE + "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                     "&resourceVersionMatch=NotOlderThan&labelSelector=x%3D1")
        lines = wire.getresponse()
        kinds = [json.loads(lines.readline()) for _ in range(2)]
        equal([k["type"] for k in kinds], ["ADDED", "BOOKMARK"], "first events")
        old = kinds[1]["object"]["metadata"]["resourceVersion"]
        told = lambda: json.loads(lines.readline())["type"]

        def change():
            """Bookmarks come by the clock, so before it too where the machine is slow."""
            return next(each for each in iter(told, None) if each != "BOOKMARK")
        rig.edit("ConfigMap", "c", {"data": {"a": "1"}})
        equal(change(), "MODIFIED", "event of a change")
        rig.edit("ConfigMap", "c", {"metadata": {"labels": {"x": "2"}}})
        equal(change(), "DELETED", "event of leaving the selector")
        equal(told(), "BOOKMARK", "event at rest")
        rig.store.compact()
        wire = http.client.HTTPConnection(*rig.server.server_address, timeout=60)
        wire.request("GET", HERE + "?watch=1&resourceVersion=" + old)
        event = json.loads(wire.getresponse().readline())
        equal((event["type"], event["object"]["code"]), ("ERROR", 410), "watch from the past")


@test("The scripted server: children go with their owner, volumes once nobody mounts them")
def _collection():
    with Rig() as rig:
        owner = rig.make("ConfigMap", NAMESPACE, "owner")
        reference = {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
                                          "uid": owner["metadata"]["uid"]}]}
        rig.make("Secret", NAMESPACE, "child", metadata=reference)
        rig.make("Secret", NAMESPACE, "orphan")
        rig.make("PersistentVolumeClaim", NAMESPACE, "disk", metadata=reference, spec={
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}})
        rig.until(lambda: rig.get("PersistentVolumeClaim", "disk")["status"]["phase"] == "Bound", 30,
                  "the volume to bind")
        rig.delete("ConfigMap", "owner")
        rig.until(lambda: rig.get("PersistentVolumeClaim", "disk") is None, 30, "the volume to go")
        check(rig.get("Secret", "child") is None, "the child stayed")
        check(rig.get("Secret", "orphan") is not None, "the orphan went")
