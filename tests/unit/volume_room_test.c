#include "test.h"

#include <errno.h>

#include "volume/room.h"

#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)

enum { MINUTE_MS = 60 * 1000 };

static struct room_reading reading(int64_t capacity, int64_t available)
{
    return (struct room_reading){.capacity_bytes = capacity,
                                 .used_bytes = capacity - available,
                                 .available_bytes = available};
}

static enum room_level level(struct room *room, int64_t capacity, int64_t available)
{
    struct room_reading now = reading(capacity, available);
    (void)room_judge(room, &now, 0);
    return room->level;
}

static enum room_level fresh(int64_t capacity, int64_t available)
{
    struct room room = {0};
    return level(&room, capacity, available);
}

static void a_volume_fills_at_a_share_that_is_neither_tiny_nor_huge(void **state)
{
    (void)state;
    assert_int_equal(fresh(100 * GIB, 16 * GIB), ROOM_ENOUGH);
    assert_int_equal(fresh(100 * GIB, 14 * GIB), ROOM_FILLING);
    assert_int_equal(fresh(10 * 1024 * GIB, 51 * GIB), ROOM_ENOUGH);
    assert_int_equal(fresh(10 * 1024 * GIB, 49 * GIB), ROOM_FILLING);
    assert_int_equal(fresh(200 * MIB, 65 * MIB), ROOM_ENOUGH);
    assert_int_equal(fresh(200 * MIB, 63 * MIB), ROOM_FILLING);
}

static void it_is_full_without_room_for_two_segments_or_for_a_file(void **state)
{
    (void)state;
    assert_int_equal(fresh(100 * GIB, 32 * MIB), ROOM_FILLING);
    assert_int_equal(fresh(100 * GIB, 32 * MIB - 1), ROOM_FULL);
    assert_int_equal(fresh(GIB, 0), ROOM_FULL);
    struct room room = {0};
    struct room_reading now = reading(GIB, GIB);
    now.no_inodes = true;
    assert_true(room_judge(&room, &now, 0));
    assert_int_equal(room.level, ROOM_FULL);
}

static void levels_are_left_with_more_than_they_are_entered_with(void **state)
{
    (void)state;
    struct room room = {0};
    assert_int_equal(level(&room, 100 * GIB, 14 * GIB), ROOM_FILLING);
    assert_int_equal(level(&room, 100 * GIB, 18 * GIB), ROOM_FILLING);
    assert_int_equal(level(&room, 100 * GIB, 19 * GIB), ROOM_ENOUGH);
    assert_int_equal(level(&room, 100 * GIB, 16 * GIB), ROOM_ENOUGH);
    assert_int_equal(level(&room, 100 * GIB, 31 * MIB), ROOM_FULL);
    assert_int_equal(level(&room, 100 * GIB, 47 * MIB), ROOM_FULL);
    assert_int_equal(level(&room, 100 * GIB, 48 * MIB), ROOM_FILLING);
    assert_int_equal(level(&room, 100 * GIB, 33 * MIB), ROOM_FILLING);
}

static void what_changes_a_little_is_not_told(void **state)
{
    (void)state;
    struct room room = {0};
    struct room_reading now = reading(100 * GIB, 80 * GIB);
    assert_true(room_judge(&room, &now, 0));
    for (int64_t used = 0; used < 5; used++) {
        now = reading(100 * GIB, (80 - used) * GIB);
        assert_false(room_judge(&room, &now, used * MINUTE_MS));
    }
    now = reading(100 * GIB, 75 * GIB);
    assert_true(room_judge(&room, &now, 10 * MINUTE_MS));
    now = reading(100 * GIB, 76 * GIB); /* and back across the same mark */
    assert_false(room_judge(&room, &now, 20 * MINUTE_MS));
}

static void what_changes_much_all_the_time_is_told_once_a_minute(void **state)
{
    (void)state;
    struct room room = {0};
    int reported = 0;
    for (int second = 0; second < 3600; second++) {
        struct room_reading now = reading(100 * GIB, (second % 2 ? 40 : 80) * GIB);
        reported += room_judge(&room, &now, second * INT64_C(1000));
    }
    assert_in_range(reported, 60, 66);
}

static void a_level_is_told_at_once_however_often_figures_were(void **state)
{
    (void)state;
    struct room room = {0};
    for (int second = 0; second < 30; second++) {
        struct room_reading now = reading(100 * GIB, (second % 2 ? 40 : 80) * GIB);
        (void)room_judge(&room, &now, second * INT64_C(1000));
    }
    struct room_reading now = reading(100 * GIB, 0);
    assert_true(room_judge(&room, &now, 30000));
    assert_int_equal(room.level, ROOM_FULL);
    assert_int_equal(room.reported.available_bytes, 0);
    now = reading(200 * GIB, 100 * GIB);
    assert_true(room_judge(&room, &now, 30001));
    assert_int_equal(room.level, ROOM_ENOUGH);
}

static void what_cannot_be_read_is_unknown_and_told_once(void **state)
{
    (void)state;
    struct room room = {0};
    struct room_reading now = {.error = ETIMEDOUT}, good = reading(GIB, GIB / 2);
    assert_true(room_judge(&room, &now, 0));
    assert_int_equal(room.level, ROOM_UNKNOWN);
    assert_false(room_judge(&room, &now, MINUTE_MS));
    assert_true(room_judge(&room, &good, MINUTE_MS));
    assert_int_equal(room.level, ROOM_ENOUGH);
    now = room_read("/there/is/no/such/folder");
    assert_int_equal(now.error, ENOENT);
    now = room_read("/tmp");
    assert_int_equal(now.error, 0);
    assert_true(now.capacity_bytes > 0 && now.available_bytes >= 0);
    assert_true(now.used_bytes >= 0 && now.used_bytes <= now.capacity_bytes);
}

static void every_level_has_its_name_in_reports(void **state)
{
    (void)state;
    assert_string_equal(room_level_name(ROOM_UNREAD), "");
    assert_string_equal(room_level_name(ROOM_UNKNOWN), "unknown");
    assert_string_equal(room_level_name(ROOM_ENOUGH), "enough");
    assert_string_equal(room_level_name(ROOM_FILLING), "filling");
    assert_string_equal(room_level_name(ROOM_FULL), "full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_volume_fills_at_a_share_that_is_neither_tiny_nor_huge),
        cmocka_unit_test(it_is_full_without_room_for_two_segments_or_for_a_file),
        cmocka_unit_test(levels_are_left_with_more_than_they_are_entered_with),
        cmocka_unit_test(what_changes_a_little_is_not_told),
        cmocka_unit_test(what_changes_much_all_the_time_is_told_once_a_minute),
        cmocka_unit_test(a_level_is_told_at_once_however_often_figures_were),
        cmocka_unit_test(what_cannot_be_read_is_unknown_and_told_once),
        cmocka_unit_test(every_level_has_its_name_in_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
