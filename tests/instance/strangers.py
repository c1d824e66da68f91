"""Whoever reaches the port writes into the server's log: what a client calls itself decides nothing, and
forges no record."""
import contextlib
import json
import os
import re
import socket
import struct
import threading
import time

from lib.runner import check, equal, never, test, wait_for
from failures import lose_wal
from rig import Rig

GONE = "has already been removed"
TIME = "2026-01-31 23:59:59.123 UTC"


def knock(agent, user=b"nobody", database=b"postgres", more=b""):
    """A start-up packet without a password; returns what is answered. The bytes are anybody's."""
    body = b"user\0" + user + b"\0database\0" + database + b"\0" + more + b"\0"
    with socket.create_connection(("127.0.0.1", agent.port), timeout=10) as wire:
        wire.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
        return wire.recv(4096)


def prefix(agent):
    """What every session may read: how this server's log lines begin, as bytes."""
    text = agent.sql("select '<' || current_setting('log_line_prefix') || '>'")
    return text[1:-1].encode()


def forged(agent, backend, text, session=b""):
    """A whole record in the server's own shape, as exact as one can who has read the setting."""
    values = {b"m": TIME.encode(), b"p": b"1", b"b": backend.encode(), b"e": b"XX000",
              b"a": b"", b"u": session, b"d": session}
    def one(match):
        width = int(match.group(1) or b"0")
        value = values[match.group(2)]
        return value.ljust(-width) if width < 0 else value.rjust(width)
    return re.sub(rb"%(-?\d*)([a-z])", one, prefix(agent)) + b"FATAL:  " + text.encode() + b"\n"


def receiver(agent):
    return agent.sql("select pid from pg_stat_wal_receiver where status = 'streaming'")


@test("a stranger whose user name says that WAL is gone costs a replica nothing")
def named_like_a_message():
    with Rig(2) as rig:
        first, second = rig.pair()
        wait_for(lambda: receiver(second), 30, "a receiver")
        before = receiver(second)
        def hurt():
            for name in (GONE, "system identifier differs", "could not connect to the primary"):
                knock(second, name.encode(), name.encode())
            time.sleep(0.1)  # the pace of the attack, nothing that is waited for
            report = second.report()
            return report.get("reason") or second.logged("its copy is removed") or \
                second.probe()[0] != 200
        never(hurt, 8, "a replica that is told to be cut off")
        check(len(second.logged("no pg_hba.conf entry")) > 20, "the strangers came as far as the log")
        equal(receiver(second), before, "the receiver")


@test("a stranger who knows the shape of the log forges no record")
def forged_record():
    with Rig(2) as rig:
        first, second = rig.pair()
        wait_for(lambda: receiver(second), 30, "a receiver")
        before = receiver(second)
        gone = forged(second, "walreceiver", "forged words: requested WAL " + GONE)
        short = b"x\n\x1e" + TIME.encode() + b"\x1f1\x1fwalreceiver\x1f\x1f\x1f\x1fXX000\x1f"
        names = [
            (b"x\n" + gone, b"d"), (b"u", b"x\n" + gone), (short, b"FATAL:  forged words\n"),
            (b"x\nFATAL:  forged words", b"x\nPANIC:  forged words"),
            # In the very shape of the fields, as far as one can count them.
            (b"y".ljust(64) + b"\x1f" + b"z".ljust(64) + b"\x1fLOG:  mine\n" + gone, b"d"),
            # So long that it begins where the next 4096 bytes do, or behind them.
            (b"y" * (4096 - 300), b"\n".join([b"z"] + [gone] * 20)),
        ]
        # Names are cut to 63 bytes only once the packet has been understood: this one never is.
        broken = b"replication\0forged words\0"
        def hurt():
            for user, database in names:
                knock(second, user[:4000], database[:4000])
                knock(second, user[:4000], database[:4000], broken)
            time.sleep(0.1)  # the pace of the attack, nothing that is waited for
            return second.report().get("reason") or second.logged("its copy is removed") or \
                second.probe()[0] != 200
        never(hurt, 6, "a replica that is told to be cut off")
        equal(receiver(second), before, "the receiver")
        for line in second.log():
            check(not line["msg"].startswith("forged words"), "a record of its own: %s", line)
            if "forged" in json.dumps(line):
                check(line.get("backend") in (None, "client backend", "not initialized"),
                      "whose words: %s", line)
                check(line.get("pid") != "1", "whose words: %s", line)
                check(not line["ts"].startswith(TIME[:10]), "when: %s", line)


