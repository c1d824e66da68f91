#include "test.h"

#include <stdlib.h>

#include "kube/frame.h"

/* Feeds text in pieces cut at every offset given, and joins what was found with '|'. */
static void read_lines(const char *text, size_t first_piece, size_t limit, struct buffer *out)
{
    struct kube_lines lines = {.limit = limit};
    AUTO_BUFFER in = {0};
    size_t length = strlen(text), fed = 0;
    while (fed < length) {
        size_t piece = fed == 0 && first_piece > 0 ? first_piece : length - fed;
        const char *line;
        size_t line_length;
        struct error err;
        int found;
        buffer_append(&in, text + fed, piece);
        fed += piece;
        while ((found = kube_lines_next(&lines, &in, &line, &line_length, &err)) != 0) {
            if (found == KUBE_FRAME_FOUND)
                buffer_append(out, line, line_length);
            else
                buffer_puts(out, "OVER");
            buffer_puts(out, "|");
        }
    }
}

static void expect_lines(const char *text, size_t limit, const char *wanted)
{
    for (size_t cut = 0; cut < strlen(text); cut++) {
        AUTO_BUFFER out = {0};
        read_lines(text, cut, limit, &out);
        assert_string_equal(buffer_text(&out), wanted);
    }
}

static void lines_are_found_whatever_byte_they_are_cut_at(void **state)
{
    (void)state;
    expect_lines("{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n", 0, "{\"a\":1}|{\"b\":2}|{\"c\":3}|");
}

static void blank_lines_are_left_out(void **state)
{
    (void)state;
    expect_lines("\n\r\n{}\r\n \t\n{}\n", 0, "{}\r|{}|");
}

static void an_unfinished_line_is_not_handed_out(void **state)
{
    (void)state;
    expect_lines("{}\n{\"a\":", 0, "{}|");
}

static void a_line_over_the_limit_is_left_out_and_reading_goes_on(void **state)
{
    (void)state;
    expect_lines("{}\n0123456789abcdef\n{1}\n", 8, "{}|OVER|{1}|");
    expect_lines("0123456789abcdef", 8, "OVER|");
    expect_lines("12345678\n123456789\n", 8, "12345678|OVER|");
}

static void a_line_that_goes_on_for_ever_takes_no_memory(void **state)
{
    (void)state;
    struct kube_lines lines = {.limit = 1000};
    AUTO_BUFFER in = {0};
    char piece[4096];
    memset(piece, 'x', sizeof piece);
    int over = 0;
    for (int i = 0; i < 1000; i++) {
        const char *line;
        size_t length;
        struct error err;
        int found;
        buffer_append(&in, piece, sizeof piece);
        while ((found = kube_lines_next(&lines, &in, &line, &length, &err)) != 0)
            over++;
        assert_true(in.length <= sizeof piece);
    }
    assert_int_equal(over, 1);
}

/* Items joined with '|', then the envelope; "..." when the document is not complete. */
static int read_items(const char *text, size_t first_piece, size_t step, size_t limit,
                      struct buffer *out)
{
    struct kube_items items = {.limit = limit};
    AUTO_BUFFER in = {0};
    size_t length = strlen(text), fed = 0;
    int found = 0;
    while (fed < length && found >= 0) {
        size_t piece = fed == 0 && first_piece > 0 ? first_piece : step;
        const char *item;
        size_t item_length;
        struct error err;
        if (piece > length - fed)
            piece = length - fed;
        buffer_append(&in, text + fed, piece);
        fed += piece;
        while ((found = kube_items_next(&items, &in, &item, &item_length, &err)) > 0) {
            buffer_append(out, item, item_length);
            buffer_puts(out, "|");
        }
    }
    buffer_puts(out, buffer_text(&items.envelope));
    buffer_puts(out, items.complete ? "" : "...");
    buffer_free(&items.envelope);
    return found;
}

