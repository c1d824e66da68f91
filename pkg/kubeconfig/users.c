/* users[i].user of a kubeconfig: every way to prove who we are. */
#include <string.h>

#include "base/hash.h"
#include "kubeconfig/sources.h"

#define EXEC_GROUP "client.authentication.k8s.io/"

static void add_line(struct arena *arena, const char ***lines, size_t *count, const char *line)
{
    *lines = arena_grow(arena, *lines, *lines ? (*count + 1) * sizeof **lines : 0,
                        (*count + 2) * sizeof **lines);
    (*lines)[(*count)++] = line;
}

static ERR_CHECKED int read_args(struct arena *arena, const struct kubeconfig_place *place,
                                 struct kubeconfig_exec *exec, struct error *err)
{
    const cJSON *args = json_get(place->node, "exec.args");
    if (args != NULL && !cJSON_IsNull(args) && !cJSON_IsArray(args))
        return kubeconfig_fault(place, "exec.args", err, "must be a list");
    size_t count = 0;
    exec->args = arena_alloc(arena, sizeof *exec->args);
    for (const cJSON *arg = args ? args->child : NULL; arg != NULL; arg = arg->next) {
        if (!cJSON_IsString(arg))
            return kubeconfig_fault(place, "exec.args", err,
                                    "every argument must be a string; put them in quotes");
        add_line(arena, &exec->args, &count, arg->valuestring);
    }
    return 0;
}

static ERR_CHECKED int read_env(struct arena *arena, const struct kubeconfig_place *place,
                                struct kubeconfig_exec *exec, struct error *err)
{
    const cJSON *env = json_get(place->node, "exec.env");
    if (env != NULL && !cJSON_IsNull(env) && !cJSON_IsArray(env))
        return kubeconfig_fault(place, "exec.env", err, "must be a list");
    size_t count = 0;
    exec->env = arena_alloc(arena, sizeof *exec->env);
    for (const cJSON *item = env ? env->child : NULL; item != NULL; item = item->next) {
        const char *name = json_str(item, "name", NULL), *value = json_str(item, "value", NULL);
        if (name == NULL || value == NULL || strchr(name, '='))
            return kubeconfig_fault(place, "exec.env", err, "every entry needs name and value");
        add_line(arena, &exec->env, &count,
                 kubeconfig_secret(arena, arena_printf(arena, "%s=%s", name, value)));
    }
    return 0;
}

/* v1 requires the field; for v1beta1 IfAvailable is the default. */
static ERR_CHECKED int read_interactive(const struct kubeconfig_place *place,
                                        struct kubeconfig_exec *exec, struct error *err)
{
    const char *mode;
    if (kubeconfig_text(place, "exec.interactiveMode", &mode, err) < 0)
        return err->class;
    if (mode == NULL && strcmp(exec->api_version, EXEC_GROUP "v1") == 0)
        return kubeconfig_fault(place, "exec.interactiveMode", err,
                                "is required by " EXEC_GROUP "v1: Never, IfAvailable or Always");
    if (mode == NULL || strcmp(mode, "IfAvailable") == 0)
        exec->interactive = KUBECONFIG_INTERACTIVE_IF_AVAILABLE;
    else if (strcmp(mode, "Never") == 0)
        exec->interactive = KUBECONFIG_INTERACTIVE_NEVER;
    else if (strcmp(mode, "Always") == 0)
        exec->interactive = KUBECONFIG_INTERACTIVE_ALWAYS;
    else
        return kubeconfig_fault(place, "exec.interactiveMode", err,
                                "must be Never, IfAvailable or Always, not '%s'", mode);
    return 0;
}

/* The cluster in KUBERNETES_EXEC_INFO, for a plugin that asks for it; `config` comes from the
 * extension. */
static const char *cluster_info(struct arena *arena, const struct kubeconfig_place *cluster,
                                const struct kubeconfig *config)
{
    cJSON *info = json_object(arena);
    json_set_str(info, "server", config->server);
    json_set_str(info, "tls-server-name", config->tls_server_name);
    json_set_str(info, "proxy-url", config->proxy_url);
    if (config->insecure)
        json_set_bool(info, "insecure-skip-tls-verify", true);
    if (config->ca_pem != NULL)
        json_set_str(info, "certificate-authority-data",
                     hash_base64(arena, config->ca_pem, strlen(config->ca_pem)));
    const cJSON *extensions = json_get(cluster->node, "extensions");
    for (const cJSON *item = extensions ? extensions->child : NULL; item; item = item->next)
        if (strcmp(json_str(item, "name", ""), EXEC_GROUP "exec") == 0)
            json_set_copy(info, "config", json_get(item, "extension"));
    return json_compact(arena, info);
}

/* A command with a slash starts at the kubeconfig's folder; a plain name is looked up in PATH. */
static ERR_CHECKED int read_command(struct arena *arena, const struct kubeconfig_place *place,
                                    struct kubeconfig_exec *exec, struct error *err)
{
    const char *version;
    if (kubeconfig_text(place, "exec.apiVersion", &version, err) < 0 ||
        kubeconfig_text(place, "exec.command", &exec->command, err) < 0 ||
        kubeconfig_text(place, "exec.installHint", &exec->install_hint, err) < 0 ||
        kubeconfig_flag(place, "exec.provideClusterInfo", &exec->provide_cluster_info, err) < 0)
        return err->class;
    if (version == NULL ||
        (strcmp(version, EXEC_GROUP "v1") != 0 && strcmp(version, EXEC_GROUP "v1beta1") != 0))
        return kubeconfig_fault(place, "exec.apiVersion", err,
                                "'%s' is neither " EXEC_GROUP "v1 nor v1beta1",
                                version ? version : "");
    exec->api_version = version;
    if (exec->command == NULL)
        return kubeconfig_fault(place, "exec.command", err, "is missing");
    if (strchr(exec->command, '/') != NULL)
        return kubeconfig_path(arena, place, "exec.command", &exec->command, err);
    return 0;
}

