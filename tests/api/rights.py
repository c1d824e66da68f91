"""What the operator and the agents may do, as the API server itself decides it."""
import rig
from lib import deploy, names
from lib.kube import Kube
from lib.runner import check, equal, test, wait_for


def may(user, verb, resource, group="", namespace=None, name=None, sub=None):
    """SubjectAccessReview; resource by its plural."""
    attributes = {"verb": verb, "resource": resource, "group": group}
    for key, value in (("namespace", namespace), ("name", name), ("subresource", sub)):
        if value:
            attributes[key] = value
    answer = rig.kube().ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": ["system:serviceaccounts", "system:authenticated"],
                 "resourceAttributes": attributes}})
    return answer["status"].get("allowed", False)


OPERATOR = "system:serviceaccount:%s:%s" % (deploy.NAMESPACE, deploy.ACCOUNT)


@test("The operator can neither list nor watch nor delete Secrets, anywhere")
def _secrets():
    for verb in ("list", "watch", "delete", "deletecollection"):
        check(not may(OPERATOR, verb, "secrets"), "it may %s secrets", verb)
        check(not may(OPERATOR, verb, "secrets", namespace="kube-system"), "%s in kube-system", verb)
    check(may(OPERATOR, "get", "secrets", namespace="default", name="a-app"), "it cannot get one")


@test("The operator cannot touch nodes, exec into pods, bind cluster roles or impersonate")
def _operator():
    for verb, resource, group, sub in (
            ("create", "pods", "", "exec"), ("create", "pods", "", None), ("update", "nodes", "", None),
            ("delete", "nodes", "", None), ("create", "serviceaccounts", "", "token"),
            ("create", "clusterroles", "rbac.authorization.k8s.io", None),
            ("create", "clusterrolebindings", "rbac.authorization.k8s.io", None),
            ("escalate", "roles", "rbac.authorization.k8s.io", None),
            ("bind", "clusterroles", "rbac.authorization.k8s.io", None),
            ("impersonate", "users", "", None), ("delete", "namespaces", "", None),
            ("delete", "persistentvolumes", "", None), ("update", "postgresclusters", "pgkeel.dev", None),
            ("patch", "postgresclusters", "pgkeel.dev", None),
            ("delete", "postgresclusters", "pgkeel.dev", None),
            # It makes and patches; what is never replaced or deleted needs no right to be.
            ("update", "postgresclusters", "pgkeel.dev", "status"), ("update", "services", "", None),
            ("update", "configmaps", "", None), ("update", "persistentvolumeclaims", "", None),
            ("update", "statefulsets", "apps", None),
            ("update", "roles", "rbac.authorization.k8s.io", None),
            ("update", "endpointslices", "discovery.k8s.io", None),
            ("update", "leases", "coordination.k8s.io", None),
            ("delete", "leases", "coordination.k8s.io", None),
            ("*", "*", "*", None)):
        check(not may(OPERATOR, verb, resource, group, sub=sub), "it may %s %s/%s", verb, resource,
              sub or "")


def _rules(client, where):
    answer = client.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": where}})
    return {(group + "/" + resource, verb, name or "(any)")
            for rule in answer["status"]["resourceRules"] for group in rule["apiGroups"]
            for resource in rule["resources"] for verb in rule["verbs"]
            for name in rule.get("resourceNames") or [""]}


@test("An agent's ServiceAccount can do exactly its few things, on exactly its own objects")
def _agent():
    kube = rig.kube()
    with rig.namespace() as where:
        rig.operator()
        kube.apply(names.cluster("a", where))
        rig.created(where, "a")
        token = kube.kubectl("create", "token", "a", "-n", where, "--duration=10m").strip()
        agent = Kube(kube.kubeconfig, kube.kubectl_words, token=token)
        # What every ServiceAccount may do, its own reviews among it, is not the Role's doing.
        token = kube.kubectl("create", "token", "default", "-n", where, "--duration=10m").strip()
        anybody = Kube(kube.kubeconfig, kube.kubectl_words, token=token)
        granted = lambda: _rules(agent, where) - _rules(anybody, where)
        # The API server's own view of Roles follows what was written.
        needed = {("coordination.k8s.io/leases", "get", "a-primary"),
                  ("/configmaps", "watch", "a-config"), ("/pods/status", "patch", "a-1-0")}
        wait_for(lambda: needed <= granted(), 60, "an agent to have %s" % sorted(needed))
        found = sorted(granted())
        wanted = {("coordination.k8s.io/leases", v, "a-primary")
                  for v in ("get", "list", "watch", "patch")}
        wanted |= {("discovery.k8s.io/endpointslices", v, "a-rw") for v in ("list", "watch", "patch")}
        wanted |= {("/configmaps", v, "a-config") for v in ("list", "watch")}
        wanted |= {("/secrets", "get", "a-verifiers")}
        wanted |= {("/pods/status", "patch", pod) for pod in ("a-1-0", "a-2-0")}
        equal(found, sorted(wanted), "an agent's rights")
        equal(agent.raw("GET", "/api/v1/namespaces/%s/secrets/a-superuser" % where)[0], 403,
              "reading the superuser's Secret")
        equal(agent.raw("GET", "/api/v1/namespaces/%s/secrets" % where)[0], 403, "listing Secrets")
        equal(agent.raw("GET", "/api/v1/namespaces/%s/configmaps/kube-root-ca.crt" % where)[0], 403,
              "reading another ConfigMap")


@test("Everything that the operator does it does with the rights that the manifests give")
def _enough():
    with rig.namespace() as where:
        operator = rig.operator()
        rig.kube().apply(names.cluster("a", where))
        rig.settled(where, "a")
        with open(operator.log_path) as log:
            refused = [line for line in log if "forbidden" in line.lower() and where in line]
        equal(refused[:3], [], "refusals in the log")
