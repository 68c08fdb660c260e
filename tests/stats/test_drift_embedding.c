/* Mean vectors: the projection, the law of their distance, and what cannot be compared. */
#include "stats/drift_embedding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "stats/chi2_sum.h"
#include "stats/drift_window.h"
#include "tests/test.h"

static struct profile_feature feature = {
    .name_id = 5, .kind = PROFILE_EMBEDDING, .min = NAN, .max = NAN};
static struct profile_layout layout = {.n_features = 1, .features = &feature};
static const struct drift_rule rule = {DRIFT_AUTO, 0.05, 0};

static void add(struct profile *profile, const double *x, uint32_t n)
{
    double projected[PROJECTION_BUCKETS] = {0}, square = 0, sum = 0;
    for (uint32_t d = 0; d < n; d++) {
        projection_add(projected, d, x[d]);
        square += x[d] * x[d];
        sum += x[d];
    }
    profile_event(profile, 1);
    struct embedding value = {sqrt(square), sum / n, projected, n};
    assert_int_equal(profile_embedding(profile, 0, &value, 1), 0);
}

static struct profile *profile_of(enum profile_level level)
{
    struct profile *profile = NULL;
    assert_int_equal(profile_new(&profile, &layout, level, NULL), 0);
    return profile;
}

static struct reference *reference_of(const struct profile *profile)
{
    struct reference *reference = NULL;
    assert_int_equal(reference_build(&reference, profile, 0, NULL), 0);
    return reference;
}

static const struct mean_vector *vector_of(const struct profile *profile)
{
    return profile->features[0].embedding->vector;
}

/* Six coordinates: skewed, and with one that all share, so that axes differ. */
static void skewed(struct rng *rng, double *x)
{
    double shared = rng_exponential(rng, 1);
    for (int d = 0; d < 6; d++)
        x[d] = 3 + rng_exponential(rng, 0.5 + 0.25 * d) + shared;
}

static void up_to_32_dimensions_nothing_is_lost(void **state)
{
    (void)state;
    double buckets[PROJECTION_BUCKETS] = {0};

    for (uint32_t d = 0; d < 32; d++)
        projection_add(buckets, d, 1.5 * d);

    for (uint32_t d = 0; d < 32; d++)
        assert_close(buckets[d], 1.5 * d, 0);
}

static void beyond_them_a_length_is_off_by_an_eighth_on_average(void **state)
{
    (void)state;
    enum {
        N = 400
    };
    struct rng rng = rng_of(3);
    double ratio = 0, square = 0;
    for (int i = 0; i < N; i++) {
        double buckets[PROJECTION_BUCKETS] = {0}, length = 0, projected = 0;
        for (uint32_t d = 0; d < 10000; d++) {
            double x = rng_normal(&rng);
            projection_add(buckets, d, x);
            length += x * x;
        }
        for (int b = 0; b < PROJECTION_BUCKETS; b++)
            projected += buckets[b] * buckets[b];
        double off = sqrt(projected / length) - 1;
        ratio += off / N;
        square += off * off / N;
    }

    assert_true(fabs(ratio) < 0.02);
    assert_true(sqrt(square) > 0.1 && sqrt(square) < PROJECTION_ERROR * 1.1);
}

static void the_sum_of_weighted_chi_squares_has_imhofs_values(void **state)
{
    (void)state;
    /* Imhof, Biometrika 48, 1961, table 1: Q1 */
    static const double weights[] = {0.6, 0.3, 0.1};
    static const double equal[] = {1, 1, 1, 1};

    assert_close(chi2_sum_sf(weights, 3, 0.7), 0.5064, 0.5064 * 0.03);
    assert_close(chi2_sum_sf(weights, 3, 2), 0.1240, 0.1240 * 0.03);
    assert_close(chi2_sum_sf(weights, 1, 2.4), 0.0455, 1e-4); /* P(Z² >= 4) */
    for (double p = 0.5; p > 1e-12; p /= 10) {
        double x = chi2_sum_isf(equal, 4, p); /* exp(-x/2) (1 + x/2) */
        assert_close(exp(-x / 2) * (1 + x / 2), p, 0.03 * p);
        assert_close(chi2_sum_sf(weights, 3, chi2_sum_isf(weights, 3, p)), p, 1e-6 * p);
    }
    assert_close(chi2_sum_sf(weights, 3, 0), 1, 0);
    assert_in_range((int)(1e4 * chi2_sum_sf(weights, 3, 1)), 3300, 3700); /* at the mean */
}

static void the_variances_are_those_of_the_vectors_along_their_axes(void **state)
{
    (void)state;
    AUTO(profile) struct profile *rows = profile_of(PROFILE_REFERENCE);
    for (int i = 0; i < 400; i++) { /* along (3, 4) ±10, across it ±2, independently */
        double along = i % 2 ? 10 : -10, across = i / 2 % 2 ? 2 : -2;
        double x[2] = {100 + 0.6 * along - 0.8 * across, -7 + 0.8 * along + 0.6 * across};
        add(rows, x, 2);
    }
    double mean[PROJECTION_BUCKETS], variances[PROJECTION_BUCKETS];

    uint32_t n = mean_vector_variances(vector_of(rows), variances);

    assert_int_equal(n, 2);
    assert_close(variances[0], 100, 1e-7);
    assert_close(variances[1], 4, 1e-7);
    assert_true(mean_vector_mean(vector_of(rows), mean));
    assert_close(mean[0], 100, 1e-12);
    assert_close(mean[1], -7, 1e-12);
}

