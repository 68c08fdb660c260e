/*
 * How large a drift statistic gets when nothing drifted, at the very sample sizes at hand.
 *
 * Shape    the law of a statistic between a window of n and a reference of m events that both come
 *          from the reference's shares. Statistics are squared where they are distances and
 *          divided by (1/n + 1/m), so that one law serves near sizes. 4,096 draws of both sides
 *          (stats/drift_draws.h, seeded by what is asked: the same question has the same answer in
 *          any order); beyond the 90% point the tail is exponential with the mean excess found
 * there, plus its own standard error: p is rather too large than too small Unseen   a window may
 * leave the reference's range, or show new categories, though nothing drifted: with probability
 * Beta(2, m - 1) for numbers (the spacing of order statistics) and Beta(singletons, m) for
 * categories (Good–Turing) Sizes    n is taken at the next smaller step of ratio sqrt(2), where
 * tails are heavier; above 20,000 at 20,000. Where something may be unseen also at the next larger
 * step, and the larger p counts Owner    drift_nulls_new gives the cache, drift_nulls_free takes it
 * Threads  any: the cache locks itself, laws are drawn outside the lock
 * Source   PSI's law: Yurdakul 2018, (1/n + 1/m) chi-squared(k - 1), which the draws approach;
 *          parametric bootstrap: Efron, Tibshirani 1993, ch. 6
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"
#include "stats/drift.h"

enum drift_law {
    LAW_PSI,
    LAW_JS,
    LAW_HELLINGER,
    LAW_L_INFINITY,
    LAW_CHI2,
    LAW_WASSERSTEIN /* bins in the order of the values, with `steps` between them */
};

/* The reference's side of the question. */
struct drift_null {
    enum drift_law law;
    uint64_t key;         /* names the bins: reference id and feature; the cache goes by it */
    const double *counts; /* of the reference, without the bin for unseen */
    const double *steps;  /* LAW_WASSERSTEIN: distance of bin i + 1 from bin i, in std */
    size_t n_bins;
    double unseen; /* a of Beta(a, m): 0: nothing can be unseen */
};

struct drift_nulls;
int drift_nulls_new(struct drift_nulls **out, struct err *err);
void drift_nulls_free(struct drift_nulls *nulls);
DEFINE_FREEP(drift_nulls)

/* P(statistic >= value) when nothing drifted. NaN for want of memory or of events. */
double drift_null_p(struct drift_nulls *nulls, const struct drift_null *null, double n,
                    double value);
/* The value that is reached with probability p. */
double drift_null_threshold(struct drift_nulls *nulls, const struct drift_null *null, double n,
                            double p);
