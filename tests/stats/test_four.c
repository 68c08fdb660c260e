/* Four logarithms and exponentials at once, against the C library's. */
#include "stats/four.h"

#include <math.h>

#include "common/rng.h"
#include "tests/test.h"

enum {
    TRIES = 20000
};

static void assert_within_an_ulp(double value, long double expected)
{
    const double near = fabs((double)expected), ulp = nextafter(near, (double)INFINITY) - near;
    if (!(fabsl((long double)value - expected) <= (long double)ulp))
        fail_msg("%.17g is not %.17Lg", value, expected);
}

static void logarithms_are_right_to_the_last_place(void **state)
{
    (void)state;
    struct rng rng = rng_of(1);
    for (int i = 0; i < TRIES; i++) {
        four x;
        for (int lane = 0; lane < LANES; lane++) /* near 1, and all over the range */
            x[lane] = lane % 2 ? 1 + (rng_uniform(&rng) - 0.5) * exp2(-(i % 50))
                               : ldexp(0.5 + rng_uniform(&rng), (int)(rng_u64(&rng) % 2000) - 1000);
        const four y = four_log(x);
        for (int lane = 0; lane < LANES; lane++)
            assert_within_an_ulp(y[lane], logl((long double)x[lane]));
    }
    assert_true(four_log(four_of(1))[3] == 0);
    assert_true(0 * four_log(four_of(0))[2] == 0);
}

static void exponentials_are_right_to_the_last_place(void **state)
{
    (void)state;
    struct rng rng = rng_of(2);
    for (int i = 0; i < TRIES; i++) {
        four x;
        for (int lane = 0; lane < LANES; lane++)
            x[lane] = (rng_uniform(&rng) - 0.5) * (lane % 2 ? 1400 : 2);
        const four y = four_exp(x);
        for (int lane = 0; lane < LANES; lane++)
            assert_within_an_ulp(y[lane], expl((long double)x[lane]));
    }
    assert_true(four_exp(four_of(0))[1] == 1);
}

static void lanes_are_chosen_one_by_one(void **state)
{
    (void)state;
    const four a = {1, 2, 3, 4}, b = {5, 1, 7, 4}, least = four_choose(a < b, a, b);

    assert_true(least[0] == 1 && least[1] == 1 && least[2] == 3 && least[3] == 4);
    assert_true(four_sum(a) == 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithms_are_right_to_the_last_place),
        cmocka_unit_test(exponentials_are_right_to_the_last_place),
        cmocka_unit_test(lanes_are_chosen_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
