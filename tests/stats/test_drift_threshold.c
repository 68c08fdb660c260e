#include "stats/drift_threshold.h"

#include <math.h>
#include <string.h>

#include "common/rng.h"
#include "stats/distribution.h"
#include "tests/test.h"

enum {
    REFERENCE = 4000,
    FEATURES = 8
};

struct world {
    struct profile_feature features[2];
    struct profile_layout layout;
    struct reference *reference;
    struct drift_nulls *nulls;
};

static uint64_t category_of(double x)
{
    return (uint64_t)floor(fmin(fabs(x) * 2, 7)) + 1;
}

static void fold(struct profile *profile, double x)
{
    profile_event(profile, 1);
    profile_number(profile, 0, x, 1);
    profile_category(profile, 1, category_of(x), 1);
}

static double rng_exponential_1(struct rng *rng)
{
    return rng_exponential(rng, 1);
}

static void make_of(struct world *world, struct rng *rng, int n, double (*draw)(struct rng *rng))
{
    *world = (struct world){
        .features =
            {{.name_id = 1, .kind = PROFILE_NUMERIC, .min = (double)NAN, .max = (double)NAN},
             {.name_id = 2, .kind = PROFILE_CATEGORICAL, .min = (double)NAN, .max = (double)NAN}},
    };
    world->layout = (struct profile_layout){.n_features = 2, .features = world->features};
    AUTO(profile) struct profile *profile = NULL;
    assert_int_equal(profile_new(&profile, &world->layout, PROFILE_REFERENCE, NULL), 0);
    for (int i = 0; i < n; i++)
        fold(profile, draw(rng));
    assert_int_equal(reference_build(&world->reference, profile, 0, NULL), 0);
    assert_int_equal(drift_nulls_new(&world->nulls, NULL), 0);
}

static void make(struct world *world, struct rng *rng, int n)
{
    make_of(world, rng, n, rng_normal);
}

static void finish(struct world *world)
{
    reference_free(world->reference);
    drift_nulls_free(world->nulls);
}

/* The verdict of a window by `rule`; feature 0 numbers, 1 categories. */
static struct drift_verdict judge_window(struct world *world, const struct profile *window,
                                         const struct drift_rule *rule, int feature)
{
    struct drift_numeric numeric;
    struct drift_categorical categorical;
    struct drift_subject subject = {.reference =
                                        reference_find(world->reference, (uint64_t)feature + 1),
                                    .reference_id = world->reference->id};
    if (feature == 0) {
        struct drift_numeric_input in = {
            subject.reference, subject.reference_id, window->features[0].numeric, NULL, 0, false};
        drift_numeric(&in, &numeric);
        subject.numeric = &numeric;
        subject.numbers = window->features[0].numeric;
    } else {
        drift_categorical(subject.reference, subject.reference_id, window->features[1].categories,
                          &categorical);
        subject.categorical = &categorical;
        subject.categories = window->features[1].categories;
    }
    struct drift_verdict verdict;
    assert_int_equal(drift_judge(world->nulls, rule, &subject, FEATURES, &verdict), 0);
    return verdict;
}

/* The same of a window of n, shifted. */
static struct drift_verdict judge(struct world *world, struct rng *rng, int n, double shift,
                                  const struct drift_rule *rule, int feature)
{
    AUTO(profile) struct profile *window = NULL;
    assert_int_equal(profile_new(&window, &world->layout, PROFILE_HOUR, NULL), 0);
    for (int i = 0; i < n; i++)
        fold(window, rng_normal(rng) + shift);
    return judge_window(world, window, rule, feature);
}

