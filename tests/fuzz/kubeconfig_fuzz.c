/*
 * kubeconfig text -> configuration. A NUL byte parts two files of a KUBECONFIG list. Beyond not
 * crashing: what is accepted has a server, both halves of a client certificate or none, and is
 * unverified only where that was allowed; what is refused says why.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "kubeconfig/sources.h"
#include "kubeconfig/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check(struct arena *arena, const struct kubeconfig *config, bool insecure_allowed)
{
    struct kubeconfig copy;
    require(strncasecmp(config->server, "http", 4) == 0 && config->namespace != NULL);
    require((config->client_cert_pem == NULL) == (config->client_key_pem == NULL));
    require(insecure_allowed || !config->insecure);
    require(!config->insecure || config->ca_pem == NULL);
    require(config->exec == NULL || (config->exec->command && config->exec->api_version));
    kubeconfig_copy(arena, config, &copy);
    require(strcmp(copy.server, config->server) == 0);
}

static void load(struct arena *arena, const struct kubeconfig_file *files, size_t count,
                 bool insecure_allowed)
{
    struct kubeconfig config;
    struct error err = {0};
    struct kubeconfig_options options = {.allow_insecure = insecure_allowed};
    if (kubeconfig_from_files(arena, files, count, &options, &config, &err) == 0)
        check(arena, &config, insecure_allowed);
    else
        require(err.class < 0 && err.text[0] != '\0');
}

static void read_credential(struct arena *arena, const char *text, size_t length)
{
    const struct kubeconfig_exec exec = {.api_version = "client.authentication.k8s.io/v1",
                                         .command = "plugin"};
    struct kubeconfig_exec_credential credential;
    struct error err = {0};
    if (kubeconfig_exec_parse(arena, &exec, text, length, &credential, &err) == 0)
        require(credential.token != NULL || credential.key_pem != NULL);
    else
        require(err.class < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA arena = arena_new();
    const char *text = (const char *)data;
    const char *parting = size > 0 ? memchr(text, '\0', size) : NULL;
    size_t first = parting != NULL ? (size_t)(parting - text) : size;
    struct kubeconfig_file files[2];
    size_t count = 0;
    struct error err = {0};
    read_credential(arena, text, size);
    /* Devices are named by files as any other path: reading some of them would wait for somebody.
     */
    if (size > 0 && memmem(text, size, "dev", 3) != NULL)
        return 0;
    if (kubeconfig_parse(arena, "/nonexistent/one", text, first, &files[0], &err) < 0) {
        require(strstr(err.text, "kubeconfig '/nonexistent/one'") != NULL);
        return 0;
    }
    count = 1;
    if (parting != NULL &&
        kubeconfig_parse(arena, "two", parting + 1, size - first - 1, &files[1], &err) == 0)
        count = 2;
    load(arena, files, count, false);
    load(arena, files, count, true);
    return 0;
}
