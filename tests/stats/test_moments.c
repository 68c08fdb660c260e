#include "stats/moments.h"

#include <math.h>

#include "tests/test.h"

static void welford_meets_a_sum_done_by_hand(void **state)
{
    (void)state;
    struct moments moments = {0};
    for (int y = 1; y <= 4; y++)
        moments_update(&moments, y);

    assert_int_equal(moments.n, 4);
    assert_close(moments.mean, 2.5, 0);
    assert_close(moments.m2, 5, 1e-15);
    assert_close(moments_variance(&moments), 5.0 / 3, 1e-15);
}

static void a_single_value_has_no_variance(void **state)
{
    (void)state;
    struct moments moments = {0};
    moments_update(&moments, 7);

    assert_true(isnan(moments_variance(&moments)));
}

/* 1e9 values around 1e4 with variance 1: merged from blocks of a million. */
static void a_thousand_million_values_keep_the_variance(void **state)
{
    (void)state;
    struct moments block = {0}, all = {0};
    for (int i = 0; i < 500000; i++) {
        moments_update(&block, 10001);
        moments_update(&block, 9999);
    }
    for (int k = 0; k < 1000; k++)
        moments_merge(&all, &block);

    assert_int_equal(all.n, 1000000000);
    assert_close(all.mean, 10000, 1e-8);
    assert_close(moments_variance(&all), 1e9 / (1e9 - 1), 1e-9);
}

static void merging_pairs_equals_adding_them_one_by_one(void **state)
{
    (void)state;
    struct pair_moments one = {0}, left = {0}, right = {0}, empty = {0};
    double y_sum = 0, yy = 0, x_sum = 0, xx = 0, xy = 0;
    for (int i = 0; i < 100; i++) {
        double x = (i * 37) % 11, y = 3 * x + (i * 53) % 7;
        pair_update(&one, y, x);
        pair_update(i < 30 ? &left : &right, y, x);
        y_sum += y, yy += y * y, x_sum += x, xx += x * x, xy += x * y;
    }
    pair_merge(&left, &right);
    pair_merge(&left, &empty);
    pair_merge(&empty, &left);
    struct pair_moments sums = pair_of_sums(100, y_sum, yy, x_sum, xx, xy);

    assert_close(empty.cross, one.cross, 1e-9);
    assert_close(empty.x.m2, one.x.m2, 1e-9);
    assert_close(empty.y.mean, one.y.mean, 1e-12);
    assert_close(pair_covariance(&sums), pair_covariance(&one), 1e-9);
    assert_close(moments_variance(&sums.y), moments_variance(&one.y), 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(welford_meets_a_sum_done_by_hand),
        cmocka_unit_test(a_single_value_has_no_variance),
        cmocka_unit_test(a_thousand_million_values_keep_the_variance),
        cmocka_unit_test(merging_pairs_equals_adding_them_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
