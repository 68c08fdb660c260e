#include "stats/e_process.h"

#include <math.h>

#include "stats/distribution.h"
#include "tests/test.h"

/* E[E_n] <= 1 at theta0 for every n: the sum over all outcomes, by the binomial's own weights. */
static void under_the_null_the_expectation_is_never_above_one(void **state)
{
    (void)state;
    const double shares[] = {0.05, 0.5, 0.9}, ratios[] = {1, 1.5};
    for (int s = 0; s < 3; s++)
        for (int r = 0; r < 2; r++)
            for (int n = 1; n <= 60; n += 7) {
                double theta = e_process_theta(shares[s], ratios[r]), harm = 0, below = 0;
                for (int x = 0; x <= n; x++) {
                    double log_e =
                        e_process_harm((struct failures){x, n - x}, shares[s], ratios[r], 20);
                    harm += exp(log_e + binomial_log_pmf(x, n, theta));
                    below += exp(log_e + binomial_log_pmf(x, n, 0.7 * theta));
                }
                assert_close(harm, 1, 1e-9);     /* a martingale at the boundary … */
                assert_true(below <= 1 + 1e-12); /* … and less inside the null */
            }
}

static void the_safe_side_is_a_martingale_at_its_own_boundary(void **state)
{
    (void)state;
    for (int n = 1; n <= 80; n += 13) {
        double theta = e_process_theta(0.05, 1.5), sum = 0, worse = 0;
        for (int x = 0; x <= n; x++) {
            double log_e = e_process_safe((struct failures){x, n - x}, 0.05, 1.5, 20);
            sum += exp(log_e + binomial_log_pmf(x, n, theta));
            worse += exp(log_e + binomial_log_pmf(x, n, 1.3 * theta));
        }
        assert_close(sum, 1, 1e-9);
        assert_true(worse <= 1 + 1e-12);
    }
}

static void a_much_better_treatment_is_mild_evidence_not_minus_infinity(void **state)
{
    (void)state;
    double log_e = e_process_harm((struct failures){0, 3000}, 0.5, 1, 20);

    assert_true(isfinite(log_e));
    assert_true(log_e < -3 && log_e > -30);
}

static void no_failures_or_no_comparison_is_no_evidence(void **state)
{
    (void)state;
    assert_true(e_process_harm((struct failures){0, 0}, 0.05, 1, 20) == 0);
    assert_true(e_process_harm((struct failures){9, 0}, 1, 1, 20) == 0);
    assert_true(e_process_harm((struct failures){9, 0}, 0, 1, 20) == 0);
    assert_true(e_process_safe((struct failures){9, 3}, 0.05, 0, 20) == 0);
}

static void twenty_failing_units_at_five_percent_convict(void **state)
{
    (void)state;
    double log_e = e_process_harm((struct failures){20, 8}, 0.05, 1, 20);

    assert_true(log_e > log(1 / 0.01));
}

static void the_bounds_of_a_rate_enclose_it_and_meet_their_threshold(void **state)
{
    (void)state;
    double lower = rate_lower_bound(20, 1000, 0.005), upper = rate_upper_bound(20, 1000, 0.005);

    assert_true(lower > 0.005 && lower < 0.02);
    assert_true(upper > 0.02 && upper < 0.05);
    double at = log_beta(21, 981) - 20 * log(lower) - 980 * log1p(-lower);
    assert_close(at, -log(0.005), 1e-9);
    assert_true(rate_lower_bound(0, 1000, 0.005) == 0);
    assert_true(rate_upper_bound(0, 0, 0.005) == 1);
    assert_true(rate_upper_bound(0, 1000, 0.005) < 0.02);
}

static void a_limit_is_passed_by_evidence_and_not_by_one_bad_minute(void **state)
{
    (void)state;
    double sum = 0;
    for (int s = 0; s <= 40; s++)
        sum += exp(e_process_limit(s, 40, 0.05) + binomial_log_pmf(s, 40, 0.05));

    assert_close(sum, 1, 1e-9);
    assert_true(e_process_limit(3, 10, 0.05) < log(100));
    assert_true(e_process_limit(30, 100, 0.05) > log(100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(under_the_null_the_expectation_is_never_above_one),
        cmocka_unit_test(the_safe_side_is_a_martingale_at_its_own_boundary),
        cmocka_unit_test(a_much_better_treatment_is_mild_evidence_not_minus_infinity),
        cmocka_unit_test(no_failures_or_no_comparison_is_no_evidence),
        cmocka_unit_test(twenty_failing_units_at_five_percent_convict),
        cmocka_unit_test(the_bounds_of_a_rate_enclose_it_and_meet_their_threshold),
        cmocka_unit_test(a_limit_is_passed_by_evidence_and_not_by_one_bad_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
