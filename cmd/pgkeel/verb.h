/*
 * The verbs of the one program. Each lives in cmd/pgkeel/<name>.c and is listed in the table of
 * main.c; help, the man page and docs/cli.md are printed from that table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Exit codes that all verbs share. */
enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_UNREADABLE = 2, EXIT_USAGE = 64 };

struct verb_option {
    const char *name;  /* long name without dashes: "file" */
    char letter;       /* 'f', or 0 */
    const char *value; /* "FILE", or NULL for a switch */
    const char *help;
};

struct verb {
    const char *name;
    const char *arguments; /* "DIR" or "" */
    const char *summary;
    const struct verb_option *options; /* ended by a name of NULL; may be NULL */
    int (*run)(const struct verb *verb, int argc, char **argv); /* argv[0] is the verb */
};

/* Parses argv by the verb's options: values[i] becomes the value of options[i] ("" for a given
 * switch, NULL when absent; `values` has one place for each option). --help prints help and
 * returns false with *ret_exit = 0; a mistake prints what is wrong and returns false with
 * EXIT_USAGE. *ret_first is the index of the first plain argument. */
bool verb_parse(const struct verb *verb, int argc, char **argv, const char **values, int *ret_first,
                int *ret_exit);

/* For verbs that keep running: every line on stderr is JSON from here on, libevent's own too.
 * `level` may be NULL. */
void verb_log_as(const char *name, const char *level);

/* The manual of all verbs on stdout, as Markdown or as a man page (troff). */
void verb_manual(const struct verb *const *verbs, int count, bool man);

extern const struct verb verb_controller, verb_instance, verb_install, verb_lint, verb_render;
