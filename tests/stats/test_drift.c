#include <float.h>
#include <math.h>

#include "common/rng.h"
#include "stats/drift_categorical.h"
#include "stats/drift_numeric.h"
#include "stats/drift_quality.h"
#include "stats/kolmogorov.h"
#include "tests/test.h"

static struct profile_feature features[2] = {
    {.name_id = 1, .kind = PROFILE_NUMERIC, .min = NAN, .max = NAN},
    {.name_id = 2, .kind = PROFILE_CATEGORICAL, .min = NAN, .max = NAN},
};
static struct profile_layout layout = {.n_features = 2, .features = features};

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance;
}

static struct profile *profile_of(enum profile_level level, const double *values, int n)
{
    struct profile *profile = NULL;
    assert_int_equal(profile_new(&profile, &layout, level, NULL), 0);
    for (int i = 0; i < n; i++) {
        profile_event(profile, 1);
        profile_number(profile, 0, values[i], 1);
        profile_category(profile, 1, (uint64_t)fabs(values[i]) + 1, 1);
    }
    return profile;
}

static struct reference *reference_of(const double *values, int n)
{
    AUTO(profile) struct profile *profile = profile_of(PROFILE_REFERENCE, values, n);
    struct reference *reference = NULL;
    assert_int_equal(reference_build(&reference, profile, 0, NULL), 0);
    return reference;
}

static struct drift_numeric compare(const struct reference *reference, const struct profile *window)
{
    struct drift_numeric out;
    struct drift_numeric_input in = {reference_find(reference, 1),
                                     reference->id,
                                     window->features[0].numeric,
                                     NULL,
                                     1000000,
                                     false};
    assert_int_equal(drift_numeric(&in, &out), 0);
    return out;
}

static void small_samples_give_what_the_hand_computes(void **state)
{
    (void)state;
    double before[] = {1, 2, 3, 4}, now[] = {3, 4, 5, 6};
    AUTO(reference) struct reference *reference = reference_of(before, 4);
    AUTO(profile) struct profile *window = profile_of(PROFILE_HOUR, now, 4);

    struct drift_numeric d = compare(reference, window);

    assert_true(near(d.ks.value, 0.5, 1e-15));
    assert_true(near(d.wasserstein.value, 2, 1e-15));
    assert_true(near(d.wasserstein_norm.value, 2 / sqrt(1.25), 1e-12));
    assert_true(near(d.mean, 4.5, 1e-15));
    assert_true(near(d.ks_p, 0.7714285714285716, 1e-12)); /* scipy.stats.ks_2samp, 1.17 */
    assert_true(near(d.outside_rate, 0.5, 1e-15));
    assert_true(d.ks.error_bound == 0);
}

static void a_constant_reference_has_no_normalised_distance(void **state)
{
    (void)state;
    double before[] = {7, 7, 7}, now[] = {7, 7, 9};
    AUTO(reference) struct reference *reference = reference_of(before, 3);
    AUTO(profile) struct profile *window = profile_of(PROFILE_HOUR, now, 3);

    struct drift_numeric d = compare(reference, window);

    assert_true(isnan(d.wasserstein_norm.value));
    assert_string_equal(d.wasserstein_norm.why, "the reference is constant");
    assert_true(near(d.wasserstein.value, 2.0 / 3, 1e-15));
    assert_true(near(d.ks.value, 1.0 / 3, 1e-15));
    assert_true(isfinite(d.psi.value) && isfinite(d.js_distance.value));
}

static void an_empty_window_has_no_values_and_says_why(void **state)
{
    (void)state;
    double before[] = {1, 2, 3};
    AUTO(reference) struct reference *reference = reference_of(before, 3);
    AUTO(profile) struct profile *window = profile_of(PROFILE_HOUR, NULL, 0);

    struct drift_numeric d = compare(reference, window);

    assert_true(isnan(d.ks.value) && isnan(d.psi.value) && isnan(d.ks_p));
    assert_string_equal(d.ks.why, "no values in the window");
    struct drift_categorical c;
    assert_int_equal(drift_categorical(reference_find(reference, 2), reference->id, NULL, &c), 0);
    assert_string_equal(c.chi2.why, "no values in the window");
}

