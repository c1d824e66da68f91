"""Secrets with certificates and passwords: what replaces them, and when that is known."""
import base64
import re

import rig
from lib import names, remedy
from lib.runner import check, equal, test

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


def data(where, name):
    secret = rig.kube().get("Secret", where, name)
    return {k: base64.b64decode(v).decode() for k, v in (secret or {}).get("data", {}).items()}


def certificates(text):
    return CERTIFICATE.findall(text)


def reread(where, token, name="a"):
    """As runbooks/credentials.md says: afterwards status speaks of the Secrets as they are now."""
    kube = rig.kube()
    kube.kubectl("-n", where, "annotate", "pgc", name, "--overwrite",
                 "pgkeel.dev/reread-credentials=" + token)
    kube.kubectl("-n", where, "wait", "pgc", name, "--timeout=60s",
                 "--for=jsonpath={.status.credentials.observed}=" + token)


def settled(where, reason):
    return rig.kube().wait("PostgresCluster", where, "a", lambda o: reason == (names.condition(
        o, "CertificatesSettled") or {}).get("reason") and names.condition(
            o, "CertificatesSettled"), 60, "CertificatesSettled with " + reason)


@test("A CA Secret that is deleted comes back beside the old CA, whose certificate stays for a time")
def _deleted():
    kube = rig.kube()
    with rig.at_rest(instances=1) as where:
        before = data(where, "a-server")
        kube.delete("Secret", where, "a-ca")
        reread(where, "one")
        after = data(where, "a-server")
        equal(after["tls.crt"], before["tls.crt"], "the server's certificate")
        equal(certificates(after["ca.crt"]),
              certificates(data(where, "a-ca")["ca.crt"] + before["ca.crt"]), "ca.crt")
        equal(data(where, "a-app")["ca.crt"], after["ca.crt"], "ca.crt of the app's Secret")
        condition = settled(where, "CaReplacing")
        check("in 7 days" in condition["message"], "no countdown: %s", condition)
        remedy.run(kube, remedy.commands(condition["message"])[0])
        settled(where, "CertificatesValid")
        ended = data(where, "a-server")
        check(ended["tls.crt"] != before["tls.crt"], "the old certificate is still shown")
        equal(ended["ca.crt"], data(where, "a-ca")["ca.crt"], "ca.crt in the end")


@test("A CA with a damaged key is replaced by nobody until a person pastes what status says")
def _damaged():
    kube = rig.kube()
    with rig.at_rest(instances=1) as where:
        before = data(where, "a-ca"), data(where, "a-server")
        kube.edit("Secret", where, "a-ca", {"stringData": {"ca.key": "garbage"}})
        reread(where, "two")
        cluster = kube.condition(where, "a", "CredentialsInSync", 30, status="False",
                                 reason="CertificateInvalid", needle="'%s/a-ca'" % where)
        check("ca.key" in names.condition(cluster, "CredentialsInSync")["message"],
              "the key is not named: %s", names.explain(cluster))
        equal(data(where, "a-ca")["ca.crt"], before[0]["ca.crt"], "the CA's certificate")
        equal(data(where, "a-server"), before[1], "the server's Secret")
        said = [w["unblock"] for w in cluster["status"]["waitingFor"]
                if w["reason"] == "CertificateInvalid"][0]
        remedy.run(kube, remedy.commands(said)[0])
        settled(where, "CaReplacing")
        equal(data(where, "a-server")["tls.crt"], before[1]["tls.crt"], "the server's certificate")
        equal(len(certificates(data(where, "a-server")["ca.crt"])), 2, "certificates in ca.crt")


@test("Once a written token is in status.credentials.observed, status speaks of the Secrets as they are")
def _token():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        obj = names.cluster("a", where, 1)
        obj["spec"]["secrets"] = {"app": "mine"}
        kube.make("Secret", where, "mine", stringData={"password": "correct horse"})
        kube.apply(obj)
        kube.condition(where, "a", "CredentialsInSync", 60, status="Unknown")
        for token, password, wanted in (("t1", "with\nbreak", "PasswordInvalid"),
                                        ("t2", "battery staple", "PrimaryNotReady"),
                                        ("t3", "broken\nagain", "PasswordInvalid")):
            kube.edit("Secret", where, "mine", {"stringData": {"password": password}})
            reread(where, token)
            condition = names.condition(kube.get("PostgresCluster", where, "a"), "CredentialsInSync")
            equal(condition["reason"], wanted, "the reason right after " + token)
