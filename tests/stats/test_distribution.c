#include "stats/distribution.h"

#include <math.h>

#include "tests/test.h"

/* Expected values: SciPy 1.17.1 and mpmath with 40 digits. */
static void close_to(double value, double expected, double relative)
{
    if (!(fabs(value - expected) <= relative * fabs(expected)))
        fail_msg("%.17g is not %.17g within a relative %g", value, expected, relative);
}

static void the_normal_has_both_tails_exact(void **state)
{
    (void)state;
    close_to(normal_sf(2.5), 0.006209665325776132, 1e-14);
    close_to(normal_cdf(-2.5), 0.006209665325776132, 1e-14);
    close_to(normal_quantile(0.975), 1.959963984540054, 1e-14);
    close_to(normal_isf(1e-300), 37.0470962993612, 1e-13);
    close_to(normal_log_sf(8), -35.01343715991456, 1e-13);
    close_to(normal_log_sf(-5), -2.8665161296376294e-07, 1e-12);
}

static void the_normals_logarithm_goes_on_where_the_value_is_zero(void **state)
{
    (void)state;
    assert_true(normal_sf(40) == 0);
    close_to(normal_log_sf(40), -804.6084420137539, 1e-13);
    close_to(normal_log_sf(1e5), -5000000012.431865, 1e-13);
    assert_true(normal_log_sf(INFINITY) == -(double)INFINITY);
    assert_true(normal_log_sf(-INFINITY) == 0);
}

static void student_agrees_and_turns_into_the_normal(void **state)
{
    (void)state;
    close_to(t_sf(2.1, 7.3), 0.0361233567124267, 1e-12);
    close_to(t_cdf(-1.2, 3), 0.15813105734905258, 1e-12);
    close_to(t_isf(1e-12, 5), 393.95695957760375, 1e-10);
    close_to(t_sf(3, 9e11), 0.0013498980316670262, 1e-9);
    close_to(t_sf(3, INFINITY), normal_sf(3), 1e-15);
    close_to(t_quantile(0.975, 1e11), 1.959963984540054, 1e-9);
}

static void students_logarithm_goes_on_where_the_value_is_zero(void **state)
{
    (void)state;
    close_to(t_log_sf(50, 400), -400.0417771939007, 1e-12);
    close_to(t_log_sf(60, 1e6), -1801.7795192273431, 1e-9);
    close_to(t_log_sf(1e200, 2), -921.7271843781782, 1e-12);
    assert_true(t_log_sf(INFINITY, 3) == -(double)INFINITY);
}

static void chi_squared_and_gamma_agree(void **state)
{
    (void)state;
    close_to(chi2_sf(11.3, 4), 0.02339148655316566, 1e-12);
    close_to(chi2_quantile(0.99, 9), 21.665994333461924, 1e-12);
    close_to(chi2_log_sf(3000, 5), -1489.313852456615, 1e-12);
    close_to(chi2_log_sf(5, 30), -6.915314106100713e-08, 1e-8);
    close_to(gamma_cdf(3.2, 2.2, 1.5), 0.5721163366774629, 1e-12);
    close_to(gamma_quantile(0.2, 2.2, 1.5), 1.4410587691850814, 1e-12);
}

static void beta_agrees_and_its_logarithm_survives_underflow(void **state)
{
    (void)state;
    close_to(beta_cdf(0.3, 2.5, 7), 0.6412224629717214, 1e-12);
    close_to(beta_quantile(0.01, 20, 300), 0.03518225405285428, 1e-10);
    close_to(beta_log_cdf(0.1, 5, 3), -8.642189681590922, 1e-12);
    assert_true(beta_cdf(0.05, 2000, 500) == 0);
    close_to(beta_log_cdf(0.05, 2000, 500), -4771.564914413045, 1e-11);
    close_to(beta_log_cdf(0.5, 20000, 1000), -10542.413715395205, 1e-11);
    close_to(beta_log_cdf(1e-5, 100, 2), -1146.6774358812206, 1e-11);
    close_to(beta_log_sf(0.95, 500, 2000), -4771.564914413045, 1e-11);
}

