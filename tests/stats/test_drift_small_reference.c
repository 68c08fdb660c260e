/* References of few values: their own noise is most of what a larger window sees. */
#include <stdio.h>

#include "stats/distribution.h"
#include "stats/drift_path.h"
#include "tests/stats/even_bins.h"

enum {
    M = 200,
    N = 1000,
    REFERENCES = 20000,
    MEANS = 60000
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

/* --- a mean in its own values' standard deviation --- */

struct sample {
    double t, skew;
};

static struct sample draw_sample(struct rng *rng)
{
    double values[M], mean = 0, second = 0, third = 0;
    for (int i = 0; i < M; i++)
        mean += (values[i] = rng_exponential(rng, 1)) / M;
    for (int i = 0; i < M; i++) {
        double d = values[i] - mean;
        second += d * d / M;
        third += d * d * d / M;
    }
    double std = sqrt(second);
    return (struct sample){fabs(mean - 1) / std * sqrt(M), third / (second * std)};
}

/* Two-sided, of a window so large that only the reference varies. */
static double p_of(const struct sample *sample)
{
    struct drift_path_mean mean = {sample->skew, M, 1e12, 1, 0};
    double t = drift_path_of_known_std(sample->t, &mean);
    return exp(normal_log_sf(t) + M_LN2 + drift_path_skewness(t, &mean));
}

static void a_mean_of_skewed_values_is_far_off_as_often_as_its_p_says(void **state)
{
    (void)state;
    struct rng rng = rng_of(4);
    int small = 0, smaller = 0, normal = 0;
    for (int i = 0; i < MEANS; i++) {
        struct sample sample = draw_sample(&rng);
        double p = sample.t > 2 ? p_of(&sample) : 1;
        small += p <= 0.01;
        smaller += p <= 0.001;
        normal += 2 * normal_sf(sample.t) <= 0.001;
    }
    double all = MEANS;
    printf("p <= 0.01: %.5f, p <= 0.001: %.5f, as a normal mean %.5f\n", small / all, smaller / all,
           normal / all);
    assert_true(normal / all > 0.0025);
    assert_true(small / all > 0.0075 && small / all < 0.01);
    assert_true(smaller / all > 0.0004 && smaller / all < 0.001);
}

static void without_skewness_it_is_students_t(void **state)
{
    (void)state;
    struct drift_path_mean mean = {0, 20, 1e12, 1, 0};
    for (double t = 0.5; t < 6; t += 0.5) {
        double p = normal_sf(drift_path_of_known_std(t, &mean));
        assert_true(fabs(p / t_sf(t, 20) - 1) < 0.02);
    }
    mean.own = 0; /* a window so small that the deviation is as good as known */
    assert_true(drift_path_of_known_std(3, &mean) == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_of_a_small_reference_are_not_far_off_more_often_than_promised),
        cmocka_unit_test(a_mean_of_skewed_values_is_far_off_as_often_as_its_p_says),
        cmocka_unit_test(without_skewness_it_is_students_t),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
