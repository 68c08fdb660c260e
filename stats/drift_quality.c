#include "stats/drift_quality.h"

#include <math.h>

struct interval {
    double rate, low, high;
};

static struct interval wilson(double hits, double n)
{
    const double z = 1.959963984540054; /* normal_quantile(0.975) */
    double p = hits / n, z2 = z * z;
    double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = z * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    return (struct interval){p, fmax(middle - half, 0), fmin(middle + half, 1)};
}

struct rate_change rate_change(uint64_t before_hits, uint64_t before_n, uint64_t now_hits,
                               uint64_t now_n)
{
    if (before_n == 0 || now_n == 0) {
        double none = (double)NAN;
        return (struct rate_change){before_n ? (double)before_hits / (double)before_n : none,
                                    now_n ? (double)now_hits / (double)now_n : none, none, none,
                                    none};
    }
    struct interval a = wilson((double)before_hits, (double)before_n);
    struct interval b = wilson((double)now_hits, (double)now_n);
    double d = b.rate - a.rate;
    return (struct rate_change){
        .before = a.rate,
        .now = b.rate,
        .difference = d,
        .lower = d - hypot(b.rate - b.low, a.high - a.rate),
        .upper = d + hypot(b.high - b.rate, a.rate - a.low),
    };
}
