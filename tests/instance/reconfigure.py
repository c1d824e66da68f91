"""Changes of the configuration: reload, restart by token, refusals, certificates."""
import contextlib
import json
import os
import signal
import subprocess

import programs
from lib.runner import check, equal, never, test, wait_for
from rig import Rig


@test("a parameter that needs no restart is there after a reload")
def reload():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        started = agent.sql("select pg_postmaster_start_time()")
        rig.settings["more"] = "work_mem = 12MB\n"
        wanted = rig.put_config(mounts=False)
        agent.reports(configHash=wanted)
        equal(agent.sql("show work_mem"), "12MB", "work_mem")
        rig.settings["more"] = "work_mem = 13MB\n"
        rig.put_config(mounts=False)
        wait_for(lambda: agent.sql("show work_mem") == "13MB", 20, "another change")
        equal(agent.sql("select pg_postmaster_start_time()"), started, "start of postgres")
        loaded = agent.sql("select pg_conf_load_time()")
        rig.put_config()
        rig.edit("ConfigMap", "a-config", {"metadata": {"labels": {"touched": "yes"}}})
        never(lambda: agent.sql("select pg_conf_load_time()") != loaded, 1,
              "a reload without a change")


@test("a parameter that needs a restart waits for its token, and is restarted for once")
def restart():
    with Rig(2) as rig:
        first, second = rig.pair()
        starts = [a.sql("select pg_postmaster_start_time()") for a in (first, second)]
        rig.settings["max_connections"] = "70"
        wanted = rig.put_config()
        told = [json.loads(event["metadata"]["annotations"]["pgkeel.dev/report"])
                for event in rig.history("Pod", "a-1-0", until=lambda: [
                    agent.reports(pendingRestart=True, configHash=wanted)
                    for agent in (first, second)])]
        check(all(r.get("pendingRestart") for r in told if r.get("configHash") == wanted),
              "the new hash is told before what waits for a restart: %s", told)
        for agent in (first, second):
            report = agent.reports(pendingRestart=True, configHash=wanted)
            equal(report["pendingParameters"], "max_connections", "parameters")
        equal([a.sql("select pg_postmaster_start_time()") for a in (first, second)], starts,
              "no restart without a token")
        rig.token = wanted
        rig.put_config()
        for agent in (second, first):
            agent.reports(restartToken=wanted, pendingRestart=None, phase="Running", seconds=90)
            wait_for(lambda a=agent: a.sql("show max_connections") == "70", 40, "70 connections")
        restarted = [a.sql("select pg_postmaster_start_time()") for a in (first, second)]
        check(starts[0] != restarted[0] and starts[1] != restarted[1], "both were restarted")
        rig.settings["more"] = "work_mem = 9MB\n"
        rig.put_config()
        wait_for(lambda: first.sql("show work_mem") == "9MB", 30, "a reload")
        equal([a.sql("select pg_postmaster_start_time()") for a in (first, second)], restarted,
              "the old token restarts nobody again")
        check(first.logged("checkpoint complete"), "a checkpoint comes before the restart")


@test("a standby keeps what its primary's data needs until that is lowered, too")
def standby_floor():
    with Rig(2) as rig:
        first, second = rig.pair()
        rig.settings["max_connections"] = "40"
        rig.token = rig.put_config()
        rig.put_config()
        second.reports(restartToken=rig.token, pendingRestart=None, phase="Running", seconds=90)
        second.stop()
        second.start().ready()
        check(int(second.sql("show max_connections")) >= 40, "starts with enough")
        first.reports(restartToken=rig.token, pendingRestart=None, phase="Running", seconds=90)
        # What waits for the restart is not known while it is under way.
        wait_for(lambda: first.sql("show max_connections") == "40", 40, "the lowered primary")


