#include "stats/gamma_law.h"

#include <math.h>
#include <stdbool.h>

#include "stats/distribution.h"

#define NORMAL 1e-4 /* a skewness below which the two laws cannot be told apart */

/* Standardised, and mirrored to a positive skewness: P(X > x), or P(X <= x). */
static double tail(const struct gamma_law *law, double x, bool upper)
{
    if (law->sd <= 0)
        return (x < law->mean) == upper;
    const double z = (x - law->mean) / law->sd, skewness = fabs(law->skewness);
    if (skewness < NORMAL)
        return normal_sf(upper ? z : -z);
    const bool mirrored = law->skewness < 0;
    const double shape = 4 / (skewness * skewness), scale = skewness / 2;
    const double from_start = (mirrored ? -z : z) + shape * scale;
    if (upper != mirrored)
        return from_start > 0 ? gamma_sf(from_start, shape, scale) : 1;
    return from_start > 0 ? gamma_cdf(from_start, shape, scale) : 0;
}

double gamma_law_cdf(const struct gamma_law *law, double x)
{
    return tail(law, x, false);
}

double gamma_law_sf(const struct gamma_law *law, double x)
{
    return tail(law, x, true);
}

double gamma_law_quantile(const struct gamma_law *law, double p)
{
    const double skewness = fabs(law->skewness);
    if (law->sd <= 0)
        return law->mean;
    if (skewness < NORMAL)
        return law->mean + normal_quantile(p) * law->sd;
    const bool mirrored = law->skewness < 0;
    const double shape = 4 / (skewness * skewness), scale = skewness / 2;
    const double z = gamma_quantile(mirrored ? 1 - p : p, shape, scale) - shape * scale;
    return law->mean + (mirrored ? -z : z) * law->sd;
}
