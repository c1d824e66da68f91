#include "test.h"

#include <stdio.h>

#include "base/buffer.h"
#include "lint/lint.h"

static void collect(void *arg, const struct lint_finding *finding)
{
    struct buffer *out = arg;
    buffer_printf(out, "%s%s:%d", out->length ? " " : "",
                  finding->rule ? finding->rule->id + 3 : "bad", finding->line);
}

static char found_text[4096];

/* "001:1 005:3": ids without MIG, and lines. */
static const char *lint_as(const char *name, const char *text, const char *rules,
                           enum lint_transaction transaction)
{
    AUTO_BUFFER out = {0};
    struct error err = {0};
    struct lint *lint = NULL;
    struct lint_options options = {
        .rules = rules, .transaction = transaction, .report = collect, .arg = &out};
    assert_int_equal(lint_new(&options, &lint, &err), 0);
    lint_file(lint, &(struct lint_input){.name = name, .text = text, .length = strlen(text)});
    lint_free(lint);
    snprintf(found_text, sizeof found_text, "%s", buffer_text(&out));
    return found_text;
}

static const char *lint(const char *text, const char *rules)
{
    return lint_as("a.sql", text, rules, LINT_AUTO);
}

static void rules_find_their_own_example_and_not_what_they_recommend(void **state)
{
    (void)state;
    size_t count;
    const struct lint_rule *const *rules = lint_rules(&count);
    assert_int_equal(count, 44);
    for (size_t i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof id, "MIG%03u", (unsigned)i % 1000);
        assert_string_equal(rules[i]->id, id);
        if (i == 0)
            continue;
        assert_non_null(strstr(lint(rules[i]->flagged, id), id + 3));
        assert_null(strstr(lint(rules[i]->safe, id), id + 3));
    }
}

static void tables_of_the_same_batch_are_left_alone_by_qualified_name(void **state)
{
    (void)state;
    const char *rule = "MIG001,MIG005,MIG021";
    assert_string_equal(lint("CREATE TABLE a (b int); CREATE INDEX ON a (b);", rule), "");
    assert_string_equal(lint("CREATE TABLE a (b int); CREATE INDEX ON public.a (b);", rule), "");
    assert_string_equal(lint("CREATE TABLE x.a (b int); CREATE INDEX ON a (b);", rule), "001:1");
    assert_string_equal(
        lint("SET search_path = x; CREATE TABLE a (); CREATE INDEX ON x.a (b);", rule), "");
    assert_string_equal(lint("CREATE TEMP TABLE a (b int); CREATE INDEX ON a (b);", rule), "");
    assert_string_equal(lint("CREATE TABLE a AS SELECT 1; DROP TABLE a; DROP TABLE a;", rule),
                        "021:1");
    assert_string_equal(
        lint("CREATE TABLE a (); ALTER TABLE a RENAME TO b; DROP TABLE b; DROP TABLE a", rule),
        "021:1");
    assert_string_equal(lint("BEGIN; CREATE TABLE a (); ROLLBACK; DROP TABLE a;", rule), "021:1");
    assert_string_equal(lint("CREATE SCHEMA s CREATE TABLE a (); DROP TABLE s.a;", rule), "");
}

static void directives_are_about_the_next_statement_and_need_a_reason(void **state)
{
    (void)state;
    const char *rules = "MIG000,MIG005,MIG021";
    assert_string_equal(
        lint("-- migration-lint: ignore=MIG021 reason=\"x\"\nDROP TABLE a;DROP TABLE b;", rules),
        "021:2");
    assert_string_equal(lint("-- migration-lint: ignore=MIG021\nDROP TABLE a;", rules),
                        "000:1 021:2");
    assert_string_equal(lint("-- migration-lint: ignore=MIG021 reason=\" \"\nDROP TABLE a;", rules),
                        "000:1 021:2");
    assert_string_equal(lint("-- migration-lint: ignore=MIG777 reason=\"x\"\nSELECT 1;", rules),
                        "000:1");
    assert_string_equal(lint("-- migration-lint: ignore=MIG005 reason=\"x\"\nSELECT 1;", rules),
                        "000:1");
    assert_string_equal(lint("-- migration-lint: ignore=MIG005 reason=\"x\"\n", rules), "000:1");
    assert_string_equal(lint("-- migration-lint: reason=\"x\"\nSELECT 1", rules), "000:1");
    assert_string_equal(
        lint("/* migration-lint: ignore=MIG021,MIG005 reason=\"x\" */\nDROP TABLE a;", rules),
        "000:1");
    assert_string_equal(lint("DROP TABLE -- migration-lint: ignore=MIG021 reason=\"x\"\na;", rules),
                        "000:1 021:1");
    assert_string_equal(lint("-- see migration-lint: ignore=MIG021\nSELECT 1;", rules), "");
}

