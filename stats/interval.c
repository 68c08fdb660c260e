#include "stats/interval.h"

#include <math.h>

#include "stats/distribution.h"

static const double two_sided = 0.975; /* 95% between both quantiles */

const struct interval interval_none = {(double)NAN, (double)NAN};

struct interval interval_wilson(double successes, double n)
{
    if (!(n > 0) || !(successes >= 0) || successes > n)
        return interval_none;
    const double z = normal_quantile(two_sided);
    const double share = successes / n, z2 = z * z;
    const double middle = (share + z2 / (2 * n)) / (1 + z2 / n);
    const double half = z / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n));
    return (struct interval){
        successes > 0 ? fmax(0, middle - half) : 0,
        successes < n ? fmin(1, middle + half) : 1,
    };
}

double variance_of(double sum, double sum_of_squares, int64_t n)
{
    if (n < 2)
        return (double)NAN;
    return fmax(0, (sum_of_squares - sum / (double)n * sum) / (double)(n - 1));
}

struct interval interval_mean(double mean, double variance, int64_t n)
{
    if (n < 2 || !isfinite(variance) || !isfinite(mean))
        return interval_none;
    const double half = t_quantile(two_sided, (double)(n - 1)) * sqrt(variance / (double)n);
    return (struct interval){mean - half, mean + half};
}

struct interval interval_normal(double value, double variance, double low, double high)
{
    if (!isfinite(value) || !isfinite(variance) || variance < 0)
        return interval_none;
    const double half = normal_quantile(two_sided) * sqrt(variance);
    return (struct interval){fmax(low, value - half), fmin(high, value + half)};
}

struct interval interval_roc(double area, double variance, int64_t positives, int64_t negatives)
{
    if (!isfinite(variance))
        return interval_none;
    const double smaller = (double)(positives < negatives ? positives : negatives);
    if (variance <= 0)
        return interval_wilson(area * smaller, smaller);
    return interval_normal(area, variance, 0, 1);
}

struct interval interval_average_precision(double area, int64_t positives)
{
    if (!(area > 0) || positives < 2)
        return interval_none;
    if (area >= 1)
        return interval_wilson((double)positives, (double)positives);
    const double logit = log(area / (1 - area));
    const double half = normal_quantile(two_sided) / sqrt((double)positives * area * (1 - area));
    return (struct interval){1 / (1 + exp(half - logit)), 1 / (1 + exp(-half - logit))};
}

/* How far an end lies away; 0 where none is known. */
static double distance(double value, double end)
{
    return isnan(end) ? 0 : fabs(end - value);
}

struct interval interval_change(struct estimate now, struct estimate before)
{
    if (isnan(now.interval.lower) && isnan(before.interval.lower))
        return interval_none;
    const double base = fabs(before.value), value = now.value;
    const double wide = fmax(distance(before.value, before.interval.lower),
                             distance(before.value, before.interval.upper));
    const double low = distance(value, now.interval.lower);
    const double high = distance(value, now.interval.upper);
    if (wide >= base)
        return (struct interval){-INFINITY, INFINITY};
    /* The ratios r for which |value - r base| is just the root of half^2 + (r wide)^2. */
    const double divisor = base * base - wide * wide;
    const double shift = before.value > 0 ? 1 : -1; /* value / base of what did not change */
    const double below = sqrt(value * value * wide * wide + low * low * divisor);
    const double above = sqrt(value * value * wide * wide + high * high * divisor);
    return (struct interval){
        (value * base - below) / divisor - shift,
        (value * base + above) / divisor - shift,
    };
}