@test("a long checkpoint before a restart keeps nobody from asking the server")
def long_checkpoint():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        checkpointer = [pid for pid, words in agent.postgres_pids() if "checkpointer" in words][0]
        rig.settings["max_connections"] = "70"
        wanted = rig.put_config()
        agent.reports(pendingRestart=True, configHash=wanted)
        os.kill(checkpointer, signal.SIGSTOP)
        try:
            rig.token = wanted
            rig.put_config()
            wait_for(lambda: agent.sql(
                "select 1 from pg_stat_activity look, pg_stat_activity point"
                " where look.application_name = 'pgkeel-agent' and point.query ilike 'checkpoint%'"
                " and look.query_start > point.query_start + interval '1 s'") == "1", 30,
                "a look at the server behind the beginning of the checkpoint")
            equal(agent.probe()[0], 200, "readiness")
        finally:
            os.kill(checkpointer, signal.SIGCONT)
        agent.reports(restartToken=wanted, pendingRestart=None, phase="Running", seconds=90)


LIMITS = {"max_connections": ("50", "70"), "max_worker_processes": ("8", "12"),
          "max_wal_senders": ("8", "12"), "max_prepared_transactions": ("0", "5"),
          "max_locks_per_transaction": ("64", "100")}


def limits(agent):
    names = ", ".join("'%s'" % name for name in LIMITS)
    rows = agent.sql("select name || ' ' || setting from pg_settings where name in (%s)" % names)
    return dict(row.split() for row in rows.split("\n"))


def restarts(rig, agent, token):
    """Orders one restart, as the operator does, and waits for its end."""
    rig.tokens[agent.name] = token
    rig.put_config()
    agent.reports(restartToken=token, pendingRestart=None, phase="Running", seconds=90)


@test("limits that a hot standby copies go up on the replica first, and down on the primary first")
def limits_up_and_down():
    with Rig(2) as rig:
        first, second = rig.pair()
        low = {name: pair[0] for name, pair in LIMITS.items()}
        high = {name: pair[1] for name, pair in LIMITS.items()}
        equal(limits(second), low, "limits at first")
        rig.settings["more"] = "".join("%s = %s\n" % item for item in high.items())
        wanted = rig.put_config()
        for agent in (second, first):
            agent.reports(configHash=wanted, pendingRestart=True)
            restarts(rig, agent, wanted)
        for agent in (first, second):
            wait_for(lambda a=agent: limits(a) == high, 40, "raised limits")
        second.reports(phase="Running", reason=None)
        rig.settings["more"] = ""
        wanted = rig.put_config()
        report = second.reports(configHash=wanted)
        equal(report.get("pendingRestart"), None,
              "nothing waits for a restart of the replica while the primary has the high limits")
        first.reports(configHash=wanted, pendingRestart=True)
        # Whatever restarts the replica now must not start it with less than its data needs.
        os.kill(second.postmaster(), 9)
        wait_for(lambda: len(second.logged("postgres is up")) >= 3, 60, "another start")
        second.ready()
        equal(limits(second), high, "limits of the replica")
        restarts(rig, first, wanted)
        wait_for(lambda: limits(first) == low, 40, "lowered limits of the primary")
        report = second.reports(configHash=wanted, pendingRestart=True, seconds=60)
        equal(sorted(report["pendingParameters"].split(", ")), sorted(LIMITS), "parameters")
        equal(limits(second), high, "limits of the replica before it is told to restart")
        restarts(rig, second, wanted)
        wait_for(lambda: limits(second) == low, 40, "lowered limits of the replica")
        check(not second.logged("the configuration is refused"), "it was refused on the way")
        second.ready()


