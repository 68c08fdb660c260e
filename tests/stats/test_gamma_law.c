/* The moved gamma law, against laws that are known. */
#include <math.h>

#include "stats/distribution.h"
#include "stats/gamma_law.h"
#include "tests/test.h"

static void with_the_moments_of_an_exponential_law_it_is_that_law(void **state)
{
    (void)state;
    const struct gamma_law law = {1, 1, 2};

    for (double x = 0.1; x < 20; x *= 1.7) {
        assert_close(gamma_law_sf(&law, x), exp(-x), 1e-12);
        assert_close(gamma_law_cdf(&law, x), -expm1(-x), 1e-12);
    }
    assert_close(gamma_law_quantile(&law, 0.99), log(100), 1e-9);
    assert_true(gamma_law_sf(&law, -0.5) == 1 && gamma_law_cdf(&law, -0.5) == 0);
}

static void mirrored_it_is_the_same_the_other_way_round(void **state)
{
    (void)state;
    const struct gamma_law law = {3, 2, 0.8}, mirrored = {-3, 2, -0.8};

    for (double x = -2; x < 12; x += 0.7) {
        assert_close(gamma_law_sf(&mirrored, -x), gamma_law_cdf(&law, x), 1e-12);
        assert_close(gamma_law_cdf(&mirrored, -x), gamma_law_sf(&law, x), 1e-12);
    }
    assert_close(gamma_law_quantile(&mirrored, 0.01), -gamma_law_quantile(&law, 0.99), 1e-9);
}

static void without_skewness_it_is_the_normal_law(void **state)
{
    (void)state;
    const struct gamma_law law = {5, 2, 0}, nearly = {5, 2, 2e-4};

    assert_close(gamma_law_sf(&law, 8), normal_sf(1.5), 1e-15);
    assert_close(gamma_law_quantile(&law, 0.025), 5 - 2 * 1.959963984540054, 1e-9);
    assert_close(gamma_law_sf(&nearly, 8), normal_sf(1.5), 1e-4);
    assert_close(gamma_law_quantile(&nearly, 0.975), 5 + 2 * 1.959963984540054, 1e-3);
}

static void without_variance_all_of_it_lies_at_the_mean(void **state)
{
    (void)state;
    const struct gamma_law law = {2, 0, 1};

    assert_true(gamma_law_sf(&law, 1.9) == 1 && gamma_law_sf(&law, 2) == 0);
    assert_true(gamma_law_cdf(&law, 1.9) == 0 && gamma_law_cdf(&law, 2) == 1);
    assert_true(gamma_law_quantile(&law, 0.3) == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_the_moments_of_an_exponential_law_it_is_that_law),
        cmocka_unit_test(mirrored_it_is_the_same_the_other_way_round),
        cmocka_unit_test(without_skewness_it_is_the_normal_law),
        cmocka_unit_test(without_variance_all_of_it_lies_at_the_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
