#include "lint/report.h"

#include <string.h>

#include "base/hash.h"

static const char *id_of(const struct lint_finding *finding)
{
    return finding->rule ? finding->rule->id : "unreadable";
}

/* -- pieces ----------------------------------------------------------------------------------- */

static void put_json(struct buffer *out, const char *text, size_t length)
{
    buffer_puts(out, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            buffer_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buffer_printf(out, "\\u%04x", c);
        else
            buffer_append(out, text + i, 1);
    }
    buffer_puts(out, "\"");
}

static void put_field(struct buffer *out, const char *name, const char *text)
{
    buffer_printf(out, "\"%s\":", name);
    put_json(out, text, strlen(text));
}

/* Cuts at control characters, and never within a UTF-8 sequence: that would make the whole report
 * unreadable. */
static size_t safe_length(const char *text, size_t length, size_t limit)
{
    size_t n = 0;
    while (n < length && n < limit && (unsigned char)text[n] >= 0x20 - 0x17 * (text[n] == '\t'))
        n++;
    while (n > 0 && n < length && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    return n;
}

/* -- text ------------------------------------------------------------------------------------- */

enum { SHOWN_BYTES = 160 };

static void text_begin(struct buffer *out)
{
    (void)out;
}

/* The line around the column, with a caret below; control characters become blanks. */
static void text_source(struct buffer *out, const struct lint_finding *finding)
{
    size_t at = 0, from = 0;
    for (int column = 1; column < finding->column && at < finding->source_length; column++)
        do
            at++;
        while (at < finding->source_length && ((unsigned char)finding->source[at] & 0xC0) == 0x80);
    if (at > SHOWN_BYTES / 2) {
        from = at - SHOWN_BYTES / 2;
        while (from < at && ((unsigned char)finding->source[from] & 0xC0) == 0x80)
            from++;
    }
    size_t length = finding->source_length - from;
    if (length > SHOWN_BYTES) {
        length = SHOWN_BYTES;
        while (length > 0 && ((unsigned char)finding->source[from + length] & 0xC0) == 0x80)
            length--;
    }
    buffer_printf(out, "%7d | ", finding->line);
    buffer_append(out, finding->source + from, length);
    for (size_t i = out->length - length; i < out->length; i++)
        if ((unsigned char)out->data[i] < 0x20 || out->data[i] == 0x7f)
            out->data[i] = ' ';
    buffer_puts(out, "\n        | ");
    for (size_t i = from; i < at; i++)
        if (((unsigned char)finding->source[i] & 0xC0) != 0x80)
            buffer_puts(out, " ");
    buffer_puts(out, "^\n");
}

/* A note says what was skipped: there is nothing to write instead. */
static void text_finding(struct buffer *out, const struct lint_finding *finding, bool first)
{
    (void)first;
    if (finding->line > 0)
        buffer_printf(out, "%s:%d:%d: ", finding->file, finding->line, finding->column);
    else
        buffer_printf(out, "%s: ", finding->file);
    if (finding->rule == NULL) {
        buffer_printf(out, "unreadable: %s\n", finding->message);
        if (finding->line > 0)
            text_source(out, finding);
        return;
    }
    buffer_printf(out, "%s %s: %s\n", lint_level_name(finding->level), finding->rule->id,
                  finding->message);
    text_source(out, finding);
    if (finding->level != LINT_NOTE)
        buffer_printf(out, "        = instead: %s\n", finding->rule->recipe);
}

static void text_end(struct buffer *out, const struct lint_counts *counts)
{
    buffer_printf(out, "%zu files, %zu statements: %zu errors, %zu warnings", counts->files,
                  counts->statements, counts->errors, counts->warnings);
    if (counts->suppressed)
        buffer_printf(out, ", %zu ignored by directives", counts->suppressed);
    if (counts->unreadable)
        buffer_printf(out, ", %zu unreadable", counts->unreadable);
    buffer_puts(out, "\n");
}

/* -- JSON ------------------------------------------------------------------------------------- */

static void json_begin(struct buffer *out)
{
    buffer_puts(out, "{\"findings\":[");
}

static void json_finding(struct buffer *out, const struct lint_finding *finding, bool first)
{
    buffer_printf(out, "%s\n{\"rule\":\"%s\",\"level\":\"%s\",", first ? "" : ",", id_of(finding),
                  lint_level_name(finding->level));
    put_field(out, "file", finding->file);
    buffer_printf(out, ",\"line\":%d,\"column\":%d,", finding->line, finding->column);
    put_field(out, "message", finding->message);
    if (finding->rule) {
        buffer_puts(out, ",");
        put_field(out, "name", finding->rule->name);
        buffer_puts(out, ",");
        put_field(out, "blocks", finding->rule->blocks);
        buffer_puts(out, ",");
        put_field(out, "duration", finding->rule->duration);
        buffer_puts(out, ",");
        put_field(out, "recipe", finding->rule->recipe);
        buffer_puts(out, ",\"source\":");
        put_json(out, finding->source, safe_length(finding->source, finding->source_length, 400));
    }
    buffer_puts(out, "}");
}

static void json_end(struct buffer *out, const struct lint_counts *counts)
{
    buffer_printf(out,
                  "\n],\"files\":%zu,\"statements\":%zu,\"errors\":%zu,\"warnings\":%zu,"
                  "\"notes\":%zu,\"ignored\":%zu,\"unreadable\":%zu}\n",
                  counts->files, counts->statements, counts->errors, counts->warnings,
                  counts->notes, counts->suppressed, counts->unreadable);
}

/* -- SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/ ------------------------------ */

static void sarif_begin(struct buffer *out)
{
    size_t count;
    const struct lint_rule *const *rules = lint_rules(&count);
    buffer_puts(out, "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\","
                     "\"version\":\"2.1.0\",\"runs\":[{\"columnKind\":\"unicodeCodePoints\","
                     "\"tool\":{\"driver\":{\"name\":\"pgkeel lint\",\"version\":\"" PGKEEL_VERSION
                     "\",\"rules\":[");
    for (size_t i = 0; i < count; i++) {
        buffer_printf(out, "%s\n{\"id\":\"%s\",\"name\":\"%s\",\"shortDescription\":{",
                      i ? "," : "", rules[i]->id, rules[i]->name);
        put_field(out, "text", rules[i]->title);
        buffer_puts(out, "},\"help\":{");
        put_field(out, "text", rules[i]->recipe);
        buffer_printf(out, "},\"defaultConfiguration\":{\"level\":\"%s\",\"enabled\":%s}}",
                      lint_level_name(rules[i]->level), rules[i]->off ? "false" : "true");
    }
    buffer_puts(out, "]}},\"results\":[");
}

static void sarif_finding(struct buffer *out, const struct lint_finding *finding, bool first)
{
    buffer_printf(out, "%s\n{\"ruleId\":\"%s\",\"level\":\"%s\",\"message\":{", first ? "" : ",",
                  id_of(finding), lint_level_name(finding->level));
    put_field(out, "text", finding->message);
    buffer_puts(out, "},\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{");
    put_field(out, "uri", finding->file);
    buffer_puts(out, "}");
    if (finding->line > 0)
        buffer_printf(out, ",\"region\":{\"startLine\":%d,\"startColumn\":%d}", finding->line,
                      finding->column);
    buffer_puts(out, "}}]}");
}

static void sarif_end(struct buffer *out, const struct lint_counts *counts)
{
    buffer_printf(out, "\n],\"invocations\":[{\"executionSuccessful\":%s}]}]}\n",
                  counts->unreadable ? "false" : "true");
}

/* -- GitLab Code Quality: https://docs.gitlab.com/ci/testing/code_quality/ --------------------- */

static void gitlab_begin(struct buffer *out)
{
    buffer_puts(out, "[");
}

/* The fingerprint has the place in it: GitLab takes two findings of one fingerprint for the same.
 */
static void gitlab_finding(struct buffer *out, const struct lint_finding *finding, bool first)
{
    static const char *const severities[] = {"info", "minor", "major"};
    AUTO_ARENA arena = arena_new();
    AUTO_BUFFER identity = {0};
    buffer_printf(&identity, "%s:%d:%d:%s:%s", finding->file, finding->line, finding->column,
                  id_of(finding), finding->message);
    buffer_printf(out, "%s\n{\"type\":\"issue\",\"check_name\":\"%s\",", first ? "" : ",",
                  id_of(finding));
    put_field(out, "description", finding->message);
    buffer_printf(out, ",\"severity\":\"%s\",\"fingerprint\":\"%s\",\"location\":{",
                  finding->rule ? severities[finding->level] : "blocker",
                  hash_hex16(arena, identity.data, identity.length));
    put_field(out, "path", finding->file);
    buffer_printf(out, ",\"lines\":{\"begin\":%d}}}", finding->line > 0 ? finding->line : 1);
}

static void gitlab_end(struct buffer *out, const struct lint_counts *counts)
{
    (void)counts;
    buffer_puts(out, "\n]\n");
}

/* -- GitHub's workflow commands: %, line ends, and in properties also : and , are escaped ------ */

static void put_github(struct buffer *out, const char *text, bool property)
{
    for (; *text; text++) {
        if (*text == '%' || *text == '\n' || *text == '\r' ||
            (property && (*text == ':' || *text == ',')))
            buffer_printf(out, "%%%02X", (unsigned char)*text);
        else
            buffer_append(out, text, 1);
    }
}

/* The text of the command ends with its line, so that a line break in it is written as %0A. */
static void github_finding(struct buffer *out, const struct lint_finding *finding, bool first)
{
    static const char *const commands[] = {"notice", "warning", "error"};
    (void)first;
    buffer_printf(out, "::%s file=", commands[finding->level]);
    put_github(out, finding->file, true);
    if (finding->line > 0)
        buffer_printf(out, ",line=%d,col=%d", finding->line, finding->column);
    buffer_printf(out, ",title=%s::", id_of(finding));
    put_github(out, finding->message, false);
    if (finding->rule) {
        buffer_puts(out, "%0AInstead: ");
        put_github(out, finding->rule->recipe, false);
    }
    buffer_puts(out, "\n");
}

static const struct lint_format formats[] = {
    {"text", text_begin, text_finding, text_end},
    {"json", json_begin, json_finding, json_end},
    {"sarif", sarif_begin, sarif_finding, sarif_end},
    {"gitlab", gitlab_begin, gitlab_finding, gitlab_end},
    {"github", text_begin, github_finding, text_end},
};

const struct lint_format *lint_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}