@test("a session's own words do not become the server's last ones")
def last_words():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        for _ in range(10):
            knock(agent, b"x\nPANIC:  forged words\nFATAL:  forged words", b"forged words")
        os.kill(agent.postmaster(), 9)
        wait_for(lambda: agent.logged("postgres was killed by signal 9"), 20, "the crash told")
        for line in agent.logged("postgres was killed by signal 9"):
            check("forged" not in line["msg"], "last words: %s", line["msg"])
        agent.ready()


@test("a copy is not given up before the primary's own report confirms that its WAL is gone")
def unconfirmed(major=None):
    with Rig(2, major) as rig:
        first, second = rig.pair()
        second.stop()
        lose_wal(first, hold=True)
        try:
            second.start()
            second.reports(reason="WalGone", phase="Running")
            never(lambda: second.logged("its copy is removed"), 6, "a copy that is given up")
            for words in ("confirm", "pod and both of its volume claims"):
                check(words in second.report()["message"], "message: %s", second.report())
        finally:
            first.signal(18)
        wait_for(lambda: second.logged("its copy is removed"), 60, "the copy given up")
        second.reports(phase="Running", reason=None, seconds=60)
        second.ready()


@test("a copy is given up once an hour at most, also over a restart of the agent", long=True)
def hourly():
    with Rig(2) as rig:
        first, second = rig.pair()
        second.stop()
        lose_wal(first)
        second.start()
        wait_for(lambda: second.logged("its copy is removed"), 60, "the copy given up")
        second.ready()
        second.stop()
        lose_wal(first)
        for _ in range(2):
            second.start()
            report = second.reports(reason="WalGone", phase="Running",
                                    message=lambda text: "hour" in (text or ""))
            for words in ("volume claims", "maxSlotWalKeepSize"):
                check(words in report["message"], "'%s' in: %s", words, report["message"])
            never(lambda: len(second.logged("its copy is removed")) > 1, 5, "another one")
            equal(second.probe()[0], 503, "readiness")
            second.stop()
        # An hour later: the stamp is what is kept on the volume.
        path = os.path.join(second.data, "retired.json")
        with open(path) as source:
            stamp = json.load(source)
        rig.write(path, json.dumps({"at": stamp["at"] - 3600 * 1000}))
        second.start()
        wait_for(lambda: len(second.logged("its copy is removed")) == 2, 60, "the copy given up")
        second.reports(phase="Running", reason=None, seconds=60)
        second.ready()


@contextlib.contextmanager
def unread(rig):
    """A pipe that takes an agent's output; nobody reads it until the function is called that comes
    with it, which returns all that ever came, as lines."""
    mine, theirs = os.pipe()
    got, seen = [], threading.Condition()
    def drain():
        while data := os.read(mine, 1 << 16):
            with seen:
                got.append(data)
    thread = threading.Thread(target=drain, daemon=True)
    def read():
        if not thread.ident:
            thread.start()
        with seen:
            return b"".join(got).decode().split("\n")[:-1]
    try:
        yield theirs, read
    finally:
        os.close(theirs)
        for agent in rig.agents:  # they hold the other end
            if agent.process and agent.process.alive():
                agent.kill()
        read()
        thread.join()
        os.close(mine)


@test("a log that nothing reads stops neither the agent nor postgres, and tells what it lacks")
def stalled_reader():
    with Rig() as rig, unread(rig) as (sink, read):
        rig.grant()
        agent = rig.agents[0].start(sink=sink).ready()
        agent.reports(bootstrapped=True)
        # Every statement is logged, with its duration: far more than any buffer on the way holds.
        text = "".join("select length(repeat('%d', 10)), '%s';\n" % (n, "x" * 1000)
                       for n in range(3000))
        agent.sql(text)
        before = rig.lease()["renewTime"]
        code, said = agent.probe("/livez")
        equal(code, 200, "livez")
        check("log lines" in said, "what it tells: %s", said)
        wait_for(lambda: rig.lease()["renewTime"] != before, 20, "a renewal of the lease")
        equal(agent.probe()[0], 200, "readyz")
        agent.sql("create table after_all as select 1")
        wait_for(lambda: any('"dropped"' in line for line in read()), 30, "what was dropped")
        agent.sql("select 'it flows again'")
        wait_for(lambda: any("it flows again" in line for line in read()), 30, "new lines")
        told = [int(l["dropped"]) for l in map(json.loads, read()) if "dropped" in l]
        check(sum(told) > 100 and len(told) < 10, "how many: %s", told)
        agent.stop()


@test("an agent whose log nothing reads still ends in time")
def stalled_to_the_end():
    with Rig() as rig, unread(rig) as (sink, _):
        rig.grant()
        agent = rig.agents[0].start(sink=sink).ready()
        agent.reports(bootstrapped=True)
        agent.sql(("select '%s';\n" % ("x" * 1000)) * 3000)
        agent.stop()
