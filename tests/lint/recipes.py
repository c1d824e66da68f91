"""
Recipes of more than one step: each statement, as a file of its own, takes the lock that is promised,
scans or rewrites nothing that blocks, and is not found by the linter.
"""
import proof
import tool
from lib import runner
from proof import AE, NONE, RE, RS, SRE, SUE
from server import majors

# rule: [(statement, table, lock, effect)]; the statements are run one after the other.
STEPS = {
    "MIG002": [
        ("ALTER TABLE orders ADD COLUMN token uuid", "orders", AE, ""),
        ("ALTER TABLE orders ALTER COLUMN token SET DEFAULT gen_random_uuid()", "orders", AE, ""),
        ("UPDATE orders SET token = gen_random_uuid() WHERE id BETWEEN 1 AND 1000 AND token IS NULL",
         "orders", RE, ""),
        ("ALTER TABLE orders ADD CONSTRAINT there CHECK (token IS NOT NULL) NOT VALID", "orders",
         AE, ""),
        ("ALTER TABLE orders VALIDATE CONSTRAINT there", "orders", SUE, "scan"),
        ("ALTER TABLE orders ALTER COLUMN token SET NOT NULL", "orders", AE, ""),
        ("ALTER TABLE orders DROP CONSTRAINT there", "orders", AE, ""),
    ],
    "MIG003": [
        ("ALTER TABLE orders ADD COLUMN amount_new bigint", "orders", AE, ""),
        ("UPDATE orders SET amount_new = amount WHERE id BETWEEN 1 AND 1000", "orders", RE, ""),
        ("SELECT amount_new FROM orders WHERE id = 7", "orders", "ACCESS SHARE", ""),
        ("ALTER TABLE orders DROP COLUMN amount", "orders", AE, ""),
    ],
    "MIG004": [
        ("ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID", "orders", AE,
         ""),
        ("ALTER TABLE orders VALIDATE CONSTRAINT positive", "orders", SUE, "scan"),
    ],
    "MIG006": [
        ("ALTER TABLE orders ADD COLUMN remark text", "orders", AE, ""),
        ("UPDATE orders SET remark = note WHERE id BETWEEN 1 AND 1000", "orders", RE, ""),
        ("SELECT remark FROM orders WHERE id = 7", "orders", "ACCESS SHARE", ""),
        ("ALTER TABLE orders DROP COLUMN note", "orders", AE, ""),
    ],
    "MIG009": [
        ("ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (customer) REFERENCES customers (id) "
         "NOT VALID", "orders", SRE, ""),
        ("ALTER TABLE orders VALIDATE CONSTRAINT buyer", "orders", SUE, "scan"),
    ],
    "MIG011": [
        ("CREATE UNIQUE INDEX CONCURRENTLY once ON orders (number)", "orders", SUE, ""),
        ("ALTER TABLE orders ADD CONSTRAINT once UNIQUE USING INDEX once", "orders", AE, ""),
    ],
    "MIG012": [
        ("ALTER TABLE orders ADD CONSTRAINT there CHECK (amount IS NOT NULL) NOT VALID", "orders",
         AE, ""),
        ("ALTER TABLE orders VALIDATE CONSTRAINT there", "orders", SUE, "scan"),
        ("ALTER TABLE orders ALTER COLUMN amount SET NOT NULL", "orders", AE, ""),
        ("ALTER TABLE orders DROP CONSTRAINT there", "orders", AE, ""),
    ],
    "MIG027": [
        ("ALTER TABLE events_2031 ADD CONSTRAINT bounds CHECK (year IS NOT NULL AND year >= 2031 "
         "AND year < 2032) NOT VALID", "events_2031", AE, ""),
        ("ALTER TABLE events_2031 VALIDATE CONSTRAINT bounds", "events_2031", SUE, "scan"),
        ("ALTER TABLE events ATTACH PARTITION events_2031 FOR VALUES FROM (2031) TO (2032)",
         "events_2031", AE, ""),
    ],
    "MIG034": [
        ("CREATE TABLE bookings (id bigint, number int, EXCLUDE USING btree (number WITH =))",
         "orders", NONE, ""),
        ("INSERT INTO bookings SELECT id, number FROM orders WHERE id BETWEEN 1 AND 1000",
         "orders", "ACCESS SHARE", ""),
    ],
}


def walk(major, rule):
    with proof.Case(major) as case:
        for sql, table, lock, effect in STEPS[rule]:
            got = case.run(rule, sql, table)
            # Large tables are filled by key: that there is no scan is about the lock, not the plan.
            if lock in (RE, RS, "ACCESS SHARE"):
                got = got[0], ""
            runner.equal(got, (lock, effect), "%s: %s" % (rule, sql))
            if "CONCURRENTLY" not in sql:  # was rolled back after it was looked at
                case.session.query(sql)


def register(rule):
    for major in majors():
        @runner.test("Every step of %s's recipe blocks as little as promised, on PostgreSQL %d"
                     % (rule, major))
        def steps(major=major):
            walk(major, rule)

    @runner.test("Every step of %s's recipe, a file each, passes the linter" % rule)
    def clean():
        runner.equal(tool.ids(";\n".join(s[0] for s in STEPS[rule]), "--rules", rule,
                              "--in-transaction", "never"), [], "what is found")


for each in STEPS:
    register(each)
