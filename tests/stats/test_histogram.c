#include "stats/histogram.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "common/rng.h"
#include "stats/distribution.h"
#include "tests/test.h"

static void add(struct histogram *h, double x, int sign)
{
    assert_int_equal(histogram_room(h), 0);
    histogram_add(h, x, sign);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double exact_quantile(double *x, size_t n, double q)
{
    qsort(x, n, sizeof(*x), ascending);
    const double rank = (double)(n - 1) * q;
    const size_t below = (size_t)rank;
    const size_t above = below + 1 < n ? below + 1 : below;
    return x[below] + (rank - (double)below) * (x[above] - x[below]);
}

static void quantiles_are_within_their_bound_and_that_within_half_a_percent(void **state)
{
    (void)state;
    enum {
        N = 3000
    };
    static double x[N];
    const double qs[] = {0, 0.01, 0.1, 0.5, 0.9, 0.99, 1};
    struct rng rng = rng_of(2);
    for (int shape = 0; shape < 3; shape++) {
        struct histogram h;
        struct span *spans;
        size_t n;
        histogram_init(&h, 7, false);
        for (int i = 0; i < N; i++) {
            x[i] = shape == 0 ? rng_exponential(&rng, 20) : 100 * rng_normal(&rng);
            x[i] = shape == 2 ? floor(x[i]) : x[i];
            add(&h, x[i], 1);
        }
        assert_int_equal(histogram_spans(&h, &spans, &n), 0);
        for (size_t i = 0; i < sizeof(qs) / sizeof(qs[0]); i++) {
            const double exact = exact_quantile(x, N, qs[i]);
            const struct quantile got = quantile_of(spans, n, qs[i]);
            assert_close(got.value, exact, got.bound);
            assert_true(got.bound <= 0.008 * fabs(exact) + 1e-12);
        }
        free(spans);
        histogram_finish(&h);
    }
}

static void a_bin_of_one_value_knows_it_also_after_others_have_left(void **state)
{
    (void)state;
    struct histogram h;
    struct span *spans;
    size_t n;
    histogram_init(&h, 7, true);
    add(&h, 3531.25, 1);
    add(&h, 3530.125, 1);
    add(&h, -2, 1);
    assert_int_equal(histogram_spans(&h, &spans, &n), 0);
    assert_int_equal(n, 2);
    assert_close(spans[0].lo, -2, 0);
    assert_close(spans[0].hi, -2, 0);
    assert_close(spans[1].lo, 3520, 0);
    assert_close(spans[1].hi, 3536, 0);
    free(spans);

    add(&h, 3530.125, -1);
    histogram_coarsen(&h, 3);
    assert_int_equal(histogram_spans(&h, &spans, &n), 0);
    assert_close(spans[1].lo, 3531.25, 0);
    assert_close(spans[1].hi, 3531.25, 0);
    free(spans);
    histogram_finish(&h);
}

static void extreme_values_have_bins(void **state)
{
    (void)state;
    struct histogram h;
    struct span *spans;
    size_t n;
    histogram_init(&h, 7, false);
    add(&h, DBL_MAX, 1);
    add(&h, -DBL_MAX, 1);
    add(&h, 0, 1);
    add(&h, -0.0, 1);
    add(&h, 0x1p-1074, 1);
    assert_int_equal(histogram_spans(&h, &spans, &n), 0);
    assert_int_equal(n, 3);
    assert_close(spans[0].lo, -DBL_MAX, 0);
    assert_int_equal(spans[1].n, 3);
    assert_close(spans[1].lo, 0, 0);
    assert_close(spans[2].hi, DBL_MAX, 0);
    free(spans);
    histogram_finish(&h);
}

static void fine_and_coarse_histograms_merge_either_way(void **state)
{
    (void)state;
    struct histogram fine[2], coarse[2];
    struct buf bytes[2];
    struct rng rng = rng_of(3);
    for (int i = 0; i < 2; i++) {
        histogram_init(&fine[i], 11, true);
        histogram_init(&coarse[i], 7, true);
        buf_init(&bytes[i], 1 << 20);
    }
    for (int i = 0; i < 500; i++) {
        const double x = rng_normal(&rng), y = rng_normal(&rng);
        for (int j = 0; j < 2; j++) {
            add(&fine[j], x, 1);
            add(&coarse[j], y, 1);
        }
    }
    assert_int_equal(histogram_room_merge(&fine[0], &coarse[0]), 0);
    histogram_merge(&fine[0], &coarse[0]);
    assert_int_equal(histogram_room_merge(&coarse[1], &fine[1]), 0);
    histogram_merge(&coarse[1], &fine[1]);

    histogram_save(&fine[0], &bytes[0]);
    histogram_save(&coarse[1], &bytes[1]);
    assert_int_equal(bytes[0].size, bytes[1].size);
    assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].size);
    for (int i = 0; i < 2; i++) {
        histogram_finish(&fine[i]);
        histogram_finish(&coarse[i]);
        buf_finish(&bytes[i]);
    }
}

static void intervals_of_quantiles_are_order_statistics(void **state)
{
    (void)state;
    struct span spans[100];
    for (int i = 0; i < 100; i++)
        spans[i] = (struct span){i + 1, i + 1, 1};

    const struct quantile median = quantile_of(spans, 100, 0.5);
    assert_close(median.value, 50.5, 0);
    assert_close(median.bound, 0, 0);
    assert_close(median.lower, 40, 0); /* the exact ranks of a median of 100 */
    assert_close(median.upper, 61, 0);
    assert_true(isnan(quantile_of(spans, 5, 0.5).lower)); /* five values cannot give 95% */
    assert_close(quantile_of(spans, 6, 0.5).lower, 1, 0); /* six can: 1 - 2 / 64 */
    assert_close(quantile_of(spans, 6, 0.5).upper, 6, 0);
    assert_true(isnan(quantile_of(spans, 0, 0.5).value));
}

/* Counted up from rank 0, one by one: the smallest k with P(X <= k) >= p. */
static int64_t counted_rank(int64_t n, double q, double p)
{
    int64_t k = 0;
    while (k < n && binomial_cdf(k, n, q) < p)
        k++;
    return k;
}

static void their_ranks_are_those_of_the_binomial_law_at_any_n(void **state)
{
    (void)state;
    enum {
        MOST = 700
    };
    static const double qs[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.9999};
    static struct span spans[MOST];
    int n_intervals = 0;
    for (int i = 0; i < MOST; i++)
        spans[i] = (struct span){i + 1, i + 1, 1};
    for (size_t j = 0; j < sizeof(qs) / sizeof(qs[0]); j++)
        for (int n = 1; n <= MOST; n += 1 + n / 10) {
            const struct quantile got = quantile_of(spans, (size_t)n, qs[j]);
            const int64_t l = counted_rank(n, qs[j], 0.025), u = counted_rank(n, qs[j], 0.975) + 1;
            const bool has_one = l >= 1 && u <= n;
            assert_int_equal(!isnan(got.lower), has_one);
            n_intervals += has_one;
            if (!has_one)
                continue;
            assert_close(got.lower, (double)l, 0);
            assert_close(got.upper, (double)u, 0);
        }
    assert_true(n_intervals > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_their_bound_and_that_within_half_a_percent),
        cmocka_unit_test(a_bin_of_one_value_knows_it_also_after_others_have_left),
        cmocka_unit_test(extreme_values_have_bins),
        cmocka_unit_test(fine_and_coarse_histograms_merge_either_way),
        cmocka_unit_test(intervals_of_quantiles_are_order_statistics),
        cmocka_unit_test(their_ranks_are_those_of_the_binomial_law_at_any_n),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
