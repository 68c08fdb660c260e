/*
 * The law of a sum over bins whose counts have a known total, by its double saddlepoint.
 *
 * Shape    bins are independent but for their counts' total, n; each count adds a value to the sum.
 *          P(sum >= t | total = n) from the joint cumulant function K(u, v) at the u and v whose
 *          tilted bins have the sum t and the total n on average, and at u = 0, where they have n
 *          alone. u goes from below the mean to p = 1e-8 in even steps; between them the normal
 *          deviate that p stands for is followed as a curve. Sums that lie apart (few events in many
 *          bins alike: each pair in one bin is a lump) are asked half of their distance before
 * Holds    for sums that many bins make together. Where few bins do, their lumps are seen by
 *          counting every way (stats/drift_law)
 * Errors   SADDLE_NONE: no such u and v were found · -ENOMEM
 * Threads  any
 * Source   Skovgaard 1987, Saddlepoint expansions for conditional distributions, eq. 3.3, in the
 *          form Φ(r*) of Barndorff-Nielsen 1986
 */
#pragma once

#include <stddef.h>

#include "stats/drift_law.h"

enum {
    SADDLE_NONE = 1
};

/* What the counts first, first + 1, … of a bin do: how probable each is, and what it adds. */
struct saddle_bin {
    int first, n;
    const double *p, *values;
};

int drift_saddle_law(struct drift_law *out, const struct saddle_bin *bins, size_t n_bins, double n);