static void one_event_and_no_overlap_are_defined(void **state)
{
    (void)state;
    double before[] = {1, 2, 3}, now[] = {100};
    AUTO(reference) struct reference *reference = reference_of(before, 3);
    AUTO(profile) struct profile *window = profile_of(PROFILE_HOUR, now, 1);

    struct drift_numeric d = compare(reference, window);

    assert_true(near(d.ks.value, 1, 1e-15));
    assert_true(near(d.js_distance.value, 1, 1e-12));
    assert_true(near(d.hellinger.value, 1, 1e-12));
    assert_true(near(d.wasserstein.value, 98, 1e-12));
    assert_true(isfinite(d.psi.value));
    struct drift_categorical c;
    drift_categorical(reference_find(reference, 2), reference->id, window->features[1].categories,
                      &c);
    assert_true(near(c.unseen_rate.value, 1, 0));
    assert_true(near(c.js_distance.value, 1, 1e-12));
    assert_true(near(c.l_infinity.value, 1, 0));
    assert_true(c.chi2_p > 0 && c.chi2_p < 1);
}

static void the_ends_of_the_numbers_give_a_value_or_a_reason(void **state)
{
    (void)state;
    double before[300], now[300];
    for (int i = 0; i < 300; i++) {
        before[i] = (i % 2 ? 1e308 : -1e308) * (1 + i * 1e-3);
        now[i] = i * DBL_TRUE_MIN;
    }
    AUTO(reference) struct reference *reference = reference_of(before, 300);
    AUTO(reference) struct reference *tiny = reference_of(now, 300);
    features[0].grid = reference_find(reference, 1)->grid;
    layout.reference = reference->id;
    for (int level = PROFILE_MINUTE; level <= PROFILE_HOUR; level++) {
        AUTO(profile) struct profile *window = profile_of((enum profile_level)level, now, 300);
        AUTO(profile) struct profile *huge = profile_of((enum profile_level)level, before, 300);
        struct drift_numeric d = compare(reference, window);
        struct drift_numeric e = compare(tiny, huge);
        assert_true(near(d.ks.value, 0.5, 0.01));
        assert_true(near(e.ks.value, 0.5, 0.01));
        struct drift_value all[] = {
            d.psi, d.js_distance, d.ks, d.wasserstein, d.wasserstein_norm, d.hellinger,
            e.psi, e.js_distance, e.ks, e.wasserstein, e.wasserstein_norm, e.hellinger};
        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
            assert_true(isfinite(all[i].value) || all[i].why);
    }
    features[0].grid = NULL;
    layout.reference = 0;
}

/* A window that only kept its sketch: exact answers lie within what it says. */
static void a_sketch_says_how_far_it_may_be_off(void **state)
{
    (void)state;
    enum {
        N = 4000
    };
    static double before[N], now[N];
    struct rng rng = rng_of(8);
    for (int i = 0; i < N; i++) {
        before[i] = 10 + rng_normal(&rng);
        now[i] = 10.3 + 1.2 * rng_normal(&rng);
    }
    AUTO(reference) struct reference *reference = reference_of(before, N);
    AUTO(profile) struct profile *sketch = profile_of(PROFILE_HOUR, now, N);
    AUTO(profile) struct profile *exact = profile_of(PROFILE_REFERENCE, now, N);

    struct drift_numeric a = compare(reference, sketch), b = compare(reference, exact);

    assert_true(b.ks.error_bound == 0 && a.ks.error_bound > 0);
    assert_true(near(a.ks.value, b.ks.value, a.ks.error_bound));
    assert_true(a.ks.error_bound < 0.02);
    assert_true(near(a.psi.value, b.psi.value, a.psi.error_bound));
    assert_true(near(a.js_distance.value, b.js_distance.value, a.js_distance.error_bound));
    assert_true(near(a.wasserstein.value, b.wasserstein.value, a.wasserstein.error_bound));
}

static void p_values_equal_scipys(void **state)
{
    (void)state;
    /* scipy 1.17: ks_2samp "exact" up to 10,000, kstwo.sf beyond */
    assert_true(near(ks_two_sample_p_auto(0.03, 5000, 500, 10000000), 0.7984935633313595, 1e-12));
    assert_true(
        near(ks_two_sample_p_auto(0.35777087639996635, 10, 10, 1000), 0.41752365281777043, 1e-14));
    assert_true(near(ks_two_sample_p_auto(0.03559775273805919, 12500, 1250, 1), 0.10969172248107795,
                     1e-12));
    assert_true(ks_two_sample_p_auto(0, 10, 10, 0) == 1);
    assert_true(ks_two_sample_p_auto(0.5, 0, 10, 0) == 1);
    assert_true(isnan(ks_two_sample_p_auto((double)NAN, 5, 5, 0)));
}

static void changes_of_rates_come_with_newcombes_interval(void **state)
{
    (void)state;
    /* Newcombe 1998, example (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339 */
    struct rate_change change = rate_change(48, 80, 56, 70);
    assert_true(near(change.difference, 0.2, 1e-12));
    assert_true(near(change.lower, 0.0524, 5e-5));
    assert_true(near(change.upper, 0.3339, 5e-5));
    assert_true(isnan(rate_change(0, 0, 1, 2).difference));
}

