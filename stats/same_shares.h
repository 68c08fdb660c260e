/*
 * Two samples of categories: how improbable are counts so different if both are of the same shares,
 * whatever these are?
 *
 * Shape    which events are whose is all that is random: each category's events of both sides
 *          together are given, and so are the sides' sizes. The statistic is Pearson's X² of the
 *          table with two rows, taken twice: rare categories each for itself (but where the smaller
 *          side expects less than a tenth of an event), and those of which it expects less than 5
 *          as one, for many small gains are one large one; the smaller p counts, doubled.
 *          P(X² >= x) by Pearson's type III with the exact mean and variance, and the third
 *          cumulant of binomial columns less the direction that the sum takes away
 * Units    probability; 1 where there is nothing to compare
 * Threads  any
 * Source   mean: Haldane 1940 · variance: Dawson 1954, Biometrika 41, p. 280 · Pearson III:
 *          Johnson, Kotz, Balakrishnan 1994, ch. 17.2
 */
#pragma once

#include <stddef.h>

#include "stats/drift.h"

double same_shares_p(const struct drift_bin *bins, size_t n_bins);
