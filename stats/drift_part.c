/*
 * Counts lie side by side, four to a vector: a law has thousands of them, each with logarithms.
 * Those behind the last one have the value 0, as their probability is 0.
 */
#include "stats/drift_part.h"

#include <math.h>

#include "stats/drift.h"
#include "stats/four.h"

static double square(double x)
{
    return x * x;
}

double drift_part_scale(const struct law_question *q)
{
    return q->statistic == LAW_CHI2 ? 1 : 1 / (1 / q->n + 1 / q->m);
}

/* --- what a count adds --- */

static double term(const struct law_question *q, double r, double w)
{
    double a = r / q->m, b = w / q->n, middle = (a + b) / 2, d;
    switch (q->statistic) {
    case LAW_PSI:
        a = fmax(a, PSI_FLOOR);
        b = fmax(b, PSI_FLOOR);
        return (b - a) * log(b / a);
    case LAW_JS:
        d = (a > 0 ? a * log(a / middle) : 0) + (b > 0 ? b * log(b / middle) : 0);
        return d * (M_LOG2E / 2);
    case LAW_HELLINGER:
        return square(sqrt(a) - sqrt(b)) / 2;
    default: /* chi2: both rows of the table */
        return r + w > 0 ? square(w * q->m - r * q->n) / (q->n * q->m * (r + w)) : 0;
    }
}

/* The same of four counts; an empty side's logarithm is finite, and 0 times it is 0. */
FOUR_INLINE four terms(const struct law_question *q, double r, four w)
{
    const four a = four_of(r / q->m), b = w / q->n, middle = (a + b) / 2,
               floor = four_of(PSI_FLOOR);
    const four some = four_choose(middle > 0, middle, four_of(1));
    const four up = four_choose(a > floor, a, floor), down = four_choose(b > floor, b, floor);
    if (q->statistic == LAW_PSI)
        return (down - up) * four_log(down / up);
    if (q->statistic == LAW_JS)
        return (a * four_log(a / some) + b * four_log(b / some)) * (M_LOG2E / 2);
    four each = {0};
    for (int lane = 0; lane < LANES; lane++)
        each[lane] = term(q, r, w[lane]);
    return each;
}

/* Two bins, the events of one given: the whole statistic. */
static double of_pair(const struct law_question *q, double r, double w)
{
    double other = q->m - r, left = q->n - w, dof;
    if (q->statistic != LAW_CHI2)
        return term(q, r, w) + term(q, other, left);
    struct drift_bin bins[2] = {{r, w}, {other, left}};
    return drift_chi2(bins, 2, q->m, q->n, &dof);
}

/* --- moments --- */

FOUR_INLINE void take_moments(struct drift_part *part)
{
    const struct counts *counts = &part->counts;
    const four ones = {0, 1, 2, 3};
    const double by = 1 / counts->sd;
    four mean = {0}, variance = mean, third = mean, linear = mean, quadratic = mean;
    for (int i = 0; i < counts->n_values; i += LANES)
        mean += four_read(counts->p + i) * four_read(part->values + i);
    part->mean = four_sum(mean);
    for (int i = 0; i < counts->n_values; i += LANES) {
        const four w = counts->first + (i + ones) * counts->stride;
        const four z = (w - counts->mean) * by;
        const four d = four_read(part->values + i) - part->mean, pd = four_read(counts->p + i) * d;
        variance += pd * d;
        third += pd * d * d;
        linear += pd * z;
        quadratic += pd * z * z;
    }
    part->variance = four_sum(variance);
    part->third = four_sum(third);
    part->linear = four_sum(linear);
    part->quadratic = four_sum(quadratic) / 2;
}

static void end_with_zeros(struct drift_part *part)
{
    for (int i = part->counts.n_values; i % LANES != 0; i++)
        part->values[i] = 0;
}

/* --- both --- */

FOUR_INLINE void fill(struct drift_part *part, const struct law_question *q, double r)
{
    const struct counts *counts = &part->counts;
    const double scale = drift_part_scale(q);
    const four ones = {0, 1, 2, 3};
    for (int i = 0; i < counts->n_values; i += LANES) {
        const four w = counts->first + (i + ones) * counts->stride;
        four_write(part->values + i, scale * terms(q, r, w));
    }
    end_with_zeros(part);
    take_moments(part);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void fill_avx2(struct drift_part *part,
                                                      const struct law_question *q, double r)
{
    fill(part, q, r);
}
#endif

void drift_part_of_bin(struct drift_part *part, const struct law_question *q, double r,
                       const struct count_law *law)
{
    counts_of(&part->counts, law);
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        fill_avx2(part, q, r);
        return;
    }
#endif
    fill(part, q, r);
}

void drift_part_of_pair(struct drift_part *part, const struct law_question *q,
                        const struct count_law *law)
{
    const double scale = drift_part_scale(q);
    counts_of(&part->counts, law);
    for (int i = 0; i < part->counts.n_values; i++) {
        const double w = part->counts.first + i * part->counts.stride;
        part->values[i] = scale * of_pair(q, q->counts[0], w);
    }
    end_with_zeros(part);
    take_moments(part);
}
