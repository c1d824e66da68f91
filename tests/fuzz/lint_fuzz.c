/*
 * The whole linter and every report over any bytes. Beyond not crashing: places lie inside the
 * file, and a finding has a rule or is about what cannot be read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lint/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"text", "json", "sarif", "gitlab", "github"};

struct reader {
    struct buffer out[5];
    const char *text;
    size_t size;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void report(void *arg, const struct lint_finding *finding)
{
    struct reader *reader = arg;
    require(finding->line >= 1 && finding->column >= 1 && *finding->message);
    require(finding->source >= reader->text &&
            finding->source + finding->source_length <= reader->text + reader->size);
    for (size_t i = 0; i < 5; i++)
        lint_format_find(names[i])->finding(&reader->out[i], finding, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = {.text = (const char *)data, .size = size};
    struct error err = {0};
    struct lint *lint;
    enum lint_transaction how = size ? (enum lint_transaction)(data[size - 1] & 3) : LINT_AUTO;
    struct lint_options options = {
        .rules = "all", .transaction = how, .report = report, .arg = &reader};
    require(lint_new(&options, &lint, &err) == 0);
    lint_file(lint, &(struct lint_input){.name = "a.sql", .text = reader.text, .length = size});
    lint_free(lint);
    for (size_t i = 0; i < 5; i++)
        buffer_free(&reader.out[i]);
    return 0;
}
