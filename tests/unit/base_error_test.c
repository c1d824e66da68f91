#include "test.h"

#include <errno.h>

#include "base/error.h"

static void text_reads_outermost_first(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(err_set(&err, ERR_NOT_FOUND, "no such key '%s'", "password"), ERR_NOT_FOUND);
    assert_int_equal(err_wrap(&err, "read Secret '%s'", "a/b"), ERR_NOT_FOUND);
    assert_string_equal(err.text, "read Secret 'a/b': no such key 'password'");
}

static void text_that_does_not_fit_ends_in_dots(void **state)
{
    (void)state;
    struct error err;
    char lengthy[3000];
    memset(lengthy, 'x', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    err_set(&err, ERR_INVALID, "%s", lengthy);
    err_wrap(&err, "outer");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_string_equal(err.text + sizeof err.text - 4, "...");
    assert_memory_equal(err.text, "outer: ", 7);
}

static void errno_is_classified_and_named(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(err_errno(&err, ENOENT, "open '%s'", "/x"), ERR_NOT_FOUND);
    assert_string_equal(err.text, "open '/x': No such file or directory");
    assert_int_equal(err_errno(&err, EROFS, "create"), ERR_FORBIDDEN);
    assert_int_equal(err_errno(&err, EIO, "read"), ERR_IO);
}

static void every_class_has_a_policy(void **state)
{
    (void)state;
    for (int class = 0; class >= ERR_INTERNAL; class --)
        assert_non_null(err_policy(class)->name);
    assert_string_equal(err_policy(-999)->name, "internal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_reads_outermost_first),
        cmocka_unit_test(text_that_does_not_fit_ends_in_dots),
        cmocka_unit_test(errno_is_classified_and_named),
        cmocka_unit_test(every_class_has_a_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