/* A part that is told at once is that of every rank between the two. */
static bool is_part_of(unsigned part, struct reference_rank rank)
{
    const double low = rank.below * REFERENCE_PARTS, high = rank.upto * REFERENCE_PARTS;
    return part < REFERENCE_PARTS && low >= part &&
           (part == REFERENCE_PARTS - 1 || low < part + 1.0) &&
           (part == REFERENCE_PARTS - 1 || high <= part + 1.0);
}

/* Even, crowded, with equals, and at the ends of the numbers. */
static void a_rank_is_the_share_of_values_below_and_up_to(void **state)
{
    (void)state;
    enum {
        N = 3000
    };
    double values[N];
    struct rng rng = rng_of(9);
    for (int i = 0; i < N; i++) {
        const double u = rng_uniform(&rng);
        values[i] = i % 4 == 0 ? u : i % 4 == 1 ? u * u * u * 1e-3 : i % 4 == 2 ? i % 50 : -u * 1e3;
    }
    values[0] = DBL_MAX;
    values[1] = -DBL_MAX;
    values[2] = 5e-324;
    AUTO(reference) struct reference *reference = reference_of(values, N);
    const struct reference_feature *feature = reference_find(reference, 1);
    assert_true(feature->exact);

    int n_told = 0;
    for (int i = 0; i < 2 * N; i++) {
        const double x = i < N ? values[i] : values[i - N] * (1 + (rng_uniform(&rng) - 0.5) / 50);
        int below = 0, upto = 0;
        for (int k = 0; k < N; k++) {
            below += values[k] < x;
            upto += values[k] <= x;
        }
        const struct reference_rank rank = reference_rank(feature, x);
        assert_true(rank.below == (double)below / N);
        assert_true(rank.upto == (double)upto / N);
        const unsigned part = reference_part(&feature->parts, x);
        assert_true(part == PARTS_SEVERAL || is_part_of(part, rank));
        n_told += part != PARTS_SEVERAL;
    }
    assert_true(n_told > 2 * N * 9 / 10);
}

/* Of equal values, of single ones, and of more than are kept singly. */
static void a_reference_keeps_cells_and_quantiles_through_its_bytes(void **state)
{
    (void)state;
    enum {
        MOST = 40000
    };
    static const int sizes[] = {1, 10, 1000, MOST};
    static double values[MOST];
    struct rng rng = rng_of(5);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        const int n = sizes[s];
        for (int i = 0; i < n; i++)
            values[i] = n == 10 ? i % 4 : rng_normal(&rng);
        AUTO(reference) struct reference *made = reference_of(values, n), *loaded = NULL;
        struct buf bytes;
        buf_init(&bytes, 1 << 24);
        reference_save(made, &bytes);
        assert_int_equal(reference_load(&loaded, bytes.data, bytes.size, NULL), 0);
        buf_finish(&bytes);
        const struct reference_feature *feature = reference_find(loaded, 1);
        assert_int_equal(loaded->id, made->id);
        assert_true(feature->exact == (n < MOST));
        assert_int_equal(feature->valid, n);
        struct cell *cells = calloc(feature->n_cells, sizeof(*cells));
        for (uint32_t i = 0; i < feature->n_cells; i++) {
            cells[i] = reference_cell(feature, i);
            const struct cell before = reference_cell(reference_find(made, 1), i);
            assert_memory_equal(&cells[i], &before, sizeof(before));
            assert_true(cells[i].low <= cells[i].high && cells[i].count > 0);
        }
        for (double q = 0; q <= 1; q += 1.0 / 64)
            assert_true(reference_quantile(feature, q) ==
                        cells_quantile(cells, feature->n_cells, q));
        free(cells);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_samples_give_what_the_hand_computes),
        cmocka_unit_test(a_constant_reference_has_no_normalised_distance),
        cmocka_unit_test(an_empty_window_has_no_values_and_says_why),
        cmocka_unit_test(one_event_and_no_overlap_are_defined),
        cmocka_unit_test(the_ends_of_the_numbers_give_a_value_or_a_reason),
        cmocka_unit_test(a_sketch_says_how_far_it_may_be_off),
        cmocka_unit_test(a_rank_is_the_share_of_values_below_and_up_to),
        cmocka_unit_test(a_reference_keeps_cells_and_quantiles_through_its_bytes),
        cmocka_unit_test(p_values_equal_scipys),
        cmocka_unit_test(changes_of_rates_come_with_newcombes_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
