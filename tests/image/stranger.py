"""What a stranger, or a server that lies, may do to PgBouncer. Usage: stranger.py PORT nonce|option|change|work"""
import base64
import hashlib
import hmac
import socket
import struct
import sys
import time

DEADLINE = 60  # seconds; what is looked for here never ends
PORT = int(sys.argv[1])


def packet(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def startup(user, database, **more):
    pairs = {"user": user, "database": database, **more}
    text = b"".join(("%s\0%s\0" % pair).encode() for pair in pairs.items())
    return packet(b"", struct.pack("!i", 3 << 16) + text + b"\0")


def first_message():
    bare = b"n=,r=abcdefghijkl"
    return bare, packet(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(bare) + 3) + b"n,," + bare)


class Wire:
    """One connection, and packets from it; None once the other side has closed it."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(DEADLINE)

    def say(self, *packets):
        self.connection.sendall(b"".join(packets))

    def hear(self):
        head = self._read(5)
        return head and (head[:1], self._read(struct.unpack("!i", head[1:])[0] - 4))

    def _read(self, count):
        data = b""
        while len(data) < count:
            try:
                part = self.connection.recv(count - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            data += part
        return data


def client():
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            return Wire(socket.create_connection(("127.0.0.1", PORT), DEADLINE))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def asks_for_scram(heard):
    assert heard and heard[0] == b"R" and heard[1][:4] == struct.pack("!i", 10), heard


def serves():
    """The next client is asked for its password."""
    wire = client()
    wire.say(startup("postgres", "postgres"))
    asks_for_scram(wire.hear())


def refused(heard):
    assert heard is None or heard[0] == b"E", "went on with %r" % (heard,)


def begin(wire, user, database):
    """The server's first message to a SCRAM login, with the client's bare one before it."""
    wire.say(startup(user, database))
    asks_for_scram(wire.hear())
    bare, message = first_message()
    wire.say(message)
    kind, body = wire.hear()
    assert kind == b"R" and body[:4] == struct.pack("!i", 11), body
    return bare, body[4:]


def final_message(password, bare, server_first):
    fields = dict(part.split(b"=", 1) for part in server_first.split(b","))
    salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(fields[b"s"]), int(fields[b"i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = b"c=biws,r=" + fields[b"r"]
    signature = hmac.digest(hashlib.sha256(key).digest(), b",".join([bare, server_first, without_proof]), "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature)))
    return packet(b"p", without_proof + b",p=" + proof)


def nonce():
    wire = client()
    begin(wire, "postgres", "postgres")
    wire.say(packet(b"p", b"c=biws,p=" + b"A" * 43 + b"="))
    refused(wire.hear())


def option():
    wire = client()
    wire.say(startup("postgres", "postgres", options="-c="))
    refused(wire.hear())


def change():
    """alice's own login is good; within it she says that she is postgres."""
    wire = client()
    good = final_message(b"secret", *begin(wire, "postgres", "postgres"))
    wire.say(good)
    kind, body = wire.hear()
    assert kind == b"R" and body[:4] == struct.pack("!i", 12), "not even a good login: %r" % body
    wire = client()
    bare, server_first = begin(wire, "alice", "no-such-database")
    wire.say(startup("postgres", "postgres"))
    heard = wire.hear()
    if heard and heard[0] == b"R":
        wire.say(final_message(b"wonder", bare, server_first))
        heard = wire.hear()
    refused(heard)


def work():
    listener = socket.create_server(("127.0.0.1", 6419))
    listener.settimeout(DEADLINE)
    wire = client()
    wire.say(startup("alice", "slow"))
    server = Wire(listener.accept()[0])
    length = struct.unpack("!i", server.connection.recv(4))[0]
    server.connection.recv(length - 4)
    server.say(packet(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"))
    _, body = server.hear()
    theirs = body.split(b"r=", 1)[1]
    server.say(packet(b"R", struct.pack("!i", 11) + b"r=" + theirs + b"xyz,s=" + base64.b64encode(b"salt" * 4) +
                      b",i=2000000000"))
    serves()
    refused(server.hear())


{"nonce": nonce, "option": option, "change": change, "work": work}[sys.argv[2]]()
serves()
