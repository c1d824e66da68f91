"""
What every major must do alike: initdb, roles, clone, reload, restart, crash recovery, the end. Here
also on majors that are not the host's own; PGKEEL_POSTGRES=N runs the whole suite on one.
"""
import os

from failures import wal_gone
from lib.runner import check, equal, test, wait_for
from rig import PASSWORDS, Rig
from strangers import unconfirmed

OTHERS = (17, 18)
BUILTIN_LOCALE, ASYNCHRONOUS_READS = 17, 18  # the first majors with them


def setting(agent, name):
    return agent.sql("select setting || ' ' || context from pg_settings where name = '%s'" % name)


def initialised(rig, agent):
    equal(agent.report()["postgresVersion"].split(".")[0], str(rig.major), "version")
    equal(agent.sql("show data_checksums"), "on", "checksums")
    equal(agent.sql("show server_encoding"), "UTF8", "encoding")
    if rig.major >= BUILTIN_LOCALE:
        equal(agent.sql("select string_agg(distinct datlocprovider::text || datlocale, ',')"
                        " from pg_database"), "bC.UTF-8", "the builtin locale everywhere")
    else:
        equal(agent.sql("select string_agg(distinct datcollate, ',') from pg_database"), "C.UTF-8",
              "locale")
    for user in ("postgres", "app"):
        with agent.login(user, "app", PASSWORDS[user]) as session:
            equal(session.value("select current_user"), user, "a login over TLS")


def cloned(first, second):
    first.sql("create table t as select generate_series(1, 1000) n")
    wait_for(lambda: second.sql("select count(*) from t") == "1000", 40, "rows on the replica")
    equal(first.sql("select slot_name || active from pg_replication_slots"), "a_2true", "slot")
    for name in ("max_connections", "max_worker_processes", "max_wal_senders",
                 "max_prepared_transactions", "max_locks_per_transaction"):
        equal(setting(first, name).split()[1], "postmaster", "%s needs a restart" % name)


def reconfigured(rig, agents):
    rig.settings["more"] = "work_mem = 7MB\n"
    rig.settings["max_connections"] = "60"
    if rig.major >= ASYNCHRONOUS_READS:
        equal(setting(agents[0], "io_method"), "worker postmaster", "io_method")
        rig.settings["more"] += "io_method = sync\nio_combine_limit = 64kB\n"
    rig.token = wanted = rig.put_config()
    waiting = "io_method, max_connections" if rig.major >= ASYNCHRONOUS_READS else \
        "max_connections"
    for agent in agents:
        report = agent.reports(pendingRestart=True, configHash=wanted)
        equal(report["pendingParameters"], waiting, "what waits for a restart")
        equal(agent.sql("show work_mem"), "7MB", "what does not")
    rig.put_config()
    for agent in reversed(agents):
        agent.reports(restartToken=wanted, pendingRestart=None, phase="Running", seconds=90)
        wait_for(lambda a=agent: a.sql("show max_connections") == "60", 40, "the new value")


def smoke(major):
    with Rig(2, major) as rig:
        agents = first, second = rig.pair()
        first.reports(bootstrapped=True)
        initialised(rig, first)
        cloned(first, second)
        reconfigured(rig, agents)
        first.kill()
        first.start().ready()
        first.sql("insert into t values (0)")
        wait_for(lambda: second.sql("select count(*) from t") == "1001", 60, "streaming again")
        told = [line for line in first.log() if line.get("level") == "error"
                and line.get("logger") != "postgres"]
        check(not told, "complaints of the agent: %s", told)
        for agent in agents:
            agent.stop()


@test("a pair is made, cloned, set up, restarted and recovered")
def present():
    smoke(None)


if not os.environ.get("PGKEEL_POSTGRES"):
    for number in OTHERS:
        test("PostgreSQL %d: a pair is made, cloned, set up, restarted and recovered" % number)(
            lambda major=number: smoke(major))
        test("PostgreSQL %d: a replica whose WAL is gone from the primary says so, and is"
             " cloned again" % number)(lambda major=number: wal_gone(major))
        test("PostgreSQL %d: a copy is not given up before the primary's own report confirms that its"
             " WAL is gone" % number)(lambda major=number: unconfirmed(major))
