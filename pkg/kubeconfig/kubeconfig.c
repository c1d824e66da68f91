#include "kubeconfig/kubeconfig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "kubeconfig/sources.h"

static void wipe(void *text)
{
    explicit_bzero(text, strlen(text));
}

char *kubeconfig_secret(struct arena *arena, char *text)
{
    if (text != NULL)
        arena_defer(arena, wipe, text);
    return text;
}

static const char *copy(struct arena *arena, const char *text)
{
    return text ? arena_strdup(arena, text) : NULL;
}

static const char *copy_secret(struct arena *arena, const char *text)
{
    return text ? kubeconfig_secret(arena, arena_strdup(arena, text)) : NULL;
}

static const char **copy_list(struct arena *arena, const char *const *list)
{
    size_t count = 0;
    if (list == NULL)
        return NULL;
    while (list[count] != NULL)
        count++;
    const char **copied = arena_alloc(arena, (count + 1) * sizeof *copied);
    for (size_t i = 0; i < count; i++)
        copied[i] = copy_secret(arena, list[i]);
    return copied;
}

static const struct kubeconfig_exec *copy_exec(struct arena *arena,
                                               const struct kubeconfig_exec *exec)
{
    if (exec == NULL)
        return NULL;
    struct kubeconfig_exec *copied = arena_alloc(arena, sizeof *copied);
    *copied = (struct kubeconfig_exec){
        .api_version = copy(arena, exec->api_version),
        .command = copy(arena, exec->command),
        .args = copy_list(arena, exec->args),
        .env = copy_list(arena, exec->env),
        .install_hint = copy(arena, exec->install_hint),
        .provide_cluster_info = exec->provide_cluster_info,
        .interactive = exec->interactive,
        .cluster_info = copy(arena, exec->cluster_info),
    };
    return copied;
}

void kubeconfig_copy(struct arena *arena, const struct kubeconfig *config,
                     struct kubeconfig *ret_copy)
{
    *ret_copy = (struct kubeconfig){
        .server = copy(arena, config->server),
        .tls_server_name = copy(arena, config->tls_server_name),
        .ca_pem = copy(arena, config->ca_pem),
        .client_cert_pem = copy(arena, config->client_cert_pem),
        .client_key_pem = copy_secret(arena, config->client_key_pem),
        .token = copy_secret(arena, config->token),
        .token_file = copy(arena, config->token_file),
        .username = copy(arena, config->username),
        .password = copy_secret(arena, config->password),
        .proxy_url = copy_secret(arena, config->proxy_url),
        .exec = copy_exec(arena, config->exec),
        .impersonate = copy_list(arena, config->impersonate),
        .namespace = copy(arena, config->namespace),
        .insecure = config->insecure,
    };
}

int kubeconfig_in_cluster(struct arena *arena, const char *host, const char *port,
                          const char *folder, struct kubeconfig *ret_config, struct error *err)
{
    char *ca, *namespace;
    if (file_read(arena, arena_printf(arena, "%s/ca.crt", folder), KUBECONFIG_SECRET_MAX_BYTES, &ca,
                  NULL, err) < 0 ||
        file_read(arena, arena_printf(arena, "%s/namespace", folder), 4096, &namespace, NULL, err) <
            0)
        return err_wrap(err, "the pod's service account (is automountServiceAccountToken on?)");
    const char *token_file = arena_printf(arena, "%s/token", folder);
    if (access(token_file, R_OK) < 0)
        return err_set(err, ERR_NOT_FOUND,
                       "the pod's service account (is automountServiceAccountToken on?): '%s' "
                       "cannot be read",
                       token_file);
    namespace[strcspn(namespace, " \r\n")] = '\0';
    *ret_config = (struct kubeconfig){
        .server = arena_printf(arena, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
                               port),
        .ca_pem = ca,
        .token_file = token_file,
        .namespace = namespace,
    };
    return 0;
}

static ERR_CHECKED int read_file(struct arena *arena, const char *path,
                                 struct kubeconfig_file *ret_file, struct error *err)
{
    char *text;
    size_t length;
    if (file_read(arena, path, KUBECONFIG_MAX_BYTES, &text, &length, err) < 0)
        return err_wrap(err, "kubeconfig");
    kubeconfig_secret(arena, text);
    return kubeconfig_parse(arena, path, text, length, ret_file, err);
}

static ERR_CHECKED int load_one(struct arena *arena, const char *path,
                                const struct kubeconfig_options *options,
                                struct kubeconfig *ret_config, struct error *err)
{
    struct kubeconfig_file file;
    if (read_file(arena, path, &file, err) < 0)
        return err->class;
    return kubeconfig_from_files(arena, &file, 1, options, ret_config, err);
}

/* Files of the list that do not exist are left out, as kubectl does, but one must be there. */
static ERR_CHECKED int load_list(struct arena *arena, const char *list,
                                 const struct kubeconfig_options *options,
                                 struct kubeconfig *ret_config, struct error *err)
{
    struct kubeconfig_file *files = NULL;
    size_t count = 0;
    char *rest = arena_strdup(arena, list), *path;
    while ((path = strsep(&rest, ":")) != NULL) {
        if (path[0] == '\0')
            continue;
        files = arena_grow(arena, files, count * sizeof *files, (count + 1) * sizeof *files);
        int class = read_file(arena, path, &files[count], err);
        if (class == 0)
            count++;
        else if (class != ERR_NOT_FOUND)
            return class;
    }
    if (count == 0)
        return err_set_reason(err, ERR_NOT_FOUND, "KubeconfigMissing",
                              "no file of KUBECONFIG='%s' exists", list);
    return kubeconfig_from_files(arena, files, count, options, ret_config, err);
}

int kubeconfig_load(struct arena *arena, const struct kubeconfig_options *options,
                    struct kubeconfig *ret_config, struct error *err)
{
    const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    if (options->kubeconfig != NULL)
        return load_one(arena, options->kubeconfig, options, ret_config, err);
    if (list != NULL && list[strspn(list, ":")] != '\0')
        return load_list(arena, list, options, ret_config, err);
    if (host != NULL && host[0] && port != NULL && port[0])
        return kubeconfig_in_cluster(arena, host, port, KUBECONFIG_SERVICE_ACCOUNT_DIR, ret_config,
                                     err);
    const char *path = home ? arena_printf(arena, "%s/.kube/config", home) : NULL;
    if (path == NULL || access(path, F_OK) < 0)
        return err_set_reason(err, ERR_NOT_FOUND, "KubeconfigMissing",
                              "no Kubernetes cluster is configured: this is not a pod, KUBECONFIG "
                              "is not set and '%s' does not exist; use --kubeconfig FILE",
                              path ? path : "~/.kube/config");
    return load_one(arena, path, options, ret_config, err);
}