/* A small part of ./dev bench-stats: promised 0.05 a window of 8 features. */
static void false_alarms_keep_the_promise(void **state)
{
    (void)state;
    static const enum drift_method methods[] = {DRIFT_AUTO, DRIFT_PSI, DRIFT_JS};
    struct rng rng = rng_of(11);
    for (int k = 0; k < 3; k++) {
        enum {
            WINDOWS = 240
        };
        struct drift_rule rule = {methods[k], 0.05, 0};
        int alarms = 0;
        for (int w = 0; w < WINDOWS;) {
            struct world world;
            make(&world, &rng, REFERENCE);
            for (int repeat = 0; repeat < 24; repeat++, w++) {
                struct drift_verdict verdicts[FEATURES];
                for (int f = 0; f < FEATURES; f++)
                    verdicts[f] = judge(&world, &rng, 300, 0, &rule, f % 2);
                assert_int_equal(drift_family(verdicts, FEATURES, &rule), 0);
                bool any = false;
                for (int f = 0; f < FEATURES; f++)
                    any = any || verdicts[f].drifted;
                alarms += any;
            }
            finish(&world);
        }
        /* more than this would come by chance once in a hundred runs (another seed) */
        assert_true(binomial_sf(alarms - 1, WINDOWS, 0.05) > 0.01);
    }
}

/* p-values of wasserstein_norm for windows of 50 skewed values; a new reference every 200. */
static void draw_p_values(struct rng *rng, double *p, int n)
{
    struct world world = {0};
    struct drift_rule rule = {DRIFT_WASSERSTEIN_NORM, 0.01, 0};
    for (int i = 0; i < n; i++) {
        if (i % 200 == 0) {
            if (i)
                finish(&world);
            make_of(&world, rng, REFERENCE, rng_exponential_1);
        }
        AUTO(profile) struct profile *window = NULL;
        assert_int_equal(profile_new(&window, &world.layout, PROFILE_HOUR, NULL), 0);
        for (int k = 0; k < 50; k++)
            profile_number(window, 0, rng_exponential(rng, 1), 1);
        p[i] = judge_window(&world, window, &rule, 0).p_value;
    }
    finish(&world);
}

/*
 * Small windows of skewed values in families of 50, promised 0.01: the distance's tail there is
 * not that of many values.
 */
static void few_skewed_values_keep_the_promise_of_wasserstein(void **state)
{
    (void)state;
    enum {
        FAMILIES = 800,
        FAMILY = 50
    };
    struct rng rng = rng_of(15);
    struct drift_rule rule = {DRIFT_WASSERSTEIN_NORM, 0.01, 0};
    double *p = calloc((size_t)FAMILIES * FAMILY, sizeof(*p));
    assert_non_null(p);
    draw_p_values(&rng, p, FAMILIES * FAMILY);
    int alarms = 0;
    for (int k = 0; k < FAMILIES; k++) {
        struct drift_verdict verdicts[FAMILY];
        bool any = false;
        for (int f = 0; f < FAMILY; f++) /* of 50 references each */
            verdicts[f] = (struct drift_verdict){.p_value = p[f * FAMILIES + k], .statistic = 1};
        assert_int_equal(drift_family(verdicts, FAMILY, &rule), 0);
        for (int f = 0; f < FAMILY; f++)
            any = any || verdicts[f].drifted;
        alarms += any;
    }
    free(p);
    assert_true(binomial_sf(alarms - 1, FAMILIES, 0.01) > 0.01);
}

/* One outlier far beyond all that the reference had moves the distance, but proves nothing. */
static void one_value_beyond_the_reference_is_no_alarm_by_its_distance(void **state)
{
    (void)state;
    struct rng rng = rng_of(16);
    struct world world;
    make(&world, &rng, REFERENCE);
    struct drift_rule rule = {DRIFT_WASSERSTEIN_NORM, 0.01, 0};
    AUTO(profile) struct profile *window = NULL;
    assert_int_equal(profile_new(&window, &world.layout, PROFILE_HOUR, NULL), 0);
    for (int k = 0; k < 99; k++)
        profile_number(window, 0, rng_normal(&rng), 1);
    struct drift_verdict before = judge_window(&world, window, &rule, 0);
    profile_number(window, 0, 1e6, 1);

    struct drift_verdict after = judge_window(&world, window, &rule, 0);

    assert_true(after.statistic > 9000 && after.threshold > 9000);
    assert_true(after.statistic < after.threshold);
    assert_true(after.p_value > 0.01 && before.p_value > 0.01);
    finish(&world);
}

