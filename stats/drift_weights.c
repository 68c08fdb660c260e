#include "stats/drift_weights.h"

#include <math.h>

#include "stats/drift_categorical.h"
#include "stats/unseen_law.h"

#define EMPTY 0.2 /* events of a bin that counts as half empty */
/* Shares of such bins: of 10,000 exponential values 0.05, of lognormal ones 0.11. */
#define NO_TAIL 0.05
#define LIGHT_TAIL 0.08
#define HEAVY_TAIL 0.12
/* Crowding: of exponential values 0.23, of lognormal ones 0.5. */
#define EVEN 0.3
#define CROWDED 0.4
/* Such bins beside the side that has more of them: of Student's t 0.4, of normal values 0.05. */
#define ONE_TAIL 0.1
#define TWO_TAILS 0.3
#define TWICE_AS_HEAVY 4.0
#define SPARSE_LARGE 0.6 /* n = 5 m, in the part of n = m / 2 */

static double way_of(double x, double from, double to)
{
    return fmin(fmax((x - from) / (to - from), 0), 1);
}

static size_t bins_by(const struct reference_feature *ref, const uint8_t *bin_of_cell,
                      size_t n_bins, double *counts)
{
    for (size_t i = 0; i < n_bins; i++)
        counts[i] = 0;
    for (uint32_t i = 0; i <= ref->grid->n_cuts; i++)
        counts[bin_of_cell[i]] += ref->grid_counts[i];
    return n_bins;
}

static void area_bins(const struct area_groups *groups, struct drift_null *null)
{
    null->counts = groups->counts;
    null->steps = groups->steps;
    null->n_bins = groups->n;
    null->within = groups->within;
    null->kurtosis = groups->kurtosis;
    null->heavy = groups->heavy;
    null->peaked = groups->peaked;
    null->fine_ends = groups->fine_ends;
}

/*
 * A category that was seen r times weighs r + 1/2: upwards an r + 1 would be exact (negative
 * binomial against binomial tails), downwards r. Of the largest of many r is also what made them
 * the largest: they weigh what they would bring once more, and the others what that leaves.
 */
static void category_bins(const struct reference_feature *ref, struct drift_null *null,
                          struct drift_weights *memory)
{
    size_t n = drift_judged_bins(ref);
    double others = (double)ref->valid, left = 0;
    for (size_t i = 0; i < n; i++) {
        const double r = (double)ref->bin_counts[i];
        const double expected = ref->bin_expected[i] > 0 ? fmin(ref->bin_expected[i], r) : r;
        memory->counts[i] = r;
        memory->weights[i] = expected + 0.5 * (expected / r);
        others -= r;
        left += r - expected;
    }
    if (others > 0) {
        memory->counts[n] = others;
        memory->weights[n++] = others + 0.5 + left;
    }
    null->n_bins = n;
    null->unseen = ref->partial ? 0 : unseen_law_of(ref).weight;
}

/* Bins the reference left empty are not impossible: a quarter of an event each. */
static void weigh_bins(struct drift_null *null, struct drift_weights *memory)
{
    for (size_t i = 0; i < null->n_bins; i++)
        memory->weights[i] = fmax(null->counts[i], 0.25);
}

/* Of a bin as many as each of its run's would have alone; infinite beyond the last value. */
static double gaps_of(const struct drift_weights *memory, size_t bin)
{
    const double of_run = memory->prior_shares[bin];
    return of_run > 0 ? memory->weights[bin] / of_run : (double)INFINITY;
}

/* How far values keep to few bins: the chance that two of them share one. */
static double crowding_of(const struct drift_null *null)
{
    double all = 0, squares = 0;
    for (size_t i = 0; i < null->n_bins; i++) {
        all += null->counts[i];
        squares += null->counts[i] * null->counts[i];
    }
    return squares / (all * all);
}

/*
 * Where many bins are empty the gaps say all that is known, and half an event more for each bin
 * between them would be more than lies there: of a heavy tail's it is as little as their gaps are
 * short of `few` events. An exponential law's few empty bins are no heavy tail; where most values
 * share few bins it is one of `few_crowded`; and tails to both sides leave the less for each bin,
 * the longer one of them happens to be.
 */
