/* Trends, change points and what explains a change. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/rng.h"
#include "stats/explain.h"
#include "stats/trend.h"
#include "tests/test.h"

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance;
}

static void a_steady_rise_is_a_trend(void **state)
{
    (void)state;
    double times[] = {0, 1, 2, 3, 4, 5}, values[] = {1, 2, (double)NAN, 4, 5, 6};
    struct trend trend;
    assert_int_equal(trend_of(times, values, 6, &trend), 0);
    assert_int_equal(trend.n, 5);
    assert_true(trend.s == 10);
    assert_true(near(trend.z, 9 / sqrt(50.0 / 3), 1e-12)); /* variance n(n-1)(2n+5)/18 */
    assert_true(near(trend.p_value, 0.0274863, 1e-6));
    assert_true(near(trend.slope, 1, 1e-12));
    assert_int_equal(trend.declines, 0);
}

static void a_decline_with_ties_equals_scipys_slope(void **state)
{
    (void)state;
    double times[] = {0, 1, 2, 3, 4, 5, 6, 7};
    double values[] = {0.91, 0.9, 0.905, 0.88, 0.87, 0.87, 0.86, 0.85};
    struct trend trend;
    assert_int_equal(trend_of(times, values, 8, &trend), 0);
    assert_true(near(trend.slope, -0.009285714285714293, 1e-12)); /* scipy.stats.theilslopes 1.17 */
    assert_true(trend.lower <= trend.slope && trend.slope <= trend.upper && trend.upper < 0);
    assert_true(trend.p_value < 0.01 && trend.s == -25);
    assert_int_equal(trend.declines, 2);
    assert_int_equal(trend_of(times, values, 2, &trend), 0);
    assert_true(isnan(trend.p_value) && isnan(trend.slope));
}

static void slices_add_up_to_the_whole_change(void **state)
{
    (void)state;
    /* de got worse, fr became larger, us is new */
    struct explain_slice slices[] = {
        {.name = "fr", .n_before = 50, .sum_before = 45, .n_now = 80, .sum_now = 72},
        {.name = "us", .n_before = 0, .sum_before = 0, .n_now = 20, .sum_now = 10},
        {.name = "de", .n_before = 150, .sum_before = 120, .n_now = 100, .sum_now = 50},
    };
    double change = explain_slices(slices, 3);
    assert_true(near(change, 132.0 / 200 - 165.0 / 200, 1e-12));
    double sum = 0, share = 0;
    for (int i = 0; i < 3; i++) {
        sum += slices[i].within + slices[i].between;
        share += slices[i].share;
    }
    assert_true(near(sum, change, 1e-12) && near(share, 1, 1e-12));
    assert_string_equal(slices[0].name, "de");
    assert_true(near(slices[0].within, -0.3 * 0.625, 1e-12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_rise_is_a_trend),
        cmocka_unit_test(a_decline_with_ties_equals_scipys_slope),
        cmocka_unit_test(slices_add_up_to_the_whole_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