/* An unseen category beside a window that is as ever; then many of them. */
static void unseen_categories_are_weighed_by_themselves_in_chi2(void **state)
{
    (void)state;
    struct rng rng = rng_of(17);
    struct world world;
    make(&world, &rng, REFERENCE);
    struct drift_rule rule = {DRIFT_CHI2, 0.01, 0};
    AUTO(profile) struct profile *window = NULL;
    assert_int_equal(profile_new(&window, &world.layout, PROFILE_HOUR, NULL), 0);
    for (int k = 0; k < 60; k++)
        profile_category(window, 1, category_of(rng_normal(&rng)), 1);
    profile_category(window, 1, 77, 1);

    struct drift_verdict one = judge_window(&world, window, &rule, 1);
    for (int k = 0; k < 12; k++)
        profile_category(window, 1, 77, 1);
    struct drift_verdict many = judge_window(&world, window, &rule, 1);
    for (int k = 0; k < 12; k++)
        profile_category(window, 1, 77, 1);
    struct drift_verdict more = judge_window(&world, window, &rule, 1);

    /* how far beyond an alarm a window is, its statistic over its threshold tells */
    assert_true(many.statistic / many.threshold > 2);
    assert_true(more.statistic / more.threshold > 1.5 * many.statistic / many.threshold);
    assert_true(one.statistic > 65 && one.p_value > 0.01); /* 4,000 / 61 and the others */
    assert_true(one.statistic < one.threshold);
    assert_true(many.p_value < 1e-6 && many.statistic > many.threshold);
    finish(&world);
}

static void a_shift_is_found_and_the_others_left_alone(void **state)
{
    (void)state;
    struct rng rng = rng_of(12);
    struct world world;
    make(&world, &rng, REFERENCE);
    struct drift_rule rule = {DRIFT_AUTO, 0.01, 0.05};
    struct drift_verdict verdicts[FEATURES];
    for (int f = 0; f < FEATURES; f++)
        verdicts[f] = judge(&world, &rng, 1000, f == 4 ? 0.5 : 0, &rule, f % 2);
    assert_int_equal(drift_family(verdicts, FEATURES, &rule), 0);

    for (int f = 0; f < FEATURES; f++)
        assert_int_equal(verdicts[f].drifted, f == 4);
    assert_string_equal(verdicts[4].method, "ks");
    assert_true(verdicts[4].statistic > verdicts[4].threshold);
    assert_true(verdicts[4].q_value <= 8 * verdicts[4].p_value * 1.0001);
    assert_true(fabs(drift_share(verdicts, FEATURES) - 1.0 / FEATURES) < 1e-12);
    assert_string_equal(verdicts[1].method, "js_distance");
    finish(&world);
}

static void a_small_effect_is_no_alarm_however_sure(void **state)
{
    (void)state;
    struct rng rng = rng_of(13);
    struct world world;
    make(&world, &rng, 15000);
    struct drift_rule rule = {DRIFT_KS, 0.01, 0.05};
    struct drift_verdict verdict = judge(&world, &rng, 40000, 0.07, &rule, 0);
    assert_int_equal(drift_family(&verdict, 1, &rule), 0);

    assert_true(verdict.q_value < 1e-3);
    assert_true(verdict.statistic < 0.05);
    assert_false(verdict.drifted);
    assert_true(verdict.threshold == 0.05);
    rule.min_effect = 0;
    assert_int_equal(drift_family(&verdict, 1, &rule), 0);
    assert_true(verdict.drifted);
    finish(&world);
}

static void assert_law_of_the_size_itself(const struct drift_null *null, double n)
{
    const double m = 10000, both = 1 / n + 1 / m;
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    struct law_question question = {.statistic = null->statistic,
                                    .counts = null->counts,
                                    .weights = null->weights,
                                    .n_bins = null->n_bins,
                                    .unseen = null->unseen,
                                    .m = m,
                                    .n = n};
    struct drift_law law;
    assert_int_equal(drift_law_make(&law, &question), 0);

    for (double p = 0.1; p > 1e-5; p /= 5) {
        double value = drift_law_quantile(&law, log(p)) * both;
        value = null->statistic == LAW_JS ? sqrt(value) : value;
        double here = drift_null_p(nulls, null, n, value);
        assert_true(here > p * 0.99 && here < p * 1.01);
        assert_true(fabs(drift_null_threshold(nulls, null, n, p) / value - 1) < 0.002);
    }
}