static void tools_tell_what_shares_a_transaction(void **state)
{
    (void)state;
    const char *one = "CREATE INDEX CONCURRENTLY ON a (b);";
    const char *two = "CREATE INDEX CONCURRENTLY ON a (b);\nSELECT 1;";
    assert_string_equal(lint(one, "MIG007"), "");
    assert_string_equal(lint(two, "MIG007"), "007:1");
    assert_string_equal(lint_as("a.sql", one, "MIG007", LINT_ALWAYS), "007:1");
    assert_string_equal(lint_as("a.sql", two, "MIG007", LINT_NEVER), "");
    assert_string_equal(lint("BEGIN;\nCREATE INDEX CONCURRENTLY ON a (b);", "MIG007"), "007:2");
    assert_string_equal(lint("-- migrate:up\nCREATE INDEX CONCURRENTLY ON a (b);", "MIG007"),
                        "007:2");
    assert_string_equal(lint("-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY ON a (b);"
                             "\n-- migrate:down\nDROP INDEX CONCURRENTLY a_b;",
                             "MIG007"),
                        "");
    assert_string_equal(lint("-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1;\n"
                             "CREATE INDEX CONCURRENTLY ON a (b);",
                             "MIG007"),
                        "");
    assert_string_equal(lint("--liquibase formatted sql\n--changeset a:1\nSELECT 1;\n"
                             "--changeset a:2 runInTransaction:false\n"
                             "CREATE INDEX CONCURRENTLY ON a (b);\n--changeset a:3\nVACUUM;",
                             "MIG007"),
                        "007:7");
    assert_string_equal(lint("-- atlas:txmode none\nSELECT 1;\nVACUUM;", "MIG007"), "");
    assert_string_equal(lint("\\set a 1\nSELECT 1;\nVACUUM;", "MIG007"), "");
    assert_string_equal(lint("--\n-- Add index\n--\nSELECT 1;\nVACUUM;", "MIG007"), "");
    assert_string_equal(lint("-- migrate:down\nDROP TABLE a;", "MIG021"), "");
}

static void locks_held_by_a_transaction_are_followed(void **state)
{
    (void)state;
    const char *rules = "MIG010,MIG030,MIG031,MIG032";
    const char *add = "SET lock_timeout='1s';\nALTER TABLE a ADD b int;\n";
    char text[512];
    snprintf(text, sizeof text, "%sALTER TABLE c ADD b int;", add);
    assert_string_equal(lint(text, rules), "030:3");
    snprintf(text, sizeof text, "%sCOMMIT;ALTER TABLE c ADD b int;", add);
    assert_string_equal(lint(text, rules), "");
    snprintf(text, sizeof text, "%sUPDATE c SET d = 1 WHERE e;", add);
    assert_string_equal(lint(text, rules), "031:3");
    assert_string_equal(lint_as("a.sql", text, rules, LINT_NEVER), "");
    assert_string_equal(lint("ALTER TABLE a ADD b int;ALTER TABLE a ADD c int;", rules), "032:1");
    assert_string_equal(lint("SET LOCAL lock_timeout=5; LOCK TABLE a;", rules), "");
    assert_string_equal(lint("SET lock_timeout=0; LOCK TABLE a;", rules), "032:1");
    assert_string_equal(
        lint("SET lock_timeout=5;ALTER TABLE a ADD CONSTRAINT c CHECK (b) NOT VALID,"
             " VALIDATE CONSTRAINT c;",
             "MIG010"),
        "010:1");
}

static void a_check_that_was_validated_proves_not_null(void **state)
{
    (void)state;
    const char *proof = "ALTER TABLE a ADD CHECK (b IS NOT NULL) NOT VALID;\n"
                        "ALTER TABLE a VALIDATE CONSTRAINT a_b_check;\n"
                        "ALTER TABLE a ALTER b SET NOT NULL, ALTER c SET NOT NULL;";
    assert_string_equal(lint(proof, "MIG012"), "012:3");
}

static void unknown_functions_may_be_volatile(void **state)
{
    (void)state;
    assert_string_equal(lint("ALTER TABLE a ADD b int DEFAULT own()", "MIG002"), "002:1");
    assert_string_equal(lint("ALTER TABLE a ADD b int DEFAULT x.now()", "MIG002"), "002:1");
    assert_string_equal(lint("ALTER TABLE a ADD b int DEFAULT pg_catalog.now()", "MIG002"), "");
    assert_string_equal(lint("ALTER TABLE a ADD b int DEFAULT (SELECT random())", "MIG002"),
                        "002:1");
}

static void variables_of_psql_stand_for_names_and_strings(void **state)
{
    (void)state;
    assert_string_equal(lint("DROP TABLE :name; SELECT :'x'; SELECT a[b:c];", "MIG021"), "021:1");
}

static void names_tell_migrations_that_go_back(void **state)
{
    (void)state;
    assert_true(lint_is_down("db/1_a.down.sql"));
    assert_true(lint_is_down("U1__a.sql"));
    assert_true(lint_is_down("a/down.sql"));
    assert_false(lint_is_down("down/1_a.up.sql"));
    assert_false(lint_is_down("Users.sql"));
    assert_false(lint_is_down("V1__down_payment.sql"));
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct lint *lint = NULL;
    assert_int_equal(lint_new(&(struct lint_options){.rules = "MIG1"}, &lint, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "MIG1"));
    assert_int_equal(lint_new(&(struct lint_options){.pg_version = 11}, &lint, &err), ERR_INVALID);
    assert_null(lint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_find_their_own_example_and_not_what_they_recommend),
        cmocka_unit_test(tables_of_the_same_batch_are_left_alone_by_qualified_name),
        cmocka_unit_test(directives_are_about_the_next_statement_and_need_a_reason),
        cmocka_unit_test(tools_tell_what_shares_a_transaction),
        cmocka_unit_test(locks_held_by_a_transaction_are_followed),
        cmocka_unit_test(a_check_that_was_validated_proves_not_null),
        cmocka_unit_test(unknown_functions_may_be_volatile),
        cmocka_unit_test(variables_of_psql_stand_for_names_and_strings),
        cmocka_unit_test(names_tell_migrations_that_go_back),
        cmocka_unit_test(wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
