#include "sql/split.h"

#include <string.h>
#include <strings.h>

/* psql remembers the first words of a statement to recognise function bodies: BEGIN ... END nests
 * only in CREATE [OR REPLACE] {FUNCTION | PROCEDURE}. */
enum { WORDS_KEPT = 4 };

struct cutter {
    struct split *split;
    struct split_item *item;
    size_t at;
    int parens, begins, words;
    char initials[WORDS_KEPT];
    bool copy, from, from_stdin;
};

void split_start(struct split *split, const char *text, size_t length)
{
    *split = (struct split){.text = text, .length = length, .line = 1};
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        split->at = split->counted = 3;
        split->line_start = 3;
    }
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_word_start(c) || is_digit(c) || c == '$';
}

static char peek(const struct cutter *cutter, size_t ahead)
{
    const struct split *split = cutter->split;
    return cutter->at + ahead < split->length ? split->text[cutter->at + ahead] : '\0';
}

/* Offset of the line's end: of its newline or of the text's end. */
static size_t line_end(const struct split *split, size_t from)
{
    const char *found = memchr(split->text + from, '\n', split->length - from);
    return found ? (size_t)(found - split->text) : split->length;
}

static void count_lines(struct split *split, size_t to)
{
    while (split->counted < to) {
        const char *from = split->text + split->counted;
        const char *found = memchr(from, '\n', to - split->counted);
        if (found == NULL) {
            split->counted = to;
            return;
        }
        split->counted = (size_t)(found - split->text) + 1;
        split->line_start = split->counted;
        split->line++;
    }
}

static void begin_item(struct split *split, struct split_item *item, enum split_kind kind,
                       size_t start, size_t end)
{
    count_lines(split, start);
    item->kind = kind;
    item->start = start;
    item->end = end;
    item->line = split->line;
    item->line_start = split->line_start;
}

/* Each skips what begins at `at`; false when the text ends first. */
static bool skip_comment(struct cutter *cutter)
{
    const struct split *split = cutter->split;
    int depth = 0;
    do {
        if (peek(cutter, 0) == '/' && peek(cutter, 1) == '*') {
            depth++;
            cutter->at += 2;
        } else if (peek(cutter, 0) == '*' && peek(cutter, 1) == '/') {
            depth--;
            cutter->at += 2;
        } else {
            cutter->at++;
        }
    } while (depth > 0 && cutter->at < split->length);
    if (cutter->at > split->length)
        cutter->at = split->length;
    return depth == 0;
}

/* A doubled quote stands for the quote itself and does not end the text. */
static bool skip_quoted(struct cutter *cutter, char quote, bool backslashes)
{
    const struct split *split = cutter->split;
    for (cutter->at++; cutter->at < split->length; cutter->at++) {
        char c = split->text[cutter->at];
        if (backslashes && c == '\\' && cutter->at + 1 < split->length) {
            cutter->at++;
        } else if (c == quote) {
            if (peek(cutter, 1) != quote) {
                cutter->at++;
                return true;
            }
            cutter->at++;
        }
    }
    return false;
}

/* E'a' <newline> 'b\'' is one string, in which backslashes keep their meaning. */
static bool skip_escaped(struct cutter *cutter)
{
    for (;;) {
        if (!skip_quoted(cutter, '\'', true))
            return false;
        size_t at = cutter->at;
        bool newline = false;
        for (; at < cutter->split->length && is_space(cutter->split->text[at]); at++)
            newline |= cutter->split->text[at] == '\n';
        if (!newline || at == cutter->split->length || cutter->split->text[at] != '\'')
            return true;
        cutter->at = at;
    }
}

/* False when the quote never ends. A lone $ is skipped. */
static bool skip_dollar(struct cutter *cutter)
{
    const struct split *split = cutter->split;
    const char *tag = split->text + cutter->at;
    size_t left = split->length - cutter->at, n = 1;
    if (n < left && is_word_start(tag[n]))
        while (n < left && is_word(tag[n]) && tag[n] != '$')
            n++;
    if (n == left || tag[n] != '$') {
        cutter->at++;
        return true;
    }
    n++;
    const char *end = memmem(tag + n, left - n, tag, n);
    cutter->at = end ? (size_t)(end - split->text) + n : split->length;
    return end != NULL;
}

