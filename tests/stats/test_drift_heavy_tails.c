/* Lognormal values, and Student's t: half of the bins lie where the reference has few of them. */
#include <math.h>
#include <stdio.h>

#include "stats/distribution.h"
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

/* Student's t with three degrees of freedom. */
static double student(struct rng *rng)
{
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        const double z = rng_normal(rng);
        sum += z * z;
    }
    return rng_normal(rng) / sqrt(sum / 3);
}

/* How often p is at most LEVEL: of js_distance, of hellinger. */
static void play(struct even_bins *world, uint64_t seed, double shares[2])
{
    static const enum drift_method methods[2] = {DRIFT_JS, DRIFT_HELLINGER};
    struct rng rng = rng_of(seed);
    int small[2] = {0, 0};
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (uint64_t i = 0; i < REFERENCES; i++) {
        even_bins_draw(world, &rng);
        for (int window = 0; window < WINDOWS_OF_ONE; window++) {
            struct drift_numeric numeric = even_bins_window(world, &rng);
            for (int k = 0; k < 2; k++)
                small[k] += even_bins_p(nulls, world, i, &numeric, methods[k], LEVEL) <= LEVEL;
        }
    }
    for (int k = 0; k < 2; k++) {
        shares[k] = small[k] / (1.0 * REFERENCES * WINDOWS_OF_ONE);
        printf("%s: %.4f of windows have p <= 0.05\n", drift_method_name(methods[k]), shares[k]);
    }
}

static void bins_of_few_values_do_not_make_alarms_rarer_than_promised(void **state)
{
    (void)state;
    struct even_bins world = {.n_bins = 18, .m = 1000, .n = 1000, .value = lognormal};
    double shares[2];
    play(&world, 8, shares);
    for (int k = 0; k < 2; k++)
        assert_true(shares[k] > 0.93 * LEVEL && shares[k] < LEVEL / 0.85); /* what is kept back */
}

static void nor_do_those_of_tails_to_both_sides(void **state)
{
    (void)state;
    struct even_bins world = {.n_bins = 15, .m = 1000, .n = 1000, .value = student};
    double shares[2];
    play(&world, 9, shares);
    for (int k = 0; k < 2; k++)
        assert_true(shares[k] > 0.93 * LEVEL && shares[k] < LEVEL / 0.85);
}

/* --- wasserstein_norm --- */

enum {
    VALUES = 100000,
    EVENTS = 500,
    WINDOWS = 6000
};

/* As many lognormal values as a large reference has, each where its rank lies. */
static struct reference *reference_of_ranks(void)
{
    struct profile_feature feature = {
        .name_id = 1, .kind = PROFILE_NUMERIC, .min = NAN, .max = NAN};
    const struct profile_layout layout = {.n_features = 1, .features = &feature};
    AUTO(profile) struct profile *profile = NULL;
    struct reference *reference = NULL;
    assert_int_equal(profile_new(&profile, &layout, PROFILE_REFERENCE, NULL), 0);
    for (int i = 0; i < VALUES; i++) {
        profile_event(profile, 1);
        profile_number(profile, 0, exp(normal_quantile((i + 0.5) / VALUES)), 1);
    }
    assert_int_equal(reference_build(&reference, profile, 0, NULL), 0);
    return reference;
}

static double area_p(struct drift_nulls *nulls, const struct reference *reference, struct rng *rng)
{
    struct numbers window;
    struct drift_numeric numeric;
    const struct numbers_grid none = {0};
    numbers_init(&window, PROFILE_HOUR);
    for (int i = 0; i < EVENTS; i++)
        assert_int_equal(numbers_update(&window, none, lognormal(rng), 1), 0);
    const struct drift_numeric_input in = {
        reference->features, reference->id, &window, NULL, 0, false};
    assert_int_equal(drift_numeric(&in, &numeric), 0);
    cells_finish(&window.cells);
    const struct drift_subject subject = {
        .reference = reference->features, .reference_id = reference->id, .numeric = &numeric};
    const struct drift_rule rule = {DRIFT_WASSERSTEIN_NORM, 0.01, 0};
    struct drift_verdict verdict;
    assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &verdict), 0);
    return verdict.p_value;
}

/* The walk that stands for the bridge took a tail's few values for those of a window of 100. */
static void areas_of_few_values_do_not_make_alarms_rarer_than_promised(void **state)
{
    (void)state;
    AUTO(reference) struct reference *reference = reference_of_ranks();
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    struct rng rng = rng_of(10);
    int small = 0;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (int i = 0; i < WINDOWS; i++)
        small += area_p(nulls, reference, &rng) <= 0.01;
    const double share = small / (1.0 * WINDOWS);
    printf("wasserstein_norm: %.4f of windows have p <= 0.01\n", share);
    assert_true(share > 0.0075 && share < 0.01 / 0.85);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_of_few_values_do_not_make_alarms_rarer_than_promised),
        cmocka_unit_test(nor_do_those_of_tails_to_both_sides),
        cmocka_unit_test(areas_of_few_values_do_not_make_alarms_rarer_than_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
