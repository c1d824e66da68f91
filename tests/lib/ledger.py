"""
A client that writes for as long as it may and remembers what was acknowledged. Afterwards every
acknowledged number must be there, and none may be there that was refused.
"""
import threading
import time

from . import runner
from .postgres import Lost, SqlError


class Ledger:
    """
    connect() gives a fresh Connection to wherever writes go; it may fail. pause: shorter ones take a
    third of a processor from what is tested, and no fault is so short that they would see more of it.
    """

    def __init__(self, connect, pause=0.005):
        self.connect, self.pause = connect, pause
        self.acknowledged, self.unknown, self.refused = [], [], []
        self.moments = []          # monotonic time of each acknowledgement
        self.trouble = []          # (time, text), as they came
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        wire = self.connect()
        wire.query("create table if not exists ledger (n bigint primary key, "
                   "at timestamptz default clock_timestamp())")
        self.first = int(wire.value("select coalesce(max(n), 0) + 1 from ledger"))
        wire.close()
        self._thread.start()
        self.wait_for_more(1)
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        wire, number = None, self.first
        while not self._stop.is_set():
            try:
                if wire is None:
                    wire = self.connect()
                wire.query("insert into ledger (n) values (%d)" % number)
                self.acknowledged.append(number)
                self.moments.append(time.monotonic())
            except SqlError as error:
                self.refused.append(number)
                self.trouble.append((time.monotonic(), str(error)))
                wire = self._drop(wire)
            except (Lost, OSError) as error:
                # Between sending and hearing nobody can know.
                if wire is not None:
                    self.unknown.append(number)
                self.trouble.append((time.monotonic(), str(error)))
                wire = self._drop(wire)
            number += 1
            self._stop.wait(self.pause if wire else 0.02)
        if wire:
            wire.close()

    @staticmethod
    def _drop(wire):
        if wire:
            wire.close()

    def wait_for_more(self, count, seconds=30):
        goal = len(self.acknowledged) + count
        runner.wait_for(lambda: len(self.acknowledged) >= goal, seconds,
                        "%d more acknowledged writes (last trouble: %s)"
                        % (count, self.trouble[-1:]), every=0.01)

    def longest_pause(self, since=0.0):
        times = [t for t in self.moments if t >= since]
        return max((b - a for a, b in zip(times, times[1:])), default=0.0)

    def check(self, connect=None):
        """Every acknowledged row is there, and no refused one."""
        wire = (connect or self.connect)()
        there = {int(r[0]) for r in wire.query("select n from ledger where n >= %d" % self.first)}
        wire.close()
        lost = [n for n in self.acknowledged if n not in there]
        runner.check(not lost, "%d acknowledged rows are gone: %s", len(lost), lost[:20])
        ghosts = [n for n in self.refused if n in there]
        runner.check(not ghosts, "refused rows are there: %s", ghosts[:20])
        return len(there)
