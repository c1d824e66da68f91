"""Rows of measurements: what, unit, samples; printed as a table and kept as JSON."""
import json
import math
import os


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, unit, samples, bound=None, note=""):
        """bound: what the project promises, where it does."""
        samples = list(samples)
        if not samples:
            return
        row = {"what": what, "unit": unit, "n": len(samples), "median": median(samples),
               "p99": percentile(samples, 99), "min": min(samples), "max": max(samples)}
        if bound is not None:
            row["bound"] = bound
        if note:
            row["note"] = note
        self.rows.append(row)
        print(self._line(row), flush=True)

    @staticmethod
    def head():
        return "%-58s %10s %10s %4s %-8s %s" % ("", "median", "p99", "n", "unit", "bound")

    @staticmethod
    def _line(row):
        bound = ""
        if "bound" in row:
            bound = "<= %g %s" % (row["bound"], "" if row["p99"] <= row["bound"] else "MISSED")
        return "%-58s %10s %10s %4d %-8s %s" % (
            row["what"], _digits(row["median"]), _digits(row["p99"]), row["n"], row["unit"], bound)

    def save(self, path, facts):
        """Rows measured before by other parts stay in the file."""
        kept = []
        try:
            with open(path) as source:
                kept = [r for r in json.load(source)["rows"]
                        if r["what"] not in {mine["what"] for mine in self.rows}]
        except (OSError, ValueError, KeyError):
            pass
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".tmp", "w") as out:
            json.dump({"facts": facts, "rows": kept + self.rows}, out, indent=1)
            out.write("\n")
        os.rename(path + ".tmp", path)


def median(samples):
    return percentile(samples, 50)


def percentile(samples, share):
    """Nearest rank, so that every figure is one that was measured."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


def _digits(value):
    return "%.3g" % value if abs(value) < 100 else "%.0f" % value
