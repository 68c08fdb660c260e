#include "stats/drift_counts.h"

#include <math.h>
#include <stdbool.h>

#define MOST_RATIOS 16.0 /* from value to value: more of them take longer than logarithms */

struct fraction {
    double above, below;
};

/* P(value + 1) / P(value), on top of another. */
static void add_ratio(struct fraction *all, const struct count_law *law, double value)
{
    all->above *= law->weight + value;
    all->below *= value + 1;
    if (law->rest > 0) {
        all->above *= law->n - value;
        all->below *= law->rest + law->n - value - 1;
    } else {
        all->above *= law->n;
        all->below *= law->n + law->total;
    }
}

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/* ln P(value) but for a constant. */
static double log_weight(const struct count_law *law, double value)
{
    double both = log_gamma(law->weight + value) - log_gamma(value + 1);
    if (law->rest > 0)
        return both + log_gamma(law->rest + law->n - value) - log_gamma(law->n - value + 1);
    return both + value * log(law->n / (law->n + law->total));
}

/* P(value + stride) / P(value), with a division for every four of its ratios. */
static double ratio_over(const struct count_law *law, double value, double stride)
{
    double all = 1;
    for (double k = 0; k < stride;) {
        struct fraction four = {1, 1};
        for (double end = fmin(k + 4, stride); k < end; k++)
            add_ratio(&four, law, value + k);
        all *= four.above / four.below;
    }
    return all;
}

static void fill_by_ratios(struct counts *out, const struct count_law *law, int middle)
{
    out->p[middle] = 1;
    for (int i = middle; i + 1 < out->n_values; i++)
        out->p[i + 1] = out->p[i] * ratio_over(law, out->first + i * out->stride, out->stride);
    for (int i = middle; i > 0; i--)
        out->p[i - 1] =
            out->p[i] / ratio_over(law, out->first + (i - 1) * out->stride, out->stride);
}

static void fill_by_logs(struct counts *out, const struct count_law *law, int middle)
{
    double most = log_weight(law, out->first + middle * out->stride);
    for (int i = 0; i < out->n_values; i++)
        out->p[i] = exp(log_weight(law, out->first + i * out->stride) - most);
}

void counts_of(struct counts *out, const struct count_law *law)
{
    double share = law->weight / law->total, more = 1 + law->n / law->total;
    double left = law->rest > 0 ? law->rest / law->total : 1;
    out->mean = law->n * share;
    out->sd = sqrt(out->mean * left * more);
    out->first = floor(fmax(out->mean - 7.5 * out->sd, 0));
    double last = ceil(out->mean + 8 * out->sd + 8 * more);
    last = fmin(last, law->n); /* a part cannot be more than all */
    /* one among many that are added up; a bin alone is read value by value */
    bool smooth = !(law->rest > 0) && law->n > COUNTS_MOST && out->mean >= 25;
    out->stride = ceil((last - out->first + 1) / (smooth ? COUNTS_ENOUGH : COUNTS_MOST));
    out->n_values = (int)floor((last - out->first) / out->stride) + 1;
    int middle = (int)fmin(floor((out->mean - out->first) / out->stride), out->n_values - 1);
    if (out->stride > MOST_RATIOS)
        fill_by_logs(out, law, middle);
    else
        fill_by_ratios(out, law, middle);
    double sum = 0;
    for (int i = 0; i < out->n_values; i++)
        sum += out->p[i];
    for (int i = 0; i < out->n_values; i++)
        out->p[i] /= sum;
}
