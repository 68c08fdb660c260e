#include "stats/score_bins.h"

#include <math.h>
#include <stdlib.h>

#include "common/rng.h"
#include "tests/test.h"

enum {
    MOST = 30000
};

struct scored {
    double score;
    bool positive;
};

static int descending(const void *a, const void *b)
{
    const double x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x < y) - (x > y);
}

/* Both areas from the sorted list, ties together: what scikit-learn computes. */
static void exact_areas(struct scored *x, size_t n, double *roc, double *precision_recall)
{
    qsort(x, n, sizeof(*x), descending);
    double tp = 0, fp = 0, area = 0, average = 0;
    for (size_t i = 0; i < n;) {
        double p = 0, q = 0;
        const double score = x[i].score;
        for (; i < n && x[i].score == score; i++)
            *(x[i].positive ? &p : &q) += 1;
        area += q * (tp + p / 2);
        tp += p;
        fp += q;
        average += p * tp / (tp + fp);
    }
    *roc = area / (tp * fp);
    *precision_recall = average / tp;
}

static void fold(struct score_bins *s, const struct scored *x)
{
    assert_int_equal(score_bins_room(s), 0);
    score_bins_predict(s, x->score, x->score >= 0.5);
    assert_int_equal(score_bins_room(s), 0);
    score_bins_label(s, x->score, x->positive, 1);
}

typedef double draw(struct rng *rng);

static double even(struct rng *rng)
{
    return rng_uniform(rng);
}
static double near_zero(struct rng *rng)
{
    return pow(rng_uniform(rng), 8);
}
static double near_one(struct rng *rng)
{
    return 1 - pow(rng_uniform(rng), 8);
}
static double hundredths(struct rng *rng)
{
    return floor(rng_uniform(rng) * 100) / 100;
}
static double ten_thousandths(struct rng *rng)
{
    return floor(rng_uniform(rng) * 10000) / 10000;
}
static double narrow(struct rng *rng)
{
    return 0.3 + 0.001 * rng_uniform(rng);
}
static double at_both_ends(struct rng *rng)
{
    const double x = rng_uniform(rng);
    return x < 0.1 ? 0 : x > 0.9 ? 1 : 1 / (1 + exp(-20 * (x - 0.5)));
}

static void areas_are_within_bounds_that_are_within_a_thousandth(void **state)
{
    (void)state;
    static draw *const draws[] = {even,   near_zero,   near_one, hundredths, ten_thousandths,
                                  narrow, at_both_ends};
    static const size_t sizes[] = {40, 900, MOST};
    struct scored *x = calloc(MOST, sizeof(*x));
    assert_non_null(x);
    struct rng rng = rng_of(1);
    for (size_t d = 0; d < sizeof(draws) / sizeof(draws[0]); d++)
        for (size_t k = 0; k < 3; k++) {
            struct score_bins s;
            struct score_bin *bins;
            size_t n;
            double roc, average;
            score_bins_init(&s, 0);
            for (size_t i = 0; i < sizes[k]; i++) {
                x[i].score = draws[d](&rng);
                x[i].positive = rng_uniform(&rng) < 0.2 + 0.6 * x[i].score;
                fold(&s, &x[i]);
            }
            exact_areas(x, sizes[k], &roc, &average);
            assert_int_equal(score_bins_list(&s, &bins, &n), 0);
            const struct area of_roc = area_roc(bins, n), of_pr = area_precision_recall(bins, n);
            assert_close(of_roc.value, roc, of_roc.bound + 1e-12);
            assert_close(of_pr.value, average, of_pr.bound + 1e-12);
            assert_true(of_roc.bound <= 1e-3);
            assert_true(of_pr.bound <= 1e-3);
            if (sizes[k] < 1024 || draws[d] == hundredths) {
                assert_close(of_roc.bound, 0, 0);
                assert_close(of_pr.bound, 0, 1e-15);
            }
            free(bins);
            score_bins_finish(&s);
        }
    free(x);
}

