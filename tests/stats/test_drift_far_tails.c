/*
 * The far tail of wasserstein_norm's law, p near 4e-5: what 0.01 asks of families of 200 features.
 * Paths and means are drawn shifted to either side and count by how much more probable they are
 * without that (importance sampling), so that few of them will do.
 */
#include <stdio.h>

#include "common/rng.h"
#include "stats/distribution.h"
#include "stats/drift_null.h"
#include "stats/drift_path.h"
#include "stats/drift_weights.h"
#include "tests/test.h"

#define FAR 4.25e-5

static double exponential_quantile(double p)
{
    return -log1p(-p);
}

static double uniform_quantile(double p)
{
    return p;
}

static double student3_quantile(double p)
{
    return t_quantile(p, 3);
}

static double lognormal_quantile(double p)
{
    return exp(normal_quantile(p));
}

/* --- an area of many events: a Brownian bridge's --- */

enum {
    GROUPS = 60,
    PATHS = 30000
};
#define SHIFT 3.5

struct bridge {
    double weights[GROUPS], at[GROUPS], steps[GROUPS]; /* in standard deviations */
    double toward[GROUPS]; /* covariance with the signed area, of variance 1 */
};

static void bridge_of(struct bridge *bridge, double (*quantile)(double p))
{
    double mean = 0, second = 0;
    for (int i = 0; i < GROUPS; i++) {
        bridge->weights[i] = 1e6 / GROUPS;
        bridge->at[i] = quantile((i + 0.5) / GROUPS);
        mean += bridge->at[i] / GROUPS;
        second += bridge->at[i] * bridge->at[i] / GROUPS;
    }
    const double std = sqrt(second - mean * mean);
    double so_far = 0;
    for (int i = 0; i < GROUPS; i++) {
        bridge->steps[i] = i + 1 < GROUPS ? (bridge->at[i + 1] - bridge->at[i]) / std : 0;
        so_far += (mean - bridge->at[i]) / std / GROUPS;
        bridge->toward[i] = so_far;
    }
}

/* The mean of |x| at a group's end, between whose neighbours the path goes on. */
static double distance(double gap)
{
    const double variance = 0.25 / GROUPS, by = gap * gap / (2 * variance);
    return fabs(gap) * erf(sqrt(by)) + sqrt(variance * M_2_PI) * exp(-by);
}

/* How often |path| has that area, drawn with the area shifted by SHIFT to either side. */
static double share_of_paths(const struct bridge *bridge, double area)
{
    struct rng rng = rng_of(11);
    double share = 0;
    for (int i = 0; i < PATHS; i++) {
        double path[GROUPS], x = 0, sum = 0, signed_sum = 0;
        const double shift = rng_u64(&rng) & 1 ? SHIFT : -SHIFT;
        for (int k = 0; k < GROUPS; k++)
            path[k] = x += rng_normal(&rng) / sqrt(GROUPS);
        for (int k = 0; k + 1 < GROUPS; k++) {
            const double gap = path[k] - x * (k + 1) / GROUPS + shift * bridge->toward[k];
            sum += distance(gap) * bridge->steps[k];
            signed_sum += gap * bridge->steps[k];
        }
        if (sum >= area)
            share += exp(SHIFT * SHIFT / 2) / cosh(SHIFT * signed_sum) / PATHS;
    }
    return share;
}

static void the_area_of_a_bridge_is_large_as_often_as_its_law_says(void **state)
{
    (void)state;
    static double (*const quantiles[])(double p) = {uniform_quantile, normal_quantile,
                                                    exponential_quantile};
    static const char *const names[] = {"uniform", "normal", "exponential"};
    for (int i = 0; i < 3; i++) {
        struct bridge bridge;
        bridge_of(&bridge, quantiles[i]);
        const struct law_question question = {.statistic = LAW_WASSERSTEIN,
                                              .counts = bridge.weights,
                                              .weights = bridge.weights,
                                              .steps = bridge.steps,
                                              .n_bins = GROUPS,
                                              .m = 1e6,
                                              .n = 1e6,
                                              .fine_ends = i == 2};
        struct drift_law law;
        assert_int_equal(drift_law_make(&law, &question), 0);
        const double share = share_of_paths(&bridge, drift_law_quantile(&law, log(FAR))) / FAR;
        printf("%s: %.3f of what the law says\n", names[i], share);
        assert_true(share > 0.94 && share < 1.06);
    }
}

/* --- and of few: every way is counted up to 128 of them --- */

static double p_of_events(struct drift_nulls *nulls, double (*quantile)(double p), uint64_t id,
                          double n, double t)
{
    enum {
        M = 1000
    };
    static const struct profile_feature feature = {
        .name_id = 1, .kind = PROFILE_NUMERIC, .min = (double)NAN, .max = (double)NAN};
    const struct profile_layout layout = {.n_features = 1, .features = &feature};
    AUTO(profile) struct profile *profile = NULL;
    struct reference *reference = NULL;
    assert_int_equal(profile_new(&profile, &layout, PROFILE_REFERENCE, NULL), 0);
    for (int i = 0; i < M; i++) {
        profile_event(profile, 1);
        profile_number(profile, 0, quantile((i + 0.5) / M), 1);
    }
    assert_int_equal(reference_build(&reference, profile, 0, NULL), 0);
    static struct drift_weights memory;
    const struct drift_null null =
        drift_weights_of(&memory, LAW_WASSERSTEIN, reference->features, id, false);
    const double p = drift_null_p(nulls, &null, n, t * sqrt(1 / n + 1.0 / M));
    reference_free(reference);
    return p;
}

