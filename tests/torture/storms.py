"""The API server misbehaves; the operator ends where it would have ended in peace."""
from harness import NAMESPACE, Rig, ready_state
from lib import names, runner
from lib.runner import check, equal, test

_peace = {}


def peaceful_end():
    if not _peace:
        with Rig() as rig:
            rig.apply(names.cluster("a", NAMESPACE))
            rig.operator()
            rig.ready()
            rig.quiet()
            _peace["end"], _peace["writes"] = rig.end(), len(rig.writes())
    return _peace["end"]


def weathers(*rules, seconds=120, **server_options):
    """A creation under these rules comes to the peaceful end."""
    wanted = peaceful_end()
    with Rig(**server_options) as rig:
        for rule in rules:
            # The leader's own lease has its own test: it is asked for every few seconds only.
            rig.server.faults.add({"path": "^(?!.*/leases/?(pgkeel-controller)?$)", **rule})
        rig.apply(names.cluster("a", NAMESPACE))
        rig.operator()
        rig.ready(seconds=seconds)
        rig.same_end(wanted)
        rig.minted_once()
        return len(rig.writes())


@test("A stalled write is given up and made again once")
def _stalled():
    with Rig() as rig:
        rig.server.faults.add({"do": "stall", "verb": "write", "path": "/services", "seconds": 0})
        rig.apply(names.cluster("a", NAMESPACE))
        rig.operator()
        rig.ready(seconds=120)
        rig.minted_once()
        equal(rig.store.births.get(("Service", NAMESPACE, "a-rw")), 1, "births of Service 'a-rw'")


@test("A storm of 409 on the first twenty writes delays a cluster and changes nothing")
def _409():
    weathers({"do": "status", "code": 409, "verb": "write", "times": 20})


@test("A CA that could not be stored at once is not taken for one that is being replaced")
def _ca_refused():
    with Rig() as rig:
        rig.server.faults.add({"do": "status", "code": 409, "verb": "write", "path": "/secrets"})
        rig.apply(names.cluster("a", NAMESPACE, 1))
        rig.operator()
        rig.ready(seconds=120)
        equal(rig.get("Secret", "a-server")["metadata"].get("annotations"), None,
              "notes about a change of the CA")


@test("An operator that is refused its lease for a while asks again, and leads then")
def _lease():
    with Rig() as rig:
        for code in (409, 500, 429):
            rig.server.faults.add({"do": "status", "code": code, "verb": "write",
                                   "path": "/leases"})
        rig.apply(names.cluster("a", NAMESPACE, 1))
        rig.operator()
        rig.ready(seconds=120)


@test("A storm of 429 with Retry-After delays a cluster and changes nothing")
def _429():
    weathers({"do": "status", "code": 429, "retry_after": 1, "verb": "write", "times": 6})


@test("A storm of 500 and 503 on writes delays a cluster and changes nothing", long=True)
def _500():
    weathers({"do": "status", "code": 500, "verb": "write", "times": 8},
             {"do": "status", "code": 503, "verb": "write", "times": 8})


@test("A storm of 500 on every kind of read at start delays a cluster and changes nothing")
def _500_reads():
    weathers({"do": "status", "code": 500, "verb": "watch", "times": 12},
             {"do": "status", "code": 500, "verb": "get", "times": 8})


@test("Watches answered 410 Gone again and again are listed anew")
def _410():
    weathers({"do": "status", "code": 410, "verb": "watch", "times": 12})


@test("A watch that meets compacted history misses no change")
def _compacted():
    with Rig(ready_state(2)) as rig:
        rig.operator()
        rig.quiet()
        rig.store.compact()
        rig.server.cut_all()
        rig.edit("PostgresCluster", "a", {"spec": {"postgres": {"parameters": {
            "work_mem": "9MB"}}}})
        rig.until(lambda: "9MB" in rig.get("ConfigMap", "a-config")["data"]["postgresql.conf"], 60,
                  "the change to arrive")
        rig.ready()


@test("Answers that come byte by byte are understood")
def _split():
    for size in (1, 7):
        weathers({"do": "split", "bytes": size, "times": 40})


@test("Watches cut in the middle of an event are resumed without a loss")
def _truncated():
    rules = [{"do": "truncate", "bytes": size, "verb": "watch", "times": 1, "skip": skip}
             for skip, size in enumerate((1, 20, 60, 150, 151, 152, 300, 600, 1000, 2000))]
    weathers(*rules)


@test("Writes that were stored but never answered are not made twice")
def _unanswered():
    weathers({"do": "drop-after", "verb": "write", "times": 15})


@test("Connections that die before the request is read cost time only")
def _dropped():
    weathers({"do": "drop", "times": 25})


@test("A server without WatchList gets pages and the same end")
def _paged():
    weathers(watch_list=False)


@test("An API server that freezes in the middle of a creation is waited for")
def _frozen():
    wanted = peaceful_end()
    with Rig() as rig:
        rig.apply(names.cluster("a", NAMESPACE))
        operator = rig.operator()
        rig.until(lambda: len(rig.writes()) >= 10, 60, "ten writes")
        rig.server.faults.open.clear()
        runner.never(lambda: not operator.alive(), 2, "the operator's death in a frozen cluster")
        rig.server.faults.open.set()
        rig.ready(seconds=120)
        rig.same_end(wanted)
        rig.minted_once()


@test("A token that rotates is read again, and nothing is lost")
def _rotated():
    with Rig(ready_state(2)) as rig:
        rig.server.faults.tokens = ["first"]
        rig.operator()
        rig.quiet()
        rig.set_token("second")
        rig.server.faults.tokens = ["second"]
        rig.server.cut_all()
        rig.edit("PostgresCluster", "a", {"spec": {"postgres": {"parameters": {
            "work_mem": "9MB"}}}})
        rig.until(lambda: "9MB" in rig.get("ConfigMap", "a-config")["data"]["postgresql.conf"], 60,
                  "the change to arrive with the new token")
        refused = [r for r in rig.server.requests if r["verb"] == "watch"]
        check(len(refused) < 400, "%d watches: it hammers a server that says 401", len(refused))


@test("A refused status write is tried again and spoils nothing else")
def _status_refused():
    weathers({"do": "status", "code": 409, "verb": "write", "path": "/postgresclusters/a/status$",
              "times": 3})
