"""Every command of every runbook, pasted as it stands there, by somebody who needs it."""
import json
import os
import re
import tempfile

from rig import deploy, image, kube, names, operator_away_from, running, runner, testcluster
from trouble import kept, rows
from lib import runbooks
from lib.runbooks import claims
from lib.runner import alone, check, equal, test, wait_for


@test("Every command of every runbook is pasted by a test")
def _all_claimed():
    left = runbooks.unclaimed()
    check(not left, "commands that no test pastes:\n    %s", "\n    ".join(left))


class Person:
    """Somebody with a runbook and a cluster."""

    def __init__(self, cluster, page, **placeholders):
        self.cluster, self.page = cluster, page
        self.placeholders = {"NAME": cluster.name, **placeholders}

    def paste(self, start, **options):
        return runbooks.paste(kube(), self.cluster.where, self.page, start,
                              **{**self.placeholders, **options})


@test("The commands that look into a cluster answer as the runbooks say")
@claims("README.md", "kubectl describe pgc NAME")
@claims("not-ready.md", "kubectl get pgc -A", "kubectl describe pgc NAME", "kubectl get pgc NAME -o",
        "kubectl -n pgkeel-system get pods,lease", "kubectl logs NAME-1-0", "pgkeel render -f FILE")
@claims("operator.md", "kubectl -n pgkeel-system get pods,lease", "kubectl -n pgkeel-system logs")
@claims("replica.md", "kubectl describe pgc NAME", "kubectl logs NAME-2-0")
def _look():
    with running() as cluster:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump(names.cluster("a", cluster.where, 2), file)
            file.flush()
            person = Person(cluster, "not-ready.md", FILE=file.name)
            check(cluster.name in person.paste("kubectl get pgc -A"), "the cluster is not listed")
            check("Conditions" in person.paste("kubectl describe pgc NAME"), "no conditions")
            person.paste("kubectl get pgc NAME -o")
            check("pgkeel-controller" in person.paste("kubectl -n pgkeel-system get pods,lease"),
                  "no lease of the operator")
            check('"logger"' in person.paste("kubectl logs NAME-1-0"), "no JSON in the log")
            check("StatefulSet" in person.paste("pgkeel render -f FILE"), "no StatefulSet")
        Person(cluster, "README.md").paste("kubectl describe pgc NAME")
        person = Person(cluster, "operator.md")
        person.paste("kubectl -n pgkeel-system get pods,lease")
        check('"level"' in person.paste("kubectl -n pgkeel-system logs"), "no JSON in the log")
        person = Person(cluster, "replica.md")
        person.paste("kubectl describe pgc NAME")
        check('"logger"' in person.paste("kubectl logs NAME-2-0"), "no JSON in the log")


@test("Storage grows, and who fills it is listed, by the commands of the runbook", long=True)
@claims("storage.md", "kubectl patch pgc NAME", "kubectl get pgc NAME -o jsonpath='{.status.cond",
        "kubectl get pgc NAME -o jsonpath='{range", "kubectl exec NAME-1-0")
def _storage():
    with running(2, storage={"size": "1Gi", "storageClass": "standard"}) as cluster:
        person = Person(cluster, "storage.md")
        person.paste("kubectl patch pgc NAME")
        cluster.ready(300)
        equal(cluster.child("PersistentVolumeClaim", "a-1-data")["status"]["capacity"]["storage"],
              "100Gi", "capacity")
        check('"True"' in person.paste("kubectl get pgc NAME -o jsonpath='{.status.cond"),
              "StorageHealthy is not True")
        wait_for(lambda: re.search(r"a-1: data \d+ %, WAL \d+ %", person.paste(
            "kubectl get pgc NAME -o jsonpath='{range")), 60, "used space of both volumes", every=1)
        check("a_2" in person.paste("kubectl exec NAME-1-0"), "the replica's slot is not listed")


@test("A password and both certificates are changed by the commands of the runbook", long=True)
@claims("credentials.md", "kubectl -n NS patch secret NAME-app", "TOKEN=",
        "kubectl -n NS delete secret NAME-server", "kubectl -n NS get pgc NAME",
        "kubectl -n NS annotate pgc NAME --overwrite pgkeel.dev/replace-ca=\"planned",
        "kubectl -n NS annotate pgc NAME --overwrite pgkeel.dev/replace-ca=\"now")
def _credentials():
    with running() as cluster:
        person = Person(cluster, "credentials.md")
        person.paste("kubectl -n NS patch secret NAME-app")
        person.paste("TOKEN=")
        equal(cluster.value("select 1", password="..."), "1", "a login with the new password")
        uid = cluster.child("Secret", "a-server")["metadata"]["uid"]
        person.paste("kubectl -n NS delete secret NAME-server")
        cluster.poke()
        kube().wait("Secret", cluster.where, "a-server", lambda o: o and
                    o["metadata"]["uid"] != uid, 60, "another server Secret")
        old = cluster.secret("server")["ca.crt"]
        person.paste("kubectl -n NS annotate pgc NAME --overwrite pgkeel.dev/replace-ca=\"planned")
        wait_for(lambda: cluster.secret("server")["ca.crt"].count("BEGIN CERTIFICATE") == 2, 60,
                 "both authorities in ca.crt")
        cluster.told("CertificatesSettled", seconds=60)
        check(person.paste("kubectl -n NS get pgc NAME").strip(), "nothing is said")
        equal(cluster.value("select 1", ca=old), "1", "a login that trusts the old authority")
        person.paste("kubectl -n NS annotate pgc NAME --overwrite pgkeel.dev/replace-ca=\"now")
        wait_for(lambda: cluster.secret("server")["ca.crt"].count("BEGIN CERTIFICATE") == 1, 60,
                 "one authority in ca.crt")
        cluster.ready(180)
        # The kubelet brings the new files when it next looks at the pods.
        wait_for(lambda: cluster.value("select 1") == "1", 180, "a login with the new authority",
                 every=1)


