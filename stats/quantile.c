#include "stats/quantile.h"

#include <math.h>

#include "stats/distribution.h"

struct order_statistic {
    double value, bound;
};

/* The value of rank k, 0 .. n - 1. */
static struct order_statistic at_rank(const struct span *spans, size_t n_spans, int64_t k)
{
    size_t i = 0;
    while (i + 1 < n_spans && k >= spans[i].n)
        k -= spans[i++].n;
    const double lo = spans[i].lo, hi = spans[i].hi;
    if (lo == hi)
        return (struct order_statistic){lo, 0};
    const double value = lo + (hi - lo) * (((double)k + 0.5) / (double)spans[i].n);
    return (struct order_statistic){value, fmax(value - lo, hi - value)};
}

/* Ranks between which one is searched for: low <= k <= high. */
struct ranks {
    int64_t low, high;
};

/* Cuts the range at `at`, where it lies inside. */
static void cut_ranks(struct ranks *ranks, int64_t at, int64_t n, double q, double p)
{
    if (at < ranks->low || at >= ranks->high)
        return;
    if (binomial_cdf(at, n, q) >= p)
        ranks->high = at;
    else
        ranks->low = at + 1;
}

/* The smallest k in 0 .. n with P(X <= k) >= p, X binomial: it is near the normal's, so the cuts
   begin there. */
static int64_t binomial_rank(int64_t n, double q, double p)
{
    enum {
        NEAR = 2
    };
    struct ranks ranks = {0, n};
    const double mean = (double)n * q;
    const int64_t normal = (int64_t)(mean + normal_quantile(p) * sqrt(mean * (1 - q)));
    cut_ranks(&ranks, normal - NEAR, n, q, p);
    cut_ranks(&ranks, normal + NEAR, n, q, p);
    while (ranks.low < ranks.high)
        cut_ranks(&ranks, ranks.low + (ranks.high - ranks.low) / 2, n, q, p);
    return ranks.low;
}

struct quantile quantile_of(const struct span *spans, size_t n_spans, double q)
{
    struct quantile result = {NAN, NAN, NAN, NAN};
    int64_t n = 0;
    for (size_t i = 0; i < n_spans; i++)
        n += spans[i].n;
    if (n <= 0)
        return result;

    const double rank = (double)(n - 1) * q;
    const int64_t below = (int64_t)rank;
    const double share = rank - (double)below;
    const struct order_statistic a = at_rank(spans, n_spans, below);
    const struct order_statistic b = share > 0 ? at_rank(spans, n_spans, below + 1) : a;
    result.value = a.value + share * (b.value - a.value);
    result.bound = (1 - share) * a.bound + share * b.bound;

    /* P(quantile < x_(l)) = P(X <= l - 1) <= 2.5%, and the same from above; ranks from 1. */
    const int64_t l = binomial_rank(n, q, 0.025);
    const int64_t u = binomial_rank(n, q, 0.975) + 1;
    if (l >= 1 && u <= n) {
        result.lower = at_rank(spans, n_spans, l - 1).value;
        result.upper = at_rank(spans, n_spans, u - 1).value;
    }
    return result;
}
