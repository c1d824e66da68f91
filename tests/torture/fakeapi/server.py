"""HTTP/1.1 in front of the store: requests, watches, Status answers, faults."""
import http.server
import json
import re
import select
import socket
import socketserver
import threading
import time
import urllib.parse

from . import kinds, store as stores
from .faults import Faults

_URL = re.compile(r"^/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[^/]+)"
                  r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<plural>[a-z]+)"
                  r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+))?$")
_BOOKMARK = "k8s.io/initial-events-end"


class Dropped(Exception):
    """The connection is closed without another byte."""


class Target:
    """What a URL names."""

    def __init__(self, path):
        found = _URL.match(path)
        kind = found and kinds.BY_URL.get((found["group"] or "", found["version"],
                                           found["plural"]))
        namespaces = re.match(r"^/api/v1/namespaces(?:/([^/]+))?(?:/(status|finalize))?$", path)
        if namespaces:
            self.kind, self.namespace = kinds.BY_KIND["Namespace"], None
            self.name, self.sub = namespaces[1], namespaces[2] or ""
        elif kind:
            self.kind, self.namespace = kind, found["namespace"]
            self.name, self.sub = found["name"], found["sub"] or ""
        else:
            raise stores.Failure(404, "NotFound", "the server could not find the requested "
                                 "resource")
        self.name = self.name and urllib.parse.unquote(self.name)
        if self.sub and not (self.sub == "status" and self.kind.status):
            raise stores.Failure(404, "NotFound", "the server could not find the requested "
                                 "resource")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "scripted-apiserver"

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.connections.add(self.connection)

    def finish(self):
        self.server.connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, format, *args):
        pass

    # -- sending ---------------------------------------------------------------------------------
    def send_bytes(self, data, rule=None):
        """All bytes on their way out pass here, so that every one of them can be late or last."""
        self.server.faults.open.wait()
        if rule is not None and rule.do == "truncate":
            self.wfile.write(data[:rule.bytes])
            raise Dropped()
        if rule is not None and rule.do == "split":
            for i in range(0, len(data), rule.bytes):
                self.wfile.write(data[i:i + rule.bytes])
            return
        self.wfile.write(data)

    def answer(self, code, body, rule=None, headers=()):
        data = json.dumps(body, separators=(",", ":")).encode()
        head = "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (
            code, http.server.BaseHTTPRequestHandler.responses.get(code, ("",))[0], len(data))
        head += "".join("%s: %s\r\n" % h for h in headers) + "\r\n"
        self.send_bytes(head.encode() + data, rule)

    def fail(self, failure, rule=None):
        headers = [("Retry-After", failure.retry_after)] if failure.retry_after else []
        self.answer(failure.code, failure.status(), rule, headers)

    # -- one request -----------------------------------------------------------------------------
    def do_GET(self):
        self.handle_one("GET")

    def do_POST(self):
        self.handle_one("POST")

    def do_PUT(self):
        self.handle_one("PUT")

    def do_PATCH(self):
        self.handle_one("PATCH")

    def do_DELETE(self):
        self.handle_one("DELETE")

    def handle_one(self, method):
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            raw = self._read_chunks()
        url = urllib.parse.urlsplit(self.path)
        query = {k: v[-1] for k, v in urllib.parse.parse_qs(
            url.query, keep_blank_values=True).items()}
        path = urllib.parse.unquote(url.path) if "%2F" not in url.path.upper() else url.path
        if path.startswith("/_test/"):
            self.answer(200, self.server.control(path, json.loads(raw) if raw else None))
            return
        agent = self.headers.get("User-Agent", "")
        verb = self._verb(method, path, query)
        self.server.note(verb, path, agent, url.query)
        rule = None
        self.server.under_way[self] = None  # of a watch: the version that it has told
        try:
            self.server.faults.open.wait()
            rule = self.server.faults.find(verb, path, agent)
            self._strike(rule)
            self._authenticate()
            self._serve(method, verb, path, query, raw, agent, rule)
        except stores.Failure as failure:
            self.fail(failure, rule if rule and rule.do in ("split", "truncate") else None)
        except (Dropped, ConnectionError, TimeoutError):
            self.close_connection = True
            self._shutdown()
        finally:
            del self.server.under_way[self]

    def _read_chunks(self):
        data = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            data += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return data

    def _shutdown(self):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _verb(self, method, path, query):
        if method == "GET":
            if query.get("watch") in ("1", "true"):
                return "watch"
            found = _URL.match(path)
            return "get" if not found or found["name"] else "list"
        if method == "PATCH":
            apply = "apply-patch" in (self.headers.get("Content-Type") or "")
            return "apply" if apply else "patch"
        return {"POST": "create", "PUT": "update", "DELETE": "delete"}[method]

    def _strike(self, rule):
        if rule is None:
            return
        if rule.do == "drop":
            raise Dropped()
        if rule.do == "stall":
            self._wait_for_hangup(rule.seconds or 3600)
            if not rule.seconds:
                raise Dropped()
        if rule.do == "expire":
            self.server.store.compact()
        if rule.do == "status":
            reason = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 401: "Unauthorized",
                      403: "Forbidden", 404: "NotFound", 503: "ServiceUnavailable",
                      504: "Timeout"}.get(rule.code, "InternalError")
            raise stores.Failure(rule.code, reason, rule.message, retry_after=rule.retry_after)

    def _wait_for_hangup(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.server.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise Dropped()

    def _authenticate(self):
        tokens = self.server.faults.tokens
        if tokens is not None:
            given = self.headers.get("Authorization", "").partition(" ")[2]
            if given not in tokens:
                raise stores.Failure(401, "Unauthorized", "Unauthorized")

    def _manager(self, query, agent):
        return query.get("fieldManager") or agent.split("/")[0].split(" ")[0] or "unknown"

    def _serve(self, method, verb, path, query, raw, agent, rule):
        special = self.server.special(method, path, raw)
        if special is not None:
            self.answer(201 if method == "POST" else 200, special, rule)
            return
        target = Target(path)
        if method == "GET":
            if verb == "watch":
                self._watch(target, query, rule)
            else:
                found = self._read(target, query)
                self._linger(rule)
                self.answer(200, found, rule)
            return
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            # Server-side apply is YAML; ours is JSON, which is YAML too.
            raise stores.Failure(400, "BadRequest", "the body is not JSON") from None
        store = self.server.store
        with store.lock:
            # A killed client's requests, still on their way, must not land: they were not sent
            # by a process that is alive.
            if self.connection in self.server.buried:
                raise Dropped()
            code, obj = self._store(method, target, query, body, agent)
            if self.server.faults.after_write(verb, path, agent):
                self.server.buried |= self.server.connections
                raise Dropped()
            self.server.note_write(verb, target, agent, obj)
        if rule is not None and rule.do == "drop-after":
            raise Dropped()
        self._linger(rule)
        self.answer(code, obj, rule)

    def _linger(self, rule):
        """`late`: the request was obeyed, its answer takes its time."""
        if rule is not None and rule.do == "late":
            self._wait_for_hangup(rule.seconds)

    def _store(self, method, target, query, body, agent):
        store, kind = self.server.store, target.kind
        manager = self._manager(query, agent)
        if kind.namespaced and not target.namespace:
            raise stores.Failure(405, "MethodNotAllowed", "the server does not allow this method "
                                 "on the requested resource")
        if method == "POST":
            if not isinstance(body, dict) or body.get("kind", kind.kind) != kind.kind:
                raise stores.Failure(400, "BadRequest", "%s in the body is not a %s"
                                     % (body and body.get("kind"), kind.kind))
            return 201, store.create(kind, target.namespace, body, manager)
        if not target.name:
            raise stores.Failure(405, "MethodNotAllowed", "the server does not allow this method "
                                 "on the requested resource")
        if method == "PUT":
            return 200, store.replace(kind, target.namespace, target.name, target.sub, body,
                                      manager)
        if method == "DELETE":
            return 200, store.delete(kind, target.namespace, target.name, body)
        content = (self.headers.get("Content-Type") or "").split(";")[0]
        if content in ("application/apply-patch+yaml", "application/apply-patch+json"):
            if not query.get("fieldManager"):
                raise stores.Failure(422, "Invalid", "PatchOptions.meta.k8s.io \"\" is invalid: "
                                     "fieldManager: Required value: is required for apply patch")
            for field in ("apiVersion", "kind"):
                if not body.get(field):
                    raise stores.Failure(400, "BadRequest", "%s must be set in an apply patch"
                                         % field)
            known = store.find(kind, target.namespace, target.name) is not None
            obj = store.apply(kind, target.namespace, target.name, target.sub, body, manager,
                              query.get("force") in ("true", "1"))
            return (200 if known else 201), obj
        if content in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
            return 200, store.patch(kind, target.namespace, target.name, target.sub, body, manager)
        raise stores.Failure(415, "UnsupportedMediaType", "the body of the request was in an "
                             "unknown format - accepted media types include: "
                             "application/merge-patch+json, application/apply-patch+yaml")

    # -- reading ---------------------------------------------------------------------------------
    def _metadata_only(self):
        return "as=PartialObjectMetadata" in self.headers.get("Accept", "")

    def _shape(self, obj):
        if not self._metadata_only():
            return obj
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": obj["metadata"]}

    @staticmethod
    def _match(query):
        labels = stores.selector(query.get("labelSelector"), stores.label_of)
        field = stores.selector(query.get("fieldSelector"), stores.field_of)
        return lambda obj: labels(obj) and field(obj)

    def _read(self, target, query):
        store = self.server.store
        if target.name:
            with store.lock:
                record = store.find(target.kind, target.namespace, target.name)
                if record is None:
                    raise stores.not_found(target.kind, target.name)
                return self._shape(record.obj)
        found, version = store.list(target.kind, target.namespace, self._match(query))
        start = 0
        if query.get("continue"):
            start, version = stores.decode_continue(query["continue"])
            if int(version) < store.oldest:
                raise stores.Failure(410, "Expired", "The provided continue parameter is too old")
        limit = int(query.get("limit") or 0)
        page = found[start:start + limit] if limit else found[start:]
        meta = {"resourceVersion": version}
        if limit and start + limit < len(found):
            meta["continue"] = stores.encode_continue(start + limit, version)
            meta["remainingItemCount"] = len(found) - start - limit
        items = [self._shape(o) for o in page]
        if self._metadata_only():
            return {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": meta, "items": items}
        return {"kind": target.kind.kind + "List", "apiVersion": kinds.api_version(target.kind),
                "metadata": meta, "items": items}

    def _chunk(self, event, obj, rule):
        line = json.dumps({"type": event, "object": obj}, separators=(",", ":")).encode() + b"\n"
        self.send_bytes(b"%x\r\n%s\r\n" % (len(line), line), rule)

    def _bookmark(self, kind, version, rule, last_of_list=False):
        meta = {"resourceVersion": str(version)}
        if last_of_list:
            meta["annotations"] = {_BOOKMARK: "true"}
        self._chunk("BOOKMARK", self._shape({"kind": kind.kind, "metadata": meta,
                                             "apiVersion": kinds.api_version(kind)}), rule)

    def _watch(self, target, query, rule):
        store, kind, match = self.server.store, target.kind, self._match(query)
        if target.name:
            raise stores.Failure(405, "MethodNotAllowed", "watch is by list only")
        initial = query.get("sendInitialEvents") == "true"
        if initial and not self.server.watch_list:
            raise stores.Failure(422, "Invalid", "sendInitialEvents is forbidden for watch unless "
                                 "the WatchList feature gate is enabled")
        if initial and query.get("resourceVersionMatch") != "NotOlderThan":
            raise stores.Failure(422, "Invalid", "resourceVersionMatch: Forbidden: "
                                 "sendInitialEvents requires resourceVersionMatch=NotOlderThan")
        bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        since = int(query.get("resourceVersion") or 0)
        with store.lock:
            if not initial and 0 < since < store.oldest and self.server.expire_with_status:
                raise stores.gone(since)
        self.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        if initial or since == 0:
            found, version = store.list(kind, target.namespace, match)
            for obj in found:
                self._chunk("ADDED", self._shape(obj), rule)
            since = int(version)
            if initial and bookmarks:
                self._bookmark(kind, version, rule, True)
        seconds = float(query.get("timeoutSeconds") or 1800)
        end = time.monotonic() + seconds
        next_bookmark = time.monotonic() + self.server.bookmark_seconds
        while time.monotonic() < end and not self.server.stopping.is_set():
            self.server.under_way[self] = since
            with store.lock:
                expired = since < store.oldest
                events = [] if expired else [h for h in store.history if h[0] > since]
                now = store.version
                if not events and not expired:
                    store.changed.wait(min(0.25, max(0.0, end - time.monotonic())))
            if expired:
                self._chunk("ERROR", stores.gone(since).status(), rule)
                break
            for version, of_kind, event, obj, before in events:
                since = version
                if of_kind is not kind or (target.namespace and
                                           obj["metadata"].get("namespace") != target.namespace):
                    continue
                fits, did = match(obj), before is not None and match(before)
                if event == "MODIFIED":
                    event = "MODIFIED" if fits and did else "ADDED" if fits else \
                        "DELETED" if did else None
                elif not (fits or (event == "DELETED" and did)):
                    event = None
                if event:
                    self._chunk(event, self._shape(obj), rule)
            since = max(since, now) if not events else since
            if bookmarks and time.monotonic() > next_bookmark:
                next_bookmark = time.monotonic() + self.server.bookmark_seconds
                self._bookmark(kind, since, rule)
            if not events:
                self._notice_hangup()
        self.send_bytes(b"0\r\n\r\n")

    def _notice_hangup(self):
        readable, _, _ = select.select([self.connection], [], [], 0)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise Dropped()


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, store, port=0, minor=37, watch_list=True):
        super().__init__(("127.0.0.1", port), Handler)
        self.store, self.faults = store, Faults()
        self.minor, self.watch_list = minor, watch_list
        self.bookmark_seconds, self.expire_with_status = 60.0, False
        self.stopping = threading.Event()
        self.connections, self.buried = set(), set()
        self.requests, self.writes = [], []
        self.under_way = {}
        self._thread = None

    # -- life ------------------------------------------------------------------------------------
    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.server_address[1]

    def start(self):
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.faults.open.set()
        self.shutdown()
        self.server_close()
        self.cut_all()

    def cut_all(self):
        """Every open connection dies; new ones are served."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def handle_error(self, request, client_address):
        import sys
        kind = sys.exc_info()[0]
        if not (kind and issubclass(kind, (ConnectionError, TimeoutError, ValueError))):
            super().handle_error(request, client_address)

    def busy(self):
        """Somebody waits for an answer, or a watch has changes still to tell."""
        version = self.store.version
        return any(told is None or told < version for told in list(self.under_way.values()))

    # -- records ---------------------------------------------------------------------------------
    def note(self, verb, path, agent, query):
        self.requests.append({"verb": verb, "path": path, "agent": agent, "query": query,
                              "at": time.monotonic()})

    def note_write(self, verb, target, agent, obj):
        self.writes.append({"verb": verb, "kind": target.kind.kind, "sub": target.sub,
                            "namespace": target.namespace, "name": obj["metadata"]["name"],
                            "agent": agent, "version": obj["metadata"]["resourceVersion"]})

    # -- what is not an object -------------------------------------------------------------------
    def special(self, method, path, raw):
        if path == "/version":
            return {"major": "1", "minor": str(self.minor), "platform": "linux/amd64",
                    "gitVersion": "v1.%d.0" % self.minor}
        if path in ("/readyz", "/livez", "/healthz"):
            return {"ok": True}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = sorted({(k.group, k.version) for k in kinds.KINDS if k.group})
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                {"name": g, "versions": [{"groupVersion": g + "/" + v, "version": v}],
                 "preferredVersion": {"groupVersion": g + "/" + v, "version": v}}
                for g, v in groups]}
        found = re.match(r"^/(?:api|apis/([^/]+))/(v[^/]+)$", path)
        if method == "GET" and found:
            group, version = found[1] or "", found[2]
            known = [k for k in kinds.KINDS if (k.group, k.version) == (group, version)]
            if known:
                return {"kind": "APIResourceList", "apiVersion": "v1",
                        "groupVersion": kinds.api_version(known[0]), "resources": [
                            {"name": k.plural, "kind": k.kind, "namespaced": k.namespaced,
                             "singularName": k.kind.lower(), "verbs": ["get", "list", "watch"]}
                            for k in known]}
        if method == "POST" and path.startswith("/apis/authorization.k8s.io/v1/self"):
            body = json.loads(raw)
            body["status"] = {"allowed": True}
            return body
        return None

    def control(self, path, body):
        """POST /_test/...: the same handles for tests that are not written in Python."""
        faults, word = self.faults, path[len("/_test/"):]
        if word == "fault":
            for spec in body if isinstance(body, list) else [body]:
                faults.add(spec)
        elif word == "clear":
            faults.clear()
        elif word == "freeze":
            faults.open.clear()
        elif word == "thaw":
            faults.open.set()
        elif word == "cut":
            self.cut_all()
        elif word == "compact":
            self.store.compact()
        elif word == "tokens":
            faults.tokens = body
        elif word == "requests":
            return {"requests": list(self.requests)}
        elif word == "writes":
            return {"writes": list(self.writes)}
        else:
            return {"error": "unknown: " + word}
        return {"ok": True}
