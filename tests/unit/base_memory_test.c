#include "test.h"

#include <stdio.h>

#include "base/memory.h"

enum { PAGES = 1024, PAGE = 4096 };
static const char constants[PAGES * PAGE] = {1};

static long resident_file_kib(void)
{
    char line[200];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "RssFile: %ld", &kib) == 1)
            break;
    fclose(file);
    return kib;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_let_go_leaves_memory_and_is_still_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
