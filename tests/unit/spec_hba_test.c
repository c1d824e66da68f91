#include "test.h"

#include "spec/shape.h"

static const char *check(struct arena *arena, const char *line)
{
    struct spec_faults faults = {0};
    struct shape_faults list = {.arena = arena, .faults = &faults};
    cJSON *postgres = json_object(arena);
    json_set_int(json_add_object(postgres, "postgres"), "version", 17);
    json_push_str(json_add_array(json_get(postgres, "postgres"), "hba"), line);
    hba_check(&list, postgres);
    if (faults.count == 0)
        return "";
    assert_string_equal(faults.items[0].path, "spec.postgres.hba[0]");
    return faults.items[0].message;
}

static void lines_that_the_server_reads_pass(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char *const good[] = {
        "hostssl all all all scram-sha-256",
        "host\tall\treader 10.0.0.0/8 md5",
        "hostssl app,shop app, reader samenet scram-sha-256",
        "host \"my db\" \"my user\" 10.1.2.3 255.255.255.255 reject",
        "hostssl all +staff ::1/128 cert clientcert=verify-full map=m",
        "hostssl all all .example.com scram-sha-256",
        "host all all 0.0.0.0/0 ldap ldapserver=ldap.example ldapprefix=\"cn=\" ldaptls=1",
        "hostnossl all all all reject",
        "host replication repl fe80::/10 scram-sha-256",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_string_equal(check(arena, good[i]), "");
}

static void lines_that_would_keep_the_server_from_starting_are_refused(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char *const bad[][2] = {
        {" ", "is blank"},
        {"hostssl all all", "has 3 fields, but a line needs at least five: type database user "
                            "address method [options]"},
        {"hosts all all all md5", "begins with \"hosts\", not with a type (hostssl, host, "
                                  "hostnossl, hostgssenc, hostnogssenc)"},
        {"host all all 10.0.0.1 md5", "address 10.0.0.1 needs a prefix length, such as "
                                      "10.0.0.1/32"},
        {"host all all 10.0.0.0/33 md5",
         "\"10.0.0.0/33\" is not an address: all, samehost, samenet, a "
         "host name or a network such as 10.0.0.0/8"},
        {"host all all 10.1.2.3 255.0.0.0", "ends before the authentication method"},
        {"host all all all scram", "\"scram\" is not an authentication method (common ones: "
                                   "scram-sha-256, cert, ldap, reject)"},
        {"host all all all md5 x", "\"x\" is not an option of the form name=value"},
        {"host all all all ldap", "method ldap needs ldapserver= or ldapurl="},
        {"host all all all cert", "method cert works only with type hostssl"},
        {"host all all all oauth issuer=x scope=y", "method oauth needs PostgreSQL 18"},
        {"host all \"all all md5", "has a quote that is not closed"},
        {"include other.conf", "include lines are not supported: write every line here"},
        {"host all @users all md5", "must not contain '#', '\\' or '@': comments, continuation "
                                    "lines and files of names are not supported"},
        {"host all all all md5\nlocal all all trust", "must be one line without control "
                                                      "characters"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_string_equal(check(arena, bad[i][0]), bad[i][1]);
}

static void lines_that_let_anybody_in_are_refused(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    assert_string_equal(check(arena, "host all all all trust"),
                        "method trust would let anyone in without a password: use scram-sha-256");
    assert_string_equal(check(arena, "local all all scram-sha-256"),
                        "type local is not supported: the Unix socket belongs to the agent");
    assert_string_equal(check(arena, "hostssl all all all ident"),
                        "method ident needs an operating-system user, which pods do not have: use "
                        "scram-sha-256");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_the_server_reads_pass),
        cmocka_unit_test(lines_that_would_keep_the_server_from_starting_are_refused),
        cmocka_unit_test(lines_that_let_anybody_in_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
