/* Lognormal values: half of the bins lie where the reference has few of them. */
#include <math.h>
#include <stdio.h>

#include "tests/stats/even_bins.h"

enum {
    REFERENCES = 3000,
    WINDOWS_OF_ONE = 4
};
#define LEVEL 0.05

static double lognormal(struct rng *rng)
{
    return exp(rng_normal(rng));
}

static void bins_of_few_values_do_not_make_alarms_rarer_than_promised(void **state)
{
    (void)state;
    static const enum drift_method methods[2] = {DRIFT_JS, DRIFT_HELLINGER};
    struct even_bins world = {.n_bins = 18, .m = 1000, .n = 1000, .value = lognormal};
    struct rng rng = rng_of(8);
    int small[2] = {0, 0};
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (uint64_t i = 0; i < REFERENCES; i++) {
        even_bins_draw(&world, &rng);
        for (int window = 0; window < WINDOWS_OF_ONE; window++) {
            struct drift_numeric numeric = even_bins_window(&world, &rng);
            for (int k = 0; k < 2; k++)
                small[k] += even_bins_p(nulls, &world, i, &numeric, methods[k], LEVEL) <= LEVEL;
        }
    }
    for (int k = 0; k < 2; k++) {
        const double share = small[k] / (1.0 * REFERENCES * WINDOWS_OF_ONE);
        printf("%s: %.4f of windows have p <= 0.05\n", drift_method_name(methods[k]), share);
        assert_true(share > 0.93 * LEVEL && share < LEVEL / 0.85); /* what the rate keeps back */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_of_few_values_do_not_make_alarms_rarer_than_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