static void weigh_sparse_bins(struct drift_null *null, struct drift_weights *memory, double few,
                              double few_crowded)
{
    double before = 0, beyond = 0; /* empty bins to both sides of the fullest one */
    size_t fullest = 0;
    for (size_t i = 0; i < null->n_bins; i++) {
        if (null->counts[i] > null->counts[fullest]) {
            fullest = i;
            before += beyond;
            beyond = 0;
        }
        beyond += EMPTY / (gaps_of(memory, i) + EMPTY);
    }
    const double share = (before + beyond) / (double)null->n_bins;
    const double two =
        way_of(fmin(before, beyond), ONE_TAIL, TWO_TAILS) * way_of(share, NO_TAIL, LIGHT_TAIL);
    const double heavy = fmax(way_of(share, LIGHT_TAIL, HEAVY_TAIL), two);
    const double one = (1 - two) * way_of(crowding_of(null), EVEN, CROWDED);
    few = few * (1 + (TWICE_AS_HEAVY - 1) * two) + (few_crowded - few) * one;
    for (size_t i = 0; i < null->n_bins; i++)
        memory->sparse[i] = heavy * few / (gaps_of(memory, i) + few);
    null->sparse = memory->sparse;
    null->sparse_large = SPARSE_LARGE * two;
}

/*
 * Bins of equal width, weighed by the gaps between the reference's values, each of which is worth
 * one event: r values in a bin leave r - 1 gaps in it, and the gap to the next value lies as far in
 * each bin between them as values at equal distances would have it. On average that is right, which
 * is all that a small window sees. A large one measures each bin's own share, and where the bin
 * lies is not the values': about half an event more, as for a category (Jeffreys). The outermost bins
 * end at a value, so that r of them say only that r - 1 fell there: theirs is about an event less.
 */
static void weigh_even_bins(struct drift_null *null, struct drift_weights *memory)
{
    size_t last = null->n_bins;
    for (size_t i = 0; i < null->n_bins; i++) {
        double r = memory->counts[i];
        memory->weights[i] = fmax(r - 1, 0);
        memory->prior_shares[i] = 1;
        if (r == 0)
            continue;
        if (last < null->n_bins) {
            double here = 1 / (r + 1), there = 1 / (memory->counts[last] + 1);
            double empty = (double)(i - last - 1), length = here + there + empty;
            memory->weights[i] += here / length;
            memory->weights[last] += there / length;
            for (size_t k = last + 1; k < i; k++) {
                memory->weights[k] = 1 / length;
                memory->prior_shares[k] = 1 / empty;
            }
        }
        last = i;
    }
    bool more = null->statistic == LAW_HELLINGER; /* it sees empty bins more */
    weigh_sparse_bins(null, memory, more ? 0.45 : 0.25, more ? 0.8 : 0.25);
    null->prior = more ? 1.1 : 0.6;
    null->prior_ends = more ? -0.55 : -0.65;
    null->prior_large = more ? 0.56 : 0.48;
    null->prior_shares = memory->prior_shares;
}

struct drift_null drift_weights_of(struct drift_weights *memory, enum drift_statistic statistic,
                                   const struct reference_feature *ref, uint64_t reference_id,
                                   bool categorical)
{
    struct drift_null null = {
        .statistic = statistic,
        .key = reference_id ^ ref->name_id * UINT64_C(0x9e3779b97f4a7c15),
        .counts = memory->counts,
        .weights = memory->weights,
        .skew = ref->moments.skew,
    };
    if (categorical) {
        category_bins(ref, &null, memory);
        return null;
    }
    if (statistic == LAW_WASSERSTEIN) {
        area_bins(ref->area, &null);
    } else if (statistic == LAW_PSI) {
        null.n_bins = bins_by(ref, ref->grid->decile_bin, ref->grid->n_deciles + 1, memory->counts);
    } else {
        null.n_bins = bins_by(ref, ref->grid->doane_bin, ref->grid->n_doane, memory->counts);
        null.unseen = 2;
        weigh_even_bins(&null, memory);
        return null;
    }
    weigh_bins(&null, memory);
    return null;
}
