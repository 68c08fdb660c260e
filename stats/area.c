/*
 * Areas under curves from score bins, the highest score first.
 *
 * ROC: a pair (positive, negative) of different bins is ordered for certain; one of the same bin
 * counts half, and is 0, 1/2 or 1 in truth. So the sum over bins of positives x negatives / 2,
 * divided by all pairs, bounds the error; a bin of one single score is a tie in truth: no error.
 *
 * Average precision is the mean over positives of the precision at their score. With T positives
 * and F negatives above a bin of p positives and n negatives, the j-th positive of the bin from
 * the top sees j <= a <= p positives and 0 <= b <= n negatives of its bin, so its precision
 * (T + a) / (T + a + F + b) lies between (T + j) / (T + j + F + n) and (T + p) / (T + p + F).
 * The value is the middle of both sums, the bound their half distance.
 */
#include <math.h>

#include "stats/score_bins.h"

struct totals {
    int64_t positives, negatives;
};

static struct totals totals_of(const struct score_bin *bins, size_t n)
{
    struct totals t = {0, 0};
    for (size_t i = 0; i < n; i++) {
        t.positives += bins[i].positives;
        t.negatives += bins[i].negatives;
    }
    return t;
}

static double delong(const struct score_bin *bins, size_t n, struct totals t, double auc)
{
    if (t.positives < 2 || t.negatives < 2)
        return NAN;
    double of_positives = 0, of_negatives = 0, below = 0; /* negatives below */
    double above = (double)t.positives;                   /* positives above */
    for (size_t i = 0; i < n; i++) {
        const double p = (double)bins[i].positives, q = (double)bins[i].negatives;
        above -= p;
        const double placement = (below + q / 2) / (double)t.negatives - auc;
        const double other = (above + p / 2) / (double)t.positives - auc;
        of_positives += p * placement * placement;
        of_negatives += q * other * other;
        below += q;
    }
    return of_positives / (double)(t.positives - 1) / (double)t.positives +
           of_negatives / (double)(t.negatives - 1) / (double)t.negatives;
}

struct area area_roc(const struct score_bin *bins, size_t n)
{
    const struct totals t = totals_of(bins, n);
    struct area area = {NAN, NAN, NAN, t.positives, t.negatives};
    if (t.positives == 0 || t.negatives == 0)
        return area;

    unsigned __int128 twice = 0, unsure = 0; /* in half pairs */
    uint64_t below = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t p = (uint64_t)bins[i].positives, q = (uint64_t)bins[i].negatives;
        twice += (unsigned __int128)p * (2 * below + q);
        if (bins[i].lo != bins[i].hi)
            unsure += (unsigned __int128)p * q;
        below += q;
    }
    const double pairs = (double)t.positives * (double)t.negatives;
    area.value = (double)twice / (2 * pairs);
    area.bound = (double)unsure / (2 * pairs);
    area.variance = delong(bins, n, t, area.value);
    return area;
}

/* The sum of (T + j) / (T + j + B) over j = 1 .. p, or a little less. */
static double least(double above, double negatives, int64_t p)
{
    double sum = 0;
    if (p <= 32) {
        for (int64_t j = 1; j <= p; j++)
            sum += (above + (double)j) / (above + (double)j + negatives);
        return sum;
    }
    /* Each 1 / (A + j) is at most its mean over A + j - 1/2 .. A + j + 1/2, for it is convex. */
    return (double)p - negatives * log1p((double)p / (above + negatives + 0.5));
}

struct area area_precision_recall(const struct score_bin *bins, size_t n)
{
    const struct totals t = totals_of(bins, n);
    struct area area = {NAN, NAN, NAN, t.positives, t.negatives};
    if (t.positives == 0)
        return area;

    double above_positive = 0, above_negative = 0, high = 0, low = 0;
    for (size_t i = n; i-- > 0;) {
        const double p = (double)bins[i].positives, q = (double)bins[i].negatives;
        if (p > 0) {
            const double tied =
                p * (above_positive + p) / (above_positive + p + above_negative + q);
            if (bins[i].lo == bins[i].hi || q == 0) {
                /* Without negatives in the bin its positives are at best tied, at worst apart. */
                high += tied;
            } else {
                high += p * (above_positive + p) / (above_positive + p + above_negative);
            }
            if (bins[i].lo == bins[i].hi) {
                low += tied;
            } else {
                low += least(above_positive, above_negative + q, bins[i].positives);
            }
        }
        above_positive += p;
        above_negative += q;
    }
    const double positives = (double)t.positives;
    area.value = (high + low) / 2 / positives;
    area.bound = fmax(0, (high - low) / 2 / positives);
    return area;
}
