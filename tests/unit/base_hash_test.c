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

static void expect_hex(struct arena *arena, const unsigned char digest[HASH_SHA256_BYTES],
                       const char *hex)
{
    assert_string_equal(hash_hex(arena, digest, HASH_SHA256_BYTES), hex);
}

static void sha256_has_the_answers_of_fips_180(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    unsigned char digest[HASH_SHA256_BYTES];
    const char *const vectors[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        hash_sha256(vectors[i][0], strlen(vectors[i][0]), digest);
        expect_hex(arena, digest, vectors[i][1]);
    }
    char *million = arena_alloc(arena, 1000000);
    memset(million, 'a', 1000000);
    hash_sha256(million, 1000000, digest);
    expect_hex(arena, digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_string_equal(hash_hex16(arena, "abc", 3), "ba7816bf8f01cfea");
}

static void hmac_has_the_answers_of_rfc_4231(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    unsigned char counting[25];
    for (size_t i = 0; i < sizeof counting; i++)
        counting[i] = (unsigned char)(i + 1);
    const struct {
        int key_byte; /* -1: `key` as it is */
        const char *key;
        size_t key_length;
        int data_byte;
        const char *data;
        size_t data_length;
        const char *hex;
    } cases[] = {
        {0x0b, NULL, 20, -1, "Hi There", 8,
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {-1, "Jefe", 4, -1, "what do ya want for nothing?", 28,
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {0xaa, NULL, 20, 0xdd, NULL, 50,
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {-1, (char *)counting, sizeof counting, 0xcd, NULL, 50,
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {0xaa, NULL, 131, -1, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {0xaa, NULL, 131, -1,
         "This is a test using a larger than block-size key and a larger than block-size data. "
         "The key needs to be hashed before being used by the HMAC algorithm.",
         152, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char key[131], data[152], digest[HASH_SHA256_BYTES];
        if (cases[i].key_byte < 0)
            memcpy(key, cases[i].key, cases[i].key_length);
        else
            memset(key, cases[i].key_byte, cases[i].key_length);
        if (cases[i].data_byte < 0)
            memcpy(data, cases[i].data, cases[i].data_length);
        else
            memset(data, cases[i].data_byte, cases[i].data_length);
        hash_hmac_sha256(key, cases[i].key_length, data, cases[i].data_length, digest);
        expect_hex(arena, digest, cases[i].hex);
    }
}

static void an_empty_key_is_a_key(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    unsigned char digest[HASH_SHA256_BYTES];
    hash_hmac_sha256("", 0, "", 0, digest);
    expect_hex(arena, digest, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_has_the_answers_of_rfc_4648),
        cmocka_unit_test(base64_carries_every_byte),
        cmocka_unit_test(what_is_not_base64_is_refused),
        cmocka_unit_test(sha256_has_the_answers_of_fips_180),
        cmocka_unit_test(hmac_has_the_answers_of_rfc_4231),
        cmocka_unit_test(an_empty_key_is_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
