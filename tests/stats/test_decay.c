/* Trends, change points and what explains a change. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
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

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The slopes of all pairs, sorted; n(n-1)/2 of them. */
static size_t sorted_slopes(const double *values, size_t n, double *out)
{
    size_t n_slopes = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            out[n_slopes++] = (values[j] - values[i]) / (double)(j - i);
    qsort(out, n_slopes, sizeof(*out), by_value);
    return n_slopes;
}

static void a_slope_and_its_interval_are_those_of_all_slopes_sorted(void **state)
{
    (void)state;
    enum {
        N = 40
    };
    struct rng rng = rng_of(7);
    double times[N], values[N], sorted[N * N];
    for (size_t n = 3; n <= N; n++) {
        for (int law = 0; law < 5; law++) { /* any, few values, rising, falling, one value */
            for (size_t i = 0; i < n; i++) {
                const double laws[] = {rng_uniform(&rng), (double)rng_below(&rng, 3), (double)i,
                                       -(double)i, 2};
                times[i] = (double)i;
                values[i] = laws[law];
            }
            struct trend trend;
            assert_int_equal(trend_of(times, values, n, &trend), 0);
            const size_t m = sorted_slopes(values, n, sorted);
            assert_true(trend.slope ==
                        (m % 2 ? sorted[m / 2] : (sorted[m / 2 - 1] + sorted[m / 2]) / 2));
            size_t lower = 0,
                   upper = 0; /* each is one of them, as far from the ends as the other */
            while (lower < m && sorted[lower] < trend.lower)
                lower++;
            while (upper < m && sorted[m - 1 - upper] > trend.upper)
                upper++;
            assert_true(sorted[lower] == trend.lower && sorted[m - 1 - upper] == trend.upper);
            assert_true(law > 0 || lower == upper);
        }
    }
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
        cmocka_unit_test(a_slope_and_its_interval_are_those_of_all_slopes_sorted),
        cmocka_unit_test(slices_add_up_to_the_whole_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
