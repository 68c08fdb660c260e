/* What the reference files do not say: edges of confseq, srm, fdr, planned looks, sample sizes. */
#include <errno.h>
#include <math.h>

#include "stats/confseq.h"
#include "stats/e_process.h"
#include "stats/fdr.h"
#include "stats/group_sequential.h"
#include "stats/sample_size.h"
#include "stats/srm.h"
#include "tests/test.h"

static void zero_variance_is_undefined_and_not_no_effect(void **state)
{
    (void)state;
    struct confseq cs = confseq_two_sided(0.3, 0, 1000, 0.05, 5000);

    assert_true(cs.lower == -(double)INFINITY && cs.upper == (double)INFINITY);
    assert_true(cs.p == 1 && cs.log_e == 0);
    assert_true(confseq_log_e_above(0.3, 0, 1000, 0.05, 5000, 0) == 0);
}

static void evidence_above_a_bound_grows_with_the_estimate(void **state)
{
    (void)state;
    double before = -(double)INFINITY;
    for (double estimate = 0.001; estimate < 50; estimate *= 2) {
        double log_e = confseq_log_e_above(estimate, 1e-4, 5000, 0.05, 5000, 0);
        assert_true(log_e > before && isfinite(log_e));
        before = log_e;
    }
    assert_true(confseq_log_e_above(-1, 1e-4, 5000, 0.05, 5000, 0) == -(double)INFINITY);
}

static void an_arm_of_share_zero_is_no_degree_of_freedom(void **state)
{
    (void)state;
    const int64_t counts[] = {5000, 5100, 0}, stray[] = {5000, 5100, 1};
    const double shares[] = {0.5, 0.5, 0};
    struct srm_chi2 srm = srm_chi_squared(counts, shares, 3);

    assert_close(srm.dof, 1, 0);
    assert_close(srm.chi2, 10000.0 / 10100, 1e-12);
    assert_true(srm_chi_squared(stray, shares, 3).p == 0);
    assert_true(srm_log_bayes_factor(stray, shares, 3, 1000) == (double)INFINITY);
}

static void the_order_of_arms_does_not_matter_to_srm(void **state)
{
    (void)state;
    const int64_t counts[] = {950, 60, 490}, turned[] = {490, 950, 60};
    const double shares[] = {0.6, 0.05, 0.35}, turned_shares[] = {0.35, 0.6, 0.05};

    assert_close(srm_log_bayes_factor(counts, shares, 3, 1000),
                 srm_log_bayes_factor(turned, turned_shares, 3, 1000), 1e-9);
}

static void no_test_stays_no_test_among_many(void **state)
{
    (void)state;
    double p[] = {0.04, (double)NAN, 0.01};
    assert_int_equal(fdr_adjust(p, 3, FDR_BENJAMINI_HOCHBERG, p), 0);

    assert_close(p[0], 0.04, 1e-15);
    assert_true(isnan(p[1]));
    assert_close(p[2], 0.02, 1e-15);
}

static void looks_that_do_not_rise_are_refused(void **state)
{
    (void)state;
    const double fractions[] = {0.5, 0.4};
    double z[2], spent[2];

    assert_int_equal(group_sequential_bounds(fractions, 2, 0.05, 2, z, spent), -EINVAL);
    assert_int_equal(group_sequential_bounds(fractions, 1, 0, 2, z, spent), -EINVAL);
}

static void sample_sizes_invert_power_and_effect(void **state)
{
    (void)state;
    struct two_arms arms = two_arms_of_rates(0.02, 0.04, 0.05);
    double n = sample_size_needed(&arms, 0.02, 0.05, 0.8);

    /* (1.6449 + 0.8416)² (.0196/.95 + .0384/.05) / .02² */
    assert_close(n, 12189.5, 1);
    assert_close(sample_size_power(&arms, 0.02, 0.05, n), 0.8, 1e-9);
    assert_close(sample_size_smallest_effect(&arms, 0.05, 0.8, n), 0.02, 1e-9);
    assert_true(isinf(sample_size_needed(&arms, 0, 0.05, 0.8)));
}

static void the_plan_tells_when_a_sequential_test_will_know(void **state)
{
    (void)state;
    double harm = sample_size_until_harm(0.02, 0.04, 0.05, 1, 0.05) * 0.05;
    double safe = sample_size_until_safe(0.02, 0.02, 0.05, 1.5, 0.05) * 0.05;

    assert_in_range((int)harm, 430, 560);   /* simulated median: 430 treatment units, 90 %: 1105 */
    assert_in_range((int)safe, 1685, 2600); /* simulated median: 1685 */
    assert_true(isinf(sample_size_until_harm(0.02, 0.02, 0.05, 1, 0.05)));
    assert_true(isinf(sample_size_until_safe(0.02, 0.03, 0.05, 1.5, 0.05)));
    struct two_arms arms = {0.5, 1, 1};
    double n = sample_size_until_bound(&arms, 0.1, 0.05, 5000);
    assert_true(confseq_one_sided_width(4 / n, n, 0.05, 5000) <= 0.1);
    assert_true(confseq_one_sided_width(4 / (0.99 * n), 0.99 * n, 0.05, 5000) > 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_variance_is_undefined_and_not_no_effect),
        cmocka_unit_test(evidence_above_a_bound_grows_with_the_estimate),
        cmocka_unit_test(an_arm_of_share_zero_is_no_degree_of_freedom),
        cmocka_unit_test(the_order_of_arms_does_not_matter_to_srm),
        cmocka_unit_test(no_test_stays_no_test_among_many),
        cmocka_unit_test(looks_that_do_not_rise_are_refused),
        cmocka_unit_test(sample_sizes_invert_power_and_effect),
        cmocka_unit_test(the_plan_tells_when_a_sequential_test_will_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
