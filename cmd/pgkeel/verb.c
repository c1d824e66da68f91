#include "pgkeel/verb.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/log_writer.h"

static void print_option(const struct verb_option *option)
{
    char head[80];
    char letter[8] = "    ";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(head, sizeof head, "%s--%s%s%s", letter, option->name, option->value ? " " : "",
             option->value ? option->value : "");
    printf("  %-34s %s\n", head, option->help);
}

static void print_help(const struct verb *verb)
{
    printf("Usage: pgkeel %s [OPTIONS]%s%s\n\n%s\n", verb->name, verb->arguments[0] ? " " : "",
           verb->arguments, verb->summary);
    if (verb->options == NULL)
        return;
    printf("\nOptions:\n");
    for (const struct verb_option *option = verb->options; option->name; option++)
        print_option(option);
}

/* The option that `word` ("--name", "--name=value", "-n", "-nvalue") means, with the value that is
 * part of the word or NULL. */
static const struct verb_option *find_option(const struct verb *verb, const char *word,
                                             const char **ret_value)
{
    *ret_value = NULL;
    for (const struct verb_option *option = verb->options; option && option->name; option++) {
        if (word[1] != '-') {
            if (option->letter == word[1]) {
                *ret_value = word[2] ? word + 2 : NULL;
                return option;
            }
            continue;
        }
        size_t length = strlen(option->name);
        if (strncmp(word + 2, option->name, length) == 0 &&
            (word[2 + length] == '\0' || word[2 + length] == '=')) {
            *ret_value = word[2 + length] ? word + 3 + length : NULL;
            return option;
        }
    }
    return NULL;
}

static bool usage_error(const struct verb *verb, const char *what, const char *word, int *ret_exit)
{
    fprintf(stderr, "pgkeel %s: %s '%s'; see 'pgkeel %s --help'\n", verb->name, what, word,
            verb->name);
    *ret_exit = EXIT_USAGE;
    return false;
}

/* Options end at the first word that is none, or after --. A lone - is an argument: stdin. */
bool verb_parse(const struct verb *verb, int argc, char **argv, const char **values, int *ret_first,
                int *ret_exit)
{
    for (const struct verb_option *option = verb->options; option && option->name; option++)
        values[option - verb->options] = NULL;
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(verb);
            *ret_exit = EXIT_DONE;
            return false;
        }
        const char *value;
        const struct verb_option *option = find_option(verb, argv[i], &value);
        if (option == NULL)
            return usage_error(verb, "unknown option", argv[i], ret_exit);
        if (option->value == NULL && value != NULL)
            return usage_error(verb, "unexpected value for option", argv[i], ret_exit);
        if (option->value != NULL && value == NULL && ++i == argc)
            return usage_error(verb, "missing value for option", argv[i - 1], ret_exit);
        values[option - verb->options] =
            option->value == NULL ? "" : (value != NULL ? value : argv[i]);
    }
    if (i < argc && verb->arguments[0] == '\0')
        return usage_error(verb, "unexpected argument", argv[i], ret_exit);
    *ret_first = i;
    return true;
}

static void manual_option(const struct verb_option *option, bool man)
{
    char letter[8] = "";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    printf(man ? ".TP\n.B %s--%s%s%s\n%s\n" : "| `%s--%s%s%s` | %s |\n", letter, option->name,
           option->value ? " " : "", option->value ? option->value : "", option->help);
}

void verb_manual(const struct verb *const *verbs, int count, bool man)
{
    if (man)
        printf(".TH PGKEEL 1 \"\" \"pgkeel %s\"\n.SH NAME\npgkeel \\- PostgreSQL on Kubernetes\n"
               ".SH SYNOPSIS\n.B pgkeel\nVERB [OPTIONS] [ARGUMENTS]\n",
               PGKEEL_VERSION);
    else
        printf("# The verbs of pgkeel\n\nPrinted by `pgkeel help --markdown`.\n");
    for (int i = 0; i < count; i++) {
        const struct verb *verb = verbs[i];
        const char *gap = verb->arguments[0] ? " " : "";
        if (man)
            printf(".SH %s\n.B pgkeel %s\n[OPTIONS]%s%s\n.PP\n%s\n", verb->name, verb->name, gap,
                   verb->arguments, verb->summary);
        else
            printf("\n## pgkeel %s%s%s\n\n%s\n", verb->name, gap, verb->arguments, verb->summary);
        if (verb->options != NULL && !man)
            printf("\n| option | meaning |\n|---|---|\n");
        for (const struct verb_option *o = verb->options; o && o->name; o++)
            manual_option(o, man);
    }
}

static void on_loop_message(int severity, const char *message)
{
    if (severity == EVENT_LOG_DEBUG)
        log_debug("event loop", "text", message, NULL);
    else
        log_warning("event loop", "text", message, NULL);
}

void verb_log_as(const char *name, const char *level)
{
    log_set_name(name);
    if (level != NULL)
        log_set_level(level);
    event_set_log_callback(on_loop_message);
    (void)log_writer_start(2); /* without a thread a slow reader slows us down */
}