static void panes_tell_the_shape_where_there_are_64_of_them(void **state)
{
    (void)state;
    for (int panes = 40; panes <= 400; panes *= 10) {
        struct rng rng = rng_of(9);
        AUTO(profile) struct profile *all = profile_of(PROFILE_REFERENCE);
        for (int p = 0; p < panes; p++) {
            AUTO(profile) struct profile *pane = profile_of(PROFILE_MINUTE);
            for (int i = 0; i < 30; i++) {
                double x[3] = {rng_normal(&rng), rng_normal(&rng) * 0.5, 8};
                add(pane, x, 3);
            }
            assert_int_equal(profile_merge(all, pane), 0);
        }
        double variances[PROJECTION_BUCKETS], sum = 0;

        uint32_t n = mean_vector_variances(vector_of(all), variances);

        for (uint32_t i = 0; i < n; i++)
            sum += variances[i];
        assert_close(sum, 1.25, 0.13); /* of all: exact whatever the panes */
        assert_int_equal(n, panes < SCATTER_MIN_GROUPS ? 1 : 2);
        if (n == 2)
            assert_close(variances[0] / sum, 0.8, 0.06);
    }
}

/* How often windows of n vectors like the reference's are called drifted, by the mean alone. */
static double alarms(const struct reference *reference, int windows, int n, uint64_t seed)
{
    struct rng rng = rng_of(seed);
    int found = 0;
    for (int w = 0; w < windows; w++) {
        AUTO(profile) struct profile *window = profile_of(PROFILE_MINUTE);
        struct drift_embedding values;
        struct drift_verdict verdict;
        for (int i = 0; i < n; i++) {
            double x[6];
            skewed(&rng, x);
            add(window, x, 6);
        }
        drift_embedding(&reference->features[0], vector_of(window), &values);
        drift_embedding_judge(&rule, &reference->features[0], &values, 1, &verdict);
        assert_null(verdict.why);
        found += verdict.statistic >= verdict.threshold;
        assert_true((verdict.p_value <= drift_level(&rule, 1)) ==
                    (verdict.statistic >= verdict.threshold));
    }
    return (double)found / windows;
}

static void windows_like_the_reference_are_called_drifted_as_rarely_as_promised(void **state)
{
    (void)state;
    struct rng rng = rng_of(1);
    AUTO(profile) struct profile *rows = profile_of(PROFILE_REFERENCE);
    AUTO(profile) struct profile *pane = profile_of(PROFILE_HOUR);
    for (int i = 0; i < 20000; i++) {
        double x[6];
        skewed(&rng, x);
        add(rows, x, 6);
        add(pane, x, 6);
    }
    AUTO(profile) struct profile *of_pane = profile_of(PROFILE_REFERENCE);
    assert_int_equal(profile_merge(of_pane, pane), 0);
    AUTO(reference) struct reference *fine = reference_of(rows), *coarse = reference_of(of_pane);

    double few = alarms(fine, 3000, 50, 11), many = alarms(fine, 3000, 500, 12);
    double bound = alarms(coarse, 3000, 50, 13);

    print_message("promised %.4f: of 50 %.4f, of 500 %.4f, shape not known %.4f\n",
                  drift_level(&rule, 1), few, many, bound);
    assert_true(few > 0.030 && few < 0.055); /* 0.0425 ± 3 standard errors of 0.0037 */
    assert_true(many > 0.030 && many < 0.055);
    assert_true(bound < few);
}

static void judge(const struct reference *reference, const struct profile *window,
                  struct drift_feature *out)
{
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    struct drift_summary summary;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    const struct drift_question question = {
        .nulls = nulls, .rule = &rule, .reference = reference, .window = window};
    assert_int_equal(drift_window(&question, out, &summary), 0);
}

static void a_cloud_that_turns_keeps_its_norm_and_is_found_by_its_mean(void **state)
{
    (void)state;
    struct rng rng = rng_of(4);
    AUTO(profile) struct profile *rows = profile_of(PROFILE_REFERENCE);
    AUTO(profile) struct profile *same = profile_of(PROFILE_MINUTE);
    AUTO(profile) struct profile *turned = profile_of(PROFILE_MINUTE);
    for (int i = 0; i < 3000; i++) {
        double length = 1 + 0.1 * rng_normal(&rng), angle = 0.2 * rng_normal(&rng);
        double x[2] = {length * cos(angle), length * sin(angle)};
        double y[2] = {length * cos(angle + 0.1), length * sin(angle + 0.1)};
        add(i < 2500 ? rows : same, x, 2);
        if (i >= 2500)
            add(turned, y, 2);
    }
    AUTO(reference) struct reference *reference = reference_of(rows);
    struct drift_feature quiet, loud;

    judge(reference, same, &quiet);
    judge(reference, turned, &loud);

    assert_false(quiet.verdict.drifted);
    assert_close(loud.numeric.ks.value, quiet.numeric.ks.value, 0.01);
    assert_true(loud.verdict.drifted);
    assert_string_equal(loud.verdict.method, "mean_distance_norm");
    assert_close(loud.embedding.mean_distance.value, 0.1, 0.02);
}

