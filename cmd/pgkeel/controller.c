/* pgkeel controller: the operator. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "control/control.h"
#include "credentials/credentials.h"
#include "pgkeel/verb.h"

enum {
    OPT_KUBECONFIG,
    OPT_CONTEXT,
    OPT_INSECURE,
    OPT_NAMESPACE,
    OPT_LEADER_ELECT,
    OPT_AGENT_IMAGE,
    OPT_AGENT_DELIVERY,
    OPT_POSTGRES_IMAGE,
    OPT_METRICS_ADDRESS,
    OPT_RESYNC,
    OPT_LOG_LEVEL,
    OPT_COUNT
};

static const struct verb_option options[] = {
    [OPT_KUBECONFIG] =
        {"kubeconfig", 0, "FILE",
         "kubeconfig (default: KUBECONFIG, else the pod's service account, else ~/.kube/config)"},
    [OPT_CONTEXT] = {"context", 0, "NAME",
                     "context of the kubeconfig (default: its current context)"},
    [OPT_INSECURE] = {"insecure-skip-tls-verify", 0, NULL,
                      "accept a kubeconfig that does not verify the API server's certificate"},
    [OPT_NAMESPACE] = {"namespace", 'n', "NAMES",
                       "namespaces to watch, separated by commas (default: all)"},
    [OPT_LEADER_ELECT] = {"leader-elect", 0, "BOOL",
                          "whether to work only while holding Lease pgkeel-controller: true or "
                          "false (default: true)"},
    [OPT_AGENT_IMAGE] = {"agent-image", 0, "IMAGE",
                         "image that holds pgkeel, for the PostgreSQL pods (default: PGKEEL_IMAGE, "
                         "else the image of the operator's own Pod)"},
    [OPT_AGENT_DELIVERY] = {"agent-delivery", 0, "HOW",
                            "how pgkeel gets into the PostgreSQL pods: image-volume, "
                            "init-container, or auto, by the API server's version (default: auto)"},
    [OPT_POSTGRES_IMAGE] = {"postgres-image-pattern", 0, "IMAGE",
                            "PostgreSQL image of clusters that name none; %d is the major version "
                            "(default: postgres:%d)"},
    [OPT_METRICS_ADDRESS] =
        {"metrics-address", 0, "ADDRESS",
         "address of /healthz, /readyz and /metrics (default: :8080; empty: none)"},
    [OPT_RESYNC] =
        {"resync", 0, "SECONDS",
         "check every cluster and its Secrets at least once in this time (default: 600)"},
    [OPT_LOG_LEVEL] = {"log-level", 0, "LEVEL",
                       "log level: debug, info, warning or error (default: info)"},
    [OPT_COUNT] = {NULL, 0, NULL, NULL},
};

static const char *given_or(const char *value, const char *fallback)
{
    return value ? value : fallback;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* "a,b" -> {"a", "b"} */
static const char **split(struct arena *arena, const char *list, size_t *ret_count)
{
    const char **items = arena_alloc(arena, (strlen(list) + 1) * sizeof *items);
    size_t count = 0;
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
        size_t length = strcspn(at, ",");
        if (length > 0)
            items[count++] = arena_strndup(arena, at, length);
    }
    *ret_count = count;
    return items;
}

static bool wrong(const struct verb *verb, int option, const char *value)
{
    fprintf(stderr, "pgkeel %s: --%s %s cannot be '%s'; see 'pgkeel %s --help'\n", verb->name,
            options[option].name, options[option].value, value, verb->name);
    return false;
}

/* A wrong value ends the program before it does anything: it must not run with a default that was
 * not asked for. */
