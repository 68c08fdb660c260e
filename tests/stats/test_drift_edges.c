/* What holds for any counts, from one event to a thousand million. */
#include "stats/drift.h"

#include <math.h>

#include "common/rng.h"
#include "stats/drift_null.h"
#include "tests/test.h"

enum {
    BINS = 12,
    ROUNDS = 2000
};

struct table {
    struct drift_bin bins[BINS];
    size_t n_bins;
    double m, n;
};

/* Bins of one event, of none and of many stand side by side. */
static double any_count(struct rng *rng)
{
    static const double most[] = {1, 2, 50, 1e4, 1e9};
    return floor(rng_uniform(rng) * most[rng_below(rng, 5)] + 0.5);
}

static struct table any_table(struct rng *rng)
{
    struct table t = {.n_bins = 1 + rng_below(rng, BINS)};
    for (size_t i = 0; i < t.n_bins; i++) {
        t.bins[i] = (struct drift_bin){any_count(rng), any_count(rng)};
        t.m += t.bins[i].reference;
        t.n += t.bins[i].window;
    }
    t.bins[0].reference += t.m == 0;
    t.bins[0].window += t.n == 0;
    t.m += t.m == 0;
    t.n += t.n == 0;
    return t;
}

static struct table turned(const struct table *t)
{
    struct table other = {.n_bins = t->n_bins, .m = t->n, .n = t->m};
    for (size_t i = 0; i < t->n_bins; i++)
        other.bins[i] = (struct drift_bin){t->bins[i].window, t->bins[i].reference};
    return other;
}

enum {
    N_STATISTICS = 5
};

static void all_of(const struct table *t, double out[N_STATISTICS])
{
    double dof;
    out[LAW_PSI] = drift_psi(t->bins, t->n_bins, t->m, t->n);
    out[LAW_JS] = drift_js(t->bins, t->n_bins, t->m, t->n);
    out[LAW_HELLINGER] = drift_hellinger(t->bins, t->n_bins, t->m, t->n);
    out[LAW_L_INFINITY] = drift_l_infinity(t->bins, t->n_bins, t->m, t->n);
    out[LAW_CHI2] = drift_chi2(t->bins, t->n_bins, t->m, t->n, &dof);
}

static void distances_are_bounded_and_the_same_from_either_side(void **state)
{
    (void)state;
    struct rng rng = rng_of(11);
    for (int round = 0; round < ROUNDS; round++) {
        struct table here = any_table(&rng), there = turned(&here);
        double a[N_STATISTICS], b[N_STATISTICS];

        all_of(&here, a);
        all_of(&there, b);

        for (int i = 0; i < N_STATISTICS; i++) {
            assert_true(isfinite(a[i]) && a[i] >= 0);
            assert_true(fabs(a[i] - b[i]) <= 1e-9 * (1 + a[i]));
        }
        assert_true(a[LAW_JS] <= 1 + 1e-12 && a[LAW_HELLINGER] <= 1 + 1e-12);
        assert_true(a[LAW_L_INFINITY] <= 1);
    }
}

static void equal_shares_are_at_no_distance_whatever_their_counts(void **state)
{
    (void)state;
    static const double sizes[] = {1, 7, 1e9};
    for (int s = 0; s < 3; s++) {
        struct table t = {.n_bins = 3, .m = 10, .n = 10 * sizes[s]};
        static const double counts[] = {1, 2, 7};
        for (int i = 0; i < 3; i++)
            t.bins[i] = (struct drift_bin){counts[i], counts[i] * sizes[s]};
        double values[N_STATISTICS];

        all_of(&t, values);

        for (int i = 0; i < N_STATISTICS; i++)
            assert_true(fabs(values[i]) < 1e-7);
    }
}

static void one_category_alone_cannot_differ(void **state)
{
    (void)state;
    struct drift_bin one = {1000, 3};
    double dof = -1;
    assert_float_equal(drift_chi2(&one, 1, 1000, 3, &dof), 0, 0);
    assert_float_equal(dof, 0, 0);
    assert_float_equal(drift_js(&one, 1, 1000, 3), 0, 1e-12);
}

static void a_larger_window_needs_a_smaller_difference(void **state)
{
    (void)state;
    double counts[] = {400000, 300000, 200000, 90000, 10000};
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (int statistic = LAW_PSI; statistic < LAW_CHI2; statistic++) {
        struct drift_null null = {.statistic = (enum drift_statistic)statistic,
                                  .key = 3,
                                  .counts = counts,
                                  .weights = counts,
                                  .n_bins = 5};
        double last = HUGE_VAL;
        for (double n = 20; n < 1e8; n *= 4) {
            double threshold = drift_null_threshold(nulls, &null, n, 0.001);
            assert_true(threshold > 0 && threshold < last);
            last = threshold;
        }
    }
}

/* One value, ten values: any window has a p-value and a threshold. */
static void references_of_one_and_of_ten_values_have_laws(void **state)
{
    (void)state;
    static const double sizes[] = {1, 2, 10, 129, 700, 1e9};
    double counts[] = {1, 0, 2, 7}, weights[] = {1, 0.25, 2, 7};
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (int statistic = LAW_PSI; statistic <= LAW_CHI2; statistic++) {
        for (size_t n_bins = 1; n_bins <= 4; n_bins += 3) {
            struct drift_null null = {.statistic = (enum drift_statistic)statistic,
                                      .key = n_bins,
                                      .counts = counts,
                                      .weights = weights,
                                      .n_bins = n_bins,
                                      .unseen = 2,
                                      .prior = 0.5,
                                      .prior_ends = -0.5};
            for (int s = 0; s < 6; s++) {
                double none = drift_null_p(nulls, &null, sizes[s], 0);
                double far = drift_null_p(nulls, &null, sizes[s], 1);
                double threshold = drift_null_threshold(nulls, &null, sizes[s], 0.01);
                assert_true(none > 0.99 && none <= 1);
                assert_true(far >= 0 && far <= none);
                assert_true(isfinite(threshold) && threshold >= 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_bounded_and_the_same_from_either_side),
        cmocka_unit_test(equal_shares_are_at_no_distance_whatever_their_counts),
        cmocka_unit_test(one_category_alone_cannot_differ),
        cmocka_unit_test(a_larger_window_needs_a_smaller_difference),
        cmocka_unit_test(references_of_one_and_of_ten_values_have_laws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