@test("A cluster is deleted, had back, and deleted for good by the commands of the runbook")
@claims("delete-and-adopt.md", "kubectl delete pgc NAME", "kubectl delete pvc,secret")
def _delete():
    with running() as cluster:
        rows(cluster, 100)
        person = Person(cluster, "delete-and-adopt.md")
        for _ in range(2):
            person.paste("kubectl delete pgc NAME")
            for pod in ("a-1-0", "a-2-0"):
                cluster.gone("Pod", pod)
            if _ == 0:
                cluster.apply()
                cluster.ready(120)
                kept(cluster, 100)
        person.paste("kubectl delete pvc,secret")
        equal([o["metadata"]["name"] for kind in ("PersistentVolumeClaim", "Secret")
               for o in kube().list(kind, cluster.where)], [], "what is left")


@test("A drain is let through in both ways that the runbook gives")
@claims("drain.md", "kubectl patch pgc NAME --type merge -p '{\"spec\":{\"instances\"",
        "kubectl patch pgc NAME --type merge -p '{\"spec\":{\"maintenance\"")
def _drain():
    with running(1) as cluster:
        person = Person(cluster, "drain.md")
        person.paste("kubectl patch pgc NAME --type merge -p '{\"spec\":{\"maintenance\"")
        cluster.told("DrainAllowed", status="True", seconds=60)
        cluster.edit(maintenance=None)
        cluster.told("DrainAllowed", seconds=60)
        person.paste("kubectl patch pgc NAME --type merge -p '{\"spec\":{\"instances\"")
        cluster.told("DrainAllowed", status="True", seconds=120)


@test("A replica is cloned again after its volumes were given up by the runbook's command")
@claims("replica.md", "kubectl delete pvc NAME-2-data")
def _replica():
    with running() as cluster:
        rows(cluster, 100)
        uid = cluster.child("PersistentVolumeClaim", "a-2-data")["metadata"]["uid"]
        Person(cluster, "replica.md").paste("kubectl delete pvc NAME-2-data")
        kube().wait("PersistentVolumeClaim", cluster.where, "a-2-data", lambda o: o and
                    o["metadata"]["uid"] != uid, 120, "another volume")
        cluster.ready(180)
        cluster.comes("select count(*) from kept", "100")


@alone("A replica's data leads after the primary's volume was lost, by the runbook's commands")
@claims("primary-lost.md", "kubectl delete pvc NAME-1-data", "kubectl annotate pvc NAME-2-data",
        "kubectl delete lease NAME-primary", "kubectl delete pod NAME-1-0", "kubectl get pvc",
        "kubectl taint node NODE")
@claims("replica.md", "kubectl taint node NODE")
def _primary_lost():
    with running() as cluster:
        rows(cluster, 100)
        cluster.comes("select count(*) from kept", "100")
        node = cluster.node("1")
        operator_away_from(node)
        person = Person(cluster, "primary-lost.md", NODE=node)
        with testcluster().stopped("node", node):
            cluster.told("PrimaryReady", status="Unknown", seconds=120)
            for start in ("kubectl delete pvc NAME-1-data", "kubectl delete pod NAME-1-0",
                          "kubectl delete lease NAME-primary", "kubectl annotate pvc NAME-2-data"):
                person.paste(start)
            wait_for(lambda: "a-2-data" in person.paste("kubectl get pvc"), 30, "the claims")
            cluster.told("PrimaryReady", status="True", seconds=120)
            equal(cluster.on("2", "select count(*) from kept"), "100", "rows")
            # Once for the primary's page, once for the replica's: it is the same command.
            person.paste("kubectl taint node NODE")
            Person(cluster, "replica.md", NODE=node).paste("kubectl taint node NODE", check=False)
            kube().kubectl("taint", "node", node, "node.kubernetes.io/out-of-service-")
        cluster.ready(300)
        equal(cluster.primary(), "2", "primary")
        kept(cluster, 100)


@alone("An operator is replaced by the command of the runbook, and restarts nothing")
@claims("upgrade.md", "kubectl apply -k manifests/install")
def _upgrade():
    # The manifests as they stand say nothing of a mirror: the default image would be another one.
    image_of_its_own = {"version": 17, "image": "localhost/postgres:17"}
    with running(postgres=image_of_its_own) as cluster:
        before = {i: cluster.started_at(i) for i in ("1", "2")}
        archive = os.path.join(runner.BUILD, "pgkeel-upgrade.tar")
        deploy.run(os.path.join(runner.ROOT, "hack", "image"), "build", "--tag", deploy.IMAGE,
                   "--from-binary", runner.PGKEEL, "--output", archive)
        testcluster().run("load-image", archive)
        try:
            Person(cluster, "upgrade.md").paste("kubectl apply -k manifests/install")
            cluster.ready(60)
        finally:
            deploy.install(kube(), image())
            kube().kubectl("rollout", "status", "-n", deploy.NAMESPACE, "--timeout=120s",
                           "deployment/" + deploy.DEPLOYMENT, timeout=150)
        equal({i: cluster.started_at(i) for i in ("1", "2")}, before, "start times")
        cluster.ready(60)