@test("a bad parameter is refused in the server's words; the old configuration goes on")
def bad_parameter():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        good = agent.report()["configHash"]
        wait_for(lambda: os.path.exists(os.path.join(agent.data, "accepted.json")), 30,
                 "an accepted configuration")
        for more, words in (("work_mem = abc\n", 'invalid value for parameter "work_mem": "abc"'),
                            ("no_such = 1\n", 'unrecognized configuration parameter "no_such"'),
                            ("= = =\n", "syntax error")):
            rig.settings["more"] = more
            rig.put_config()
            report = agent.reports(reason="ConfigInvalid", phase="Running",
                                   message=lambda m, w=words: m and w in m)
            equal(report["configHash"], good, "what runs")
            equal(agent.probe()[0], 200, "readiness")
        # A new pod has only the bad one mounted.
        agent.stop()
        agent.start().ready()
        report = agent.reports(reason="ConfigInvalid", phase="Running")
        equal(report["configHash"], good, "what runs in the new pod")
        rig.settings["more"] = "work_mem = 6MB\n"
        wanted = rig.put_config()
        agent.reports(configHash=wanted, reason=None)
        equal(agent.sql("show work_mem"), "6MB", "the corrected one")


@test("a configuration that was refused is tried again when it is asked for again")
def bad_again():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        for more, hba, words in (("work_mem = abc\n", "", "work_mem"),
                                 ("", "host nonsense\n", "pg_hba.conf line 4")):
            for _ in range(2):
                rig.settings["more"], rig.hba = more, hba
                rig.put_config()
                agent.reports(reason="ConfigInvalid", phase="Running",
                              message=lambda m, w=words: m and w in m)
                rig.settings["more"], rig.hba = "", ""
                wanted = rig.put_config()
                agent.reports(reason=None, phase="Running", configHash=wanted)


@test("a configuration that could not be tried is tried again, and not called bad")
def postponed():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        os.chmod(agent.run, 0o500)
        try:
            rig.settings["more"] = "work_mem = 11MB\n"
            wanted = rig.put_config()
            report = agent.reports(reason="ConfigurationPending", phase="Running")
            check("postgresql.conf" in report["message"], "message: %s", report)
            equal(agent.probe()[0], 200, "readiness")
        finally:
            os.chmod(agent.run, 0o700)
        agent.reports(configHash=wanted, reason=None, phase="Running", seconds=60)
        equal(agent.sql("show work_mem"), "11MB", "work_mem")
        check(not agent.logged("the configuration is refused"), "it was called bad")


@test("what was asked for and taken back before a restart waits for none")
def taken_back():
    with Rig() as rig:
        rig.settings["more"] = "max_prepared_transactions = 2\nmax_locks_per_transaction = 64\n"
        rig.put_config()
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        kept = rig.settings["more"]
        # One that nobody had set, one that had another value, and back.
        rig.settings["more"] = "max_prepared_transactions = 4\nmax_worker_processes = 12\n"
        wanted = rig.put_config()
        agent.reports(configHash=wanted, pendingRestart=True,
                      pendingParameters="max_prepared_transactions, max_worker_processes")
        rig.settings["more"] = kept
        wanted = rig.put_config()
        agent.reports(configHash=wanted, pendingRestart=None)
        # What postgres runs with is taken away: one had its default's value anyway.
        rig.settings["more"] = ""
        wanted = rig.put_config()
        agent.reports(configHash=wanted, pendingRestart=True,
                      pendingParameters="max_prepared_transactions")
        restarts(rig, agent, wanted)
        equal(agent.sql("show max_prepared_transactions"), "0", "after the restart")