/* Laws are made at steps of the size: 430 and 512, 1722 and 2048. */
static void between_two_steps_the_law_is_that_of_the_size_itself(void **state)
{
    (void)state;
    double even[] = {1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000};
    double rare[] = {6000, 3000, 960, 20, 10, 5, 3, 2}; /* which are seen only by larger windows */
    const struct drift_null psi = {
        .statistic = LAW_PSI, .key = 7, .counts = even, .weights = even, .n_bins = 10};
    const struct drift_null js = {
        .statistic = LAW_JS, .key = 8, .counts = rare, .weights = rare, .n_bins = 8, .unseen = 2};

    assert_law_of_the_size_itself(&psi, 470);
    assert_law_of_the_size_itself(&js, 470);
    assert_law_of_the_size_itself(&js, 2040);
}

/* Scaled, the distance has one law for all sizes, but for what skewed values do to it. */
static void a_far_distance_of_skewed_values_is_less_rare(void **state)
{
    (void)state;
    double counts[] = {2500, 2500, 2500, 2500}, steps[] = {1, 1, 1};
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    struct drift_null even = {.statistic = LAW_WASSERSTEIN,
                              .key = 9,
                              .counts = counts,
                              .weights = counts,
                              .steps = steps,
                              .n_bins = 4};
    struct drift_null skewed = even;
    skewed.skew = 2;
    const double m = 10000, half = sqrt(1 / 5000.0 + 1 / m), small = sqrt(1 / 300.0 + 1 / m);
    double far = drift_null_threshold(nulls, &even, 300, 4e-5) / small;
    double near = drift_null_threshold(nulls, &even, 300, 0.01) / small;

    double p = drift_null_p(nulls, &even, 5000, far * half);
    assert_true(p > 4e-5 * 0.999 && p < 4e-5 * 1.01);
    p = drift_null_p(nulls, &skewed, 5000, far * half);
    assert_true(p > 4e-5 * 1.2 && p < 4e-5 * 1.5);
    p = drift_null_p(nulls, &skewed, 5000, near * half);
    assert_true(p > 0.01 && p < 0.0103);

    for (skewed.skew = 0; skewed.skew < 60; skewed.skew += 7) {
        for (p = 0.3; p > 1e-7; p /= 9) {
            const double threshold = drift_null_threshold(nulls, &skewed, 5000, p);
            assert_close(log(drift_null_p(nulls, &skewed, 5000, threshold)), log(p), 1e-8);
        }
    }
}

static void thresholds_and_p_values_answer_each_other(void **state)
{
    (void)state;
    double counts[] = {4000, 3000, 2000, 900, 100};
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL, *others = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    assert_int_equal(drift_nulls_new(&others, NULL), 0);
    struct drift_null psi = {
        .statistic = LAW_PSI, .key = 5, .counts = counts, .weights = counts, .n_bins = 5};
    struct drift_null js = psi;
    js.statistic = LAW_JS;
    js.unseen = 1;
    for (double p = 0.5; p > 1e-6; p /= 7) {
        double value = drift_null_threshold(nulls, &psi, 3000, p);
        double back = drift_null_p(nulls, &psi, 3000, value);
        assert_true(back > p * 0.97 && back < p * 1.03);
    }
    /* PSI's law is (1/n + 1/m) chi-squared(4) at such sizes */
    double exact = (1 / 20000.0 + 1 / 10000.0) * chi2_quantile(0.99, 4);
    assert_true(fabs(drift_null_threshold(nulls, &psi, 20000, 0.01) / exact - 1) < 0.08);

    /* asked in another order, by another cache: the same bits */
    double a = drift_null_p(nulls, &js, 700, 0.08);
    double b = drift_null_p(others, &js, 700, 0.08);
    assert_true(a == b && a > 0 && a < 1);
}

