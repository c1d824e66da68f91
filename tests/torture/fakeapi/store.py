"""Objects, versions and the watch history: what etcd and the registry do together."""
import base64
import copy
import datetime
import json
import threading
import uuid

from . import fields, kinds


class Failure(Exception):
    """Becomes a Status answer."""

    def __init__(self, code, reason, message, details=None, retry_after=None):
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details, self.retry_after = details, retry_after

    def status(self):
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": self.message, "reason": self.reason, "code": self.code}
        if self.details:
            body["details"] = self.details
        return body


def not_found(kind, name):
    label = kind.plural + ("." + kind.group if kind.group else "")
    return Failure(404, "NotFound", '%s "%s" not found' % (label, name),
                   {"name": name, "group": kind.group, "kind": kind.plural})


def conflict(kind, name, why):
    label = kind.plural + ("." + kind.group if kind.group else "")
    return Failure(409, "Conflict", 'Operation cannot be fulfilled on %s "%s": %s'
                   % (label, name, why), {"name": name, "group": kind.group, "kind": kind.plural})


def gone(version):
    return Failure(410, "Expired", "too old resource version: %s" % version)


class Record:
    def __init__(self, obj, owners):
        self.obj, self.owners = obj, owners


def merge_patch(target, patch):
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


class Store:
    """All methods take the lock; `changed` is notified after every write."""

    def __init__(self):
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 1000
        self.oldest = 0            # history below this is compacted
        self.records = {}          # (kind, namespace, name) -> Record
        self.history = []          # (version, kind, type, object, object before)
        self.births = {}           # (kind name, namespace, name) -> how often created
        self.now = lambda: datetime.datetime.now(datetime.timezone.utc)

    # -- helpers ---------------------------------------------------------------------------------
    def stamp(self):
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _bump(self):
        self.version += 1
        return str(self.version)

    def _publish(self, kind, event, obj, before):
        self.history.append((self.version, kind, event, obj, before))
        if len(self.history) > 20000:
            self.compact(self.history[10000][0])
        self.changed.notify_all()

    def compact(self, version=None):
        """Watches that resume from before `version` (default: from any known one) meet 410."""
        with self.lock:
            if version is None:
                self._bump()
            self.oldest = self.version if version is None else version
            self.history = [h for h in self.history if h[0] > self.oldest]
            self.changed.notify_all()

    def find(self, kind, namespace, name):
        return self.records.get((kind, namespace or "", name))

    # Stored objects are never changed in place, only replaced: readers may keep them, not edit.
    def get(self, kind_name, namespace, name):
        """By kind name, or None. For tests and the simulation."""
        with self.lock:
            record = self.find(kinds.BY_KIND[kind_name], namespace, name)
            return record.obj if record else None

    def all(self, kind_name, namespace=None):
        kind = kinds.BY_KIND[kind_name]
        with self.lock:
            return [r.obj for (k, ns, _), r in sorted(
                self.records.items(), key=lambda kv: kv[0][1:]) if k is kind
                and namespace in (None, ns)]

    # -- writes ----------------------------------------------------------------------------------
    def create(self, kind, namespace, obj, manager, owners=None):
        with self.lock:
            meta = obj.setdefault("metadata", {})
            if not meta.get("name") and meta.get("generateName"):
                meta["name"] = meta["generateName"] + "%05x" % (self.version % 0xfffff)
            name = meta.get("name")
            if not name:
                raise Failure(422, "Invalid", "metadata.name: Required value: name or "
                              "generateName is required")
            if kind.namespaced:
                self._check_namespace(kind, namespace, name)
                if meta.get("namespace", namespace) != namespace:
                    raise Failure(400, "BadRequest", "the namespace of the provided object does "
                                  "not match the namespace sent on the request")
                meta["namespace"] = namespace
            key = (kind, namespace or "", name)
            if key in self.records:
                label = kind.plural + ("." + kind.group if kind.group else "")
                raise Failure(409, "AlreadyExists", '%s "%s" already exists' % (label, name),
                              {"name": name, "group": kind.group, "kind": kind.plural})
            obj.setdefault("apiVersion", kinds.api_version(kind))
            obj.setdefault("kind", kind.kind)
            if kind.status and kind.kind not in ("Namespace", "PersistentVolumeClaim"):
                obj.pop("status", None)
            born = (kind.kind, namespace or "", name)
            self.births[born] = self.births.get(born, 0) + 1
            # The same history gives the same uids, so that ends can be compared as they are.
            meta["uid"] = str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(born) + "#%d"
                                         % self.births[born]))
            meta["creationTimestamp"] = self.stamp()
            if kind.generation:
                meta["generation"] = 1
            for field in ("managedFields", "resourceVersion", "deletionTimestamp"):
                meta.pop(field, None)
            kinds.set_defaults(kind, obj)
            if owners is None:
                owners = fields.Owners()
                owners.updated(kind.kind, {}, obj, manager, "", self.stamp())
            kinds.admit(kind, obj)
            meta["managedFields"] = owners.render(obj["apiVersion"])
            meta["resourceVersion"] = self._bump()
            self.records[key] = Record(obj, owners)
            self._publish(kind, "ADDED", obj, None)
            self._collect_orphan(kind, obj)
            return obj

    def _collect_orphan(self, kind, obj):
        """What comes after its owners are gone is removed, as the garbage collector would."""
        references = obj["metadata"].get("ownerReferences") or []
        if references and not any(self._alive(r["uid"]) for r in references):
            self._remove(kind, obj)

    def _check_namespace(self, kind, namespace, name):
        record = self.find(kinds.BY_KIND["Namespace"], "", namespace)
        if record is None:
            raise not_found(kinds.BY_KIND["Namespace"], namespace)
        if record.obj["metadata"].get("deletionTimestamp") and kind.plural != "events":
            label = kind.plural + ("." + kind.group if kind.group else "")
            raise Failure(403, "Forbidden", '%s "%s" is forbidden: unable to create new content in '
                          "namespace %s because it is being terminated" % (label, name, namespace),
                          {"name": name, "kind": kind.plural, "causes": [
                              {"reason": "NamespaceTerminating", "field": "metadata.namespace",
                               "message": "namespace %s is being terminated" % namespace}]})

    def _commit(self, kind, record, new, owners, subresource):
        """Writes `new` over record.obj; a write that changes nothing keeps the version."""
        old = record.obj
        name = old["metadata"]["name"]
        meta = new["metadata"]
        for field in ("uid", "creationTimestamp", "resourceVersion", "generation",
                      "deletionTimestamp", "deletionGracePeriodSeconds", "namespace", "name"):
            if field in old["metadata"]:
                meta[field] = old["metadata"][field]
            else:
                meta.pop(field, None)
        meta.pop("managedFields", None)
        before = {**old, "metadata": {k: v for k, v in old["metadata"].items()
                                      if k != "managedFields"}}
        if new == before and owners.paths() == record.owners.paths():
            return old
        try:
            if not subresource:
                kinds.check_update(kind, old, new)
        except kinds.Invalid as bad:
            raise Failure(422, "Invalid", '%s "%s" is invalid: %s' % (kind.kind, name, bad), {
                "name": name, "group": kind.group, "kind": kind.kind, "causes": [
                    {"reason": "FieldValueForbidden", "message": bad.message,
                     "field": bad.field}]}) from None
        content = lambda o: {k: v for k, v in o.items() if k not in ("metadata", "status")}
        if kind.generation and content(new) != content(old):
            meta["generation"] = old["metadata"].get("generation", 0) + 1
        meta["managedFields"] = owners.render(new["apiVersion"])
        meta["resourceVersion"] = self._bump()
        record.obj, record.owners = new, owners
        self._publish(kind, "MODIFIED", new, old)
        if meta.get("deletionTimestamp") and not meta.get("finalizers") \
                and kind.kind not in ("Pod", "Namespace"):
            self._remove(kind, new)
        return new

    @staticmethod
    def _restrict(kind, old, new, subresource):
        """What a write to this endpoint may not touch keeps its old value."""
        if not kind.status:
            return
        if subresource == "status":
            for key in list(new):
                if key not in ("apiVersion", "kind", "metadata", "status"):
                    del new[key]
            new.update({k: copy.deepcopy(v) for k, v in old.items()
                        if k not in ("apiVersion", "kind", "metadata", "status")})
            keep = new["metadata"]
            new["metadata"] = copy.deepcopy(old["metadata"])
            if kind.kind == "Pod":
                for field in ("labels", "annotations"):
                    if field in keep:
                        new["metadata"][field] = keep[field]
                    else:
                        new["metadata"].pop(field, None)
        elif "status" in old:
            new["status"] = copy.deepcopy(old["status"])
        else:
            new.pop("status", None)

    def _write(self, kind, namespace, name, subresource, manager, make):
        record = self.find(kind, namespace, name)
        if record is None:
            raise not_found(kind, name)
        new = make(record.obj)
        wanted = new.get("metadata", {})
        if wanted.get("uid", record.obj["metadata"]["uid"]) != record.obj["metadata"]["uid"]:
            raise conflict(kind, name, "Precondition failed: UID in precondition: %s, UID in "
                           "object meta: %s" % (wanted["uid"], record.obj["metadata"]["uid"]))
        version = wanted.get("resourceVersion")
        if version and version != record.obj["metadata"]["resourceVersion"]:
            raise conflict(kind, name, "the object has been modified; please apply your changes to "
                           "the latest version and try again")
        self._restrict(kind, record.obj, new, subresource)
        owners = record.owners.copy()
        owners.updated(kind.kind, record.obj, new, manager, subresource, self.stamp())
        return self._commit(kind, record, new, owners, subresource)

    def replace(self, kind, namespace, name, subresource, obj, manager):
        with self.lock:
            if obj.get("metadata", {}).get("name") != name:
                raise Failure(400, "BadRequest", "the name of the object does not match the name "
                              "on the URL")
            return self._write(kind, namespace, name, subresource, manager,
                               lambda old: copy.deepcopy(obj))

    def patch(self, kind, namespace, name, subresource, patch, manager):
        with self.lock:
            def make(old):
                # Preconditions hold only where the patch itself names them.
                new = copy.deepcopy(merge_patch(old, patch))
                if "resourceVersion" not in (patch.get("metadata") or {}):
                    new["metadata"].pop("resourceVersion", None)
                return new
            return self._write(kind, namespace, name, subresource, manager, make)

    def apply(self, kind, namespace, name, subresource, config, manager, force):
        with self.lock:
            config = copy.deepcopy(config)
            meta = config.setdefault("metadata", {})
            if meta.get("managedFields"):
                raise Failure(400, "BadRequest", "metadata.managedFields must be nil")
            record = self.find(kind, namespace, name)
            owners = record.owners.copy() if record else fields.Owners()
            if record is None:
                if meta.get("uid") or meta.get("resourceVersion"):
                    # As the real server: a uid that is not there is a conflict, never a create.
                    raise conflict(kind, name, "uid mismatch: the provided object specified uid "
                                   "%s, and no existing object was found" % meta.get("uid"))
                if subresource:
                    raise not_found(kind, name)
                meta.setdefault("name", name)
                owners.applied(kind.kind, {}, config, manager, "", force, self.stamp())
                return self.create(kind, namespace, config, manager, owners)
            if meta.get("uid", record.obj["metadata"]["uid"]) != record.obj["metadata"]["uid"]:
                raise Failure(422, "Invalid", '%s "%s" is invalid: metadata.uid: Invalid value: '
                              '"%s": field is immutable' % (kind.kind, name, meta["uid"]),
                              {"name": name, "kind": kind.kind, "causes": [
                                  {"reason": "FieldValueInvalid", "field": "metadata.uid",
                                   "message": "field is immutable"}]})
            if meta.get("resourceVersion", record.obj["metadata"]["resourceVersion"]) != \
                    record.obj["metadata"]["resourceVersion"]:
                raise conflict(kind, name, "the object has been modified; please apply your "
                               "changes to the latest version and try again")
            for field in ("uid", "resourceVersion"):
                meta.pop(field, None)
            if subresource == "status":
                config = {k: v for k, v in config.items()
                          if k in ("apiVersion", "kind", "metadata", "status")}
                config["metadata"] = {"name": name}
            try:
                new = owners.applied(kind.kind, record.obj, config, manager, subresource, force,
                                     self.stamp())
            except fields.Conflict as clash:
                raise Failure(409, "Conflict", str(clash), {"causes": [
                    {"reason": "FieldManagerConflict", "field": f,
                     "message": 'conflict with "%s"' % m}
                    for m, f in clash.managers]}) from None
            new = copy.deepcopy(new)
            self._restrict(kind, record.obj, new, subresource)
            return self._commit(kind, record, new, owners, subresource)

    def delete(self, kind, namespace, name, options=None):
        with self.lock:
            record = self.find(kind, namespace, name)
            if record is None:
                raise not_found(kind, name)
            meta = record.obj["metadata"]
            options = options or {}
            wanted = options.get("preconditions") or {}
            for field in ("uid", "resourceVersion"):
                if wanted.get(field, meta[field]) != meta[field]:
                    raise conflict(kind, name, "Precondition failed: %s in precondition: %s, %s in "
                                   "object meta: %s" % (field, wanted[field], field, meta[field]))
            slow = kind.kind == "Pod" and options.get("gracePeriodSeconds") != 0
            slow = slow or kind.kind == "Namespace" or bool(meta.get("finalizers"))
            if not slow:
                return self._remove(kind, record.obj)
            if not meta.get("deletionTimestamp"):
                new = copy.deepcopy(record.obj)
                new["metadata"]["deletionTimestamp"] = self.stamp()
                new["metadata"]["resourceVersion"] = self._bump()
                if kind.kind == "Namespace":
                    new["status"]["phase"] = "Terminating"
                old, record.obj = record.obj, new
                self._publish(kind, "MODIFIED", new, old)
            return record.obj

    def _remove(self, kind, obj):
        """Takes it out and, as the garbage collector would, what belongs to it."""
        meta = obj["metadata"]
        record = self.records.pop((kind, meta.get("namespace", ""), meta["name"]))
        last = copy.deepcopy(record.obj)
        last["metadata"]["resourceVersion"] = self._bump()
        self._publish(kind, "DELETED", last, record.obj)
        for (child_kind, namespace, name), child in list(self.records.items()):
            owners = child.obj["metadata"].get("ownerReferences") or []
            if owners and all(o["uid"] == meta["uid"] or not self._alive(o["uid"])
                              for o in owners) and any(o["uid"] == meta["uid"] for o in owners):
                if (child_kind, namespace, name) in self.records:
                    self.delete(child_kind, namespace, name)
        return last

    def collect(self):
        """Objects whose owners are all gone go too, whenever they were made."""
        with self.lock:
            alive = {r.obj["metadata"]["uid"] for r in self.records.values()}
            for (kind, namespace, name), record in list(self.records.items()):
                meta = record.obj["metadata"]
                owners = meta.get("ownerReferences") or []
                if owners and not meta.get("deletionTimestamp") and \
                        not any(o["uid"] in alive for o in owners) and \
                        (kind, namespace, name) in self.records:
                    self.delete(kind, namespace, name)

    def finish_pod(self, namespace, name):
        """The kubelet's last word: a deleted pod's containers are gone."""
        with self.lock:
            kind = kinds.BY_KIND["Pod"]
            record = self.find(kind, namespace, name)
            if record is not None:
                self._remove(kind, record.obj)

    def _alive(self, uid):
        return any(r.obj["metadata"]["uid"] == uid for r in self.records.values())

    # -- reads -----------------------------------------------------------------------------------
    def list(self, kind, namespace, match):
        with self.lock:
            found = [r.obj for (k, ns, _), r in sorted(self.records.items(),
                     key=lambda kv: (kv[0][1], kv[0][2])) if k is kind
                     and (not namespace or ns == namespace) and match(r.obj)]
            return found, str(self.version)

    # -- whole states, so that a test may start in the middle ----------------------------------
    def save(self):
        with self.lock:
            return copy.deepcopy((self.version, self.records_plain(), self.births))

    def records_plain(self):
        return [(k.group, k.version, k.plural, ns, name, r.obj, r.owners)
                for (k, ns, name), r in self.records.items()]

    def load(self, state):
        version, rows, births = copy.deepcopy(state)
        with self.lock:
            self.version, self.births = version, births
            self.records = {(kinds.BY_URL[(g, v, p)], ns, name): Record(obj, owners)
                            for g, v, p, ns, name, obj, owners in rows}
            self.history, self.oldest = [], version


