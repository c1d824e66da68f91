#include "test.h"

#include "pg/pg.h"

static const char *said(const char *text)
{
    static char place[600];
    pg_sentence(place, sizeof place, text);
    return place;
}

static void a_primary_that_cannot_be_reached_is_one_sentence(void **state)
{
    (void)state;
    static const char wanted[] =
        "cannot connect to the primary at a-rw.shop.svc: connection refused";
    assert_string_equal(
        said("could not connect to the primary server: connection to server at \"a-rw.shop.svc\" "
             "(10.96.1.2), port 5432 failed: Connection refused\n"
             "\tIs the server running on that host and accepting TCP/IP connections?"),
        wanted);
    assert_string_equal(
        said("streaming replication receiver \"a-2\" could not connect to the primary server: "
             "connection to server at \"a-rw.shop.svc\" (10.96.1.2), port 5432 failed: "
             "Connection refused\n\tIs the server running on that host and accepting TCP/IP "
             "connections?\n"),
        wanted);
}

static void what_every_address_says_is_said_once(void **state)
{
    (void)state;
    assert_string_equal(
        said("could not connect to the primary server: connection to server at \"h\" (fd00::1), "
             "port 5432 failed: Connection refused\n\tIs the server running on that host and "
             "accepting TCP/IP connections?\nconnection to server at \"h\" (10.0.0.1), port 5432 "
             "failed: Connection refused\n\tIs the server running on that host and accepting "
             "TCP/IP connections?\nconnection to server at \"h\" (10.0.0.2), port 5432 failed: "
             "timeout expired\n"),
        "cannot connect to the primary at h: connection refused; no answer in time");
}

static void the_servers_own_words_stay(void **state)
{
    (void)state;
    assert_string_equal(said("pg_basebackup: error: connection to server at \"127.0.0.1\", port 1 "
                             "failed: FATAL:  password authentication failed for user \"r\""),
                        "pg_basebackup: error: cannot connect to the server at 127.0.0.1: password "
                        "authentication failed for user \"r\"");
    assert_string_equal(
        said("connection to server on socket \"/run/.s.PGSQL.5432\" failed: No such "
             "file or directory\n\tIs the server running locally and accepting "
             "connections on that socket?\n"),
        "cannot connect to the server at /run/.s.PGSQL.5432: No such file or "
        "directory");
    assert_string_equal(said("could not receive data from WAL stream: server closed the connection "
                             "unexpectedly\n\tThis probably means the server terminated "
                             "abnormally\n\tbefore or while processing the request.\n"),
                        "could not receive data from WAL stream: server closed the connection "
                        "unexpectedly");
}

static void what_is_not_known_becomes_a_line_and_no_more(void **state)
{
    (void)state;
    assert_string_equal(said("one\n\ttwo\r\nthree \n"), "one two three");
    assert_string_equal(said(""), "");
    assert_string_equal(said("\n\n"), "");
    assert_string_equal(said("connection to server at \"h"), "connection to server at \"h");
    assert_string_equal(said("connection to server at \"h\" (1), port 2"),
                        "connection to server at \"h\" (1), port 2");
    assert_string_equal(said("connection to server on socket \"x\" failed: "),
                        "cannot connect to the server at x: no reason given");
}

static void texts_that_do_not_fit_are_cut(void **state)
{
    (void)state;
    char place[20], big[4000];
    memset(big, 'x', sizeof big);
    memcpy(big, "connection to server at \"", 25);
    big[100] = '"';
    memcpy(big + 200, " failed: ", 9);
    big[sizeof big - 1] = '\0';
    pg_sentence(place, sizeof place, big);
    assert_int_equal(strlen(place), sizeof place - 1);
    pg_sentence(place, sizeof place, big + 300);
    assert_int_equal(strlen(place), sizeof place - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_that_cannot_be_reached_is_one_sentence),
        cmocka_unit_test(what_every_address_says_is_said_once),
        cmocka_unit_test(the_servers_own_words_stay),
        cmocka_unit_test(what_is_not_known_becomes_a_line_and_no_more),
        cmocka_unit_test(texts_that_do_not_fit_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