@test("a restart that prepared transactions would not survive is withheld until they are gone")
def prepared():
    with Rig() as rig:
        rig.settings["more"] = "max_prepared_transactions = 3\n"
        rig.put_config()
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        wait_for(lambda: os.path.exists(os.path.join(agent.data, "accepted.json")), 30,
                 "an accepted configuration")
        gid = "it's \\ " + "x" * 190
        quoted = "E'%s'" % gid.replace("\\", "\\\\").replace("'", "''")
        agent.sql("begin; create table held (n int); prepare transaction %s;" % quoted, "app")
        agent.sql("begin; create table held2 (n int); prepare transaction 'second';", "app")
        started = agent.sql("select pg_postmaster_start_time()")
        rig.settings["more"] = "max_prepared_transactions = 1\n"
        wanted = rig.put_config()
        rig.token = wanted
        rig.put_config()
        report = agent.reports(configHash=wanted, pendingRestart=True, phase="Running",
                               reason="PreparedTransactions")
        for words in (gid.replace("'", "''").replace("\\", "\\\\"), "role postgres",
                      "database app", "2 ", "ROLLBACK PREPARED",
                      "spec.postgres.parameters.max_prepared_transactions"):
            check(words in report["message"], "%r is not in the message: %s", words, report)
        equal(report.get("restartToken"), None, "the token that was not obeyed")
        # Nor is the configuration given up when something else ends the server.
        os.kill(agent.postmaster(), 9)
        wait_for(lambda: len(agent.logged("postgres is up")) >= 2, 60, "another start")
        agent.reports(configHash=wanted, pendingRestart=True, reason="PreparedTransactions",
                      seconds=60)
        again = agent.sql("select pg_postmaster_start_time()")
        check(again != started, "it was started again")
        equal(agent.sql("show max_prepared_transactions"), "3", "what it runs with")
        agent.sql("rollback prepared %s;" % quoted, "app")
        agent.reports(restartToken=wanted, pendingRestart=None, phase="Running", reason=None,
                      seconds=90)
        equal(agent.sql("show max_prepared_transactions"), "1", "after the restart")
        equal(agent.sql("select gid from pg_prepared_xacts"), "second", "what is still prepared")


@test("a bad pg_hba.conf is refused with its line; the old rules go on")
def bad_hba():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        rig.hba = "host nonsense\n"
        rig.put_config()
        report = agent.reports(reason="ConfigInvalid")
        check("pg_hba.conf line 4" in report["message"], "message: %s", report)
        with open(os.path.join(agent.run, "pg_hba.conf")) as rules:
            check("nonsense" not in rules.read(), "the file is the old one again")
        with agent.login("app", "app") as session:
            equal(session.value("select 1"), "1", "a login")
        rig.hba = "hostssl other other all scram-sha-256\n"
        agent.reports(configHash=rig.put_config(), reason=None)
        equal(agent.sql("select count(*) from pg_hba_file_rules where 'other' = any(database)"),
              "1", "the new rule")


@test("a configuration with which postgres does not start gives way to the accepted one")
def does_not_start():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        good = agent.report()["configHash"]
        wait_for(lambda: os.path.exists(os.path.join(agent.data, "accepted.json")), 30,
                 "an accepted configuration")
        rig.settings["more"] = "shared_preload_libraries = 'nonexistent'\n"
        rig.token = rig.put_config()
        agent.reports(pendingRestart=True)
        rig.put_config()
        report = agent.reports(reason="ConfigInvalid", phase="Running", seconds=90)
        check("nonexistent" in report["message"], "message: %s", report)
        check("correct spec.postgres, or delete the pod" in report["message"], "remedy: %s", report)
        equal(report["configHash"], good, "what runs")
        agent.ready()


@test("a configuration refused while the accepted one failed too gets another try")
def not_to_blame():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        wait_for(lambda: os.path.exists(os.path.join(agent.data, "accepted.json")), 30,
                 "an accepted configuration")
        auto = os.path.join(agent.data, "pgdata", "postgresql.auto.conf")
        with open(auto, "w") as out:
            out.write("shared_preload_libraries = 'nonexistent'\n")
        os.kill(agent.postmaster(), 9)
        agent.reports(reason="CrashLooping", seconds=60)
        rig.settings["more"] = "work_mem = '5MB'\n"
        wanted = rig.put_config()
        wait_for(lambda: agent.logged("the configuration is refused"), 60, "a refusal")
        with open(auto, "w"):
            pass
        agent.reports(phase="Running", reason=None, configHash=wanted, seconds=90)
        equal(agent.sql("show work_mem"), "5MB", "work_mem")


