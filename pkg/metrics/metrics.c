#include "metrics/metrics.h"

struct metrics_page {
    const struct metric *row;
    struct buffer *out;
};

static const char *type_name(enum metric_type type)
{
    return type == METRIC_COUNTER ? "counter" : "gauge";
}

static void put_label(struct buffer *out, const char *value)
{
    for (const char *p = value; *p; p++) {
        if (*p == '\n')
            buffer_puts(out, "\\n");
        else if (*p == '"' || *p == '\\')
            buffer_printf(out, "\\%c", *p);
        else
            buffer_append(out, p, 1);
    }
}

static void put_series(struct metrics_page *page, const char *const *label_values)
{
    const struct metric *row = page->row;
    buffer_puts(page->out, row->name);
    for (size_t i = 0; i < sizeof row->labels / sizeof row->labels[0] && row->labels[i]; i++) {
        buffer_printf(page->out, "%s%s=\"", i == 0 ? "{" : ",", row->labels[i]);
        put_label(page->out, label_values[i]);
        buffer_puts(page->out, "\"");
    }
    buffer_puts(page->out, row->labels[0] ? "} " : " ");
}

void metrics_add(struct metrics_page *page, int64_t value, const char *const *label_values)
{
    put_series(page, label_values);
    buffer_printf(page->out, "%lld\n", (long long)value);
}

void metrics_print(const struct metric *rows, const void *arg, struct buffer *out)
{
    for (const struct metric *row = rows; row->name != NULL; row++) {
        struct metrics_page page = {row, out};
        buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                      type_name(row->type));
        row->read(&page, arg);
    }
}

void metrics_document(const struct metric *rows, bool more, struct buffer *out)
{
    if (!more)
        buffer_puts(out, "| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (const struct metric *row = rows; row->name != NULL; row++) {
        buffer_printf(out, "| `%s` | %s | ", row->name, type_name(row->type));
        for (size_t i = 0; i < sizeof row->labels / sizeof row->labels[0] && row->labels[i]; i++)
            buffer_printf(out, "%s%s", i == 0 ? "" : ", ", row->labels[i]);
        buffer_printf(out, " | %s |\n", row->help);
    }
}
