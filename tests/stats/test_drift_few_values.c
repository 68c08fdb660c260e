/*
 * References that hold few values of a feature: no law holds, so there is no verdict, and an answer
 * says so.
 */
#include <math.h>
#include <string.h>

#include "common/rng.h"
#include "stats/distribution.h"
#include "stats/drift_window.h"
#include "tests/test.h"

enum {
    EVENTS = 3000,
    FULL = 0, /* numbers of every event */
    RARE,     /* numbers that most events lack */
    KIND,     /* categories that most events lack */
    N_FEATURES
};

struct world {
    struct profile_feature features[N_FEATURES];
    struct profile_layout layout;
    struct reference *reference;
};

/* The first `few` of n events have all features. */
static struct profile *profile_of(struct world *world, enum profile_level level, int n, int few,
                                  uint64_t seed, double shift)
{
    struct profile *out = NULL;
    struct rng rng = rng_of(seed);
    assert_int_equal(profile_new(&out, &world->layout, level, NULL), 0);
    for (int i = 0; i < n; i++) {
        profile_event(out, 1);
        profile_number(out, FULL, rng_normal(&rng), 1);
        const double rare = rng_normal(&rng) + shift;
        const uint64_t kind = 1 + (shift > 0 ? 0 : rng_u64(&rng) % 4);
        if (i >= few)
            continue;
        profile_number(out, RARE, rare, 1);
        profile_category(out, KIND, kind, 1);
    }
    return out;
}

/* Most of the reference's events lack the last two features: `few` have them. */
static void make(struct world *world, int few)
{
    *world = (struct world){0};
    for (int i = 0; i < N_FEATURES; i++)
        world->features[i] = (struct profile_feature){
            .name_id = (uint64_t)i + 1,
            .kind = i == KIND ? PROFILE_CATEGORICAL : PROFILE_NUMERIC,
            .min = (double)NAN,
            .max = (double)NAN,
        };
    world->layout = (struct profile_layout){.n_features = N_FEATURES, .features = world->features};
    AUTO(profile) struct profile *rows = profile_of(world, PROFILE_REFERENCE, EVENTS, few, 1, 0);
    assert_int_equal(reference_build(&world->reference, rows, 0, NULL), 0);
}

/* A window of 300 events, of which all have every feature; the last two moved far. */
static struct drift_summary judge(struct world *world, const struct drift_rule *rule,
                                  struct drift_feature out[N_FEATURES])
{
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    AUTO(profile) struct profile *window = profile_of(world, PROFILE_HOUR, 300, 300, 2, 3);
    struct drift_summary summary;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    const struct drift_question question = {
        .nulls = nulls, .rule = rule, .reference = world->reference, .window = window};
    assert_int_equal(drift_window(&question, out, &summary), 0);
    return summary;
}

static void no_verdict(const struct drift_feature *feature, const char *why)
{
    char text[DRIFT_WHY_BYTES];
    const struct drift_verdict *verdict = &feature->verdict;
    assert_null(feature->why);
    assert_true(verdict->statistic > 0.3); /* it stays */
    assert_true(isnan(verdict->threshold) && isnan(verdict->p_value) && isnan(verdict->q_value));
    assert_false(verdict->drifted);
    assert_non_null(verdict->why);
    assert_string_equal(drift_why(verdict, text), why);
}

static void
of_few_values_in_a_large_reference_there_is_a_statistic_and_no_verdict_and_why(void **state)
{
    (void)state;
    const struct drift_rule rule = {DRIFT_PSI, 0.01, 0};
    struct world world;
    make(&world, 12);
    struct drift_feature out[N_FEATURES];

    const struct drift_summary summary = judge(&world, &rule, out);

    no_verdict(&out[RARE], "the reference holds 12 values, 50 are needed to judge by psi");
    no_verdict(&out[KIND], "the reference holds 12 values, 20 are needed to judge by psi");
    assert_int_equal(summary.n_judged, 1);
    assert_int_equal(summary.n_drifted, 0);
    reference_free(world.reference);
}

static void what_is_not_judged_takes_nothing_of_the_others_level(void **state)
{
    (void)state;
    const struct drift_rule rule = {DRIFT_PSI, 0.01, 0};
    struct world few, none;
    struct drift_feature with[N_FEATURES], without[N_FEATURES];
    make(&few, 12);
    make(&none, 0); /* the reference does not have them */

    judge(&few, &rule, with);
    const struct drift_summary summary = judge(&none, &rule, without);

    assert_int_equal(summary.n_judged, 1);
    assert_true(with[FULL].verdict.threshold == without[FULL].verdict.threshold);
    assert_true(with[FULL].verdict.q_value == without[FULL].verdict.q_value);
    reference_free(few.reference);
    reference_free(none.reference);
}

static void of_just_enough_values_there_is_a_verdict(void **state)
{
    (void)state;
    for (int method = 0; method < N_DRIFT_METHODS; method++) {
        const struct drift_rule rule = {(enum drift_method)method, 0.01, 0};
        for (int i = RARE; i < N_FEATURES; i++) {
            const uint64_t least = drift_least_values(rule.method, i == RARE, false);
            struct world world;
            struct drift_feature out[N_FEATURES];
            make(&world, (int)least);
            judge(&world, &rule, out);
            assert_null(out[i].verdict.why);
            assert_true(out[i].verdict.threshold > 0);
            reference_free(world.reference);
            if (method == DRIFT_EVIDENTLY)
                continue; /* promises nothing, and needs no more than one */
            assert_true(out[i].verdict.drifted);
            make(&world, (int)least - 1);
            judge(&world, &rule, out);
            assert_int_equal(out[i].verdict.held, least - 1);
            assert_int_equal(out[i].verdict.needed, least);
            assert_false(out[i].verdict.drifted);
            reference_free(world.reference);
        }
    }
}

