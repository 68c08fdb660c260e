#include "alerts/alert.h"

#include "tests/test.h"

static const struct alert_timing ten_minutes = {.for_ms = 10 * MINUTE,
                                                .keep_firing_for_ms = 5 * MINUTE};
static const struct alert_timing at_once = {0};

static void F47_a_bad_value_fires_only_after_its_time(void **state)
{
    (void)state;
    struct alert_state alert = alert_start(0);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_BAD, 1 * MINUTE), ALERT_BECAME_PENDING);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_BAD, 10 * MINUTE), ALERT_NOTHING);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_BAD, 11 * MINUTE), ALERT_FIRED);
    assert_int_equal(alert.phase, ALERT_FIRING);
    assert_int_equal(alert.bad_since_ms, 1 * MINUTE);
}

static void without_a_time_it_fires_at_the_first_look(void **state)
{
    (void)state;
    struct alert_state alert = alert_start(0);
    assert_int_equal(alert_step(&alert, &at_once, SIGHT_BAD, MINUTE), ALERT_FIRED);
    assert_int_equal(alert_step(&alert, &at_once, SIGHT_CLEAR, 2 * MINUTE), ALERT_RESOLVED);
}

static void F47_a_pending_alert_that_clears_tells_nobody(void **state)
{
    (void)state;
    struct alert_state alert = alert_start(0);
    alert_step(&alert, &ten_minutes, SIGHT_BAD, 1 * MINUTE);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_CLEAR, 9 * MINUTE), ALERT_WITHDRAWN);
    /* The clock starts anew. */
    alert_step(&alert, &ten_minutes, SIGHT_BAD, 10 * MINUTE);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_BAD, 19 * MINUTE), ALERT_NOTHING);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_BAD, 20 * MINUTE), ALERT_FIRED);
}

static void F47_it_resolves_only_when_clear_without_a_break(void **state)
{
    (void)state;
    struct alert_state alert = alert_start(0);
    alert_step(&alert, &ten_minutes, SIGHT_BAD, 0);
    alert_step(&alert, &ten_minutes, SIGHT_BAD, 10 * MINUTE);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_CLEAR, 11 * MINUTE), ALERT_NOTHING);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_BETWEEN, 14 * MINUTE), ALERT_NOTHING);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_CLEAR, 15 * MINUTE), ALERT_NOTHING);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_CLEAR, 19 * MINUTE), ALERT_NOTHING);
    assert_int_equal(alert_step(&alert, &ten_minutes, SIGHT_CLEAR, 20 * MINUTE), ALERT_RESOLVED);
}

static void F47_no_data_follows_its_policy_and_never_resolves_what_fires(void **state)
{
    (void)state;
    struct alert_timing timing = {.no_data = NO_DATA_ALERT};
    struct alert_state alert = alert_start(0);
    assert_int_equal(alert_step(&alert, &timing, SIGHT_NO_DATA, MINUTE), ALERT_WENT_SILENT);
    assert_int_equal(alert_step(&alert, &timing, SIGHT_NO_DATA, 2 * MINUTE), ALERT_NOTHING);
    assert_int_equal(alert_step(&alert, &timing, SIGHT_CLEAR, 3 * MINUTE), ALERT_CAME_BACK);

    alert_step(&alert, &timing, SIGHT_BAD, 4 * MINUTE);
    assert_int_equal(alert_step(&alert, &timing, SIGHT_NO_DATA, 5 * MINUTE), ALERT_NOTHING);
    assert_int_equal(alert.phase, ALERT_FIRING);

    timing.no_data = NO_DATA_KEEP;
    assert_int_equal(alert_step(&alert, &timing, SIGHT_NO_DATA, 6 * MINUTE), ALERT_NOTHING);
    assert_true(alert.no_data);
    timing.no_data = NO_DATA_IGNORE;
    assert_int_equal(alert_step(&alert, &timing, SIGHT_NO_DATA, 7 * MINUTE), ALERT_RESOLVED);
}

static void F47_what_changes_too_often_is_flapping_until_a_quiet_hour(void **state)
{
    (void)state;
    struct alert_state alert = alert_start(0);
    for (int i = 1; i <= ALERT_FLAP_CHANGES; i++) {
        alert_step(&alert, &at_once, i % 2 ? SIGHT_BAD : SIGHT_CLEAR, i * MINUTE);
        assert_false(alert.flapping);
    }
    alert_step(&alert, &at_once, SIGHT_BAD, 7 * MINUTE);
    assert_true(alert.flapping);
    alert_step(&alert, &at_once, SIGHT_CLEAR, 2 * HOUR);
    assert_false(alert.flapping);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F47_a_bad_value_fires_only_after_its_time),
        cmocka_unit_test(without_a_time_it_fires_at_the_first_look),
        cmocka_unit_test(F47_a_pending_alert_that_clears_tells_nobody),
        cmocka_unit_test(F47_it_resolves_only_when_clear_without_a_break),
        cmocka_unit_test(F47_no_data_follows_its_policy_and_never_resolves_what_fires),
        cmocka_unit_test(F47_what_changes_too_often_is_flapping_until_a_quiet_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
