#include "stats/effect.h"

#include <math.h>

#include "stats/distribution.h"

static const double Z_975 = 1.959963984540054; /* normal quantile: the 95 % of a quantile's band */

struct arm arm_of_proportion(int64_t n, double successes)
{
    double units = (double)n, p = n > 0 ? successes / units : (double)NAN;
    return (struct arm){units, p, p * (1 - p)};
}

struct arm arm_of_moments(const struct moments *moments)
{
    return (struct arm){(double)moments->n, moments->n ? moments->mean : (double)NAN,
                        moments_variance(moments)};
}

struct arm arm_of_ratio(const struct pair_moments *pair)
{
    double m = pair->y.mean, d = pair->x.mean;
    if (pair->y.n < 2 || d == 0)
        return (struct arm){(double)pair->y.n, (double)NAN, (double)NAN};
    double var_m = moments_variance(&pair->y), var_d = moments_variance(&pair->x);
    double variance = var_m / (d * d) - 2 * pair_covariance(pair) * m / (d * d * d) +
                      m * m * var_d / (d * d * d * d);
    return (struct arm){(double)pair->y.n, m / d, fmax(variance, 0)};
}

double quantile_min_n(double nu)
{
    return Z_975 * Z_975 * nu / (1 - nu);
}

struct arm arm_of_quantile(double n, double nu, double quantile, double lower, double upper,
                           double cluster_ratio)
{
    if (!(nu > 0 && nu < 1) || n <= quantile_min_n(nu))
        return (struct arm){n, quantile, (double)NAN};
    double deviation = (upper - lower) / (2 * Z_975);
    return (struct arm){n, quantile, (n - 1) * deviation * deviation * cluster_ratio};
}

static double welch_dof(double error_a, double n_a, double error_b, double n_b)
{
    double sum = error_a + error_b;
    return sum * sum / (error_a * error_a / (n_a - 1) + error_b * error_b / (n_b - 1));
}

struct effect effect_of(const struct arm *a, const struct arm *b, enum difference difference)
{
    struct effect none = {false, (double)NAN, (double)NAN, (double)NAN, a->n + b->n};
    double error_a = a->variance / a->n, error_b = b->variance / b->n;
    if (a->n < 2 || b->n < 2 || !isfinite(a->value) || !isfinite(b->value) || !isfinite(error_a) ||
        !isfinite(error_b) || !(error_a + error_b > 0))
        return none;

    struct effect effect = {
        .defined = true,
        .value = b->value - a->value,
        .variance = error_a + error_b,
        .dof = welch_dof(error_a, a->n, error_b, b->n),
        .n = a->n + b->n,
    };
    if (difference == DIFFERENCE_RELATIVE) {
        double base = a->value, ratio = b->value / base;
        if (base == 0 || !isfinite(ratio))
            return none;
        effect.value = ratio - 1;
        effect.variance = (error_b + error_a * ratio * ratio) / (base * base);
        if (!isfinite(effect.variance))
            return none;
    }
    return effect;
}

static struct arm adjusted(const struct pair_moments *pair, double theta)
{
    double variance = moments_variance(&pair->y) + theta * theta * moments_variance(&pair->x) -
                      2 * theta * pair_covariance(pair);
    return (struct arm){(double)pair->y.n, pair->y.mean - theta * pair->x.mean, fmax(variance, 0)};
}

struct cuped cuped_of(const struct pair_moments *a, const struct pair_moments *b)
{
    struct pair_moments both = *a;
    pair_merge(&both, b);
    double theta = both.x.m2 > 0 ? both.cross / both.x.m2 : 0;
    struct cuped cuped = {.theta = theta, .a = adjusted(a, theta), .b = adjusted(b, theta)};
    double plain =
        moments_variance(&a->y) / (double)a->y.n + moments_variance(&b->y) / (double)b->y.n;
    cuped.variance_ratio = (cuped.a.variance / cuped.a.n + cuped.b.variance / cuped.b.n) / plain;
    return cuped;
}
