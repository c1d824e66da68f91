/* pgkeel lint, the migration linter: options, output and exit codes. lint_files.c finds the files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "lint/report.h"
#include "pgkeel/lint_files.h"
#include "pgkeel/verb.h"

enum {
    OPT_FORMAT,
    OPT_RULES,
    OPT_PG_VERSION,
    OPT_TRANSACTION,
    OPT_SINCE,
    OPT_STATS,
    OPT_DOWN,
    OPT_STDIN_NAME,
    OPT_LIST,
    OPT_EXPLAIN,
    OPT_COLLECT,
    OPT_COUNT
};

static const struct verb_option options[] = {
    [OPT_FORMAT] = {"format", 0, "FORMAT",
                    "format of the report: text, json, sarif, gitlab or github (default: text)"},
    [OPT_RULES] = {"rules", 0, "RULES",
                   "rules to check, such as MIG001,MIG004; 'all' includes the style rules "
                   "(default: all but those)"},
    [OPT_PG_VERSION] = {"pg-version", 0, "MAJOR",
                        "major version of the server's PostgreSQL (default: 17)"},
    [OPT_TRANSACTION] = {"in-transaction", 0, "HOW",
                         "whether the migration tool runs a file in one transaction: auto, always "
                         "or never (default: auto)"},
    [OPT_SINCE] = {"since", 0, "FILE",
                   "last file that is already deployed: it and the files before it are skipped"},
    [OPT_STATS] = {"schema-stats", 0, "FILE",
                   "sizes and types of the live tables, as written by --collect-stats"},
    [OPT_DOWN] = {"include-down", 0, NULL, "lint down migrations, too"},
    [OPT_STDIN_NAME] = {"stdin-name", 0, "NAME",
                        "name of stdin ('-') in the report (default: stdin)"},
    [OPT_LIST] = {"list", 0, NULL, "list the rules; with --format json, with all their texts"},
    [OPT_EXPLAIN] = {"explain", 0, "RULE",
                     "explain a rule: what it finds, what that blocks, and what to do instead"},
    [OPT_COLLECT] = {"collect-stats", 0, "DSN", "print the statistics of a live database as JSON"},
    [OPT_COUNT] = {NULL, 0, NULL, NULL},
};

struct printer {
    const struct lint_format *format;
    struct buffer out;
    size_t findings;
    bool broken;
};

enum { FLUSH_BYTES = 64 * 1024 };

static void flush(struct printer *printer)
{
    if (printer->out.length > 0 && !printer->broken)
        printer->broken =
            fwrite(printer->out.data, 1, printer->out.length, stdout) != printer->out.length ||
            fflush(stdout) != 0;
    printer->out.length = 0;
}

static void print_finding(void *arg, const struct lint_finding *finding)
{
    struct printer *printer = arg;
    printer->format->finding(&printer->out, finding, printer->findings++ == 0);
    if (printer->out.length >= FLUSH_BYTES)
        flush(printer);
}

static int usage(const char *message, const char *word)
{
    fprintf(stderr, "pgkeel lint: %s '%s'; see 'pgkeel lint --help'\n", message, word);
    return EXIT_USAGE;
}

static int list_rules(const char *format)
{
    AUTO_BUFFER out = {0};
    if (format && strcmp(format, "json") == 0)
        lint_list_json(&out);
    else
        lint_list(&out);
    fputs(buffer_text(&out), stdout);
    return EXIT_DONE;
}

static int explain(const char *id)
{
    AUTO_BUFFER out = {0};
    const struct lint_rule *rule = lint_rule_find(id, strlen(id));
    if (rule == NULL)
        return usage("unknown rule", id);
    lint_explain(&out, rule);
    fputs(buffer_text(&out), stdout);
    return EXIT_DONE;
}

static bool read_transaction(const char *word, enum lint_transaction *ret)
{
    static const struct {
        const char *word;
        enum lint_transaction transaction;
    } known[] = {{"auto", LINT_AUTO}, {"always", LINT_ALWAYS}, {"never", LINT_NEVER}};
    for (size_t i = 0; word && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].word, word) == 0) {
            *ret = known[i].transaction;
            return true;
        }
    return word == NULL;
}

static ERR_CHECKED int read_stats(struct arena *arena, const char *path, struct lint_options *lint,
                                  struct error *err)
{
    struct lint_stats *stats;
    char *text;
    size_t length;
    if (path == NULL)
        return 0;
    if (file_read(arena, path, JSON_MAX_BYTES, &text, &length, err) < 0)
        return err_wrap(err, "--schema-stats");
    if (lint_stats_parse(arena, text, length, &stats, err) < 0)
        return err_wrap(err, "--schema-stats '%s'", path);
    lint->stats = stats;
    return 0;
}

static int finish(struct printer *printer, const struct lint_counts *counts)
{
    printer->format->end(&printer->out, counts);
    flush(printer);
    if (printer->broken) {
        fprintf(stderr, "pgkeel lint: cannot write the report: %s\n", strerror(errno));
        return EXIT_UNREADABLE;
    }
    if (counts->unreadable > 0)
        return EXIT_UNREADABLE;
    return counts->errors > 0 ? EXIT_REFUSED : EXIT_DONE;
}

/* A wrong option ends it before a file is read (64). A file that cannot be read does not: the
 * others are still linted. */
