"""From a spec to objects: all there, once, owned, and put right."""
import base64
import json

import rig
from lib import deploy, names
from lib.runner import check, equal, never, test, wait_for

CASCADE = "Background"


@test("Applying a cluster makes all its children within seconds, labelled and owned")
def _made():
    with rig.namespace() as where:
        rig.operator()
        uid = rig.kube().apply(names.cluster("a", where))["metadata"]["uid"]
        rig.created(where, "a", seconds=60)
        for label, obj in rig.children(where, "a").items():
            meta = obj["metadata"]
            equal(meta["labels"].get("app.kubernetes.io/managed-by"), "pgkeel", label)
            equal(meta["labels"].get(names.CLUSTER), "a", label)
            owners = [o["uid"] for o in meta.get("ownerReferences", []) if o.get("controller")]
            # Volumes and the credentials that belong to the data outlive the cluster.
            kept = label.startswith("PersistentVolumeClaim/") or label in (
                "Secret/a-superuser", "Secret/a-app", "Secret/a-replication", "Secret/a-ca")
            equal(owners, [] if kept else [uid], "controller of " + label)


@test("Until pods run, Ready is False at this generation, and waitingFor says what for")
def _waiting():
    with rig.namespace() as where:
        rig.operator()
        rig.kube().apply(names.cluster("a", where))
        cluster = rig.kube().condition(where, "a", "Ready", 60, status="False")
        status = rig.kube().wait("PostgresCluster", where, "a", lambda o: (
            (o.get("status") or {}).get("waitingFor") and o["status"]), 60, "an entry in waitingFor")
        for entry in status["waitingFor"]:
            check(entry.get("what") and entry.get("reason"), "an entry says nothing: %s", entry)
        equal(status["observedGeneration"], cluster["metadata"]["generation"], "observedGeneration")
        # There is no node here: at first time may help, then a person is needed.
        told = [c["type"] for c in status["conditions"]
                if c["type"] in ("Reconciling", "Stalled") and c["status"] == "True"]
        equal(len(told), 1, "Reconciling and Stalled while not Ready: %s" % told)


@test("The application's Secret holds every form of the address, and all of them agree")
def _secret():
    with rig.namespace() as where:
        rig.operator()
        rig.kube().apply(names.cluster("a", where))
        rig.created(where, "a")
        data = {k: base64.b64decode(v).decode()
                for k, v in rig.kube().get("Secret", where, "a-app")["data"].items()}
        host = "a-rw.%s.svc" % where
        equal((data["username"], data["dbname"], data["port"], data["host"]),
              ("app", "app", "5432", host), "parts")
        check(len(data["password"]) >= 20, "a short password")
        for key in ("uri", "DATABASE_URL", "DATABASE_URL_DIRECT"):
            check(data["password"] in data[key] and host in data[key]
                  and data[key].startswith("postgresql://"), "%s is wrong", key)
        check(data["jdbc-uri"].startswith("jdbc:postgresql://" + host), "jdbc-uri is wrong")
        equal(data["pgpass"].strip(), "%s:5432:app:app:%s" % (host, data["password"]), "pgpass")
        text = json.dumps([rig.kube().get("ConfigMap", where, "a-config")] +
                          rig.kube().list("Event", where) + rig.kube().list("StatefulSet", where))
        check(data["password"] not in text, "the password stands in a ConfigMap, Event or template")


