/* The groups that a law of areas is made of: what they hold, and what is said of their tails. */
#include <math.h>

#include "common/rng.h"
#include "stats/reference.h"
#include "tests/test.h"

enum {
    VALUES = 10000
};

static double normal(struct rng *rng)
{
    return rng_normal(rng);
}

static double exponential(struct rng *rng)
{
    return rng_exponential(rng, 1);
}

static double lognormal(struct rng *rng)
{
    return exp(rng_normal(rng));
}

static double one_of_three(struct rng *rng)
{
    return floor(3 * rng_uniform(rng));
}

static double always_five(struct rng *rng)
{
    (void)rng;
    return 5;
}

static struct reference *reference_of(double (*value)(struct rng *rng))
{
    static const struct profile_feature feature = {
        .name_id = 1, .kind = PROFILE_NUMERIC, .min = (double)NAN, .max = (double)NAN};
    const struct profile_layout layout = {.n_features = 1, .features = &feature};
    AUTO(profile) struct profile *profile = NULL;
    struct reference *reference = NULL;
    struct rng rng = rng_of(1);
    assert_int_equal(profile_new(&profile, &layout, PROFILE_REFERENCE, NULL), 0);
    for (int i = 0; i < VALUES; i++) {
        profile_event(profile, 1);
        assert_int_equal(profile_number(profile, 0, value(&rng), 1), 0);
    }
    assert_int_equal(reference_build(&reference, profile, 0, NULL), 0);
    return reference;
}

static void groups_hold_all_values_at_their_means(void **state)
{
    (void)state;
    static double (*const laws[])(struct rng * rng) = {normal, exponential, lognormal,
                                                       one_of_three};
    for (size_t k = 0; k < sizeof(laws) / sizeof(laws[0]); k++) {
        AUTO(reference) struct reference *reference = reference_of(laws[k]);
        const struct reference_feature *feature = &reference->features[0];
        const struct area_groups *groups = feature->area;
        double all = 0, sum = 0, squares = 0, at = 0;
        for (size_t i = 0; i < groups->n; i++) {
            all += groups->counts[i];
            sum += groups->counts[i] * at;
            squares += groups->counts[i] * at * at;
            at += i + 1 < groups->n ? groups->steps[i] : 0;
        }
        const double mean = sum / all, variance = squares / all - mean * mean;
        assert_close(all, VALUES, 0);
        assert_true(groups->n <= AREA_GROUPS_MOST);
        assert_true(laws[k] == one_of_three ? groups->n == 3 : groups->n >= AREA_GROUPS_MOST / 2);
        /* in standard deviations: 1 but for what varies within the groups */
        assert_close(variance + groups->within, 1, 0.01);
    }
}

static void tails_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        double (*value)(struct rng *rng);
        bool fine_ends, heavy;
        double least_kurtosis, most_kurtosis;
    } laws[] = {{normal, false, false, -0.5, 0.5},
                {exponential, true, false, 3, 7},
                {lognormal, true, true, 12, 200}};
    for (size_t k = 0; k < sizeof(laws) / sizeof(laws[0]); k++) {
        AUTO(reference) struct reference *reference = reference_of(laws[k].value);
        const struct area_groups *groups = reference->features[0].area;
        assert_int_equal(groups->fine_ends, laws[k].fine_ends);
        assert_true(laws[k].heavy ? groups->heavy == 1 : groups->heavy < 0.3);
        assert_true(groups->kurtosis > laws[k].least_kurtosis);
        assert_true(groups->kurtosis < laws[k].most_kurtosis);
    }
}

static void one_value_is_one_group_or_none(void **state)
{
    (void)state;
    AUTO(reference) struct reference *reference = reference_of(always_five);
    assert_true(reference->features[0].area->n <= 1);
}

static void a_saved_reference_has_the_same_groups(void **state)
{
    (void)state;
    AUTO(reference) struct reference *reference = reference_of(lognormal), *loaded = NULL;
    struct buf bytes;
    buf_init(&bytes, 1 << 24);
    reference_save(reference, &bytes);
    assert_int_equal(reference_load(&loaded, bytes.data, bytes.size, NULL), 0);
    const struct area_groups *groups = reference->features[0].area,
                             *again = loaded->features[0].area;
    assert_int_equal(again->n, groups->n);
    assert_memory_equal(again->counts, groups->counts, sizeof(groups->counts));
    assert_memory_equal(again->steps, groups->steps, sizeof(groups->steps));
    assert_true(again->within == groups->within && again->kurtosis == groups->kurtosis);
    buf_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_hold_all_values_at_their_means),
        cmocka_unit_test(tails_are_told_apart),
        cmocka_unit_test(one_value_is_one_group_or_none),
        cmocka_unit_test(a_saved_reference_has_the_same_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