static bool is_body_owner(const struct cutter *cutter)
{
    const char *w = cutter->initials;
    return w[0] == 'c' && (w[1] == 'f' || w[1] == 'p' ||
                           (w[1] == 'o' && w[2] == 'r' && (w[3] == 'f' || w[3] == 'p')));
}

static bool word_is(const char *word, size_t length, const char *wanted)
{
    return length == strlen(wanted) && strncasecmp(word, wanted, length) == 0;
}

/* CASE, too, ends with END, so that it nests like BEGIN inside a body. */
static void note_word(struct cutter *cutter, const char *word, size_t length)
{
    static const char *const kept[] = {"create", "function", "procedure", "or", "replace"};
    if (cutter->words < WORDS_KEPT) {
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
            if (word_is(word, length, kept[i]))
                cutter->initials[cutter->words] = kept[i][0];
        if (cutter->words == 0)
            cutter->copy = word_is(word, length, "copy");
        cutter->words++;
    }
    if (cutter->copy && cutter->parens == 0) {
        cutter->from_stdin |= cutter->from && word_is(word, length, "stdin");
        cutter->from = word_is(word, length, "from");
    }
    if (cutter->parens == 0 && length <= 5 && is_body_owner(cutter)) {
        if (word_is(word, length, "begin"))
            cutter->begins++;
        else if (word_is(word, length, "case") && cutter->begins > 0)
            cutter->begins++;
        else if (word_is(word, length, "end") && cutter->begins > 0)
            cutter->begins--;
    }
}

static bool skip_word(struct cutter *cutter)
{
    const struct split *split = cutter->split;
    size_t start = cutter->at;
    while (cutter->at < split->length && is_word(split->text[cutter->at]))
        cutter->at++;
    const char *word = split->text + start;
    if (cutter->at - start == 1 && (*word == 'e' || *word == 'E') && peek(cutter, 0) == '\'')
        return skip_escaped(cutter);
    note_word(cutter, word, cutter->at - start);
    return true;
}

/* :: is a cast, := an assignment; :name, :'name' and :"name" are psql's variables. */
static void skip_colon(struct cutter *cutter)
{
    char next = peek(cutter, 1);
    cutter->at++;
    if (next == ':')
        cutter->at++;
    else if (is_word_start(next) || next == '\'' || next == '"')
        cutter->item->has_variables = true;
}

/* Steps over one token; false when it never ends. */
static bool skip_token(struct cutter *cutter, const char **ret_what)
{
    const struct split *split = cutter->split;
    char c = split->text[cutter->at];
    *ret_what = "quoted string";
    if (is_word_start(c))
        return skip_word(cutter);
    switch (c) {
    case '\'':
        return skip_quoted(cutter, '\'', false);
    case '"':
        *ret_what = "quoted identifier";
        return skip_quoted(cutter, '"', false);
    case '$':
        *ret_what = "dollar-quoted string";
        return skip_dollar(cutter);
    case '(':
        cutter->parens++;
        break;
    case ')':
        cutter->parens -= cutter->parens > 0;
        break;
    case ':':
        skip_colon(cutter);
        return true;
    case '-':
        if (peek(cutter, 1) == '-') {
            cutter->item->has_comments = true;
            cutter->at = line_end(split, cutter->at);
            return true;
        }
        break;
    case '/':
        if (peek(cutter, 1) == '*') {
            cutter->item->has_comments = true;
            *ret_what = "/* comment";
            return skip_comment(cutter);
        }
        break;
    default:
        /* 1e5 and 0xff are not words. */
        while (is_digit(c) && is_word(peek(cutter, 1)) && peek(cutter, 1) != '$')
            cutter->at++;
        break;
    }
    cutter->at++;
    return true;
}

