/*
 * What the agents may do: each rule names the very objects. Reading one object by a watch with a
 * field selector on its name is allowed by resourceNames
 * (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources).
 */
#include "desired/internal.h"

struct grant {
    const char *group, *resource;
    const char *suffix; /* of the object's name; NULL: the pods of all instances */
    const char *verbs[6];
};

static const struct grant grants[] = {
    {"coordination.k8s.io", "leases", "primary", {"get", "list", "watch", "patch"}},
    {"discovery.k8s.io", "endpointslices", "rw", {"list", "watch", "patch"}},
    {"", "configmaps", "config", {"list", "watch"}},
    /* No watch: to grant one, the operator would have to hold it on all Secrets. */
    {"", "secrets", "verifiers", {"get"}},
    {"", "pods/status", NULL, {"patch"}},
};

static void add_rule(const struct build *build, cJSON *rules, const struct grant *grant)
{
    cJSON *rule = json_push_object(rules);
    json_push_str(json_add_array(rule, "apiGroups"), grant->group);
    json_push_str(json_add_array(rule, "resources"), grant->resource);
    cJSON *names = json_add_array(rule, "resourceNames");
    if (grant->suffix)
        json_push_str(names, build_child(build, grant->suffix));
    for (size_t i = 0; !grant->suffix && i < build->model->instance_count; i++)
        if (build->model->instances[i].wanted)
            json_push_str(names, name_pod(build->arena, build->model->instances[i].name));
    cJSON *verbs = json_add_array(rule, "verbs");
    for (size_t i = 0; i < 6 && grant->verbs[i]; i++)
        json_push_str(verbs, grant->verbs[i]);
}

void build_rbac(struct build *build)
{
    const char *name = build->spec->name, *group = "rbac.authorization.k8s.io";
    cJSON *account = build_object(build, CHILD_SERVICE_ACCOUNT, name, OWNED);
    json_set_bool(account, "automountServiceAccountToken", false); /* pods ask for it themselves */

    cJSON *rules = json_add_array(build_object(build, CHILD_ROLE, name, OWNED), "rules");
    for (size_t i = 0; i < sizeof grants / sizeof grants[0]; i++)
        add_rule(build, rules, &grants[i]);

    cJSON *binding = build_object(build, CHILD_ROLE_BINDING, name, OWNED);
    cJSON *role = json_add_object(binding, "roleRef");
    json_set_str(role, "apiGroup", group);
    json_set_str(role, "kind", "Role");
    json_set_str(role, "name", name);
    cJSON *subject = json_push_object(json_add_array(binding, "subjects"));
    json_set_str(subject, "kind", "ServiceAccount");
    json_set_str(subject, "name", name);
    json_set_str(subject, "namespace", build->spec->namespace);
}
