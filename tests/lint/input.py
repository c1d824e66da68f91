"""Bad, large and strange input."""
import json
import os
import resource
import subprocess
import tempfile

import tool
from lib import runner


def unreadable(text):
    code, out, err = tool.lint("--format", "json", "-", text=text)
    runner.equal(err, "", "stderr")
    return code, [(f["line"], f["column"], f["message"]) for f in json.loads(out)["findings"]
                  if f["rule"] == "unreadable"]


@runner.test("Syntax errors have the server's message, line and column; the rest is still linted")
def syntax():
    runner.equal(unreadable("SELECT 1;\n  SELECT 'é', FROM;\nDROP TABLE a;"),
                 (2, [(2, 15, 'syntax error at or near "FROM"')]), "errors")
    runner.equal(tool.ids("SELECT 1;\n  SELECT 'é' FROM FROM;\nDROP TABLE a;", "--rules", "MIG021"),
                 ["unreadable", "MIG021"], "what follows an error")


@runner.test("Bytes that are no text are told with their place, and the rest is still linted")
def bytes_():
    runner.equal(unreadable(b"SELECT 1;\nSELECT '\xff';\n"),
                 (2, [(2, 9, 'invalid byte sequence for encoding "UTF8": 0xff')]), "0xff")
    runner.equal(unreadable(b"SELECT 1;\nSELECT\0 1;\n"),
                 (2, [(2, 7, "a NUL byte, which SQL text cannot contain")]), "NUL")
    runner.equal(unreadable("SELECT 1;".encode("utf-16"))[1][0][2],
                 "the file looks like UTF-16; convert it to UTF-8", "UTF-16")
    runner.equal(unreadable(b"SELECT '\xc3"),
                 (2, [(1, 9, 'invalid byte sequence for encoding "UTF8": 0xc3'),
                      (1, 8, "unterminated quoted string")]), "cut character")


@runner.test("Nothing, comments only, a BOM and CRLF are fine")
def fine():
    for text in (b"", b"\n", b"-- nothing", b"/* a /* b */ c */", b"\xef\xbb\xbfSELECT 1;",
                 b"\xef\xbb\xbf", b"SELECT 1;\r\nSELECT\r\n2;\r\n", b";;;", b"\xef\xbb\xbf;"):
        runner.equal(unreadable(text), (0, []), text)
    runner.equal(tool.findings("\ufeffSELECT 1;\r\n\r\n  DROP TABLE a;\r\n", "--rules", "MIG021"),
                 [("MIG021", 3, 3)], "place behind BOM and CRLF")


@runner.test("What never ends is told where it begins")
def unfinished():
    for text, what in (("SELECT 1;\n 'a", "quoted string"), ("SELECT 1;\n $a$ b", "dollar-quoted"),
                       ("SELECT 1;\n \"a", "quoted identifier"), ("SELECT 1;\n /* /* */", "/* comm"),
                       ("SELECT 1;\n E'\\'", "quoted string")):
        code, found = unreadable(text)
        runner.equal((code, found[0][0]), (2, 2), text)
        runner.check(what in found[0][2], "%s: %s", text, found)


@runner.test("Deep nesting and long chains neither crash nor hang")
def deep():
    for text in ("SELECT " + "(" * 100000 + "1" + ")" * 100000,
                 "SELECT " + "1+" * 200000 + "1",
                 "ALTER TABLE a ADD b int DEFAULT " + "1+" * 200000 + "1",
                 "ALTER TABLE a ADD b int DEFAULT " + "f(" * 4000 + "1" + ")" * 4000,
                 "SELECT " + "CASE WHEN true THEN " * 3000 + "1" + " END" * 3000,
                 "/*" * 100000, "$a" * 100000, "(" * 100000):
        code = tool.lint("-", text=text)[0]
        runner.check(code in (0, 1, 2), "exit code %d", code)