static ERR_CHECKED int read_exec(struct arena *arena, const struct kubeconfig_place *place,
                                 const struct kubeconfig_place *cluster, struct kubeconfig *config,
                                 struct error *err)
{
    const cJSON *node = json_get(place->node, "exec");
    if (node == NULL || cJSON_IsNull(node))
        return 0;
    if (!cJSON_IsObject(node))
        return kubeconfig_fault(place, "exec", err, "must be a mapping");
    struct kubeconfig_exec *exec = arena_alloc(arena, sizeof *exec);
    if (read_command(arena, place, exec, err) < 0 || read_args(arena, place, exec, err) < 0 ||
        read_env(arena, place, exec, err) < 0 || read_interactive(place, exec, err) < 0)
        return err->class;
    if (exec->provide_cluster_info && cluster != NULL)
        exec->cluster_info = cluster_info(arena, cluster, config);
    config->exec = exec;
    return 0;
}

static void impersonate(struct arena *arena, const char ***lines, size_t *count, const char *name,
                        const char *value)
{
    if (value != NULL)
        add_line(arena, lines, count, arena_printf(arena, "%s: %s", name, value));
}

static ERR_CHECKED int impersonate_list(struct arena *arena, const struct kubeconfig_place *place,
                                        const char *field, const char *name, const cJSON *values,
                                        const char ***lines, size_t *count, struct error *err)
{
    if (values != NULL && !cJSON_IsNull(values) && !cJSON_IsArray(values))
        return kubeconfig_fault(place, field, err, "must be a list of strings");
    for (const cJSON *value = values ? values->child : NULL; value; value = value->next) {
        if (!cJSON_IsString(value) || strpbrk(value->valuestring, "\r\n"))
            return kubeconfig_fault(place, field, err, "must be a list of strings");
        impersonate(arena, lines, count, name, value->valuestring);
    }
    return 0;
}

/* Without `as` we would act with more rights than the user intended. */
static ERR_CHECKED int read_impersonation(struct arena *arena, const struct kubeconfig_place *place,
                                          struct kubeconfig *config, struct error *err)
{
    const char *user, *uid;
    size_t count = 0;
    if (kubeconfig_text(place, "as", &user, err) < 0 ||
        kubeconfig_text(place, "as-uid", &uid, err) < 0 ||
        impersonate_list(arena, place, "as-groups", "Impersonate-Group",
                         json_get(place->node, "as-groups"), &config->impersonate, &count, err) < 0)
        return err->class;
    const cJSON *extra = json_get(place->node, "as-user-extra");
    for (const cJSON *item = extra ? extra->child : NULL; item != NULL; item = item->next) {
        if (item->string == NULL || strpbrk(item->string, "\r\n: "))
            return kubeconfig_fault(place, "as-user-extra", err, "must map names to lists");
        if (impersonate_list(arena, place, "as-user-extra",
                             arena_printf(arena, "Impersonate-Extra-%s", item->string), item,
                             &config->impersonate, &count, err) < 0)
            return err->class;
    }
    if (user == NULL && (uid != NULL || count > 0))
        return kubeconfig_fault(place, "as", err, "is missing, but other as-* fields are set");
    impersonate(arena, &config->impersonate, &count, "Impersonate-User", user);
    impersonate(arena, &config->impersonate, &count, "Impersonate-Uid", uid);
    return 0;
}

static ERR_CHECKED int check_user(const struct kubeconfig_place *place,
                                  const struct kubeconfig *config, struct error *err)
{
    const cJSON *provider = json_get(place->node, "auth-provider");
    if (provider != NULL && !cJSON_IsNull(provider))
        return kubeconfig_fault(place, "auth-provider", err,
                                "is no longer supported by Kubernetes; use exec");
    if ((config->client_cert_pem == NULL) != (config->client_key_pem == NULL))
        return kubeconfig_fault(place,
                                config->client_cert_pem ? "client-key" : "client-certificate", err,
                                "is missing, but its counterpart is set");
    if (config->username != NULL && (config->token != NULL || config->token_file != NULL))
        return kubeconfig_fault(place, "username", err, "conflicts with token; remove one of them");
    if (config->password != NULL && config->username == NULL)
        return kubeconfig_fault(place, "username", err, "is missing, but password is set");
    return 0;
}

int kubeconfig_user(struct arena *arena, const struct kubeconfig_place *user,
                    const struct kubeconfig_place *cluster, struct kubeconfig *config,
                    struct error *err)
{
    if (kubeconfig_pem(arena, user, "client-certificate", &config->client_cert_pem, err) < 0 ||
        kubeconfig_pem(arena, user, "client-key", &config->client_key_pem, err) < 0 ||
        kubeconfig_text(user, "token", &config->token, err) < 0 ||
        kubeconfig_path(arena, user, "tokenFile", &config->token_file, err) < 0 ||
        kubeconfig_text(user, "username", &config->username, err) < 0 ||
        kubeconfig_text(user, "password", &config->password, err) < 0 ||
        read_impersonation(arena, user, config, err) < 0 || check_user(user, config, err) < 0)
        return err->class;
    return read_exec(arena, user, cluster, config, err);
}