@contextlib.contextmanager
def before_it_is_read(path):
    """Its reader waits until the block has ended."""
    with open(path) as source:
        text = source.read()
    os.unlink(path)
    os.mkfifo(path, 0o644)
    os.chmod(path, 0o644)
    def opened():
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads it yet
            return None
    fd = wait_for(opened, 60, "a reader of %s" % path)
    try:
        yield
    finally:
        os.write(fd, text.encode())
        os.close(fd)


# What keeps every configuration from being started with, or from passing the check.
ANOTHER_CAUSE = ("shared_preload_libraries = 'nonexistent'\n", "= = =\n")


def auto_conf(agent, text):
    with open(os.path.join(agent.data, "pgdata", "postgresql.auto.conf"), "w") as out:
        out.write(text)


def kept(agent):
    path = os.path.join(agent.data, "accepted.json")
    wait_for(lambda: os.path.exists(path), 30, "an accepted configuration")
    return path


@test("a configuration is not blamed for good for a trouble that began before it")
def trouble_before_it():
    for cause in ANOTHER_CAUSE:
        with Rig() as rig:
            agent = rig.primary()
            agent.reports(bootstrapped=True)
            accepted = kept(agent)
            auto_conf(agent, cause)
            os.kill(agent.postmaster(), 9)
            agent.reports(reason="CrashLooping", seconds=60)
            rig.settings["more"] = "work_mem = '5MB'\n"
            wanted = rig.put_config()
            # The agent turns to the accepted one when it has refused the new one. Just then the
            # cause goes, so that the accepted one comes up at its first attempt.
            with before_it_is_read(accepted):
                auto_conf(agent, "")
            agent.reports(phase="Running", reason=None, configHash=wanted, seconds=90)
            equal(agent.sql("show work_mem"), "5MB", "work_mem")
            equal(len(agent.logged("the configuration is refused")), 1, "refusals")


@test("what a server runs with and refuses is tried again after a pause, and not called bad")
def refused_while_it_runs():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        kept(agent)
        auto_conf(agent, "= = =\n")
        rig.make_certificates(names="DNS:somebody.else.example")
        report = agent.reports(reason="ConfigurationPending", phase="Running")
        check("postgresql.auto.conf" in report["message"], "message: %s", report)
        equal(agent.probe()[0], 200, "readiness")
        auto_conf(agent, "")
        agent.reports(reason=None, phase="Running", seconds=60)
        wait_for(lambda: "verify-ca" in agent.sql("show primary_conninfo"), 40, "the new form")
        check(not agent.logged("the configuration is refused"), "it was called bad")


@test("an agent that has nothing to start a server with comes to rest")
def nothing_to_start_with():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        kept(agent)
        auto_conf(agent, "= = =\n")
        os.kill(agent.postmaster(), 9)
        agent.reports(reason="CrashLooping", seconds=60)
        rig.make_certificates(names="DNS:somebody.else.example")
        agent.reports(reason="ConfigInvalid", phase="Failed", seconds=60)
        ended = len(agent.logged("step ended"))
        never(lambda: len(agent.logged("step ended")) > ended, 1, "a step that changes nothing")


@test("a first configuration that is bad is waited out without a server")
def first_is_bad():
    with Rig() as rig:
        rig.settings["more"] = "work_mem = abc\n"
        rig.put_config()
        rig.grant()
        agent = rig.agents[0].start()
        report = agent.reports(phase="Failed", reason="ConfigInvalid")
        check("work_mem" in report["message"], "message: %s", report)
        rig.settings["more"] = ""
        rig.put_config()
        agent.ready()