/* What a caller left at 0 of drift_categorical is no statistic: simulations were judged by it, and
   called nothing. */
static void a_feature_of_few_categories_is_judged_by_its_statistic_alone(void **state)
{
    (void)state;
    const struct drift_rule rule = {DRIFT_JS, 0.01, 0};
    struct world world;
    make(&world, EVENTS);
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    const struct drift_categorical values = {.n = 300, .js_distance = {0.7, 0, NULL}};
    const struct drift_subject subject = {.reference = reference_find(world.reference, KIND + 1),
                                          .reference_id = world.reference->id,
                                          .categorical = &values};
    struct drift_verdict verdict;

    assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &verdict), 0);

    assert_true(verdict.p_value < 1e-6);
    reference_free(world.reference);
}

/* One event in four categories: each of them is likely, and none may be called rare. */
static void no_category_of_a_single_event_is_rarer_than_it_is(void **state)
{
    (void)state;
    static const double counts[][4] = {{11, 7, 7, 5}, {10, 8, 8, 4}};
    struct profile_feature feature = {
        .name_id = 1, .kind = PROFILE_CATEGORICAL, .min = (double)NAN, .max = (double)NAN};
    const struct profile_layout layout = {.n_features = 1, .features = &feature};
    const struct drift_rule rule = {DRIFT_JS, 0.01, 0};
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (int r = 0; r < 2; r++) {
        AUTO(profile) struct profile *rows = NULL, *window = NULL;
        AUTO(reference) struct reference *reference = NULL;
        struct drift_categorical values;
        struct drift_verdict verdict;
        assert_int_equal(profile_new(&rows, &layout, PROFILE_REFERENCE, NULL), 0);
        assert_int_equal(profile_new(&window, &layout, PROFILE_HOUR, NULL), 0);
        for (uint64_t category = 0; category < 4; category++) {
            for (int i = 0; i < (int)counts[r][category]; i++) {
                profile_event(rows, 1);
                profile_category(rows, 0, category + 1, 1);
            }
        }
        profile_event(window, 1);
        profile_category(window, 0, 4, 1);
        assert_int_equal(reference_build(&reference, rows, 0, NULL), 0);
        assert_int_equal(drift_categorical(reference->features, reference->id,
                                           window->features[0].categories, &values),
                         0);
        const struct drift_subject subject = {.reference = reference->features,
                                              .reference_id = reference->id,
                                              .categorical = &values};
        assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &verdict), 0);
        assert_true(verdict.p_value > 0.9 * counts[r][3] / 30);
    }
}

enum {
    ALIKE = 20,
    OF_EACH = 2500
};

static struct reference *alike(void)
{
    struct profile_feature feature = {
        .name_id = 1, .kind = PROFILE_CATEGORICAL, .min = (double)NAN, .max = (double)NAN};
    const struct profile_layout layout = {.n_features = 1, .features = &feature};
    AUTO(profile) struct profile *rows = NULL;
    struct reference *out = NULL;
    assert_int_equal(profile_new(&rows, &layout, PROFILE_REFERENCE, NULL), 0);
    for (uint64_t i = 0; i < ALIKE * OF_EACH; i++) {
        profile_event(rows, 1);
        profile_category(rows, 0, 1 + i % ALIKE, 1);
    }
    assert_int_equal(reference_build(&out, rows, 0, NULL), 0);
    return out;
}

/* Of a window of n events, `most` in one of the categories and the rest spread: p of l_infinity. */
static double p_of_most(struct drift_nulls *nulls, const struct reference *reference, int n,
                        int most)
{
    const struct drift_rule rule = {DRIFT_L_INFINITY, 0.01, 0};
    const struct drift_categorical values = {
        .n = (uint64_t)n, .l_infinity = {(double)most / n - 1.0 / ALIKE, 0, NULL}};
    const struct drift_subject subject = {
        .reference = reference->features, .reference_id = reference->id, .categorical = &values};
    struct drift_verdict verdict;
    assert_int_equal(drift_judge(nulls, &rule, &subject, 1, &verdict), 0);
    return verdict.p_value;
}

/* P(one of them has so many or more): at least that of any, less that of any two. */
static double chance_of_most(int n, int most)
{
    const double share = 1.0 / ALIKE;
    const double one = binomial_sf(most - 1, n, share);
    return ALIKE * one - ALIKE * (ALIKE - 1) / 2.0 * one * one;
}

static void the_largest_difference_of_few_events_is_no_rarer_than_it_is(void **state)
{
    (void)state;
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    AUTO(reference) struct reference *reference = alike();
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (int n = 20; n <= 128; n++) {
        for (int most = n / ALIKE + 2; most < n; most++) {
            const double chance = chance_of_most(n, most);
            if (chance < 0.06 && chance > 1e-6)
                assert_true(p_of_most(nulls, reference, n, most) > 0.97 * chance);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            of_few_values_in_a_large_reference_there_is_a_statistic_and_no_verdict_and_why),
        cmocka_unit_test(what_is_not_judged_takes_nothing_of_the_others_level),
        cmocka_unit_test(of_just_enough_values_there_is_a_verdict),
        cmocka_unit_test(no_category_of_a_single_event_is_rarer_than_it_is),
        cmocka_unit_test(the_largest_difference_of_few_events_is_no_rarer_than_it_is),
        cmocka_unit_test(a_feature_of_few_categories_is_judged_by_its_statistic_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
