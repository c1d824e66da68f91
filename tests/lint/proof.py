"""
For every rule: what its two examples (--explain prints them) lock, scan and rewrite on a real server,
seen in pg_locks, pg_relation_filenode() and the session's own counters.
"""
import json
import os
import tempfile
import threading

import tool
from lib import runner
from lib.postgres import SqlError
from server import majors, server

SETUP = """
CREATE TABLE customers (id bigint PRIMARY KEY, level int);
INSERT INTO customers SELECT g, 1 FROM generate_series(1, 100) g;
CREATE TABLE orders (id bigint PRIMARY KEY, amount int, number int, customer bigint, note text);
INSERT INTO orders SELECT g, g, g, g % 100 + 1, NULL FROM generate_series(1, 1000) g;
CREATE INDEX orders_amount ON orders (amount);
CREATE UNIQUE INDEX orders_number ON orders (number);
CREATE TABLE notes (id int);
CREATE TABLE events (year int) PARTITION BY RANGE (year);
CREATE TABLE events_2029 PARTITION OF events FOR VALUES FROM (2029) TO (2030);
CREATE TABLE events_2031 (year int);
INSERT INTO events_2031 SELECT 2031 FROM generate_series(1, 50);
CREATE TYPE mood AS ENUM ('well');
CREATE TABLE people (id int, mood mood);
CREATE MATERIALIZED VIEW totals AS SELECT id, number FROM orders;
CREATE UNIQUE INDEX ON totals (id);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""
TABLES = ("orders", "customers", "notes", "events", "events_2031", "people", "totals")
AE, SRE, SHARE, SUE, EX = ("ACCESS EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE",
                           "SHARE UPDATE EXCLUSIVE", "EXCLUSIVE")
RE, RS, AS, NONE = "ROW EXCLUSIVE", "ROW SHARE", "ACCESS SHARE", "none"
ORDER = (NONE, AS, RS, RE, SUE, SHARE, SRE, EX, AE)
# rule: table, (lock, effect) of the flagged example, (lock, effect) of the recommended one.
# An effect is 'rewrite', 'scan', '' or a refusal's SQLSTATE.
EXPECTED = {
    "MIG000": ("orders", (AE, ""), (AE, "")),
    "MIG001": ("orders", (SHARE, "scan"), (SUE, "")),
    "MIG002": ("orders", (AE, "rewrite"), (AE, "")),
    "MIG003": ("orders", (AE, "rewrite"), (AE, "")),
    "MIG004": ("orders", (AE, "scan"), (AE, "")),
    "MIG005": ("orders", (AE, ""), (AE, "")),
    "MIG006": ("orders", (AE, ""), (AE, "")),
    "MIG007": ("orders", (NONE, "25001"), (SUE, "")),
    "MIG008": ("orders", (AE, ""), (RS, "")),
    "MIG009": ("orders", (SRE, "scan"), (SRE, "")),
    "MIG010": ("orders", (AE, "scan"), (AE, "")),
    "MIG011": ("orders", (AE, "scan"), (AE, "")),
    "MIG012": ("orders", (AE, "scan"), (AE, "")),
    "MIG013": ("orders", (NONE, "23502"), (AE, "")),
    "MIG014": ("orders", (AE, "scan"), (AE, "")),
    "MIG015": ("customers", (SRE, ""), (NONE, "")),
    "MIG016": ("orders", (AE, "scan"), (AE, "")),
    "MIG017": ("orders", (AE, "rewrite"), (AE, "")),
    "MIG018": ("orders", (AE, "rewrite"), (AE, "")),
    "MIG019": ("orders", (AE, ""), (SUE, "")),
    "MIG020": ("orders", (SHARE, "scan"), (SUE, "")),
    "MIG021": ("notes", (AE, ""), (AE, "")),
    "MIG022": ("notes", (AE, ""), (AS, "")),
    "MIG023": ("notes", (AE, "rewrite"), (RE, "scan")),
    "MIG024": ("orders", (AE, "rewrite"), (SUE, "")),
    "MIG025": ("orders", (AE, "rewrite"), (SUE, "")),
    "MIG026": ("totals", (AE, "rewrite"), (EX, "scan")),
    "MIG027": ("events_2031", (AE, "scan"), (AE, "")),
    "MIG028": ("events", (AE, ""), (SUE, "")),
    "MIG029": ("events", (AE, ""), (SUE, "")),
    "MIG030": ("customers", (AE, ""), (NONE, "")),
    "MIG031": ("orders", (RE, "scan"), (NONE, "")),
    "MIG032": ("orders", (AE, ""), (AE, "")),
    "MIG033": ("orders", (RE, "scan"), (RE, "")),
    "MIG034": ("orders", (AE, "scan"), (NONE, "")),
    "MIG035": ("orders", (SRE, ""), (NONE, "")),
    "MIG036": ("orders", (AE, "rewrite"), (NONE, "")),
    "MIG037": ("people", (RE, "55P04"), (NONE, "")),
    "MIG038": ("orders", (NONE, ""), (NONE, "")),
    "MIG039": ("orders", (NONE, ""), (NONE, "")),
    "MIG040": ("orders", (NONE, ""), (NONE, "")),
    "MIG041": ("orders", (NONE, ""), (NONE, "")),
    "MIG042": ("orders", (AE, ""), (AE, "")),
    "MIG043": ("orders", (NONE, ""), (NONE, "")),
}
SEEN = {}  # (rule, 'flagged' or 'safe') -> (lock, effect), by the newest server


def mode_name(mode):
    words, out = mode.replace("Lock", ""), ""
    for letter in words:
        out += (" " if letter.isupper() and out else "") + letter.upper()
    return out


def strongest(rows):
    return max([mode_name(r[0]) for r in rows] or [NONE], key=ORDER.index)


class Case:
    """One database per run of an example, from a template, so that each starts alike."""

    count = 0

    def __init__(self, major):
        self.server = server(major)
        Case.count += 1
        self.name = "case_%d" % Case.count
        control = self.server.connect()
        control.query("SET client_min_messages = error")
        if not control.value("SELECT 1 FROM pg_database WHERE datname = 'example'"):
            control.query("CREATE DATABASE example")
            with self.server.connect("example") as wire:
                wire.query(SETUP)
        control.query("CREATE DATABASE %s TEMPLATE example" % self.name)
        control.close()
        self.session, self.other = self.connect(), self.connect()
        self.pid = self.session.value("SELECT pg_backend_pid()")

    def connect(self):
        return self.server.connect(self.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()
        self.other.close()

    def filenode(self, wire, table):
        return wire.value("SELECT pg_relation_filenode(to_regclass('%s'))" % table)

    def locks(self, wire, table, granted):
        return strongest(wire.query(
            "SELECT l.mode FROM pg_locks l WHERE l.pid = %s AND l.locktype = 'relation' AND "
            "l.relation = %s AND l.granted = %s" % (self.pid, self.oids[table], granted)))

    def in_transaction(self, sql, table):
        """All at once in a transaction that is looked at before it ends."""
        wire = self.session
        before = self.filenode(wire, table)
        wire.query("BEGIN")
        read = self._read(wire, table)
        wire.query(sql)
        lock = self.locks(wire, table, "true")
        effect = ""
        if before != (self.filenode(wire, table) or before):
            effect = "rewrite"
        elif self._read(wire, table) > read:
            effect = "scan"
        wire.query("ROLLBACK")
        return lock, effect

    def _read(self, wire, table):
        return int(wire.value("SELECT coalesce(max(seq_scan), 0) FROM pg_stat_xact_all_tables "
                              "WHERE relid = %s" % self.oids[table]))

    def outside(self, sql, table):
        """Alone; the lock is the one that it queues for while another session has them all. VACUUM
        looks its table up under ACCESS SHARE first, which must pass."""
        before = self.filenode(self.other, table)
        held = SUE if sql.startswith("VACUUM") else AE
        self.other.query("BEGIN; LOCK TABLE %s IN %s MODE" % (table, held))
        trouble = []

        def work():
            try:
                self.session.query(sql)
            except (SqlError, OSError) as error:
                trouble.append(error)
        thread = threading.Thread(target=work)
        thread.start()
        with self.connect() as watcher:
            lock = runner.wait_for(
                lambda: [m for m in [self.locks(watcher, table, "false")] if m != NONE], 20,
                "a lock asked for by: " + sql)[0]
        self.other.query("ROLLBACK")
        thread.join(60)
        runner.check(not thread.is_alive() and not trouble, "%s: %s", sql, trouble)
        return lock, "" if before == self.filenode(self.other, table) else "rewrite"

    def run(self, rule, sql, table):
        if table == "totals":
            oid = "SELECT 'totals'::regclass::oid"
        else:
            oid = "SELECT '%s'::regclass::oid" % table
        self.oids = {table: self.session.value(oid)}
        if sql.startswith("\\"):
            return NONE, ""
        try:
            alone = "CONCURRENTLY" in sql and "REFRESH" not in sql
            if rule == "MIG007" and sql.count(";") > 1:
                self.session.query(sql)
            elif alone or sql.startswith("VACUUM"):
                return self.outside(sql, table)
            return self.in_transaction(sql, table)
        except SqlError as error:
            self.session.query("ROLLBACK")
            return ("ROW EXCLUSIVE" if rule == "MIG037" else NONE), error.sqlstate


def prove(major, rule):
    table, flagged, safe = EXPECTED[rule["id"]]
    for which, wanted in (("flagged", flagged), ("safe", safe)):
        with Case(major) as case:
            got = case.run(rule["id"], rule[which], table)
        SEEN[rule["id"], which] = got
        runner.equal(got, wanted, "%s, %s example on %s" % (rule["id"], which, table))


def register(rule):
    @runner.test("%s finds its example, not what it recommends" % rule["id"])
    def finds():
        args = ["--rules", rule["id"]]
        if rule["id"] == "MIG000":
            args = ["--rules", "MIG000,MIG005"]
        if rule["id"] in ("MIG005", "MIG021"):
            args = ["--rules", "MIG000," + rule["id"]]
        runner.check(rule["id"] in tool.ids(rule["flagged"], *args), "%s is not found in: %s",
                     rule["id"], rule["flagged"])
        runner.equal([i for i in tool.ids(rule["safe"], *args) if i == rule["id"]], [],
                     "what is found in: " + rule["safe"])

    for major in majors():
        @runner.test("%s is true on PostgreSQL %d" % (rule["id"], major))
        def true(major=major):
            prove(major, rule)


for each in tool.rules():
    register(each)


@runner.test("Every rule has its proof")
def complete():
    runner.equal(sorted(EXPECTED), [r["id"] for r in tool.rules()], "rules with proof")


# from, to: every change that rewrites must be found; the free ones must not be.
CHANGES = [
    ("varchar(10)", "varchar(20)", False), ("varchar(10)", "text", False),
    ("varchar(10)", "varchar", False), ("text", "varchar", False), ("text", "varchar(10)", True),
    ("varchar(20)", "varchar(10)", True), ("numeric(10,2)", "numeric(12,2)", False),
    ("numeric(10,2)", "numeric(12,3)", True), ("numeric(10,2)", "numeric", False),
    ("numeric(10,2)", "numeric(8,2)", True), ("int", "bigint", True), ("int", "text", True),
    ("char(3)", "char(5)", True), ("char(3)", "char(3)", False),
    ("timestamp(3)", "timestamp(6)", False), ("timestamp(6)", "timestamp(3)", True),
    ("varbit(3)", "varbit(8)", False), ("int[]", "bigint[]", True), ("int", "int", False),
    ("time(2)", "time(4)", False), ("timestamptz(3)", "timestamptz", False),
]
# default, rewrite?
DEFAULTS = [
    ("int", "1", False), ("timestamptz", "now()", False), ("date", "current_date", False),
    ("timestamptz", "current_timestamp", False), ("text", "current_user", False),
    ("timestamptz", "clock_timestamp()", True), ("float8", "random()", True),
    ("uuid", "gen_random_uuid()", True), ("text", "md5('x')", False),
    ("timestamptz", "now() + interval '1 day'", False), ("text", "lower('A') || 'b'", False),
    ("text", "upper(random()::text)", True), ("jsonb", "jsonb_build_object('a', 1)", False),
]


def rewrites(wire, change):
    before = wire.value("SELECT pg_relation_filenode('t')")
    wire.query(change)
    return wire.value("SELECT pg_relation_filenode('t')") != before


for one in majors():
    @runner.test("What changes a type without a rewrite is known, on PostgreSQL %d" % one)
    def types(major=one):
        with Case(major) as case, tempfile.TemporaryDirectory() as where:
            for old, new, wanted in CHANGES:
                case.session.query("DROP TABLE IF EXISTS t; CREATE TABLE t (a %s)" % old)
                stats = os.path.join(where, "stats.json")
                code, out, err = tool.lint("--collect-stats", case.server.dsn(case.name))
                runner.equal((code, err), (0, ""), "--collect-stats")
                with open(stats, "w") as file:
                    file.write(out)
                change = "ALTER TABLE t ALTER COLUMN a TYPE %s" % new
                runner.equal(rewrites(case.session, change), wanted, "%s -> %s" % (old, new))
                found = tool.ids(change, "--rules", "MIG003", "--schema-stats", stats)
                runner.equal(found, ["MIG003"] if wanted else [], "lint of %s -> %s" % (old, new))

    @runner.test("Which defaults rewrite is known, on PostgreSQL %d" % one)
    def defaults(major=one):
        with Case(major) as case:
            for kind, value, wanted in DEFAULTS:
                case.session.query("DROP TABLE IF EXISTS t; CREATE TABLE t (a int)")
                change = "ALTER TABLE t ADD COLUMN b %s DEFAULT %s" % (kind, value)
                runner.equal(rewrites(case.session, change), wanted, change)
                runner.equal(tool.ids(change, "--rules", "MIG002"), ["MIG002"] if wanted else [],
                             "lint of " + change)

    @runner.test("A validated CHECK spares SET NOT NULL its scan, on PostgreSQL %d" % one)
    def spared(major=one):
        sql = ["ALTER TABLE orders ADD CONSTRAINT c CHECK (amount IS NOT NULL) NOT VALID",
               "ALTER TABLE orders VALIDATE CONSTRAINT c"]
        last = "ALTER TABLE orders ALTER COLUMN amount SET NOT NULL"
        with Case(major) as case:
            for each in sql:
                case.session.query(each)
            runner.equal(case.run("MIG012", last, "orders"), (AE, ""), last)
        runner.equal(tool.ids(";\n".join(sql + [last]), "--rules", "MIG012"), [], "lint")

    @runner.test("VALIDATE lets reads and writes pass, on PostgreSQL %d" % one)
    def validate(major=one):
        with Case(major) as case:
            case.session.query("ALTER TABLE orders ADD CONSTRAINT c CHECK (id > 0) NOT VALID")
            runner.equal(case.run("", "ALTER TABLE orders VALIDATE CONSTRAINT c", "orders"),
                         (SUE, "scan"), "VALIDATE")

    @runner.test("Without lock_timeout readers queue behind a waiting ALTER, on PostgreSQL %d" % one)
    def queue(major=one):
        rule = next(r for r in tool.rules() if r["id"] == "MIG032")
        with Case(major) as case, case.connect() as reader:
            case.oids = {"orders": case.session.value("SELECT 'orders'::regclass::oid")}
            case.other.query("BEGIN; SELECT 1 FROM orders LIMIT 1")
            thread = threading.Thread(target=lambda: case.session.query(rule["flagged"]))
            thread.start()
            runner.wait_for(lambda: case.locks(reader, "orders", "false") == AE, 20, "waiting")
            reader.query("SET lock_timeout = '200ms'")
            refused = ""
            try:
                reader.query("SELECT count(*) FROM orders")
            except SqlError as error:
                refused = error.sqlstate
            runner.equal(refused, "55P03", "a reader behind the ALTER")
            case.other.query("ROLLBACK")
            thread.join(30)
            case.other.query("BEGIN; SELECT 1 FROM orders LIMIT 1")
            refused = ""
            try:
                case.session.query(rule["safe"].replace("COLUMN a", "COLUMN b"))
            except SqlError as error:
                refused = error.sqlstate
            runner.equal(refused, "55P03", "the ALTER with lock_timeout")
            reader.query("SELECT count(*) FROM orders")