def selector(text, value_of):
    """Label or field selector -> predicate. Supports =, ==, !=, in, notin, exists, !exists."""
    tests = []
    depth, part, parts = 0, "", []
    for char in text or "":
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += char
    if part:
        parts.append(part)
    for part in (p.strip() for p in parts):
        if " notin " in part or " in " in part:
            name, _, rest = part.partition(" notin " if " notin " in part else " in ")
            values = {v.strip() for v in rest.strip(" ()").split(",")}
            wanted = " notin " not in part
            tests.append(lambda o, n=name.strip(), v=values, w=wanted: (value_of(o, n) in v) is w)
        elif "!=" in part:
            name, _, value = part.partition("!=")
            tests.append(lambda o, n=name, v=value: value_of(o, n) != v)
        elif "=" in part:
            name, _, value = part.replace("==", "=").partition("=")
            tests.append(lambda o, n=name, v=value: value_of(o, n) == v)
        elif part.startswith("!"):
            tests.append(lambda o, n=part[1:]: value_of(o, n) is None)
        else:
            tests.append(lambda o, n=part: value_of(o, n) is not None)
    return lambda obj: all(t(obj) for t in tests)


def label_of(obj, name):
    return (obj["metadata"].get("labels") or {}).get(name)


def field_of(obj, name):
    value = obj
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def encode_continue(index, version):
    return base64.b64encode(json.dumps([index, version]).encode()).decode()


def decode_continue(text):
    return json.loads(base64.b64decode(text))