static bool take_choices(const struct verb *verb, const char *const *values,
                         struct control_options *control)
{
    static const char *const deliveries[] = {[DELIVERY_AUTO] = "auto",
                                             [DELIVERY_IMAGE_VOLUME] = "image-volume",
                                             [DELIVERY_INIT_CONTAINER] = "init-container"};
    const char *delivery = given_or(values[OPT_AGENT_DELIVERY], "auto");
    int chosen = 0;
    while (chosen < 3 && strcmp(deliveries[chosen], delivery) != 0)
        chosen++;
    if (chosen == 3)
        return wrong(verb, OPT_AGENT_DELIVERY, delivery);
    control->delivery = (enum control_delivery)chosen;
    const char *elect = given_or(values[OPT_LEADER_ELECT], "true");
    if (strcmp(elect, "true") != 0 && strcmp(elect, "false") != 0)
        return wrong(verb, OPT_LEADER_ELECT, elect);
    control->leader_elect = strcmp(elect, "true") == 0;
    char *end;
    const char *resync = given_or(values[OPT_RESYNC], "600");
    long seconds = strtol(resync, &end, 10);
    if (*resync == '\0' || *end != '\0' || seconds < 1 || seconds > 86400)
        return wrong(verb, OPT_RESYNC, resync);
    control->resync_seconds = (int)seconds;
    return true;
}

/* The candidate for the lease. A container that was restarted in its Pod is the same candidate,
 * so that it need not wait for its own lease; nothing else may ever be the same candidate. */
static const char *own_identity(struct arena *arena)
{
    const char *pod = environment("POD_NAME"), *uid = environment("POD_UID");
    if (pod != NULL)
        return uid ? arena_printf(arena, "%s_%s", pod, uid) : pod;
    char host[256] = "";
    unsigned char bytes[4];
    (void)gethostname(host, sizeof host - 1); /* only for people to recognise it */
    credentials_rand(NULL, bytes, sizeof bytes);
    return arena_printf(arena, "%s_%d_%02x%02x%02x%02x", host, (int)getpid(), bytes[0], bytes[1],
                        bytes[2], bytes[3]);
}

static int run_controller(const struct verb *verb, int argc, char **argv)
{
    AUTO_ARENA arena = arena_new();
    const char *values[OPT_COUNT];
    struct control_options control = {0};
    struct kubeconfig config;
    struct error err = {0};
    int first, code;
    if (!verb_parse(verb, argc, argv, values, &first, &code))
        return code;
    if (!take_choices(verb, values, &control))
        return EXIT_USAGE;
    verb_log_as("controller", values[OPT_LOG_LEVEL]);
    const struct kubeconfig_options where = {.kubeconfig = values[OPT_KUBECONFIG],
                                             .context = values[OPT_CONTEXT],
                                             .allow_insecure = values[OPT_INSECURE] != NULL};
    if (kubeconfig_load(arena, &where, &config, &err) < 0) {
        log_error("cannot start", "error", err.text, NULL);
        return EXIT_UNREADABLE;
    }
    control.config = &config;
    control.namespaces =
        split(arena, given_or(values[OPT_NAMESPACE], ""), &control.namespace_count);
    control.lease_namespace =
        given_or(environment("POD_NAMESPACE"), given_or(config.namespace, "default"));
    control.identity = own_identity(arena);
    control.agent_image = given_or(values[OPT_AGENT_IMAGE], environment("PGKEEL_IMAGE"));
    control.own_pod = environment("POD_NAME");
    control.defaults.image_pattern = values[OPT_POSTGRES_IMAGE];
    control.http_address = given_or(values[OPT_METRICS_ADDRESS], ":8080");
    /* No pod could be created without it. */
    if (control.agent_image == NULL && control.own_pod == NULL) {
        log_error("cannot start", "error",
                  "the image that holds pgkeel is unknown: set --agent-image or PGKEEL_IMAGE, or "
                  "run in a Pod with POD_NAME set",
                  NULL);
        return EXIT_USAGE;
    }
    log_info("starting", "version", PGKEEL_VERSION, "server", config.server, NULL);
    if (control_run(&control, &err) < 0) {
        log_error("stopped", "error", err.text, NULL);
        return EXIT_REFUSED;
    }
    log_info("stopped", NULL);
    return EXIT_DONE;
}

const struct verb verb_controller = {
    .name = "controller",
    .arguments = "",
    .summary = "Run the operator: bring every PostgresCluster to what its spec asks for.",
    .options = options,
    .run = run_controller,
};
