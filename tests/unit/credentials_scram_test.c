#include "test.h"

#include "base/hash.h"
#include "credentials/credentials.h"

/* RFC 7677, section 3: the exchange of user "user" with password "pencil". */
#define RFC_SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define RFC_VERIFIER                                                                               \
    "SCRAM-SHA-256$4096:" RFC_SALT "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="                 \
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void the_verifier_is_the_one_of_the_rfc(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    size_t length;
    unsigned char *salt = (unsigned char *)hash_unbase64(arena, RFC_SALT, &length);
    assert_int_equal(length, 16);
    char *verifier;
    assert_int_equal(credentials_scram(arena, "pencil", salt, &verifier, &err), 0);
    assert_string_equal(verifier, RFC_VERIFIER);
}

static void only_the_right_password_matches(void **state)
{
    (void)state;
    assert_true(credentials_scram_matches(RFC_VERIFIER, "pencil"));
    assert_false(credentials_scram_matches(RFC_VERIFIER, "pencils"));
    assert_false(credentials_scram_matches(RFC_VERIFIER, ""));
}

static void what_is_no_verifier_matches_nothing(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "md5aa5d8b5ab4e9d1a1f8a2bb5d1fb3f1d3",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==",
        "SCRAM-SHA-256$0:" RFC_SALT "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$9999999:" RFC_SALT "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:*$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:" RFC_SALT "$WG5d:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        RFC_VERIFIER "x",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_false(credentials_scram_matches(broken[i], "pencil"));
}

static void passwords_that_clients_would_send_differently_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(credentials_password_usable("~ all printable ! ASCII", &err), 0);
    assert_int_equal(credentials_password_usable("", &err), ERR_INVALID);
    assert_int_equal(credentials_password_usable("pa\xc3\x9fword", &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "use ASCII only"));
    assert_int_equal(credentials_password_usable("secret\n", &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "line break"));
    assert_string_equal(err.reason, "PasswordInvalid");
    assert_null(strstr(err.text, "secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verifier_is_the_one_of_the_rfc),
        cmocka_unit_test(only_the_right_password_matches),
        cmocka_unit_test(what_is_no_verifier_matches_nothing),
        cmocka_unit_test(passwords_that_clients_would_send_differently_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
