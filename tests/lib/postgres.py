"""
A PostgreSQL client of the test's own: frontend protocol 3 with TLS and SCRAM-SHA-256. It shows what
libpq hides (which certificate, which bytes were acknowledged when) and runs on a bare machine.
https://www.postgresql.org/docs/17/protocol.html
"""
import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct

from . import runner, strict


class SqlError(runner.Failed):
    def __init__(self, fields):
        super().__init__("%s: %s" % (fields.get("C"), fields.get("M")))
        self.sqlstate, self.message = fields.get("C", ""), fields.get("M", "")


class Lost(OSError):
    """The connection ended; what was under way may or may not have happened."""


class Connection:
    def __init__(self, host, user, password, database, ca=None, server_name=None, port=5432,
                 timeout=10, tls=True, **settings):
        """ca: PEM text. With it the chain is verified, and server_name too where given."""
        self.wire = socket.create_connection((host, port), timeout=timeout)
        self.buffer = b""
        self.certificate = None
        self.parameters = {}
        try:
            self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                self._start_tls(ca, server_name)
            words = {"user": user, "database": database, "application_name": "pgkeel-tests",
                     **settings}
            body = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in words.items())
            self._send(b"", struct.pack("!i", 196608) + body + b"\0")
            self._authenticate(user, password)
            self._until_ready()
        except (OSError, runner.Failed):
            self.wire.close()
            raise

    def _start_tls(self, ca, server_name):
        self.wire.sendall(struct.pack("!ii", 8, 80877103))
        if self.wire.recv(1) != b"S":
            raise Lost("the server refuses TLS")
        context = strict.context(ca) if ca else ssl._create_unverified_context()
        context.check_hostname = bool(ca and server_name)
        self.wire = context.wrap_socket(self.wire, server_hostname=server_name)
        self.certificate = self.wire.getpeercert(binary_form=True)

    # -- messages --------------------------------------------------------------------------------
    def _send(self, kind, body):
        try:
            self.wire.sendall(kind + struct.pack("!i", len(body) + 4) + body)
        except OSError as error:
            raise Lost(str(error)) from None

    def _take(self, count):
        while len(self.buffer) < count:
            try:
                more = self.wire.recv(65536)
            except TimeoutError:
                raise
            except OSError as error:
                raise Lost(str(error)) from None
            if not more:
                raise Lost("the server closed the connection")
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _receive(self):
        """(kind, body); errors are raised only where the caller wants them."""
        head = self._take(5)
        return head[:1], self._take(struct.unpack("!i", head[1:])[0] - 4)

    @staticmethod
    def _fields(body):
        return {chr(part[0]): part[1:].decode(errors="replace")
                for part in body.split(b"\0") if part}

    # -- SCRAM-SHA-256, RFC 5802 and 7677 -----------------------------------------------------------
    def _authenticate(self, user, password):
        state = {}
        while True:
            kind, body = self._receive()
            if kind == b"E":
                raise SqlError(self._fields(body))
            if kind != b"R":
                raise Lost("unexpected message %r" % kind)
            code = struct.unpack("!i", body[:4])[0]
            if code == 0:
                return
            if code == 10:
                state["first"] = "n=,r=" + base64.b64encode(os.urandom(18)).decode()
                first = ("n,," + state["first"]).encode()
                self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
            elif code == 11:
                self._send(b"p", self._proof(state, body[4:].decode(), password))
            elif code == 12:
                given = base64.b64decode(body[4:].decode().split("v=", 1)[1])
                if not hmac.compare_digest(given, state["server"]):
                    raise Lost("the server does not know the password's verifier")
            else:
                raise Lost("the server asks for authentication %d, not for SCRAM" % code)

    @staticmethod
    def _proof(state, message, password):
        words = dict(w.split("=", 1) for w in message.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(words["s"]),
                                     int(words["i"]))
        sign = lambda key, text: hmac.new(key, text.encode(), hashlib.sha256).digest()
        key = sign(salted, "Client Key")
        final = "c=biws,r=" + words["r"]
        everything = state["first"] + "," + message + "," + final
        signature = sign(hashlib.sha256(key).digest(), everything)
        state["server"] = sign(sign(salted, "Server Key"), everything)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        return (final + ",p=" + base64.b64encode(proof).decode()).encode()

    def _until_ready(self):
        trouble = None
        while True:
            kind, body = self._receive()
            if kind == b"S":
                name, value = body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
            elif kind == b"E":
                trouble = SqlError(self._fields(body))
                if trouble.message and self._fields(body).get("S") == "FATAL":
                    raise trouble
            elif kind == b"Z":
                if trouble:
                    raise trouble
                return

    # -- queries ---------------------------------------------------------------------------------
    def query(self, text):
        """Rows of the last statement as lists of str or None."""
        self._send(b"Q", text.encode() + b"\0")
        rows, trouble = [], None
        while True:
            kind, body = self._receive()
            if kind == b"T":
                rows = []
            elif kind == b"D":
                rows.append(self._row(body))
            elif kind == b"E":
                trouble = SqlError(self._fields(body))
                if self._fields(body).get("S") in ("FATAL", "PANIC"):
                    raise Lost(str(trouble))
            elif kind == b"Z":
                if trouble:
                    raise trouble
                return rows

    @staticmethod
    def _row(body):
        count, at, row = struct.unpack("!h", body[:2])[0], 2, []
        for _ in range(count):
            size = struct.unpack("!i", body[at:at + 4])[0]
            at += 4
            row.append(None if size < 0 else body[at:at + size].decode())
            at += max(0, size)
        return row

    def value(self, text):
        rows = self.query(text)
        return rows[0][0] if rows else None

    def close(self):
        try:
            self._send(b"X", b"")
        except OSError:
            pass
        self.wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
