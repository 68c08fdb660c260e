/*
 * The difference between two arms and its variance: absolute or relative, of means, ratios,
 * quantiles or covariate-adjusted means. Every test and interval starts from one of these.
 *
 * Shape    a = control, b = treatment; effect = b - a, or b/a - 1
 * Units    those of the metric; relative effects are fractions
 * Errors   defined = false when there is no evidence (an arm below 2 units, both variances 0, a
 *          baseline of 0 under a relative effect): no decision may rest on it, value is then NaN
 * Threads  any
 * Source   gbstats 0.8.0, whose numbers these meet: relative by the delta method
 *          (Var_b/a² + Var_a b²/a⁴), ratio by Deng, Knoblich, Lu 2018, CUPED by Deng et al. 2013,
 *          quantile by its order-statistics interval; degrees of freedom: Welch–Satterthwaite
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stats/moments.h"

/* One arm's point estimate; variance is that of a single unit, so that its error is variance/n. */
struct arm {
    double n; /* units */
    double value;
    double variance;
};

struct arm arm_of_proportion(int64_t n, double successes); /* p(1 - p), as gbstats */
struct arm arm_of_moments(const struct moments *moments);
/* Ratio Σm / Σd of m (numerator) and d (denominator) per unit: pair.y = m, pair.x = d. */
struct arm arm_of_ratio(const struct pair_moments *pair);
/*
 * Sample quantile nu with those at nu ± 1.96 sqrt(nu(1 - nu)/n): lower and upper. cluster_ratio =
 * variance of the indicator between clusters over nu(1 - nu)/n; 1 for independent events. n below
 * quantile_min_n gives variance NaN.
 */
struct arm arm_of_quantile(double n, double nu, double quantile, double lower, double upper,
                           double cluster_ratio);
double quantile_min_n(double nu); /* 1.96² nu/(1 - nu): 380 events for the 99th percentile */

enum difference {
    DIFFERENCE_ABSOLUTE,
    DIFFERENCE_RELATIVE
};

struct effect {
    bool defined;
    double value;
    double variance; /* of value itself (already divided by n) */
    double dof;
    double n; /* units of both arms */
};

struct effect effect_of(const struct arm *a, const struct arm *b, enum difference difference);

/* CUPED: theta pooled over both arms, y - theta x. x must have been fixed before assignment. */
struct cuped {
    double theta;
    struct arm a, b;       /* adjusted */
    double variance_ratio; /* adjusted over plain variance of the difference */
};
struct cuped cuped_of(const struct pair_moments *a, const struct pair_moments *b);
