/* Windows larger than their reference: equal bins, some of which the reference left empty. */
#include "tests/stats/even_bins.h"

enum {
    M = 500,
    LARGER = 5, /* times M: a window */
    WINDOWS = 6000,
    FAR_LARGER = 100,
    FAR_WINDOWS = 20000
};

static double exponential(struct rng *rng)
{
    return rng_exponential(rng, 1);
}

/* How many windows of as many references have p <= 0.05 by js_distance and by hellinger. */
static void count_small(int small[2])
{
    static const enum drift_method methods[2] = {DRIFT_JS, DRIFT_HELLINGER};
    struct even_bins world = {.n_bins = 15, .m = M, .n = LARGER * M, .value = exponential};
    struct rng rng = rng_of(5);
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (uint64_t window = 0; window < WINDOWS; window++) {
        even_bins_draw(&world, &rng);
        struct drift_numeric numeric = even_bins_window(&world, &rng);
        for (int i = 0; i < 2; i++)
            small[i] += even_bins_p(nulls, &world, window, &numeric, methods[i], 0.1) <= 0.05;
    }
}

static void a_window_larger_than_its_reference_is_rare_as_often_as_its_p_says(void **state)
{
    (void)state;
    int small[2] = {0, 0};

    count_small(small);

    for (int i = 0; i < 2; i++) /* the rate's 0.85 are left for what is above 1 here */
        assert_in_range(small[i], WINDOWS * 0.05 * 0.94, WINDOWS * 0.05 / 0.85);
}

/* Of counts beyond 60 the normal law's. */
static double poisson(struct rng *rng, double mean)
{
    if (mean > 60)
        return fmax(floor(mean + sqrt(mean) * rng_normal(rng) + 0.5), 0);
    double n = 0;
    for (double at = rng_exponential(rng, 1); at < mean; at += rng_exponential(rng, 1))
        n++;
    return n;
}

/* What `even_bins_window` would give for `n` exponential values, more or less. */
static struct drift_numeric far_larger_window(const struct even_bins *world, double n,
                                              struct rng *rng)
{
    const size_t n_bins = world->n_bins + 1;
    const double *ends = world->grid.doane;
    struct drift_bin bins[EVEN_BINS_MOST + 1];
    double all = 0;
    for (size_t i = 0; i < n_bins; i++) {
        const double share = i + 1 < n_bins ? exp(-ends[i]) - exp(-ends[i + 1])
                                            : 1 - exp(-ends[0]) + exp(-ends[n_bins - 1]);
        bins[i] = (struct drift_bin){world->counts[i], poisson(rng, n * share)};
        all += bins[i].window;
    }
    struct drift_numeric out = {.n = (uint64_t)all};
    out.js_distance.value = drift_js(bins, n_bins, (double)world->m, all);
    out.hellinger.value = drift_hellinger(bins, n_bins, (double)world->m, all);
    return out;
}

/* Fifty times and more: shares are seen so sharply that it matters how far a law is from theirs. */
static void nor_is_one_of_a_hundred_times_its_reference_called_more_often(void **state)
{
    (void)state;
    static const enum drift_method methods[2] = {DRIFT_JS, DRIFT_HELLINGER};
    static const double levels[2] = {0.0425, 0.0085};
    struct even_bins world = {.n_bins = 15, .m = M, .n = FAR_LARGER * M, .value = exponential};
    struct rng rng = rng_of(6);
    int small[2][2] = {0};
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);

    for (uint64_t window = 0; window < FAR_WINDOWS; window++) {
        even_bins_draw(&world, &rng);
        struct drift_numeric numeric = far_larger_window(&world, (double)world.n, &rng);
        for (int i = 0; i < 2; i++) {
            double p = even_bins_p(nulls, &world, window, &numeric, methods[i], 0.1);
            for (int k = 0; k < 2; k++)
                small[i][k] += p <= levels[k];
        }
    }

    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            assert_in_range(small[i][k], FAR_WINDOWS * levels[k] * 0.8,
                            FAR_WINDOWS * levels[k] / 0.85);
}

/* A window at its threshold has the p that was asked for. */
static void its_threshold_and_its_p_answer_each_other(void **state)
{
    (void)state;
    static const double rates[] = {0.2, 0.01, 0.0002};
    struct even_bins world = {.n_bins = 15, .m = M, .n = FAR_LARGER * M, .value = exponential};
    struct rng rng = rng_of(7);
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    even_bins_draw(&world, &rng);
    struct drift_numeric numeric = far_larger_window(&world, (double)world.n, &rng);
    const struct drift_subject subject = {
        .reference = &world.reference, .reference_id = 2, .numeric = &numeric};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        const struct drift_rule rule = {DRIFT_HELLINGER, rates[i], 0};
        struct drift_verdict asked, at;
        assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &asked), 0);
        numeric.hellinger.value = asked.threshold;
        assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &at), 0);
        assert_close(at.p_value, drift_level(&rule, 1), 1e-3 * rates[i]);
    }

    numeric.hellinger.value = 1; /* as far off as can be: its p may be too small for a double */
    const struct drift_rule rule = {DRIFT_HELLINGER, 0.01, 0};
    struct drift_verdict verdict;
    assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &verdict), 0);
    assert_true(verdict.p_value < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_larger_than_its_reference_is_rare_as_often_as_its_p_says),
        cmocka_unit_test(nor_is_one_of_a_hundred_times_its_reference_called_more_often),
        cmocka_unit_test(its_threshold_and_its_p_answer_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
