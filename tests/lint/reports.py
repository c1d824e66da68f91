"""Golden cases: tests/lint/cases/NAME.sql (or a folder) and NAME.FORMAT, what is said about it."""
import json
import os

import tool
from lib import runner

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")


def compare(path, got):
    if tool.UPDATE:
        with open(path, "w") as out:
            out.write(got)
        return
    with open(path) as source:
        wanted = source.read()
    if got != wanted:
        with open(os.path.join(runner.BUILD, "lint.got"), "w") as out:
            out.write(got)
        os.system("diff -u %s %s | head -40" % (path, os.path.join(runner.BUILD, "lint.got")))
    runner.check(got == wanted, "%s is not what is expected", os.path.basename(path))


def register(name):
    @runner.test("The report of case '%s' is the expected one" % name)
    def case():
        code, out, err = tool.lint(name, cwd=HERE)
        runner.equal(err, "", "stderr")
        compare(os.path.join(HERE, os.path.splitext(name)[0] + ".txt"),
                out + "exit code %d\n" % code)


for entry in sorted(os.listdir(HERE)):
    if entry.endswith(".sql") or os.path.isdir(os.path.join(HERE, entry)):
        register(entry)

SQL = "CREATE INDEX a ON \"é\" (b);\n-- migration-lint: ignore=MIG001\nSELEC 1;\n"


@runner.test("JSON, SARIF, GitLab and GitHub say the same as text")
def formats():
    both = [("MIG001", 1), ("MIG032", 1), ("MIG000", 2), ("unreadable", 3)]
    tree = json.loads(tool.lint("--format", "json", "-", text=SQL)[1])
    runner.equal([(f["rule"], f["line"]) for f in tree["findings"]], both, "json")
    runner.equal((tree["errors"], tree["warnings"], tree["unreadable"]), (2, 1, 1), "counts")
    run = json.loads(tool.lint("--format", "sarif", "-", text=SQL)[1])["runs"][0]
    runner.equal([(r["ruleId"], r["locations"][0]["physicalLocation"]["region"]["startLine"])
                  for r in run["results"]], both, "sarif")
    runner.equal(len(run["tool"]["driver"]["rules"]), len(tool.rules()), "rules in SARIF")
    tree = json.loads(tool.lint("--format", "gitlab", "-", text=SQL)[1])
    runner.equal([(f["check_name"], f["location"]["lines"]["begin"]) for f in tree], both, "gitlab")
    runner.equal(len({f["fingerprint"] for f in tree}), 4, "fingerprints")
    out = tool.lint("--format", "github", "-", text=SQL)[1]
    runner.check("::error file=stdin,line=1,col=1,title=MIG001::" in out, "github: %s", out)
    runner.check("::error file=stdin,line=3,col=1,title=unreadable::syntax error" in out, out)


@runner.test("Exit codes: 0 clean, 1 errors, 2 unreadable, 64 usage")
def codes():
    for text, code in (("SELECT 1;", 0), ("LOCK TABLE a;", 0), ("DROP TABLE a;", 1),
                       ("DROP TABLE a; SELEC;", 2), ("", 0)):
        runner.equal(tool.lint("-", text=text)[0], code, text)
    for args in ((), ("--rules", "MIG999", "-"), ("--pg-version", "9", "-"), ("--format", "x", "-"),
                 ("--in-transaction", "x", "-"), ("--explain", "MIG999")):
        runner.equal(tool.lint(*args)[0], 64, args)
    runner.equal(tool.lint("/nowhere/at/all")[0], 2, "a file that is not there")


@runner.test("Statistics turn 'rewrite' into bytes and time")
def cost():
    stats = os.path.join(runner.BUILD, "lint-stats.json")
    with open(stats, "w") as out:
        json.dump({"tables": {"public.orders": {"bytes": 48 * 10**9, "rows": 1, "columns": {
            "a": {"type": "integer", "not_null": True}}}}}, out)
    got = tool.lint("--schema-stats", stats, "-", text="ALTER TABLE orders ALTER a TYPE bigint;")[1]
    runner.check("rewrite of 48 GB, about 6 min of blocked reads and writes" in got, got)
    runner.equal(tool.ids("ALTER TABLE orders ALTER a SET NOT NULL", "--rules", "MIG012",
                          "--schema-stats", stats), [], "a column that is NOT NULL already")
    text = "CREATE TABLE IF NOT EXISTS orders (a int); CREATE INDEX i ON orders (a);"
    runner.equal(tool.ids(text, "--rules", "MIG001"), [], "IF NOT EXISTS by itself is new")
    runner.equal(tool.ids(text, "--rules", "MIG001", "--schema-stats", stats), ["MIG001"],
                 "IF NOT EXISTS of a table that lives")
    with open(stats, "w") as out:
        out.write("[1")
    runner.equal(tool.lint("--schema-stats", stats, "-")[0], 2, "statistics that are none")