static void cut_statement(struct split *split, struct split_item *item)
{
    struct cutter cutter = {.split = split, .item = item, .at = split->at};
    size_t last = split->at; /* end of the last token that is not a comment */
    begin_item(split, item, SPLIT_STATEMENT, split->at, split->length);
    while (cutter.at < split->length) {
        char c = split->text[cutter.at];
        if (is_space(c)) {
            cutter.at++;
            continue;
        }
        if (c == ';' && cutter.parens == 0 && cutter.begins == 0)
            break;
        if (c == '\\' && (peek(&cutter, 1) == ';' || peek(&cutter, 1) == ':')) {
            if (peek(&cutter, 1) == ';')
                break;
            cutter.at += 2;
            continue;
        }
        if (c == '\\')
            break;
        size_t start = cutter.at;
        const char *what;
        bool comment =
            (c == '-' && peek(&cutter, 1) == '-') || (c == '/' && peek(&cutter, 1) == '*');
        if (!skip_token(&cutter, &what)) {
            item->kind = SPLIT_OPEN;
            item->unfinished = what;
            item->unfinished_at = start;
            split->at = item->end = split->length;
            return;
        }
        if (!comment)
            last = cutter.at;
    }
    item->end = last;
    split->at = cutter.at;
    if (split->at < split->length && split->text[split->at] == ';')
        split->at++;
    else if (split->at + 1 < split->length && split->text[split->at + 1] == ';')
        split->at += 2;
    else if (split->length - split->at >= 6 && memcmp(split->text + split->at, "\\gexec", 6) == 0)
        item->sent_by_gexec = true;
    split->data_next = cutter.from_stdin;
}

static void cut_meta(struct split *split, struct split_item *item)
{
    size_t end = line_end(split, split->at);
    begin_item(split, item, SPLIT_META, split->at, end);
    /* \copy t from stdin reads data as COPY does; pstdin would be psql's own input. */
    if (end - split->at > 6 && memcmp(split->text + split->at, "\\copy", 5) == 0)
        for (size_t i = split->at; i + 10 <= end && !split->data_next; i++)
            if (strncasecmp(split->text + i, "from", 4) == 0 && is_space(split->text[i + 4])) {
                size_t j = i + 4;
                while (j < end && is_space(split->text[j]))
                    j++;
                split->data_next = end - j >= 5 && strncasecmp(split->text + j, "stdin", 5) == 0;
            }
    split->at = end;
    while (item->end > item->start && is_space(split->text[item->end - 1]))
        item->end--;
}

/* The data begin on the line after the end of COPY, and end with \. or the file. */
static void cut_data(struct split *split, struct split_item *item)
{
    size_t at = line_end(split, split->at);
    at += at < split->length;
    begin_item(split, item, SPLIT_DATA, at, split->length);
    split->data_next = false;
    split->at = split->length;
    while (at < split->length) {
        size_t end = line_end(split, at);
        size_t next = end + (end < split->length);
        bool stop = end - at >= 2 && split->text[at] == '\\' && split->text[at + 1] == '.' &&
                    (end - at == 2 || (end - at == 3 && split->text[at + 2] == '\r'));
        if (stop) {
            item->end = at;
            split->at = next;
            return;
        }
        at = next;
    }
}

struct split_item split_next(struct split *split)
{
    struct split_item item = {0};
    if (split->data_next) {
        cut_data(split, &item);
        return item;
    }
    while (split->at < split->length &&
           (is_space(split->text[split->at]) || split->text[split->at] == ';'))
        split->at++;
    struct cutter cutter = {.split = split, .item = &item, .at = split->at};
    if (split->at == split->length) {
        begin_item(split, &item, SPLIT_END, split->at, split->at);
    } else if (peek(&cutter, 0) == '-' && peek(&cutter, 1) == '-') {
        begin_item(split, &item, SPLIT_COMMENT, split->at, line_end(split, split->at));
        split->at = item.end;
    } else if (peek(&cutter, 0) == '/' && peek(&cutter, 1) == '*') {
        bool ended = skip_comment(&cutter);
        begin_item(split, &item, ended ? SPLIT_COMMENT : SPLIT_OPEN, split->at, cutter.at);
        item.unfinished = "/* comment";
        item.unfinished_at = split->at;
        split->at = cutter.at;
    } else if (peek(&cutter, 0) == '\\') {
        cut_meta(split, &item);
    } else {
        cut_statement(split, &item);
    }
    return item;
}