def limited(*args):
    """Exit code and peak memory in MiB of a run."""
    process = subprocess.Popen([runner.PGKEEL, "lint", *args], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss / 1024


@runner.test("100 MB and a million statements stay within bounded memory")
def large():
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "a.sql")
        with open(path, "w") as out:
            line = "ALTER TABLE a ADD COLUMN b%d int; -- " + "x" * 64 + "\n"
            for i in range(1000000):
                out.write(line % i)
        code, peak = limited(path)
        runner.equal(code, 0, "exit code")
        runner.check(peak < 48, "%d MiB for %d MB", peak, os.path.getsize(path) >> 20)
        with open(path, "w") as out:
            out.write("INSERT INTO a VALUES ('" + "x" * 100000000 + "');")
        code, peak = limited(path)
        runner.equal(code, 0, "exit code of one statement of 100 MB")
        with open(path, "w") as out:
            out.write("SELECT '" + "x" * 100000000 + "'")
        runner.equal(limited(path)[0], 2, "exit code of a SELECT of 100 MB")


@runner.test("Folders are read in natural order; links in circles and what is unreadable are told")
def folders():
    with tempfile.TemporaryDirectory() as where:
        for name in ("V10__c.sql", "V2__b.sql", "U2__b.sql", "1.up.sql", "1.down.sql", "x.txt"):
            with open(os.path.join(where, name), "w") as out:
                out.write("DROP TABLE a;")
        os.mkdir(where + "/sub")
        os.symlink("..", where + "/sub/loop")
        os.symlink("gone.sql", where + "/z.sql")
        code, out, _ = tool.lint("--format", "json", "--rules", "MIG021", where)
        seen = [(os.path.basename(f["file"]), f["rule"]) for f in json.loads(out)["findings"]]
        runner.equal((code, seen), (2, [("1.up.sql", "MIG021"), ("V2__b.sql", "MIG021"),
                                        ("V10__c.sql", "MIG021"), ("loop", "unreadable"),
                                        ("z.sql", "unreadable")]), "files")
        _, out, _ = tool.lint("--format", "json", "--rules", "MIG021", "--since", "V2__b.sql", where)
        seen = [os.path.basename(f["file"]) for f in json.loads(out)["findings"] if f["line"]]
        runner.equal(seen, ["V10__c.sql"], "files since V2__b.sql")
        _, out, _ = tool.lint("--format", "json", "--include-down", "--rules", "MIG021", where)
        runner.equal(len([f for f in json.loads(out)["findings"] if f["line"]]), 5, "with downs")


@runner.test("sqlx runs each file in a transaction, unless its first words say otherwise")
def sqlx():
    build = "CREATE INDEX CONCURRENTLY a ON b (c);\n"
    files = {"1_a.sql": build, "2_b.up.sql": build, "2_b.down.sql": build,
             "3_c.sql": "-- no-transaction\n" + build,
             "4_d.sql": "-- no-transaction\n" + build + "/* sqlx: split */\n" + build,
             "5_e.sql": "\n-- no-transaction\n" + build,
             "6_f.sql": "-- no-transaction\n" + build + build}

    def found(*args):
        tree = json.loads(tool.lint("--format", "json", "--rules", "MIG007", *args)[1])
        return sorted({os.path.basename(f["file"]) for f in tree["findings"]})
    with tempfile.TemporaryDirectory() as where:
        folder = os.path.join(where, "migrations")
        os.mkdir(folder)
        for name, text in files.items():
            with open(os.path.join(folder, name), "w") as out:
                out.write(text)
        runner.equal(found(folder), ["6_f.sql"], "without a crate")
        with open(os.path.join(where, "Cargo.toml"), "w") as out:
            out.write("[dependencies]\nsqlx = '0.8'\n")
        runner.equal(found(folder), ["1_a.sql", "2_b.up.sql", "5_e.sql", "6_f.sql"], "sqlx")
        runner.equal(found("--in-transaction", "never", folder), [], "overruled")
        with open(os.path.join(folder, "1_a.sql.conf"), "w") as out:
            out.write("executeInTransaction=true\n")
        runner.equal(found("--in-transaction", "never", folder), [], "Flyway's file overruled")
