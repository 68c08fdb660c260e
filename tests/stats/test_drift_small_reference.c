/* References of few values: their own noise is most of what a larger window sees. */
#include <stdio.h>

#include "stats/distribution.h"
#include "stats/drift_path.h"
#include "tests/stats/even_bins.h"

enum {
    M = 200,
    N = 1000,
    REFERENCES = 20000
};

/* --- bins --- */

static void bins_of_a_small_reference_are_not_far_off_more_often_than_promised(void **state)
{
    (void)state;
    struct even_bins world = {.n_bins = 9, .m = M, .n = N, .value = rng_uniform};
    struct rng rng = rng_of(3);
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    int small[2] = {0};
    for (uint64_t i = 0; i < REFERENCES; i++) {
        even_bins_draw(&world, &rng);
        struct drift_numeric numeric = even_bins_window(&world, &rng);
        for (int k = 0; k < 2; k++) {
            enum drift_method method = k ? DRIFT_HELLINGER : DRIFT_JS;
            double distance = k ? numeric.hellinger.value : numeric.js_distance.value;
            if (distance * distance < 14 * (1.0 / M + 1.0 / N) / 8 * (k ? 1 : M_LOG2E))
                continue; /* nine squares: 14 is no rarity */
            small[k] += even_bins_p(nulls, &world, i, &numeric, method, 0.01) <= 0.0085;
        }
    }
    for (int k = 0; k < 2; k++) {
        double share = small[k] / (1.0 * REFERENCES);
        printf("%s: %.5f of windows have p <= 0.0085\n", k ? "hellinger" : "js_distance", share);
        assert_true(share > 0.0085 * 0.8 && share < 0.01);
    }
}

static void without_skewness_it_is_students_t(void **state)
{
    (void)state;
    struct drift_path_mean mean = {.m = 20, .n = 1e12};
    for (double t = 0.5; t < 6; t += 0.5) {
        double p = normal_sf(drift_path_of_known_std(t, &mean));
        assert_true(fabs(p / t_sf(t, 20) - 1) < 0.02);
    }
    mean.n = 1e-6; /* a window so small that the deviation is as good as known */
    assert_true(fabs(drift_path_of_known_std(3, &mean) - 3) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_of_a_small_reference_are_not_far_off_more_often_than_promised),
        cmocka_unit_test(without_skewness_it_is_students_t),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