static void log_beta_does_not_cancel(void **state)
{
    (void)state;
    close_to(log_beta(1e9, 5e7), -201016293.9760363, 1e-14);
    close_to(log_beta(12, 1e9), -231.17688226348304, 1e-13);
    close_to(log_beta(1e7, 0.5), -7.48668287005446, 1e-13);
    close_to(log_beta(3, 4), -4.0943445622221, 1e-13);
    close_to(log_beta(1e-3, 1e-3), 7.600900817008347, 1e-13);
    close_to(log_beta(10, 10), -13.736229227036555, 1e-13);
}

static void the_binomial_counts_its_own_value_on_the_left(void **state)
{
    (void)state;
    close_to(binomial_cdf(3, 50, 0.02), 0.9822419193020284, 1e-12);
    close_to(binomial_sf(9, 50, 0.02), 5.060691486630964e-08, 1e-11);
    close_to(binomial_log_pmf(30, 100000, 0.0005), -7.299397030903201, 1e-10);
    assert_true(binomial_cdf(50, 50, 0.02) == 1);
    assert_true(binomial_cdf(-1, 50, 0.02) == 0);
    assert_true(binomial_log_pmf(0, 10, 0) == 0);
}

static void kolmogorovs_two_series_meet(void **state)
{
    (void)state;
    close_to(kolmogorov_sf(0.3), 0.9999906941986655, 1e-13);
    close_to(kolmogorov_sf(0.9), 0.3927307079406543, 1e-12);
    close_to(kolmogorov_sf(1.0), 0.26999967167735456, 1e-12);
    close_to(kolmogorov_sf(1.36), 0.049485876755377876, 1e-12);
    close_to(kolmogorov_sf(4.0), 2.532833109818835e-14, 1e-12);
    close_to(ks_two_sample_p(0.1, 400, 400), kolmogorov_sf(0.1 * sqrt(200)), 1e-14);
    assert_true(ks_two_sample_p(0.5, 0, 10) == 1);
}

static void an_argument_outside_the_domain_gives_nan_and_nothing_throws(void **state)
{
    (void)state;
    assert_true(isnan(normal_quantile(1.5)));
    assert_true(isnan(t_sf(1, 0)));
    assert_true(isnan(chi2_sf(1, -2)));
    assert_true(isnan(beta_cdf(0.5, 0, 1)));
    assert_true(isnan(beta_quantile(NAN, 1, 1)));
    assert_true(isnan(gamma_sf(1, INFINITY, 1)));
    assert_true(isnan(binomial_cdf(1, 2, 1.1)));
    assert_true(isnan(log_beta(-1, 2)));
    assert_true(normal_quantile(0) == -(double)INFINITY);
    assert_true(chi2_quantile(1, 3) == (double)INFINITY);
    assert_true(beta_log_cdf(0, 2, 2) == -(double)INFINITY);
    assert_true(chi2_sf(INFINITY, 3) == 0);
}

static void logarithms_add_and_complement(void **state)
{
    (void)state;
    close_to(log_sum(-1000, -1000), -1000 + log(2), 1e-14);
    assert_true(log_sum(-INFINITY, -3) == -3);
    close_to(log_complement(-1e-20), log(1e-20), 1e-14);
    close_to(log_complement(-50), -exp(-50), 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_normal_has_both_tails_exact),
        cmocka_unit_test(the_normals_logarithm_goes_on_where_the_value_is_zero),
        cmocka_unit_test(student_agrees_and_turns_into_the_normal),
        cmocka_unit_test(students_logarithm_goes_on_where_the_value_is_zero),
        cmocka_unit_test(chi_squared_and_gamma_agree),
        cmocka_unit_test(beta_agrees_and_its_logarithm_survives_underflow),
        cmocka_unit_test(log_beta_does_not_cancel),
        cmocka_unit_test(the_binomial_counts_its_own_value_on_the_left),
        cmocka_unit_test(kolmogorovs_two_series_meet),
        cmocka_unit_test(an_argument_outside_the_domain_gives_nan_and_nothing_throws),
        cmocka_unit_test(logarithms_add_and_complement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