static void vectors_of_other_dimensions_are_not_compared_but_their_norms_are(void **state)
{
    (void)state;
    AUTO(profile) struct profile *rows = profile_of(PROFILE_REFERENCE);
    AUTO(profile) struct profile *other = profile_of(PROFILE_MINUTE);
    AUTO(profile) struct profile *mixed = profile_of(PROFILE_MINUTE);
    AUTO(profile) struct profile *few = profile_of(PROFILE_MINUTE);
    AUTO(profile) struct profile *far = profile_of(PROFILE_MINUTE);
    for (int i = 0; i < 100; i++) {
        double x[3] = {i, 1, 2}, y[3] = {1e9, i, 2};
        add(rows, x, 3);
        add(other, x, 2);
        add(mixed, x, i % 2 ? 2 : 3);
        add(far, y, 3);
        if (i < 20)
            add(few, x, 3);
    }
    AUTO(reference) struct reference *reference = reference_of(rows);
    struct drift_feature out;

    judge(reference, other, &out);
    assert_string_equal(out.embedding.mean_distance.why,
                        "the window's vectors have other dimensions than the reference's");
    assert_string_equal(out.verdict.method, "ks");
    assert_false(isnan(out.verdict.p_value));
    judge(reference, mixed, &out);
    assert_string_equal(out.embedding.mean_distance.why,
                        "the window has vectors of different dimensions");
    judge(reference, far, &out);
    assert_string_equal(out.embedding.mean_distance.why, "the window has no mean vector");
    judge(reference, few, &out);
    assert_false(isnan(out.embedding.mean_distance.value));
    assert_string_equal(out.verdict.method, "ks"); /* of 20 vectors only the norms are judged */
}

static struct buf saved_reference(const struct reference *reference)
{
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    reference_save(reference, &bytes);
    assert_false(buf_failed(&bytes));
    return bytes;
}

static void saved_vectors_come_back_and_those_from_before_have_none(void **state)
{
    (void)state;
    AUTO(profile) struct profile *rows = profile_of(PROFILE_REFERENCE);
    AUTO(profile) struct profile *old = profile_of(PROFILE_MINUTE);
    AUTO(profile) struct profile *loaded = NULL;
    for (int i = 0; i < 100; i++) {
        double x[3] = {i, 1, 2 + i % 7};
        add(rows, x, 3);
        struct embedding norm_alone = {i, 1, NULL, 3};
        assert_int_equal(profile_embedding(old, 0, &norm_alone, 1), 0);
    }
    AUTO(reference) struct reference *reference = reference_of(rows), *again = NULL;
    AUTO(reference) struct reference *former = reference_of(old);
    struct buf bytes = saved_reference(reference), before = saved_reference(former);
    assert_int_equal(bytes.data[0], 2);
    assert_int_equal(before.data[0], 1); /* as the program that knew no vectors wrote it */
    assert_int_equal(reference_load(&again, bytes.data, bytes.size, NULL), 0);
    assert_memory_equal(&again->features[0].vector, &reference->features[0].vector,
                        sizeof(struct reference_vector));
    buf_finish(&bytes);

    buf_init(&bytes, 1 << 20);
    profile_save(old, &bytes);
    assert_int_equal(bytes.data[0], 1);
    assert_int_equal(profile_load(&loaded, &layout, PROFILE_HOUR, bytes.data, bytes.size, NULL), 0);
    struct drift_feature out;
    judge(reference, loaded, &out);
    assert_string_equal(out.embedding.mean_distance.why, "the window has no mean vector");
    AUTO(profile) struct profile *window = profile_of(PROFILE_MINUTE);
    double x[3] = {1, 2, 3};
    add(window, x, 3);
    judge(former, window, &out);
    assert_string_equal(out.embedding.mean_distance.why,
                        "the reference has no mean vector: it was made before those were kept");
    buf_finish(&bytes);
    buf_finish(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_to_32_dimensions_nothing_is_lost),
        cmocka_unit_test(beyond_them_a_length_is_off_by_an_eighth_on_average),
        cmocka_unit_test(the_sum_of_weighted_chi_squares_has_imhofs_values),
        cmocka_unit_test(the_variances_are_those_of_the_vectors_along_their_axes),
        cmocka_unit_test(panes_tell_the_shape_where_there_are_64_of_them),
        cmocka_unit_test(windows_like_the_reference_are_called_drifted_as_rarely_as_promised),
        cmocka_unit_test(a_cloud_that_turns_keeps_its_norm_and_is_found_by_its_mean),
        cmocka_unit_test(vectors_of_other_dimensions_are_not_compared_but_their_norms_are),
        cmocka_unit_test(saved_vectors_come_back_and_those_from_before_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