@test("Children edited by hand are put right, what others add to them stays")
def _edited():
    kube = rig.kube()
    with rig.at_rest() as where:
        edits = [
            ("Service", "a-rw", {"spec": {"ports": [{"name": "postgres", "port": 5432,
                                                     "targetPort": 9999}]}}),
            ("ConfigMap", "a-config", {"data": {"pg_hba.conf": "# nobody\n"}}),
            ("Role", "a", {"rules": []}),
            ("RoleBinding", "a", {"subjects": []}),
            ("PodDisruptionBudget", "a", {"spec": {"maxUnavailable": 2}}),
            ("StatefulSet", "a-2", {"spec": {"replicas": 0}}),
            ("Service", "a-ro", {"metadata": {"labels": {names.CLUSTER: "other"}}}),
        ]
        for kind, name, patch in edits:
            before = deploy.plain(kube.get(kind, where, name))
            patch.setdefault("metadata", {})["annotations"] = {"example.com/note": "mine"}
            kube.edit(kind, where, name, patch)

            def restored():
                now = deploy.plain(kube.get(kind, where, name))
                note = (now["metadata"].get("annotations") or {}).pop("example.com/note", None)
                for obj in (now, before):
                    obj.pop("status", None)
                return note == "mine" and \
                    {k: v for k, v in now.items() if k != "metadata"} == \
                    {k: v for k, v in before.items() if k != "metadata"} and \
                    now["metadata"]["labels"] == before["metadata"]["labels"]
            wait_for(restored, 60, "%s '%s' to be put right" % (kind, name), every=0.1)
        rig.settled(where, "a")


@test("What somebody adds to its objects goes again, the notes beside it stay")
def _additions():
    kube = rig.kube()
    plain = lambda obj: {k: v for k, v in deploy.plain(obj).items() if k not in ("metadata", "status")}
    with rig.at_rest() as where:
        containers = kube.get("StatefulSet", where, "a-2")["spec"]["template"]["spec"]["containers"]
        for kind, name, patch in (
                ("Service", "a-rw", {"spec": {"externalIPs": ["192.0.2.1"], "sessionAffinity":
                                              "ClientIP", "publishNotReadyAddresses": True}}),
                ("Service", "a-r", {"spec": {"type": "ExternalName", "externalName": "example.com",
                                             "clusterIP": None, "clusterIPs": None}}),
                ("Service", "a-ro", {"spec": {"type": "NodePort", "externalTrafficPolicy": "Local"}}),
                ("ConfigMap", "a-config", {"data": {"more.conf": "x"}}),
                ("PodDisruptionBudget", "a", {"spec": {"maxUnavailable": None, "minAvailable": 9}}),
                ("StatefulSet", "a-2", {"spec": {"minReadySeconds": 7, "template": {"spec": {
                    "containers": containers + [{"name": "sidecar", "image": "localhost/other"}],
                    "nodeSelector": {"disk": "ssd"},
                    "tolerations": [{"operator": "Exists"}]}}}})):
            before = kube.get(kind, where, name)
            kube.edit(kind, where, name, {**patch, "metadata": {"annotations": {"note": "mine"}}})

            def mended():
                now = kube.get(kind, where, name)
                equal(now["metadata"]["annotations"].get("note"), "mine", "a note beside it")
                if "externalName" in patch["spec" if "spec" in patch else "data"]:
                    for obj in (now, before):  # the address went with the type
                        for field in ("clusterIP", "clusterIPs"):
                            obj["spec"].pop(field, None)
                return plain(now) == plain(before)
            wait_for(mended, 60, "%s '%s' to be as it was" % (kind, name), every=0.1)
        wait_for(lambda: [e for e in kube.list("Event", where) if e["reason"] == "DriftRepaired"
                          and "sidecar" in e["note"]], 30, "an Event that names what was added")
        rig.settled(where, "a")


