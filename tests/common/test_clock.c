#include "common/clock.h"

#include "tests/test.h"

/* Two hands that a test puts where it likes. */
struct hands {
    int64_t wall_ms, boot_ms;
};

static int64_t wall_of(void *context)
{
    return ((struct hands *)context)->wall_ms;
}

static int64_t boot_of(void *context)
{
    return ((struct hands *)context)->boot_ms;
}

static void F29_a_wall_clock_that_is_set_is_seen_and_by_how_much(void **state)
{
    (void)state;
    struct hands hands = {1700000000000, 1000};
    const struct clock clock = {&hands, wall_of, boot_of};
    struct clock_watch watch = {0};
    assert_int_equal(clock_watch_jump(&watch, &clock), 0); /* nothing to compare with */

    hands = (struct hands){hands.wall_ms + 7200500, hands.boot_ms + 500};
    assert_int_equal(clock_watch_jump(&watch, &clock), 7200000);
    hands = (struct hands){hands.wall_ms + 500 - 3600000, hands.boot_ms + 500};
    assert_int_equal(clock_watch_jump(&watch, &clock), -3600000);

    hands = (struct hands){hands.wall_ms + 500, hands.boot_ms + 500}; /* told once */
    assert_int_equal(clock_watch_jump(&watch, &clock), 0);
}

static void F29_suspend_and_a_clock_put_right_bit_by_bit_are_no_jumps(void **state)
{
    (void)state;
    struct hands hands = {1700000000000, 1000};
    const struct clock clock = {&hands, wall_of, boot_of};
    struct clock_watch watch = {0};
    (void)clock_watch_jump(&watch, &clock);

    hands = (struct hands){hands.wall_ms + 36000000, hands.boot_ms + 36000000};
    assert_int_equal(clock_watch_jump(&watch, &clock), 0); /* ten hours of sleep */
    hands = (struct hands){hands.wall_ms + 5500, hands.boot_ms + 500};
    assert_int_equal(clock_watch_jump(&watch, &clock), 0);
    hands = (struct hands){hands.wall_ms + 5501, hands.boot_ms + 500};
    assert_int_equal(clock_watch_jump(&watch, &clock), 5001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F29_a_wall_clock_that_is_set_is_seen_and_by_how_much),
        cmocka_unit_test(F29_suspend_and_a_clock_put_right_bit_by_bit_are_no_jumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
