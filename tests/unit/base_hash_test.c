/* Known answers: NIST FIPS 180-4 examples, RFC 4231, RFC 4648. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

static void base64_has_the_answers_of_rfc_4648(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        size_t length = 99;
        assert_string_equal(hash_base64(arena, vectors[i][0], strlen(vectors[i][0])),
                            vectors[i][1]);
        assert_string_equal(hash_unbase64(arena, vectors[i][1], &length), vectors[i][0]);
        assert_int_equal(length, strlen(vectors[i][0]));
    }
}

static void base64_carries_every_byte(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    unsigned char bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    size_t length = 0;
    char *back = hash_unbase64(arena, hash_base64(arena, bytes, sizeof bytes), &length);
    assert_int_equal(length, sizeof bytes);
    assert_memory_equal(back, bytes, sizeof bytes);
}

static void what_is_not_base64_is_refused(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    const char *const wrong[] = {
        "abc",  "a*bc",     "a-_b",     "====",         "A===", "AB=C",
        "=ABC", "AB==CDEF", "ABC=ABCD", "QUJD\n\n\n\n", " QUJ", "QU\nJ",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        size_t length;
        if (hash_unbase64(arena, wrong[i], &length) != NULL)
            fail_msg("'%s' was taken for base64", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_has_the_answers_of_rfc_4648),
        cmocka_unit_test(base64_carries_every_byte),
        cmocka_unit_test(what_is_not_base64_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