static int lint_all(struct arena *arena, const char *const *values, char **names, int count)
{
    struct error err = {0};
    const char *format = values[OPT_FORMAT] ? values[OPT_FORMAT] : "text";
    struct printer printer = {.format = lint_format_find(format)};
    struct lint_options lint_options = {
        .pg_version = values[OPT_PG_VERSION] ? (int)strtol(values[OPT_PG_VERSION], NULL, 10) : 0,
        .rules = values[OPT_RULES],
        .report = print_finding,
        .arg = &printer,
    };
    struct lint *lint = NULL;
    if (printer.format == NULL)
        return usage("unknown format", format);
    if (values[OPT_PG_VERSION] && lint_options.pg_version == 0)
        return usage("--pg-version must be a major version of PostgreSQL, not",
                     values[OPT_PG_VERSION]);
    if (!read_transaction(values[OPT_TRANSACTION], &lint_options.transaction))
        return usage("--in-transaction must be auto, always or never, not",
                     values[OPT_TRANSACTION]);
    if (read_stats(arena, values[OPT_STATS], &lint_options, &err) < 0 ||
        lint_new(&lint_options, &lint, &err) < 0) {
        fprintf(stderr, "pgkeel lint: %s\n", err.text);
        return err.class == ERR_INVALID ? EXIT_USAGE : EXIT_UNREADABLE;
    }
    struct lint_walk walk = {
        .arena = arena,
        .lint = lint,
        .since = values[OPT_SINCE],
        .stdin_name = values[OPT_STDIN_NAME] ? values[OPT_STDIN_NAME] : "stdin",
        .include_down = values[OPT_DOWN] != NULL,
    };
    printer.format->begin(&printer.out);
    lint_files(&walk, names, count);
    int code = finish(&printer, lint_counts(lint));
    lint_free(lint);
    buffer_free(&printer.out);
    return code;
}

static int run(const struct verb *verb, int argc, char **argv)
{
    const char *values[OPT_COUNT];
    int first, code;
    if (!verb_parse(verb, argc, argv, values, &first, &code))
        return code;
    AUTO_ARENA arena = arena_new();
    if (values[OPT_LIST])
        return list_rules(values[OPT_FORMAT]);
    if (values[OPT_EXPLAIN])
        return explain(values[OPT_EXPLAIN]);
    if (values[OPT_COLLECT])
        return lint_collect(arena, values[OPT_COLLECT]);
    if (first == argc) {
        fprintf(stderr, "pgkeel lint: name the files or folders to lint, or '-' for stdin; see "
                        "'pgkeel lint --help'\n");
        return EXIT_USAGE;
    }
    return lint_all(arena, values, argv + first, argc - first);
}

const struct verb verb_lint = {
    .name = "lint",
    .arguments = "FILE|DIR|-...",
    .summary = "Find statements in SQL migrations that block a live database.",
    .options = options,
    .run = run,
};