static void evidentlys_rules_stay_available(void **state)
{
    (void)state;
    struct rng rng = rng_of(14);
    struct drift_rule rule = {DRIFT_EVIDENTLY, 0.01, 0};
    struct world small, large;
    make(&small, &rng, 800);
    make(&large, &rng, 3000);

    struct drift_verdict a = judge(&small, &rng, 500, 0.5, &rule, 0);
    struct drift_verdict b = judge(&large, &rng, 500, 0.5, &rule, 0);
    struct drift_verdict c = judge(&large, &rng, 500, 0, &rule, 1);
    struct drift_verdict d = judge(&small, &rng, 500, 1.5, &rule, 1);

    assert_string_equal(a.method, "ks");
    assert_true(a.drifted && a.p_value < 0.05 && a.threshold == 0.05);
    assert_string_equal(b.method, "wasserstein_norm");
    assert_true(b.drifted && b.statistic > 0.4 && b.threshold == 0.1 && isnan(b.p_value));
    assert_string_equal(c.method, "js_distance");
    assert_false(c.drifted);
    assert_string_equal(d.method, "chi2");
    assert_true(d.drifted);
    finish(&small);
    finish(&large);
}

/* Both features take the values 1, 2 … as often as told. */
static void fold_counts(struct profile *profile, const int *counts, int n)
{
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < counts[k]; i++) {
            profile_event(profile, 1);
            profile_number(profile, 0, k + 1, 1);
            profile_category(profile, 1, (uint64_t)k + 1, 1);
        }
    }
}

static struct drift_verdict verdict_of(const struct drift_rule *rule, const int *reference,
                                       const int *window, int n, int feature)
{
    struct world world = {
        .features =
            {{.name_id = 1, .kind = PROFILE_NUMERIC, .min = (double)NAN, .max = (double)NAN},
             {.name_id = 2, .kind = PROFILE_CATEGORICAL, .min = (double)NAN, .max = (double)NAN}},
    };
    AUTO(profile) struct profile *old = NULL, *now = NULL;
    world.layout = (struct profile_layout){.n_features = 2, .features = world.features};
    assert_int_equal(profile_new(&old, &world.layout, PROFILE_REFERENCE, NULL), 0);
    fold_counts(old, reference, n);
    assert_int_equal(reference_build(&world.reference, old, 0, NULL), 0);
    assert_int_equal(drift_nulls_new(&world.nulls, NULL), 0);
    assert_int_equal(profile_new(&now, &world.layout, PROFILE_HOUR, NULL), 0);
    fold_counts(now, window, n);
    struct drift_verdict verdict = judge_window(&world, now, rule, feature);
    finish(&world);
    return verdict;
}

static struct drift_verdict evidently_of(const int *reference, const int *window, int n,
                                         int feature)
{
    const struct drift_rule rule = {DRIFT_EVIDENTLY, 0.01, 0};
    return verdict_of(&rule, reference, window, n, feature);
}

/* Evidently 0.7.23: up to 1,000 rows tests with p < 0.05, above distances with >= 0.1. */
static void evidentlys_choice_of_test_goes_by_rows_kind_and_values(void **state)
{
    (void)state;
    static const int six[] = {200, 200, 200, 200, 100, 100},
                     six_more[] = {200, 200, 200, 200, 100, 101};
    static const int few[] = {100, 100, 100, 100, 50, 50};
    static const int three[] = {500, 300, 200}, three_now[] = {230, 160, 110};
    static const int three_more[] = {500, 300, 201};
    static const int two[] = {400, 600}, two_now[] = {230, 270};
    static const int with_unseen[] = {250, 150, 100, 0}, unseen_now[] = {250, 150, 100, 1};

    for (int feature = 0; feature < 2; feature++) { /* few values: numbers as categories */
        struct drift_verdict chi2 = evidently_of(three, three_now, 3, feature);
        assert_string_equal(chi2.method, "chi2");
        assert_true(fabs(chi2.statistic - (1.6 + 2.0 / 3 + 1)) < 1e-12);
        assert_true(fabs(chi2.p_value - exp(-(1.6 + 2.0 / 3 + 1) / 2)) < 1e-12);
        assert_false(chi2.drifted);

        struct drift_verdict z = evidently_of(two, two_now, 2, feature);
        assert_true(fabs(fabs(z.statistic) - 0.06 / sqrt(0.42 * 0.58 * 0.003)) < 1e-12);
        assert_true(fabs(z.p_value - 2 * normal_sf(0.06 / sqrt(0.42 * 0.58 * 0.003))) < 1e-12);
        assert_string_equal(z.method, "z");
        assert_true(z.drifted && drift_by_p(&z));
        assert_true(fabs(drift_effect(&z) - log(z.p_value) / log(0.05)) < 1e-12);

        struct drift_verdict js = evidently_of(three_more, three_now, 3, feature);
        assert_string_equal(js.method, "js_distance");
        assert_true(js.threshold == 0.1 && isnan(js.p_value) && !js.drifted);

        assert_true(evidently_of(with_unseen, unseen_now, 4, feature).p_value == 0);
    }
    struct drift_verdict ks = evidently_of(six, few, 6, 0);
    assert_string_equal(ks.method, "ks"); /* 1,000 rows, six values */
    assert_true(ks.threshold == 0.05 && !ks.drifted && ks.p_value > 0.9);
    assert_true(drift_effect(&ks) < 0.1);
    struct drift_verdict distance = evidently_of(six_more, few, 6, 0);
    assert_string_equal(distance.method, "wasserstein_norm"); /* a row more */
    assert_true(distance.threshold == 0.1 && isnan(distance.p_value));
    assert_true(!drift_by_p(&distance) && drift_effect(&distance) == distance.statistic / 0.1);
    assert_string_equal(evidently_of(six_more, few, 6, 1).method, "js_distance");
}

