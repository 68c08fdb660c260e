/*
 * A window's categories against the reference's: PSI, Jensen–Shannon, Hellinger, chi-squared,
 * L-infinity, unseen values.
 *
 * Shape    bins are the reference's 127 largest categories, one for all its others, and what it
 *          never saw: together for PSI, JS and Hellinger (NannyML's extra bin), each for itself in
 *          chi2 and L-infinity as long as they are counted singly. Counts are exact, so values
 *          are; a window that overflowed under another reference has none, and says so
 * Threads  any
 * Source   psi: contract §4 (one bin a category, floor 1e-4) · js_distance, hellinger, l_infinity,
 *          chi2: NannyML 0.13 · chi2_p: scipy.stats.chi2_contingency (Yates for 2 × 2)
 */
#pragma once

#include "stats/drift.h"
#include "stats/reference.h"

enum {
    DRIFT_MAX_ROWS = REFERENCE_MAX_ROWS + 1 /* and all unseen together */
};

struct drift_categorical {
    uint64_t n;
    struct drift_value psi, js_distance, hellinger, chi2, l_infinity, unseen_rate;
    double chi2_p, chi2_dof; /* NaN where chi2 is not defined */
    double same_shares_p;    /* stats/same_shares.h; 0: it is not asked */
    /* Of the reference's categories that drift_judged_bins counts, all others and unseen ones
       together. Not judged where each of its categories has a bin. */
    struct drift_known {
        bool judged;
        double psi, js_distance, hellinger, chi2, l_infinity;
    } known;
};

/*
 * How many of the reference's bins, the largest first, are judged each for itself: all, where each
 * of its categories has one. Of many the 127 largest may be there by chance: which rare ones it saw
 * often, which once and which not, is not what a window can be held against.
 */
size_t drift_judged_bins(const struct reference_feature *reference);

int drift_categorical(const struct reference_feature *reference, uint64_t reference_id,
                      const struct categories *window, struct drift_categorical *out);

/* The bins as PSI, JS and Hellinger use them (unseen ones together, last); 0: they cannot be told.
   `bins` has room for DRIFT_MAX_ROWS. */
size_t drift_category_bins(const struct reference_feature *reference, uint64_t reference_id,
                           const struct categories *window, struct drift_bin *bins);
