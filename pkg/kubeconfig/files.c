/* kubeconfig files: reading, merging, and picking a context. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "yaml/yaml.h"
#include "kubeconfig/sources.h"

static void wipe_tree(cJSON *node)
{
    for (; node != NULL; node = node->next) {
        if (node->valuestring != NULL)
            explicit_bzero(node->valuestring, strlen(node->valuestring));
        wipe_tree(node->child);
    }
}

static void wipe_whole_tree(void *tree)
{
    wipe_tree(tree);
}

static ERR_CHECKED int file_fault(const char *path, struct error *err, const char *text)
{
    return err_set_reason(err, ERR_INVALID, "KubeconfigInvalid", "kubeconfig '%s': %s", path, text);
}

/* clusters, users and contexts are lists of mappings with a name and one inner mapping. */
static ERR_CHECKED int check_list(struct arena *arena, const char *path, const cJSON *tree,
                                  const char *list, const char *inner, struct error *err)
{
    const cJSON *array = json_get(tree, list);
    if (array == NULL || cJSON_IsNull(array))
        return 0;
    if (!cJSON_IsArray(array))
        return file_fault(path, err, arena_printf(arena, "%s: must be a list", list));
    int index = 0;
    for (const cJSON *item = array->child; item != NULL; item = item->next, index++) {
        const cJSON *node = json_get(item, inner);
        if (json_str(item, "name", NULL) == NULL)
            return file_fault(path, err,
                              arena_printf(arena, "%s[%d].name: must be a string", list, index));
        if (node != NULL && !cJSON_IsNull(node) && !cJSON_IsObject(node))
            return file_fault(
                path, err, arena_printf(arena, "%s[%d].%s: must be a mapping", list, index, inner));
    }
    return 0;
}

static ERR_CHECKED int check_shape(struct arena *arena, const char *path, const cJSON *tree,
                                   struct error *err)
{
    const cJSON *current = json_get(tree, "current-context");
    if (!cJSON_IsObject(tree))
        return file_fault(path, err, "must be a mapping with clusters, users and contexts");
    if (strcmp(json_str(tree, "kind", "Config"), "Config") != 0)
        return file_fault(path, err, "kind: must be Config");
    if (current != NULL && !cJSON_IsString(current) && !cJSON_IsNull(current))
        return file_fault(path, err, "current-context: must be a string; put it in quotes");
    if (check_list(arena, path, tree, "clusters", "cluster", err) < 0 ||
        check_list(arena, path, tree, "users", "user", err) < 0 ||
        check_list(arena, path, tree, "contexts", "context", err) < 0)
        return err->class;
    return 0;
}

static const char *folder_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return ".";
    return slash == path ? "/" : arena_strndup(arena, path, (size_t)(slash - path));
}

int kubeconfig_parse(struct arena *arena, const char *path, const char *text, size_t length,
                     struct kubeconfig_file *ret_file, struct error *err)
{
    struct yaml_document *documents = NULL;
    size_t count = 0;
    if (yaml_parse(arena, text, length, &documents, &count, err) < 0)
        return err_wrap(err, "kubeconfig '%s'", path);
    if (count > 1)
        return file_fault(path, err, "holds several YAML documents; one is expected");
    struct kubeconfig_file file = {arena_strdup(arena, path), folder_of(arena, path), NULL};
    if (count == 1) {
        arena_defer(arena, wipe_whole_tree, documents[0].tree);
        if (check_shape(arena, path, documents[0].tree, err) < 0)
            return err->class;
        file.tree = documents[0].tree;
    }
    *ret_file = file;
    return 0;
}

/* The first file that has the entry provides all of it: kubectl does not merge within an entry. */
static bool find(const struct kubeconfig_file *files, size_t count, const char *list,
                 const char *inner, const char *name, struct kubeconfig_place *ret_place)
{
    for (size_t i = 0; i < count; i++) {
        const cJSON *array = json_get(files[i].tree, list);
        int index = 0;
        for (const cJSON *item = array ? array->child : NULL; item; item = item->next, index++)
            if (strcmp(json_str(item, "name", ""), name) == 0) {
                *ret_place =
                    (struct kubeconfig_place){&files[i], list, inner, index, json_get(item, inner)};
                return true;
            }
    }
    return false;
}

static const char *names_of(struct arena *arena, const struct kubeconfig_file *files, size_t count)
{
    const char *names = "";
    for (size_t i = 0; i < count; i++)
        names = arena_printf(arena, "%s%s'%s'", names, i ? ", " : "", files[i].path);
    return names;
}

static const char *current_context(const struct kubeconfig_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = json_str(files[i].tree, "current-context", "");
        if (name[0] != '\0')
            return name;
    }
    return NULL;
}

