#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { PAGES = 1024, PAGE = 4096 };
static const char constants[PAGES * PAGE] = {1};

static long kib_of(const char *path, const char *name)
{
    char line[200];
    long kib = -1;
    size_t length = strlen(name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, length) == 0)
            kib = strtol(line + length, NULL, 10);
    fclose(file);
    return kib;
}

static long resident_file_kib(void)
{
    return kib_of("/proc/self/status", "RssFile:");
}

/* What status tells is exact to some dozens of pages only. */
static long resident_kib(void)
{
    return kib_of("/proc/self/smaps_rollup", "Rss:");
}

static long touch_all(void)
{
    long sum = 0;
    for (size_t i = 0; i < sizeof constants; i += PAGE)
        sum += ((const volatile char *)constants)[i];
    return sum;
}

static void what_was_let_go_leaves_memory_and_is_still_there(void **state)
{
    (void)state;
    assert_int_equal(touch_all(), 1);
    long before = resident_file_kib();
    memory_give_back();
    assert_true(before - resident_file_kib() > PAGES * PAGE / 1024 / 2);
    assert_int_equal(touch_all(), 1);
}

/* However large the pieces are in which the page cache keeps the file: that of a program that was
 * just written is kept in larger ones than that of one that was read. */
static void a_touch_brings_back_a_small_piece(void **state)
{
    (void)state;
    memory_give_back();
    long before = resident_kib(); /* brings back what this function itself needs */
    before = resident_kib();
    assert_int_equal(((const volatile char *)constants)[sizeof constants / 2], 0);
    long after = resident_kib();
    assert_in_range(after - before, 4, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_touch_brings_back_a_small_piece),
        cmocka_unit_test(what_was_let_go_leaves_memory_and_is_still_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