/* What is different counts on both sides: a window may bring what the reference does not have. */
static void evidentlys_choice_counts_the_values_of_both_sides(void **state)
{
    (void)state;
    static const int one[] = {200, 0, 0}, one_now[] = {400, 0, 0}, two_more[] = {398, 1, 1},
                     another[] = {398, 2, 0};
    static const int five[] = {40, 40, 40, 40, 40, 0}, six_now[] = {80, 80, 80, 80, 79, 1};
    static const int five_many[] = {400, 400, 400, 400, 400, 0};

    for (int feature = 0; feature < 2; feature++) {
        struct drift_verdict chi2 = evidently_of(one, two_more, 3, feature);
        assert_string_equal(chi2.method, "chi2"); /* three values, two of them never expected */
        assert_true(chi2.p_value == 0 && chi2.drifted);
        struct drift_verdict z = evidently_of(one, another, 3, feature);
        assert_string_equal(z.method, "z");
        assert_true(fabs(z.p_value - 2 * normal_sf(0.005 / sqrt(598.0 / 600 * 2 / 600 * 0.0075))) <
                    1e-12);
        z = evidently_of(one, one_now, 3, feature);
        assert_string_equal(z.method, "z");
        assert_true(z.p_value == 1 && z.statistic == 0 && !z.drifted);
    }
    struct drift_verdict ks = evidently_of(five, six_now, 6, 0);
    assert_string_equal(ks.method, "ks"); /* a sixth number is one too many for categories */
    assert_true(ks.p_value > 0.9 && !ks.drifted);
    assert_string_equal(evidently_of(five_many, six_now, 6, 0).method, "wasserstein_norm");
    assert_string_equal(evidently_of(five, six_now, 6, 1).method, "chi2");
}

/* More categories than a reference has bins for: they are not thrown together. */
static void evidently_tests_each_of_many_categories(void **state)
{
    (void)state;
    enum {
        N = 200,
        TWO_EACH = 73
    };
    int reference[N], window[N];
    double chi2 = 0, both = 0, n_ref = 0, n = 0;
    for (int i = 0; i < N; i++) {
        reference[i] = i < TWO_EACH ? 2 : 3;
        window[i] = i < 150 ? 4 : 0;
        n_ref += reference[i];
        n += window[i];
    }
    for (int i = 0; i < N; i++) {
        const double expected = reference[i] / n_ref * n, d = window[i] - expected;
        chi2 += d * d / expected;
        const double p = reference[i] / n_ref, q = window[i] / n;
        both += p * log(2 * p / (p + q)) + (q > 0 ? q * log(2 * q / (p + q)) : 0);
    }
    struct drift_verdict verdict = evidently_of(reference, window, N, 1);
    assert_string_equal(verdict.method, "chi2");
    assert_true(fabs(verdict.statistic - chi2) < 1e-9);
    for (int i = 0; i < N; i++)
        reference[i] *= 2;
    verdict = evidently_of(reference, window, N, 1);
    assert_string_equal(verdict.method, "js_distance");
    assert_true(fabs(verdict.statistic - sqrt(both / 2)) < 1e-12);
}

