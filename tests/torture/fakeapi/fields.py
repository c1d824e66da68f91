"""Field ownership: paths of an object, FieldsV1, and the merge of server-side apply."""
import copy
import json

from . import kinds

# Never owned by anybody, as in the real server.
_STRIPPED = {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
_STRIPPED_META = {"name", "namespace", "uid", "resourceVersion", "generation", "managedFields",
                  "creationTimestamp", "selfLink", "deletionTimestamp",
                  "deletionGracePeriodSeconds"}


def _item_key(keys, item):
    values = {k: item.get(k, kinds.KEY_DEFAULTS.get(k)) for k in keys}
    return "k:" + json.dumps({k: v for k, v in values.items() if v is not None}, sort_keys=True,
                             separators=(",", ":"))


def _names(path):
    return [p[2:] for p in path if p.startswith("f:")]


def _children(kind, path, value):
    """(path element, child) of a value that merges granularly; None when it is a leaf."""
    if isinstance(value, dict):
        name = path[-1][2:] if path and path[-1].startswith("f:") else ""
        if not value or name in kinds.ATOMIC_MAPS:
            return None
        return [("f:" + k, v) for k, v in value.items()]
    if isinstance(value, list) and path:
        name = path[-1][2:]
        if name in kinds.SETS:
            return [("v:" + json.dumps(v), v) for v in value]
        keys = kinds.item_keys(kind, _names(path))
        if keys and all(isinstance(v, dict) for v in value):
            return [(_item_key(keys, v), v) for v in value]
    return None


def leaves(kind, obj):
    """{path: value} of everything that can be owned. List items own themselves too (value None)."""
    found = {}

    def walk(path, value):
        parts = _children(kind, path, value)
        if parts is None:
            found[path] = value
            return
        if path and path[-1].startswith("k:"):
            found[path] = None
        for element, child in parts:
            walk(path + (element,), child)

    for key, value in obj.items():
        if key in ("apiVersion", "kind"):
            continue
        if key == "metadata":
            for sub, subvalue in value.items():
                if sub not in _STRIPPED_META:
                    walk(("f:metadata", "f:" + sub), subvalue)
            continue
        walk(("f:" + key,), value)
    return found


def merge(kind, live, applied, path=()):
    """What `applied` says wins, what it does not mention stays."""
    if isinstance(applied, dict) and isinstance(live, dict) \
            and _children(kind, path, applied or {"": 0}) is not None:
        result = dict(live)
        for key, value in applied.items():
            result[key] = merge(kind, live[key], value, path + ("f:" + key,)) \
                if key in live else copy.deepcopy(value)
        return result
    if isinstance(applied, list) and isinstance(live, list):
        mine, theirs = _children(kind, path, applied), _children(kind, path, live)
        if mine is not None and theirs is not None and path:
            wanted, result, order = dict(mine), [], [e for e, _ in mine]
            for element, item in theirs:
                if element in wanted:
                    result.append(merge(kind, item, wanted[element], path + (element,)))
                else:
                    result.append(item)
            known = {e for e, _ in theirs}
            result += [copy.deepcopy(wanted[e]) for e in order if e not in known]
            return result
    return copy.deepcopy(applied)


def remove(kind, obj, path):
    """Takes the leaf (or list item) at `path` out of obj, and maps that become empty by it."""
    def descend(value, at, rest):
        element = rest[0]
        if isinstance(value, dict):
            name = element[2:]
            if name not in value:
                return
            if len(rest) > 1:
                descend(value[name], at + (element,), rest[1:])
            if len(rest) == 1 or value[name] == {}:
                del value[name]
        elif isinstance(value, list):
            for i, (key, item) in enumerate(_children(kind, at, value) or []):
                if key == element:
                    if len(rest) == 1:
                        del value[i]
                    else:
                        descend(item, at + (element,), rest[1:])
                    return
    descend(obj, (), path)


def to_fields_v1(paths):
    tree = {}
    for path in sorted(paths):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        if path[-1].startswith("k:"):
            node.setdefault(".", {})
    return tree


class Conflict(Exception):
    def __init__(self, managers):
        super().__init__("Apply failed with %d conflict%s: conflicts with %s" % (
            len(managers), "" if len(managers) == 1 else "s",
            "; ".join('"%s": %s' % (m, f) for m, f in managers)))
        self.managers = managers


def dotted(path):
    return "".join("." + e[2:] if e.startswith("f:") else "[%s]" % e[2:] for e in path)


class Owners:
    """managedFields of one object: (manager, operation, subresource) -> {time, paths}."""

    def __init__(self):
        self.entries = {}

    def copy(self):
        other = Owners()
        other.entries = {k: {"time": v["time"], "paths": set(v["paths"])}
                         for k, v in self.entries.items()}
        return other

    def render(self, api_version):
        listed = []
        for (manager, operation, subresource), entry in self.entries.items():
            item = {"manager": manager, "operation": operation, "apiVersion": api_version,
                    "time": entry["time"], "fieldsType": "FieldsV1",
                    "fieldsV1": to_fields_v1(entry["paths"])}
            if subresource:
                item["subresource"] = subresource
            listed.append(item)
        return listed

    def paths(self):
        return {k: v["paths"] for k, v in self.entries.items()}

    def updated(self, kind, old, new, manager, subresource, now):
        """Ownership after an ordinary write: who changes a field owns it."""
        before, after = leaves(kind, old), leaves(kind, new)
        missing = object()
        changed = {p for p in after if before.get(p, missing) != after[p]}
        gone = {p for p in before if p not in after}
        key = (manager, "Update", subresource)
        for other, entry in list(self.entries.items()):
            if other != key:
                entry["paths"] -= changed | gone
                if not entry["paths"]:
                    del self.entries[other]
        if changed or gone:
            mine = self.entries.setdefault(key, {"time": now, "paths": set()})
            mine["paths"] = (mine["paths"] - gone) | changed
            mine["time"] = now
            if not mine["paths"]:
                del self.entries[key]

    def applied(self, kind, live, config, manager, subresource, force, now):
        """Returns the merged object; ownership follows. Raises Conflict."""
        wanted, present = leaves(kind, config), leaves(kind, live)
        key = (manager, "Apply", subresource)
        missing = object()
        conflicts = []
        for other, entry in self.entries.items():
            if other != key:
                conflicts += [(other[0], dotted(p)) for p in sorted(entry["paths"])
                              if p in wanted and present.get(p, missing) != wanted[p]]
        if conflicts and not force:
            raise Conflict(conflicts)
        merged = merge(kind, live, config)
        mine = self.entries.get(key, {"paths": set()})["paths"]
        others = set().union(*[e["paths"] for k, e in self.entries.items() if k != key] or [set()])
        # A list item goes as a whole; where somebody else owns a part of it, its key stays.
        for path in sorted(mine - set(wanted), key=lambda p: (len(p), p)):
            parent = path[-2] if len(path) > 1 else ""
            if parent.startswith("k:") and path[-1][2:] in json.loads(parent[2:]):
                continue
            if not any(o[:len(path)] == path for o in others):
                remove(kind, merged, path)
        for other, entry in list(self.entries.items()):
            if other != key:
                entry["paths"] -= {p for p in entry["paths"]
                                   if p in wanted and present.get(p, missing) != wanted[p]}
                if not entry["paths"]:
                    del self.entries[other]
        if set(wanted) != mine or merged != live:
            self.entries[key] = {"time": now, "paths": set(wanted)}
        return merged
