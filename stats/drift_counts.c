#include "stats/drift_counts.h"

#include <math.h>
#include <stdbool.h>

#include "stats/four.h"

enum {
    AT_ONCE = 4
};
#define MOST_RATIOS 16.0 /* from value to value: more of them take longer than logarithms */

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

struct fraction {
    four above, below;
};

/* P(value + 1) / P(value), on top of another. */
FOUR_INLINE void add_ratio(struct fraction *all, const struct count_law *law, four value)
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

/* P(value + stride) / P(value), or upside down, with a division for AT_ONCE of its ratios. */
FOUR_INLINE four ratio_over(const struct count_law *law, four value, int stride, four_signs down)
{
    four all = four_of(1);
    for (int k = 0; k < stride;) {
        struct fraction part = {four_of(1), four_of(1)};
        for (int end = k + AT_ONCE < stride ? k + AT_ONCE : stride; k < end; k++)
            add_ratio(&part, law, value + k);
        all *=
            four_choose(down, part.below, part.above) / four_choose(down, part.above, part.below);
    }
    return all;
}

/* From the middle, where none is too small to be followed by another, to both ends. */
FOUR_INLINE void fill_by_ratios(struct counts *out, const struct count_law *law, int middle)
{
    const four ones = {0, 1, 2, 3};
    double ratios[COUNTS_MOST];
    for (int i = 0; i + 1 < out->n_values; i += LANES) {
        const four at = i + ones, value = out->first + at * out->stride;
        four_write(ratios + i, ratio_over(law, value, (int)out->stride, at < middle));
    }
    double p = out->p[middle] = 1;
    for (int i = middle; i + 1 < out->n_values; i++)
        out->p[i + 1] = p *= ratios[i];
    p = 1;
    for (int i = middle; i > 0; i--)
        out->p[i - 1] = p *= ratios[i - 1];
}

static void fill_by_logs(struct counts *out, const struct count_law *law, int middle)
{
    double most = log_weight(law, out->first + middle * out->stride);
    for (int i = 0; i < out->n_values; i++)
        out->p[i] = exp(log_weight(law, out->first + i * out->stride) - most);
}

FOUR_INLINE void counts_by(struct counts *out, const struct count_law *law)
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
    for (int i = out->n_values; i % LANES != 0; i++)
        out->p[i] = 0;
    four sum = {0};
    for (int i = 0; i < out->n_values; i += LANES)
        sum += four_read(out->p + i);
    const double per_all = 1 / four_sum(sum);
    for (int i = 0; i < out->n_values; i += LANES)
        four_write(out->p + i, four_read(out->p + i) * per_all);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void counts_avx2(struct counts *out,
                                                        const struct count_law *law)
{
    counts_by(out, law);
}
#endif

void counts_of(struct counts *out, const struct count_law *law)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        counts_avx2(out, law);
        return;
    }
#endif
    counts_by(out, law);
}