/* Of two categories in 2,000 events; the third was never seen, and came once, alone or of ten. */
static void a_single_unseen_event_is_as_probable_however_few_there_are(void **state)
{
    (void)state;
    static const enum drift_method methods[] = {DRIFT_JS, DRIFT_HELLINGER, DRIFT_PSI, DRIFT_CHI2};
    static const int reference[] = {1000, 1000, 0}, alone[] = {0, 0, 1}, of_ten[] = {5, 4, 1},
                     all_ten[] = {0, 0, 10};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const struct drift_rule rule = {methods[i], 0.01, 0};
        const double one = verdict_of(&rule, reference, alone, 3, 1).p_value;
        assert_true(one > 1e-3 && one < 0.1);
        const struct drift_verdict ten = verdict_of(&rule, reference, of_ten, 3, 1);
        assert_true(ten.p_value > 0.01 && ten.statistic < ten.threshold);
        assert_true(verdict_of(&rule, reference, all_ten, 3, 1).p_value < 1e-9);
    }
}

static double threshold_of_key(struct drift_nulls *nulls, uint64_t key)
{
    static const double counts[2] = {600, 400};
    const struct drift_null null = {
        .statistic = LAW_CHI2, .key = key, .counts = counts, .weights = counts, .n_bins = 2};
    return drift_null_threshold(nulls, &null, 64, 0.01);
}

static void no_two_features_take_each_others_law_away(void **state)
{
    (void)state;
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);

    for (int window = 0; window < 3; window++)
        for (uint64_t feature = 1; feature <= 1000; feature++)
            threshold_of_key(nulls, feature);

    assert_int_equal(drift_nulls_made(nulls), 1000);
}

static void a_law_that_was_forgotten_is_made_again(void **state)
{
    (void)state;
    enum {
        MORE_THAN_ARE_KEPT = 30000
    };
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    const double first = threshold_of_key(nulls, 1);
    for (uint64_t feature = 2; feature <= MORE_THAN_ARE_KEPT; feature++)
        threshold_of_key(nulls, feature);

    assert_true(threshold_of_key(nulls, 1) == first);
    assert_int_equal(drift_nulls_made(nulls), MORE_THAN_ARE_KEPT + 1);
    threshold_of_key(nulls, MORE_THAN_ARE_KEPT);
    assert_int_equal(drift_nulls_made(nulls), MORE_THAN_ARE_KEPT + 1);
}

static void methods_are_known_by_name(void **state)
{
    (void)state;
    assert_int_equal(drift_method_parse("wasserstein_norm"), DRIFT_WASSERSTEIN_NORM);
    assert_int_equal(drift_method_parse("auto"), DRIFT_AUTO);
    assert_int_equal(drift_method_parse("kl"), -1);
    assert_string_equal(drift_method_name(DRIFT_L_INFINITY), "l_infinity");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(false_alarms_keep_the_promise),
        cmocka_unit_test(few_skewed_values_keep_the_promise_of_wasserstein),
        cmocka_unit_test(one_value_beyond_the_reference_is_no_alarm_by_its_distance),
        cmocka_unit_test(unseen_categories_are_weighed_by_themselves_in_chi2),
        cmocka_unit_test(a_shift_is_found_and_the_others_left_alone),
        cmocka_unit_test(a_small_effect_is_no_alarm_however_sure),
        cmocka_unit_test(between_two_steps_the_law_is_that_of_the_size_itself),
        cmocka_unit_test(a_far_distance_of_skewed_values_is_less_rare),
        cmocka_unit_test(thresholds_and_p_values_answer_each_other),
        cmocka_unit_test(evidentlys_rules_stay_available),
        cmocka_unit_test(evidentlys_choice_of_test_goes_by_rows_kind_and_values),
        cmocka_unit_test(evidentlys_choice_counts_the_values_of_both_sides),
        cmocka_unit_test(evidently_tests_each_of_many_categories),
        cmocka_unit_test(a_single_unseen_event_is_as_probable_however_few_there_are),
        cmocka_unit_test(no_two_features_take_each_others_law_away),
        cmocka_unit_test(a_law_that_was_forgotten_is_made_again),
        cmocka_unit_test(methods_are_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
