#include "bench/variates.h"

#include <math.h>

double gamma_variate(struct rng *rng, double shape)
{
    if (shape < 1)
        return gamma_variate(rng, shape + 1) * pow(rng_uniform(rng) + 0x1p-60, 1 / shape);
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = rng_normal(rng), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        double u = rng_uniform(rng) + 0x1p-60;
        if (u < 1 - 0.0331 * x * x * x * x || log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

/* Up from 0, each probability from the one before. */
static double few_successes(struct rng *rng, double n, double p)
{
    double odds = p / (1 - p), first = exp(n * log1p(-p));
    for (;;) {
        double k = 0, here = first, u = rng_uniform(rng);
        while (u > here && k < n) {
            u -= here;
            k++;
            here *= odds * ((n + 1) / k - 1);
            if (here < 1e-18)
                break;
        }
        if (here >= 1e-18) /* else rounding left a rest of u beyond the last probability */
            return k;
    }
}

/* BTRS. */
static double many_successes(struct rng *rng, double n, double p)
{
    double spread = sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * spread;
    double a = -0.0873 + 0.0248 * b + 0.01 * p, c = n * p + 0.5, v_r = 0.92 - 4.2 / b;
    for (;;) {
        double u = rng_uniform(rng) - 0.5, v = rng_uniform(rng), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + c);
        if (us >= 0.07 && v <= v_r)
            return k;
        if (k < 0 || k > n)
            continue;
        double alpha = (2.83 + 5.1 / b) * spread, mode = floor((n + 1) * p);
        v = log(v * alpha / (a / (us * us) + b));
        if (v <= lgamma(mode + 1) + lgamma(n - mode + 1) - lgamma(k + 1) - lgamma(n - k + 1) +
                     (k - mode) * log(p / (1 - p)))
            return k;
    }
}

double binomial_variate(struct rng *rng, double n, double p)
{
    if (p > 0.5)
        return n - binomial_variate(rng, n, 1 - p);
    if (!(p > 0) || !(n > 0))
        return 0;
    return n * p < 10 ? few_successes(rng, n, p) : many_successes(rng, n, p);
}

void multinomial_variate(struct rng *rng, const double *shares, size_t n_bins, double n,
                         double *out)
{
    double rest = 0;
    for (size_t i = 0; i < n_bins; i++)
        rest += shares[i];
    for (size_t i = 0; i < n_bins; i++) {
        out[i] = i + 1 == n_bins ? n : binomial_variate(rng, n, fmin(shares[i] / rest, 1));
        n -= out[i];
        rest -= shares[i];
    }
}
