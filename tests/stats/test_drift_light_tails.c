/* Normal values: the smallest and the largest lie in bins that hold others, too. */
#include <stdio.h>

#include "tests/stats/even_bins.h"

enum {
    REFERENCES = 2500,
    WINDOWS_OF_ONE = 6
};

static int count_small(enum drift_method method, double level)
{
    int small = 0;
    struct even_bins world = {.n_bins = 12, .m = 2000, .n = 1000, .value = rng_normal};
    struct rng rng = rng_of(6);
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (uint64_t i = 0; i < REFERENCES; i++) {
        even_bins_draw(&world, &rng);
        for (int window = 0; window < WINDOWS_OF_ONE; window++) {
            struct drift_numeric numeric = even_bins_window(&world, &rng);
            small += even_bins_p(nulls, &world, i, &numeric, method, level) <= level;
        }
    }
    return small;
}

static void bins_that_end_at_the_outermost_values_are_rare_as_often_as_their_p_says(void **state)
{
    (void)state;
    static const enum drift_method methods[2] = {DRIFT_JS, DRIFT_HELLINGER};
    for (int i = 0; i < 2; i++) {
        double share = count_small(methods[i], 0.01) / (1.0 * REFERENCES * WINDOWS_OF_ONE);
        printf("%s: %.4f of windows have p <= 0.01\n", drift_method_name(methods[i]), share);
        assert_true(share > 0.01 * 0.85 && share < 0.01 * 1.1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_that_end_at_the_outermost_values_are_rare_as_often_as_their_p_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