static void one_event_more_than_are_counted_changes_next_to_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double (*quantile)(double p);
        double within;
    } laws[] = {{"normal", normal_quantile, 0.1},
                {"exponential", exponential_quantile, 0.05},
                {"lognormal", lognormal_quantile, 0.2},
                {"student3", student3_quantile, 0.3}};
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    assert_int_equal(drift_nulls_new(&nulls, NULL), 0);
    for (uint64_t i = 0; i < 4; i++) {
        for (double t = 2.5; t < 4.2; t += 0.5) {
            const double counted = p_of_events(nulls, laws[i].quantile, i + 1, 128, t);
            const double walked = p_of_events(nulls, laws[i].quantile, i + 1, 129, t);
            printf("%s, %.1f: p = %.3g of 128 events, %.3g of 129\n", laws[i].name, t, counted,
                   walked);
            assert_true(fabs(log(walked / counted)) < laws[i].within);
        }
    }
}

/* --- a mean in its own values' standard deviation --- */

enum {
    M = 1000,
    MEANS = 6000,
    MEANS_OF_ANY = 20000
};
#define DEVIATIONS 3.3

struct sample {
    double t, weight;
    struct drift_path_mean mean;
};

/* Of an exponential law of another mean, which is the law tilted to one side. */
static struct sample draw_tilted(struct rng *rng)
{
    const double tilt = DEVIATIONS / sqrt(M);
    const double scale = 1 / (rng_u64(rng) & 1 ? 1 - tilt : 1 + tilt);
    double values[M], sum = 0, second = 0, third = 0, fourth = 0;
    for (int i = 0; i < M; i++)
        sum += values[i] = rng_exponential(rng, scale);
    for (int i = 0; i < M; i++) {
        const double d = values[i] - sum / M;
        second += d * d / M;
        third += d * d * d / M;
        fourth += d * d * d * d / M;
    }
    const double up = M * log1p(-tilt) + tilt * sum, down = M * log1p(tilt) - tilt * sum;
    return (struct sample){
        .t = fabs(sum / M - 1) / sqrt(second) * sqrt(M),
        .weight = 2 / (exp(up) + exp(down)),
        .mean = {.m = M,
                 .n = 1e12, /* only the reference varies */
                 .skew = third / pow(second, 1.5),
                 .kurtosis = fourth / (second * second) - 3},
    };
}

static double log_p_of(double t, const struct drift_path_mean *mean)
{
    const double of_known = drift_path_of_known_std(t, mean);
    return normal_log_sf(of_known) + M_LN2 + drift_path_skewness(of_known, mean);
}

static void a_mean_of_skewed_values_is_far_off_as_often_as_its_p_says(void **state)
{
    (void)state;
    static const double levels[] = {0.0085, 0.00085, FAR};
    double shares[3] = {0};
    struct rng rng = rng_of(4);
    for (int i = 0; i < MEANS; i++) {
        const struct sample sample = draw_tilted(&rng);
        const double p = exp(log_p_of(sample.t, &sample.mean));
        for (int k = 0; k < 3; k++)
            shares[k] += p <= levels[k] ? sample.weight / MEANS : 0;
    }
    for (int k = 0; k < 3; k++) {
        printf("p <= %g: %.3f times as often\n", levels[k], shares[k] / levels[k]);
        assert_true(shares[k] > 0.85 * levels[k] && shares[k] < 1.15 * levels[k]);
    }
}

static double between(struct rng *rng, double low, double high)
{
    return low + (high - low) * rng_uniform(rng);
}

/* However few the values are and whatever their moments: what is further off is never less rare. */
static void what_is_further_off_has_a_smaller_p(void **state)
{
    (void)state;
    struct rng rng = rng_of(12);
    for (int i = 0; i < MEANS_OF_ANY; i++) {
        const double skew = between(&rng, -4, 4), heavy = fmin(between(&rng, 0, 2), 1);
        const struct drift_path_mean mean = {.m = exp(between(&rng, log(200), log(2e6))),
                                             .n = exp(between(&rng, log(129), log(1e9))),
                                             .skew = skew,
                                             .kurtosis = skew * skew + between(&rng, -2, 25),
                                             .heavy = i % 3 ? heavy : 0,
                                             .peaked = i % 3 ? heavy * 5 : 0};
        double before = 0;
        for (double t = 0.5; before > -500; t *= 1.06) {
            const double p = log_p_of(t, &mean);
            if (p > 0 ? before < 0 : p > before + 1e-9)
                fail_msg("m %g n %g skew %g kurtosis %g heavy %g: p rises at %g", mean.m, mean.n,
                         skew, mean.kurtosis, mean.heavy, t);
            before = p;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_area_of_a_bridge_is_large_as_often_as_its_law_says),
        cmocka_unit_test(one_event_more_than_are_counted_changes_next_to_nothing),
        cmocka_unit_test(a_mean_of_skewed_values_is_far_off_as_often_as_its_p_says),
        cmocka_unit_test(what_is_further_off_has_a_smaller_p),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