static void expect_items(const char *text, const char *wanted)
{
    for (size_t cut = 0; cut < strlen(text); cut++) {
        AUTO_BUFFER out = {0}, slow = {0};
        assert_int_equal(read_items(text, cut, strlen(text), 0, &out), 0);
        assert_string_equal(buffer_text(&out), wanted);
    }
    AUTO_BUFFER slow = {0};
    read_items(text, 1, 1, 0, &slow);
    assert_string_equal(buffer_text(&slow), wanted);
}

static void items_are_found_whatever_byte_they_are_cut_at(void **state)
{
    (void)state;
    expect_items("{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},"
                 "\"items\":[{\"a\":{\"b\":[{}]}},{\"c\":\"}]\\\"{\"}, {}]}\n",
                 "{\"a\":{\"b\":[{}]}}|{\"c\":\"}]\\\"{\"}|{}|"
                 "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[ ]}\n");
}

static void items_may_come_before_metadata(void **state)
{
    (void)state;
    expect_items("{\"items\":[{\"x\":1}],\"metadata\":{\"continue\":\"c\"}}",
                 "{\"x\":1}|{\"items\":[],\"metadata\":{\"continue\":\"c\"}}");
}

static void other_members_called_items_are_left_alone(void **state)
{
    (void)state;
    expect_items("{\"metadata\":{\"items\":[{\"n\":1}]},\"note\":\"items\",\"more\":[{\"m\":2}],"
                 "\"items\":[{\"x\":1}]}",
                 "{\"x\":1}|{\"metadata\":{\"items\":[{\"n\":1}]},\"note\":\"items\","
                 "\"more\":[{\"m\":2}],\"items\":[]}");
}

static void a_list_without_items_is_its_envelope(void **state)
{
    (void)state;
    expect_items("{\"items\":null,\"a\":1}", "{\"items\":null,\"a\":1}");
    expect_items("{\"items\":[]}", "{\"items\":[]}");
}

static void a_list_that_is_cut_off_is_not_complete(void **state)
{
    (void)state;
    expect_items("{\"items\":[{\"x\":1},{\"y\":", "{\"x\":1}|{\"items\":[...");
}

static void an_item_over_the_limit_ends_the_list(void **state)
{
    (void)state;
    AUTO_BUFFER out = {0};
    assert_int_equal(
        read_items("{\"items\":[{\"x\":1},{\"long\":\"0123456789\"}]}", 0, 100, 12, &out),
        ERR_INVALID);
    assert_memory_equal(buffer_text(&out), "{\"x\":1}|", 8);
}

static void an_envelope_over_the_limit_ends_the_list(void **state)
{
    (void)state;
    struct kube_items items = {0};
    AUTO_BUFFER in = {0};
    const char *item;
    size_t length;
    struct error err;
    char *junk = malloc(KUBE_ENVELOPE_MAX_BYTES + 10);
    memset(junk, '[', KUBE_ENVELOPE_MAX_BYTES + 10);
    buffer_append(&in, junk, KUBE_ENVELOPE_MAX_BYTES + 10);
    free(junk);
    assert_int_equal(kube_items_next(&items, &in, &item, &length, &err), ERR_INVALID);
    buffer_free(&items.envelope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_found_whatever_byte_they_are_cut_at),
        cmocka_unit_test(blank_lines_are_left_out),
        cmocka_unit_test(an_unfinished_line_is_not_handed_out),
        cmocka_unit_test(a_line_over_the_limit_is_left_out_and_reading_goes_on),
        cmocka_unit_test(a_line_that_goes_on_for_ever_takes_no_memory),
        cmocka_unit_test(items_are_found_whatever_byte_they_are_cut_at),
        cmocka_unit_test(items_may_come_before_metadata),
        cmocka_unit_test(other_members_called_items_are_left_alone),
        cmocka_unit_test(a_list_without_items_is_its_envelope),
        cmocka_unit_test(a_list_that_is_cut_off_is_not_complete),
        cmocka_unit_test(an_item_over_the_limit_ends_the_list),
        cmocka_unit_test(an_envelope_over_the_limit_ends_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
