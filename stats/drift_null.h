/*
 * How large a drift statistic gets when nothing drifted, at the very sample sizes at hand: p-values
 * and thresholds from the laws of stats/drift_law.h, each made once.
 *
 * Shape    the law of a statistic between a window of n and a reference of m events, given the
 *          reference. Scaled (stats/drift_law.h) one law serves near sizes: it is made at the next
 *          smaller and the next larger step of ratio 2^(1/4); ln p goes from one to the other as
 *          ln n does, but where counts come in lumps (few events in few bins; fewer than 1,024 of
 *          two bins) the larger p counts; up to 16 events, of l_infinity up to 128, it is made at n
 *          itself. wasserstein beyond 128 events has one law for all sizes,
 *          and a factor for the feature's skewness
 * Unseen   a window may leave the reference's range, or show new categories, though nothing
 *          drifted: weight 2 for numbers (the spacings beyond the smallest and the largest), one
 *          more than the reference's singletons for categories (Good–Turing)
 * Cost     0.1 to 1 ms a law, then 0.1 µs a question
 * Owner    drift_nulls_new gives the cache, drift_nulls_free takes it
 * Threads  any: the cache locks itself, laws are made outside the lock
 * Source   Good 1953; stats/drift_law.h
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"
#include "stats/drift_law.h"

/* The reference's side of the question. */
struct drift_null {
    enum drift_statistic statistic;
    uint64_t key;          /* names the bins: reference id and feature; the cache goes by it */
    const double *counts;  /* of the reference, without the bin for unseen */
    const double *weights; /* of the bins in the law: about the counts */
    const double *steps;   /* LAW_WASSERSTEIN: distance of bin i + 1 from bin i, in std */
    size_t n_bins;
    double unseen;      /* weight of all that the reference lacks; 0: nothing can be unseen */
    double skew;        /* LAW_WASSERSTEIN: of the reference's values, */
    double kurtosis;    /* … above a normal law's, */
    double heavy;       /* … how heavy their tails are, 0 to 1, */
    double within;      /* … the part of their variance within the bins, */
    double peaked;      /* … stats/drift_path.h, */
    bool fine_ends;     /* … stats/drift_law.h */
    double prior;       /* more of each weight for n = m / 2, none up to 0.03 m, */
    double prior_ends;  /* … of the first and the last bin instead */
    double prior_large; /* … for n from 2 m on; between them all as ln n goes */
    const double *prior_shares; /* stats/drift_law.h, */
    const double *sparse;       /* … all of it for n = m / 2, none up to m / 5, from 5 m on */
    double sparse_large;        /* … this part of it */
};

struct drift_nulls;
int drift_nulls_new(struct drift_nulls **out, struct err *err);
void drift_nulls_free(struct drift_nulls *nulls);
DEFINE_FREEP(drift_nulls)
uint64_t drift_nulls_made(struct drift_nulls *nulls); /* laws, since it was new */

/* P(statistic >= value) when nothing drifted. NaN for want of memory or of events. */
double drift_null_p(struct drift_nulls *nulls, const struct drift_null *null, double n,
                    double value);
/* The value that is reached with probability p. */
double drift_null_threshold(struct drift_nulls *nulls, const struct drift_null *null, double n,
                            double p);
