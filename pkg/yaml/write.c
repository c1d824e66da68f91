/* cJSON trees -> block-style YAML that every reader reads as the same values. */
#include "yaml/yaml.h"

#include <ctype.h>
#include <string.h>

static void write_node(struct buffer *out, const cJSON *node, int indent, bool inline_first);

static void write_indent(struct buffer *out, int indent)
{
    buffer_printf(out, "%*s", indent, "");
}

/* One UTF-8 sequence; returns its length and code point, or 1 and U+FFFD when it is not valid. */
static size_t next_code_point(const unsigned char *p, unsigned *ret_code)
{
    static const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
    unsigned code = length == 1 ? *p : length ? *p & (0xffu >> (length + 1)) : 0;
    for (size_t i = 1; i < length; i++) {
        if (p[i] >> 6 != 2) {
            length = 0;
            break;
        }
        code = code << 6 | (p[i] & 0x3fu);
    }
    bool valid = length > 0 && (length == 1 || code >= smallest[length]) && code <= 0x10ffff &&
                 !(code >= 0xd800 && code <= 0xdfff);
    *ret_code = valid ? code : 0xfffd;
    return valid ? length : 1;
}

/* Characters that readers refuse or turn into something else. */
static bool must_escape(unsigned code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           code == 0xfeff || code == 0xfffd || code == 0xfffe || code == 0xffff;
}

static void write_quoted(struct buffer *out, const char *text)
{
    buffer_puts(out, "\"");
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        unsigned code;
        size_t length = next_code_point(p, &code);
        if (code == '"' || code == '\\')
            buffer_printf(out, "\\%c", (int)code);
        else if (code == '\n')
            buffer_puts(out, "\\n");
        else if (code == '\t')
            buffer_puts(out, "\\t");
        else if (must_escape(code))
            buffer_printf(out, code < 0x100 ? "\\x%02X" : "\\u%04X", code);
        else
            buffer_append(out, p, length);
        p += length;
    }
    buffer_puts(out, "\"");
}

/* True if the text needs no quotes: a narrow set that every reader takes as a string. */
static bool is_plain(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=+%@()<>,;*$^ :";
    double number;
    size_t length = strlen(text);
    if (length == 0 || length > 120 || strspn(text, allowed) != length)
        return false;
    /* Options (--name) may begin with dashes, list items may not. */
    const char *first = text + (text[0] == '-') + (text[0] == '-' && text[1] == '-');
    if (!isalnum((unsigned char)*first) && !(first == text && strchr("_/$", *first)))
        return false;
    if (text[length - 1] == ' ' || text[length - 1] == ':' || strstr(text, ": "))
        return false;
    if (yaml_resolve(text, &number) != YAML_STRING)
        return false;
    /* Dates, 1:30 (base 60) and the like: other readers have more types than we do. */
    return strspn(text, "0123456789_:.-+TZ eE") != length;
}

/* Text that a literal block keeps as it is: lines of printable characters, the first one not blank
 * and not indented, the last one not blank. */
static bool is_block(const char *text)
{
    if (strchr(text, '\n') == NULL || strchr(" \n\t", text[0]))
        return false;
    size_t end = strlen(text);
    while (text[end - 1] == '\n')
        end--;
    if (strchr(" \t", text[end - 1]))
        return false;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        unsigned code;
        p += next_code_point(p, &code);
        if (code != '\n' && code != '\t' && must_escape(code))
            return false;
    }
    return true;
}

static void write_block(struct buffer *out, const char *text, int indent)
{
    size_t length = strlen(text), newlines = 0;
    while (newlines < length && text[length - 1 - newlines] == '\n')
        newlines++;
    buffer_puts(out, newlines == 0 ? "|-\n" : newlines == 1 ? "|\n" : "|+\n");
    for (const char *line = text; *line;) {
        size_t size = strcspn(line, "\n");
        if (size > 0)
            write_indent(out, indent);
        buffer_append(out, line, size);
        buffer_puts(out, "\n");
        line += size + (line[size] == '\n');
    }
}

static void write_string(struct buffer *out, const char *text, int indent)
{
    if (is_plain(text)) {
        buffer_puts(out, text);
        buffer_puts(out, "\n");
    } else if (is_block(text)) {
        write_block(out, text, indent);
    } else {
        write_quoted(out, text);
        buffer_puts(out, "\n");
    }
}

/* Longer keys need the explicit form: readers look for the colon within 1024 characters. */
enum { SIMPLE_KEY_MAX = 250 };

static void write_member(struct buffer *out, const cJSON *member, int indent)
{
    bool simple = strlen(member->string) <= SIMPLE_KEY_MAX;
    if (!simple)
        buffer_puts(out, "? ");
    if (is_plain(member->string))
        buffer_puts(out, member->string);
    else
        write_quoted(out, member->string);
    if (!simple) {
        buffer_puts(out, "\n");
        write_indent(out, indent);
    }
    buffer_puts(out, ":");
    bool collection = member->child != NULL;
    buffer_puts(out, collection ? "\n" : " ");
    /* Lists are indented like their key, as kubectl prints them. */
    write_node(out, member, cJSON_IsArray(member) && collection ? indent : indent + 2, false);
}

static void write_collection(struct buffer *out, const cJSON *node, int indent, bool inline_first)
{
    for (const cJSON *child = node->child; child; child = child->next) {
        if (!inline_first)
            write_indent(out, indent);
        inline_first = false;
        if (cJSON_IsObject(node)) {
            write_member(out, child, indent);
        } else {
            buffer_puts(out, "- ");
            write_node(out, child, indent + 2, true);
        }
    }
}

static void write_node(struct buffer *out, const cJSON *node, int indent, bool inline_first)
{
    if (cJSON_IsString(node)) {
        write_string(out, node->valuestring, indent);
    } else if (node->child) {
        write_collection(out, node, indent, inline_first);
    } else {
        char *text = cJSON_PrintUnformatted(node); /* numbers, true, null, {} and [] */
        buffer_puts(out, text ? text : "null");
        buffer_puts(out, "\n");
        cJSON_free(text);
    }
}

void yaml_write(struct buffer *out, const cJSON *tree)
{
    /* The lines of a text that is the whole document must be indented, too. */
    write_node(out, tree, cJSON_IsString(tree) ? 2 : 0, false);
}