/* n^2 pairs, as in the paper. */
static double delong_naive(const struct scored *x, size_t n, double auc)
{
    double positives = 0, negatives = 0, of_positives = 0, of_negatives = 0;
    for (size_t i = 0; i < n; i++)
        *(x[i].positive ? &positives : &negatives) += 1;
    for (size_t i = 0; i < n; i++) {
        double placement = 0;
        for (size_t j = 0; j < n; j++)
            if (x[i].positive != x[j].positive) {
                const double high = x[i].positive ? x[i].score : x[j].score;
                const double low = x[i].positive ? x[j].score : x[i].score;
                placement += high > low ? 1 : high == low ? 0.5 : 0;
            }
        const double away = placement / (x[i].positive ? negatives : positives) - auc;
        *(x[i].positive ? &of_positives : &of_negatives) += away * away;
    }
    return of_positives / (positives - 1) / positives + of_negatives / (negatives - 1) / negatives;
}

static void the_variance_is_delongs(void **state)
{
    (void)state;
    struct scored x[300];
    struct score_bins s;
    struct score_bin *bins;
    size_t n;
    struct rng rng = rng_of(6);
    score_bins_init(&s, 0);
    for (int i = 0; i < 300; i++) {
        x[i] = (struct scored){hundredths(&rng), rng_uniform(&rng) < 0.3};
        fold(&s, &x[i]);
    }
    assert_int_equal(score_bins_list(&s, &bins, &n), 0);
    const struct area roc = area_roc(bins, n);
    assert_close(roc.variance, delong_naive(x, 300, roc.value), 1e-15);
    free(bins);
    score_bins_finish(&s);
}

static void bins_hold_their_scores(void **state)
{
    (void)state;
    struct score_bins s;
    struct score_bin *bins;
    size_t n, held = 0;
    struct scored *x = calloc(MOST, sizeof(*x));
    assert_non_null(x);
    struct rng rng = rng_of(8);
    score_bins_init(&s, 0);
    for (int i = 0; i < MOST; i++) {
        x[i].score = i < 3 ? i / 2.0 : rng_uniform(&rng);
        fold(&s, &x[i]);
    }
    assert_true(s.level > 0);
    assert_int_equal(score_bins_list(&s, &bins, &n), 0);
    assert_true(n <= 4096 && n > 1024);
    qsort(x, MOST, sizeof(*x), descending);
    size_t at = MOST;
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || bins[i - 1].hi <= bins[i].lo);
        held += (size_t)bins[i].n;
        for (int64_t j = 0; j < bins[i].n; j++) {
            at--;
            assert_true(x[at].score >= bins[i].lo && x[at].score <= bins[i].hi);
        }
    }
    assert_int_equal(held, MOST);
    free(bins);
    free(x);
    score_bins_finish(&s);
}

static void scores_outside_0_to_1_count_as_the_nearer_end(void **state)
{
    (void)state;
    struct score_bins s;
    struct score_bin *bins;
    struct span *distances;
    size_t n;
    score_bins_init(&s, 0);
    fold(&s, &(struct scored){-3, false});
    fold(&s, &(struct scored){-0.0, false});
    fold(&s, &(struct scored){1.5, true});
    fold(&s, &(struct scored){0.25, true});
    assert_int_equal(score_bins_list(&s, &bins, &n), 0);
    assert_int_equal(n, 3);
    assert_close(bins[0].hi, 0, 0);
    assert_int_equal(bins[0].n, 2);
    assert_close(bins[2].lo, 1, 0);
    free(bins);
    assert_int_equal(score_bins_distances(&s, &distances, &n), 0);
    assert_close(distances[0].lo, 0, 0);
    assert_close(distances[n - 1].hi, 0.25, 0);
    free(distances);
    score_bins_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(areas_are_within_bounds_that_are_within_a_thousandth),
        cmocka_unit_test(the_variance_is_delongs),
        cmocka_unit_test(bins_hold_their_scores),
        cmocka_unit_test(scores_outside_0_to_1_count_as_the_nearer_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
