/* pgkeel instance: PID 1 of a PostgreSQL pod. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/log.h"
#include "pgkeel/verb.h"
#include "instance/instance.h"

enum option {
    OPTION_NAME,
    OPTION_DATA_DIR,
    OPTION_WAL_DIR,
    OPTION_RUN_DIR,
    OPTION_CONFIG_DIR,
    OPTION_TLS_DIR,
    OPTION_VERIFIERS_DIR,
    OPTION_REPLICATION_DIR,
    OPTION_KUBECONFIG,
    OPTION_PROBE_ADDRESS,
    OPTION_LISTEN,
    OPTION_PORT,
    OPTION_PRIMARY_HOST,
    OPTION_PRIMARY_PORT,
    OPTION_STOP_TIMEOUT,
    OPTION_API_WAIT,
    OPTION_LOG_LEVEL,
    OPTIONS
};

static const struct verb_option options[OPTIONS + 1] = {
    [OPTION_NAME] = {"name", 'n', "NAME", "name of the instance, such as a-1 (required)"},
    [OPTION_DATA_DIR] = {"data-dir", 0, "DIR", "data volume (default: " POD_DATA_DIR ")"},
    [OPTION_WAL_DIR] = {"wal-dir", 0, "DIR", "WAL volume (default: " POD_WAL_DIR ")"},
    [OPTION_RUN_DIR] = {"run-dir", 0, "DIR",
                        "folder for sockets and temporary files (default: " POD_RUN_DIR ")"},
    [OPTION_CONFIG_DIR] = {"config-dir", 0, "DIR",
                           "mounted ConfigMap (default: " POD_CONFIG_DIR ")"},
    [OPTION_TLS_DIR] = {"tls-dir", 0, "DIR",
                        "mounted server certificate (default: " POD_TLS_DIR ")"},
    [OPTION_VERIFIERS_DIR] = {"verifiers-dir", 0, "DIR",
                              "mounted role verifiers (default: " POD_VERIFIERS_DIR ")"},
    [OPTION_REPLICATION_DIR] = {"replication-dir", 0, "DIR",
                                "mounted replication login (default: " POD_REPLICATION_DIR ")"},
    [OPTION_KUBECONFIG] = {"kubeconfig", 0, "FILE",
                           "kubeconfig, outside of a pod (default: the pod's service account)"},
    [OPTION_PROBE_ADDRESS] = {"probe-address", 0, "HOST:PORT",
                              "address of the probes and /metrics (default: :8008)"},
    [OPTION_LISTEN] = {"listen", 0, "ADDRESSES", "listen_addresses of postgres (default: *)"},
    [OPTION_PORT] = {"port", 0, "PORT", "port of postgres (default: 5432)"},
    [OPTION_PRIMARY_HOST] =
        {"primary-host", 0, "HOST",
         "host name by which replicas find the primary (default: CLUSTER-rw.NAMESPACE.svc)"},
    [OPTION_PRIMARY_PORT] = {"primary-port", 0, "PORT", "port of the primary (default: 5432)"},
    [OPTION_STOP_TIMEOUT] = {"stop-timeout", 0, "SECONDS",
                             "how long a fast stop may take before an immediate one (default: the "
                             "pod's grace period minus 15)"},
    [OPTION_API_WAIT] = {"api-wait", 0, "SECONDS",
                         "how long to wait for the API server before the role recorded on the "
                         "volume counts (default: 10)"},
    [OPTION_LOG_LEVEL] = {"log-level", 0, "LEVEL",
                          "log level: debug, info, warning or error (default: info)"},
};

static const char *text(const char *value, const char *fallback)
{
    return value != NULL && value[0] != '\0' ? value : fallback;
}

static bool number(const char *value, const char *option, int fallback, int most, int *ret_number)
{
    char *end;
    *ret_number = fallback;
    if (value == NULL)
        return true;
    long parsed = strtol(value, &end, 10);
    if (end == value || *end != '\0' || parsed < 0 || parsed > most) {
        fprintf(stderr,
                "pgkeel instance: --%s must be a number from 0 to %d, not '%s'; see 'pgkeel "
                "instance --help'\n",
                option, most, value);
        return false;
    }
    *ret_number = (int)parsed;
    return true;
}

static bool numbers(const char **values, struct instance_options *ret_options)
{
    int stop_seconds, api_seconds;
    if (!number(values[OPTION_PORT], "port", PORT_POSTGRES, 65535, &ret_options->port) ||
        !number(values[OPTION_PRIMARY_PORT], "primary-port", PORT_POSTGRES, 65535,
                &ret_options->primary_port) ||
        !number(values[OPTION_STOP_TIMEOUT], "stop-timeout", 0, 86400, &stop_seconds) ||
        !number(values[OPTION_API_WAIT], "api-wait", 10, 86400, &api_seconds))
        return false;
    ret_options->stop_timeout_ms = stop_seconds * 1000;
    ret_options->api_wait_ms = api_seconds * 1000;
    return true;
}

/* An empty option or variable counts as not given: a manifest may set it from a field that is
 * empty. */
static int run(const struct verb *verb, int argc, char **argv)
{
    const char *values[OPTIONS];
    int first, code;
    if (!verb_parse(verb, argc, argv, values, &first, &code))
        return code;
    struct instance_options o = {
        .name = text(values[OPTION_NAME], NULL),
        .data_dir = text(values[OPTION_DATA_DIR], POD_DATA_DIR),
        .wal_dir = text(values[OPTION_WAL_DIR], POD_WAL_DIR),
        .run_dir = text(values[OPTION_RUN_DIR], POD_RUN_DIR),
        .config_dir = text(values[OPTION_CONFIG_DIR], POD_CONFIG_DIR),
        .tls_dir = text(values[OPTION_TLS_DIR], POD_TLS_DIR),
        .verifiers_dir = text(values[OPTION_VERIFIERS_DIR], POD_VERIFIERS_DIR),
        .replication_dir = text(values[OPTION_REPLICATION_DIR], POD_REPLICATION_DIR),
        .kubeconfig = text(values[OPTION_KUBECONFIG], NULL),
        .pod_name = text(getenv("POD_NAME"), NULL),
        .pod_namespace = text(getenv("POD_NAMESPACE"), NULL),
        .pod_uid = text(getenv("POD_UID"), NULL),
        .pod_ips = text(getenv("POD_IPS"), NULL),
        .probe_address = text(values[OPTION_PROBE_ADDRESS], ":8008"),
        .listen = text(values[OPTION_LISTEN], "*"),
        .primary_host = text(values[OPTION_PRIMARY_HOST], NULL),
    };
    if (!numbers(values, &o))
        return EXIT_USAGE;
    if (o.name == NULL) {
        fprintf(stderr, "pgkeel instance: --name NAME is required; see 'pgkeel instance --help'\n");
        return EXIT_USAGE;
    }
    struct error err = {0};
    verb_log_as("instance", values[OPTION_LOG_LEVEL]);
    if (instance_run(&o, &err) < 0) {
        log_failure(&err, "the agent exits", NULL);
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

const struct verb verb_instance = {
    .name = "instance",
    .arguments = "",
    .summary = "Run one PostgreSQL instance, as PID 1 of its pod.",
    .options = options,
    .run = run,
};
