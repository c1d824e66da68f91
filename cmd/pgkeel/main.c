/* One program with verbs: the table below is what help and docs/cli.md are printed from. */
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <libpq-fe.h>
#include <openssl/crypto.h>

#include "pgkeel/verb.h"

static int run_version(const struct verb *verb, int argc, char **argv)
{
    int first, code;
    if (!verb_parse(verb, argc, argv, NULL, &first, &code))
        return code;
    printf("pgkeel %s\n%s\nlibpq %d\nlibevent %s\n%s\n", PGKEEL_VERSION, curl_version(),
           PQlibVersion(), event_get_version(), OpenSSL_version(OPENSSL_VERSION));
    return EXIT_DONE;
}

const struct verb verb_version = {
    .name = "version",
    .arguments = "",
    .summary = "Print the version of pgkeel and of the libraries inside it.",
    .run = run_version,
};

static const struct verb *const verbs[] = {
    &verb_controller, &verb_instance, &verb_install, &verb_render, &verb_version,
};
enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

static void print_overview(FILE *out)
{
    fprintf(out, "pgkeel %s: PostgreSQL on Kubernetes, one program for all of it\n\n"
                 "Usage: pgkeel VERB [OPTIONS] [ARGUMENTS]\n\n",
            PGKEEL_VERSION);
    for (int i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %-12s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(out, "\n'pgkeel VERB --help' tells a verb's options.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (int i = 0; i < VERB_COUNT; i++)
        if (strcmp(name, verbs[i]->name) == 0)
            return verbs[i]->run(verbs[i], argc - 1, argv + 1);
    fprintf(stderr, "pgkeel: no verb '%s'; 'pgkeel help' lists them\n", argv[1]);
    return EXIT_USAGE;
}