@test("A selector that leads -rw elsewhere goes, and the slices that it left behind")
def _routes():
    kube = rig.kube()
    with rig.at_rest() as where:
        slices = lambda: sorted(s["metadata"]["name"] for s in kube.list("EndpointSlice", where)
                                if s["metadata"]["labels"].get("kubernetes.io/service-name") == "a-rw")
        equal(slices(), ["a-rw"], "slices before")
        kube.edit("Service", where, "a-rw", {"spec": {"selector": {names.CLUSTER: "a"}}})
        kube.wait("Service", where, "a-rw", lambda o: not o["spec"].get("selector"), 30,
                  "the selector to go")
        # Made by hand, without a label of ours; the mirroring controller makes a slice of one.
        if not kube.get("Endpoints", where, "a-rw"):
            kube.make("Endpoints", where, "a-rw", subsets=[{
                "addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 5432}]}])
        kube.make("EndpointSlice", where, "by-hand", addressType="IPv4", endpoints=[
            {"addresses": ["192.0.2.8"]}], metadata={
                "labels": {"kubernetes.io/service-name": "a-rw"}})
        told = lambda o: any(w["reason"] == "EndpointForeign" and "by-hand" in w["message"]
                             for w in (o.get("status") or {}).get("waitingFor", []))
        kube.wait("PostgresCluster", where, "a", told, 60, "status to name the slice")
        wait_for(lambda: slices() == ["a-rw"] and not kube.get("Endpoints", where, "a-rw"), 60,
                 "all that leads -rw elsewhere to go", every=0.2)
        rig.settled(where, "a")
        equal(slices(), ["a-rw"], "slices at the end")


@test("What leads another Service elsewhere, or takes it away from kube-proxy, goes")
def _other_routes():
    kube = rig.kube()
    with rig.at_rest() as where:
        service = lambda s: s["metadata"]["labels"].get("kubernetes.io/service-name")
        kept = lambda: sorted(s["metadata"]["uid"] for s in kube.list("EndpointSlice", where)
                              if service(s) in ("a-ro", "a-r", "a-pods"))
        before = kept()
        check(before, "Kubernetes has made no slices")
        for suffix in ("ro", "r", "pods"):
            kube.make("EndpointSlice", where, "by-hand-" + suffix, addressType="IPv4", endpoints=[
                {"addresses": ["192.0.2.8"]}], metadata={
                    "labels": {"kubernetes.io/service-name": "a-" + suffix}})
        proxies = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")
        kube.edit("Service", where, "a-r", {"metadata": {"labels": {
            **{label: "other" for label in proxies}, "team": "shop"}}})
        labels = lambda: kube.get("Service", where, "a-r")["metadata"]["labels"]
        wait_for(lambda: not set(proxies) & set(labels()), 60, "the labels to go", every=0.2)
        equal(labels().get("team"), "shop", "the label of somebody else")
        wait_for(lambda: kept() == before, 60, "the slices made by hand to go", every=0.2)
        rig.settled(where, "a")
        equal(kept(), before, "the slices that Kubernetes keeps")


@test("Children deleted by hand come back")
def _deleted():
    kube = rig.kube()
    with rig.at_rest() as where:
        for kind, name in names.children("a"):
            if kind in ("PersistentVolumeClaim", "Secret", "Lease"):
                continue
            uid = kube.get(kind, where, name)["metadata"]["uid"]
            kube.delete(kind, where, name)
            kube.wait(kind, where, name, lambda o: o and o["metadata"]["uid"] != uid, 60,
                      "%s '%s' to come back" % (kind, name))


@test("A server certificate that is deleted is made anew by the same authority")
def _certificate():
    kube = rig.kube()
    with rig.at_rest() as where:
        before = kube.get("Secret", where, "a-server")
        kube.delete("Secret", where, "a-server")
        kube.edit("PostgresCluster", where, "a", {"metadata": {"annotations": {"look": "now"}}})
        after = kube.wait("Secret", where, "a-server", lambda o: o and o["metadata"]["uid"] !=
                          before["metadata"]["uid"] and o, 60, "another certificate")
        equal(after["data"]["ca.crt"], before["data"]["ca.crt"], "authority")
        check(after["data"]["tls.crt"] != before["data"]["tls.crt"], "the very same certificate")


@test("Deleting a cluster keeps volumes and credentials; applying it again adopts them")
def _adopted():
    kube = rig.kube()
    rig.collector_knows_clusters()
    with rig.at_rest() as where:
        keep = [(k, n) for k, n in names.children("a") if k == "PersistentVolumeClaim" or
                (k == "Secret" and n in ("a-superuser", "a-app", "a-replication", "a-ca"))]
        before = {x: kube.get(x[0], where, x[1]) for x in keep}
        kube.delete("PostgresCluster", where, "a")
        for kind, name in names.children("a"):
            if (kind, name) not in keep:
                kube.gone(kind, where, name)
        for kind, name in keep:
            obj = kube.get(kind, where, name)
            check(obj is not None and not obj["metadata"].get("deletionTimestamp"),
                  "%s '%s' went with the cluster", kind, name)
        kube.apply(names.cluster("a", where))
        rig.settled(where, "a")
        for kind, name in keep:
            obj = kube.get(kind, where, name)
            equal(obj["metadata"]["uid"], before[kind, name]["metadata"]["uid"], "uid of " + name)
            if kind == "Secret":
                for key in ("password", "ca.key"):
                    equal(obj["data"].get(key), before[kind, name]["data"].get(key),
                          "%s of Secret '%s'" % (key, name))


@test("With retain: false the volumes and credentials go with the cluster")
def _not_retained():
    kube = rig.kube()
    rig.collector_knows_clusters()
    with rig.at_rest(storage={"size": "1Gi", "retain": False}) as where:
        kube.delete("PostgresCluster", where, "a")
        for kind, name in names.children("a"):
            kube.gone(kind, where, name)


@test("retain can be changed afterwards, both ways, and is obeyed as it stands at deletion")
def _retain_changed():
    kube = rig.kube()
    rig.collector_knows_clusters()
    with rig.at_rest(1, storage={"size": "1Gi", "retain": False}) as where:
        kube.edit("PostgresCluster", where, "a", {"spec": {"storage": {"retain": True}}})
        for kind, name in (("PersistentVolumeClaim", "a-1-data"), ("Secret", "a-app")):
            kube.wait(kind, where, name, lambda o: not o["metadata"].get("ownerReferences"), 30,
                      "%s '%s' to be released" % (kind, name))
        rig.settled(where, "a")
        kube.delete("PostgresCluster", where, "a")
        kube.gone("StatefulSet", where, "a-1")
        never(lambda: kube.get("PersistentVolumeClaim", where, "a-1-data")["metadata"].get(
            "deletionTimestamp"), 3, "the end of a volume that was to be kept")


@test("kubectl scale reaches the children, up and down, and down keeps the volumes")
def _scaled():
    kube = rig.kube()
    with rig.at_rest(1) as where:
        kube.kubectl("scale", "-n", where, "pgc/a", "--replicas=3")
        rig.created(where, "a", 3)
        rig.settled(where, "a")
        kube.kubectl("scale", "-n", where, "pgc/a", "--replicas=1")
        kube.gone("StatefulSet", where, "a-3", 20)
        kube.gone("StatefulSet", where, "a-2", 20)
        check(kube.get("PersistentVolumeClaim", where, "a-3-data"), "the volume went")


@test("Growing storage grows the claims, and nothing is ever asked to shrink")
def _grown():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        kube.make("StorageClass", None, "grows-" + where, provisioner="example.com/none",
                  allowVolumeExpansion=True)
        try:
            kube.apply(names.cluster("a", where, 1, storage={
                "size": "1Gi", "storageClass": "grows-" + where}))
            rig.settled(where, "a")
            kube.edit("PostgresCluster", where, "a", {"spec": {"storage": {"size": "2Gi"}}})
            # An unbound claim cannot be resized: the server refuses, and status says so.
            cluster = kube.condition(where, "a", "Ready", 60, status="False")
            check(cluster["status"].get("waitingFor"), "nothing is said about the refused growth")
        finally:
            kube.delete("StorageClass", None, "grows-" + where)


@test("A user's own Secret is used as it is and never written to")
def _own_secret():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        kube.make("Secret", where, "mine", stringData={"password": "correct horse battery"})
        version = kube.get("Secret", where, "mine")["metadata"]["resourceVersion"]
        obj = names.cluster("a", where)
        obj["spec"]["secrets"] = {"app": "mine"}
        kube.apply(obj)
        wait_for(lambda: kube.get("Secret", where, "a-verifiers"), 60, "the verifiers")
        equal(kube.get("Secret", where, "mine")["metadata"]["resourceVersion"], version,
              "resourceVersion of the user's Secret")
        check(kube.get("Secret", where, "a-app") is None, "a second Secret was made beside it")