static ERR_CHECKED int find_context(struct arena *arena, const struct kubeconfig_file *files,
                                    size_t count, const char *wanted,
                                    struct kubeconfig_place *ret_place, struct error *err)
{
    const char *name = wanted ? wanted : current_context(files, count);
    if (name == NULL)
        return err_set_reason(
            err, ERR_INVALID, "KubeconfigInvalid",
            "kubeconfig %s: current-context is not set; choose one with --context "
            "or `kubectl config use-context`",
            names_of(arena, files, count));
    if (!find(files, count, "contexts", "context", name, ret_place))
        return err_set_reason(err, ERR_INVALID, "KubeconfigInvalid",
                              "kubeconfig %s: no context '%s'; `kubectl config get-contexts` lists "
                              "those that exist",
                              names_of(arena, files, count), name);
    return 0;
}

static ERR_CHECKED int check_server(const struct kubeconfig_place *place, const char *server,
                                    struct error *err)
{
    if (server == NULL)
        return kubeconfig_fault(place, "server", err, "is missing");
    const char *rest = strncasecmp(server, "https://", 8) == 0  ? server + 8
                       : strncasecmp(server, "http://", 7) == 0 ? server + 7
                                                                : NULL;
    if (rest == NULL || *rest == '\0' || *rest == '/' || strpbrk(rest, " \t?#@") != NULL)
        return kubeconfig_fault(place, "server", err, "'%s' is not https://host:port", server);
    return 0;
}

static ERR_CHECKED int check_insecure(const struct kubeconfig_place *place, const char *ca,
                                      bool insecure, bool allowed, struct error *err)
{
    if (insecure && ca != NULL)
        return kubeconfig_fault(place, "insecure-skip-tls-verify", err,
                                "true conflicts with certificate-authority; remove one of them");
    if (insecure && !allowed)
        return kubeconfig_fault(place, "insecure-skip-tls-verify", err,
                                "is true, which is refused: set certificate-authority-data, or use "
                                "--insecure-skip-tls-verify");
    return 0;
}

static ERR_CHECKED int read_cluster(struct arena *arena, const struct kubeconfig_place *place,
                                    const struct kubeconfig_options *options,
                                    struct kubeconfig *config, struct error *err)
{
    if (kubeconfig_text(place, "server", &config->server, err) < 0 ||
        check_server(place, config->server, err) < 0 ||
        kubeconfig_text(place, "tls-server-name", &config->tls_server_name, err) < 0 ||
        kubeconfig_text(place, "proxy-url", &config->proxy_url, err) < 0 ||
        kubeconfig_pem(arena, place, "certificate-authority", &config->ca_pem, err) < 0 ||
        kubeconfig_flag(place, "insecure-skip-tls-verify", &config->insecure, err) < 0 ||
        check_insecure(place, config->ca_pem, config->insecure, options->allow_insecure, err) < 0)
        return err->class;
    return 0;
}

static ERR_CHECKED int read_named(struct arena *arena, const struct kubeconfig_file *files,
                                  size_t count, const struct kubeconfig_place *context,
                                  const char *key, const char *list,
                                  struct kubeconfig_place *ret_place, bool *ret_there,
                                  struct error *err)
{
    const char *name;
    if (kubeconfig_text(context, key, &name, err) < 0)
        return err->class;
    *ret_there = name != NULL;
    if (name != NULL && !find(files, count, list, key, name, ret_place))
        return kubeconfig_fault(context, key, err, "there is no entry '%s' in %s of %s", name, list,
                                names_of(arena, files, count));
    return 0;
}

int kubeconfig_from_files(struct arena *arena, const struct kubeconfig_file *files, size_t count,
                          const struct kubeconfig_options *options, struct kubeconfig *ret_config,
                          struct error *err)
{
    struct kubeconfig_place context, cluster, user;
    bool has_cluster, has_user;
    struct kubeconfig config = {0};
    if (find_context(arena, files, count, options->context, &context, err) < 0 ||
        read_named(arena, files, count, &context, "cluster", "clusters", &cluster, &has_cluster,
                   err) < 0 ||
        read_named(arena, files, count, &context, "user", "users", &user, &has_user, err) < 0)
        return err->class;
    if (!has_cluster)
        return kubeconfig_fault(&context, "cluster", err, "is missing");
    if (kubeconfig_text(&context, "namespace", &config.namespace, err) < 0 ||
        read_cluster(arena, &cluster, options, &config, err) < 0 ||
        (has_user && kubeconfig_user(arena, &user, &cluster, &config, err) < 0))
        return err->class;
    if (config.namespace == NULL)
        config.namespace = "default";
    *ret_config = config;
    return 0;
}