@test("a renewed certificate is served without a restart, its key closed to others")
def certificate():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        started = agent.sql("select pg_postmaster_start_time()")
        with agent.login("app", "app") as session:
            before = session.certificate
        rig.make_certificates()
        def renewed():
            with agent.login("app", "app") as fresh:
                return fresh.certificate != before
        wait_for(renewed, 40, "the new certificate")
        equal(agent.sql("select pg_postmaster_start_time()"), started, "start of postgres")
        key = os.stat(os.path.join(agent.run, "tls", "tls.key"))
        equal((key.st_mode & 0o777, key.st_uid), (0o600, rig.agent_uid), "mode and owner")


@test("a replica asks for its primary's name, not only for any certificate of the CA")
def primary_name():
    with Rig(2) as rig:
        stray = rig.mkdir("stray-tls")
        rig.make_certificates(names="DNS:somebody.else.example", folder=stray)
        rig.make_certificates()
        rig.grant()
        first = rig.agents[0].start(tls_dir=stray).ready()
        second = rig.agents[1].start()
        second.reports(reason="CloneFailed", message=lambda m: m and "does not match" in m)
        rig.make_certificates(folder=stray)
        second.ready(90)
        conninfo = second.sql("show primary_conninfo")
        check("sslmode=verify-full channel_binding=require" in conninfo, "conninfo: %s", conninfo)
        rig.make_certificates(names="DNS:somebody.else.example", folder=stray)
        os.kill(first.postmaster(), 9)
        second.reports(reason="NotStreaming", message=lambda m: m and "does not match" in m,
                       seconds=60)
        rig.make_certificates(folder=stray)
        second.reports(reason=None, phase="Running", seconds=90)


@test("replicas go on with a certificate of the user's that lacks the primary's name, which is told")
def no_primary_name():
    with Rig(2) as rig:
        rig.make_certificates(names="DNS:somebody.else.example")
        first, second = rig.pair()
        conninfo = second.sql("show primary_conninfo")
        check("sslmode=verify-ca channel_binding=require" in conninfo, "conninfo: %s", conninfo)
        told = second.logged("the server certificate does not contain the name of the primary")
        check(told and told[0]["name"] == "127.0.0.1", "the log: %s", told)
        rig.make_certificates()
        wait_for(lambda: "verify-full" in second.sql("show primary_conninfo"), 40,
                 "the stricter check once the name is there")
        second.ready()
        first.reports(phase="Running", reason=None)


@test("settings that belong to the agent cannot be changed through the configuration")
def reserved():
    with Rig() as rig:
        rig.settings["more"] = "port = 1\nlogging_collector = on\nlog_line_prefix = 'x'\n" \
                               "unix_socket_permissions = 0777\nssl = off\n"
        rig.put_config()
        agent = rig.primary()
        equal(agent.sql("select string_agg(setting, ',' order by name) from pg_settings where"
                        " name in ('port', 'logging_collector', 'ssl',"
                        " 'unix_socket_permissions')"),
              "off,%d,on,0700" % agent.port, "settings")


@test("SIGHUP reads the mounts again")
def sighup():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        loaded = agent.sql("select pg_conf_load_time()")
        agent.signal(signal.SIGHUP)
        wait_for(lambda: agent.sql("select pg_conf_load_time()") != loaded, 20, "a reload")
        check(agent.logged("reading everything again"), "it says so")


@test("the run folder is closed: socket, configuration and passfile belong to the agent alone")
def closed():
    with Rig() as rig:
        agent = rig.primary()
        socket_path = os.path.join(agent.run, ".s.PGSQL.%d" % agent.port)
        equal(os.stat(socket_path).st_mode & 0o777, 0o700, "mode of the socket")
        for name in ("postgresql.conf", "pg_hba.conf", "pgpass"):
            equal(os.stat(os.path.join(agent.run, name)).st_mode & 0o777, 0o600, name)
        if os.geteuid() == 0:
            done = subprocess.run(
                ["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups",
                 programs.psql(), "-h", agent.run, "-p", str(agent.port), "-U",
                 "postgres", "-c", "select 1"], capture_output=True, check=False)
            check(done.returncode != 0, "another uid gets in through the socket")


