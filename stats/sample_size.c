#include "stats/sample_size.h"

#include <math.h>
#include <stdbool.h>

#include "stats/confseq.h"
#include "stats/distribution.h"
#include "stats/e_process.h"

static const double MOST_UNITS = 1e12; /* beyond this the answer is "never" */

struct two_arms two_arms_of_rates(double rate_a, double rate_b, double share)
{
    return (struct two_arms){share, rate_a * (1 - rate_a), rate_b * (1 - rate_b)};
}

/* Variance of the difference at one unit in all. */
static double unit_variance(const struct two_arms *arms)
{
    if (!(arms->share > 0 && arms->share < 1))
        return (double)INFINITY;
    return arms->variance_a / (1 - arms->share) + arms->variance_b / arms->share;
}

double sample_size_needed(const struct two_arms *arms, double effect, double alpha, double power)
{
    double variance = unit_variance(arms), z = normal_isf(alpha) + normal_isf(1 - power);
    if (!(variance > 0) || effect == 0)
        return (double)INFINITY;
    return z * z * variance / (effect * effect);
}

double sample_size_power(const struct two_arms *arms, double effect, double alpha, double n)
{
    double variance = unit_variance(arms);
    if (!(variance > 0) || !(n > 0))
        return (double)NAN;
    return normal_sf(normal_isf(alpha) - fabs(effect) / sqrt(variance / n));
}

double sample_size_smallest_effect(const struct two_arms *arms, double alpha, double power,
                                   double n)
{
    double variance = unit_variance(arms);
    if (!(n > 0))
        return (double)INFINITY;
    return (normal_isf(alpha) + normal_isf(1 - power)) * sqrt(variance / n);
}

struct question {
    double rate_a, rate_b, share, ratio;
    bool safe;
};

static double expected_log_e(const struct question *q, double n)
{
    struct failures failures = {
        .treatment = llround(n * q->share * q->rate_b),
        .control = llround(n * (1 - q->share) * q->rate_a),
    };
    return q->safe ? e_process_safe(failures, q->share, q->ratio, E_PROCESS_CONCENTRATION)
                   : e_process_harm(failures, q->share, q->ratio, E_PROCESS_CONCENTRATION);
}

static double until(const struct question *q, double alpha)
{
    double wanted = -log(alpha), low = 1, high = 1;
    if (!(q->share > 0 && q->share < 1))
        return (double)INFINITY;
    while (expected_log_e(q, high) < wanted) {
        low = high;
        high *= 2;
        if (high > MOST_UNITS)
            return (double)INFINITY;
    }
    while (high - low > 1 && high / low > 1.0005) {
        double middle = 0.5 * (low + high);
        if (expected_log_e(q, middle) < wanted)
            low = middle;
        else
            high = middle;
    }
    return high;
}

double sample_size_until_harm(double rate_a, double rate_b, double share, double ratio,
                              double alpha)
{
    struct question q = {rate_a, rate_b, share, ratio, false};
    return rate_b > ratio * rate_a ? until(&q, alpha) : (double)INFINITY;
}

double sample_size_until_safe(double rate_a, double rate_b, double share, double ratio,
                              double alpha)
{
    struct question q = {rate_a, rate_b, share, ratio, true};
    return rate_b < ratio * rate_a ? until(&q, alpha) : (double)INFINITY;
}

double sample_size_until_bound(const struct two_arms *arms, double distance, double alpha,
                               double tuning)
{
    double variance = unit_variance(arms), low = 1, high = 1;
    if (!(variance > 0) || !isfinite(variance) || !(distance > 0))
        return (double)INFINITY;
    while (confseq_one_sided_width(variance / high, high, alpha, tuning) > distance) {
        low = high;
        high *= 2;
        if (high > MOST_UNITS)
            return (double)INFINITY;
    }
    while (high / low > 1.0005) {
        double middle = 0.5 * (low + high);
        if (confseq_one_sided_width(variance / middle, middle, alpha, tuning) > distance)
            low = middle;
        else
            high = middle;
    }
    return high;
}
