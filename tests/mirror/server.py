"""A loopback HTTP server that lacks a file, cuts it off or lies about it when it is told to."""
import http.server
import re
import threading


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        mirror = self.server.mirror
        # Asked as a proxy, it is told the whole address; it answers for every host.
        path = re.sub("^http://[^/]*", "", self.path).split("?")[0].replace("%2b", "+").replace("%2B", "+").replace("%7e", "~")
        mirror.asked.append(path)
        data = mirror.files.get(path)
        fault = mirror.fault_of(path)
        if data is None or fault == "lack":
            return self._answer(404, b"not here\n")
        if fault == "cut":
            self._head(200, len(data))
            self.wfile.write(data[:len(data) // 2])
            self.close_connection = True
            return None
        if fault == "lie":
            data = bytes([data[0] ^ 1]) + data[1:]
        return self._answer(200, data)

    def _head(self, status, length):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _answer(self, status, data):
        self._head(status, len(data))
        self.wfile.write(data)


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Who has what it wanted, or has given up on a lie, may hang up."""


class Server:
    """files: {path: bytes}. fault(how, pattern): how is lack, cut or lie; it holds until the server ends."""

    def __init__(self):
        self.files, self.asked, self._faults = {}, [], []
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.mirror = self
        self.url = "http://127.0.0.1:%d" % self._http.server_port
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def fault(self, how, pattern):
        self._faults.append((re.compile(pattern), how))

    def fault_of(self, path):
        return next((how for pattern, how in self._faults if pattern.search(path)), None)

    def count(self, pattern):
        return sum(1 for path in self.asked if re.search(pattern, path))

    def end(self):
        self._http.shutdown()
        self._http.server_close()
