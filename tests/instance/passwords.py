"""Roles, verifiers, the database, slots."""
import json
import os

from lib import postgres, runner
from lib.runner import check, equal, test, wait_for
from rig import PASSWORDS, Rig


@test("the roles log in with their passwords over TLS, and only over TLS")
def logins():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        for user, database in (("postgres", "postgres"), ("app", "app")):
            with agent.login(user, database) as session:
                equal(session.value("select current_user"), user, "user")
        rows = agent.sql("select rolname, rolsuper, rolreplication, rolcanlogin from pg_roles"
                         " where rolname in ('app','postgres','pgkeel_replication') order by 1")
        equal(rows.split("\n"), ["app|f|f|t", "pgkeel_replication|f|t|t", "postgres|t|t|t"],
              "attributes")
        for attempt in (lambda: agent.login("app", "app", password="wrong"),
                        lambda: postgres.Connection("127.0.0.1", "app", PASSWORDS["app"], "app",
                                                    port=agent.port, tls=False)):
            try:
                attempt()
            except (runner.Failed, OSError):
                continue
            raise runner.Failed("a login went through that must not")


@test("no verifier is ever logged, even by a server that logs every statement")
def no_verifier():
    with Rig() as rig:
        rig.settings["more"] = ("log_min_error_statement = debug5\nlog_min_messages = debug2\n"
                                "debug_print_parse = on\nlog_parser_stats = on\n"
                                "log_duration = on\n")
        rig.put_config()
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        before = agent.report()["verifiersHash"]
        rig.roles["app"] = "an0ther one"
        rig.put_config()
        agent.reports(verifiersHash=lambda h: h not in (None, before))
        with agent.login("app", "app", password="an0ther one") as session:
            equal(session.value("select 1"), "1", "a login with the new password")
        wait_for(lambda: agent.logged("statement: select 1"), 30, "statements of others logged")
        agent.stop()  # nothing is held back any more
        with open(os.path.join(agent.folder, "log")) as log:
            text = log.read()
        for secret in ("SCRAM-SHA-256$", "an0ther one", *PASSWORDS.values()):
            for written in (secret, json.dumps(secret)[1:-1]):
                check(written not in text, "'%s' stands in the log", written)


@test("what an administrator changed of a role stays, also over a restart and a new password")
def administrators():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        look = ("select rolreplication, rolconnlimit, rolcanlogin, rolcreatedb, rolconfig from"
                " pg_roles where rolname = 'app'")
        agent.sql("alter role app replication connection limit 7 createdb;"
                  " alter role app set work_mem = '5MB'")
        agent.sql("alter role pgkeel_replication noreplication")
        agent.stop()
        agent.start().ready()
        before = agent.reports(bootstrapped=True)["verifiersHash"]
        equal(agent.sql(look), "t|7|t|t|{work_mem=5MB}", "the role after a restart")
        equal(agent.sql("select rolreplication from pg_roles where rolname = 'pgkeel_replication'"),
              "t", "what replicas need")
        rig.roles["app"] = "another one"
        rig.put_config()
        agent.reports(verifiersHash=lambda h: h not in (None, before))
        equal(agent.sql(look), "t|7|t|t|{work_mem=5MB}", "the role with a new password")
        with agent.login("app", "app", password="another one") as session:
            equal(session.value("select 1"), "1", "a login with the new password")


@test("roles that are as they should be are not written again")
def idempotent():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        version = agent.sql("select string_agg(xmin::text, ' ' order by oid) from pg_authid")
        agent.kill()
        agent.start()
        agent.reports(bootstrapped=True, epoch=2)
        equal(agent.sql("select string_agg(xmin::text, ' ' order by oid) from pg_authid"), version,
              "row versions of the roles")


@test("what somebody changed in a role by hand is put right when the agent looks again")
def repaired():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        agent.sql("alter role app nologin password null; drop role pgkeel_replication")
        rig.roles["app"] = "third"
        rig.put_config()
        def login():
            with agent.login("app", "app", password="third") as session:
                return session.value("select 1") == "1"
        wait_for(login, 40, "a login")
        equal(agent.sql("select rolreplication from pg_roles where rolname ="
                        " 'pgkeel_replication'"), "t", "the replication role")


@test("verifiers come from the API although the mount is old")
def from_api():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        rig.roles["app"] = "fresh from the API"
        rig.put_config(mounts=False)
        def login():
            with agent.login("app", "app", password="fresh from the API") as session:
                return session.value("select 1") == "1"
        wait_for(login, 40, "a login")
        gets = [r for r in rig.server.requests if "secrets" in r["path"]]
        check(all(r["verb"] == "get" for r in gets), "Secrets are only read by name: %s", gets)


@test("a verifier that is none is refused by name, and the roles stay")
def bad_verifier():
    with Rig() as rig:
        agent = rig.primary()
        agent.reports(bootstrapped=True)
        texts = rig.roles_json().replace("SCRAM-SHA-256", "md5", 1)
        rig.roles_json = lambda: texts
        rig.put_config()
        report = agent.reports(reason="RolesFailed")
        check("'postgres'" in report["message"], "message: %s", report)
        with agent.login("app", "app") as session:
            equal(session.value("select 1"), "1", "the earlier password")


@test("slots follow the members: made for each other one, dropped when it leaves")
def slots():
    with Rig(3) as rig:
        agent = rig.primary()
        query = "select string_agg(slot_name, ' ' order by 1) from pg_replication_slots"
        wait_for(lambda: agent.sql(query) == "a_2 a_3", 30, "two slots")
        agent.sql("select pg_create_physical_replication_slot('mine')")
        rig.members.remove("a-3")
        rig.put_config()
        wait_for(lambda: agent.sql(query) == "a_2 mine", 30, "one slot less, the user's kept")


@test("a replication password that is rotated reaches a running replica")
def rotated():
    with Rig(2) as rig:
        first, second = rig.pair()
        before = first.reports(bootstrapped=True)["verifiersHash"]
        rig.roles["pgkeel_replication"] = "new:\\pass"
        rig.put_config()
        rig.write(os.path.join(rig.replication, "password"), "new:\\pass")
        wait_for(lambda: "new\\:\\\\pass" in open(os.path.join(second.run, "pgpass")).read(), 30,
                 "the new passfile")
        first.reports(verifiersHash=lambda h: h not in (None, before))
        wait_for(lambda: first.sql("select count(*) from pg_stat_replication") == "1", 30,
                 "streaming")
        before = first.sql("select pid from pg_stat_replication")
        first.sql("select pg_terminate_backend(pid) from pg_stat_replication")
        wait_for(lambda: first.sql("select pid from pg_stat_replication") not in ("", before), 40,
                 "streaming again")
        equal(os.stat(os.path.join(second.run, "pgpass")).st_mode & 0o777, 0o600, "mode")
