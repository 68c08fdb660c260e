#include "stats/chi2_sum.h"

#include <math.h>

#include "stats/distribution.h"

/* The cumulant generating function at t < 1 / (2 w_0), and its first two derivatives. */
struct cumulants {
    double k, first, second;
};

static struct cumulants cumulants_at(const double *weights, uint32_t n, double t)
{
    struct cumulants out = {0, 0, 0};
    for (uint32_t i = 0; i < n; i++) {
        double left = 1 - 2 * weights[i] * t, share = weights[i] / left;
        out.k -= 0.5 * log(left);
        out.first += share;
        out.second += 2 * share * share;
    }
    return out;
}

/* The t at which the tilted sum has mean x: K' grows with t, so halving finds it. */
static double saddle(const double *weights, uint32_t n, double x)
{
    double high = 0.5 / weights[0], low = -1 / weights[0];
    while (cumulants_at(weights, n, low).first > x)
        low *= 2;
    for (int i = 0; i < 200 && high - low > 1e-15 * fabs(high); i++) {
        double middle = low + (high - low) / 2;
        if (cumulants_at(weights, n, middle).first > x)
            high = middle;
        else
            low = middle;
    }
    return low;
}

static double tail(const double *weights, uint32_t n, double x)
{
    double t = saddle(weights, n, x);
    struct cumulants at = cumulants_at(weights, n, t);
    double w = copysign(sqrt(fmax(2 * (t * x - at.k), 0)), t), v = t * sqrt(at.second);
    return fmin(fmax(normal_sf(w + log(v / w) / w), 0), 1);
}

double chi2_sum_sf(const double *weights, uint32_t n, double x)
{
    double mean = 0;
    for (uint32_t i = 0; i < n; i++)
        mean += weights[i];
    if (!(x > 1e-9 * mean))
        return 1;
    if (n == 1)
        return chi2_sf(x / weights[0], 1);
    double off = 1e-3 * mean; /* at the mean the formula is 0 / 0: a line leads past it */
    if (fabs(x - mean) >= off)
        return tail(weights, n, x);
    double below = tail(weights, n, mean - off), above = tail(weights, n, mean + off);
    return below + (above - below) * (x - mean + off) / (2 * off);
}

double chi2_sum_isf(const double *weights, uint32_t n, double p)
{
    double low = 0, high = weights[0];
    while (chi2_sum_sf(weights, n, high) > p)
        high *= 2;
    for (int i = 0; i < 60; i++) {
        double middle = low + (high - low) / 2;
        if (chi2_sum_sf(weights, n, middle) > p)
            low = middle;
        else
            high = middle;
    }
    return high;
}
