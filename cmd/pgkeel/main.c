/* One program with verbs: the table below is what help, the man page and docs/cli.md come from. */
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <libpq-fe.h>
#include <openssl/ssl.h>

#include "base/buffer.h"
#include "control/pages.h"
#include "instance/metrics.h"
#include "metrics/process.h"
#include "pgkeel/verb.h"

static int run_version(const struct verb *verb, int argc, char **argv)
{
    int first, code;
    if (!verb_parse(verb, argc, argv, NULL, &first, &code))
        return code;
    printf("pgkeel %s\n%s\nlibpq %d\nlibevent %s\n%s\n", PGKEEL_VERSION, curl_version(),
           PQlibVersion(), event_get_version(), OpenSSL_version(OPENSSL_VERSION));
    printf("pgbouncer %s\n", PGKEEL_PGBOUNCER);
    return EXIT_DONE;
}

static const struct verb verb_version = {
    .name = "version",
    .arguments = "",
    .summary = "Print the version of pgkeel, of the libraries in it, and of its image's PgBouncer.",
    .run = run_version,
};

static int run_help(const struct verb *verb, int argc, char **argv);

enum { HELP_MARKDOWN, HELP_MAN, HELP_METRICS, HELP_OPTIONS };
static const struct verb_option help_options[] = {
    [HELP_MARKDOWN] = {"markdown", 0, NULL,
                       "print all verbs and options as Markdown (docs/cli.md)"},
    [HELP_MAN] = {"man", 0, NULL, "print all verbs and options as a man page"},
    [HELP_METRICS] = {"metrics", 0, NULL, "print all metrics as Markdown (docs/metrics.md)"},
    {NULL, 0, NULL, NULL},
};

static const struct verb verb_help = {
    .name = "help",
    .arguments = "",
    .summary = "List the verbs, or print the manual of all of them.",
    .options = help_options,
    .run = run_help,
};

static const struct verb *const verbs[] = {
    &verb_controller, &verb_instance, &verb_install, &verb_render,
    &verb_lint,       &verb_version,  &verb_help,
};
enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

static void print_overview(FILE *out)
{
    fprintf(out,
            "pgkeel %s: PostgreSQL on Kubernetes in one program\n\nUsage: pgkeel VERB [OPTIONS] "
            "[ARGUMENTS]\n\n",
            PGKEEL_VERSION);
    for (int i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %-12s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(out, "\n'pgkeel VERB --help' lists the options of a verb.\n");
}

static void print_metrics(void)
{
    AUTO_BUFFER page = {0};
    buffer_puts(&page,
                "# Metrics\n\n`pgkeel help --metrics` prints this page from the same tables as the "
                "metrics themselves.\nThey are served as `/metrics` in Prometheus' text format. A "
                "metric without a value at the moment is left out.\n\n## Operator, port 8080\n\n");
    metrics_document(control_metrics, false, &page);
    metrics_document(process_metrics, true, &page);
    buffer_puts(&page, "\n## Agent of each instance, port 8008\n\n");
    metrics_document(instance_metrics, false, &page);
    metrics_document(process_metrics, true, &page);
    fputs(buffer_text(&page), stdout);
}

static int run_help(const struct verb *verb, int argc, char **argv)
{
    const char *values[HELP_OPTIONS];
    int first, code;
    if (!verb_parse(verb, argc, argv, values, &first, &code))
        return code;
    if (values[HELP_METRICS])
        print_metrics();
    else if (values[HELP_MARKDOWN] || values[HELP_MAN])
        verb_manual(verbs, VERB_COUNT, values[HELP_MAN] != NULL);
    else
        print_overview(stdout);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    /* The static file runs in foreign images: it must not read their openssl.cnf, which may name
     * providers to load from there. */
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0 || strcmp(name, "--help") == 0)
        name += 2;
    for (int i = 0; i < VERB_COUNT; i++)
        if (strcmp(name, verbs[i]->name) == 0)
            return verbs[i]->run(verbs[i], argc - 1, argv + 1);
    fprintf(stderr, "pgkeel: unknown verb '%s'; 'pgkeel help' lists the verbs\n", argv[1]);
    return EXIT_USAGE;
}
