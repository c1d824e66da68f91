"""
The rest of the cluster, as far as an operator can see it: volumes bind, StatefulSets make pods, and
agents take the lease, report and stream. It writes into the store directly, so that the requests
that the server records are the operator's alone.
"""
import copy
import datetime
import hashlib
import json
import threading
import time

from . import kinds

CLUSTER, INSTANCE, ROLE = "pgkeel.dev/cluster", "pgkeel.dev/instance", "pgkeel.dev/role"
REPORT, GRANT = "pgkeel.dev/report", "pgkeel.dev/bootstrap"
PRIMARY_STATUS = "pgkeel.dev/primary-status"
NEEDS_RESTART = {"shared_buffers", "max_connections", "max_wal_senders", "wal_level",
                 "max_worker_processes", "max_prepared_transactions", "shared_preload_libraries"}
KUBELET, MANAGER, AGENT = "kubelet", "kube-controller-manager", "pgkeel-instance"
LEASE_SECONDS, RENEW_SECONDS = 8, 8 / 3


def compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def digest(value):
    return hashlib.sha256(compact(value).encode()).hexdigest()[:10]


def parameters(text):
    """postgresql.conf -> {name: value}."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.strip().startswith("#"):
            found[name.strip()] = value.strip()
    return found


class Simulation:
    def __init__(self, store):
        self.store = store
        self.disks = {}     # claim uid -> what PGDATA on it remembers
        self.processes = {} # pod uid -> what its postgres was started with
        self.missing_images = set()   # images that cannot be pulled
        self.storage_classes = {"standard", "fast"}
        self.silent = set()           # instances whose agent and kubelet do nothing any more
        self.lost = set()             # claims, by uid, whose PersistentVolume is gone
        self._stop = threading.Event()
        self._thread, self._seen, self._renew_at = None, -1, 0.0

    # -- life ------------------------------------------------------------------------------------
    def start(self):
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self._stop.set()
        with self.store.changed:
            self.store.changed.notify_all()
        self._thread.join()

    def _run(self):
        self._seen = -1
        while not self._stop.is_set():
            with self.store.changed:
                while self.store.version == self._seen and not self._stop.is_set() and \
                        time.monotonic() < self._renew_at:
                    self.store.changed.wait(min(1, self._renew_at - time.monotonic()))
                self.settle()
                self._renew()
                self._seen = self.store.version

    def busy(self):
        """It has changes still to look at."""
        return not self._stop.is_set() and self._seen != self.store.version

    def save(self):
        return copy.deepcopy((self.disks, self.processes))

    def load(self, state):
        self.disks, self.processes = copy.deepcopy(state)

    def settle(self):
        """Everything that can move has moved."""
        with self.store.lock:
            for _ in range(50):
                before = self.store.version
                self.step()
                if self.store.version == before:
                    return

    def step(self):
        self._claims()
        for each in self.store.all("StatefulSet"):
            self._set(each)
        for pod in self.store.all("Pod"):
            self._pod(pod)
        for budget in self.store.all("PodDisruptionBudget"):
            self._budget(budget)
        self._namespaces()
        self.store.collect()

    # -- writing ---------------------------------------------------------------------------------
    def _status(self, kind_name, obj, status, manager):
        kind = kinds.BY_KIND[kind_name]
        meta = obj["metadata"]
        merged = {**(obj.get("status") or {}), **status}
        if merged != (obj.get("status") or {}):
            self.store.patch(kind, meta.get("namespace"), meta["name"], "status",
                             {"status": status}, manager)

    def _patch(self, kind_name, obj, patch, manager, sub=""):
        meta = obj["metadata"]
        return self.store.patch(kinds.BY_KIND[kind_name], meta.get("namespace"), meta["name"], sub,
                                patch, manager)

    # -- volumes ---------------------------------------------------------------------------------
    def _claims(self):
        scheduled = [pod for pod in self.store.all("Pod") if pod["spec"].get("nodeName")]
        mounted = {(p["metadata"]["namespace"], v["persistentVolumeClaim"]["claimName"])
                   for p in scheduled for v in p["spec"].get("volumes", [])
                   if "persistentVolumeClaim" in v}
        for claim in self.store.all("PersistentVolumeClaim"):
            meta, spec = claim["metadata"], claim["spec"]
            if meta.get("deletionTimestamp"):
                if (meta["namespace"], meta["name"]) not in mounted:
                    self.disks.pop(meta["uid"], None)
                    self._patch("PersistentVolumeClaim", claim,
                                {"metadata": {"finalizers": None}}, MANAGER)
                continue
            if meta["uid"] in self.lost:
                self._status("PersistentVolumeClaim", claim, {"phase": "Lost"}, MANAGER)
                continue
            if spec.get("storageClassName") not in self.storage_classes:
                continue
            if not spec.get("volumeName"):
                self._patch("PersistentVolumeClaim", claim,
                            {"spec": {"volumeName": "pv-" + meta["uid"]}}, MANAGER)
            self._status("PersistentVolumeClaim", claim, {
                "phase": "Bound", "accessModes": spec.get("accessModes", []),
                "capacity": {"storage": spec["resources"]["requests"]["storage"]}}, MANAGER)

    # -- StatefulSets ----------------------------------------------------------------------------
    def _set(self, each):
        meta, spec = each["metadata"], each["spec"]
        revision = meta["name"] + "-" + digest(spec["template"])
        name = meta["name"] + "-0"
        pod = self.store.get("Pod", meta["namespace"], name)
        wanted = spec.get("replicas", 1) >= 1 and not meta.get("deletionTimestamp")
        if pod is None and wanted:
            self._make_pod(each, name, revision)
            pod = self.store.get("Pod", meta["namespace"], name)
        elif pod is not None and not wanted and not pod["metadata"].get("deletionTimestamp"):
            self.store.delete(kinds.BY_KIND["Pod"], meta["namespace"], name)
        labels = pod["metadata"]["labels"] if pod else {}
        ready = pod is not None and any(c["type"] == "Ready" and c["status"] == "True"
                                        for c in pod.get("status", {}).get("conditions", []))
        self._status("StatefulSet", each, {
            "observedGeneration": meta["generation"], "replicas": 1 if pod else 0,
            "readyReplicas": int(ready), "availableReplicas": int(ready),
            "updateRevision": revision, "collisionCount": 0,
            "currentRevision": labels.get("controller-revision-hash", revision),
            "updatedReplicas": int(labels.get("controller-revision-hash") == revision)}, MANAGER)

    def _make_pod(self, each, name, revision):
        meta, template = each["metadata"], copy.deepcopy(each["spec"]["template"])
        labels = template.get("metadata", {}).get("labels", {})
        labels.update({"controller-revision-hash": revision, "apps.kubernetes.io/pod-index": "0",
                       "statefulset.kubernetes.io/pod-name": name})
        self.store.create(kinds.BY_KIND["Pod"], meta["namespace"], {
            "metadata": {"name": name, "labels": labels,
                         "annotations": template.get("metadata", {}).get("annotations", {}),
                         "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet",
                                              "name": meta["name"], "uid": meta["uid"],
                                              "controller": True, "blockOwnerDeletion": True}]},
            "spec": template["spec"]}, MANAGER)

    # -- nodes -----------------------------------------------------------------------------------
    def mark(self, namespace, pod):
        """What the node controller does to the pods of a node that it does not hear of."""
        conditions = [{**each, "status": "False"} if each["type"] == "Ready" else each
                      for each in self.store.get("Pod", namespace, pod)["status"]["conditions"]]
        self.store.patch(kinds.BY_KIND["Pod"], namespace, pod, "status",
                         {"status": {"conditions": conditions}}, MANAGER)

    # -- pods ------------------------------------------------------------------------------------
    def _pod(self, pod):
        meta = pod["metadata"]
        if (meta.get("labels") or {}).get(INSTANCE) in self.silent:
            return
        if meta.get("deletionTimestamp"):
            self.processes.pop(meta["uid"], None)
            self.store.finish_pod(meta["namespace"], meta["name"])
            return
        waiting = self._cannot_start(pod)
        if waiting:
            self._pod_status(pod, "Pending", False, waiting)
            return
        if not pod.get("status", {}).get("podIP"):
            self._pod_status(pod, "Running", False)
            return
        if CLUSTER in (meta.get("labels") or {}) and INSTANCE in meta["labels"]:
            self._agent(pod)

    def _cannot_start(self, pod):
        namespace = pod["metadata"]["namespace"]
        for volume in pod["spec"].get("volumes", []):
            if "persistentVolumeClaim" in volume:
                claim = self.store.get("PersistentVolumeClaim", namespace,
                                       volume["persistentVolumeClaim"]["claimName"])
                if claim is None or claim.get("status", {}).get("phase") != "Bound" or \
                        claim["metadata"].get("deletionTimestamp"):
                    return {"reason": "Unschedulable", "message": "pod has unbound immediate "
                            "PersistentVolumeClaims"}
            for key, kind, field in (("configMap", "ConfigMap", "name"),
                                     ("secret", "Secret", "secretName")):
                if key in volume and not volume[key].get("optional") and \
                        self.store.get(kind, namespace, volume[key][field]) is None:
                    return {"reason": "ContainerCreating",
                            "message": '%s "%s" not found' % (kind.lower(), volume[key][field])}
        for container in pod["spec"].get("containers", []):
            if container.get("image") in self.missing_images:
                return {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "%s"'
                        % container["image"]}
        return None

    def _pod_status(self, pod, phase, ready, waiting=None):
        scheduled = not (waiting and waiting["reason"] == "Unschedulable")
        condition = lambda kind, value: {"type": kind, "status": "True" if value else "False"}
        status = {"phase": phase, "qosClass": "Burstable", "conditions": [
            condition("PodScheduled", scheduled), condition("Initialized", phase == "Running"),
            condition("ContainersReady", ready), condition("Ready", ready)]}
        if not scheduled:
            status["conditions"][0].update(waiting)
        state = {"waiting": waiting} if waiting else {"running": {}}
        status["containerStatuses"] = [
            {"name": c["name"], "ready": ready, "restartCount": 0, "image": c["image"],
             "imageID": "", "state": state} for c in pod["spec"]["containers"]]
        if phase == "Running":
            status["podIP"] = kinds.address("10.244", pod["metadata"]["uid"])
        self._status("Pod", pod, status, KUBELET)
        if scheduled and not pod["spec"].get("nodeName"):
            self._patch("Pod", self.store.get("Pod", pod["metadata"]["namespace"],
                                              pod["metadata"]["name"]),
                        {"spec": {"nodeName": "node-1"}}, "kube-scheduler")

    # -- agents ----------------------------------------------------------------------------------
    def _agent(self, pod):
        meta = pod["metadata"]
        namespace, labels = meta["namespace"], meta["labels"]
        cluster, me = labels[CLUSTER], labels[INSTANCE]
        config = self.store.get("ConfigMap", namespace, cluster + "-config")
        lease = self.store.get("Lease", namespace, cluster + "-primary")
        claim = self.store.get("PersistentVolumeClaim", namespace, me + "-data")
        if config is None or lease is None or claim is None:
            self._report(pod, {"instance": me, "phase": "Waiting", "reason": "WaitingForLease",
                               "message": "the lease or the configuration is not there"}, "")
            return
        settings = json.loads(config["data"]["cluster.json"])
        holder = (lease.get("spec") or {}).get("holderIdentity") or ""
        if holder.split("/")[0] == me and not self._has_data(claim):
            self.processes.pop(meta["uid"], None)
            self._report(pod, {"instance": me, "phase": "Waiting", "reason": "DataVolumeEmpty",
                               "message": "its volume is empty"}, "")
            self._pod_status(self.store.get("Pod", namespace, meta["name"]), "Running", False)
            return
        lease = self._take(pod, me, lease, claim)
        holder = lease["spec"].get("holderIdentity") or ""
        if not holder:
            self._report(pod, {"instance": me, "phase": "Waiting", "reason": "WaitingForPrimary",
                               "message": "nobody holds the lease"}, "")
            return
        primary = holder == me + "/" + meta["uid"]
        epoch = lease["spec"].get("leaseTransitions", 0)
        if not primary and not self._serves(namespace, holder):
            return
        disk = self.disks.setdefault(claim["metadata"]["uid"], {})
        if "systemIdentifier" not in disk:
            disk["systemIdentifier"] = self._system(namespace, holder, claim)
        disk.update(epoch=epoch, role="primary" if primary else "replica")
        self._report(pod, self._describe(pod, me, config, settings, disk), disk["role"])
        self._pod_status(self.store.get("Pod", namespace, meta["name"]), "Running", True)
        if primary:
            self._serve(pod, me, cluster, settings, lease)

    def _has_data(self, claim):
        return "systemIdentifier" in self.disks.get(claim["metadata"]["uid"], {})

    def _take(self, pod, me, lease, claim):
        meta, spec = pod["metadata"], lease.get("spec") or {}
        holder, identity = spec.get("holderIdentity") or "", me + "/" + meta["uid"]
        epoch = spec.get("leaseTransitions") or 0
        grant = json.loads((lease["metadata"].get("annotations") or {}).get(GRANT, "{}"))
        data = self._has_data(claim)
        granted = not holder and epoch == 0 and grant.get("instance") == me and \
            (data or grant.get("mode") == "initdb")
        again = holder.split("/")[0] == me and holder != identity
        if not granted and not again:
            return {**lease, "spec": spec}
        self._patch("Lease", lease, {"spec": {
            "holderIdentity": identity, "leaseTransitions": epoch + 1,
            "leaseDurationSeconds": LEASE_SECONDS, "acquireTime": "2026-01-01T00:00:00.000000Z",
            "renewTime": "2026-01-01T00:00:00.000000Z"}}, AGENT)
        return self.store.get("Lease", meta["namespace"], lease["metadata"]["name"])

    def _renew(self):
        """What every agent that holds a lease does three times while it lasts."""
        if time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + RENEW_SECONDS
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for lease in self.store.all("Lease"):
            me, _, uid = ((lease.get("spec") or {}).get("holderIdentity") or "").partition("/")
            if uid in self.processes and me not in self.silent:
                self._patch("Lease", lease, {"spec": {"renewTime": now}}, AGENT)

    def _serves(self, namespace, holder):
        pod = self.store.get("Pod", namespace, holder.split("/")[0] + "-0")
        return pod is not None and pod["metadata"]["uid"] in self.processes

    def _system(self, namespace, holder, claim):
        """A fresh cluster's identifier, or the primary's for a clone."""
        other = self.store.get("PersistentVolumeClaim", namespace,
                               holder.split("/")[0] + "-data")
        known = self.disks.get(other["metadata"]["uid"], {}) if other else {}
        return known.get("systemIdentifier") or str(
            7 * 10**18 + int(claim["metadata"]["uid"][:8], 16))

    def _describe(self, pod, me, config, settings, disk):
        conf = parameters(config["data"]["postgresql.conf"])
        token = next((m.get("restartToken", "") for m in settings.get("members", [])
                      if m["name"] == me), "")
        frozen = {k: v for k, v in conf.items() if k in NEEDS_RESTART}
        process = self.processes.setdefault(pod["metadata"]["uid"],
                                            {"conf": frozen, "token": token})
        pending = sorted(k for k in set(frozen) | set(process["conf"])
                         if frozen.get(k) != process["conf"].get(k))
        if pending and token != process["token"]:
            process["conf"], process["token"], pending = frozen, token, []
        report = {"instance": me, "role": disk["role"], "phase": "Running", "timeline": 1,
                  "systemIdentifier": disk["systemIdentifier"], "postgresVersion": "17.11",
                  "epoch": disk["epoch"], "configHash": settings.get("configHash", ""),
                  "bootstrapped": True}
        if settings.get("verifiersHash"):
            report["verifiersHash"] = settings["verifiersHash"]
        if process["token"]:
            report["restartToken"] = process["token"]
        if pending:
            report.update(pendingRestart=True, pendingParameters=", ".join(pending))
        return report

    def _report(self, pod, report, role):
        meta, text = pod["metadata"], compact(report)
        labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
        if notes.get(REPORT) != text or (labels.get(ROLE) or "") != role:
            self._patch("Pod", pod, {"metadata": {"annotations": {REPORT: text},
                                                  "labels": {ROLE: role or None}}}, AGENT, "status")

    def _serve(self, pod, me, cluster, settings, lease):
        """What only the holder writes: the -rw slice, and its replicas on the lease."""
        namespace = pod["metadata"]["namespace"]
        where = self.store.get("EndpointSlice", namespace, cluster + "-rw")
        address = self.store.get("Pod", namespace, pod["metadata"]["name"])["status"]["podIP"]
        if where is not None:
            wanted = [{"addresses": [address], "conditions": {"ready": True},
                       "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"],
                                     "namespace": namespace, "uid": pod["metadata"]["uid"]}}]
            if where.get("endpoints") != wanted:
                self._patch("EndpointSlice", where, {"endpoints": wanted}, AGENT)
        replicas = []
        for member in settings.get("members", []):
            if member["name"] != me:
                up = self._serves(namespace, member["name"] + "/")
                replicas.append({"name": member["name"], "state": "streaming" if up else "",
                                 "lagBytes": 0, "slotWalStatus": "reserved"})
        text = compact({"timeline": 1, "lsn": "0/3000148", "replicas": replicas})
        if (lease["metadata"].get("annotations") or {}).get(PRIMARY_STATUS) != text:
            self._patch("Lease", lease, {"metadata": {"annotations": {PRIMARY_STATUS: text}}},
                        AGENT)

    # -- the rest --------------------------------------------------------------------------------
    def _budget(self, budget):
        spec, meta = budget["spec"], budget["metadata"]
        wanted = spec.get("selector", {}).get("matchLabels", {})
        pods = [p for p in self.store.all("Pod", meta["namespace"]) if wanted and all(
            (p["metadata"].get("labels") or {}).get(k) == v for k, v in wanted.items())]
        healthy = sum(any(c["type"] == "Ready" and c["status"] == "True"
                          for c in p.get("status", {}).get("conditions", [])) for p in pods)
        desired = spec["minAvailable"] if isinstance(spec.get("minAvailable"), int) \
            else max(0, len(pods) - int(spec.get("maxUnavailable", 1)))
        self._status("PodDisruptionBudget", budget, {
            "observedGeneration": meta["generation"], "expectedPods": len(pods),
            "currentHealthy": healthy, "desiredHealthy": desired,
            "disruptionsAllowed": max(0, healthy - desired)}, MANAGER)

    def _namespaces(self):
        for namespace in self.store.all("Namespace"):
            if not namespace["metadata"].get("deletionTimestamp"):
                continue
            name, left = namespace["metadata"]["name"], False
            for (kind, inside, child) in list(self.store.records):
                if inside == name and (kind, inside, child) in self.store.records:
                    left = True
                    self.store.delete(kind, inside, child)
            if not left:
                record = self.store.find(kinds.BY_KIND["Namespace"], "", name)
                self.store._remove(kinds.BY_KIND["Namespace"], record.obj)
