"""docs/lint.md and runbooks/migrations.md tell of every rule, and of no other."""
import os
import re

import proof
import tool
from lib import runner

BEGIN, END = "<!-- locks: begin -->\n", "<!-- locks: end -->\n"


def read(name):
    with open(os.path.join(runner.ROOT, name)) as source:
        return source.read()


def table():
    rows = ["| rule | table | flagged | what it does | recommended | what that does |",
            "|---|---|---|---|---|---|"]
    for rule in tool.rules():
        name = proof.EXPECTED[rule["id"]][0]
        cells = []
        for which in ("flagged", "safe"):
            lock, effect = proof.SEEN[rule["id"], which]
            refused = re.fullmatch("[0-9A-Z]{5}", effect)
            rest = "reads and writes pass" if lock == proof.SUE else "an instant"
            cells += [lock.lower() if lock == proof.NONE else lock,
                      "refused: %s" % effect if refused else effect or rest]
        rows.append("| %s | %s | %s |" % (rule["id"], name, " | ".join(cells)))
    return "\n".join(rows) + "\n"


@runner.test("The table of locks in docs/lint.md is what the proofs saw")
def locks():
    if len(proof.SEEN) < 2 * len(tool.rules()):
        raise runner.Skipped("not every proof ran")
    path = os.path.join(runner.ROOT, "docs", "lint.md")
    text = read("docs/lint.md")
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    if tool.UPDATE:
        with open(path, "w") as out:
            out.write(head + BEGIN + table() + END + tail)
    else:
        runner.equal(old, table(), "the table")


@runner.test("docs/lint.md and the runbook tell of every rule, and of no other")
def both_ways():
    ids = {r["id"] for r in tool.rules()}
    for name in ("docs/lint.md", "runbooks/migrations.md"):
        runner.equal(set(re.findall(r"\bMIG\d+\b", read(name))), ids, "rules in " + name)
    runbook = read("runbooks/migrations.md")
    for rule in tool.rules():
        runner.check("\n## %s %s\n" % (rule["id"], rule["name"]) in runbook,
                     "the runbook has no heading for %s", rule["id"])
        for line in (rule["title"], rule["effect"], rule["recipe"], rule["flagged"], rule["safe"]):
            runner.check(line in runbook, "the runbook lacks, of %s: %s", rule["id"], line)
