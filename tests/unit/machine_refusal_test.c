#include "test.h"

#include "machine/refusal.h"

static const struct refusal_slot lost = {"lost", "", 9000};

static void a_line_alone_says_nothing(void **state)
{
    (void)state;
    struct refusal refusal = {0};
    for (int64_t now = 1000; now < 60000; now += 100)
        refusal_note(&refusal, REFUSED_WAL, now);
    assert_false(refusal_stands(&refusal));
    assert_false(refusal_is_of_wal(&refusal));
}

static void looks_that_meet_no_receiver_make_it_stand(void **state)
{
    (void)state;
    struct refusal refusal = {0};
    refusal_note(&refusal, REFUSED_WAL, 1000);
    refusal_look(&refusal, 900, 0, false); /* older than what was told */
    assert_false(refusal_stands(&refusal));
    refusal_look(&refusal, 1100, 0, false);
    assert_true(refusal_stands(&refusal));
    refusal_look(&refusal, 5000, 0, false);
    assert_false(refusal_is_of_wal(&refusal)); /* it was told once only */
    refusal_note(&refusal, REFUSED_WAL, 5100);
    refusal_look(&refusal, 5150, 5120, false); /* one that has not been answered yet */
    assert_true(refusal_is_of_wal(&refusal));
}

static void a_receiver_at_work_refutes_it(void **state)
{
    (void)state;
    struct refusal refusal = {0};
    refusal_note(&refusal, REFUSED_WAL, 1000);
    refusal_look(&refusal, 1100, 0, false);
    refusal_look(&refusal, 1000 + 9 * REFUSAL_STEADY_MS, 1000, false);
    assert_true(refusal_stands(&refusal)); /* the primary hangs: it has not answered yet */
    refusal_look(&refusal, 1000 + 9 * REFUSAL_STEADY_MS, 1000, true);
    assert_int_equal(refusal.what, REFUSED_NOTHING);
    refusal_note(&refusal, REFUSED_SYSTEM, 9000);
    refusal_look(&refusal, 9100, 500, true);
    assert_false(refusal_stands(&refusal));
}

static void another_system_is_never_gone_wal(void **state)
{
    (void)state;
    struct refusal refusal = {0};
    refusal_note(&refusal, REFUSED_WAL, 1000);
    for (int64_t now = 1100; now < 20000; now += 500) {
        refusal_note(&refusal, REFUSED_SYSTEM, now);
        refusal_look(&refusal, now + 100, 0, false);
    }
    assert_true(refusal_stands(&refusal));
    assert_false(refusal_is_of_wal(&refusal));
    assert_false(refusal_is_confirmed(&refusal, &lost, "0/1"));
}

static void the_primarys_report_confirms_it(void **state)
{
    (void)state;
    struct refusal refusal = {0};
    refusal_note(&refusal, REFUSED_WAL, 1000);
    assert_true(refusal_is_confirmed(&refusal, &lost, ""));
    struct refusal_slot slot = {"reserved", "1/0", 9000};
    assert_true(refusal_is_confirmed(&refusal, &slot, "0/FFFFFFFF"));
    assert_false(refusal_is_confirmed(&refusal, &slot, "1/0"));
    assert_false(refusal_is_confirmed(&refusal, &slot, "1/2000"));
    assert_false(refusal_is_confirmed(&refusal, &slot, ""));
    assert_false(refusal_is_confirmed(&refusal, &slot, "0/FF nonsense"));
    slot.restart_lsn = ""; /* of a primary that does not tell yet */
    assert_false(refusal_is_confirmed(&refusal, &slot, "0/1"));
    slot = (struct refusal_slot){"", "", 9000};
    assert_false(refusal_is_confirmed(&refusal, &slot, "0/1"));
    slot = lost;
    slot.read_ms = 1000; /* not newer than what was told */
    assert_false(refusal_is_confirmed(&refusal, &slot, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_alone_says_nothing),
        cmocka_unit_test(looks_that_meet_no_receiver_make_it_stand),
        cmocka_unit_test(a_receiver_at_work_refutes_it),
        cmocka_unit_test(another_system_is_never_gone_wal),
        cmocka_unit_test(the_primarys_report_confirms_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
